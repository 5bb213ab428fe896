/** How a drive is kept, in words: copies with operations, what survives, who keeps. */
import assert from 'node:assert/strict'
import t from 'tap'
import { CopyPlanner } from '../../src/replication/copy-planner.ts'
import {
  CustodyReport,
  OPERATIONS_SETTLE_MS,
  WEAKEST_BLOCKS_MAX
} from '../../src/replication/custody-report.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { COPIES_MAX } from '../../src/sync/redundancy.ts'
import { CONTENT, OPERATIONS } from '../support/custody-world.ts'
import { plannedBook } from '../support/planned-book.ts'

const level = (copies: number, floor: number, sites = 1) => ({ copies, floor, sites })
const range = (from: number, to: number): Uint8Array => rangeBitmap({ window: 0, from, to })
const need = (window: number, copies: number) => ({
  log: CONTENT,
  window,
  bitmap: range(0, 10),
  bytes: 1000,
  redundancy: level(copies, 1)
})

function setUp(keepers: number, isAuthorAround = false) {
  const set = plannedBook(keepers, { isAuthorAround: () => isAuthorAround })
  const { world, book, parts } = set
  const planner = new CopyPlanner({
    book,
    clock: world.clock,
    shareMax: () => 1,
    comingBytes: () => 0,
    settled: () => undefined
  })
  const report = new CustodyReport({ ...parts, book, planner })
  book.onTouch = place => report.touched(place)
  return { ...set, report }
}
const block = (index: number) => ({ log: CONTENT, index })

t.test(
  'copiesOf() takes operations in: settled ones for files with blocks, all for those without',
  async t => {
    const { world, book, report, receive, keepers, entry } = setUp(2)
    const [left, right] = keepers
    assert(left && right)
    t.match(
      report.copiesOf([], level(2, 1)),
      { copies: COPIES_MAX, health: 'ok', holders: ['this device'] },
      'nothing to lose'
    )
    receive(left, 0, 10)
    receive(right, 0, 5)
    t.match(report.copiesOf([block(1), block(7)], level(2, 1)), {
      copies: 1,
      health: 'repairing',
      holders: ['keeper 1']
    })
    t.match(report.copiesOf([block(1)], level(2, 1)), {
      copies: 2,
      health: 'ok',
      holders: ['keeper 1', 'keeper 2']
    })
    t.match(report.copiesOf([block(1)], level(2, 1, 2)), { health: 'repairing' }, 'sites')

    const grow = (length: number): void => {
      for (const place of book.needs.setOperations(new Map([[OPERATIONS, length]])))
        report.touched(place)
      report.operationsGrew()
    }
    const keep = (length: number): void => {
      for (const keeper of keepers)
        book.takeReceipt(
          entry(keeper),
          keeper.sign({ log: OPERATIONS, window: 0, bitmap: range(0, length) })
        )
    }
    grow(5)
    t.equal(
      report.copiesOf([block(1)], level(2, 1)).copies,
      1,
      'what was there at first is settled'
    )
    keep(5)
    t.match(report.copiesOf([block(1)], level(2, 1)), { copies: 2 })
    t.match(report.copiesOf([], level(2, 1)), {
      copies: 3,
      holders: ['keeper 1', 'keeper 2', 'this device']
    })
    for (let length = 6; length < 40; length++) {
      await world.run(100)
      grow(length)
    }
    t.equal(report.copiesOf([block(1)], level(2, 1)).copies, 2, 'on their way')
    t.equal(report.copiesOf([], level(2, 1)).copies, 1, 'but what is in them has one copy')
    await world.run(OPERATIONS_SETTLE_MS)
    t.equal(report.copiesOf([block(1)], level(2, 1)).copies, 1, 'too long on their way')
    keep(39)
    t.equal(report.copiesOf([block(1)], level(2, 1)).copies, 2)
    t.equal(report.survival().operationCopies, 3)
  }
)

t.test('what nobody has is lost, unless its author is around', async t => {
  for (const isAuthorAround of [false, true]) {
    const { book, report } = setUp(1, isAuthorAround)
    book.needs.setContent([need(0, 2)])
    const { health, lostBytes } = report.copiesOf([block(1)], level(2, 1))
    t.same([health, lostBytes], isAuthorAround ? ['at-risk', 0] : ['lost', 100])
    t.match(report.survival().levels, [
      { unwell: { [isAuthorAround ? 'at-risk' : 'lost']: { blocks: 10, bytes: 1000 } } }
    ])
  }
})

t.test('survival() is by level and names the weakest blocks first', async t => {
  const { book, report, receive, keepers } = setUp(3)
  const [left, right] = keepers
  assert(left && right)
  book.needs.setContent([
    need(0, 2),
    need(1, 3),
    { ...need(2, 3), bitmap: range(0, 1024), bytes: 1024 },
    { ...need(3, 3), bitmap: range(0, 1024), bytes: 1024 }
  ])
  receive(left, 0, 10)
  receive(right, 0, 4)
  const { levels, weakest } = report.survival()
  t.match(levels, [
    { redundancy: level(3, 1), copies: 0, blocks: 2058 },
    {
      redundancy: level(2, 1),
      copies: 1,
      blocks: 10,
      unwell: { repairing: { blocks: 6, bytes: 600 } }
    }
  ])
  t.equal(weakest.length, WEAKEST_BLOCKS_MAX)
  t.match(weakest[0], { log: CONTENT, index: 1024, copies: 0, health: 'lost' })
  t.equal(report.isAtFloor(), true)
  t.same(report.without(left.id), {
    belowFloor: { blocks: 0, bytes: 0 },
    lost: { blocks: 6, bytes: 600 }
  })
  book.needs.setContent([{ ...need(0, 3), bitmap: range(0, 4), redundancy: level(3, 2) }])
  t.equal(report.without(left.id).belowFloor.blocks, 4)
})

t.test('keepers() and explain() name who keeps what', async t => {
  const { book, report, receive, keepers, entry } = setUp(2)
  const [left, right] = keepers
  assert(left && right)
  receive(left, 0, 10)
  book.roster.disconnected(entry(right).link ?? assert.fail())
  t.match(report.keepers(), [
    {
      info: { id: left.id },
      state: 'held',
      isConnected: true,
      kept: { blocks: 10, bytes: 655_360 },
      refusal: undefined
    },
    { info: { id: right.id }, state: 'silent', isConnected: false, kept: { blocks: 0 } }
  ])
  t.match(report.explain([block(1), block(12)]), [
    { name: 'this device', blocks: 0, sinceMs: 0 },
    { keeper: left.id, blocks: 1, isCandidate: true, provenMs: 0 },
    { keeper: right.id, blocks: 0, isCandidate: false, score: 0 }
  ])
})
