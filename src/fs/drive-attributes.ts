/**
 * Inode records as stat(2) shows them.
 *
 * @module
 */
import type { InodeKind, InodeRecord } from '../sync/inode-record.ts'
import type { NodeKind } from '../sync/operation.ts'
import {
  ROOT_INODE,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
  type Attributes,
  type InodeNumber
} from './vfs.ts'

/** Unit of `st_blocks`, in bytes. */
export const SECTOR_BYTES = 512

const TYPES: Readonly<Record<InodeKind, number>> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
  character: S_IFCHR,
  block: S_IFBLK
}

const KINDS: ReadonlyMap<number, NodeKind> = new Map([
  [0, 'file'],
  [S_IFREG, 'file'],
  [S_IFIFO, 'fifo'],
  [S_IFSOCK, 'socket'],
  [S_IFCHR, 'character'],
  [S_IFBLK, 'block']
])

/** @returns the type bits of a kind of inode */
export function typeOf(kind: InodeKind): number {
  return TYPES[kind]
}

/** @returns what mknod makes for these type bits, or undefined if it makes no such thing */
export function kindOf(type: number): NodeKind | undefined {
  return KINDS.get(type)
}

/** @returns what stat(2) answers */
export function attributesOf(record: InodeRecord): Attributes {
  return {
    ino: record.ino as InodeNumber,
    size: record.kind === 'symlink' ? record.target.length : record.size,
    blocks: Math.ceil(record.allocated / SECTOR_BYTES),
    atime: record.atime,
    mtime: record.mtime,
    ctime: record.ctime,
    mode: TYPES[record.kind] | record.mode,
    nlink: linkCount(record),
    uid: record.uid,
    gid: record.gid,
    rdev: record.rdev
  }
}

/** @returns whether a directory was removed, or a file has no name left */
export function isNameless(record: InodeRecord): boolean {
  return record.links.length === 0 && record.ino !== ROOT_INODE
}

function linkCount(record: InodeRecord): number {
  if (record.kind !== 'directory') return record.links.length
  return isNameless(record) ? 0 : 2 + record.subdirectories
}
