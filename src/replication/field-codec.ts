/**
 * Messages put together from fields: each field says how it is written and how it is read back,
 * and there is one encoding of each value.
 *
 * What is read comes from anyone. Counts and sizes are bounded by the field; whatever else is
 * wrong is a {@link CryptoError}. What is written is ours, so what does not fit is a RangeError.
 *
 * @module
 */
import type { ByteReader } from '../crypto/byte-reader.ts'
import { CryptoError } from '../crypto/crypto-error.ts'
import { LOG_WINDOW_BYTES } from '../crypto/log-window.ts'
import { BITMAP_BYTES, type BlockSet } from '../sync/block-bitmap.ts'
import type { ByteWriter } from '../sync/byte-writer.ts'
import { LOG_KEY_BYTES, logKey, type LogKey } from '../sync/log.ts'

/** How a value of a message is written and read. */
export interface FieldCodec<T> {
  /** How many bytes it has at most. */
  readonly bytesMax: number
  /** Appends it. @throws {RangeError} when it does not fit */
  write(writer: ByteWriter, value: T): void
  /** Reads it; copies what is kept. @throws {CryptoError} and nothing else */
  read(reader: ByteReader): T
}

/** The value of a codec. */
export type FieldValue<C> = C extends FieldCodec<infer T> ? T : never

/** Any codec; only its limits can be asked for. */
type AnyCodec = Pick<FieldCodec<never>, 'bytesMax'> & { read(reader: ByteReader): unknown }

/** u8. */
export const u8Field: FieldCodec<number> = {
  bytesMax: 1,
  write: (writer, value) => writer.u8(value),
  read: reader => reader.u8()
}

/** u32. */
export const u32Field: FieldCodec<number> = {
  bytesMax: 4,
  write: (writer, value) => writer.u32(value),
  read: reader => reader.u32()
}

/** u64 up to 2^53 - 1. */
export const u64Field: FieldCodec<number> = {
  bytesMax: 8,
  write: (writer, value) => {
    if (value < 0) throw new RangeError(`${value} is negative`)
    writer.i64(value)
  },
  read: reader => reader.u64()
}

/** u8, 0 or 1. */
export const flagField: FieldCodec<boolean> = {
  bytesMax: 1,
  write: (writer, value) => writer.u8(value ? 1 : 0),
  read: reader => {
    const flag = reader.u8()
    if (flag > 1) throw new CryptoError('MALFORMED', `no flag: ${flag}`)
    return flag === 1
  }
}

/** A run of a fixed length. */
export function bytesField(length: number): FieldCodec<Uint8Array> {
  return {
    bytesMax: length,
    write: (writer, value) => {
      if (value.length !== length) throw new RangeError(`${value.length} bytes, not ${length}`)
      writer.bytes(value)
    },
    read: reader => reader.copy(length)
  }
}

/** u32 length and a run of up to `bytesMax` bytes. */
export function blobField(bytesMax: number): FieldCodec<Uint8Array> {
  return {
    bytesMax: 4 + bytesMax,
    write: (writer, value) => {
      if (value.length > bytesMax) throw new RangeError(`${value.length} bytes, over ${bytesMax}`)
      writer.u32(value.length)
      writer.bytes(value)
    },
    read: reader => reader.copy(reader.count(bytesMax))
  }
}

/** The key of a log, 32 bytes. */
export const logField: FieldCodec<LogKey> = {
  bytesMax: LOG_KEY_BYTES,
  write: (writer, value) => writer.bytes(Buffer.from(value, 'hex')),
  read: reader => logKey(Buffer.from(reader.view(LOG_KEY_BYTES)).toString('hex'))
}

/** Blocks of a window; see `log-window.ts`. */
export const blocksField: FieldCodec<BlockSet> = {
  bytesMax: LOG_WINDOW_BYTES,
  write: (writer, { log, window, bitmap }) => {
    if (bitmap.length !== BITMAP_BYTES) throw new RangeError('no bitmap of a window')
    logField.write(writer, log)
    writer.u32(window)
    writer.bytes(bitmap)
  },
  read: reader => ({
    log: logField.read(reader),
    window: reader.u32(),
    bitmap: reader.copy(BITMAP_BYTES)
  })
}

/** A flag, and the value if it is set. */
export function optionalField<T>(codec: FieldCodec<T>): FieldCodec<T | undefined> {
  return {
    bytesMax: 1 + codec.bytesMax,
    write: (writer, value) => {
      flagField.write(writer, value !== undefined)
      if (value !== undefined) codec.write(writer, value)
    },
    read: reader => (flagField.read(reader) ? codec.read(reader) : undefined)
  }
}

/**
 * u32 count and so many values.
 *
 * @param bytesMax - of all of them together, when that is less than each could have
 */
export function listField<T>(
  codec: FieldCodec<T>,
  countMax: number,
  bytesMax = countMax * codec.bytesMax
): FieldCodec<readonly T[]> {
  return {
    bytesMax: 4 + bytesMax,
    write: (writer, values) => {
      if (values.length > countMax) throw new RangeError(`${values.length} items, over ${countMax}`)
      writer.u32(values.length)
      for (const value of values) codec.write(writer, value)
    },
    read: reader => {
      const values: T[] = []
      for (let count = reader.count(countMax); count > 0; count--) values.push(codec.read(reader))
      return values
    }
  }
}

/** Lengths of logs: u32 count, and of each, in the order of their keys, log and u64. */
export function lengthsField(countMax: number): FieldCodec<ReadonlyMap<LogKey, number>> {
  const rows = listField(recordField({ log: logField, length: u64Field }), countMax)
  return {
    bytesMax: rows.bytesMax,
    write: (writer, value) => {
      const sorted = [...value].toSorted(([left], [right]) => (left < right ? -1 : 1))
      rows.write(
        writer,
        sorted.map(([log, length]) => ({ log, length }))
      )
    },
    read: reader => {
      const lengths = new Map<LogKey, number>()
      let previous = ''
      for (const { log, length } of rows.read(reader)) {
        if (log <= previous) throw new CryptoError('MALFORMED', 'logs do not ascend')
        previous = log
        lengths.set(log, length)
      }
      return lengths
    }
  }
}

/** Fields one after another. */
export function recordField<Fields extends Readonly<Record<string, AnyCodec>>>(
  fields: Fields
): FieldCodec<{ readonly [Name in keyof Fields]: FieldValue<Fields[Name]> }> {
  type Row = { readonly [Name in keyof Fields]: FieldValue<Fields[Name]> }
  const rows = Object.entries(fields) as unknown as readonly (readonly [
    string,
    FieldCodec<unknown>
  ])[]
  return {
    bytesMax: rows.reduce((sum, [, codec]) => sum + codec.bytesMax, 0),
    write: (writer, value) => {
      for (const [name, codec] of rows) codec.write(writer, value[name])
    },
    read: reader =>
      Object.fromEntries(rows.map(([name, codec]) => [name, codec.read(reader)])) as Row
  }
}

/** u8 that says which, and the value of that kind. */
export function variantField<Kinds extends Readonly<Record<string, AnyCodec>>>(
  kinds: Kinds
): FieldCodec<
  { readonly [Kind in keyof Kinds]: { readonly kind: Kind } & FieldValue<Kinds[Kind]> }[keyof Kinds]
> {
  type Variant = {
    readonly [Kind in keyof Kinds]: { readonly kind: Kind } & FieldValue<Kinds[Kind]>
  }[keyof Kinds]
  const rows = Object.entries(kinds) as unknown as readonly (readonly [
    string,
    FieldCodec<unknown>
  ])[]
  return {
    bytesMax: 1 + Math.max(...rows.map(([, codec]) => codec.bytesMax)),
    write: (writer, value) => {
      const at = rows.findIndex(([kind]) => kind === value.kind)
      writer.u8(at + 1)
      rows[at]?.[1].write(writer, value)
    },
    read: reader => {
      const code = reader.u8()
      const row = rows[code - 1]
      if (row === undefined) throw new CryptoError('MALFORMED', `no kind: ${code}`)
      return { kind: row[0], ...(row[1].read(reader) as object) } as Variant
    }
  }
}
