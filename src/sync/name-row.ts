/**
 * The row of a name in a directory: who claims it. One claims it most often, several where
 * devices that had not seen each other gave the same name.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import { INODE_KINDS, type InodeKind } from './inode-record.ts'
import type { LogNumbers } from './log-numbers.ts'
import { readId, writeId } from './operation-id.ts'
import type { LinkId, Name, OperationId } from './operation.ts'
import { SyncError } from './sync-error.ts'

/** Of claims to one name the one of the lowest rank keeps it. */
export const CLAIM_RANKS = {
  /** A directory where it was made: all of these at one place are shown as one. */
  madeDirectory: 0,
  /** A directory that was moved there. */
  movedDirectory: 1,
  /** A file that was given the name. */
  file: 2,
  /** A branch of a file that nobody gave a name. */
  branch: 3
} as const

/** A wish of one link to stand at a name. A value. */
export interface Claim {
  /** The inode. */
  readonly ino: number
  /** What that is. */
  readonly kind: InodeKind
  /** The link. */
  readonly link: LinkId
  /** The operation that gave the name: orders claims of one rank. */
  readonly by: OperationId
  /** One of {@link CLAIM_RANKS}. */
  readonly rank: number
}

/** A name in one directory. A value. */
export interface NameRow {
  /** The name. */
  readonly name: Name
  /** Who wants it; at least one, in no particular order. */
  readonly claims: readonly Claim[]
}

/** Appends the row's bytes. */
export function encodeNameRow(out: ByteWriter, row: NameRow, logs: LogNumbers): void {
  out.u8(row.name.length)
  out.latin1(row.name)
  out.varint(row.claims.length)
  for (const { ino, kind, rank, link, by } of row.claims) {
    out.u8(INODE_KINDS.indexOf(kind))
    out.u8(rank)
    out.varint(ino)
    writeId(out, link, logs)
    writeId(out, by, logs)
  }
}

/** @returns the row of bytes. @throws {SyncError} `MALFORMED`, `DAMAGED` */
export function decodeNameRow(bytes: Uint8Array, logs: LogNumbers): NameRow {
  const reader = new ByteReader(bytes)
  const name = reader.latin1(reader.u8()) as Name
  const claims = Array.from({ length: reader.count(9) }, () => readClaim(reader, logs))
  reader.end()
  return { name, claims }
}

function readClaim(reader: ByteReader, logs: LogNumbers): Claim {
  const kind = INODE_KINDS[reader.u8()]
  if (kind === undefined) throw new SyncError('DAMAGED', 'a row of the index has an unknown kind')
  const [rank, ino] = [reader.u8(), reader.varint()]
  return { ino, kind, rank, link: readId(reader, logs), by: readId(reader, logs) }
}
