/** What a writer refuses: numbers out of range, runs of another length, a buffer not filled. */
import t from 'tap'
import { ByteWriter } from '../../src/crypto/byte-writer.ts'
import { fromHex, toHex } from '../support/bytes.ts'

const writer = (size: number) => new ByteWriter(new Uint8Array(size))

t.test('ByteWriter writes little-endian', async t => {
  const bytes = writer(15).u8(1).u16(0x0203).u32(0x04050607).u64(0x08090a0b0c0d0e).end()
  t.equal(toHex(bytes), '010302070605040e0d0c0b0a090800')
})

t.test('ByteWriter refuses numbers that do not fit', async t => {
  for (const write of [
    () => writer(8).u8(256),
    () => writer(8).u16(-1),
    () => writer(8).u32(2 ** 32),
    () => writer(8).u32(1.5),
    () => writer(8).u64(2 ** 53),
    () => writer(8).u64(NaN)
  ])
    t.throws(write, RangeError)
})

t.test('ByteWriter refuses to write past the end, or less than all', async t => {
  t.throws(() => writer(3).u32(1), RangeError)
  t.throws(() => writer(3).put(fromHex('01020304')), RangeError)
  t.throws(() => writer(3).put(fromHex('01'), 2), RangeError)
  t.throws(() => writer(3).u16(1).end(), RangeError)
})
