/** What is known of copies: which receipts are taken, what counts, what is touched. */
import assert from 'node:assert/strict'
import t from 'tap'
import { CustodyBook } from '../../src/replication/custody-book.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { CONTENT, OPERATIONS } from '../support/custody-world.ts'
import { plannedBook } from '../support/planned-book.ts'

const range = (from: number, to: number): Uint8Array => rangeBitmap({ window: 0, from, to })
const place = { log: CONTENT, window: 0 }
const redundancy = { copies: 2, floor: 1, sites: 1 }

t.test('takeReceipt() takes only receipts of this keeper for this person and drive', async t => {
  const { book, keepers, entry } = plannedBook(2)
  const [left, right] = keepers
  assert(left && right)
  const receipt = left.sign({ ...place, bitmap: range(0, 4) })
  const touched: number[] = []
  book.onTouch = ({ window }) => touched.push(window)
  for (const bad of [
    { ...receipt, identity: new Uint8Array(32) },
    { ...receipt, drive: new Uint8Array(32) },
    { ...receipt, signer: new Uint8Array(32) }
  ])
    t.equal(book.takeReceipt(entry(left), bad), false)
  t.equal(book.takeReceipt(entry(right), receipt), false)
  t.same(touched, [])
  t.equal(book.takeReceipt(entry(left), receipt), true)
  t.ok(touched.length > 0)
  t.equal(entry(left).synced, 1)
  t.same(book.validAt({ keeper: left.id, ...place }), range(0, 4))
})

t.test('doubts last until the blocks are kept anew', async t => {
  const { book, keepers, entry, receive, store } = plannedBook(1)
  const [keeper] = keepers
  assert(keeper)
  const kept = { keeper: keeper.id, ...place }
  receive(keeper, 0, 8)
  t.equal(book.doubt(kept, range(2, 4)), true)
  t.equal(book.doubt(kept, range(2, 4)), false)
  receive(keeper, 0, 9)
  t.equal(book.totalOf(keeper.id).blocks, 7)
  const receipt = keeper.sign({ ...place, bitmap: range(0, 9) })
  book.takeReceipt(entry(keeper), receipt, { held: range(2, 3) })
  t.equal(book.totalOf(keeper.id).blocks, 8)
  book.prove(kept)
  await store.flush()
  const [row] = store.load().rows
  t.match(row, { sequence: 3, doubted: range(3, 4) })
  t.ok((row?.provenMs ?? 0) > 0)

  // It lost its records and counts anew: a lower number is newer.
  keeper.sequence = 0
  const anew = keeper.sign({ ...place, bitmap: range(0, 5) })
  t.equal(book.takeReceipt(entry(keeper), anew, { isAnew: true }), true)
  t.same(
    book.validAt(kept),
    range(0, 3).map((byte, at) => byte | (range(4, 5)[at] ?? 0))
  )
})

t.test('a book opened again knows what the store has, of keepers only', async t => {
  const { world, parts, book, keepers, receive, store } = plannedBook(2)
  const [left, right] = keepers
  assert(left && right)
  receive(left, 0, 8)
  receive(right, 0, 8)
  await store.flush()
  world.infos.delete(right.id)
  const again = new CustodyBook(parts, { ...store.load(), damaged: new Set([left.id]) })
  t.same([...again.ledger.rowsOf(left.id)].length, 1)
  t.same([...again.ledger.rowsOf(right.id)], [])
  t.equal(again.roster.get(left.id)?.synced, 0, 'a damaged row: everything is asked for again')
  book.forgetOthers(left.id, () => false)
  book.forget(right.id)
  t.same([...book.ledger.windows()], [])
  await store.flush()
  t.same(store.load().rows, [])
})

t.test('assess() counts what is here, what receipts say and what is coming', async t => {
  const { world, book, keepers, receive, parts } = plannedBook(2)
  const [left, right] = keepers
  assert(left && right)
  book.needs.setContent([{ ...place, bitmap: range(0, 4), redundancy, bytes: 400 }])
  receive(left, 0, 4)
  t.match(book.assess(place), [{ copies: 1, missing: 1 }])
  t.match(book.assessLacking(place, [{ tag: right.id, bitmap: range(0, 2) }]), [
    { copies: 1, missing: 1, bitmap: range(2, 4), bytes: 200 }
  ])
  t.equal(book.ownAt(place), undefined, 'what is here and may go does not count')
  const own = { ...parts.own, counts: true, stored: () => range(0, 4) }
  const owning = new CustodyBook(
    { ...parts, own },
    { rows: [], keepers: new Map(), releases: [], damaged: new Set() }
  )
  owning.needs.setContent([{ ...place, bitmap: range(0, 4), redundancy, bytes: 400 }])
  t.match(owning.assess(place), [{ copies: 1 }])
  book.needs.setOperations(new Map([[OPERATIONS, 7]]))
  t.same(book.ownAt({ log: OPERATIONS, window: 0 }), range(0, 7))
  t.same(book.assess({ log: CONTENT, window: 9 }), [])
  let touched = 0
  book.onTouch = () => touched++
  book.touchKeeper(left.id)
  t.equal(touched, 1)
  t.equal(world.keepers.size, 2)
})
