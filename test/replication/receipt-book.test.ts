/** Receipts as one chain, whatever fails in between. */
import t from 'tap'
import { openReceipt, receiptHash } from '../../src/crypto/receipt.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { NO_PREVIOUS } from '../../src/crypto/statement.ts'
import { ANSWER_RECEIPTS_MAX } from '../../src/replication/custody-message.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import { ReceiptBook, type KeptChange } from '../../src/replication/receipt-book.ts'
import { emptyBitmap, indexesOf, rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { logOf } from '../suites/holder-link-suite.ts'
import { filled } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const log = logOf('a')

function bookOf(store: MemoryKeyValueStore): ReceiptBook {
  return new ReceiptBook({
    records: new KeeperRecords(store),
    logs: { length: () => 5000, treeHash: () => Promise.resolve(filled(32, 9)) },
    identity: filled(32, 1),
    drive: filled(32, 2),
    keyPair: signingKeyPair(filled(32, 3)),
    machine: filled(16, 4),
    clock: new VirtualClock(),
    onlineSec: () => 77
  })
}

/** Keeps a block of `bytes` bytes more, or one less. */
const plus = (index: number, bytes: number, window = 0): KeptChange => ({
  ...{ log, window, added: new Map([[index, bytes]]), removed: emptyBitmap(), isContent: true }
})
const minus = (index: number): KeptChange => ({
  ...{ log, window: 0, added: new Map(), isContent: true },
  removed: rangeBitmap({ window: 0, from: index, to: index + 1 })
})

t.test('record() chains receipts and counts bytes', async t => {
  const store = new MemoryKeyValueStore()
  const book = bookOf(store)
  const all = await Promise.all([
    book.record(plus(3, 10)),
    book.record(plus(1, 20)),
    book.record(plus(1024, 30, 1)),
    book.record(minus(3))
  ])
  const receipts = all.map(bytes => openReceipt(bytes))
  t.same(
    receipts.map(({ sequence, window, bytes, bitmap }) => [
      ...[sequence, window, bytes],
      [...indexesOf({ window, bitmap })]
    ]),
    [
      [1, 0, 10, [3]],
      [2, 0, 30, [1, 3]],
      [3, 1, 30, [1024]],
      [4, 0, 20, [1]]
    ]
  )
  t.same(receipts[0]?.previous, NO_PREVIOUS)
  for (const [at, receipt] of receipts.entries())
    if (at > 0) t.same(receipt.previous, receiptHash(all[at - 1] ?? filled(0, 0)))
  t.match(receipts[3], { onlineSec: 77, length: 5000, treeHash: filled(32, 9) })
  t.same([book.usedBytes, book.sequence], [50, 4])
  t.equal(book.bytesOf({ log, window: 0 }, rangeBitmap({ window: 0, from: 0, to: 2 })), 20)
  t.same((await book.since(0)).receipts, [all[2], all[3]], 'the newest of each window')
  const later = bookOf(store.copy())
  t.same([later.usedBytes, later.sequence], [50, 4], 'after a restart')
  const next = openReceipt(await later.record(minus(1)))
  t.same([next.sequence, next.previous], [5, receiptHash(all[3] ?? filled(0, 0))])
  t.same(
    [...later.windows()].map(({ window }) => window),
    [1, 0]
  )
})

t.test('record() as soon as the one before resolves', async t => {
  const book = bookOf(new MemoryKeyValueStore())
  for (let index = 0; index < 20; index++)
    await Promise.all([book.record(plus(index, 1)), book.record(plus(index, 2))])
  t.equal(book.sequence, 40)
})

t.test('operations are not counted here', async t => {
  const book = bookOf(new MemoryKeyValueStore())
  const receipt = openReceipt(await book.record({ ...plus(0, 10), isContent: false }))
  t.same([receipt.bytes, book.usedBytes], [10, 0])
})

t.test('what was not written was not signed', async t => {
  const store = new MemoryKeyValueStore()
  const book = bookOf(store)
  const first = await book.record(plus(0, 10))
  store.failure = new SyncError('NO_SPACE', 'full')
  await t.rejects(book.record(plus(1, 10)), { code: 'NO_SPACE' })
  t.same([book.usedBytes, book.sequence], [10, 1])
  store.failure = undefined
  const second = openReceipt(await book.record(plus(2, 10)))
  t.same([second.sequence, second.previous], [2, receiptHash(first)])
  t.same([...indexesOf(second)], [0, 2])
})

t.test('a store that was closed under it is an error and nothing more', async t => {
  const store = new MemoryKeyValueStore()
  const book = bookOf(store)
  const recording = book.record(plus(0, 10))
  const closing = store.close()
  await t.rejects(recording, { code: 'CLOSED' })
  await closing
  await t.rejects(book.record(plus(0, 10)), { code: 'CLOSED' })
  await t.rejects(book.record(plus(1, 10)), { code: 'CLOSED' })
  await book.close()
})

t.test('what may not be durable is not handed out', async t => {
  const store = new MemoryKeyValueStore()
  const book = bookOf(store)
  let isBroken = true
  const sync = store.sync.bind(store)
  store.sync = () => (isBroken ? Promise.reject(new SyncError('IO', 'no')) : sync())
  await t.rejects(book.record(plus(0, 10)), { code: 'IO' })
  await t.rejects(book.since(0), { code: 'IO' })
  isBroken = false
  t.equal((await book.since(0)).receipts.length, 1, 'it was written after all')
  t.equal(book.sequence, 1)
  await book.close()
})

t.test('since() gives so many at a time', async t => {
  const book = bookOf(new MemoryKeyValueStore())
  const count = ANSWER_RECEIPTS_MAX + 5
  await Promise.all(
    Array.from({ length: count }, (_, window) => book.record(plus(window * 1024, 1, window)))
  )
  const first = await book.since(0)
  t.same([first.receipts.length, first.isLast], [ANSWER_RECEIPTS_MAX, false])
  const rest = await book.since(ANSWER_RECEIPTS_MAX)
  t.same([rest.receipts.length, rest.isLast], [5, true])
})
