/** A family has a row of its own only when its inode cannot say it all. */
import assert from 'node:assert/strict'
import t from 'tap'
import { advanced } from '../../src/sync/file-families.ts'
import { checkIndex } from '../support/check-index.ts'
import {
  createOf,
  DEVICE_LOGS,
  TwoDeviceIndex,
  unlinkOf,
  writeOf
} from '../support/two-device-index.ts'

const [A, B, C] = DEVICE_LOGS

t.test('a file that one after another changes has its family in its inode', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const file = devices.merge(A, createOf('f'))
  const version = devices.merge(B, writeOf(file, file, 1))
  const { f: ino = 0 } = devices.names()
  t.strictSame(index.record(ino).family, { number: ino, last: version, frontier: [] })
  t.match(index.families.get(ino), { frontier: [version], isSingle: true, isRegular: true })
  t.equal(index.families.get(ino + 1), undefined)

  // A conflict, which somebody then resolves.
  const late = devices.merge(C, writeOf(file, file, 2), new Map([[A, 1]]))
  const family = index.families.get(ino) ?? assert.fail()
  t.match(family, { isSingle: false, last: late })
  t.equal(family.inos.length, 2)
  t.equal(family.frontier.length, 2)
  const branch = index.find(late) ?? 0
  t.strictSame(index.record(branch).family?.number, ino)
  devices.merge(A, unlinkOf(late))
  t.strictSame(index.families.get(ino)?.inos, [ino])
  checkIndex(index)

  devices.merge(A, unlinkOf(file))
  t.match(index.families.get(ino), { inos: [], isSingle: false, isRegular: true }, 'a tombstone')
  checkIndex(index)
})

t.test('an inode that is no more leaves its family', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const file = devices.merge(A, createOf('f'))
  const { f: ino = 0 } = devices.names()
  devices.open.add(ino)
  devices.merge(B, unlinkOf(file))
  t.strictSame(index.families.get(ino)?.inos, [ino], 'it is open')
  index.families.dropInode(index.record(ino))
  t.strictSame(index.families.get(ino)?.inos, [])
})

t.test('the frontier drops what an operation saw', async t => {
  const [first, second, third] = [0, 1, 2].map(index => ({ log: A, index, number: 0 }))
  assert.ok(first && second && third)
  const causality = { saw: (_: unknown, earlier: unknown) => earlier === first, compare: () => 0 }
  t.strictSame(advanced([first, second], third, causality), [second, third])
})
