/** Fields as the formats describe them, byte for byte. */
import t from 'tap'
import { ByteWriter } from '../../src/sync/byte-writer.ts'

const written = (write: (writer: ByteWriter) => void): string => {
  const writer = new ByteWriter(1)
  write(writer)
  t.equal(writer.length, writer.view().length)
  return Buffer.from(writer.view()).toString('hex')
}

t.test('fixed widths are little-endian', async t => {
  t.equal(
    written(w => w.u8(0xfe)),
    'fe'
  )
  t.equal(
    written(w => w.u16(0xfedc)),
    'dcfe'
  )
  t.equal(
    written(w => w.u32(0xfedcba98)),
    '98badcfe'
  )
  t.equal(
    written(w => w.i64(1)),
    '0100000000000000'
  )
  t.equal(
    written(w => w.i64(-1)),
    'ffffffffffffffff'
  )
  t.equal(
    written(w => w.i64(2 ** 32)),
    '0000000001000000'
  )
  t.equal(
    written(w => w.i64(-(2 ** 32) - 1)),
    'fffffffffeffffff'
  )
  t.equal(
    written(w => w.i64(Number.MIN_SAFE_INTEGER)),
    '010000000000e0ff'
  )
})

t.test('a varint takes 7 bits a byte, least first', async t => {
  for (const [value, hex] of [
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [2 ** 32, '8080808010'],
    [Number.MAX_SAFE_INTEGER, 'ffffffffffffff0f']
  ] as const)
    t.equal(
      written(w => w.varint(value)),
      hex,
      String(value)
    )
})

t.test('bytes, names and a patch land where they should, however it grows', async t => {
  const hex = written(w => {
    w.u32(0)
    w.bytes(Uint8Array.of(1, 2, 3))
    w.latin1('\u00e9a')
    w.bytes(new Uint8Array(1000).fill(7))
    w.patchU32(0, w.length)
  })
  t.equal(hex, `f1030000010203e961${'07'.repeat(1000)}`)
})

t.test('what does not fit its field is a RangeError', async t => {
  for (const write of [
    (w: ByteWriter) => w.u8(256),
    (w: ByteWriter) => w.u8(-1),
    (w: ByteWriter) => w.u16(65_536),
    (w: ByteWriter) => w.u32(2 ** 32),
    (w: ByteWriter) => w.u32(Number.NaN),
    (w: ByteWriter) => w.i64(2 ** 53),
    (w: ByteWriter) => w.varint(2 ** 53),
    (w: ByteWriter) => w.varint(-1),
    (w: ByteWriter) => w.varint(0.5),
    (w: ByteWriter) => w.latin1('\u0100'),
    (w: ByteWriter) => w.patchU32(0, 1)
  ])
    t.throws(() => write(new ByteWriter()), RangeError, String(write))
})

t.test('truncate() takes back what was written last', async t => {
  const writer = new ByteWriter(2)
  for (const byte of [1, 2, 3, 4]) writer.u8(byte)
  writer.truncate(2)
  writer.u8(9)
  t.strictSame([...writer.view()], [1, 2, 9])
  for (const length of [-1, 4, 0.5]) t.throws(() => writer.truncate(length), RangeError)
})
