/**
 * A tree of versions answers what a walk along bases would, on random trees, and asks little.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { logKey } from '../../src/sync/log.ts'
import type { OperationId } from '../../src/sync/operation.ts'
import {
  isAncestor,
  keyOf,
  lineageOf,
  VersionTree,
  type Version
} from '../../src/sync/version-tree.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const LOG = logKey('11'.repeat(32))
const RUNS = 200
const VERSIONS = 30

interface Event {
  readonly id: OperationId
}

/** A random tree: version i is laid over one before it, most often the last. */
function randomTree(random: SeededRandom) {
  const bases: (number | undefined)[] = [undefined]
  const seen = new Set<number>([0])
  for (let index = 1; index < VERSIONS; index++) {
    const base = random.integer(3) === 0 ? random.integer(index) : index - 1
    bases.push(base)
    if (seen.has(base) && random.integer(5) > 0) seen.add(index)
  }
  const tree = new VersionTree<Event>((_, earlier) => seen.has(earlier.index))
  const versions: Version<Event>[] = []
  for (const [index, base] of bases.entries()) {
    const over = base === undefined ? undefined : versions[base]
    versions.push(tree.add({ id: idOf(index) }, over))
  }
  return { bases, seen, tree, versions }
}

function idOf(index: number): OperationId {
  return { log: LOG, index, number: 0 }
}

/** A version and all before it, newest first, from what each was laid over. */
function walk(bases: readonly (number | undefined)[], from: number): number[] {
  const walked: number[] = []
  for (let at: number | undefined = from; at !== undefined; at = bases[at]) walked.push(at)
  return walked
}

/** From a version on along the first that was seen of those laid over it. */
function tipOf({ bases, seen }: ReturnType<typeof randomTree>, from: number): number {
  const next = bases.findIndex((base, index) => base === from && seen.has(index))
  return next === -1 ? from : tipOf({ bases, seen } as ReturnType<typeof randomTree>, next)
}

t.test(`what a walk along bases says, on ${RUNS} random trees`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const made = randomTree(new SeededRandom(seed))
    for (const [index, version] of made.versions.entries()) {
      const walked = walk(made.bases, index)
      assert.deepEqual(
        lineageOf(version).map(({ event }) => event.id.index),
        walked.toReversed()
      )
      for (const [other, ancestor] of made.versions.entries()) {
        assert.equal(isAncestor(ancestor, version), walked.includes(other), `seed ${seed}`)
      }
      if (!made.seen.has(index)) continue
      const tip = made.tree.tipSeenBy(idOf(VERSIONS), version)
      assert.equal(tip.event.id.index, tipOf(made, index), `seed ${seed}`)
    }
  }
})

t.test('lines: the first that is laid over a version goes on with its line', async t => {
  const tree = new VersionTree<Event>(() => true)
  const root = tree.add({ id: idOf(0) }, undefined)
  const first = tree.add({ id: idOf(1) }, root)
  const branch = tree.add({ id: idOf(2) }, root)
  const next = tree.add({ id: idOf(3) }, branch)
  t.same(
    tree.lines.map(({ versions }) => versions),
    [
      [root, first],
      [branch, next]
    ]
  )
  t.equal(branch.line.first, branch)
  t.equal(branch.line.tip, next)
  t.equal(next.position, 1)
  t.same(root.children, [first, branch])
  t.equal(tree.get(idOf(3)), next)
  t.equal(tree.get(idOf(4)), undefined)
})

t.test('keys of identities are equal only for equal ones', async t => {
  const ids = [
    idOf(1),
    idOf(11),
    { ...idOf(1), number: 1 },
    { ...idOf(1), log: logKey('22'.repeat(32)) }
  ]
  t.equal(new Set(ids.map(keyOf)).size, ids.length)
  t.equal(keyOf({ ...idOf(1) }), keyOf(idOf(1)))
})
