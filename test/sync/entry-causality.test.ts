/** Who saw what, and what comes first, is what the oracle's entries say, also after a restart. */
import assert from 'node:assert/strict'
import t from 'tap'
import { RowSealer } from '../../src/crypto/row-sealer.ts'
import { EntryCausality } from '../../src/sync/entry-causality.ts'
import { logKey } from '../../src/sync/log.ts'
import { LogNumbers } from '../../src/sync/log-numbers.ts'
import { ROOT_ID } from '../../src/sync/operation.ts'
import { TableSet } from '../../src/sync/table.ts'
import { filled } from '../support/bytes.ts'
import { entriesOf, mergeHistory } from '../support/merge-history.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { compareOperations, deliver, saw } from '../support/model-entry.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const RUNS = 40
const [A, B, C] = [logKey('a1'.repeat(32)), logKey('b1'.repeat(32)), logKey('c1'.repeat(32))]
const TIME = { sec: 5, nsec: 6 }
const sealer = new RowSealer({ key: filled(32, 3), random: new SeededRandom(2) })

function open(logs: Iterable<ReturnType<typeof logKey>>, store = new MemoryKeyValueStore()) {
  const numbers = new LogNumbers()
  for (const log of logs) numbers.add(log)
  const tables = new TableSet({ store, sealer })
  return { tables, store, causality: new EntryCausality(tables, numbers) }
}

t.test(`it answers as the oracle does (${RUNS} histories)`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = new SeededRandom(seed)
    const entries = entriesOf(mergeHistory({ random, deviceCount: 3, steps: 20 }))
    const operations = deliver(entries)
    const logs = new Set(entries.map(({ log }) => log))
    const parts = open(logs)
    for (const { entry, seen } of operations) parts.causality.record({ ...entry, seen })
    parts.tables.freeze()
    await parts.tables.write()
    for (const { causality } of [parts, open(logs, parts.store)]) {
      const pairs = operations.flatMap(left => operations.map(right => [left, right] as const))
      for (const [left, right] of pairs.filter(([left, right]) => left !== right)) {
        assert.equal(causality.saw(left.id, right.id), saw(left, right))
        const order = causality.compare(left.id, right.id)
        assert.equal(Math.sign(order), Math.sign(compareOperations(left, right)))
      }
    }
  }
})

t.test('the open entry has seen all that was recorded and keeps its lamport', async t => {
  const { causality } = open([A, B, C])
  causality.record({ log: B, index: 0, lamport: 7, time: TIME, seen: new Map() })
  causality.open(A, 0, { sec: 1, nsec: 0 })
  causality.open(A, 0, { sec: 2, nsec: 0 })
  const own = { log: A, index: 0, number: 3 }
  t.ok(causality.isOpen(own))
  t.ok(causality.knows(own))
  t.equal(causality.lamportOf(own), 8)
  t.equal(causality.highestLamport, 8)
  t.ok(causality.saw(own, { log: B, index: 0, number: 9 }))
  t.notOk(causality.saw(own, { log: B, index: 1, number: 0 }))
  t.ok(causality.saw(own, ROOT_ID), 'the root comes before all')
  t.ok(causality.compare(ROOT_ID, own) < 0)

  const sealed = { log: A, index: 0, lamport: 8, time: TIME, seen: new Map([[B, 1]]) }
  t.ok(causality.record(sealed), 'its time changed')
  t.notOk(causality.isOpen(own))
  t.strictSame(causality.timeOf(own), TIME)
  t.notOk(causality.record(sealed), 'nothing changed')
  t.strictSame(causality.entry(A, 0), sealed)
  t.equal(causality.entry(C, 0), undefined)
  t.notOk(causality.knows({ log: C, index: 0, number: 0 }))
  t.throws(() => causality.timeOf({ log: C, index: 0, number: 0 }), { code: 'DAMAGED' })
})

t.test('what was written is taken up again', async t => {
  const parts = open([A, B])
  parts.causality.record({ log: B, index: 0, lamport: 4, time: TIME, seen: new Map() })
  parts.tables.freeze()
  await parts.tables.write()
  const { causality } = open([A, B], parts.store)
  causality.resume({ highestLamport: 4, heads: [[B, 1]] })
  causality.open(A, 0, TIME)
  t.strictSame(causality.entry(A, 0), {
    ...{ log: A, index: 0, lamport: 5, time: TIME },
    seen: new Map([[B, 1]])
  })
})
