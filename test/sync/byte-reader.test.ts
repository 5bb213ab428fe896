/** What the writer writes comes back, and nothing else is taken. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ByteReader } from '../../src/sync/byte-reader.ts'
import { ByteWriter } from '../../src/sync/byte-writer.ts'

const reader = (hex: string): ByteReader => new ByteReader(Buffer.from(hex, 'hex'))
const MALFORMED = { name: 'SyncError', code: 'MALFORMED' }

t.test('every field comes back', async () => {
  const fields = fc.tuple(
    fc.nat({ max: 255 }),
    fc.nat({ max: 65_535 }),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    fc.maxSafeInteger(),
    fc.maxSafeNat(),
    fc.uint8Array()
  )
  fc.assert(
    fc.property(fields, ([u8, u16, u32, i64, varint, bytes]) => {
      const writer = new ByteWriter()
      writer.u8(u8)
      writer.u16(u16)
      writer.u32(u32)
      writer.i64(i64)
      writer.varint(varint)
      writer.bytes(bytes)
      writer.latin1(Buffer.from(bytes).toString('latin1'))
      const reader = new ByteReader(writer.view())
      assert.equal(reader.u8(), u8)
      assert.equal(reader.u16(), u16)
      assert.equal(reader.u32(), u32)
      assert.equal(reader.i64(), i64)
      assert.equal(reader.varint(), varint)
      assert.deepEqual(Uint8Array.from(reader.bytes(bytes.length)), bytes)
      assert.equal(reader.latin1(bytes.length), Buffer.from(bytes).toString('latin1'))
      reader.end()
    })
  )
})

t.test('what ends too early is MALFORMED and takes nothing', async t => {
  for (const read of [
    (r: ByteReader) => r.u16(),
    (r: ByteReader) => r.u32(),
    (r: ByteReader) => r.i64(),
    (r: ByteReader) => r.bytes(2),
    (r: ByteReader) => r.bytes(2 ** 40),
    (r: ByteReader) => r.latin1(2 ** 40)
  ]) {
    const one = reader('01')
    t.throws(() => read(one), MALFORMED, String(read))
    t.equal(one.remaining, 1)
  }
  t.throws(() => reader('').u8(), MALFORMED)
  t.throws(() => reader('80').varint(), MALFORMED)
})

t.test('a varint has one form, a maximum and at most 8 bytes', async t => {
  for (const hex of ['8000', 'ff00', 'ffffffffffffff10', 'ffffffffffffff7f', 'ff'.repeat(9)])
    t.throws(() => reader(hex).varint(), MALFORMED, hex)
  t.equal(reader('00').varint(), 0)
  t.equal(reader('ffffffffffffff0f').varint(), Number.MAX_SAFE_INTEGER)
  t.equal(reader('7f').varint(127), 127)
  t.throws(() => reader('7f').varint(126), MALFORMED)
})

t.test('an i64 beyond the safe integers is MALFORMED', async t => {
  t.throws(() => reader('00000000000020 00'.replace(' ', '')).i64(), MALFORMED)
  t.throws(() => reader('ffffffffffffff7f').i64(), MALFORMED)
  t.throws(() => reader('0000000000000080').i64(), MALFORMED)
  t.equal(reader('ffffffffffff1f00').i64(), Number.MAX_SAFE_INTEGER)
})

t.test('count() believes the bytes, not the number', async t => {
  t.equal(reader('02aabb').count(1), 2)
  t.throws(() => reader('03aabb').count(1), MALFORMED)
  t.throws(() => reader('02aabb').count(2), MALFORMED)
  t.throws(() => reader('ffffffffffffff0f').count(32), MALFORMED)
})

t.test('end() refuses what is left over', async t => {
  t.doesNotThrow(() => reader('').end())
  t.throws(() => reader('00').end(), MALFORMED)
})
