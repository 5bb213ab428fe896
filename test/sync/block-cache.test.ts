/** The cache of blocks keeps the last used up to its number of bytes, and never more. */
import assert from 'node:assert/strict'
import t from 'tap'
import { BlockCache } from '../../src/sync/block-cache.ts'
import { filled } from '../support/bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const BYTES_MAX = 1000
const SEEDS = 50
const STEPS = 400

t.test('what was used last is kept, up to so many bytes', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededRandom(seed)
    const cache = new BlockCache(BYTES_MAX)
    // Least recently used first.
    let model: [string, Uint8Array][] = []
    for (let step = 0; step < STEPS; step++) {
      const key = `${random.integer(12)}`
      const known = model.find(([each]) => each === key)
      if (random.integer(2) === 0) {
        const block = filled(random.integer(random.integer(20) === 0 ? 1500 : 400), step)
        cache.set(key, block)
        model = [...model.filter(each => each !== known), [key, block]]
        while (model.reduce((sum, [, bytes]) => sum + bytes.length, 0) > BYTES_MAX) model.shift()
      } else {
        assert.equal(cache.get(key), known?.[1], `seed ${seed}, step ${step}`)
        if (known) model = [...model.filter(each => each !== known), known]
      }
    }
    const bytes = [...Array(12).keys()].reduce((sum, key) => {
      return sum + (cache.get(`${key}`)?.length ?? 0)
    }, 0)
    assert.ok(bytes <= BYTES_MAX)
    assert.equal(
      bytes,
      model.reduce((sum, [, block]) => sum + block.length, 0)
    )
  }
})

t.test('a block larger than the cache is not kept, and the cache goes on', async t => {
  const cache = new BlockCache(10)
  cache.set('small', filled(5, 1))
  cache.set('large', filled(11, 2))
  t.equal(cache.get('large'), undefined)
  cache.set('next', filled(10, 3))
  t.equal(cache.get('next')?.length, 10)
})
