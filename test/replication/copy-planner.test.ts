/** Whom to ask for what: pieces, urgency, devices, operations, doubts. */
import assert from 'node:assert/strict'
import t from 'tap'
import { CopyPlanner, moreUrgent } from '../../src/replication/copy-planner.ts'
import type { UnderWay } from '../../src/replication/copy-planner.ts'
import { countBits, emptyBitmap, rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { CONTENT, OPERATIONS } from '../support/custody-world.ts'
import { plannedBook } from '../support/planned-book.ts'
import type { PlannedBook } from '../support/planned-book.ts'

const range = (from: number, to: number): Uint8Array => rangeBitmap({ window: 0, from, to })
const place = { log: CONTENT, window: 0 }
const NOTHING: UnderWay = { coming: [], isLeftAlone: () => false }

function plannerOf({ world, book }: PlannedBook, settled: Uint8Array = emptyBitmap()): CopyPlanner {
  return new CopyPlanner({
    ...{ book, clock: world.clock, shareMax: () => 0.6 },
    comingBytes: () => 0,
    settled: () => settled
  })
}
const need = (bitmap: Uint8Array, copies: number, floor: number) => ({
  ...{ ...place, bitmap, bytes: countBits(bitmap) * 100 },
  redundancy: { copies, floor, sites: 1 }
})

t.test('plan() asks for missing copies in pieces, as urgent as they are', async t => {
  const set = plannedBook(4)
  const planner = plannerOf(set)
  set.book.needs.setContent([need(range(0, 300), 3, 2)])
  const { orders, urgency, complete } = planner.plan(place, NOTHING)
  t.equal(urgency, 'floor')
  t.same(complete, range(0, 0))
  t.equal(orders.length, 6, 'two pieces on three keepers each')
  t.same(
    orders.map(order => countBits(order.bitmap)).sort((a, b) => a - b),
    [44, 44, 44, 256, 256, 256]
  )
  t.ok(orders.every(order => order.bytes === countBits(order.bitmap) * 100 && !order.isRepair))
  const coming = orders.map(({ keeper, bitmap }) => ({ tag: keeper, bitmap }))
  const then = planner.plan(place, { ...NOTHING, coming })
  t.match(then, { orders: [], urgency: undefined, complete: range(0, 300) })
  const some = planner.plan(place, { ...NOTHING, coming: coming.slice(0, 5) })
  t.equal(some.urgency, 'wish')
  t.equal(some.orders.length, 1)
  t.equal(planner.plan({ log: CONTENT, window: 5 }, NOTHING).urgency, undefined)
})

t.test('who refused the window is passed over, and who is left may be too few', async t => {
  const set = plannedBook(3)
  set.book.needs.setContent([need(range(0, 10), 3, 1)])
  const [left] = set.keepers
  const plan = plannerOf(set).plan(place, { ...NOTHING, isLeftAlone: id => id === left?.id })
  t.equal(plan.orders.length, 2)
  t.notOk(plan.orders.some(({ keeper }) => keeper === left?.id))
})

t.test('what is neither here nor with anybody connected waits', async t => {
  const stored = { here: range(0, 3) }
  const own = { ...plannedBook(0).parts.own, stored: () => stored.here }
  const set = plannedBook(2, { own })
  const [left] = set.keepers
  assert(left)
  set.book.needs.setContent([need(range(0, 10), 2, 2)])
  t.same(plannerOf(set).plan(place, NOTHING).orders[0]?.bitmap, range(0, 3))
  stored.here = emptyBitmap()
  t.match(plannerOf(set).plan(place, NOTHING), { orders: [], urgency: 'floor' })
  set.receive(left, 5, 8)
  t.same(plannerOf(set).plan(place, NOTHING).orders[0]?.bitmap, range(5, 8))
  const { link } = set.entry(left)
  assert(link)
  set.book.roster.disconnected(link)
  t.match(plannerOf(set).plan(place, NOTHING), { orders: [], urgency: 'floor' })
})

t.test('what had its copies once is repair', async t => {
  const set = plannedBook(1)
  set.book.needs.setContent([need(range(0, 10), 1, 1)])
  t.match(plannerOf(set, range(5, 6)).plan(place, NOTHING).orders, [{ isRepair: true }])
})

t.test('who could not prove blocks gets them again only for want of others', async t => {
  const set = plannedBook(2)
  const [left, right] = set.keepers
  assert(left && right)
  set.book.needs.setContent([need(range(0, 10), 1, 1)])
  set.receive(left, 0, 10)
  set.book.doubt({ keeper: left.id, ...place }, range(0, 10))
  t.match(plannerOf(set).plan(place, NOTHING).orders, [{ keeper: right.id }])
  set.entry(right).isReady = false
  t.match(plannerOf(set).plan(place, NOTHING).orders, [{ keeper: left.id }])
})

t.test("the person's devices have all content anyway", async t => {
  const set = plannedBook(2, {}, { kind: 'device' })
  set.book.needs.setContent([need(range(0, 10), 1, 1)])
  const { orders, urgency } = plannerOf(set).plan(place, NOTHING)
  t.match(orders, [{ urgency: 'devices' }, { urgency: 'devices' }])
  t.equal(urgency, 'devices')
  t.same(plannerOf(set).candidates(), [], 'and are not chosen')
})

t.test('every holder gets all operations, devices follow them anyway', async t => {
  const set = plannedBook(2)
  const [left, right] = set.keepers
  assert(left && right)
  set.book.needs.setOperations(new Map([[OPERATIONS, 20]]))
  const operations = { log: OPERATIONS, window: 0 }
  const { orders, urgency } = plannerOf(set).plan(operations, NOTHING)
  t.equal(urgency, 'operations')
  t.same(
    orders.map(({ bitmap }) => bitmap),
    [range(0, 20), range(0, 20)]
  )
  const coming = [{ tag: left.id, bitmap: range(0, 15) }]
  t.same(plannerOf(set).plan(operations, { ...NOTHING, coming }).orders[0]?.bitmap, range(15, 20))
  set.entry(right).isReady = false
  t.equal(plannerOf(set).plan(operations, NOTHING).orders.length, 1)
  const devices = plannedBook(1, {}, { kind: 'device' })
  devices.book.needs.setOperations(new Map([[OPERATIONS, 20]]))
  t.match(plannerOf(devices).plan(operations, NOTHING), { orders: [], urgency: undefined })
})

t.test('moreUrgent() puts operations before floors, and floors before wishes', async t => {
  t.equal(moreUrgent(undefined, 'sites'), 'sites')
  t.equal(moreUrgent('wish', 'floor'), 'floor')
  t.equal(moreUrgent('operations', 'floor'), 'operations')
})
