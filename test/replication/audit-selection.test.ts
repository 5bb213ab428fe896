/** Which blocks are audited: by chance, evenly, and one after the other. */
import t from 'tap'
import {
  drawBlocks,
  drawInteger,
  sweepBlocks,
  sweepDue
} from '../../src/replication/audit-selection.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import type { BlockSet } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const LEFT = logKey('01'.repeat(32))
const RIGHT = logKey('02'.repeat(32))
const set = (log: typeof LEFT, window: number, from: number, to: number): BlockSet => ({
  ...{ log, window },
  bitmap: rangeBitmap({ window: 0, from, to })
})
const kept = [set(LEFT, 3, 0, 30), set(RIGHT, 0, 10, 20), set(LEFT, 0, 1000, 1024)]

t.test('drawInteger() is even and below its bound', async t => {
  const random = new SeededRandom(1)
  const counts = [0, 0, 0]
  for (let draw = 0; draw < 3000; draw++) {
    const at = drawInteger(random, 3)
    counts[at] = (counts[at] ?? 0) + 1
  }
  t.equal(counts.length, 3)
  for (const count of counts) t.ok(Math.abs(count - 1000) < 130)
})

t.test('drawBlocks() draws every block alike, ascending, of one log', async t => {
  const random = new SeededRandom(1)
  const counts = new Map<string, number>()
  for (let draw = 0; draw < 4000; draw++) {
    const { log, indexes } = drawBlocks(random, kept, 4) ?? { log: LEFT, indexes: [] }
    t.same(
      indexes,
      indexes.toSorted((a, b) => a - b)
    )
    for (const index of indexes)
      counts.set(`${log}/${index}`, (counts.get(`${log}/${index}`) ?? 0) + 1)
  }
  t.equal(counts.size, 64)
  const mean = (4000 * 4) / 64
  for (const [key, count] of counts)
    if (Math.abs(count - mean) > mean / 2) t.fail(`${key}: ${count}`)
  t.ok(counts.has(`${LEFT}/3072`))
  t.equal(drawBlocks(random, [], 4), undefined)
})

t.test('sweepBlocks() comes by every block once', async t => {
  const seen: string[] = []
  let next = ''
  for (let round = 0; round < 100; round++) {
    const sweep = sweepBlocks(kept, { startedMs: 1, asked: 0, next }, 7)
    next = sweep.next
    if (sweep.blocks === undefined) break
    const { log, indexes } = sweep.blocks
    t.ok(indexes.length > 0 && indexes.length <= 7)
    seen.push(...indexes.map(index => `${log}/${index}`))
  }
  t.equal(next, '', 'then it begins anew')
  t.equal(seen.length, 64)
  t.equal(new Set(seen).size, 64)
  t.equal(seen[0], `${LEFT}/1000`)
})

t.test('sweepDue() says how far it should be', async t => {
  const sweep = { startedMs: 100, asked: 0, next: '' }
  t.equal(sweepDue(sweep, { blocks: 50, nowMs: 100, sweepMs: 1000 }), 0)
  t.equal(sweepDue(sweep, { blocks: 50, nowMs: 600, sweepMs: 1000 }), 25)
})
