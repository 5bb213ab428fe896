/**
 * The row of an inode in the index.
 *
 * @module
 */
import { NO_BYTES } from '../crypto/slab.ts'
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Timestamp } from './clock.ts'
import { readDirectoryState, writeDirectoryState, type DirectoryState } from './directory-state.ts'
import type { LogNumbers } from './log-numbers.ts'
import { readId, readTime, writeId, writeTime } from './operation-id.ts'
import type { InodeId, LinkId, Name, NodeKind, OperationId, VersionId } from './operation.ts'
import { SyncError } from './sync-error.ts'

/** What an inode is. */
export type InodeKind = NodeKind | 'directory'

/** Kinds by their numbers in rows. */
export const INODE_KINDS: readonly InodeKind[] = [
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
  /** Whether it is only there because an edit brought the file back. */
  readonly isRevived?: true
}

/** A file's part in its family: everything that hangs on one create. A value. */
export interface FamilyMember {
  /** The family's number. */
  readonly number: number
  /**
   * The newest operation of a family that is this one file, each of whose operations saw all
   * before it; undefined for one that has a row of its own.
   */
  readonly last: OperationId | undefined
  /**
   * Otherwise the newest operations that can have to do with this file: who saw them and is based
   * on its newest version changes this file only, and as the last.
   */
  readonly frontier: readonly OperationId[]
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
  /** Of a file that operations recorded: its family. */
  readonly family?: FamilyMember
  /** Of a directory: what the merge keeps of it. */
  readonly directory?: DirectoryState
}

const HAS_FAMILY = 1
const HAS_LAST = 2
const IS_DIRECTORY = 4

/** Appends the row's bytes. */
export function encodeInode(out: ByteWriter, record: InodeRecord, logs: LogNumbers): void {
  out.u8(INODE_KINDS.indexOf(record.kind))
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
    out.u8(link.isRevived ? 1 : 0)
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
  writeMerged(out, record, logs)
}

function writeMerged(out: ByteWriter, { family, directory }: InodeRecord, logs: LogNumbers): void {
  const lastBit = family?.last ? HAS_LAST : 0
  out.u8((family ? HAS_FAMILY : 0) + lastBit + (directory ? IS_DIRECTORY : 0))
  if (family) out.varint(family.number)
  if (family?.last) writeId(out, family.last, logs)
  else if (family) {
    out.varint(family.frontier.length)
    for (const id of family.frontier) writeId(out, id, logs)
  }
  if (directory) writeDirectoryState(out, directory, logs)
}

/** @returns the record with what the merge keeps of it */
function withMerged(
  record: Omit<InodeRecord, 'family' | 'directory'>,
  reader: ByteReader,
  logs: LogNumbers
): InodeRecord {
  const which = reader.u8()
  const number = (which & HAS_FAMILY) === 0 ? undefined : reader.varint()
  const last = (which & HAS_LAST) === 0 ? undefined : readId(reader, logs)
  const count = number === undefined || last ? 0 : reader.count(3)
  const frontier = Array.from({ length: count }, () => readId(reader, logs))
  const member = number === undefined ? record : { ...record, family: { number, last, frontier } }
  if ((which & IS_DIRECTORY) === 0) return member
  return { ...member, directory: readDirectoryState(reader, logs) }
}

/** @returns the row of bytes. @throws {SyncError} `MALFORMED`, `DAMAGED` */
export function decodeInode(bytes: Uint8Array, logs: LogNumbers): InodeRecord {
  const reader = new ByteReader(bytes)
  const kind = INODE_KINDS[reader.u8()]
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
  const targetBytes = reader.varint()
  const target = targetBytes === 0 ? NO_BYTES : reader.bytes(targetBytes).slice()
  // One literal: parts that are spread into one another cost more than all that is read here.
  const record = {
    ino,
    id,
    kind,
    mode,
    uid,
    gid,
    rdev,
    size,
    allocated,
    atime,
    mtime,
    ctime,
    version,
    links,
    children,
    subdirectories,
    xattrs,
    target
  }
  const merged = withMerged(record, reader, logs)
  reader.end()
  return merged
}

function readLink(reader: ByteReader, logs: LogNumbers): LinkRecord {
  const id = readId(reader, logs)
  const parent = reader.varint()
  const name = reader.latin1(reader.u8()) as Name
  return { id, parent, name, ...(reader.u8() === 1 && { isRevived: true }) }
}

function varints(reader: ByteReader, count: number): number[] {
  return Array.from({ length: count }, () => reader.varint())
}
