/**
 * The file system over a replica: what {@link Vfs} promises, as reads of the index and
 * operations of the drive.
 *
 * Where several errors apply, the one Linux reports comes first: inode or handle, then parent,
 * then name, then what the name stands for.
 *
 * @module
 */
import type { Clock, Timestamp } from '../sync/clock.ts'
import type { InodeRecord, LinkRecord } from '../sync/inode-record.ts'
import {
  TARGET_BYTES_MAX,
  type Name,
  type NodeKind,
  type Operation,
  type SetattrOperation
} from '../sync/operation.ts'
import { PENDING_BYTES_MAX } from '../sync/committer.ts'
import type { Replica } from '../sync/replica.ts'
import { SyncError } from '../sync/sync-error.ts'
import { asFsError } from './as-fs-error.ts'
import { checkName, checkXattrName, isDotName, XATTR_SETTINGS_PREFIX } from './check-name.ts'
import { attributesOf, isNameless, kindOf, typeOf } from './drive-attributes.ts'
import { COPY_BYTES_MAX, FileContent, throughOf } from './file-content.ts'
import { absence, FsError } from './fs-error.ts'
import { OpenInodes, type DirectoryHandle, type FileHandle } from './open-inodes.ts'
import { SpaceGuard } from './space-guard.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  FILE_BYTES_MAX,
  O_ACCMODE,
  O_APPEND,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFDIR,
  S_IFMT,
  XATTR_LIST_BYTES_MAX,
  XATTR_VALUE_BYTES_MAX,
  type AttributeChanges,
  type Attributes,
  type Caller,
  type DirectoryEntry,
  type FileSystemStatus,
  type HandleId,
  type InodeNumber,
  type MaybePromise,
  type Opened,
  type Place,
  type Vfs
} from './vfs.ts'

/** The most names one inode may have. */
export const LINKS_MAX = 32_000
/** How long a close waits for others to share its commit, in milliseconds. */
export const CLOSE_DELAY_MS = 2
/** About how many bytes an operation without content takes. */
const OPERATION_BYTES = 512

const PERMISSION_BITS = 0o7777
const S_ISUID = 0o4000
const S_ISGID = 0o2000
const S_IXGRP = 0o010
const NO_BYTES = new Uint8Array(0)
/** File capabilities go when the content or the owner changes, as in every Linux file system. */
const XATTR_CAPABILITY = 'security.capability' as Name

/** What a drive's file system is made of. */
export interface DriveVfsParts {
  /** The drive; borrowed, the owner closes it after {@link DriveVfs.close}. */
  readonly replica: Replica
  /** Time. */
  readonly clock: Clock
  /** Refuse every change with EROFS. */
  readonly readOnly: boolean
  /** The disk that the drive lives on. */
  readonly statfs: () => FileSystemStatus
}

/** The file system over a replica. */
export class DriveVfs implements Vfs {
  readonly #replica: Replica
  readonly #clock: Clock
  readonly #readOnly: boolean
  readonly #statfs: () => FileSystemStatus
  readonly #space: SpaceGuard
  readonly #content: FileContent
  readonly #open: OpenInodes

  /** @param parts - borrowed */
  constructor(parts: DriveVfsParts) {
    this.#replica = parts.replica
    this.#clock = parts.clock
    this.#readOnly = parts.readOnly
    this.#statfs = parts.statfs
    this.#space = new SpaceGuard(parts)
    this.#content = new FileContent(parts)
    this.#open = new OpenInodes(ino => this.#unused(ino))
    parts.replica.isOpen = ino => this.#open.isOpen(ino)
  }

  /** How many files and directories are open. */
  get openFiles(): number {
    return this.#open.handleCount
  }

  /** Bytes written that are not yet part of an operation. */
  get unflushedBytes(): number {
    return this.#content.unflushedBytes
  }

  /** Makes operations of all that was written; open files without a name go. The replica stays open. */
  close(): void {
    this.#content.flushAll()
    this.#replica.isOpen = () => false
    try {
      this.#replica.index.purgeOrphans(this.#clock.now().sec)
    } catch {
      // A damaged row must not keep the drive from closing: the next start purges them.
    }
  }

  // Inodes

  /** See {@link Vfs.lookup}. */
  lookup(place: Place): Attributes {
    return guard('lookup', () => {
      const parent = this.#directory(place.parent, 'lookup')
      if (place.name === '.') return attributesOf(parent)
      if (place.name === '..') return attributesOf(this.#parentOf(parent))
      return this.#attributes(this.#existingChild(parent, place.name, 'lookup'))
    })
  }

  /** See {@link Vfs.remember}. */
  remember(ino: InodeNumber): void {
    this.#open.remember(ino)
  }

  /** See {@link Vfs.forget}. */
  forget(ino: InodeNumber, count: number): void {
    guard('forget', () => this.#open.forget(ino, count))
  }

  /** See {@link Vfs.getattr}. */
  getattr(ino: InodeNumber): Attributes {
    return guard('getattr', () => this.#attributes(this.#inode(ino, 'getattr')))
  }

  /** See {@link Vfs.setattr}. */
  setattr(ino: InodeNumber, changes: AttributeChanges): Attributes {
    // Cutting a file must work on a full disk, as removing it does.
    return this.#removal('setattr', () => {
      const record = this.#inode(ino, 'setattr')
      if (changes.size !== undefined) checkResize(record, changes.size)
      checkTime(changes.atime)
      checkTime(changes.mtime)
      const time = this.#clock.now()
      if (changes.size !== undefined) {
        this.#content.truncate(ino, changes.size, time)
        this.#dropCapability(ino, time)
      }
      this.#setAttributes(ino, changes, time)
      return this.#attributes(this.#inode(ino, 'setattr'))
    })
  }

  /** See {@link Vfs.readlink}. */
  readlink(ino: InodeNumber): Uint8Array {
    return guard('readlink', () => {
      const record = this.#inode(ino, 'readlink')
      if (record.kind !== 'symlink') throw new FsError('EINVAL', 'readlink')
      return record.target
    })
  }

  // Names

  /** See {@link Vfs.mknod}. */
  mknod(
    place: Place,
    node: { readonly mode: number; readonly rdev: number },
    caller: Caller
  ): Attributes {
    return this.#change('mknod', OPERATION_BYTES, () => {
      const parent = this.#directoryToChange(place.parent, 'mknod')
      const type = node.mode & S_IFMT
      const kind = kindOf(type)
      if (kind === undefined) throw new FsError(type === S_IFDIR ? 'EPERM' : 'EINVAL', 'mknod')
      const rdev = kind === 'character' || kind === 'block' ? node.rdev : 0
      const ino = this.#create(
        parent,
        place.name,
        { kind, mode: node.mode, rdev, target: NO_BYTES },
        caller,
        'mknod'
      )
      return this.#attributes(this.#inode(ino, 'mknod'))
    })
  }

  /** See {@link Vfs.mkdir}. */
  mkdir(place: Place, mode: number, caller: Caller): Attributes {
    return this.#change('mkdir', OPERATION_BYTES, () => {
      const { parent: ino, name } = place
      const parent = this.#directoryToChange(ino, 'mkdir')
      this.#checkFreeName(parent, name, 'mkdir')
      const inherited = parent.mode & S_ISGID
      const owner = { uid: caller.uid, gid: inherited ? parent.gid : caller.gid }
      const time = this.#clock.now()
      const bits = (mode & PERMISSION_BITS) | inherited
      this.#replica.execute({ type: 'mkdir', parent: parent.id, name, mode: bits, ...owner, time })
      return this.#attributes(this.#existingChild(parent, name, 'mkdir'))
    })
  }

  /** See {@link Vfs.symlink}. */
  symlink(place: Place, target: Uint8Array, caller: Caller): Attributes {
    return this.#change('symlink', OPERATION_BYTES, () => {
      if (target.length === 0) throw new FsError('ENOENT', 'symlink')
      if (target.length > TARGET_BYTES_MAX) throw new FsError('ENAMETOOLONG', 'symlink')
      if (target.includes(0)) throw new FsError('EINVAL', 'symlink')
      const parent = this.#directoryToChange(place.parent, 'symlink')
      const node = { kind: 'symlink', mode: 0o777, rdev: 0, target } as const
      const ino = this.#create(parent, place.name, node, caller, 'symlink')
      return this.#attributes(this.#inode(ino, 'symlink'))
    })
  }

  /** See {@link Vfs.link}. */
  link(ino: InodeNumber, place: Place): Attributes {
    return this.#change('link', OPERATION_BYTES, () => {
      const file = this.#inode(ino, 'link')
      const parent = this.#directoryToChange(place.parent, 'link')
      this.#checkFreeName(parent, place.name, 'link')
      if (file.kind === 'directory') throw new FsError('EPERM', 'link')
      if (file.links.length >= LINKS_MAX) throw new FsError('EMLINK', 'link')
      if (isNameless(file)) {
        if (!this.#open.takeLinkable(ino)) throw new FsError('ENOENT', 'link')
        this.#nameNameless(file, parent, place.name)
      } else {
        this.#content.flush(ino)
        const { id: inode } = file
        const [through, name, time] = [throughOf(file), place.name, this.#clock.now()]
        this.#replica.execute({ type: 'link', inode, through, parent: parent.id, name, time })
      }
      return this.#attributes(this.#inode(ino, 'link'))
    })
  }

  /** See {@link Vfs.unlink}. */
  unlink(place: Place): void {
    this.#removal('unlink', () => {
      const parent = this.#directoryToChange(place.parent, 'unlink')
      if (isDotName(place.name)) throw new FsError('EISDIR', 'unlink')
      const record = this.#existingChild(parent, place.name, 'unlink')
      if (record.kind === 'directory') throw new FsError('EISDIR', 'unlink')
      this.#beforeLosingName(record)
      const links = [linkAt(record, parent, place.name).id]
      const time = this.#clock.now()
      this.#replica.execute({ type: 'unlink', parent: parent.id, links, time })
    })
  }

  /** See {@link Vfs.rmdir}. */
  rmdir(place: Place): void {
    this.#removal('rmdir', () => {
      const parent = this.#directoryToChange(place.parent, 'rmdir')
      if (place.name === '.') throw new FsError('EINVAL', 'rmdir')
      if (place.name === '..') throw new FsError('ENOTEMPTY', 'rmdir')
      const record = this.#existingChild(parent, place.name, 'rmdir')
      if (record.kind !== 'directory') throw new FsError('ENOTDIR', 'rmdir')
      if (record.children > 0) throw new FsError('ENOTEMPTY', 'rmdir')
      const links = [linkAt(record, parent, place.name).id]
      const time = this.#clock.now()
      this.#replica.execute({ type: 'rmdir', parent: parent.id, links, time })
    })
  }

  /** See {@link Vfs.rename}. */
  rename(from: Place, to: Place, mode: 'replace' | 'noreplace' | 'exchange'): void {
    this.#removal('rename', () => {
      const fromParent = this.#directory(from.parent, 'rename')
      const toParent = this.#directory(to.parent, 'rename')
      if (isDotName(from.name)) throw new FsError('EBUSY', 'rename')
      if (isDotName(to.name)) throw new FsError(mode === 'noreplace' ? 'EEXIST' : 'EBUSY', 'rename')
      if (isNameless(fromParent)) throw new FsError('ENOENT', 'rename')
      const moved = this.#existingChild(fromParent, from.name, 'rename')
      if (isNameless(toParent)) throw new FsError('ENOENT', 'rename')
      const there = this.#child(toParent, to.name, 'rename')
      this.#checkRename({ fromParent, toParent, moved, there }, mode)
      if (moved.ino === there?.ino) return
      this.#content.flush(moved.ino)
      const links = [linkAt(moved, fromParent, from.name).id]
      const others = there ? [linkAt(there, toParent, to.name).id] : []
      const time = this.#clock.now()
      if (there && mode === 'exchange') {
        this.#content.flush(there.ino)
        const first = { parent: fromParent.id, name: from.name }
        const second = { parent: toParent.id, name: to.name }
        this.#replica.execute({ type: 'exchange', links, first, others, second, time })
        return
      }
      if (there) this.#beforeLosingName(there)
      const { name } = to
      this.#replica.execute({
        type: 'rename',
        links,
        from: fromParent.id,
        parent: toParent.id,
        name,
        replaced: others,
        time
      })
    })
  }

  // Files

  /** See {@link Vfs.open}. */
  open(ino: InodeNumber, flags: number): HandleId {
    return guard('open', () => {
      const record = this.#inode(ino, 'open')
      if (record.kind === 'directory') throw new FsError('EISDIR', 'open')
      if (record.kind === 'symlink') throw new FsError('ELOOP', 'open')
      if (record.kind !== 'file') throw new FsError('ENXIO', 'open')
      const isChanging = (flags & O_TRUNC) !== 0 || (flags & O_ACCMODE) !== O_RDONLY
      if (isChanging && this.#readOnly) throw new FsError('EROFS', 'open')
      if ((flags & O_TRUNC) !== 0) {
        const time = this.#clock.now()
        this.#content.truncate(ino, 0, time)
        this.#dropCapability(ino, time)
      }
      return this.#open.openFile(ino, flags)
    })
  }

  /** See {@link Vfs.create}. */
  create(
    place: Place,
    node: { readonly mode: number; readonly flags: number },
    caller: Caller
  ): Opened {
    return this.#change('create', OPERATION_BYTES, () => {
      const parent = this.#directoryToChange(place.parent, 'create')
      const made = { kind: 'file', mode: node.mode, rdev: 0, target: NO_BYTES } as const
      const ino = this.#create(parent, place.name, made, caller, 'create')
      return { handle: this.#open.openFile(ino, node.flags), attributes: this.getattr(ino) }
    })
  }

  /** See {@link Vfs.tmpfile}. */
  tmpfile(
    parent: InodeNumber,
    node: { readonly mode: number; readonly flags: number },
    caller: Caller
  ): Opened {
    return this.#change('tmpfile', OPERATION_BYTES, () => {
      const directory = this.#directoryToChange(parent, 'tmpfile')
      const owner = ownerIn(directory, caller)
      const mode = node.mode & PERMISSION_BITS
      const record = this.#replica.index.addNameless({ mode, ...owner }, this.#clock.now())
      const ino = record.ino as InodeNumber
      if ((node.flags & O_EXCL) === 0) this.#open.setLinkable(ino)
      return { handle: this.#open.openFile(ino, node.flags), attributes: attributesOf(record) }
    })
  }

  /** See {@link Vfs.read}. */
  read(
    handle: HandleId,
    range: { readonly offset: number; readonly length: number }
  ): MaybePromise<readonly Uint8Array[]> {
    return guard('read', () => {
      const file = this.#open.file(handle, 'read')
      if (!isReadable(file)) throw new FsError('EBADF', 'read')
      if (range.offset < 0 || range.length < 0) throw new FsError('EINVAL', 'read')
      return this.#content.read(this.#inode(file.ino, 'read'), range)
    })
  }

  /** See {@link Vfs.write}. */
  write(
    handle: HandleId,
    data: Uint8Array,
    options: { readonly offset: number; readonly killPrivileges: boolean }
  ): MaybePromise<number> {
    return this.#change('write', data.length, () => {
      const { ino, flags } = this.#writableFile(handle, 'write')
      if (options.offset < 0) throw new FsError('EINVAL', 'write')
      if (data.length === 0) return 0
      const record = this.#inode(ino, 'write')
      const offset = (flags & O_APPEND) === 0 ? options.offset : this.#content.current(record).size
      if (offset > FILE_BYTES_MAX - data.length) throw new FsError('EFBIG', 'write')
      const time = this.#clock.now()
      this.#content.write(record, offset, data, time)
      this.#afterWriting(record, options.killPrivileges, time)
      const room = this.#replica.room()
      return room ? room.then(() => data.length) : data.length
    })
  }

  /** See {@link Vfs.flush}. */
  flush(handle: HandleId): void {
    guard('flush', () => this.#flushFile(this.#open.file(handle, 'flush')))
  }

  /** See {@link Vfs.fsync}. */
  fsync(handle: HandleId): Promise<void> {
    return guardAsync('fsync', () => {
      this.#content.flush(this.#open.file(handle, 'fsync').ino)
      return this.#replica.sync()
    })
  }

  /** See {@link Vfs.release}. */
  release(handle: HandleId): void {
    guard('release', () => {
      const file = this.#open.file(handle, 'release')
      try {
        this.#flushFile(file)
      } finally {
        this.#open.close(handle)
      }
    })
  }

  /** See {@link Vfs.fallocate}. */
  fallocate(
    handle: HandleId,
    range: { readonly mode: number; readonly offset: number; readonly length: number }
  ): void {
    this.#change('fallocate', 0, () => {
      const { mode, offset, length } = range
      const file = this.#open.file(handle, 'fallocate')
      if (offset < 0 || length <= 0) throw new FsError('EINVAL', 'fallocate')
      const keepSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0
      const action = mode & ~FALLOC_FL_KEEP_SIZE
      checkFallocateMode(action, keepSize)
      if ((file.flags & O_ACCMODE) === O_RDONLY) throw new FsError('EBADF', 'fallocate')
      if (offset > FILE_BYTES_MAX - length) throw new FsError('EFBIG', 'fallocate')
      if (action === 0) this.#space.check(length, 'fallocate')
      const { size } = this.#content.current(this.#inode(file.ino, 'fallocate'))
      const end = offset + length
      const time = this.#clock.now()
      const hole = action === 0 ? { from: 0, to: 0 } : { from: offset, to: end }
      this.#content.punch(file.ino, hole, keepSize ? size : Math.max(size, end), time)
      this.#dropCapability(file.ino, time)
    })
  }

  /** See {@link Vfs.seek}. */
  seek(
    handle: HandleId,
    at: { readonly offset: number; readonly whence: 'data' | 'hole' }
  ): number {
    return guard('seek', () => {
      const { ino } = this.#open.file(handle, 'seek')
      const { size } = this.#content.current(this.#inode(ino, 'seek'))
      if (at.offset < 0 || at.offset >= size) throw new FsError('ENXIO', 'seek')
      const found = this.#content.seek(ino, at)
      if (found === undefined) throw new FsError('ENXIO', 'seek')
      return Math.min(found, size)
    })
  }

  /** See {@link Vfs.copyFileRange}. */
  copyFileRange(
    from: { readonly handle: HandleId; readonly offset: number },
    to: { readonly handle: HandleId; readonly offset: number },
    length: number
  ): number {
    return this.#change('copyFileRange', OPERATION_BYTES, () => {
      const source = this.#open.file(from.handle, 'copyFileRange')
      const target = this.#open.file(to.handle, 'copyFileRange')
      const appends = (target.flags & O_APPEND) !== 0
      if (!isReadable(source) || !isWritable(target) || appends)
        throw new FsError('EBADF', 'copyFileRange')
      if (from.offset < 0 || to.offset < 0 || length < 0)
        throw new FsError('EINVAL', 'copyFileRange')
      const { size } = this.#content.current(this.#inode(source.ino, 'copyFileRange'))
      const count = Math.min(length, Math.max(0, size - from.offset), COPY_BYTES_MAX)
      if (to.offset > FILE_BYTES_MAX - count) throw new FsError('EFBIG', 'copyFileRange')
      const overlaps = to.offset + count > from.offset && to.offset < from.offset + count
      if (source.ino === target.ino && overlaps) throw new FsError('EINVAL', 'copyFileRange')
      if (count === 0) return 0
      const time = this.#clock.now()
      const [here, there] = [from.offset, to.offset]
      this.#content.copy(
        { ino: source.ino, offset: here },
        { ino: target.ino, offset: there },
        count,
        time
      )
      this.#dropCapability(target.ino, time)
      return count
    })
  }

  // Directories

  /** See {@link Vfs.opendir}. */
  opendir(ino: InodeNumber): HandleId {
    return guard('opendir', () => {
      this.#directory(ino, 'opendir')
      return this.#open.openDirectory(ino)
    })
  }

  /** See {@link Vfs.readdir}. */
  readdir(handle: HandleId, offset: number, visit: (entry: DirectoryEntry) => boolean): void {
    guard('readdir', () => {
      const directory = this.#open.directory(handle, 'readdir')
      const rows = offset === 0 || !directory.rows ? this.#list(directory) : directory.rows
      for (let at = offset; at < rows.length; at++) {
        const row = rows[at]
        if (row === undefined || !visit(row)) return
      }
    })
  }

  /** See {@link Vfs.releasedir}. */
  releasedir(handle: HandleId): void {
    guard('releasedir', () => {
      this.#open.directory(handle, 'releasedir')
      this.#open.close(handle)
    })
  }

  /** See {@link Vfs.fsyncdir}. */
  fsyncdir(handle: HandleId): Promise<void> {
    return guardAsync('fsyncdir', () => {
      this.#open.directory(handle, 'fsyncdir')
      return this.#replica.sync()
    })
  }

  // Extended attributes

  /** See {@link Vfs.getxattr}. */
  getxattr(ino: InodeNumber, name: Name): Uint8Array {
    return guard('getxattr', () => {
      const record = this.#inode(ino, 'getxattr')
      checkXattrName(name, 'getxattr')
      const found = record.xattrs === 0 ? undefined : this.#replica.index.xattrs.get(ino, name)
      if (found === undefined) throw new FsError('ENODATA', 'getxattr')
      return found.value
    })
  }

  /** See {@link Vfs.listxattr}. */
  listxattr(ino: InodeNumber): readonly Name[] {
    return guard('listxattr', () => {
      if (this.#inode(ino, 'listxattr').xattrs === 0) return []
      return [...this.#replica.index.xattrs.entries(ino).values()].map(row => row.name)
    })
  }

  /** See {@link Vfs.setxattr}. */
  setxattr(
    ino: InodeNumber,
    name: Name,
    value: Uint8Array,
    mode: 'set' | 'create' | 'replace'
  ): void {
    this.#change('setxattr', value.length, () => {
      this.#inode(ino, 'setxattr')
      if (name.length === 0 || name.length > 255) throw new FsError('ERANGE', 'setxattr')
      if (value.length > XATTR_VALUE_BYTES_MAX) throw new FsError('E2BIG', 'setxattr')
      checkXattrName(name, 'setxattr')
      if (name.startsWith(XATTR_SETTINGS_PREFIX)) throw new FsError('EINVAL', 'setxattr')
      const names = this.listxattr(ino)
      const exists = names.includes(name)
      if (mode === 'create' && exists) throw new FsError('EEXIST', 'setxattr')
      if (mode === 'replace' && !exists) throw new FsError('ENODATA', 'setxattr')
      const listed = [...names, ...(exists ? [] : [name])].reduce(
        (sum, each) => sum + each.length + 1,
        0
      )
      if (listed > XATTR_LIST_BYTES_MAX) throw new FsError('ENOSPC', 'setxattr')
      this.#changeInode(ino, { type: 'setxattr', name, value: value.slice() }, this.#clock.now())
    })
  }

  /** See {@link Vfs.removexattr}. */
  removexattr(ino: InodeNumber, name: Name): void {
    this.#removal('removexattr', () => {
      this.#inode(ino, 'removexattr')
      checkXattrName(name, 'removexattr')
      if (!this.listxattr(ino).includes(name)) throw new FsError('ENODATA', 'removexattr')
      this.#changeInode(ino, { type: 'removexattr', name }, this.#clock.now())
    })
  }

  // The whole

  /** See {@link Vfs.statfs}. */
  statfs(): FileSystemStatus {
    return guard('statfs', () => this.#statfs())
  }

  /** See {@link Vfs.syncfs}. */
  syncfs(): Promise<void> {
    return guardAsync('syncfs', () => {
      this.#content.flushAll()
      return this.#replica.sync()
    })
  }

  // Inside

  /** Runs what changes the drive and takes up to `bytes` of the disk. */
  #change<T>(operation: string, bytes: number, body: () => T): T {
    return guard(operation, () => {
      if (this.#readOnly) throw new FsError('EROFS', operation)
      const { failureCode, pendingBytes } = this.#replica
      if (failureCode === 'NO_SPACE') throw new FsError('ENOSPC', operation)
      if (failureCode && pendingBytes > PENDING_BYTES_MAX) throw new FsError('EIO', operation)
      if (bytes > 0) this.#space.take(bytes, pendingBytes, operation)
      return body()
    })
  }

  /** Runs what makes the drive smaller: it may use the reserve of a full disk. */
  #removal<T>(operation: string, body: () => T): T {
    return guard(operation, () => {
      if (this.#readOnly) throw new FsError('EROFS', operation)
      return body()
    })
  }

  #inode(ino: number, operation: string): InodeRecord {
    const record = this.#replica.index.inodes.get(ino)
    if (record === undefined) throw new FsError('ENOENT', operation)
    return record
  }

  #directory(ino: number, operation: string): InodeRecord {
    const record = this.#inode(ino, operation)
    if (record.kind !== 'directory') throw new FsError('ENOTDIR', operation)
    return record
  }

  /** A directory that may get or lose names: one that was removed may not. */
  #directoryToChange(ino: number, operation: string): InodeRecord {
    const record = this.#directory(ino, operation)
    if (isNameless(record)) throw new FsError('ENOENT', operation)
    return record
  }

  #child(parent: InodeRecord, name: Name, operation: string): InodeRecord | undefined {
    checkName(name, operation)
    const found = this.#replica.index.names.get(parent.ino, name)
    return found && this.#inodeOfName(found.ino, operation)
  }

  /** A name whose inode has no row is damage, not absence. */
  #inodeOfName(ino: number, operation: string): InodeRecord {
    const record = this.#replica.index.inodes.get(ino)
    if (record) return record
    const cause = new SyncError('DAMAGED', 'a name of the index has no inode')
    throw new FsError('EIO', operation, { cause })
  }

  #existingChild(parent: InodeRecord, name: Name, operation: string): InodeRecord {
    const child = this.#child(parent, name, operation)
    if (child === undefined) throw absence(operation)
    return child
  }

  #checkFreeName(parent: InodeRecord, name: Name, operation: string): void {
    checkName(name, operation)
    const isTaken = isDotName(name) || this.#replica.index.names.get(parent.ino, name) !== undefined
    if (isTaken) throw new FsError('EEXIST', operation)
  }

  #parentOf(directory: InodeRecord): InodeRecord {
    const parent = directory.links[0]?.parent
    return parent === undefined ? directory : this.#inode(parent, 'lookup')
  }

  #attributes(record: InodeRecord): Attributes {
    return attributesOf(this.#content.current(record))
  }

  #create(
    parent: InodeRecord,
    name: Name,
    node: {
      readonly kind: NodeKind
      readonly mode: number
      readonly rdev: number
      readonly target: Uint8Array
    },
    caller: Caller,
    operation: string
  ): InodeNumber {
    this.#checkFreeName(parent, name, operation)
    const mode = node.mode & PERMISSION_BITS
    const [owner, time] = [ownerIn(parent, caller), this.#clock.now()]
    this.#replica.execute({
      type: 'create',
      parent: parent.id,
      name,
      ...node,
      mode,
      ...owner,
      time
    })
    return this.#existingChild(parent, name, operation).ino as InodeNumber
  }

  /** Records a file that had no name until now: its making, its content and its attributes. */
  #nameNameless(file: InodeRecord, parent: InodeRecord, name: Name): void {
    const { ino } = file
    const pieces = this.#content.allPieces(ino)
    const now = this.#inode(ino, 'link')
    const time = this.#clock.now()
    const { mode, uid, gid, size, atime, mtime } = now
    const node = { kind: 'file', mode, uid, gid, rdev: 0, target: NO_BYTES } as const
    this.#replica.execute({ type: 'create', parent: parent.id, name, ...node, time }, { ino })
    if (size > 0) this.#content.recordAll(ino, pieces, size, time)
    for (const row of this.#replica.index.xattrs.entries(ino).values()) {
      this.#changeInode(ino, { type: 'setxattr', name: row.name, value: row.value }, time)
    }
    this.#changeInode(ino, { type: 'setattr', atime, mtime }, time)
  }

  #setAttributes(ino: number, changes: AttributeChanges, time: Timestamp): void {
    this.#content.flush(ino)
    const record = this.#inode(ino, 'setattr')
    const set = attributesToSet(record, changes, time)
    if (Object.keys(set).length === 0 && changes.killPrivileges !== true) return
    this.#changeInode(ino, { type: 'setattr', ...set }, time)
    const ownerSet = set.uid !== undefined || set.gid !== undefined
    if (ownerSet && record.kind !== 'directory') this.#dropCapability(ino, time)
  }

  #afterWriting(record: InodeRecord, killPrivileges: boolean, time: Timestamp): void {
    if (record.xattrs > 0) this.#dropCapability(record.ino, time)
    const isPrivileged = killPrivileges && withoutPrivileges(record, record.mode) !== record.mode
    if (isPrivileged) this.#setAttributes(record.ino, { killPrivileges: true }, time)
  }

  #dropCapability(ino: number, time: Timestamp): void {
    if (this.#inode(ino, 'removexattr').xattrs === 0) return
    if (this.#replica.index.xattrs.get(ino, XATTR_CAPABILITY) === undefined) return
    this.#changeInode(ino, { type: 'removexattr', name: XATTR_CAPABILITY }, time)
  }

  /** Executes a change of one inode; of one without a name it is not recorded. */
  #changeInode(ino: number, change: InodeChange, time: Timestamp): void {
    // Earlier than this change, and recorded later, a write would set the ctime back.
    this.#content.flush(ino)
    const record = this.#inode(ino, change.type)
    const { id: inode, version: base } = record
    this.#replica.execute({ ...change, inode, base, time }, { recorded: !isNameless(record) })
  }

  #flushFile(file: FileHandle): void {
    if (!isWritable(file)) return
    this.#content.flush(file.ino)
    this.#replica.commitWithin(CLOSE_DELAY_MS)
  }

  /** What was written must be recorded while the file still has its name. */
  #beforeLosingName(record: InodeRecord): void {
    if (record.links.length > 1 || this.#open.isOpen(record.ino)) this.#content.flush(record.ino)
    else this.#content.discard(record.ino)
  }

  /** The last handle of an inode is gone and the kernel forgot it. */
  #unused(ino: number): void {
    this.#content.closed(ino)
    const record = this.#replica.index.inodes.get(ino)
    if (record === undefined || !isNameless(record)) return
    this.#content.discard(ino)
    this.#replica.index.purge(ino, this.#clock.now().sec)
  }

  #writableFile(handle: HandleId, operation: string): FileHandle {
    const file = this.#open.file(handle, operation)
    if (!isWritable(file)) throw new FsError('EBADF', operation)
    return file
  }

  #list(handle: DirectoryHandle): readonly DirectoryEntry[] {
    const directory = this.#directory(handle.ino, 'readdir')
    if (isNameless(directory)) throw new FsError('ENOENT', 'readdir')
    const parent = this.#parentOf(directory)
    const rows = [
      entryOf('.' as Name, directory.ino, S_IFDIR, 1),
      entryOf('..' as Name, parent.ino, S_IFDIR, 2)
    ]
    const { index } = this.#replica
    const names = index.names.entries(directory.ino)
    // Each row is authenticated, that one is missing is not: a listing must not be short unnoticed.
    if (names.size !== directory.children) throw index.inconsistent('a name is missing')
    for (const { name, ino, kind } of names.values()) {
      rows.push(entryOf(name, ino, typeOf(kind), rows.length + 1))
    }
    handle.rows = rows
    return rows
  }

  #checkRename(rename: Rename, mode: 'replace' | 'noreplace' | 'exchange'): void {
    const { fromParent, toParent, moved, there } = rename
    if (mode === 'noreplace' && there) throw new FsError('EEXIST', 'rename')
    if (mode === 'exchange' && !there) throw new FsError('ENOENT', 'rename')
    if (this.#isWithin(toParent, moved)) throw new FsError('EINVAL', 'rename')
    if (there && this.#isWithin(fromParent, there)) {
      throw new FsError(mode === 'exchange' ? 'EINVAL' : 'ENOTEMPTY', 'rename')
    }
    if (there && there.ino !== moved.ino && mode !== 'exchange') checkReplaceable(moved, there)
  }

  /** Whether a directory is `ancestor` or lies below it. */
  #isWithin(directory: InodeRecord, ancestor: InodeRecord): boolean {
    if (ancestor.kind !== 'directory') return false
    for (let at: InodeRecord | undefined = directory; at;) {
      if (at.ino === ancestor.ino) return true
      const parent: number | undefined = at.links[0]?.parent
      at = parent === undefined ? undefined : this.#inode(parent, 'rename')
    }
    return false
  }
}

interface Rename {
  readonly fromParent: InodeRecord
  readonly toParent: InodeRecord
  readonly moved: InodeRecord
  readonly there: InodeRecord | undefined
}

/** A change of one inode, without what is known of the inode itself. */
type InodeChange = WithoutInode<
  Extract<Operation, { type: 'setattr' | 'setxattr' | 'removexattr' }>
>
type Settable = Pick<SetattrOperation, 'mode' | 'uid' | 'gid' | 'atime' | 'mtime'>
type WithoutInode<T> = T extends unknown ? Omit<T, 'inode' | 'base' | 'time'> : never

function entryOf(name: Name, ino: number, type: number, nextOffset: number): DirectoryEntry {
  return { name, ino: ino as InodeNumber, type, nextOffset }
}

function linkAt(record: InodeRecord, parent: InodeRecord, name: Name): LinkRecord {
  const link = record.links.find(each => each.parent === parent.ino && each.name === name)
  if (link === undefined) throw new SyncError('DAMAGED', 'a name of the index has no link')
  return link
}

/** What a name stands for may be replaced by its like only, a directory only if it is empty. */
function checkReplaceable(moved: InodeRecord, there: InodeRecord): void {
  const [isMoved, isThere] = [moved.kind === 'directory', there.kind === 'directory']
  if (isMoved && !isThere) throw new FsError('ENOTDIR', 'rename')
  if (!isMoved && isThere) throw new FsError('EISDIR', 'rename')
  if (there.children > 0) throw new FsError('ENOTEMPTY', 'rename')
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

function ownerIn(parent: InodeRecord, caller: Caller): { uid: number; gid: number } {
  return { uid: caller.uid, gid: (parent.mode & S_ISGID) === 0 ? caller.gid : parent.gid }
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

function checkFallocateMode(action: number, keepSize: boolean): void {
  const isKnown = action === 0 || action === FALLOC_FL_PUNCH_HOLE || action === FALLOC_FL_ZERO_RANGE
  const isPunch = action === FALLOC_FL_PUNCH_HOLE
  if (!isKnown || (isPunch && !keepSize)) throw new FsError('EOPNOTSUPP', 'fallocate')
}

function isReadable(file: FileHandle): boolean {
  return (file.flags & O_ACCMODE) !== O_WRONLY
}

function isWritable(file: FileHandle): boolean {
  return (file.flags & O_ACCMODE) !== O_RDONLY
}

/** Runs a call so that it fails with an {@link FsError} only. */
function guard<T>(operation: string, body: () => T): T {
  try {
    const result = body()
    if (!(result instanceof Promise)) return result
    return result.catch((error: unknown) => {
      throw asFsError(error, operation)
    }) as T
  } catch (error) {
    throw asFsError(error, operation)
  }
}

async function guardAsync(operation: string, body: () => Promise<void>): Promise<void> {
  try {
    await body()
  } catch (error) {
    throw asFsError(error, operation)
  }
}
