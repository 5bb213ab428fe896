/** Audits: what they find and how soon, what they cost, and that every block has its turn. */
import assert from 'node:assert/strict'
import t from 'tap'
import { Auditor, FOLLOW_UP_MS } from '../../src/replication/auditor.ts'
import { drawBlocks } from '../../src/replication/audit-selection.ts'
import { CUSTODY_SETTINGS_DEFAULT } from '../../src/replication/custodian-parts.ts'
import type { AuditSettings } from '../../src/replication/custodian-parts.ts'
import { FAILED_AUDITS_MAX } from '../../src/replication/keeper-standing.ts'
import { rangeBitmap, windowOf } from '../../src/sync/block-bitmap.ts'
import { CONTENT } from '../support/custody-world.ts'
import { plannedBook } from '../support/planned-book.ts'
import type { PlannedBook } from '../support/planned-book.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import type { SimulatedKeeper } from '../support/simulated-keeper.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const full = rangeBitmap({ window: 0, from: 0, to: 1024 })
const redundancy = { copies: 1, floor: 1, sites: 1 }

function setUp(options: {
  readonly windows?: number
  readonly isHere?: boolean
  readonly areHashesKnown?: boolean
  readonly audits?: Partial<AuditSettings>
}): PlannedBook & {
  readonly keeper: SimulatedKeeper
  readonly auditor: Auditor
  readonly failed: string[]
  readonly asked: Map<number, number>
} {
  const { windows = 1, isHere = true, areHashesKnown = true, audits = {} } = options
  const settings = () => ({
    ...CUSTODY_SETTINGS_DEFAULT,
    audits: { ...CUSTODY_SETTINGS_DEFAULT.audits, ...audits }
  })
  const set = plannedBook(1, { settings })
  const { world, book } = set
  const [keeper] = set.keepers
  assert(keeper)
  const needs = Array.from({ length: windows }, (_, window) => ({
    log: CONTENT,
    window,
    bitmap: full,
    redundancy,
    bytes: 1024 * world.blockBytes
  }))
  book.needs.setContent(needs)
  for (const { window } of needs) {
    for (let at = 0; at < 1024; at++)
      keeper.blocks.set(
        `${CONTENT}/${window * 1024 + at}`,
        world.truth(CONTENT, window * 1024 + at)
      )
    book.takeReceipt(set.entry(keeper), keeper.sign({ log: CONTENT, window, bitmap: full }))
  }
  const asked = new Map<number, number>()
  const answer = keeper.answer.bind(keeper)
  keeper.answer = (request, device) => {
    for (const index of request.indexes) asked.set(index, (asked.get(index) ?? 0) + 1)
    return answer(request, device)
  }
  const failed: string[] = []
  const own = {
    ...set.parts.own,
    stored: () => (isHere ? full : new Uint8Array(128)),
    read: async (log: typeof CONTENT, index: number) => Promise.resolve(world.truth(log, index)),
    isGenuine: async (block: {
      readonly log: typeof CONTENT
      readonly index: number
      readonly bytes: Uint8Array
    }) =>
      Promise.resolve(
        areHashesKnown
          ? Buffer.compare(block.bytes, world.truth(block.log, block.index)) === 0
          : undefined
      )
  }
  const auditor = new Auditor({
    ...set.parts,
    own,
    settings,
    book,
    onFailed: ({ info }) => failed.push(info.id)
  })
  const { link } = set.entry(keeper)
  assert(link)
  auditor.follow(link)
  return { ...set, keeper, auditor, failed, asked }
}

t.test('an honest keeper proves what it has, within the budget', async t => {
  for (const isHere of [true, false]) {
    const set = setUp({ isHere })
    await set.world.run(10 * HOUR)
    t.same(set.failed, [])
    t.equal(set.book.totalOf(set.keeper.id).blocks, 1024)
    t.ok(
      set.keeper.challenges > 500 && set.keeper.challenges < 800,
      `${set.keeper.challenges} challenges in 10 hours`
    )
    const [row] = set.book.ledger.rowsOf(set.keeper.id)
    t.ok((row?.provenMs ?? 0) > set.world.clock.nowMs - HOUR)
    await set.auditor.close()
  }
  const tight = setUp({ audits: { bytesPerHour: 20 * 65_536 } })
  await tight.world.run(10 * HOUR)
  t.ok(tight.keeper.challenges >= 20 && tight.keeper.challenges <= 40, `${tight.keeper.challenges}`)
  const none = setUp({ audits: { challengesPerHour: 0 } })
  await none.world.run(10 * HOUR)
  t.equal(none.keeper.challenges, 0)
})

t.test('whoever lies is found, whatever the answer', async t => {
  const lies: Readonly<Record<string, (keeper: SimulatedKeeper) => void>> = {
    'drops a third and makes answers up': keeper => {
      keeper.faults.keptShare = 0.66
      for (let index = 0; index < 1024; index += 3) keeper.blocks.delete(`${CONTENT}/${index}`)
    },
    'drops a third and says so': keeper => {
      for (let index = 0; index < 1024; index += 3) keeper.blocks.delete(`${CONTENT}/${index}`)
      keeper.giveUp = () => undefined
    },
    'flips bits': keeper => {
      for (let index = 0; index < 1024; index += 3)
        keeper.blocks.set(`${CONTENT}/${index}`, new Uint8Array(8))
    },
    'answers what it answered before': keeper => {
      keeper.faults.replays = true
    },
    'answers for another': keeper => {
      const answer = keeper.answer.bind(keeper)
      keeper.answer = ({ mode, log, indexes }, device) =>
        answer({ mode, log, indexes: indexes.map(index => (index + 1) % 1024) }, device)
    },
    'answers the other way': keeper => {
      const answer = keeper.answer.bind(keeper)
      keeper.answer = (request, device) =>
        answer({ ...request, mode: request.mode === 'hash' ? 'blocks' : 'hash' }, device)
    },
    'names what was not asked for as missing': keeper => {
      keeper.answer = () => ({ kind: 'missing', indexes: [99_999] })
    },
    'says nothing': keeper => {
      keeper.faults.stalls = true
    }
  }
  for (const [lie, tell] of Object.entries(lies)) {
    for (const isHere of [true, false]) {
      const set = setUp({ isHere })
      tell(set.keeper)
      await set.world.run(2 * HOUR)
      t.same(set.failed, [set.keeper.id], `${lie}, ${isHere ? 'hash' : 'blocks'}`)
      t.ok(set.keeper.challenges < 60)
    }
  }
})

t.test(
  'blocks that could not be proven stop counting, and the next questions come soon',
  async t => {
    const set = setUp({})
    set.keeper.blocks.set(`${CONTENT}/7`, new Uint8Array(8))
    const { link } = set.entry(set.keeper)
    assert(link)
    while (set.book.totalOf(set.keeper.id).blocks === 1024) await set.world.run(1000)
    t.ok(set.book.totalOf(set.keeper.id).blocks >= 1024 - 8)
    const before = set.keeper.challenges
    await set.world.run(3 * FOLLOW_UP_MS + 1)
    t.equal(set.keeper.challenges, before + 3)
    await set.world.run(10 * HOUR)
    t.same(set.failed, [], 'one rotten block is no lie')
    set.auditor.failed(set.entry(set.keeper), [{ log: CONTENT, window: 0, bitmap: full }], 1)
    t.equal(set.book.totalOf(set.keeper.id).blocks, 0)
    await set.auditor.close()
  }
)

t.test('what the keeper may forget, or gave up meanwhile, is no failure', async t => {
  const set = setUp({})
  set.book.needs.setContent([])
  await set.world.run(HOUR)
  t.equal(set.keeper.challenges, 0, 'what nobody needs is not asked for')
  const other = setUp({})
  const giveUp = other.keeper.giveUp.bind(other.keeper)
  other.keeper.giveUp = (log, indexes) => {
    giveUp(log, indexes)
    const receipt = other.keeper.receiptOf(log, windowOf(indexes[0] ?? 0))
    other.book.takeReceipt(other.entry(other.keeper), receipt)
  }
  for (let index = 0; index < 1024; index++) other.keeper.blocks.delete(`${CONTENT}/${index}`)
  await other.world.run(HOUR)
  t.same(other.failed, [])
})

t.test('an answer that cannot be judged neither passes nor fails', async t => {
  const set = setUp({ isHere: false, areHashesKnown: false })
  await set.world.run(HOUR)
  t.ok(set.keeper.challenges > 0)
  t.same(set.failed, [])
  t.equal(set.book.totalOf(set.keeper.id).blocks, 1024)
  const [row] = set.book.ledger.rowsOf(set.keeper.id)
  t.notOk(row?.provenMs)
  const liar = setUp({ isHere: false, areHashesKnown: false })
  liar.keeper.giveUp = () => undefined
  for (let index = 0; index < 1024; index++) liar.keeper.blocks.delete(`${CONTENT}/${index}`)
  await liar.world.run(2 * HOUR)
  t.same(liar.failed, [liar.keeper.id], 'what is missing is judged all the same')
})

t.test('every block has its turn within the time of a sweep, and chance goes on', async t => {
  const set = setUp({ windows: 3, audits: { challengesPerHour: 2, sweepMs: 30 * DAY } })
  await set.world.run(31 * DAY)
  t.equal(set.asked.size, 3 * 1024, 'each at least once')
  const total = [...set.asked.values()].reduce((sum, times) => sum + times, 0)
  t.ok(total > 1.5 * 3 * 1024, 'random ones besides')
  t.same(set.failed, [])
})

t.test(
  'a liar that keeps 90 % is found with more than 99 % by 44 random blocks: 6 challenges',
  async t => {
    const random = new SeededRandom(Number(process.env['GROVE_SEED'] ?? 1))
    const kept = [{ log: CONTENT, window: 0, bitmap: full }]
    const trials = 2000
    let found = 0
    for (let trial = 0; trial < trials; trial++) {
      const lost = new Set<number>()
      while (lost.size < 102)
        lost.add((random.bytes(2)[0] ?? 0) * 4 + ((random.bytes(1)[0] ?? 0) & 3))
      const isFound = Array.from({ length: 6 }).some(() =>
        drawBlocks(random, kept, 8)?.indexes.some(index => lost.has(index))
      )
      if (isFound) found++
    }
    t.comment(`${((found / trials) * 100).toFixed(2)} % found within 6 challenges of 8 blocks`)
    t.ok(found / trials > 0.99)

    let challenges = 0
    for (let seed = 1; seed <= 20; seed++) {
      const set = setUp({})
      set.keeper.faults.keptShare = 0.9
      const dice = new SeededRandom(seed)
      for (let index = 0; index < 1024; index++)
        if (dice.integer(10) === 0) set.keeper.blocks.delete(`${CONTENT}/${index}`)
      await set.world.run(2 * HOUR)
      t.same(set.failed, [set.keeper.id])
      challenges += set.keeper.challenges
    }
    t.comment(
      `failed for good (${FAILED_AUDITS_MAX} failures) after ${challenges / 20} challenges on average`
    )
  }
)
