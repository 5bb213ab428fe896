/** Byte strings that share buffers are as separate as if each had one of its own. */
import t from 'tap'
import {
  KEPT_SLAB_BYTES,
  NO_BYTES,
  Scratch,
  Slab,
  SLAB_BYTES,
  SLAB_SHARE_MAX
} from '../../src/crypto/slab.ts'
import { filled } from '../support/bytes.ts'

t.test('what is cut is zeros, of the size asked for, and nobody else has it', async t => {
  for (const size of [SLAB_BYTES, KEPT_SLAB_BYTES]) {
    const slab = new Slab(size)
    const shared = size * SLAB_SHARE_MAX
    const cuts: Uint8Array[] = []
    for (const length of [0, 1, shared, shared + 1, 3 * size]) {
      for (let count = 0; count < 20; count++) cuts.push(slab.cut(length))
    }
    for (const [number, bytes] of cuts.entries()) {
      t.ok(bytes.every(byte => byte === 0))
      bytes.fill(1 + (number % 255))
    }
    for (const [number, bytes] of cuts.entries())
      t.ok(bytes.every(byte => byte === 1 + (number % 255)))
  }
})

t.test('small ones share a buffer, large ones do not', async t => {
  const slab = new Slab()
  const shared = SLAB_BYTES * SLAB_SHARE_MAX
  t.equal(slab.cut(shared).buffer, slab.cut(shared).buffer)
  t.equal(slab.cut(shared + 1).buffer.byteLength, shared + 1)
})

t.test('a copy does not change with its source', async t => {
  const slab = new Slab()
  const source = filled(40, 7)
  const copy = slab.copy(source)
  source.fill(0)
  t.strictSame(copy, filled(40, 7))
  t.equal(slab.copy(new Uint8Array(0)), NO_BYTES)
})

t.test('a scratch gives its first bytes again and again, and no more than it has', async t => {
  const scratch = new Scratch(8)
  scratch.bytes.set([1, 2, 3])
  t.strictSame(scratch.first(2), Uint8Array.of(1, 2))
  t.equal(scratch.first(2), scratch.first(2))
  t.equal(scratch.first(8).length, 8)
  t.throws(() => scratch.first(9), RangeError)
})
