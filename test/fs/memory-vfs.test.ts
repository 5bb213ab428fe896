/** The model in memory passes the suite of the real file system, and forgets what it should. */
import t from 'tap'
import { O_RDWR, ROOT_INODE } from '../../src/fs/vfs.ts'
import { vfsSuite } from '../suites/vfs-suite.ts'
import { MemoryVfs } from '../support/memory-vfs.ts'
import { SparseBytes } from '../support/sparse-bytes.ts'
import { VfsSession, patternBytes } from '../support/vfs-session.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

vfsSuite(t, 'MemoryVfs', {
  create: async () => {
    const clock = new VirtualClock()
    const vfs = new MemoryVfs({ clock, uid: 0, gid: 0 })
    return { vfs, tick: () => clock.advance(1), close: async () => Promise.resolve() }
  },
  supports: { holes: true, reopen: false }
})

t.test('MemoryVfs keeps no inode and no handle longer than it must', async t => {
  const vfs = new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })
  const session = new VfsSession(vfs)
  const handle = session.create('f', O_RDWR)
  vfs.remember(session.ino('f'))
  t.equal(vfs.rememberedCount(session.ino('f')), 1)
  const { ino } = session.stat('f')
  vfs.unlink(session.place('f'))
  vfs.forget(ino, 1)
  t.same([vfs.inodeCount, vfs.handleCount], [2, 1])
  await session.close(handle)
  t.same([vfs.inodeCount, vfs.handleCount], [1, 0])
  vfs.forget(ROOT_INODE, 10)
  t.equal(vfs.getattr(ROOT_INODE).nlink, 2)
})

t.test('SparseBytes takes pages for what was written only', async t => {
  const bytes = new SparseBytes()
  bytes.write(2 ** 40, patternBytes(5000))
  t.equal(bytes.size, 2 ** 40 + 5000)
  t.equal(bytes.allocatedBytes, 8192)
  bytes.clear(0, 2 ** 40 + 4096)
  t.equal(bytes.allocatedBytes, 4096)
  t.equal(bytes.nextData(0), 2 ** 40 + 4096)
  bytes.resize(10)
  t.same([bytes.size, bytes.allocatedBytes, bytes.nextHole(3)], [10, 0, 3])
})

t.test('VirtualClock fires timers in the order in which they fall due', async t => {
  const clock = new VirtualClock(0)
  const fired: string[] = []
  const note = (text: string) => () => fired.push(`${text} at ${clock.now().nsec / 1e6}`)
  clock.after(20, note('late'))
  clock.after(10, () => {
    note('early')()
    clock.after(5, note('nested'))
  })
  clock.after(10, note('second'))
  clock.after(12, note('cancelled')).cancel()
  t.equal(clock.pendingTimers, 3)
  clock.advance(9)
  t.same(fired, [])
  clock.advance(11)
  t.same(fired, ['early at 10', 'second at 10', 'nested at 15', 'late at 20'])
  clock.advance(1500.5)
  t.same(clock.now(), { sec: 1, nsec: 520_500_000 })
})
