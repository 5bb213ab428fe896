/** Directories made at one place are one, names that several want are shared out, and both stay so. */
import t from 'tap'
import { applyOperation } from '../../src/sync/apply-operation.ts'
import { ROOT_ID, type Name, type Operation } from '../../src/sync/operation.ts'
import type { ViewChanges } from '../../src/sync/view-changes.ts'
import { checkIndex } from '../support/check-index.ts'
import { NONE_OPEN } from '../support/memory-index.ts'
import {
  at,
  createOf,
  DEVICE_LOGS,
  mkdirOf,
  renameOf,
  TwoDeviceIndex,
  unlinkOf,
  writeOf
} from '../support/two-device-index.ts'

const [A, B, C] = DEVICE_LOGS
const NONE = new Map()

t.test('directories made at one place are shown as one, by the number known first', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const late = devices.merge(B, mkdirOf('d'))
  const inner = devices.merge(B, mkdirOf('inner', late))
  const inB = devices.merge(B, createOf('x', inner))
  const { d: ino = 0 } = devices.names()
  const early = devices.merge(A, mkdirOf('d'), NONE)
  const other = devices.merge(A, mkdirOf('inner', early), NONE)
  const inA = devices.merge(A, createOf('x', other), NONE)

  t.strictSame(devices.names(), { d: ino })
  const shown = index.lookup(1, 'd' as Name)
  t.strictSame(shown?.links, [early, late], 'in order')
  t.match(index.inode(ino), { ino, id: early, children: 1, subdirectories: 1 })
  const second = index.directoryOf(early) ?? 0
  t.not(second, ino)
  t.strictSame(index.inode(second), index.inode(ino), 'every number stands for both')
  t.strictSame([...index.list(second).keys()], ['inner'])

  const union = index.lookup(ino, 'inner' as Name)?.ino ?? 0
  t.equal(index.lookup(union, 'x' as Name)?.ino, index.find(inA))
  const conflict = [...index.list(union).values()].find(({ isGenerated }) => isGenerated)
  t.equal(conflict?.ino, index.find(inB))
  t.equal(index.inode(index.find(inB) ?? 0).links[0]?.name, conflict?.name)
  t.equal(index.parentOf(union), ino)
  checkIndex(index)

  // One of them moves away, with what is in it.
  devices.merge(A, renameOf(early, 'e'), NONE)
  const names = devices.names()
  t.strictSame(Object.keys(names).toSorted(), ['d', 'e'])
  t.equal(names['d'], ino)
  t.equal(names['e'], second)
  t.strictSame([...index.conflicts()], [])
  checkIndex(index)
})

t.test("attributes of directories shown as one are the first one's", async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const late = devices.merge(B, mkdirOf('d'))
  const early = devices.merge(A, mkdirOf('d'), NONE)
  const name = 'user.x' as Name
  const set = { type: 'setxattr' as const, name, time: at(5) }
  devices.merge(B, { ...set, inode: late, base: late, value: Uint8Array.of(2) })
  devices.merge(A, { ...set, inode: early, base: early, value: Uint8Array.of(1) }, NONE)
  const { d: ino = 0 } = devices.names()
  t.strictSame(index.xattr(ino, name)?.value, Uint8Array.of(1))
  t.strictSame([...index.xattrsOf(ino).keys()], [name])
  t.equal(index.inode(ino).xattrs, 1)
})

t.test('conflict names follow the name of the device and the time of the entry', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  devices.merge(B, createOf('f'))
  devices.merge(A, createOf('f'), NONE)
  const conflictNames = () => Object.keys(devices.names()).filter(name => name !== 'f')
  t.strictSame(conflictNames(), ['f (conflict, device 2, 1970-01-01 00.01)'])
  index.deviceOf = () => 'renamed'
  t.strictSame(conflictNames(), ['f (conflict, renamed, 1970-01-01 00.01)'])
  t.notOk(index.view.isPlain)
  devices.merge(A, renameOf({ log: A, index: 0, number: 0 }, 'g'), NONE)
  t.strictSame(Object.keys(devices.names()).toSorted(), ['f', 'g'])
  t.ok(index.view.isPlain)
  checkIndex(index)
})

t.test('an entry that is sealed renews the names that it claimed, not all', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const count = 50
  for (let i = 0; i <= count; i++) devices.merge(B, createOf(`f${i}`))
  for (let i = 0; i < count; i++) devices.merge(C, createOf(`f${i}`), NONE)
  devices.names()
  devices.execute(createOf('g'))
  devices.merge(C, createOf('g'), NONE)
  const opened = 'g (conflict, device 1, 1970-01-01 00.01)'
  t.ok(opened in devices.names())
  let asked = 0
  const { deviceOf } = index
  index.deviceOf = log => {
    asked++
    return deviceOf(log)
  }
  devices.names()
  asked = 0
  const { lamport = 0 } = index.recordedEntry(A, 0) ?? {}
  index.recordEntry({ log: A, index: 0, lamport, time: at(600), seen: NONE })
  t.ok('g (conflict, device 1, 1970-01-01 00.10)' in devices.names(), 'its time is told')
  t.notOk(opened in devices.names())
  t.equal(Object.keys(devices.names()).length, 2 * count + 3)
  t.ok(asked > 0 && asked < count, `${asked} of ${count} names were made anew`)
  checkIndex(index)
})

t.test('what a merge changed is told', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  devices.merge(B, createOf('f'))
  const { f: ino = 0 } = devices.names()
  index.recordEntry({ log: A, index: 0, lamport: 1, time: at(0), seen: NONE })
  const id = { log: A, index: 0, number: 0 }
  applyOperation(index, id, createOf('f'), { isOpen: () => false })
  const changes = index.settle()
  const told = new Map(changes.names.map(({ name, before, after }) => [name, [before, after]]))
  t.strictSame(told.get('f' as Name), [ino, index.find(id)])
  const conflict = 'f (conflict, device 2, 1970-01-01 00.01)' as Name
  t.strictSame(told.get(conflict), [undefined, ino])
  t.strictSame(index.settle().names, [], 'once')
})

t.test('what a merge changed of a file and its directory is told', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const file = devices.merge(A, createOf('f'))
  const { f: ino = 0 } = devices.names()
  index.recordEntry({ log: B, index: 0, lamport: 2, time: at(0), seen: new Map([[A, 1]]) })
  const apply = (number: number, operation: Operation) =>
    applyOperation(index, { log: B, index: 0, number }, operation, { isOpen: () => false })
  apply(0, { type: 'setattr', inode: file, base: file, mode: 0o600, time: at(7) })
  const settings = index.settle()
  t.strictSame([...settings.attributes], [ino])
  t.strictSame([...settings.content], [])
  apply(1, writeOf(file, file, 1))
  t.ok(index.settle().content.has(ino))
  apply(2, renameOf(file, 'g'))
  t.ok(index.settle().attributes.has(1), 'the times of the directory')
})

t.test('what a merge changed of directories shown as one is told by the number shown', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  devices.merge(B, mkdirOf('d'))
  const { d: ino = 0 } = devices.names()
  const before = index.inode(ino)
  const apply = (at: number, operation: Operation): ViewChanges => {
    const seen = new Map(at === 0 ? [] : [[B, 1] as const])
    index.recordEntry({ log: A, index: at, lamport: 1 + at, time: { sec: 0, nsec: 0 }, seen })
    applyOperation(index, { log: A, index: at, number: 0 }, operation, NONE_OPEN)
    return index.settle()
  }
  const early = { log: A, index: 0, number: 0 }
  const joined = apply(0, { ...mkdirOf('d'), time: at(7) } as Operation)
  t.not(index.inode(ino).mtime, before.mtime, 'it has the attributes of the first')
  t.ok(joined.attributes.has(ino), 'the first one joined it')
  const mode = 0o700
  const changed = apply(1, { type: 'setattr', inode: early, base: early, mode, time: at(8) })
  t.equal(index.inode(ino).mode, mode)
  t.ok(changed.attributes.has(ino), 'the first one changed')
  const parted = apply(2, renameOf(early, 'e'))
  t.strictSame(index.inode(ino).mode, before.mode)
  t.ok(parted.attributes.has(ino), 'the first one left it')
})

t.test('a name that somebody gives beats a conflict name, until it goes', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const file = devices.merge(B, createOf('f'))
  devices.merge(A, createOf('f'), NONE)
  const conflict = 'f (conflict, device 2, 1970-01-01 00.01)'
  t.equal(devices.names()[conflict], index.find(file))
  const given = devices.merge(A, createOf(conflict), NONE)
  t.equal(devices.names()[conflict], index.find(given))
  t.equal(devices.names()[`${conflict} 2`], index.find(file))
  devices.merge(A, unlinkOf(given), NONE)
  t.strictSame(Object.keys(devices.names()).toSorted(), ['f', conflict])
  t.equal(devices.names()[conflict], index.find(file))
  checkIndex(index)
})

t.test('a directory that is removed is no part of a union any more', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const kept = devices.merge(B, mkdirOf('d'))
  const removed = devices.merge(A, mkdirOf('d'), NONE)
  const [first, second] = [index.directoryOf(kept) ?? 0, index.directoryOf(removed) ?? 0]
  t.strictSame(index.view.membersOf(first), [second, first])
  devices.merge(A, { type: 'rmdir', parent: ROOT_ID, links: [removed], time: at(9) }, NONE)
  t.strictSame(index.view.membersOf(first), [first])
  t.strictSame(index.view.membersOf(second), [second])
  t.match(index.inode(second), { links: [], children: 0 })
  t.ok(index.view.isPlain)
})
