/** How copies compare to what is asked for: machines, sites, presence, floors. */
import t from 'tap'
import {
  assessCopies,
  assessLacking,
  assessWindow
} from '../../src/replication/window-assessment.ts'
import type { CopyFacts } from '../../src/replication/window-assessment.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const range = (from: number, to: number): Uint8Array => rangeBitmap({ window: 0, from, to })
const FACTS: Readonly<Record<string, CopyFacts>> = {
  self: { machine: 'laptop', site: '', person: 'me', state: 'held' },
  a: { machine: 'a', site: 'home', person: 'me', state: 'held' },
  twin: { machine: 'a', site: 'home', person: 'me', state: 'held' },
  b: { machine: 'b', site: 'office', person: 'ann', state: 'held' },
  away: { machine: 'c', site: 'office', person: 'ann', state: 'silent' },
  lost: { machine: 'd', site: '', person: '', state: 'suspect' },
  gone: { machine: 'e', site: '', person: '', state: 'gone' },
  liar: { machine: 'f', site: '', person: '', state: 'failed' }
}
const factsOf = (id: string): CopyFacts | undefined => FACTS[id]
const level = (copies: number, floor = 1, sites = 1) => ({ copies, floor, sites })
const assess = (keepers: readonly string[], redundancy: ReturnType<typeof level>) =>
  assessCopies(keepers, { redundancy, factsOf })

t.test('copies are counted per machine, sites per name, and only of those that count', async t => {
  const keepers = ['self', 'a', 'twin', 'b', 'away', 'lost', 'gone', 'liar', 'unknown']
  const assessed = assess(keepers, level(4))
  t.match(assessed, {
    copies: 4,
    sites: 3,
    persons: 2,
    health: 'ok',
    urgency: undefined,
    missing: 0
  })
  t.same(assessed.counting, ['self', 'a', 'twin', 'b', 'away'])
  t.same(assessed.keepers, keepers)
})

t.test('health and urgency follow from floor, wish and sites', async t => {
  t.match(assess(['self'], level(3, 2)), { health: 'at-risk', urgency: 'floor', missing: 2 })
  t.match(assess(['self', 'a'], level(3, 2)), { health: 'repairing', urgency: 'wish', missing: 1 })
  t.match(assess(['self', 'a', 'b'], level(3, 2)), { health: 'ok', urgency: undefined, missing: 0 })
  t.match(assess(['a', 'b', 'self'], level(2, 1, 4)), {
    health: 'repairing',
    urgency: 'sites',
    missing: 1
  })
  t.match(assess(['a'], level(2, 1, 3)), { health: 'repairing', urgency: 'wish', missing: 2 })
  t.match(assess(['lost'], level(1)), { copies: 0, isKnown: true, health: 'at-risk', missing: 1 })
  for (const nobody of [[], ['gone'], ['liar'], ['unknown']])
    t.match(assess(nobody, level(1)), {
      copies: 0,
      isKnown: false,
      health: 'lost',
      urgency: 'floor'
    })
})

t.test('who is away is waited for, except at the floor', async t => {
  t.match(assess(['self', 'away'], level(2, 1)), { copies: 2, urgency: undefined, missing: 0 })
  t.match(assess(['self', 'away'], level(2, 2)), { health: 'ok', urgency: 'wish', missing: 1 })
  t.match(assess(['self', 'away'], level(3, 2)), { urgency: 'wish', missing: 2 })
  t.match(assess(['self', 'a', 'away'], level(4, 2)), { urgency: 'wish', missing: 1 })
})

t.test('assessWindow() says it of each part of the window', async t => {
  const groups = assessWindow({
    wanted: [
      { bitmap: range(0, 10), redundancy: level(2, 1), bytes: 1000 },
      { bitmap: range(10, 12), redundancy: level(3, 3), bytes: 50 }
    ],
    held: [
      { tag: 'self', bitmap: range(0, 100) },
      { tag: 'b', bitmap: range(4, 100) }
    ],
    factsOf
  })
  const short = groups.map(({ bitmap, bytes, copies, urgency, redundancy }) => ({
    ...{ bitmap, bytes, copies, urgency },
    wish: redundancy.copies
  }))
  t.same(short, [
    { bitmap: range(4, 10), bytes: 600, copies: 2, urgency: undefined, wish: 2 },
    { bitmap: range(0, 4), bytes: 400, copies: 1, urgency: 'wish', wish: 2 },
    { bitmap: range(10, 12), bytes: 50, copies: 2, urgency: 'floor', wish: 3 }
  ])
})

t.test('assessLacking() finds all that assessWindow() finds lacking', async t => {
  const random = new SeededRandom(Number(process.env['GROVE_SEED'] ?? 1))
  const names = Object.keys(FACTS)
  let lacking = 0
  for (let round = 0; round < 200; round++) {
    const held = Array.from({ length: random.integer(12) }, () => ({
      tag: names[random.integer(names.length)] ?? '',
      bitmap: random.integer(2) ? random.bytes(128) : range(0, random.integer(1025))
    }))
    const copies = 1 + random.integer(4)
    const redundancy = level(copies, 1 + random.integer(copies), 1 + random.integer(2))
    const wanted = [{ bitmap: range(0, 1 + random.integer(1024)), redundancy, bytes: 4096 }]
    const lacks = (groups: ReturnType<typeof assessWindow>) =>
      groups
        .filter(({ urgency }) => urgency !== undefined)
        .map(({ bitmap, keepers, urgency, missing, copies: has }) => ({
          bitmap,
          keepers,
          urgency,
          missing,
          has
        }))
        .sort((a, b) => Buffer.compare(a.bitmap, b.bitmap))
    const expected = lacks(assessWindow({ wanted, held, factsOf }))
    lacking += expected.length
    t.same(lacks(assessLacking({ wanted, held, factsOf })), expected)
  }
  t.ok(lacking > 100)
})
