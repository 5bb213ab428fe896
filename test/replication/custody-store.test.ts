/** Custody on disk: what is read back, what is dropped when damaged, in order and all or none. */
import assert from 'node:assert/strict'
import t from 'tap'
import type { LedgerRow } from '../../src/replication/custody-ledger.ts'
import {
  CustodyStore,
  KEPT_RECEIPT_BYTES_MAX,
  KEPT_RELEASE_BYTES_MAX
} from '../../src/replication/custody-store.ts'
import type { KeeperRecord } from '../../src/replication/custody-store.ts'
import { newStanding } from '../../src/replication/keeper-standing.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { filled, flipped } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const LOG = logKey('01'.repeat(32))
const KEEPER = 'ab'.repeat(32)
const EVERYTHING = { from: Uint8Array.of(0), to: Uint8Array.of(0xff) }

const row: LedgerRow = {
  ...{ keeper: KEEPER, log: LOG, window: 2 ** 32 - 1, sequence: 7, bytes: 2 ** 40 },
  bitmap: rangeBitmap({ window: 0, from: 3, to: 700 }),
  doubted: rangeBitmap({ window: 0, from: 5, to: 6 }),
  sinceMs: 1_790_000_000_000,
  provenMs: 1_790_000_000_001
}
const keeper: KeeperRecord = {
  standing: { ...newStanding(1_790_000_000_000), presence: 0.25, failures: 1.5, failedMs: 3 },
  machineTag: 'cd'.repeat(16),
  synced: 12,
  sweep: { startedMs: 5, asked: 6, next: `${LOG}/7/8` }
}
const release = { keeper: KEEPER, hash: 'ee'.repeat(32), sentMs: 9, statement: filled(300, 4) }

t.test('load() gives back what was put', async t => {
  const rows = new MemoryKeyValueStore()
  const store = new CustodyStore(rows)
  t.equal(store.isDirty, false)
  store.putReceipt({ ...row, sequence: 6 }, filled(500, 1))
  store.putReceipt(row, filled(500, 2))
  store.putReceipt({ ...row, window: 0, doubted: undefined }, filled(400, 3))
  store.putKeeper(KEEPER, keeper)
  store.putRelease(release)
  t.equal(store.isDirty, true)
  t.same(store.receiptOf(row), filled(500, 2), 'before it is written')
  await store.flush()
  t.equal(store.isDirty, false)

  const again = new CustodyStore(rows)
  const { rows: read, keepers, releases, damaged } = again.load()
  t.same(read, [{ ...row, window: 0, doubted: undefined }, row])
  t.same([...keepers], [[KEEPER, keeper]])
  t.same(releases, [release])
  t.equal(damaged.size, 0)
  t.same(again.receiptOf(row), filled(500, 2))
  t.equal(again.receiptOf({ ...row, window: 1 }), undefined)

  again.putReceipt({ ...row, doubted: undefined })
  t.same(again.receiptOf(row), filled(500, 2), 'a change of state keeps the receipt')
  again.removeReceipt(row)
  t.equal(again.receiptOf(row), undefined)
  again.removeReceipt({ ...row, window: 0 })
  again.removeKeeper(KEEPER)
  again.removeRelease(release)
  await again.flush()
  t.same([...rows.range(EVERYTHING)], [])
  t.throws(() => again.putReceipt(row, filled(KEPT_RECEIPT_BYTES_MAX + 1, 1)), RangeError)
  t.throws(
    () => again.putRelease({ ...release, statement: filled(KEPT_RELEASE_BYTES_MAX + 1, 1) }),
    RangeError
  )
})

t.test('a failed flush keeps what was to be written, and newer changes win', async t => {
  const rows = new MemoryKeyValueStore()
  const store = new CustodyStore(rows)
  store.putReceipt(row, filled(9, 1))
  rows.failure = new SyncError('NO_SPACE', 'full')
  const failed = store.flush()
  await t.rejects(failed, { code: 'NO_SPACE' })
  store.putReceipt({ ...row, sequence: 8 }, filled(9, 2))
  rows.failure = undefined
  await Promise.all([store.flush(), store.flush()])
  t.same(new CustodyStore(rows).load().rows, [{ ...row, sequence: 8 }])
})

t.test('load() drops every damaged row and names its keeper', async t => {
  const rows = new MemoryKeyValueStore()
  const store = new CustodyStore(rows)
  store.putReceipt(row, filled(300, 2))
  store.putKeeper(KEEPER, keeper)
  store.putRelease(release)
  await store.flush()
  const random = new SeededRandom(Number(process.env['GROVE_SEED'] ?? 1))
  const whole = [...rows.range(EVERYTHING)]
  for (const [key, value] of whole) {
    for (let round = 0; round < 200; round++) {
      const isCut = round % 2 === 0
      const bad = isCut
        ? value.slice(0, random.integer(value.length))
        : flipped(value, random.integer(value.length), 1 << random.integer(8))
      const copy = rows.copy()
      await copy.commit([[key, bad]])
      const opened = new CustodyStore(copy)
      const { rows: read, keepers, releases, damaged } = opened.load()
      if (read.length + keepers.size + releases.length !== 2 || !damaged.has(KEEPER)) t.fail('kept')
      await opened.flush()
      if ([...copy.range(EVERYTHING)].length !== 2) t.fail('not removed')
    }
  }
  const [first] = whole
  assert(first)
  await rows.commit([
    [Uint8Array.of(9, 9), filled(4, 4)],
    [flipped(first[0], 40), first[1]]
  ])
  const opened = new CustodyStore(rows)
  t.equal(opened.load().rows.length, 1, 'a row under a foreign key, and one of no table')
  t.equal(opened.receiptOf({ ...row, keeper: 'ee'.repeat(32) }), undefined)
})
