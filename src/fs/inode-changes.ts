/**
 * Changes of inodes: attributes and extended attributes.
 *
 * @module
 */
import type { Clock, Timestamp } from '../sync/clock.ts'
import type { InodeRecord } from '../sync/inode-record.ts'
import type { Name, Operation, SetattrOperation } from '../sync/operation.ts'
import type { Replica } from '../sync/replica.ts'
import { checkXattrName } from './check-name.ts'
import { XATTR_CONFLICT } from './conflict-attribute.ts'
import type { DriveTree } from './drive-tree.ts'
import type { FileContent } from './file-content.ts'
import { FsError } from './fs-error.ts'
import { checkSetting, isAnswer } from './redundancy-attributes.ts'
import {
  FILE_BYTES_MAX,
  XATTR_LIST_BYTES_MAX,
  XATTR_VALUE_BYTES_MAX,
  type AttributeChanges
} from './vfs.ts'

/** The bits of a mode that chmod sets. */
export const PERMISSION_BITS = 0o7777

const S_ISUID = 0o4000
const S_ISGID = 0o2000
const S_IXGRP = 0o010
/** File capabilities go when the content or the owner changes, as in every Linux file system. */
const XATTR_CAPABILITY = 'security.capability' as Name

/** What the parts of the file system share. All of it is borrowed. */
export interface DriveParts {
  /** The drive. */
  readonly replica: Replica
  /** Time. */
  readonly clock: Clock
  /** The tree as it is shown. */
  readonly tree: DriveTree
  /** The bytes of files. */
  readonly content: FileContent
}

/** A change of one inode, without what is known of the inode itself. */
export type InodeChange = WithoutInode<
  Extract<Operation, { type: 'setattr' | 'setxattr' | 'removexattr' }>
>
type Settable = Pick<SetattrOperation, 'mode' | 'uid' | 'gid' | 'atime' | 'mtime'>
type WithoutInode<T> = T extends unknown ? Omit<T, 'inode' | 'base' | 'time'> : never

/** Changes inodes. */
export class InodeChanges {
  readonly #parts: DriveParts

  /** @param parts - borrowed */
  constructor(parts: DriveParts) {
    this.#parts = parts
  }

  /** Sets attributes, the size included. @throws {FsError} */
  setattr(ino: number, changes: AttributeChanges): void {
    const record = this.#parts.tree.inode(ino, 'setattr')
    if (changes.size !== undefined) checkResize(record, changes.size)
    checkTime(changes.atime)
    checkTime(changes.mtime)
    const time = this.#parts.clock.now()
    if (changes.size !== undefined) this.truncate(ino, changes.size, time)
    this.#setAttributes(ino, changes, time)
  }

  /** Sets the size of a file. */
  truncate(ino: number, size: number, time: Timestamp): void {
    this.#parts.content.truncate(ino, size, time)
    this.dropCapability(ino, time)
  }

  /** Sets an extended attribute. @param listed - the names it has. @throws {FsError} */
  setxattr(
    ino: number,
    xattr: { readonly name: Name; readonly value: Uint8Array },
    mode: 'set' | 'create' | 'replace',
    listed: readonly Name[]
  ): void {
    const { name, value } = xattr
    if (name.length === 0 || name.length > 255) throw new FsError('ERANGE', 'setxattr')
    if (value.length > XATTR_VALUE_BYTES_MAX) throw new FsError('E2BIG', 'setxattr')
    checkXattrName(name, 'setxattr')
    checkSetting(this.#parts.tree.inode(ino, 'setxattr').kind, xattr)
    const exists = listed.includes(name)
    if (mode === 'create' && exists) throw new FsError('EEXIST', 'setxattr')
    if (mode === 'replace' && !exists) throw new FsError('ENODATA', 'setxattr')
    const all = exists ? listed : [...listed, name]
    const bytes = all.reduce((sum, each) => sum + each.length + 1, 0)
    if (bytes > XATTR_LIST_BYTES_MAX) throw new FsError('ENOSPC', 'setxattr')
    this.change(ino, { type: 'setxattr', name, value: value.slice() }, this.#parts.clock.now())
  }

  /** Removes an extended attribute. @param listed - the names it has. @throws {FsError} */
  removexattr(ino: number, name: Name, listed: readonly Name[]): void {
    checkXattrName(name, 'removexattr')
    if (isAnswer(name)) throw new FsError('EPERM', 'removexattr')
    if (!listed.includes(name)) throw new FsError('ENODATA', 'removexattr')
    if (name === XATTR_CONFLICT) throw new FsError('EPERM', 'removexattr')
    this.change(ino, { type: 'removexattr', name }, this.#parts.clock.now())
  }

  /** What writing to a file takes from it besides. @param record - as it was before */
  afterWriting(record: InodeRecord, killPrivileges: boolean, time: Timestamp): void {
    if (record.xattrs > 0) this.dropCapability(record.ino, time)
    const isPrivileged = killPrivileges && withoutPrivileges(record, record.mode) !== record.mode
    if (isPrivileged) this.#setAttributes(record.ino, { killPrivileges: true }, time)
  }

  /** Content has changed: takes the file's capabilities. */
  dropCapability(ino: number, time: Timestamp): void {
    if (this.#parts.tree.inode(ino, 'removexattr').xattrs === 0) return
    if (this.#parts.replica.index.xattr(ino, XATTR_CAPABILITY) === undefined) return
    this.change(ino, { type: 'removexattr', name: XATTR_CAPABILITY }, time)
  }

  /** Executes a change of one inode; of one without a name it may not be recorded. */
  change(ino: number, change: InodeChange, time: Timestamp): void {
    const { content, replica, tree } = this.#parts
    // Earlier than this change, and recorded later, a write would set the ctime back.
    content.flush(ino)
    const record = tree.inode(ino, change.type)
    const { id: inode, version: base } = record
    const recorded = content.isRecorded(record)
    replica.execute({ ...change, inode, base, time }, { recorded })
  }

  #setAttributes(ino: number, changes: AttributeChanges, time: Timestamp): void {
    this.#parts.content.flush(ino)
    const record = this.#parts.tree.inode(ino, 'setattr')
    const set = attributesToSet(record, changes, time)
    if (Object.keys(set).length === 0 && changes.killPrivileges !== true) return
    this.change(ino, { type: 'setattr', ...set }, time)
    const ownerSet = set.uid !== undefined || set.gid !== undefined
    if (ownerSet && record.kind !== 'directory') this.dropCapability(ino, time)
  }
}

/** The fields of a setattr operation; none when nothing changes. */
function attributesToSet(
  record: InodeRecord,
  changes: AttributeChanges,
  time: Timestamp
): Settable {
  const { uid, gid, atime, mtime } = changes
  const bits = changes.mode === undefined ? record.mode : changes.mode & PERMISSION_BITS
  const mode = changes.killPrivileges === true ? withoutPrivileges(record, bits) : bits
  return {
    ...((changes.mode !== undefined || mode !== record.mode) && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(atime !== undefined && { atime: atime === 'now' ? time : clamped(atime) }),
    ...(mtime !== undefined && { mtime: mtime === 'now' ? time : clamped(mtime) })
  }
}

function withoutPrivileges(record: InodeRecord, mode: number): number {
  if (record.kind === 'directory') return mode
  const kept = mode & ~S_ISUID
  return (mode & S_IXGRP) === 0 ? kept : kept & ~S_ISGID
}

function checkResize(record: InodeRecord, size: number): void {
  if (record.kind === 'directory') throw new FsError('EISDIR', 'setattr')
  if (record.kind !== 'file' || size < 0) throw new FsError('EINVAL', 'setattr')
  if (size > FILE_BYTES_MAX) throw new FsError('EFBIG', 'setattr')
}

function checkTime(time: Timestamp | 'now' | undefined): void {
  if (time === undefined || time === 'now') return
  if (time.nsec < 0 || time.nsec > 999_999_999) throw new FsError('EINVAL', 'setattr')
}

/** A time out of the range that is kept becomes its end, as in every Linux file system. */
function clamped(time: Timestamp): Timestamp {
  if (Number.isSafeInteger(time.sec)) return time
  return { sec: Math.sign(time.sec) * Number.MAX_SAFE_INTEGER, nsec: 0 }
}
