/** Names that are given anew where something changed are those that naming all anew gives. */
import assert from 'node:assert/strict'
import t from 'tap'
import { conflictName } from '../../src/sync/conflict-name.ts'
import { ConflictNames, type Loser } from '../../src/sync/conflict-names.ts'
import type { Name } from '../../src/sync/operation.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const RUNS = 200
const STEPS = 30

/** A claim: its place in the order, which also says who made it. */
type Claim = number

const LONG = 'x'.repeat(230)
const WANTED = [
  ...['a', 'b', 'a.txt', `${LONG}1`, `${LONG}2`, `${LONG}é`],
  ...['a (conflict, pc 0, 1970-01-01 00.00)', 'a (conflict, pc 0, 1970-01-01 00.00) 2']
] as Name[]

function nameOf(wanted: Name, claim: Claim, attempt: number): Name {
  return conflictName(
    wanted,
    { device: `pc ${claim % 2}`, time: { sec: 60 * (claim % 3), nsec: 0 } },
    attempt
  )
}

/** All names given one after another. */
function naive(slots: ReadonlyMap<Name, readonly Claim[]>, given: ReadonlySet<Name>) {
  const losers = [...slots].flatMap(([wanted, claims]) => claims.map(claim => ({ wanted, claim })))
  const names = new Map<Name, Claim>()
  for (const { wanted, claim } of losers.toSorted((left, right) => left.claim - right.claim)) {
    let attempt = 1
    let name = nameOf(wanted, claim, attempt)
    while (names.has(name) || given.has(name)) name = nameOf(wanted, claim, ++attempt)
    names.set(name, claim)
  }
  return names
}

t.test(`the names are those that naming all anew gives (${RUNS} histories)`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = new SeededRandom(seed)
    const slots = new Map<Name, Claim[]>()
    const given = new Set<Name>(WANTED.slice(-2).filter(() => random.integer(2) === 0))
    const told = new Map<Name, Claim | undefined>()
    const conflicts = new ConflictNames<Claim>({
      compare: (left, right) => left - right,
      nameOf,
      isGiven: name => given.has(name),
      beforeChange: (name: Name, before: Loser<Claim> | undefined) => {
        if (!told.has(name)) told.set(name, before?.group)
      }
    })
    let next = 0
    for (let step = 0; step < STEPS; step++) {
      const before = naive(slots, given)
      const changed = new Map<Name, Claim[]>()
      for (let count = 1 + random.integer(2); count > 0; count--) {
        const wanted = WANTED[random.integer(WANTED.length)] ?? ('a' as Name)
        const kept = (slots.get(wanted) ?? []).filter(() => random.integer(4) > 0)
        // Not in the order of the claims: an early one may come late.
        const claims = random.integer(2) === 0 ? [...kept, (next += 7) % 101] : kept
        slots.set(wanted, [...new Set(claims)])
        changed.set(wanted, [...new Set(claims)])
      }
      told.clear()
      conflicts.set(changed)
      const after = naive(slots, given)
      const names = [...conflicts.names].map(([name, { group }]) => [name, group] as const)
      assert.deepEqual(new Map(names), after, `seed ${seed}, step ${step}`)
      for (const name of new Set([...before.keys(), ...after.keys()])) {
        if (before.get(name) !== after.get(name)) assert.equal(told.get(name), before.get(name))
      }
      for (const [wanted, claims] of slots) {
        const losers = conflicts.losersOf(wanted).map(({ group }) => group)
        assert.deepEqual(new Set(losers), new Set(claims))
      }
    }
  }
})
