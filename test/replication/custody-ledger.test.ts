/** The ledger of receipts: which is the newest, what counts of it, and how small it is. */
import t from 'tap'
import { copyGroups } from '../../src/replication/copy-groups.ts'
import { CustodyLedger, rowBlocks, validBlocks } from '../../src/replication/custody-ledger.ts'
import type { LedgerRow } from '../../src/replication/custody-ledger.ts'
import {
  countBits,
  isEmptyBitmap,
  rangeBitmap,
  WINDOW_BLOCKS
} from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const LOG = logKey('01'.repeat(32))
const OTHER = logKey('02'.repeat(32))
const [A, B] = ['aa'.repeat(32), 'bb'.repeat(32)]
const range = (from: number, to: number): Uint8Array => rangeBitmap({ window: 0, from, to })

type Receipt = Parameters<CustodyLedger['put']>[0]
function receipt(changes: Partial<Receipt>): Receipt {
  const base = { keeper: A, log: LOG, window: 0, bitmap: range(0, 8), sequence: 1, bytes: 800 }
  return { ...base, sinceMs: 5, ...changes }
}

t.test(
  'put() keeps the newest receipt of each window, since when and what was doubted',
  async t => {
    const ledger = new CustodyLedger()
    t.match(ledger.put(receipt({})), { sequence: 1, sinceMs: 5, provenMs: 0, doubted: undefined })
    t.equal(ledger.put(receipt({ bitmap: range(0, 9) })), undefined, 'no newer')
    ledger.doubt(receipt({}), range(1, 3))
    ledger.prove(receipt({}), 7)
    const row = ledger.put(receipt({ sequence: 4, bitmap: range(2, 10), sinceMs: 9 }))
    t.same(row, { ...row, sequence: 4, sinceMs: 5, provenMs: 7, doubted: range(2, 3) })
    t.same(validBlocks(row as LedgerRow), range(3, 10))
    t.same(rowBlocks(row as LedgerRow), { log: LOG, window: 0, bitmap: range(3, 10) })
    t.equal(ledger.sequenceOf(A), 4)
    t.equal(ledger.sequenceOf(B), 0)
  }
)

t.test('doubt() and trust() change what counts, and say whether they did', async t => {
  const ledger = new CustodyLedger()
  const place = receipt({})
  t.equal(ledger.doubt(place, range(0, 9)), undefined, 'nothing known')
  t.equal(ledger.prove(place, 1), undefined)
  ledger.put(place)
  t.equal(ledger.doubt(place, range(8, 20)), undefined, 'nothing of it')
  t.same(ledger.doubt(place, range(6, 20))?.doubted, range(6, 8))
  t.equal(ledger.doubt(place, range(7, 8)), undefined, 'known already')
  t.same(ledger.totalOf(A), { blocks: 6, bytes: 600 })
  t.equal(ledger.trust(place, range(0, 6)), undefined)
  t.same(ledger.trust(place, range(0, 7))?.doubted, range(7, 8))
  t.equal(ledger.trust(place, range(0, 8))?.doubted, undefined)
  t.same(ledger.totalOf(A), { blocks: 8, bytes: 800 })
})

t.test('remove() and forget() leave the others', async t => {
  const ledger = new CustodyLedger()
  ledger.put(receipt({}))
  ledger.put(receipt({ window: 1 }))
  ledger.put(receipt({ log: OTHER }))
  ledger.put(receipt({ keeper: B }))
  t.equal(ledger.remove(receipt({ window: 1 })), true)
  t.equal(ledger.remove(receipt({ window: 1 })), false)
  t.same(
    [...ledger.windows()],
    [
      { log: LOG, window: 0 },
      { log: OTHER, window: 0 }
    ]
  )
  t.equal(ledger.forget(A).length, 2)
  t.same(
    ledger.rowsAt(LOG, 0).map(({ keeper }) => keeper),
    [B]
  )
  t.same(ledger.rowsAt(OTHER, 0), [])
  t.same([...ledger.windows()], [{ log: LOG, window: 0 }])
  t.same(ledger.totalOf(A), { blocks: 0, bytes: 0 })
})

t.test('1,000,000 blocks with 4 keepers each take far under 200 bytes a block', async t => {
  const blocks = 1_000_000
  const random = new SeededRandom(1)
  const logs = Array.from({ length: 10 }, () =>
    logKey(Buffer.from(random.bytes(32)).toString('hex'))
  )
  const keepers = Array.from({ length: 6 }, () => Buffer.from(random.bytes(32)).toString('hex'))
  const windows = Math.ceil(blocks / WINDOW_BLOCKS / logs.length)
  const usedBytes = (): number => {
    globalThis.gc?.()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = usedBytes()
  const ledger = new CustodyLedger()
  for (const log of logs) {
    for (let window = 0; window < windows; window++) {
      for (let copy = 0; copy < 4; copy++) {
        const keeper = keepers[(window + copy) % keepers.length] ?? A
        const place = receipt({ keeper, log, window, sequence: window + 1 })
        ledger.put({ ...place, bitmap: random.bytes(128) })
        // A tenth of the windows has something in doubt.
        if (window % 10 === 0) ledger.doubt(place, random.bytes(128))
      }
    }
  }
  const perBlock = (usedBytes() - before) / blocks
  t.comment(`${perBlock.toFixed(2)} bytes a block, of ${[...ledger.windows()].length} windows`)
  t.ok(perBlock < 200)
  const groups = copyGroups(
    range(0, 1024),
    ledger.rowsAt(logs[0] ?? LOG, 0).map(row => ({ tag: row.keeper, bitmap: validBlocks(row) }))
  )
  t.equal(
    groups.reduce((sum, { bitmap }) => sum + countBits(bitmap), 0),
    1024
  )
  t.notOk(groups.some(({ bitmap }) => isEmptyBitmap(bitmap)))
})
