/** Grouped rows are a map with keys of two parts, whatever is set and removed. */
import assert from 'node:assert/strict'
import t from 'tap'
import { GroupedRows } from '../../src/sync/grouped-rows.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const SEEDS = 200
const STEPS = 60
const GROUPS = 4
const SUBS = ['', 'a', 'b', '\0']

/** All rows, in an order of their own. */
function sorted(rows: Iterable<[number, string, number | null]>): string[] {
  return [...rows].map(row => JSON.stringify(row)).toSorted()
}

t.test(`they equal a naive map (${SEEDS} histories)`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededRandom(seed)
    const rows = new GroupedRows<number | null>()
    const naive = new Map<string, [number, string, number | null]>()
    for (let step = 0; step < STEPS; step++) {
      const group = random.integer(GROUPS)
      const sub = SUBS[random.integer(SUBS.length)] ?? ''
      const key = `${group} ${sub}`
      if (random.integer(3) === 0) {
        assert.equal(rows.delete(group, sub), naive.delete(key))
      } else {
        const value = random.integer(4) === 0 ? null : step
        rows.set(group, sub, value)
        naive.set(key, [group, sub, value])
      }
      assert.equal(rows.count, naive.size, `seed ${seed}, step ${step}`)
      assert.equal(rows.get(group, sub), naive.get(key)?.[2])
      assert.deepEqual(sorted(rows.rows()), sorted(naive.values()), `seed ${seed}, step ${step}`)
      for (const [from, to] of [
        [group, group + 1],
        [1, 3]
      ] as const) {
        const wanted = [...naive.values()].filter(([at]) => at >= from && at < to)
        assert.deepEqual(sorted(rows.between(from, to)), sorted(wanted))
      }
    }
  }
})
