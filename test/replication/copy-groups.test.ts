/** Blocks that are kept alike, compared to counting block by block. */
import t from 'tap'
import { copyGroups } from '../../src/replication/copy-groups.ts'
import {
  BITMAP_BYTES,
  countBits,
  hasBit,
  indexesOf,
  rangeBitmap
} from '../../src/sync/block-bitmap.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const range = (from: number, to: number): Uint8Array => rangeBitmap({ window: 0, from, to })

t.test('copyGroups() splits where a set begins and ends', async t => {
  const groups = copyGroups(range(0, 10), [
    { tag: 'a', bitmap: range(0, 100) },
    { tag: 'b', bitmap: range(5, 7) },
    { tag: 'c', bitmap: range(50, 60) }
  ])
  t.same(groups, [
    { bitmap: range(5, 7), tags: ['a', 'b'] },
    {
      bitmap: new Uint8Array(range(0, 10).map((byte, at) => byte & ~(range(5, 7)[at] ?? 0))),
      tags: ['a']
    }
  ])
  t.same(copyGroups(range(0, 0), [{ tag: 'a', bitmap: range(0, 9) }]), [])
  t.same(copyGroups(range(0, 3), []), [{ bitmap: range(0, 3), tags: [] }])
})

t.test('copyGroups() says of each block who has it', async t => {
  const random = new SeededRandom(Number(process.env['GROVE_SEED'] ?? 1))
  for (let round = 0; round < 50; round++) {
    const blocks = random.bytes(BITMAP_BYTES)
    const sets = Array.from({ length: random.integer(9) }, (_, tag) => {
      const from = random.integer(1024)
      const bitmap = random.integer(2) ? random.bytes(BITMAP_BYTES) : range(from, from + 300)
      return { tag, bitmap }
    })
    const groups = copyGroups(blocks, sets)
    t.equal(
      groups.reduce((sum, { bitmap }) => sum + countBits(bitmap), 0),
      countBits(blocks)
    )
    const wrong = groups.flatMap(({ bitmap, tags }) =>
      [...indexesOf({ window: 0, bitmap })].filter(index => {
        const actual = sets.filter(set => hasBit(set.bitmap, index)).map(({ tag }) => tag)
        return !hasBit(blocks, index) || actual.join() !== tags.join()
      })
    )
    t.same(wrong, [])
  }
})

t.test('copyGroups() takes bitmaps that lie anywhere in a Buffer', async t => {
  const unaligned = (bitmap: Uint8Array): Uint8Array => {
    const buffer = Buffer.alloc(BITMAP_BYTES + 3)
    buffer.set(bitmap, 3)
    return buffer.subarray(3)
  }
  const sets = [{ tag: 'a', bitmap: unaligned(range(5, 7)) }]
  const [first, second] = copyGroups(unaligned(range(0, 10)), sets)
  t.same([...indexesOf({ window: 0, bitmap: first?.bitmap ?? range(0, 0) })], [5, 6])
  t.equal(countBits(second?.bitmap ?? range(0, 0)), 8)
})
