/** Counting in how many sets each block is, compared to counting one by one. */
import t from 'tap'
import { inAtLeast } from '../../src/replication/copy-counter.ts'
import { BITMAP_BYTES, emptyBitmap, hasBit, setBit } from '../../src/sync/block-bitmap.ts'
import { SeededRandom } from '../support/seeded-random.ts'

t.test('inAtLeast() says what counting says', async t => {
  const random = new SeededRandom(Number(process.env['GROVE_SEED'] ?? 1))
  for (const length of [0, 1, 2, 3, 7, 8, 33, 70]) {
    const sets = Array.from({ length }, (_, at) =>
      at % 3 === 0 ? new Uint8Array(BITMAP_BYTES).fill(0xff) : random.bytes(BITMAP_BYTES)
    )
    for (const count of [1, 2, 3, 4, 8, 31, 64, 200]) {
      const expected = length === 0 ? new Uint8Array(0) : emptyBitmap()
      for (let index = 0; index < expected.length * 8; index++)
        if (sets.filter(set => hasBit(set, index)).length >= count) setBit(expected, index)
      t.same(inAtLeast(sets, count), expected, `${count} of ${length}`)
    }
  }
})
