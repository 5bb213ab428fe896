/**
 * Identities of operations and times in rows of the index.
 *
 * @module
 */
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Timestamp } from './clock.ts'
import type { LogNumbers } from './log-numbers.ts'
import type { OperationId } from './operation.ts'

/** Appends an identity. */
export function writeId(out: ByteWriter, id: OperationId, logs: LogNumbers): void {
  out.varint(logs.numberOf(id.log))
  out.varint(id.index)
  out.varint(id.number)
}

/** Takes an identity. */
export function readId(reader: ByteReader, logs: LogNumbers): OperationId {
  return { log: logs.keyOf(reader.varint()), index: reader.varint(), number: reader.varint() }
}

/** @returns whether two identities are the same */
export function sameId(left: OperationId, right: OperationId): boolean {
  return left.number === right.number && left.index === right.index && left.log === right.log
}

/** Appends a time. */
export function writeTime(out: ByteWriter, time: Timestamp): void {
  out.i64(time.sec)
  out.u32(time.nsec)
}

/** Takes a time. */
export function readTime(reader: ByteReader): Timestamp {
  return { sec: reader.i64(), nsec: reader.u32() }
}
