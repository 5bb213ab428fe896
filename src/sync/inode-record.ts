/**
 * The row of an inode in the index.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { Timestamp } from './clock.ts'
import type { LogNumbers } from './log-numbers.ts'
import type { InodeId, LinkId, Name, NodeKind, OperationId, VersionId } from './operation.ts'
import { SyncError } from './sync-error.ts'

/** What an inode is. */
export type InodeKind = NodeKind | 'directory'

const KINDS: readonly InodeKind[] = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character',
  'block'
]

/** One name of an inode. */
export interface LinkRecord {
  /** Identity: the create, mkdir or link operation. */
  readonly id: LinkId
  /** Inode number of the directory. */
  readonly parent: number
  /** The name in it. */
  readonly name: Name
}

/** An inode. A value: changed by replacing it. */
export interface InodeRecord {
  /** Local number. */
  readonly ino: number
  /** Identity. */
  readonly id: InodeId
  /** What it is. */
  readonly kind: InodeKind
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number
  /** Owner. */
  readonly uid: number
  /** Group. */
  readonly gid: number
  /** Device number of a device node. */
  readonly rdev: number
  /** Size of the content in bytes; 0 for what has none. */
  readonly size: number
  /** Bytes of content that pieces hold; holes take none. */
  readonly allocated: number
  /** Last access. */
  readonly atime: Timestamp
  /** Last change of content. */
  readonly mtime: Timestamp
  /** Last change of anything. */
  readonly ctime: Timestamp
  /** The version of the content; {@link InodeRecord.id} until it is first written. */
  readonly version: VersionId
  /** Its names; none for the root and for an orphan. */
  readonly links: readonly LinkRecord[]
  /** Of a directory: how many names it has. */
  readonly children: number
  /** Of a directory: how many of them are directories. */
  readonly subdirectories: number
  /** How many extended attributes it has. */
  readonly xattrs: number
  /** Target of a symbolic link, else empty. */
  readonly target: Uint8Array
}

/** @returns the row's bytes */
export function encodeInode(record: InodeRecord, logs: LogNumbers): Uint8Array {
  const out = new ByteWriter(192)
  out.u8(KINDS.indexOf(record.kind))
  out.u16(record.mode)
  for (const value of [
    record.ino,
    record.uid,
    record.gid,
    record.rdev,
    record.size,
    record.allocated
  ]) {
    out.varint(value)
  }
  for (const time of [record.atime, record.mtime, record.ctime]) writeTime(out, time)
  writeId(out, record.id, logs)
  writeId(out, record.version, logs)
  out.varint(record.links.length)
  for (const link of record.links) {
    writeId(out, link.id, logs)
    out.varint(link.parent)
    out.u8(link.name.length)
    out.latin1(link.name)
  }
  for (const value of [
    record.children,
    record.subdirectories,
    record.xattrs,
    record.target.length
  ]) {
    out.varint(value)
  }
  out.bytes(record.target)
  return out.view()
}

/** @returns the row of bytes. @throws {SyncError} `MALFORMED`, `DAMAGED` */
export function decodeInode(bytes: Uint8Array, logs: LogNumbers): InodeRecord {
  const reader = new ByteReader(bytes)
  const kind = KINDS[reader.u8()]
  if (kind === undefined) throw new SyncError('DAMAGED', 'a row of the index has an unknown kind')
  const mode = reader.u16()
  const [ino, uid, gid, rdev, size, allocated] = varints(reader, 6) as [
    number,
    number,
    number,
    number,
    number,
    number
  ]
  const [atime, mtime, ctime] = [readTime(reader), readTime(reader), readTime(reader)]
  const id = readId(reader, logs)
  const version = readId(reader, logs)
  const links = Array.from({ length: reader.count(5) }, () => readLink(reader, logs))
  const [children, subdirectories, xattrs] = varints(reader, 3) as [number, number, number]
  const target = reader.bytes(reader.varint()).slice()
  reader.end()
  return {
    ...{ ino, id, kind, mode, uid, gid, rdev, size, allocated, atime, mtime, ctime },
    ...{ version, links, children, subdirectories, xattrs, target }
  }
}

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

function readLink(reader: ByteReader, logs: LogNumbers): LinkRecord {
  const id = readId(reader, logs)
  const parent = reader.varint()
  return { id, parent, name: reader.latin1(reader.u8()) as Name }
}

function varints(reader: ByteReader, count: number): number[] {
  return Array.from({ length: count }, () => reader.varint())
}

function writeTime(out: ByteWriter, time: Timestamp): void {
  out.i64(time.sec)
  out.u32(time.nsec)
}

function readTime(reader: ByteReader): Timestamp {
  return { sec: reader.i64(), nsec: reader.u32() }
}
