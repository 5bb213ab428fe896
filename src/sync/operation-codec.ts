/**
 * Operations as bytes: the body of each type of operation, and the checks that what an entry
 * records is something the model knows.
 *
 * Format, version 1 (widths as in {@link ByteWriter}; `id` and `time` below)
 *
 * - id: varint log number ({@link LogTable}); then nothing for {@link ROOT_LOG_NUMBER}; else
 *   varint index and varint number, where the index of the entry's own log is written as the
 *   distance back from this entry: 0 is this entry, and then the number is that of an earlier
 *   operation
 * - time: i64 seconds, u32 nanoseconds
 * - name: u8 length, bytes
 * - ids: varint count, ids
 * - piece: u8 kind (1 block, 2 inline, 3 hole), varint distance from the end of the previous
 *   piece, varint length; block: varint log number, varint index, 32 bytes hash, varint offset
 *   in the block; inline: the bytes
 *
 * | type | number | body |
 * |---|---|---|
 * | create | 1 | parent id, name, u8 kind, u16 mode, u32 uid, u32 gid, u32 rdev, varint length and target, time |
 * | mkdir | 2 | parent id, name, u16 mode, u32 uid, u32 gid, time |
 * | link | 3 | inode id, through id, parent id, name, time |
 * | unlink, rmdir | 4, 5 | ids, parent id, time |
 * | rename | 6 | ids, from id, parent id, name, ids replaced, time |
 * | exchange | 7 | ids, parent id, name, ids, parent id, name, time |
 * | write | 8 | inode id, through id, base id, varint size, varint count, pieces, time |
 * | truncate | 9 | inode id, through id, base id, varint size, time |
 * | setattr | 10 | inode id, base id, u8 which (1 mode, 2 uid, 4 gid, 8 atime, 16 mtime), those, time |
 * | setxattr | 11 | inode id, base id, name, varint length and value, time |
 * | removexattr | 12 | inode id, base id, name, time |
 * | statement, envelope | 13, 14 | bytes |
 *
 * {@link RESERVED_TYPE_NUMBERS} are promised to later versions. A reader refuses them and every
 * other number it does not know as `NEWER_FORMAT`: to skip an operation would give another tree.
 *
 * @module
 */
import { ByteReader, malformed } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Timestamp } from './clock.ts'
import { ENTRY_BYTES_MAX, type LogKey } from './log.ts'
import { OWN_LOG_NUMBER, ROOT_LOG_NUMBER, type LogTable } from './log-table.ts'
import {
  NAME_BYTES_MAX,
  ROOT_ID,
  ROOT_LOG,
  TARGET_BYTES_MAX,
  type BlockPiece,
  type CreateOperation,
  type MkdirOperation,
  type Name,
  type NamePlace,
  type NodeKind,
  type Operation,
  type OperationId,
  type Piece,
  type SetattrOperation,
  type UnlinkOperation,
  type VersionId,
  type WriteOperation
} from './operation.ts'
import { SyncError } from './sync-error.ts'

/** The number that stands for each type of operation. */
export const OPERATION_TYPE_NUMBERS: Readonly<Record<Operation['type'], number>> = {
  create: 1,
  mkdir: 2,
  link: 3,
  unlink: 4,
  rmdir: 5,
  rename: 6,
  exchange: 7,
  write: 8,
  truncate: 9,
  setattr: 10,
  setxattr: 11,
  removexattr: 12,
  statement: 13,
  envelope: 14
}

/**
 * Numbers kept for later: checkpoints and their confirmation, the closure of a forked log and
 * the adoption of entries beyond it. 0 is never an operation: what a device writes only to tell
 * its heads is an entry without operations.
 */
export const RESERVED_TYPE_NUMBERS = {
  headsOnly: 0,
  checkpoint: 32,
  confirm: 33,
  closure: 34,
  adopt: 35
} as const

/** The most operations in one entry; what a device writes stays far below it. */
export const ENTRY_OPERATIONS_MAX = 16_384
/** The highest index of an entry or block that an operation can name. */
export const INDEX_MAX = 2 ** 48 - 1
/** The longest value of an extended attribute, in bytes. */
export const XATTR_BYTES_MAX = 65_536
/** Bytes of the hash in a {@link Piece}. */
export const HASH_BYTES = 32

const MODE_MAX = 0o7777
const NSEC_MAX = 999_999_999

const KIND_NUMBERS: Readonly<Record<NodeKind, number>> = {
  file: 0,
  symlink: 1,
  fifo: 2,
  socket: 3,
  character: 4,
  block: 5
}
const KINDS = Object.keys(KIND_NUMBERS) as NodeKind[]
const PIECE_NUMBERS: Readonly<Record<Piece['kind'], number>> = { block: 1, inline: 2, hole: 3 }

/** Which operation of which entry is being written or read. */
export interface OperationPlace {
  /** Numbers of logs: those of the entry. */
  readonly table: Pick<LogTable, 'numberOf' | 'logAt'>
  /** The entry's index in its own log. */
  readonly index: number
  /** The operation's number in the entry. */
  readonly number: number
}

/**
 * Appends the body of an operation.
 *
 * @throws {RangeError} when the operation is not one that {@link readOperation} would take
 */
export function writeOperation(
  writer: ByteWriter,
  operation: Operation,
  place: OperationPlace
): void {
  const problem = problemOf(operation)
  if (problem !== undefined) throw new RangeError(`${operation.type}: ${problem}`)
  new OperationWriter(writer, place).operation(operation)
}

/**
 * Takes the body of an operation apart.
 *
 * @param body - all of the operation's body; the operation's bytes (target, pieces, values) are
 *   views of it
 * @throws {SyncError} `NEWER_FORMAT` for an unknown type, `MALFORMED`
 */
export function readOperation(
  typeNumber: number,
  body: Uint8Array,
  place: OperationPlace
): Operation {
  const reader = new OperationReader(new ByteReader(body), place)
  const operation = reader.operation(typeNumber)
  reader.end()
  const problem = problemOf(operation)
  if (problem !== undefined) throw malformed(`${operation.type}: ${problem}`)
  return operation
}

/** Appends a time: i64 seconds, u32 nanoseconds. */
export function writeTime(writer: ByteWriter, { sec, nsec }: Timestamp): void {
  if (nsec > NSEC_MAX) throw new RangeError('a time has more than 999,999,999 nanoseconds')
  writer.i64(sec)
  writer.u32(nsec)
}

/** Takes a time. @throws {SyncError} `MALFORMED` */
export function readTime(reader: ByteReader): Timestamp {
  const sec = reader.i64()
  const nsec = reader.u32()
  if (nsec > NSEC_MAX) throw malformed('a time has more than 999,999,999 nanoseconds')
  return { sec, nsec }
}

type Timed = Exclude<Operation, { bytes: Uint8Array }>

class OperationWriter {
  readonly #writer: ByteWriter
  readonly #place: OperationPlace

  constructor(writer: ByteWriter, place: OperationPlace) {
    this.#writer = writer
    this.#place = place
  }

  operation(operation: Operation): void {
    if (operation.type === 'statement' || operation.type === 'envelope') {
      this.#writer.bytes(operation.bytes)
      return
    }
    this.#fields(operation)
    writeTime(this.#writer, operation.time)
  }

  #fields(operation: Timed): void {
    switch (operation.type) {
      case 'create':
        return this.#create(operation)
      case 'mkdir':
        this.#at(operation)
        return this.#permissions(operation)
      case 'link':
        this.#id(operation.inode)
        this.#id(operation.through)
        return this.#at(operation)
      case 'unlink':
      case 'rmdir':
        this.#ids(operation.links)
        return this.#id(operation.parent)
      case 'rename':
        this.#ids(operation.links)
        this.#id(operation.from)
        this.#at(operation)
        return this.#ids(operation.replaced)
      case 'exchange':
        this.#ids(operation.links)
        this.#at(operation.first)
        this.#ids(operation.others)
        return this.#at(operation.second)
      default:
        return this.#fieldsOnInode(operation)
    }
  }

  #fieldsOnInode(operation: Extract<Timed, { base: VersionId }>): void {
    this.#id(operation.inode)
    if ('through' in operation) this.#id(operation.through)
    this.#id(operation.base)
    switch (operation.type) {
      case 'write':
        this.#writer.varint(operation.size)
        return this.#pieces(operation.pieces)
      case 'truncate':
        return this.#writer.varint(operation.size)
      case 'setattr':
        return this.#attributes(operation)
      case 'setxattr':
        this.#name(operation.name)
        return this.#sized(operation.value)
      case 'removexattr':
        return this.#name(operation.name)
    }
  }

  #create(operation: CreateOperation): void {
    this.#at(operation)
    this.#writer.u8(KIND_NUMBERS[operation.kind])
    this.#permissions(operation)
    this.#writer.u32(operation.rdev)
    this.#sized(operation.target)
  }

  #permissions({ mode, uid, gid }: CreateOperation | MkdirOperation): void {
    this.#writer.u16(mode)
    this.#writer.u32(uid)
    this.#writer.u32(gid)
  }

  #pieces(pieces: readonly Piece[]): void {
    this.#writer.varint(pieces.length)
    let end = 0
    for (const piece of pieces) {
      this.#piece(piece, end)
      end = piece.offset + lengthOf(piece)
    }
  }

  #piece(piece: Piece, previousEnd: number): void {
    const writer = this.#writer
    writer.u8(PIECE_NUMBERS[piece.kind])
    writer.varint(piece.offset - previousEnd)
    writer.varint(lengthOf(piece))
    if (piece.kind === 'block') {
      writer.varint(this.#place.table.numberOf(piece.log))
      writer.varint(piece.index)
      writer.bytes(piece.hash)
      writer.varint(piece.blockOffset)
    } else if (piece.kind === 'inline') {
      writer.bytes(piece.bytes)
    }
  }

  #attributes({ mode, uid, gid, atime, mtime }: SetattrOperation): void {
    const writer = this.#writer
    const which = [mode, uid, gid, atime, mtime].map(
      (field, bit) => Number(field !== undefined) << bit
    )
    writer.u8(which.reduce((mask, bit) => mask | bit, 0))
    if (mode !== undefined) writer.u16(mode)
    if (uid !== undefined) writer.u32(uid)
    if (gid !== undefined) writer.u32(gid)
    if (atime !== undefined) writeTime(writer, atime)
    if (mtime !== undefined) writeTime(writer, mtime)
  }

  #id(id: OperationId): void {
    const { table, index, number } = this.#place
    if (id.log === ROOT_LOG) {
      if (id.index !== 0 || id.number !== 0) throw new RangeError('there is one root only')
      this.#writer.varint(ROOT_LOG_NUMBER)
      return
    }
    if (id.index > INDEX_MAX || id.number >= ENTRY_OPERATIONS_MAX) {
      throw new RangeError('there can be no such operation')
    }
    const logNumber = table.numberOf(id.log)
    this.#writer.varint(logNumber)
    const own = logNumber === OWN_LOG_NUMBER
    if (own && id.index === index && id.number >= number) {
      throw new RangeError('an operation refers to itself or a later one')
    }
    this.#writer.varint(own ? index - id.index : id.index)
    this.#writer.varint(id.number)
  }

  #ids(ids: readonly OperationId[]): void {
    this.#writer.varint(ids.length)
    for (const id of ids) this.#id(id)
  }

  #at({ parent, name }: NamePlace): void {
    this.#id(parent)
    this.#name(name)
  }

  #name(name: Name): void {
    this.#writer.u8(name.length)
    this.#writer.latin1(name)
  }

  #sized(bytes: Uint8Array): void {
    this.#writer.varint(bytes.length)
    this.#writer.bytes(bytes)
  }
}

class OperationReader {
  readonly #reader: ByteReader
  readonly #place: OperationPlace

  constructor(reader: ByteReader, place: OperationPlace) {
    this.#reader = reader
    this.#place = place
  }

  operation(typeNumber: number): Operation {
    const reader = this.#reader
    switch (typeNumber) {
      case 1:
        return this.#create()
      case 2:
        return {
          type: 'mkdir',
          parent: this.#id(),
          name: this.#name(),
          mode: reader.u16(),
          uid: reader.u32(),
          gid: reader.u32(),
          time: readTime(reader)
        }
      case 3:
        return {
          type: 'link',
          inode: this.#id(),
          through: this.#id(),
          parent: this.#id(),
          name: this.#name(),
          time: readTime(reader)
        }
      case 4:
        return this.#unlink('unlink')
      case 5:
        return this.#unlink('rmdir')
      case 6:
        return {
          type: 'rename',
          links: this.#ids(),
          from: this.#id(),
          ...this.#at(),
          replaced: this.#ids(),
          time: readTime(reader)
        }
      case 7:
        return {
          type: 'exchange',
          links: this.#ids(),
          first: this.#at(),
          others: this.#ids(),
          second: this.#at(),
          time: readTime(reader)
        }
      case 13:
        return { type: 'statement', bytes: reader.bytes(reader.remaining) }
      case 14:
        return { type: 'envelope', bytes: reader.bytes(reader.remaining) }
      default:
        return this.#operationOnInode(typeNumber)
    }
  }

  end(): void {
    this.#reader.end()
  }

  #unlink(type: UnlinkOperation['type']): UnlinkOperation {
    const links = this.#ids()
    return { type, links, parent: this.#id(), time: readTime(this.#reader) }
  }

  #operationOnInode(typeNumber: number): Operation {
    const reader = this.#reader
    switch (typeNumber) {
      case 8:
        return this.#write()
      case 9:
        return {
          type: 'truncate',
          inode: this.#id(),
          through: this.#id(),
          base: this.#id(),
          size: reader.varint(),
          time: readTime(reader)
        }
      case 10:
        return this.#setattr()
      case 11:
        return {
          type: 'setxattr',
          inode: this.#id(),
          base: this.#id(),
          name: this.#name(),
          value: reader.bytes(reader.varint()),
          time: readTime(reader)
        }
      case 12:
        return {
          type: 'removexattr',
          inode: this.#id(),
          base: this.#id(),
          name: this.#name(),
          time: readTime(reader)
        }
      default:
        throw new SyncError('NEWER_FORMAT', `operation type ${typeNumber} is of a newer grove`)
    }
  }

  #create(): CreateOperation {
    const reader = this.#reader
    return {
      type: 'create',
      parent: this.#id(),
      name: this.#name(),
      kind: this.#kind(),
      mode: reader.u16(),
      uid: reader.u32(),
      gid: reader.u32(),
      rdev: reader.u32(),
      target: reader.bytes(reader.varint()),
      time: readTime(reader)
    }
  }

  #write(): WriteOperation {
    const reader = this.#reader
    const inode = this.#id()
    const through = this.#id()
    const base = this.#id()
    const size = reader.varint()
    const pieces: Piece[] = []
    const count = reader.count(3)
    let end = 0
    for (let i = 0; i < count; i++) {
      const piece = this.#piece(end)
      end = piece.offset + lengthOf(piece)
      pieces.push(piece)
    }
    return { type: 'write', inode, through, base, pieces, size, time: readTime(reader) }
  }

  #piece(previousEnd: number): Piece {
    const reader = this.#reader
    const kind = reader.u8()
    const offset = previousEnd + reader.varint()
    const length = reader.varint()
    if (!Number.isSafeInteger(offset + length)) throw malformed('a piece ends out of range')
    switch (kind) {
      case PIECE_NUMBERS.block:
        return {
          kind: 'block',
          offset,
          length,
          log: this.#log(),
          index: reader.varint(INDEX_MAX),
          hash: reader.bytes(HASH_BYTES),
          blockOffset: reader.varint()
        }
      case PIECE_NUMBERS.inline:
        return { kind: 'inline', offset, bytes: reader.bytes(length) }
      case PIECE_NUMBERS.hole:
        return { kind: 'hole', offset, length }
      default:
        throw malformed('a piece is of no known kind')
    }
  }

  #setattr(): SetattrOperation {
    const reader = this.#reader
    const inode = this.#id()
    const base = this.#id()
    const which = reader.u8()
    if (which > 0b11111) throw malformed('setattr sets an unknown attribute')
    return {
      type: 'setattr',
      inode,
      base,
      ...(which & 1 && { mode: reader.u16() }),
      ...(which & 2 && { uid: reader.u32() }),
      ...(which & 4 && { gid: reader.u32() }),
      ...(which & 8 && { atime: readTime(reader) }),
      ...(which & 16 && { mtime: readTime(reader) }),
      time: readTime(reader)
    }
  }

  #log(): LogKey {
    return this.#place.table.logAt(this.#reader.varint())
  }

  #id(): OperationId {
    const { table, index: entryIndex, number: ownNumber } = this.#place
    const logNumber = this.#reader.varint()
    if (logNumber === ROOT_LOG_NUMBER) return ROOT_ID
    const log = table.logAt(logNumber)
    const own = logNumber === OWN_LOG_NUMBER
    const written = this.#reader.varint(own ? entryIndex : INDEX_MAX)
    const index = own ? entryIndex - written : written
    const number = this.#reader.varint(ENTRY_OPERATIONS_MAX - 1)
    if (own && written === 0 && number >= ownNumber) {
      throw malformed('an operation refers to itself or a later one')
    }
    return { log, index, number }
  }

  #ids(): OperationId[] {
    const ids: OperationId[] = []
    const count = this.#reader.count(1)
    for (let i = 0; i < count; i++) ids.push(this.#id())
    return ids
  }

  #at(): NamePlace {
    return { parent: this.#id(), name: this.#name() }
  }

  #kind(): NodeKind {
    const kind = KINDS[this.#reader.u8()]
    if (kind === undefined) throw malformed('a node is of no known kind')
    return kind
  }

  #name(): Name {
    return this.#reader.latin1(this.#reader.u8()) as Name
  }
}

/** @returns how many bytes of the file a piece covers */
export function lengthOf(piece: Piece): number {
  return piece.kind === 'inline' ? piece.bytes.length : piece.length
}

/** @returns what is wrong with an operation beyond the form of its fields, if anything */
function problemOf(operation: Operation): string | undefined {
  return (
    problemOfNames(operation) ??
    problemOfLinks(operation) ??
    problemOfMode(operation) ??
    problemOfContent(operation)
  )
}

function problemOfNames(operation: Operation): string | undefined {
  if (operation.type === 'exchange') {
    return problemOfName(operation.first.name) ?? problemOfName(operation.second.name)
  }
  if (!('name' in operation)) return undefined
  const isAttribute = operation.type === 'setxattr' || operation.type === 'removexattr'
  return isAttribute ? problemOfAttributeName(operation.name) : problemOfName(operation.name)
}

function problemOfLinks(operation: Operation): string | undefined {
  const noLinks = 'links' in operation && operation.links.length === 0
  const noOthers = 'others' in operation && operation.others.length === 0
  return noLinks || noOthers ? 'it names no link' : undefined
}

function problemOfMode(operation: Operation): string | undefined {
  if (!('mode' in operation) || operation.mode === undefined) return undefined
  return operation.mode > MODE_MAX ? 'the mode has unknown bits' : undefined
}

function problemOfContent(operation: Operation): string | undefined {
  switch (operation.type) {
    case 'create':
      return problemOfNode(operation)
    case 'write':
      return problemOfPieces(operation)
    case 'setxattr':
      return operation.value.length > XATTR_BYTES_MAX ? 'the value is too long' : undefined
    case 'statement':
    case 'envelope':
      return operation.bytes.length === 0 ? 'it carries nothing' : undefined
    default:
      return undefined
  }
}

function problemOfName(name: Name): string | undefined {
  if (name.length === 0 || name.length > NAME_BYTES_MAX) return 'a name is empty or too long'
  if (name === '.' || name === '..') return 'a name is . or ..'
  if (name.includes('/') || name.includes('\0')) return 'a name holds / or NUL'
  return undefined
}

function problemOfAttributeName(name: Name): string | undefined {
  if (name.length === 0 || name.length > NAME_BYTES_MAX) return 'a name is empty or too long'
  return name.includes('\0') ? 'a name holds NUL' : undefined
}

function problemOfNode({ kind, target, rdev }: CreateOperation): string | undefined {
  const isDevice = kind === 'character' || kind === 'block'
  if (rdev !== 0 && !isDevice) return 'what is no device has a device number'
  if (kind !== 'symlink') return target.length > 0 ? 'what is no symlink has a target' : undefined
  if (target.length === 0 || target.length > TARGET_BYTES_MAX)
    return 'a target is empty or too long'
  return target.includes(0) ? 'a target holds NUL' : undefined
}

function problemOfPieces({ pieces, size }: WriteOperation): string | undefined {
  let end = 0
  for (const piece of pieces) {
    const length = lengthOf(piece)
    if (length === 0) return 'a piece is empty'
    if (piece.offset < end) return 'pieces overlap or do not ascend'
    const problem = piece.kind === 'block' ? problemOfBlockPiece(piece) : undefined
    if (problem !== undefined) return problem
    end = piece.offset + length
  }
  return end > size ? 'a piece reaches beyond the end of the file' : undefined
}

function problemOfBlockPiece({ index, hash, blockOffset, length }: BlockPiece) {
  if (index > INDEX_MAX) return 'there can be no such block'
  if (hash.length !== HASH_BYTES) return 'a hash is not 32 bytes'
  return blockOffset + length > ENTRY_BYTES_MAX ? 'a piece reaches beyond any block' : undefined
}
