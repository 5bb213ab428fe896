/**
 * Operations: what an entry of an operation log records. State is a set of operations, the
 * tree a view of it (MERGE: the identity of an inode and of a link is that of the operation
 * that made it). Each operation names what its author saw, so that devices that merge it later
 * apply it to those very links and versions.
 *
 * Names and link targets are bytes. A {@link Name} is a string of one character per byte
 * (latin1), so that it is exact and can be the key of a Map.
 *
 * @module
 */
import type { Timestamp } from './clock.ts'
import type { LogKey } from './log.ts'

/** A file name as bytes: one character (code 1 to 255) per byte, no `/`, 1 to 255 of them. */
export type Name = string & { /** @internal */ readonly __brand: 'Name' }

/** The longest file name, in bytes. */
export const NAME_BYTES_MAX = 255

/** The longest target of a symbolic link, in bytes. */
export const TARGET_BYTES_MAX = 4095

/** Identity of an operation: the entry (log, index) and the operation's number within it. */
export interface OperationId {
  /** The operation log it was written to. */
  readonly log: LogKey
  /** The entry's index in that log. */
  readonly index: number
  /** The operation's number within the entry, from 0. */
  readonly number: number
}

/** Identity of an inode: that of its create or mkdir operation. */
export type InodeId = OperationId
/** Identity of a link: that of the create, mkdir or link operation that made it. */
export type LinkId = OperationId
/** Identity of a version of content: the write or truncate that made it, or the create. */
export type VersionId = OperationId

/** The log key of {@link ROOT_ID}, which no real log has. */
export const ROOT_LOG = '0'.repeat(64) as LogKey
/** The identity of every drive's root directory. No operation makes it. */
export const ROOT_ID: InodeId = { log: ROOT_LOG, index: 0, number: 0 }

/** Where a name is, as the author of an operation saw it. */
export interface NamePlace {
  /** The directory; of several shown as one, the first. */
  readonly parent: InodeId
  /** The name in it, as it was shown. */
  readonly name: Name
}

/** What a name can stand for, apart from a directory. */
export type NodeKind = 'file' | 'symlink' | 'fifo' | 'socket' | 'character' | 'block'

/** A run of a file's bytes that lies in a sealed block of a content log. */
export interface BlockPiece {
  /** Tells the pieces apart. */
  readonly kind: 'block'
  /** Where the run starts in the file, in bytes. */
  readonly offset: number
  /** How long it is, in bytes; at least 1. */
  readonly length: number
  /** The content log. */
  readonly log: LogKey
  /** The block's index in it. */
  readonly index: number
  /** Hash of the sealed block ({@link hashBlock}): names the bytes even where a log forked. */
  readonly hash: Uint8Array
  /** Where the run starts within the opened block, in bytes. */
  readonly blockOffset: number
}

/** A run of a file's bytes that travels inside the operation. */
export interface InlinePiece {
  /** Tells the pieces apart. */
  readonly kind: 'inline'
  /** Where the run starts in the file, in bytes. */
  readonly offset: number
  /** The bytes; at least 1. */
  readonly bytes: Uint8Array
}

/** A run of a file that reads as zeros and takes no space. */
export interface HolePiece {
  /** Tells the pieces apart. */
  readonly kind: 'hole'
  /** Where the run starts in the file, in bytes. */
  readonly offset: number
  /** How long it is, in bytes; at least 1. */
  readonly length: number
}

/** A run of content as an operation records it. */
export type Piece = BlockPiece | InlinePiece | HolePiece

/** Makes a file, symbolic link or special node, and its first link. */
export interface CreateOperation {
  /** Tells the operations apart. */
  readonly type: 'create'
  /** The directory. */
  readonly parent: InodeId
  /** The name in it. */
  readonly name: Name
  /** What is made. */
  readonly kind: NodeKind
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number
  /** Owner. */
  readonly uid: number
  /** Group. */
  readonly gid: number
  /** Device number of a character or block node as the kernel encodes it, else 0. */
  readonly rdev: number
  /** Target of a symbolic link, else empty. */
  readonly target: Uint8Array
  /** When: becomes every time of the inode and the directory's mtime and ctime. */
  readonly time: Timestamp
}

/** Makes a directory and its link. */
export interface MkdirOperation {
  /** Tells the operations apart. */
  readonly type: 'mkdir'
  /** The directory it is made in. */
  readonly parent: InodeId
  /** The name in it. */
  readonly name: Name
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number
  /** Owner. */
  readonly uid: number
  /** Group. */
  readonly gid: number
  /** When. */
  readonly time: Timestamp
}

/** Gives a file another name. */
export interface LinkOperation {
  /** Tells the operations apart. */
  readonly type: 'link'
  /** The file. */
  readonly inode: InodeId
  /** The link it was reached through, which this uses. */
  readonly through: LinkId
  /** The directory of the new name. */
  readonly parent: InodeId
  /** The new name. */
  readonly name: Name
  /** When: the file's ctime, the directory's mtime and ctime. */
  readonly time: Timestamp
}

/** Removes a name of a file (`unlink`) or of a directory (`rmdir`, all members seen). */
export interface UnlinkOperation {
  /** Tells the operations apart. */
  readonly type: 'unlink' | 'rmdir'
  /** The directory they are removed from. */
  readonly parent: InodeId
  /** The links removed; 1 but for a union of directories. */
  readonly links: readonly LinkId[]
  /** When. */
  readonly time: Timestamp
}

/** Moves links to a new place, removing the links that were there. */
export interface RenameOperation {
  /** Tells the operations apart. */
  readonly type: 'rename'
  /** The links moved; 1 but for a union of directories. */
  readonly links: readonly LinkId[]
  /** The directory they leave. */
  readonly from: InodeId
  /** The new directory. */
  readonly parent: InodeId
  /** The new name. */
  readonly name: Name
  /** The links that stood at the new place and are removed; may be empty. */
  readonly replaced: readonly LinkId[]
  /** When. */
  readonly time: Timestamp
}

/** Swaps the places of two links (RENAME_EXCHANGE). */
export interface ExchangeOperation {
  /** Tells the operations apart. */
  readonly type: 'exchange'
  /** The links at the first place, which move to the second. */
  readonly links: readonly LinkId[]
  /** The first place: that of `links` before. */
  readonly first: NamePlace
  /** The links at the second place, which move to the first. */
  readonly others: readonly LinkId[]
  /** The second place: that of `others` before. */
  readonly second: NamePlace
  /** When. */
  readonly time: Timestamp
}

/** A new version of a file: pieces laid over its base. */
export interface WriteOperation {
  /** Tells the operations apart. */
  readonly type: 'write'
  /** The file. */
  readonly inode: InodeId
  /** The link it was written through, which this uses. */
  readonly through: LinkId
  /** The version the author saw. */
  readonly base: VersionId
  /** Runs that replace what the base has there; ascending, not overlapping; may be empty. */
  readonly pieces: readonly Piece[]
  /** The file's size afterwards, in bytes. */
  readonly size: number
  /** When: mtime and ctime. */
  readonly time: Timestamp
}

/** A new version of a file that ends at `size`; what lies beyond reads as zeros if regrown. */
export interface TruncateOperation {
  /** Tells the operations apart. */
  readonly type: 'truncate'
  /** The file. */
  readonly inode: InodeId
  /** The link it was reached through, which this uses. */
  readonly through: LinkId
  /** The version the author saw. */
  readonly base: VersionId
  /** The file's size afterwards, in bytes. */
  readonly size: number
  /** When: mtime and ctime. */
  readonly time: Timestamp
}

/** Sets attributes; those absent stay. */
export interface SetattrOperation {
  /** Tells the operations apart. */
  readonly type: 'setattr'
  /** The inode. */
  readonly inode: InodeId
  /** The version the author saw; {@link InodeId} itself for what has no content. */
  readonly base: VersionId
  /** Permission bits, 0 to 0o7777. */
  readonly mode?: number
  /** Owner. */
  readonly uid?: number
  /** Group. */
  readonly gid?: number
  /** Time of last access. */
  readonly atime?: Timestamp
  /** Time of last modification. */
  readonly mtime?: Timestamp
  /** When: ctime. */
  readonly time: Timestamp
}

/** Sets one extended attribute. */
export interface SetxattrOperation {
  /** Tells the operations apart. */
  readonly type: 'setxattr'
  /** The inode. */
  readonly inode: InodeId
  /** The version the author saw. */
  readonly base: VersionId
  /** Full attribute name as bytes (`user.x`), 1 to 255. */
  readonly name: Name
  /** Its value, 0 to 65,536 bytes. */
  readonly value: Uint8Array
  /** When: ctime. */
  readonly time: Timestamp
}

/** Removes one extended attribute. */
export interface RemovexattrOperation {
  /** Tells the operations apart. */
  readonly type: 'removexattr'
  /** The inode. */
  readonly inode: InodeId
  /** The version the author saw. */
  readonly base: VersionId
  /** Full attribute name as bytes. */
  readonly name: Name
  /** When: ctime. */
  readonly time: Timestamp
}

/** Carries a signed statement about members; changes nothing in the tree. */
export interface StatementOperation {
  /** Tells the operations apart. */
  readonly type: 'statement'
  /** The statement as its own codec writes it; at least 1 byte. */
  readonly bytes: Uint8Array
}

/** Carries drive keys sealed to a member; changes nothing in the tree. */
export interface EnvelopeOperation {
  /** Tells the operations apart. */
  readonly type: 'envelope'
  /** The envelope as its own codec writes it; at least 1 byte. */
  readonly bytes: Uint8Array
}

/** One recorded change. */
export type Operation =
  | CreateOperation
  | MkdirOperation
  | LinkOperation
  | UnlinkOperation
  | RenameOperation
  | ExchangeOperation
  | WriteOperation
  | TruncateOperation
  | SetattrOperation
  | SetxattrOperation
  | RemovexattrOperation
  | StatementOperation
  | EnvelopeOperation
