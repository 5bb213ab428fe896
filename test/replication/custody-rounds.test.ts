/** Rounds: how many holds at a time, what waits for what, and how it ends. */
import assert from 'node:assert/strict'
import t from 'tap'
import {
  CustodyRounds,
  HOLDS_MAX,
  HOLDS_PER_KEEPER_MAX,
  LEFT_ALONE_MS,
  OPERATIONS_ALONE_MS_MAX,
  PLANS_PER_ROUND_MAX,
  ROUND_DELAY_MS
} from '../../src/replication/custody-rounds.ts'
import type { KeeperInfo } from '../../src/replication/custodian-parts.ts'
import type { CustodyRoundsParts } from '../../src/replication/custody-rounds.ts'
import { countBits, emptyBitmap, rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { CONTENT, OPERATIONS } from '../support/custody-world.ts'
import { plannedBook } from '../support/planned-book.ts'
import type { PlannedBook } from '../support/planned-book.ts'

const full = rangeBitmap({ window: 0, from: 0, to: 1024 })

function setUp(
  keepers: number,
  windows: number,
  {
    copies = 1,
    bitmap = full,
    info = {},
    changes
  }: {
    readonly copies?: number
    readonly bitmap?: Uint8Array
    readonly info?: Partial<KeeperInfo>
    readonly changes?: (set: PlannedBook) => Partial<CustodyRoundsParts>
  } = {}
): { readonly set: PlannedBook; readonly rounds: CustodyRounds; readonly refused: string[] } {
  const set = plannedBook(keepers, {}, info)
  const refused: string[] = []
  const parts: CustodyRoundsParts = {
    ...set.parts,
    own: { ...set.parts.own, stored: () => full },
    book: set.book,
    onRefused: ({ info }) => refused.push(info.id),
    ...changes?.(set)
  }
  const rounds = new CustodyRounds(parts)
  const serve = (keeper: string, log: typeof CONTENT, index: number) =>
    rounds.isComing(keeper, log, index) ? set.world.truth(log, index) : undefined
  for (const keeper of set.keepers) {
    const entry = set.entry(keeper)
    const link = keeper.connect({ serve })
    set.book.roster.connected(link)
    entry.isReady = true
  }
  set.book.onTouch = place => rounds.touch(place)
  const redundancy = { copies, floor: 1, sites: 1 }
  const needs = Array.from({ length: windows }, (_, window) => ({
    log: CONTENT,
    window,
    bitmap,
    redundancy,
    bytes: 1024
  }))
  for (const place of set.book.needs.setContent(needs)) rounds.touch(place)
  return { set, rounds, refused }
}

t.test('a bounded number of pieces is under way, until all is kept', async t => {
  const { set, rounds } = setUp(20, 20)
  for (const keeper of set.keepers) keeper.faults.latencyMs = 1000
  await set.world.run(ROUND_DELAY_MS + 1)
  let coming = 0
  for (const keeper of set.keepers)
    for (let index = 0; index < 20 * 1024; index += 256)
      if (rounds.isComing(keeper.id, CONTENT, index)) coming++
  t.equal(coming, HOLDS_MAX)
  await set.world.run(60_000)
  t.equal(rounds.openWindows, 0)
  const kept = set.keepers.reduce((sum, keeper) => sum + set.book.totalOf(keeper.id).blocks, 0)
  t.equal(kept, 20 * 1024, 'each once')
})

t.test('a window that a keeper cannot have is asked for again, later and later', async t => {
  const { set, rounds, refused } = setUp(1, 1)
  const [keeper] = set.keepers
  assert(keeper)
  keeper.faults.refuses = 'UNAVAILABLE'
  await set.world.run(ROUND_DELAY_MS + 1)
  t.equal(refused.length, 1, 'for one piece of a window at a time')
  keeper.faults.refuses = undefined
  await set.world.run(LEFT_ALONE_MS * 100)
  t.equal(set.book.totalOf(keeper.id).blocks, 1024)
  t.equal(rounds.openWindows, 0)
})

t.test('a keeper is asked for several windows at once, and for one piece of each', async t => {
  const { set, rounds, refused } = setUp(1, 2 * HOLDS_PER_KEEPER_MAX)
  const [keeper] = set.keepers
  assert(keeper)
  keeper.faults.refuses = 'UNAVAILABLE'
  await set.world.run(ROUND_DELAY_MS + 1)
  t.equal(refused.length, HOLDS_PER_KEEPER_MAX)
  await rounds.close()
})

t.test(
  'operations that a keeper cannot have yet are asked for again soon, however often',
  async t => {
    const { set, rounds, refused } = setUp(1, 0)
    const [keeper] = set.keepers
    assert(keeper)
    keeper.faults.refuses = 'UNAVAILABLE'
    for (const place of set.book.needs.setOperations(new Map([[OPERATIONS, 3]])))
      rounds.touch(place)
    await set.world.run(10 * 60_000)
    t.ok(refused.length > 30, `${refused.length} times`)
    keeper.faults.refuses = undefined
    await set.world.run(OPERATIONS_ALONE_MS_MAX + ROUND_DELAY_MS + 1)
    t.equal(set.book.totalOf(keeper.id).blocks, 3)
    t.equal(rounds.openWindows, 0)
  }
)

t.test('nothing is brought here to be handed to a device that has it anyway', async t => {
  let brought = 0
  const { set, rounds } = setUp(1, 1, {
    info: { kind: 'device' },
    changes: ({ parts }) => ({
      own: {
        ...parts.own,
        stored: () => new Uint8Array(full.length),
        obtain: () => {
          brought++
          return Promise.resolve()
        }
      }
    })
  })
  await set.world.run(10 * LEFT_ALONE_MS)
  const [device] = set.keepers
  assert(device)
  t.equal(set.book.totalOf(device.id).blocks, 1024, 'it has signed for all of it')
  t.equal(brought, 0)
  await rounds.close()
})

t.test('nobody is asked for what another device acts for', async t => {
  const { set, rounds } = setUp(1, 0)
  const [keeper] = set.keepers
  assert(keeper)
  const other = new CustodyRounds({
    ...set.parts,
    own: { ...set.parts.own, stored: () => full },
    book: set.book,
    onlineDevices: () => ['ee'.repeat(32)],
    onRefused: () => undefined
  })
  const redundancy = { copies: 1, floor: 1, sites: 1 }
  set.book.needs.setContent([{ log: CONTENT, window: 0, bitmap: full, redundancy, bytes: 1024 }])
  other.touch({ log: CONTENT, window: 0 })
  await set.world.run(60_000)
  t.equal(keeper.signed.size, 0)
  t.equal(other.openWindows, 1)
  rounds.touch({ log: CONTENT, window: 0 })
  await set.world.run(60_000)
  t.equal(keeper.signed.size, 1)
  await other.close()
})

t.test('while all wait for a keeper that is busy, an idle one costs nothing', async t => {
  let timers = 0
  const counting = ({ world: { clock } }: PlannedBook): Partial<CustodyRoundsParts> => ({
    clock: {
      now: () => clock.now(),
      after: (delayMs, callback) => {
        if (++timers > 10_000) throw new RangeError('round and round')
        return clock.after(delayMs, callback)
      }
    }
  })
  const bitmap = rangeBitmap({ window: 0, from: 0, to: 1 })
  const count = 3 * PLANS_PER_ROUND_MAX
  const { set, rounds } = setUp(2, count, { copies: 2, bitmap, changes: counting })
  const [slow, fast] = set.keepers
  assert(slow && fast)
  slow.faults.latencyMs = 60_000
  await set.world.run(30_000)
  t.equal(fast.signed.size, count, 'it has all that it can have')
  const before = timers
  await set.world.run(20_000)
  t.equal(timers, before, 'and then there is nothing to do')
  slow.faults.latencyMs = 0
  await set.world.run(60_000)
  t.equal(slow.signed.size, count, 'until the other is not busy any more')
  t.equal(rounds.openWindows, 0)
})

t.test('close() gives up what is under way', async t => {
  const { set, rounds } = setUp(1, 1)
  const [keeper] = set.keepers
  assert(keeper)
  keeper.faults.stalls = true
  await set.world.run(ROUND_DELAY_MS + 1)
  t.equal(rounds.isComing(keeper.id, CONTENT, 0), true)
  t.equal(rounds.isComing(keeper.id, CONTENT, 5000), false)
  await rounds.close()
  t.equal(rounds.isComing(keeper.id, CONTENT, 0), false)
  rounds.touch({ log: CONTENT, window: 0 })
  await set.world.run(60_000)
  t.equal(countBits(keeper.signed.get(`${CONTENT}/0`)?.bitmap ?? emptyBitmap()), 0)
})
