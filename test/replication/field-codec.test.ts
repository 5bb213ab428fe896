/** Fields: what is written is read, and nothing else is. */
import assert from 'node:assert/strict'
import t from 'tap'
import { ByteReader } from '../../src/crypto/byte-reader.ts'
import {
  blobField,
  blocksField,
  bytesField,
  flagField,
  lengthsField,
  listField,
  logField,
  optionalField,
  recordField,
  u32Field,
  u64Field,
  u8Field,
  variantField,
  type FieldCodec
} from '../../src/replication/field-codec.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { ByteWriter } from '../../src/sync/byte-writer.ts'
import { logKey } from '../../src/sync/log.ts'
import { fromHex, toHex } from '../support/bytes.ts'

const [low, high] = [logKey('0a'.repeat(32)), logKey('0b'.repeat(32))]

function written<T>(codec: FieldCodec<T>, value: T): Uint8Array {
  const writer = new ByteWriter()
  codec.write(writer, value)
  return writer.view().slice()
}

function read<T>(codec: FieldCodec<T>, bytes: Uint8Array): T {
  const reader = new ByteReader(bytes)
  const value = codec.read(reader)
  reader.end()
  return value
}

function isBoth<T>(codec: FieldCodec<T>, value: T, hex: string): void {
  assert.equal(toHex(written(codec, value)), hex)
  assert.deepEqual(read(codec, fromHex(hex)), value)
  assert(hex.length / 2 <= codec.bytesMax, 'within its limit')
}

t.test('each field has one encoding', async t => {
  isBoth(u8Field, 7, '07')
  isBoth(u32Field, 258, '02010000')
  isBoth(u64Field, 2 ** 40, '0000000000010000')
  isBoth(flagField, true, '01')
  isBoth(bytesField(2), Uint8Array.of(1, 2), '0102')
  isBoth(blobField(9), Uint8Array.of(1, 2), '020000000102')
  isBoth(logField, low, low)
  isBoth(optionalField(u8Field), undefined, '00')
  isBoth(optionalField(u8Field), 0, '0100')
  isBoth(listField(u8Field, 3), [1, 2], '020000000102')
  isBoth(recordField({ a: u8Field, b: flagField }), { a: 3, b: false }, '0300')
  const kinds = variantField({ one: recordField({ n: u8Field }), two: recordField({}) })
  isBoth(kinds, { kind: 'one', n: 5 }, '0105')
  isBoth(kinds, { kind: 'two' }, '02')
  const bitmap = rangeBitmap({ window: 1, from: 1024, to: 1026 })
  isBoth(blocksField, { log: low, window: 1, bitmap }, `${low}0100000003${'00'.repeat(127)}`)
  const lengths = new Map([
    [low, 1],
    [high, 2]
  ])
  const row = (log: string, length: number): string => `${log}0${length}${'00'.repeat(7)}`
  isBoth(lengthsField(2), lengths, `02000000${row(low, 1)}${row(high, 2)}`)
  const turned = new Map([...lengths].toReversed())
  t.equal(toHex(written(lengthsField(2), turned)), toHex(written(lengthsField(2), lengths)))
})

t.test('what is out of bounds or has another encoding is refused', async t => {
  const refused = (codec: FieldCodec<unknown>, hex: string): void => {
    assert.throws(() => read(codec, fromHex(hex)), { name: 'CryptoError' }, hex)
  }
  refused(flagField, '02')
  refused(u64Field, 'ffffffffffffffff')
  refused(blobField(1), '020000000102')
  refused(listField(u8Field, 1), '020000000102')
  refused(optionalField(u8Field), '0205')
  refused(variantField({ one: u8Field }), '0205')
  refused(variantField({ one: u8Field }), '0005')
  const row = (log: string): string => `${log}${'00'.repeat(8)}`
  refused(lengthsField(2), `02000000${row(high)}${row(low)}`)
  refused(lengthsField(2), `02000000${row(low)}${row(low)}`)
  t.pass()
})

t.test('what does not fit is not written', async t => {
  t.throws(() => written(bytesField(2), new Uint8Array(3)), RangeError)
  t.throws(() => written(blobField(2), new Uint8Array(3)), RangeError)
  t.throws(() => written(listField(u8Field, 1), [1, 2]), RangeError)
  t.throws(() => written(u64Field, -1), RangeError)
  t.throws(
    () => written(blocksField, { log: low, window: 0, bitmap: new Uint8Array(3) }),
    RangeError
  )
})
