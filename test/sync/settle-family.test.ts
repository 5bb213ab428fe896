/** Inode numbers follow versions, and who has a file open keeps it, whoever removes it. */
import t from 'tap'
import { applyOperation } from '../../src/sync/apply-operation.ts'
import { ROOT_ID } from '../../src/sync/operation.ts'
import { checkIndex } from '../support/check-index.ts'
import { NONE_OPEN } from '../support/memory-index.ts'
import {
  createOf,
  DEVICE_LOGS,
  renameOf,
  TwoDeviceIndex,
  unlinkOf,
  writeOf
} from '../support/two-device-index.ts'

const [A, B, C] = DEVICE_LOGS
const CONFLICT = 'f (conflict, device 3, 1970-01-01 00.02)'

t.test('an inode keeps its bytes when another file takes its name and identity', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const file = devices.merge(A, createOf('f'))
  const { f: ino = 0 } = devices.names()
  const seen = new Map([[A, 1]])
  const late = devices.merge(C, writeOf(file, file, 7), seen)
  t.equal(devices.names()['f'], ino)
  const early = devices.merge(B, writeOf(file, file, 8), seen)

  const { f: other = 0, [CONFLICT]: branch } = devices.names()
  t.equal(branch, ino, 'the file that was there first has the conflict name now')
  t.not(other, ino)
  t.match(index.inode(ino), { id: late, version: late })
  t.match(index.inode(other), { id: file, version: early })
  t.strictSame(devices.bytes(ino), [7, 7, 7])
  t.strictSame(devices.bytes(other), [8, 8, 8])
  t.equal(index.find(file), other)
  t.equal(index.find(late), ino)
  checkIndex(index)

  t.strictSame(
    [...index.conflicts()],
    [{ directory: 1, name: CONFLICT, ino, original: 'f', otherDevice: 'device 3' }]
  )
  t.match(index.conflictOf(ino), { name: CONFLICT })
  t.equal(index.conflictOf(other), undefined)
  t.strictSame(
    index.versions(ino).map(({ id, device }) => [id, device]),
    [
      [file, 'device 1'],
      [late, 'device 3']
    ]
  )
  t.strictSame(index.runsOf(ino, file), [])
  t.match(index.runsOf(ino, late), [{ kind: 'inline', offset: 0, bytes: Uint8Array.of(7, 7, 7) }])
  t.throws(() => index.runsOf(ino, early), { code: 'MISSING' }, 'a version of the other file')
})

t.test('a file that is removed elsewhere while open here comes back when written to', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const file = devices.merge(A, createOf('f'))
  const { f: ino = 0 } = devices.names()
  devices.open.add(ino)
  devices.merge(B, unlinkOf(file))
  t.strictSame(devices.names(), {})
  t.match(index.inode(ino), { id: file, version: file, links: [] })
  t.ok(index.orphans.get(ino))
  checkIndex(index)
  const written = devices.execute(writeOf(file, file, 5))
  t.strictSame(devices.names(), { f: ino })
  t.match(index.inode(ino), { version: written })
  t.equal(index.orphans.get(ino), undefined)
  checkIndex(index)
})

t.test("a file that is removed here while open is nobody else's any more", async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const file = devices.merge(A, createOf('f'))
  const { f: ino = 0 } = devices.names()
  devices.open.add(ino)
  devices.execute(unlinkOf(file))
  const { id } = index.inode(ino)
  t.equal(id.log, ROOT_ID.log, 'its identity is its own')
  applyOperation(index, id, writeOf(id, id, 4), NONE_OPEN)
  t.strictSame(devices.bytes(ino), [4, 4, 4])

  // Another device wrote to it before it heard of the removal.
  devices.merge(B, writeOf(file, file, 6), new Map([[A, 1]]))
  const { f: revived = 0 } = devices.names()
  t.not(revived, ino)
  t.strictSame(devices.bytes(revived), [6, 6, 6])
  t.strictSame(devices.bytes(ino), [4, 4, 4])
  checkIndex(index)
  index.purge(ino, 9)
  checkIndex(index)
})

t.test('an open file is let go of and comes back as another inode', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const file = devices.merge(A, createOf('f'))
  const { f: ino = 0 } = devices.names()
  devices.open.add(ino)
  devices.merge(B, unlinkOf(file))
  index.purge(ino, 9)
  t.equal(index.findInode(ino), undefined)
  checkIndex(index)
  devices.merge(C, writeOf(file, file, 6), new Map([[A, 1]]))
  t.strictSame(devices.bytes(devices.names()['f'] ?? 0), [6, 6, 6])
  checkIndex(index)
})

t.test('a change that must not be recorded parts an open file from its family', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const file = devices.merge(A, createOf('f'))
  const { f: ino = 0 } = devices.names()
  devices.open.add(ino)
  devices.merge(B, unlinkOf(file))
  t.ok(applyOperation(index, file, writeOf(file, file, 4), NONE_OPEN))
  t.equal(index.inode(ino).id.log, ROOT_ID.log)
  t.notOk(applyOperation(index, file, writeOf(file, file, 5), NONE_OPEN), 'it is another now')
  devices.merge(C, renameOf(file, 'g'), new Map([[A, 1]]))
  t.strictSame(devices.bytes(ino), [4, 4, 4])
  t.not(devices.names()['g'], ino)
  checkIndex(index)
})
