/** Learning what keepers have: all at first, then what is new, and all again when they start anew. */
import assert from 'node:assert/strict'
import t from 'tap'
import { AFTER_REFUSAL_MS, ReceiptReader } from '../../src/replication/receipt-reader.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { CONTENT } from '../support/custody-world.ts'
import { plannedBook } from '../support/planned-book.ts'
import type { PlannedBook } from '../support/planned-book.ts'
import type { SimulatedKeeper, SimulatedLink } from '../support/simulated-keeper.ts'

const MINUTE = 60_000
const range = (from: number, to: number): Uint8Array => rangeBitmap({ window: 0, from, to })

function setUp(): PlannedBook & {
  readonly keeper: SimulatedKeeper
  readonly reader: ReceiptReader
  readonly link: SimulatedLink
  readonly ready: string[]
} {
  const set = plannedBook(1)
  const [keeper] = set.keepers
  assert(keeper)
  const ready: string[] = []
  const reader = new ReceiptReader({
    ...set.parts,
    book: set.book,
    onReady: ({ info }) => ready.push(info.id)
  })
  const link = keeper.connect({ serve: () => undefined })
  set.book.roster.connected(link)
  return { ...set, keeper, reader, link, ready }
}
const sign = (keeper: SimulatedKeeper, window: number, to: number) =>
  keeper.sign({ log: CONTENT, window, bitmap: range(0, to) })

t.test('all receipts are read when a keeper connects, and later the new ones', async t => {
  const { world, book, keeper, reader, link, ready, entry } = setUp()
  for (let window = 0; window < 5; window++) sign(keeper, window, 8)
  reader.follow(link)
  await world.run(1)
  t.same(ready, [keeper.id])
  t.equal(entry(keeper).isReady, true)
  t.equal(entry(keeper).usage?.sequence, 5)
  t.equal(book.totalOf(keeper.id).blocks, 40)
  sign(keeper, 1, 3)
  sign(keeper, 9, 9)
  await world.run(MINUTE)
  t.equal(book.totalOf(keeper.id).blocks, 44, 'one shrank, one is new')
  t.equal(entry(keeper).synced, 7)
  reader.leave(link)
  sign(keeper, 9, 20)
  await world.run(10 * MINUTE)
  t.equal(book.totalOf(keeper.id).blocks, 44)
  await reader.close()
})

t.test('receipts that another device caused are read though newer ones are known', async t => {
  const { world, book, keeper, reader, link, entry } = setUp()
  reader.follow(link)
  await world.run(1)
  sign(keeper, 0, 8)
  book.takeReceipt(entry(keeper), sign(keeper, 1, 8))
  t.equal(entry(keeper).synced, 0)
  await world.run(MINUTE)
  t.equal(book.totalOf(keeper.id).blocks, 16)
  t.equal(entry(keeper).synced, 2)
})

t.test('a keeper that lost its records has only what it says from now on', async t => {
  const { world, book, keeper, reader, link } = setUp()
  for (let window = 0; window < 5; window++) sign(keeper, window, 8)
  reader.follow(link)
  await world.run(1)
  keeper.loseEverything()
  sign(keeper, 1, 5)
  await world.run(MINUTE)
  t.equal(book.totalOf(keeper.id).blocks, 5)
  t.same([...book.ledger.windows()], [{ log: CONTENT, window: 1 }])
})

t.test('a keeper that does not answer is asked again', async t => {
  const { world, keeper, reader, link, ready, entry } = setUp()
  keeper.faults.stalls = true
  reader.follow(link)
  await world.run(31_000)
  t.same(ready, [])
  t.equal(entry(keeper).refusal, 'NO_ANSWER')
  keeper.faults.stalls = false
  await world.run(MINUTE)
  t.same(ready, [keeper.id])
  reader.follow(link, AFTER_REFUSAL_MS)
  link.close()
  await world.run(10 * MINUTE)
  t.same(ready, [keeper.id], 'a closed connection is left')
})
