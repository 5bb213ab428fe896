/**
 * What is done by those who saw all of a file, or all that concerns it, is done at once: nothing
 * is derived, so that a long history is not read again with each write.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import type { Name, Operation, OperationId } from '../../src/sync/operation.ts'
import { ROOT_ID } from '../../src/sync/operation.ts'
import { checkIndex } from '../support/check-index.ts'
import {
  at,
  createOf,
  DEVICE_LOGS,
  renameOf,
  TwoDeviceIndex,
  unlinkOf,
  writeOf
} from '../support/two-device-index.ts'

const [A, B] = DEVICE_LOGS

/** Counts how often a family's history is read. */
function countReads({ index }: TwoDeviceIndex): () => number {
  let reads = 0
  const { history } = index
  const eventsOf = history.eventsOf.bind(history)
  history.eventsOf = (family, last) => {
    reads++
    return eventsOf(family, last)
  }
  return () => reads
}

t.test('one device never reads a history', async t => {
  const devices = await TwoDeviceIndex.create()
  const reads = countReads(devices)
  const file = devices.execute(createOf('f'))
  const other = devices.execute(createOf('g'))
  const name = 'h' as Name
  const link = { type: 'link', inode: file, through: file, parent: ROOT_ID, name, time: at(1) }
  const linked = devices.execute(link as Operation)
  const version = devices.execute(writeOf(file, file, 1))
  devices.execute({ type: 'setattr', inode: file, base: version, mode: 0o600, time: at(5) })
  devices.execute(renameOf(linked, 'i'))
  devices.execute({
    ...{ type: 'exchange', links: [file], others: [other], time: at(6) },
    ...{ first: { parent: ROOT_ID, name: 'f' as Name } },
    ...{ second: { parent: ROOT_ID, name: 'g' as Name } }
  })
  devices.execute(unlinkOf(linked))
  devices.execute(unlinkOf(file))
  t.equal(reads(), 0)
  t.strictSame(Object.keys(devices.names()), ['f'])
  checkIndex(devices.index)
})

t.test('two branches that go on side by side are derived once', async t => {
  const devices = await TwoDeviceIndex.create()
  const file = devices.merge(A, createOf('f'))
  const tips: OperationId[] = [file, file]
  const lengths = new Map([[A, 1]])
  devices.merge(A, writeOf(file, file, 1))
  tips[0] = devices.merge(A, writeOf(file, { log: A, index: 1, number: 0 }, 2))
  tips[1] = devices.merge(B, writeOf(file, file, 3), lengths)
  const reads = countReads(devices)
  for (let value = 10; value < 30; value++) {
    const [own, late] = tips
    assert.ok(own && late)
    tips[0] = devices.merge(A, writeOf(file, own, value), new Map())
    tips[1] = devices.merge(B, writeOf(file, late, value + 100), lengths)
  }
  t.equal(reads(), 0)
  const names = devices.names()
  t.strictSame(devices.bytes(names['f'] ?? 0), [29, 29, 29])
  const { f: _f, ...others } = names
  t.strictSame(devices.bytes(Object.values(others)[0] ?? 0), [129, 129, 129])
  checkIndex(devices.index)

  // A removal of what it saw concerns the branch as well: the next write is a late one.
  devices.merge(A, unlinkOf(file), new Map())
  const [, late = file] = tips
  devices.merge(B, writeOf(file, late, 77), lengths)
  t.ok(reads() > 0)
  checkIndex(devices.index)
})
