/** Bitmaps of windows behave as sets of numbers do. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  BITMAP_BYTES,
  WINDOW_BLOCKS,
  blockSetsOf,
  countBits,
  difference,
  emptyBitmap,
  hasBit,
  indexesOf,
  intersection,
  isEmptyBitmap,
  isSubset,
  rangeBitmap,
  setBit,
  union,
  windowOf
} from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'

const LOG = logKey('ab'.repeat(32))
const window = 7
const first = window * WINDOW_BLOCKS
const numbers = fc.uniqueArray(fc.integer({ min: first, max: first + WINDOW_BLOCKS - 1 }))

const bitmapOf = (indexes: readonly number[]): Uint8Array => {
  const bitmap = emptyBitmap()
  for (const index of indexes) setBit(bitmap, index)
  return bitmap
}
const ascending = (indexes: Iterable<number>): number[] =>
  [...indexes].toSorted((left, right) => left - right)
const indexes = (bitmap: Uint8Array): number[] => [...indexesOf({ window, bitmap })]

t.test('a bitmap is the set of the numbers put into it', async () => {
  fc.assert(
    fc.property(numbers, numbers, (left, right) => {
      const [one, other] = [bitmapOf(left), bitmapOf(right)]
      const both = left.filter(each => right.includes(each))
      const onlyLeft = left.filter(each => !right.includes(each))
      assert.deepEqual(indexes(one), ascending(left))
      assert.equal(countBits(one), left.length)
      assert.equal(isEmptyBitmap(one), left.length === 0)
      assert.deepEqual(indexes(intersection(one, other)), ascending(both))
      assert.deepEqual(indexes(difference(one, other)), ascending(onlyLeft))
      assert.deepEqual(indexes(union(one, other)), ascending(new Set([...left, ...right])))
      assert.equal(isSubset(one, other), onlyLeft.length === 0)
      for (const index of right) assert.equal(hasBit(one, index), left.includes(index))
    })
  )
})

t.test('rangeBitmap() cuts a range to the window', async t => {
  t.same(indexes(rangeBitmap({ window, from: first - 5, to: first + 2 })), [first, first + 1])
  const last = first + WINDOW_BLOCKS - 1
  t.same(indexes(rangeBitmap({ window, from: last, to: last + 9 })), [last])
  t.ok(isEmptyBitmap(rangeBitmap({ window, from: 0, to: first })))
  t.equal(countBits(rangeBitmap({ window, from: 0, to: 2 ** 30 })), WINDOW_BLOCKS)
})

t.test('blockSetsOf() parts blocks into windows, ascending', async t => {
  const sets = blockSetsOf(LOG, [WINDOW_BLOCKS, 3, WINDOW_BLOCKS - 1, WINDOW_BLOCKS + 8])
  t.same(
    sets.map(set => [set.log, set.window, [...indexesOf(set)]]),
    [
      [LOG, 0, [3, WINDOW_BLOCKS - 1]],
      [LOG, 1, [WINDOW_BLOCKS, WINDOW_BLOCKS + 8]]
    ]
  )
  t.equal(windowOf(WINDOW_BLOCKS), 1)
  t.equal(emptyBitmap().length, BITMAP_BYTES)
  t.same(sets[0]?.bitmap.slice(0, 1), Uint8Array.of(8), 'the first block is the lowest bit')
})
