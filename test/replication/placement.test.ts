/** Placement: the rules before the draw, the draw itself, and how fast it is. */
import t from 'tap'
import { CustodyLedger, validBlocks } from '../../src/replication/custody-ledger.ts'
import {
  HOLD_BLOCKS_MAX,
  SHARE_MAX_DEFAULT,
  choosePlaces,
  rankedFor,
  scoreOf,
  stripesOf
} from '../../src/replication/placement.ts'
import type { Candidate, PlacedBlocks } from '../../src/replication/placement.ts'
import { assessWindow } from '../../src/replication/window-assessment.ts'
import { countBits, emptyBitmap, rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const LOG = logKey('01'.repeat(32))
const GIB = 2 ** 30
const NOWHERE = {
  machines: new Set<string>(),
  sites: new Set<string>(),
  persons: new Set<string>()
}
const blocks = (changes: Partial<PlacedBlocks> = {}): PlacedBlocks => ({
  ...{ log: LOG, stripe: 0, bytes: 1000, missing: 1, missingSites: 0 },
  ...changes
})

function candidate(id: string, changes: Partial<Candidate> = {}): Candidate {
  const place = { machine: id, site: id, person: id }
  return { id, ...place, freeBytes: GIB, reliability: 1, share: 0, ...changes }
}
function chosen(
  candidates: readonly Candidate[],
  placed = blocks(),
  taken: typeof NOWHERE = NOWHERE
): readonly string[] {
  const input = { candidates, taken, shareMax: SHARE_MAX_DEFAULT }
  return choosePlaces(placed, input).map(choice => choice.candidate.id)
}
const actorOf = (names: readonly string[], place: Parameters<typeof rankedFor>[1]) =>
  rankedFor(names, place)[0]
const some = ['a', 'b', 'c', 'd'].map(id => candidate(id))

t.test('everyone with the same view chooses alike, in whatever order', async t => {
  const placed = blocks({ missing: 3 })
  t.same(chosen(some, placed), chosen(some.toReversed(), placed))
  t.equal(new Set(chosen(some, placed)).size, 3)
  t.equal(chosen(some, blocks({ missing: 9 })).length, 4, 'as many as there are')
  t.same(chosen(some, blocks({ missing: 0 })), [])
})

t.test('a keeper that goes moves only its own share', async t => {
  const without = some.filter(({ id }) => id !== 'b')
  for (let stripe = 0; stripe < 200; stripe++) {
    const before = chosen(some, blocks({ stripe }))
    if (before[0] === 'b') continue
    t.same(chosen(without, blocks({ stripe })), before)
  }
})

t.test('each gets blocks by its free space in powers of two and its reliability', async t => {
  const candidates = [
    candidate('large', { freeBytes: 4 * GIB }),
    candidate('small', { freeBytes: GIB }),
    candidate('hardly smaller', { freeBytes: 1.9 * GIB, reliability: 0.5 })
  ]
  const counts: Record<string, number> = {}
  const rounds = 6500
  for (let stripe = 0; stripe < rounds; stripe++) {
    const [winner = ''] = chosen(candidates, blocks({ stripe }))
    counts[winner] = (counts[winner] ?? 0) + 1
  }
  t.comment(counts)
  for (const [id, weight] of [
    ['large', 4],
    ['small', 1],
    ['hardly smaller', 0.5]
  ] as const) {
    const expected = (rounds * weight) / 5.5
    t.ok(Math.abs((counts[id] ?? 0) - expected) < 5 * Math.sqrt(expected), id)
  }
  const [first, second] = [1.0, 1.9].map(factor =>
    scoreOf({ id: 'x', freeBytes: factor * GIB, reliability: 1 }, blocks())
  )
  t.equal(first, second, 'the same up to the next power of two')
})

t.test('who is full or on a machine that has a copy is out', async t => {
  const candidates = [
    candidate('full', { freeBytes: 999 }),
    candidate('twin', { machine: 'a' }),
    candidate('b')
  ]
  const taken = { ...NOWHERE, machines: new Set(['a']) }
  t.same(chosen(candidates, blocks({ missing: 3 }), taken), ['b'])
  const twins = [candidate('a'), candidate('twin', { machine: 'a' })]
  t.equal(chosen(twins, blocks({ missing: 2 })).length, 1, 'nor two on one machine')
  t.same(chosen([candidate('empty', { freeBytes: 0 })], blocks({ bytes: 0 })), [])
})

t.test('other people and sites come before the draw', async t => {
  const large = { freeBytes: 2 ** 50 }
  const candidates = [
    candidate('same both', { site: 'home', person: 'me', ...large }),
    candidate('other site', { site: 'office', person: 'me', ...large }),
    candidate('other both', { site: 'away', person: 'ann' })
  ]
  const taken = { machines: new Set<string>(), sites: new Set(['home']), persons: new Set(['me']) }
  t.same(chosen(candidates, blocks({ missing: 3 }), taken), [
    'other both',
    'other site',
    'same both'
  ])
  const atHome = { ...NOWHERE, sites: new Set(['home']) }
  const homely = candidates.map(one => ({ ...one, site: 'home' }))
  t.same(
    chosen(homely, blocks({ missing: 1, missingSites: 1 }), atHome),
    [],
    'only a new site will do'
  )
  t.equal(chosen(homely, blocks({ missing: 2, missingSites: 1 }), atHome).length, 1)
})

t.test('a site that is new counts as soon as somebody on it was chosen', async t => {
  const unnamed = some.map(one => ({ ...one, site: '' }))
  t.equal(chosen(unnamed, blocks({ missing: 3, missingSites: 1 })).length, 3)
  t.equal(
    chosen(unnamed, blocks({ missing: 3, missingSites: 2 })).length,
    2,
    'one waits for a site'
  )
})

t.test('nobody gets more than its share while others have room', async t => {
  const candidates = [
    candidate('laden', { share: 0.6, freeBytes: 2 ** 50 }),
    candidate('other', { person: 'x', site: 'x' })
  ]
  const taken = { ...NOWHERE, sites: new Set(['x']), persons: new Set(['x']) }
  t.same(chosen(candidates, blocks(), taken), ['other'])
  const choices = choosePlaces(blocks({ missing: 2 }), { candidates, taken, shareMax: 0.6 })
  t.match(choices[1], { isOverShare: true, isNewPerson: true, isNewSite: true })
})

t.test('stripesOf() cuts a window into pieces for one hold each', async t => {
  const bitmap = rangeBitmap({ window: 5, from: 5 * 1024 + 200, to: 5 * 1024 + 600 })
  const stripes = stripesOf(5, bitmap)
  t.same(
    stripes.map(({ stripe }) => stripe),
    [20, 21, 22]
  )
  t.same(
    stripes.map(piece => countBits(piece.bitmap)),
    [56, HOLD_BLOCKS_MAX, 88]
  )
  t.same(stripesOf(5, emptyBitmap()), [])
})

t.test('rankedFor() puts one of the devices first for each window', async t => {
  const counts: Record<string, number> = {}
  for (let window = 0; window < 3000; window++) {
    const actor = actorOf(['p', 'q', 'r'], { log: LOG, window }) ?? ''
    t.equal(actorOf(['r', 'q', 'p'], { log: LOG, window }), actor)
    const others = ['p', 'q', 'r'].filter(name => name !== actor)
    if (actor !== 'q')
      t.equal(actorOf(others.includes('q') ? [actor, 'q'] : ['q'], { log: LOG, window }), actor)
    counts[actor] = (counts[actor] ?? 0) + 1
  }
  for (const count of Object.values(counts)) t.ok(Math.abs(count - 1000) < 200)
  t.equal(actorOf([], { log: LOG, window: 0 }), undefined)
})

t.test('10,000 new blocks among 1,000,000 are placed in a moment', async t => {
  const random = new SeededRandom(1)
  const candidates = Array.from({ length: 50 }, (_, at) =>
    candidate(`${at}`, {
      site: `${at % 7}`,
      person: `${at % 11}`,
      freeBytes: GIB * (1 + random.integer(99))
    })
  )
  const ledger = new CustodyLedger()
  const factsOf = (id: string) => {
    const { machine, site, person } = candidates[Number(id)] ?? candidate(id)
    return { machine, site, person, state: 'held' as const }
  }
  const full = rangeBitmap({ window: 0, from: 0, to: 1024 })
  for (let window = 0; window < 1000; window++) {
    for (let copy = 0; copy < 4; copy++) {
      const keeper = `${(window * 7 + copy * 3) % 50}`
      // The newest 10 blocks of every window have no copy yet: as scattered as can be.
      const bitmap = full.with(127, 0).with(126, 0x3f)
      ledger.put({ keeper, log: LOG, window, bitmap, sequence: 1, bytes: 1, sinceMs: 0 })
    }
  }
  const started = process.cpuUsage()
  let placed = 0
  for (const { log, window } of ledger.windows()) {
    const held = ledger
      .rowsAt(log, window)
      .map(row => ({ tag: row.keeper, bitmap: validBlocks(row) }))
    const wanted = [{ bitmap: full, redundancy: { copies: 3, floor: 2, sites: 2 }, bytes: GIB }]
    for (const { missing, bitmap } of assessWindow({ wanted, held, factsOf })) {
      if (missing === 0) continue
      for (const { stripe, bitmap: piece } of stripesOf(window, bitmap)) {
        const input = { candidates, taken: NOWHERE, shareMax: SHARE_MAX_DEFAULT }
        const choices = choosePlaces({ log, stripe, bytes: 1000, missing, missingSites: 2 }, input)
        if (choices.length === 3) placed += countBits(piece)
      }
    }
  }
  const ms = process.cpuUsage(started).user / 1000
  t.comment(`${placed} blocks placed on 3 of 50 keepers each in ${ms.toFixed(0)} ms of computing`)
  t.equal(placed, 10_000)
})
