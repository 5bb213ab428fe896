/** What is counted for a person. */
import t from 'tap'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import {
  ENTRIES_COUNTED_MAX,
  KeeperSpace,
  UNLIMITED_BYTES
} from '../../src/replication/keeper-space.ts'
import { ReceiptBook } from '../../src/replication/receipt-book.ts'
import { blocksOf, logOf, makeBlocks, SUITE_BLOCK_BYTES } from '../suites/holder-link-suite.ts'
import { filled } from '../support/bytes.ts'
import { MemoryKeptLogs, MemorySource } from '../support/memory-kept-logs.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const log = logOf('b')
const identity = filled(32, 1)

function open(
  store = new MemoryKeyValueStore(),
  quotaBytes = 1000 * SUITE_BLOCK_BYTES,
  freeForAll: () => number = () => Number.MAX_SAFE_INTEGER
): { readonly space: KeeperSpace; readonly logs: MemoryKeptLogs } {
  const source = new MemorySource()
  source.add(log, makeBlocks(ENTRIES_COUNTED_MAX + 10), 'operation')
  const records = new KeeperRecords(store)
  const logs = new MemoryKeptLogs(source)
  const book = new ReceiptBook({
    ...{ records, logs, identity, drive: filled(32, 2), machine: filled(16, 3) },
    ...{ keyPair: signingKeyPair(filled(32, 4)), clock: new VirtualClock(), onlineSec: () => 0 }
  })
  const parts = { records, logs, book, identity, freeForAll }
  return { space: new KeeperSpace(parts, quotaBytes), logs }
}

t.test('reserve() and release() are exact', async t => {
  const { space } = open()
  const all = space.freeBytes
  t.notOk(space.reserve(all + 1))
  t.ok(space.reserve(all))
  t.notOk(space.reserve(1))
  t.ok(space.reserve(0))
  space.release(10)
  t.same([space.freeBytes, space.usedBytes], [10, 0])
  space.quotaBytes = 5
  t.equal(space.freeBytes, 0, 'never negative')
})

t.test('nobody gets more than there is for everybody', async t => {
  let free = 100
  const { space } = open(undefined, 1000, () => free)
  t.equal(space.freeBytes, 100)
  t.notOk(space.reserve(101))
  t.ok(space.reserve(60))
  t.equal(space.takenBytes, 60)
  free = 40
  t.equal(space.freeBytes, 40)
  t.notOk(space.admitsOperation(41))
  free = 5000
  t.equal(space.freeBytes, 940, 'nor more than the quota')
})

t.test('operations count once they have arrived, so many at a time', async t => {
  const store = new MemoryKeyValueStore()
  const { space, logs } = open(store)
  await logs.arrived(log, 10, { idleMs: 1 })
  await space.countOperations()
  await space.countOperations()
  t.equal(space.usedBytes, 10 * SUITE_BLOCK_BYTES)
  await logs.arrived(log, ENTRIES_COUNTED_MAX + 10, { idleMs: 1 })
  await space.countOperations()
  t.equal(space.usedBytes, (ENTRIES_COUNTED_MAX + 10) * SUITE_BLOCK_BYTES)
  t.equal(open(store).space.usedBytes, space.usedBytes, 'after a restart')
})

t.test('operations are admitted up to the quota', async t => {
  const { space, logs } = open(undefined, 3 * SUITE_BLOCK_BYTES)
  for (let count = 0; count < 3; count++) t.ok(space.admitsOperation(SUITE_BLOCK_BYTES))
  t.notOk(space.admitsOperation(1))
  await logs.bring(blocksOf(log, 0, 2), { idleMs: 1 })
  await space.countOperations()
  t.same([space.usedBytes, space.freeBytes], [2 * SUITE_BLOCK_BYTES, 0], 'one is on its way')
  space.forgetAdmitted()
  t.equal(space.freeBytes, SUITE_BLOCK_BYTES, 'it never came')
})

t.test('without a quota operations are not read to be counted', async t => {
  const { space, logs } = open(undefined, UNLIMITED_BYTES)
  await logs.arrived(log, 10, { idleMs: 1 })
  logs.failAfter = 0
  await space.countOperations()
  t.equal(space.usedBytes, 0)
})
