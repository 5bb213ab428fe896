/**
 * Entries as bytes: what is sealed and appended to an operation log.
 *
 * Format, version 1 (widths as in {@link ByteWriter})
 *
 * | field | form |
 * |---|---|
 * | version | u8, {@link ENTRY_VERSION} |
 * | critical flags | u16; a reader refuses bits it does not know; version 1 knows none |
 * | lamport | varint, 1 to 2^53-1 |
 * | wall time | i64 seconds, u32 nanoseconds |
 * | list version | varint |
 * | log table | varint count, 32 bytes each: {@link LogTable} |
 * | heads | varint count; each: varint log number, varint length, 32 bytes tree hash |
 * | content head | u8 0, or u8 1 and one head |
 * | origin | u8 0, or u8 1, varint log number, varint index, 32 bytes hash |
 * | sections | varint count; each: u32 key id, varint count, operations |
 * | operation | u16 type, u32 length, body: see operation-codec |
 *
 * A section's key id of 0 is the key the entry as a whole is sealed with; version 1 writes one
 * such section, or none when there are no operations. Operations are numbered through the entry.
 *
 * @module
 */
import { ByteReader, malformed } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { Entry, Head, Origin } from './entry.ts'
import { ENTRY_BYTES_MAX, type LogKey } from './log.ts'
import { LogTable } from './log-table.ts'
import {
  ENTRY_OPERATIONS_MAX,
  HASH_BYTES,
  OPERATION_TYPE_NUMBERS,
  readOperation,
  readTime,
  writeOperation,
  writeTime
} from './operation-codec.ts'
import type { Operation } from './operation.ts'
import { SyncError } from './sync-error.ts'

/** The version of the format that is written, and the newest that is read. */
export const ENTRY_VERSION = 1

const SURROUNDING_KEY_ID = 0
const HEAD_BYTES_MIN = 2 + HASH_BYTES
const OPERATION_BYTES_MIN = 6

/** Where an entry stands: identities within it are written relative to this place. */
export interface EntryPlace {
  /** Its own log. */
  readonly log: LogKey
  /** Its index there. */
  readonly index: number
}

/** An entry without its operations. */
export type EntryHeader = Omit<Entry, 'operations'>

/**
 * Encodes one entry operation by operation, so that its size is known while it grows.
 *
 * @example
 * ```ts
 * const builder = new EntryBuilder({ log, index })
 * const number = builder.add(operation)
 * if (builder.byteLength > limit) await append(builder.finish(header))
 * ```
 */
export class EntryBuilder {
  readonly #place: EntryPlace
  readonly #table: LogTable
  readonly #operations = new ByteWriter(1024)
  #count = 0
  #finished = false

  /** @param place - where the entry will stand */
  constructor(place: EntryPlace) {
    this.#place = place
    this.#table = new LogTable(place.log)
  }

  /** How many operations have been added. */
  get operationCount(): number {
    return this.#count
  }

  /** The bytes of the operations and their logs so far; the rest of the header is not counted. */
  get byteLength(): number {
    return this.#operations.length + this.#table.byteLength
  }

  /**
   * Adds an operation; its bytes are copied.
   *
   * @returns its number in the entry
   * @throws {RangeError} when it is not an operation that can be read again, or one too many; the
   *   builder is then as it was before
   */
  add(operation: Operation): number {
    if (this.#finished) throw new RangeError('the entry is finished')
    if (this.#count === ENTRY_OPERATIONS_MAX) throw new RangeError('the entry is full')
    const number = this.#count
    const before = { bytes: this.#operations.length, logs: this.#table.count }
    try {
      this.#write(operation, number)
    } catch (error) {
      this.#operations.truncate(before.bytes)
      this.#table.truncate(before.logs)
      throw error
    }
    this.#count += 1
    return number
  }

  /**
   * Completes the entry. May be called once.
   *
   * @returns the plain bytes, which are then sealed; the caller owns them
   * @throws {RangeError} when the header is invalid or the entry exceeds ENTRY_BYTES_MAX
   */
  finish(header: EntryHeader): Uint8Array {
    if (this.#finished) throw new RangeError('the entry is finished')
    this.#finished = true
    const problem = problemOfHeader(header, this.#place)
    if (problem !== undefined) throw new RangeError(problem)

    const tail = new ByteWriter(256)
    tail.varint(header.heads.length)
    for (const head of header.heads) writeHead(tail, head, this.#table)
    tail.u8(header.contentHead ? 1 : 0)
    if (header.contentHead) writeHead(tail, header.contentHead, this.#table)
    tail.u8(header.origin ? 1 : 0)
    if (header.origin) writeOrigin(tail, header.origin, this.#table)

    const operationBytes = this.#operations.length
    const writer = new ByteWriter(64 + this.#table.byteLength + tail.length + operationBytes)
    writer.u8(ENTRY_VERSION)
    writer.u16(0)
    writer.varint(header.lamport)
    writeTime(writer, header.time)
    writer.varint(header.listVersion)
    this.#table.write(writer)
    writer.bytes(tail.view())
    this.#writeSections(writer)
    if (writer.length > ENTRY_BYTES_MAX) throw new RangeError('the entry is too large')
    return writer.view()
  }

  #write(operation: Operation, number: number): void {
    const operations = this.#operations
    operations.u16(OPERATION_TYPE_NUMBERS[operation.type])
    operations.u32(0)
    const start = operations.length
    writeOperation(operations, operation, { table: this.#table, index: this.#place.index, number })
    operations.patchU32(start - 4, operations.length - start)
  }

  #writeSections(writer: ByteWriter): void {
    if (this.#count === 0) {
      writer.varint(0)
      return
    }
    writer.varint(1)
    writer.u32(SURROUNDING_KEY_ID)
    writer.varint(this.#count)
    writer.bytes(this.#operations.view())
  }
}

/**
 * Encodes an entry.
 *
 * @param place - where it will stand
 * @returns the plain bytes, which are then sealed; the caller owns them
 * @throws {RangeError} when the entry is not one that {@link decodeEntry} would take
 */
export function encodeEntry(entry: Entry, place: EntryPlace): Uint8Array {
  const builder = new EntryBuilder(place)
  for (const operation of entry.operations) builder.add(operation)
  return builder.finish(entry)
}

/**
 * Decodes an entry.
 *
 * @param bytes - the opened plain bytes. Hashes, targets, values and inline pieces of the result
 *   are views of them, so they must not change afterwards.
 * @param place - where the entry stands
 * @throws {SyncError} `NEWER_FORMAT` for a version, critical flag, key id or type of operation
 *   that this version does not know; `MALFORMED` for what no version writes
 */
export function decodeEntry(bytes: Uint8Array, place: EntryPlace): Entry {
  if (bytes.length > ENTRY_BYTES_MAX) throw malformed('the entry is too large')
  const reader = new ByteReader(bytes)
  checkVersion(reader)

  const lamport = reader.varint()
  const time = readTime(reader)
  const listVersion = reader.varint()
  const table = LogTable.read(reader, place.log)
  const heads: Head[] = []
  const headCount = reader.count(HEAD_BYTES_MIN)
  for (let i = 0; i < headCount; i++) heads.push(readHead(reader, table))
  const contentHead = readFlag(reader) ? readHead(reader, table) : undefined
  const origin = readFlag(reader) ? readOrigin(reader, table) : undefined
  const header: EntryHeader = {
    lamport,
    time,
    listVersion,
    heads,
    contentHead,
    ...(origin && { origin })
  }
  const problem = problemOfHeader(header, place)
  if (problem !== undefined) throw malformed(problem)

  const operations = readSections(reader, table, place)
  reader.end()
  table.end()
  return { ...header, operations }
}

function checkVersion(reader: ByteReader): void {
  const version = reader.u8()
  if (version === 0) throw malformed('version 0 was never written')
  if (version > ENTRY_VERSION) {
    throw new SyncError('NEWER_FORMAT', `the entry is of version ${version}`)
  }
  if (reader.u16() !== 0) {
    throw new SyncError('NEWER_FORMAT', 'the entry has an unknown critical flag')
  }
}

function writeHead(writer: ByteWriter, head: Head, table: LogTable): void {
  writer.varint(table.numberOf(head.log))
  writer.varint(head.length)
  writer.bytes(head.treeHash)
}

function readHead(reader: ByteReader, table: LogTable): Head {
  return {
    log: table.logAt(reader.varint()),
    length: reader.varint(),
    treeHash: reader.bytes(HASH_BYTES)
  }
}

function writeOrigin(writer: ByteWriter, origin: Origin, table: LogTable): void {
  writer.varint(table.numberOf(origin.log))
  writer.varint(origin.index)
  writer.bytes(origin.hash)
}

function readOrigin(reader: ByteReader, table: LogTable): Origin {
  return {
    log: table.logAt(reader.varint()),
    index: reader.varint(),
    hash: reader.bytes(HASH_BYTES)
  }
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8()
  if (flag > 1) throw malformed('a yes or no is neither')
  return flag === 1
}

function readSections(reader: ByteReader, table: LogTable, place: EntryPlace): Operation[] {
  const sectionCount = reader.varint()
  if (sectionCount === 0) return []
  if (reader.u32() !== SURROUNDING_KEY_ID) {
    throw new SyncError('NEWER_FORMAT', 'a section of the entry has a key of its own')
  }
  if (sectionCount > 1) throw malformed('the entry repeats a section')

  const operations: Operation[] = []
  const count = reader.count(OPERATION_BYTES_MIN)
  if (count === 0) throw malformed('a section is empty')
  if (count > ENTRY_OPERATIONS_MAX) throw malformed('the entry has too many operations')
  for (let number = 0; number < count; number++) {
    const typeNumber = reader.u16()
    const body = reader.bytes(reader.u32())
    operations.push(readOperation(typeNumber, body, { table, index: place.index, number }))
  }
  return operations
}

function problemOfHeader(header: EntryHeader, place: EntryPlace): string | undefined {
  if (header.lamport < 1) return 'the lamport is below 1'
  const logs = new Set<LogKey>([place.log])
  for (const head of header.heads) {
    if (logs.has(head.log)) return 'heads name a log twice or the entry itself'
    if (head.length === 0) return 'a head has no entries'
    logs.add(head.log)
  }
  const hashes = [...header.heads, ...(header.contentHead ? [header.contentHead] : [])]
  if (hashes.some(head => head.treeHash.length !== HASH_BYTES)) return 'a tree hash is not 32 bytes'
  if (header.origin && header.origin.hash.length !== HASH_BYTES) return 'a hash is not 32 bytes'
  return undefined
}
