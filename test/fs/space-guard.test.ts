/** The reserve of the disk stays free, and the disk is not asked at every write. */
import t from 'tap'
import {
  RESERVE_BYTES,
  SpaceGuard,
  UNCHECKED_BYTES_MAX,
  UNCHECKED_SEC_MAX
} from '../../src/fs/space-guard.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const KIB = 1024

class Disk {
  readonly clock = new VirtualClock()
  free = RESERVE_BYTES + 100 * UNCHECKED_BYTES_MAX
  asked = 0
  readonly guard = new SpaceGuard({ clock: this.clock, statfs: () => this.#statfs() })

  #statfs() {
    this.asked++
    const blocksAvailable = Math.floor(this.free / KIB)
    const rest = { blocksFree: 2 * blocksAvailable, inodes: 1, inodesFree: 1 }
    return { blockBytes: KIB, blocks: 4 * blocksAvailable, blocksAvailable, ...rest }
  }
}

t.test('take() leaves the reserve, counting what is pending and not yet on the disk', async t => {
  const disk = new Disk()
  disk.free = RESERVE_BYTES + 10 * KIB
  disk.guard.take(4 * KIB, 0, 'write')
  t.throws(() => disk.guard.take(4 * KIB, 3 * KIB, 'write'), { code: 'ENOSPC', message: /write/ })
  disk.guard.take(6 * KIB, 4 * KIB, 'write')
  t.throws(() => disk.guard.take(1, 10 * KIB, 'write'), { code: 'ENOSPC' })
  disk.free = RESERVE_BYTES - KIB
  t.throws(() => disk.guard.take(0, 0, 'write'), { code: 'ENOSPC' })
})

t.test('take() works again as soon as there is space', async t => {
  const disk = new Disk()
  disk.free = 0
  for (let i = 0; i < 3; i++) t.throws(() => disk.guard.take(1, 0, 'create'), { code: 'ENOSPC' })
  t.equal(disk.asked, 3, 'a refusal is not remembered')
  disk.free = RESERVE_BYTES + KIB
  disk.guard.take(1, 0, 'create')
})

t.test('take() asks the disk after so many bytes or seconds, not each time', async t => {
  const disk = new Disk()
  disk.guard.take(1, 0, 'write')
  t.equal(disk.asked, 1)
  for (let i = 0; i < 100; i++) disk.guard.take(KIB, 0, 'write')
  t.equal(disk.asked, 1)
  disk.guard.take(UNCHECKED_BYTES_MAX, 0, 'write')
  t.equal(disk.asked, 2, 'bytes')
  disk.clock.advance(UNCHECKED_SEC_MAX * 1000)
  disk.guard.take(1, 0, 'write')
  t.equal(disk.asked, 3, 'seconds')
})

t.test('take() never accepts more than was free when the disk was last asked', async t => {
  const disk = new Disk()
  disk.free = RESERVE_BYTES + UNCHECKED_BYTES_MAX / 2
  let accepted = 0
  t.throws(
    () => {
      for (let i = 0; i < 100_000; i++) {
        disk.guard.take(100, accepted, 'write')
        accepted += 100
      }
    },
    { code: 'ENOSPC' }
  )
  t.ok(accepted <= UNCHECKED_BYTES_MAX / 2, `${accepted} bytes`)
  t.ok(accepted >= UNCHECKED_BYTES_MAX / 4 - 100, 'and not much less')
})

t.test('check() looks at the disk as it is and accepts nothing', async t => {
  const disk = new Disk()
  disk.free = RESERVE_BYTES + 10 * KIB
  disk.guard.check(10 * KIB, 'fallocate')
  disk.guard.check(10 * KIB, 'fallocate')
  t.throws(() => disk.guard.check(10 * KIB + 1, 'fallocate'), {
    code: 'ENOSPC',
    message: /fallocate/
  })
})
