/** Reading is the inverse of writing, and never runs past the end. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ByteReader } from '../../src/crypto/byte-reader.ts'
import { ByteWriter } from '../../src/crypto/byte-writer.ts'
import { fromHex, toHex } from '../support/bytes.ts'

t.test('ByteReader reads what ByteWriter wrote', async () => {
  const numbers = fc.tuple(
    fc.integer({ min: 0, max: 0xff }),
    fc.integer({ min: 0, max: 0xffff }),
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.maxSafeNat(),
    fc.uint8Array({ maxLength: 40 })
  )
  const inverse = fc.property(numbers, ([u8, u16, u32, u64, run]) => {
    const writer = new ByteWriter(new Uint8Array(15 + run.length))
    const bytes = writer.u8(u8).u16(u16).u32(u32).u64(u64).put(run).end()
    const reader = new ByteReader(bytes)
    assert.deepEqual([reader.u8(), reader.u16(), reader.u32(), reader.u64()], [u8, u16, u32, u64])
    assert.equal(toHex(reader.copy(run.length)), toHex(run))
    reader.end()
  })
  fc.assert(inverse)
})

t.test('ByteReader refuses to read past the end', async t => {
  const reads: ((reader: ByteReader) => unknown)[] = [
    reader => reader.u32(),
    reader => reader.u64(),
    reader => reader.view(4),
    reader => reader.copy(4)
  ]
  for (const read of reads) {
    const reader = new ByteReader(fromHex('010203'))
    t.throws(() => read(reader), { code: 'TRUNCATED' })
    t.equal(reader.remaining, 3, 'a refused read takes nothing')
  }
  t.throws(() => new ByteReader(new Uint8Array(0)).u8(), { code: 'TRUNCATED' })
  t.throws(() => new ByteReader(new Uint8Array(1)).u16(), { code: 'TRUNCATED' })
})

t.test('ByteReader refuses what the format does not allow', async t => {
  t.throws(() => new ByteReader(fromHex('ffffffffffffffff')).u64(), { code: 'MALFORMED' })
  t.throws(() => new ByteReader(fromHex('05000000')).count(4), { code: 'MALFORMED' })
  t.equal(new ByteReader(fromHex('04000000')).count(4), 4)
  const reader = new ByteReader(fromHex('0102'))
  reader.u8()
  t.throws(() => reader.end(), { code: 'MALFORMED' })
})

t.test('copy() of a Buffer is a copy and no Buffer', async t => {
  const source = Buffer.from([1, 2, 3])
  const copy = new ByteReader(source).copy(3)
  source[0] = 9
  t.equal(toHex(copy), '010203')
  t.notOk(Buffer.isBuffer(copy))
})
