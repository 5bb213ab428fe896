/**
 * The naive model of {@link Vfs}: a whole file system in memory, written to be obviously right
 * rather than fast. It is what the real one is compared with, so where POSIX leaves a choice
 * it does what Linux does, including which of several errors comes first:
 *
 * 1. an inode or handle that does not exist (ENOENT, EBADF),
 * 2. a parent that is no directory (ENOTDIR) or was removed (ENOENT),
 * 3. a name that cannot be (ENAMETOOLONG, EINVAL, ENOENT when empty),
 * 4. what the name stands for (ENOENT, EEXIST, EISDIR, ENOTDIR, ENOTEMPTY).
 *
 * Every change takes one instant from the clock and uses it for all times it sets.
 *
 * @module
 */
import { FsError } from '../../src/fs/fs-error.ts'
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
  ROOT_INODE,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
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
} from '../../src/fs/vfs.ts'
import type { Clock, Timestamp } from '../../src/sync/clock.ts'
import { NAME_BYTES_MAX, TARGET_BYTES_MAX, type Name } from '../../src/sync/operation.ts'
import { SparseBytes } from './sparse-bytes.ts'

const S_ISUID = 0o4000
const S_ISGID = 0o2000
const S_IXGRP = 0o010
const PERMISSION_BITS = 0o7777
const SECTOR_BYTES = 512
const BLOCK_BYTES = 4096
/** What {@link MemoryVfs.statfs} says the disk holds. */
const DISK_BLOCKS = 2 ** 28
const DISK_INODES = 2 ** 24

/** Attribute name spaces that are kept; others are EOPNOTSUPP. */
const XATTR_PREFIXES = ['user.', 'security.', 'trusted.'] as const
/** Never kept: the label of a security module we have not loaded; `ls` then stops asking. */
const XATTR_REFUSED = 'security.selinux'
/** File capabilities go when the content or the owner changes, as in every Linux file system. */
const XATTR_CAPABILITY = 'security.capability' as Name

interface Inode {
  readonly ino: InodeNumber
  readonly rdev: number
  readonly target: Uint8Array
  readonly bytes: SparseBytes
  readonly children: Map<Name, Inode>
  readonly xattrs: Map<Name, Uint8Array>
  mode: number
  uid: number
  gid: number
  atime: Timestamp
  mtime: Timestamp
  ctime: Timestamp
  /** Names of a file; of a directory 1 while it has its place, 0 once removed. */
  links: number
  /** Of a directory: where `..` leads. */
  parent: Inode | undefined
  /** A nameless file that link may still give a name. */
  linkable: boolean
  remembered: number
  handles: number
}

interface FileHandle {
  readonly kind: 'file'
  readonly inode: Inode
  readonly flags: number
}

interface DirectoryHandle {
  readonly kind: 'directory'
  readonly inode: Inode
  rows: readonly DirectoryEntry[] | undefined
}

/** What a {@link MemoryVfs} is made of. */
export interface MemoryVfsOptions {
  /** Gives every time that is recorded. */
  readonly clock: Clock
  /** Owner of the root directory. */
  readonly uid: number
  /** Group of the root directory. */
  readonly gid: number
}

/**
 * The file system in memory. Nothing outlives the object; a sync has nothing to do. Reads and
 * writes answer at once, and are typed so that a subclass may make them wait.
 */
export class MemoryVfs implements Vfs {
  readonly #clock: Clock
  readonly #inodes = new Map<InodeNumber, Inode>()
  readonly #handles = new Map<HandleId, FileHandle | DirectoryHandle>()
  #lastInode: number = ROOT_INODE - 1
  #lastHandle = 0

  /** Makes an empty root directory, mode 0755. */
  constructor(options: MemoryVfsOptions) {
    this.#clock = options.clock
    const root = this.#makeInode({ mode: S_IFDIR | 0o755, uid: options.uid, gid: options.gid })
    root.links = 1
    root.parent = root
  }

  /** How many inodes exist, with or without a name: for tests that look for leaks. */
  get inodeCount(): number {
    return this.#inodes.size
  }

  /** How many files and directories are open: for tests that look for leaks. */
  get handleCount(): number {
    return this.#handles.size
  }

  /** How often an inode is remembered; 0 when it is unknown. */
  rememberedCount(ino: InodeNumber): number {
    return this.#inodes.get(ino)?.remembered ?? 0
  }

  // Inodes

  /** See {@link Vfs.lookup}. */
  lookup(place: Place): Attributes {
    const parent = this.#directory(place.parent, 'lookup')
    if (place.name === '.') return attributesOf(parent)
    if (place.name === '..') return attributesOf(parent.parent ?? parent)
    return attributesOf(this.#existingChild(parent, place.name, 'lookup'))
  }

  /** See {@link Vfs.remember}. */
  remember(ino: InodeNumber): void {
    this.#inode(ino, 'remember').remembered++
  }

  /** See {@link Vfs.forget}. */
  forget(ino: InodeNumber, count: number): void {
    const inode = this.#inodes.get(ino)
    if (!inode) return
    inode.remembered = Math.max(0, inode.remembered - count)
    this.#dropIfUnused(inode)
  }

  /** See {@link Vfs.getattr}. */
  getattr(ino: InodeNumber): Attributes {
    return attributesOf(this.#inode(ino, 'getattr'))
  }

  /** See {@link Vfs.setattr}. */
  setattr(ino: InodeNumber, changes: AttributeChanges): Attributes {
    const inode = this.#inode(ino, 'setattr')
    if (changes.size !== undefined) checkResize(inode, changes.size)
    checkTime(changes.atime)
    checkTime(changes.mtime)

    const now = this.#clock.now()
    if (changes.size !== undefined) {
      inode.bytes.resize(changes.size)
      contentChanged(inode, now)
    }
    if (changes.mode !== undefined) {
      inode.mode = (inode.mode & S_IFMT) | (changes.mode & PERMISSION_BITS)
    }
    if (changes.uid !== undefined) inode.uid = changes.uid
    if (changes.gid !== undefined) inode.gid = changes.gid
    const ownerSet = changes.uid !== undefined || changes.gid !== undefined
    if (ownerSet && !isDirectory(inode)) inode.xattrs.delete(XATTR_CAPABILITY)
    if (changes.atime !== undefined) inode.atime = changes.atime === 'now' ? now : changes.atime
    if (changes.mtime !== undefined) inode.mtime = changes.mtime === 'now' ? now : changes.mtime
    if (changes.killPrivileges === true) killPrivileges(inode)
    if (Object.values(changes).some(value => value !== undefined)) inode.ctime = now
    return attributesOf(inode)
  }

  /** See {@link Vfs.readlink}. */
  readlink(ino: InodeNumber): Uint8Array {
    const inode = this.#inode(ino, 'readlink')
    if (!isSymlink(inode)) throw new FsError('EINVAL', 'readlink')
    return inode.target.slice()
  }

  // Names

  /** See {@link Vfs.mknod}. */
  mknod(
    place: Place,
    node: { readonly mode: number; readonly rdev: number },
    caller: Caller
  ): Attributes {
    const parent = this.#directoryToChange(place.parent, 'mknod')
    const type = (node.mode & S_IFMT) === 0 ? S_IFREG : node.mode & S_IFMT
    if (type === S_IFDIR) throw new FsError('EPERM', 'mknod')
    if (![S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK].includes(type)) {
      throw new FsError('EINVAL', 'mknod')
    }
    checkFreeName(parent, place.name, 'mknod')
    const isDevice = type === S_IFCHR || type === S_IFBLK
    const inode = this.#makeChild(parent, {
      mode: type | (node.mode & PERMISSION_BITS),
      caller,
      rdev: isDevice ? node.rdev : 0
    })
    this.#addName(parent, place.name, inode)
    return attributesOf(inode)
  }

  /** See {@link Vfs.mkdir}. */
  mkdir(place: Place, mode: number, caller: Caller): Attributes {
    const parent = this.#directoryToChange(place.parent, 'mkdir')
    checkFreeName(parent, place.name, 'mkdir')
    const inherited = parent.mode & S_ISGID
    const inode = this.#makeChild(parent, {
      mode: S_IFDIR | (mode & PERMISSION_BITS) | inherited,
      caller
    })
    inode.parent = parent
    this.#addName(parent, place.name, inode)
    return attributesOf(inode)
  }

  /** See {@link Vfs.symlink}. */
  symlink(place: Place, target: Uint8Array, caller: Caller): Attributes {
    if (target.length === 0) throw new FsError('ENOENT', 'symlink')
    if (target.length > TARGET_BYTES_MAX) throw new FsError('ENAMETOOLONG', 'symlink')
    if (target.includes(0)) throw new FsError('EINVAL', 'symlink')
    const parent = this.#directoryToChange(place.parent, 'symlink')
    checkFreeName(parent, place.name, 'symlink')
    const inode = this.#makeChild(parent, {
      mode: S_IFLNK | 0o777,
      caller,
      target: target.slice()
    })
    this.#addName(parent, place.name, inode)
    return attributesOf(inode)
  }

  /** See {@link Vfs.link}. */
  link(ino: InodeNumber, place: Place): Attributes {
    const inode = this.#inode(ino, 'link')
    const parent = this.#directoryToChange(place.parent, 'link')
    checkFreeName(parent, place.name, 'link')
    if (isDirectory(inode)) throw new FsError('EPERM', 'link')
    if (inode.links === 0 && !inode.linkable) throw new FsError('ENOENT', 'link')
    inode.linkable = false
    const now = this.#addName(parent, place.name, inode)
    inode.ctime = now
    return attributesOf(inode)
  }

  /** See {@link Vfs.unlink}. */
  unlink(place: Place): void {
    const parent = this.#directoryToChange(place.parent, 'unlink')
    if (isDotName(place.name)) throw new FsError('EISDIR', 'unlink')
    const inode = this.#existingChild(parent, place.name, 'unlink')
    if (isDirectory(inode)) throw new FsError('EISDIR', 'unlink')
    parent.children.delete(place.name)
    this.#nameLost(inode, this.#namesChanged(parent))
  }

  /** See {@link Vfs.rmdir}. */
  rmdir(place: Place): void {
    const parent = this.#directoryToChange(place.parent, 'rmdir')
    if (place.name === '.') throw new FsError('EINVAL', 'rmdir')
    if (place.name === '..') throw new FsError('ENOTEMPTY', 'rmdir')
    const inode = this.#existingChild(parent, place.name, 'rmdir')
    if (!isDirectory(inode)) throw new FsError('ENOTDIR', 'rmdir')
    if (inode.children.size > 0) throw new FsError('ENOTEMPTY', 'rmdir')
    parent.children.delete(place.name)
    this.#nameLost(inode, this.#namesChanged(parent))
  }

  /** See {@link Vfs.rename}. */
  rename(from: Place, to: Place, mode: 'replace' | 'noreplace' | 'exchange'): void {
    const fromParent = this.#directory(from.parent, 'rename')
    const toParent = this.#directory(to.parent, 'rename')
    if (isDotName(from.name)) throw new FsError('EBUSY', 'rename')
    if (isDotName(to.name)) throw new FsError(mode === 'noreplace' ? 'EEXIST' : 'EBUSY', 'rename')
    if (fromParent.links === 0) throw new FsError('ENOENT', 'rename')
    const moved = this.#existingChild(fromParent, from.name, 'rename')
    if (toParent.links === 0) throw new FsError('ENOENT', 'rename')
    checkName(to.name, 'rename')
    const there = toParent.children.get(to.name)
    checkRename({ fromParent, toParent, moved, there, mode })
    if (moved === there) return

    if (there && mode === 'exchange') {
      fromParent.children.set(from.name, there)
      toParent.children.set(to.name, moved)
      if (isDirectory(moved)) moved.parent = toParent
      if (isDirectory(there)) there.parent = fromParent
      const now = this.#namesChanged(fromParent, toParent)
      moved.ctime = now
      there.ctime = now
      return
    }
    fromParent.children.delete(from.name)
    toParent.children.delete(to.name)
    toParent.children.set(to.name, moved)
    if (isDirectory(moved)) moved.parent = toParent
    const now = this.#namesChanged(fromParent, toParent)
    moved.ctime = now
    if (there) this.#nameLost(there, now)
  }

  // Files

  /** See {@link Vfs.open}. */
  open(ino: InodeNumber, flags: number): HandleId {
    const inode = this.#inode(ino, 'open')
    if (isDirectory(inode)) throw new FsError('EISDIR', 'open')
    if (isSymlink(inode)) throw new FsError('ELOOP', 'open')
    if (!isRegular(inode)) throw new FsError('ENXIO', 'open')
    if ((flags & O_TRUNC) !== 0) {
      inode.bytes.resize(0)
      contentChanged(inode, this.#clock.now())
    }
    return this.#openFile(inode, flags)
  }

  /** See {@link Vfs.create}. */
  create(
    place: Place,
    node: { readonly mode: number; readonly flags: number },
    caller: Caller
  ): Opened {
    const mode = S_IFREG | (node.mode & PERMISSION_BITS)
    const { ino } = this.mknod(place, { mode, rdev: 0 }, caller)
    const inode = this.#inode(ino, 'create')
    return { handle: this.#openFile(inode, node.flags), attributes: attributesOf(inode) }
  }

  /** See {@link Vfs.tmpfile}. */
  tmpfile(
    parent: InodeNumber,
    node: { readonly mode: number; readonly flags: number },
    caller: Caller
  ): Opened {
    const directory = this.#directoryToChange(parent, 'tmpfile')
    const mode = S_IFREG | (node.mode & PERMISSION_BITS)
    const inode = this.#makeChild(directory, { mode, caller })
    inode.linkable = (node.flags & O_EXCL) === 0
    return { handle: this.#openFile(inode, node.flags), attributes: attributesOf(inode) }
  }

  /** See {@link Vfs.read}. */
  read(
    handle: HandleId,
    range: { readonly offset: number; readonly length: number }
  ): MaybePromise<readonly Uint8Array[]> {
    const file = this.#file(handle, 'read')
    if (!isReadable(file)) throw new FsError('EBADF', 'read')
    if (range.offset < 0 || range.length < 0) throw new FsError('EINVAL', 'read')
    const bytes = file.inode.bytes.read(range.offset, range.length)
    return bytes.length === 0 ? [] : [bytes]
  }

  /** See {@link Vfs.write}. */
  write(
    handle: HandleId,
    data: Uint8Array,
    options: { readonly offset: number; readonly killPrivileges: boolean }
  ): MaybePromise<number> {
    const { inode, flags } = this.#writableFile(handle, 'write')
    if (options.offset < 0) throw new FsError('EINVAL', 'write')
    if (data.length === 0) return 0
    const offset = (flags & O_APPEND) === 0 ? options.offset : inode.bytes.size
    if (offset > FILE_BYTES_MAX - data.length) throw new FsError('EFBIG', 'write')
    inode.bytes.write(offset, data)
    contentChanged(inode, this.#clock.now())
    if (options.killPrivileges) killPrivileges(inode)
    return data.length
  }

  /** See {@link Vfs.flush}. */
  flush(handle: HandleId): void {
    this.#file(handle, 'flush')
  }

  /** See {@link Vfs.fsync}. */
  async fsync(handle: HandleId): Promise<void> {
    this.#file(handle, 'fsync')
    return Promise.resolve()
  }

  /** See {@link Vfs.release}. */
  release(handle: HandleId): void {
    this.#close(handle, this.#file(handle, 'release').inode)
  }

  /** See {@link Vfs.fallocate}. */
  fallocate(
    handle: HandleId,
    range: { readonly mode: number; readonly offset: number; readonly length: number }
  ): void {
    const { mode, offset, length } = range
    const { inode, flags } = this.#file(handle, 'fallocate')
    if (offset < 0 || length <= 0) throw new FsError('EINVAL', 'fallocate')
    const action = mode & ~FALLOC_FL_KEEP_SIZE
    const keepSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0
    const known = [0, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE].includes(action)
    if (!known || (action === FALLOC_FL_PUNCH_HOLE && !keepSize)) {
      throw new FsError('EOPNOTSUPP', 'fallocate')
    }
    if ((flags & O_ACCMODE) === O_RDONLY) throw new FsError('EBADF', 'fallocate')
    if (offset > FILE_BYTES_MAX - length) throw new FsError('EFBIG', 'fallocate')

    if (action !== 0) inode.bytes.clear(offset, length)
    if (!keepSize && offset + length > inode.bytes.size) inode.bytes.resize(offset + length)
    contentChanged(inode, this.#clock.now())
  }

  /** See {@link Vfs.seek}. */
  seek(
    handle: HandleId,
    at: { readonly offset: number; readonly whence: 'data' | 'hole' }
  ): number {
    const { bytes } = this.#file(handle, 'seek').inode
    if (at.offset < 0 || at.offset >= bytes.size) throw new FsError('ENXIO', 'seek')
    const found = at.whence === 'data' ? bytes.nextData(at.offset) : bytes.nextHole(at.offset)
    if (found === undefined) throw new FsError('ENXIO', 'seek')
    return found
  }

  /** See {@link Vfs.copyFileRange}. */
  copyFileRange(
    from: { readonly handle: HandleId; readonly offset: number },
    to: { readonly handle: HandleId; readonly offset: number },
    length: number
  ): number {
    const source = this.#file(from.handle, 'copyFileRange')
    const target = this.#file(to.handle, 'copyFileRange')
    const appends = (target.flags & O_APPEND) !== 0
    if (!isReadable(source) || !isWritable(target) || appends) {
      throw new FsError('EBADF', 'copyFileRange')
    }
    if (from.offset < 0 || to.offset < 0 || length < 0) throw new FsError('EINVAL', 'copyFileRange')
    const count = Math.min(length, Math.max(0, source.inode.bytes.size - from.offset))
    if (to.offset > FILE_BYTES_MAX - count) throw new FsError('EFBIG', 'copyFileRange')
    const overlaps = to.offset + count > from.offset && to.offset < from.offset + count
    if (source.inode === target.inode && overlaps) throw new FsError('EINVAL', 'copyFileRange')
    if (count === 0) return 0

    copyWithHoles(source.inode.bytes, target.inode.bytes, {
      from: from.offset,
      to: to.offset,
      count
    })
    contentChanged(target.inode, this.#clock.now())
    return count
  }

  // Directories

  /** See {@link Vfs.opendir}. */
  opendir(ino: InodeNumber): HandleId {
    const inode = this.#directory(ino, 'opendir')
    return this.#addHandle({ kind: 'directory', inode, rows: undefined })
  }

  /** See {@link Vfs.readdir}. */
  readdir(handle: HandleId, offset: number, visit: (entry: DirectoryEntry) => boolean): void {
    const directory = this.#directoryHandle(handle, 'readdir')
    if (offset === 0 || !directory.rows) {
      if (directory.inode.links === 0) throw new FsError('ENOENT', 'readdir')
      directory.rows = rowsOf(directory.inode)
    }
    for (const row of directory.rows.slice(offset)) {
      if (!visit(row)) return
    }
  }

  /** See {@link Vfs.releasedir}. */
  releasedir(handle: HandleId): void {
    this.#close(handle, this.#directoryHandle(handle, 'releasedir').inode)
  }

  /** See {@link Vfs.fsyncdir}. */
  async fsyncdir(handle: HandleId): Promise<void> {
    this.#directoryHandle(handle, 'fsyncdir')
    return Promise.resolve()
  }

  // Extended attributes

  /** See {@link Vfs.getxattr}. */
  getxattr(ino: InodeNumber, name: Name): MaybePromise<Uint8Array> {
    const inode = this.#inode(ino, 'getxattr')
    checkXattrName(name, 'getxattr')
    const value = inode.xattrs.get(name)
    if (!value) throw new FsError('ENODATA', 'getxattr')
    return value.slice()
  }

  /** See {@link Vfs.listxattr}. */
  listxattr(ino: InodeNumber): readonly Name[] {
    return [...this.#inode(ino, 'listxattr').xattrs.keys()]
  }

  /** See {@link Vfs.setxattr}. */
  setxattr(
    ino: InodeNumber,
    name: Name,
    value: Uint8Array,
    mode: 'set' | 'create' | 'replace'
  ): void {
    const inode = this.#inode(ino, 'setxattr')
    checkXattrNameLength(name, 'setxattr')
    if (value.length > XATTR_VALUE_BYTES_MAX) throw new FsError('E2BIG', 'setxattr')
    checkXattrName(name, 'setxattr')
    const exists = inode.xattrs.has(name)
    if (mode === 'create' && exists) throw new FsError('EEXIST', 'setxattr')
    if (mode === 'replace' && !exists) throw new FsError('ENODATA', 'setxattr')
    const listBytes = listSizeBytes([...inode.xattrs.keys(), ...(exists ? [] : [name])])
    if (listBytes > XATTR_LIST_BYTES_MAX) throw new FsError('ENOSPC', 'setxattr')
    inode.xattrs.set(name, value.slice())
    inode.ctime = this.#clock.now()
  }

  /** See {@link Vfs.removexattr}. */
  removexattr(ino: InodeNumber, name: Name): void {
    const inode = this.#inode(ino, 'removexattr')
    checkXattrName(name, 'removexattr')
    if (!inode.xattrs.delete(name)) throw new FsError('ENODATA', 'removexattr')
    inode.ctime = this.#clock.now()
  }

  // The whole

  /** See {@link Vfs.statfs}. */
  statfs(): FileSystemStatus {
    let used = 0
    for (const inode of this.#inodes.values()) used += inode.bytes.allocatedBytes / BLOCK_BYTES
    return {
      blockBytes: BLOCK_BYTES,
      blocks: DISK_BLOCKS,
      blocksFree: DISK_BLOCKS - used,
      blocksAvailable: DISK_BLOCKS - used,
      inodes: DISK_INODES,
      inodesFree: DISK_INODES - this.#inodes.size
    }
  }

  /** See {@link Vfs.syncfs}. */
  async syncfs(): Promise<void> {
    return Promise.resolve()
  }

  // Inside

  #inode(ino: InodeNumber, operation: string): Inode {
    const inode = this.#inodes.get(ino)
    if (!inode) throw new FsError('ENOENT', operation)
    return inode
  }

  #directory(ino: InodeNumber, operation: string): Inode {
    const inode = this.#inode(ino, operation)
    if (!isDirectory(inode)) throw new FsError('ENOTDIR', operation)
    return inode
  }

  /** A directory that may get or lose names: one that was removed may not. */
  #directoryToChange(ino: InodeNumber, operation: string): Inode {
    const inode = this.#directory(ino, operation)
    if (inode.links === 0) throw new FsError('ENOENT', operation)
    return inode
  }

  #existingChild(parent: Inode, name: Name, operation: string): Inode {
    checkName(name, operation)
    const child = parent.children.get(name)
    if (!child) throw new FsError('ENOENT', operation)
    return child
  }

  #makeInode(node: {
    mode: number
    uid: number
    gid: number
    rdev?: number
    target?: Uint8Array
  }): Inode {
    const now = this.#clock.now()
    const inode: Inode = {
      ino: ++this.#lastInode as InodeNumber,
      rdev: node.rdev ?? 0,
      target: node.target ?? new Uint8Array(0),
      bytes: new SparseBytes(),
      children: new Map(),
      xattrs: new Map(),
      mode: node.mode,
      uid: node.uid,
      gid: node.gid,
      atime: now,
      mtime: now,
      ctime: now,
      links: 0,
      parent: undefined,
      linkable: false,
      remembered: 0,
      handles: 0
    }
    this.#inodes.set(inode.ino, inode)
    return inode
  }

  #makeChild(
    parent: Inode,
    node: { mode: number; caller: Caller; rdev?: number; target?: Uint8Array }
  ): Inode {
    const { caller, ...rest } = node
    const gid = (parent.mode & S_ISGID) === 0 ? caller.gid : parent.gid
    return this.#makeInode({ ...rest, uid: caller.uid, gid })
  }

  #addName(parent: Inode, name: Name, inode: Inode): Timestamp {
    parent.children.set(name, inode)
    inode.links++
    return this.#namesChanged(parent)
  }

  #namesChanged(...parents: readonly Inode[]): Timestamp {
    const now = this.#clock.now()
    for (const parent of parents) {
      parent.mtime = now
      parent.ctime = now
    }
    return now
  }

  #nameLost(inode: Inode, now: Timestamp): void {
    inode.links--
    inode.ctime = now
    this.#dropIfUnused(inode)
  }

  #dropIfUnused(inode: Inode): void {
    const used = inode.links > 0 || inode.remembered > 0 || inode.handles > 0
    if (!used) this.#inodes.delete(inode.ino)
  }

  #addHandle(open: FileHandle | DirectoryHandle): HandleId {
    const handle = ++this.#lastHandle as HandleId
    this.#handles.set(handle, open)
    open.inode.handles++
    return handle
  }

  #openFile(inode: Inode, flags: number): HandleId {
    return this.#addHandle({ kind: 'file', inode, flags })
  }

  #file(handle: HandleId, operation: string): FileHandle {
    const open = this.#handles.get(handle)
    if (open?.kind !== 'file') throw new FsError('EBADF', operation)
    return open
  }

  #writableFile(handle: HandleId, operation: string): FileHandle {
    const file = this.#file(handle, operation)
    if (!isWritable(file)) throw new FsError('EBADF', operation)
    return file
  }

  #directoryHandle(handle: HandleId, operation: string): DirectoryHandle {
    const open = this.#handles.get(handle)
    if (open?.kind !== 'directory') throw new FsError('EBADF', operation)
    return open
  }

  #close(handle: HandleId, inode: Inode): void {
    this.#handles.delete(handle)
    inode.handles--
    this.#dropIfUnused(inode)
  }
}

function attributesOf(inode: Inode): Attributes {
  return {
    ino: inode.ino,
    size: isSymlink(inode) ? inode.target.length : inode.bytes.size,
    blocks: inode.bytes.allocatedBytes / SECTOR_BYTES,
    atime: inode.atime,
    mtime: inode.mtime,
    ctime: inode.ctime,
    mode: inode.mode,
    nlink: linkCount(inode),
    uid: inode.uid,
    gid: inode.gid,
    rdev: inode.rdev
  }
}

function linkCount(inode: Inode): number {
  if (!isDirectory(inode) || inode.links === 0) return inode.links
  let subdirectories = 0
  for (const child of inode.children.values()) if (isDirectory(child)) subdirectories++
  return 2 + subdirectories
}

function rowsOf(directory: Inode): readonly DirectoryEntry[] {
  const rows: [Name, Inode][] = [
    ['.' as Name, directory],
    ['..' as Name, directory.parent ?? directory],
    ...directory.children
  ]
  return rows.map(([name, inode], index) => ({
    name,
    ino: inode.ino,
    type: inode.mode & S_IFMT,
    nextOffset: index + 1
  }))
}

/** True when `inode` is `ancestor` or lies below it. */
function isWithin(inode: Inode, ancestor: Inode): boolean {
  for (let at = inode; ; at = at.parent) {
    if (at === ancestor) return true
    if (!at.parent || at.parent === at) return false
  }
}

/** Everything that stands against a rename once both names were looked up, in Linux's order. */
function checkRename(rename: {
  readonly fromParent: Inode
  readonly toParent: Inode
  readonly moved: Inode
  readonly there: Inode | undefined
  readonly mode: 'replace' | 'noreplace' | 'exchange'
}): void {
  const { fromParent, toParent, moved, there, mode } = rename
  if (mode === 'noreplace' && there) throw new FsError('EEXIST', 'rename')
  if (mode === 'exchange' && !there) throw new FsError('ENOENT', 'rename')
  if (isWithin(toParent, moved)) throw new FsError('EINVAL', 'rename')
  if (there && isWithin(fromParent, there)) {
    throw new FsError(mode === 'exchange' ? 'EINVAL' : 'ENOTEMPTY', 'rename')
  }
  if (there && there !== moved && mode !== 'exchange') checkReplace(moved, there)
}

function checkReplace(moved: Inode, there: Inode): void {
  if (isDirectory(moved) && !isDirectory(there)) throw new FsError('ENOTDIR', 'rename')
  if (!isDirectory(moved) && isDirectory(there)) throw new FsError('EISDIR', 'rename')
  if (there.children.size > 0) throw new FsError('ENOTEMPTY', 'rename')
}

function checkName(name: Name, operation: string): void {
  if (name.length === 0) throw new FsError('ENOENT', operation)
  if (name.length > NAME_BYTES_MAX) throw new FsError('ENAMETOOLONG', operation)
  for (const character of name) {
    const code = character.charCodeAt(0)
    if (code === 0 || code > 255 || character === '/') throw new FsError('EINVAL', operation)
  }
}

/** A name that can be made in `parent`. */
function checkFreeName(parent: Inode, name: Name, operation: string): void {
  checkName(name, operation)
  if (isDotName(name) || parent.children.has(name)) throw new FsError('EEXIST', operation)
}

function isDotName(name: Name): boolean {
  return name === '.' || name === '..'
}

function checkResize(inode: Inode, size: number): void {
  if (isDirectory(inode)) throw new FsError('EISDIR', 'setattr')
  if (!isRegular(inode) || size < 0) throw new FsError('EINVAL', 'setattr')
  if (size > FILE_BYTES_MAX) throw new FsError('EFBIG', 'setattr')
}

function checkTime(time: Timestamp | 'now' | undefined): void {
  if (time === undefined || time === 'now') return
  if (time.nsec < 0 || time.nsec > 999_999_999) throw new FsError('EINVAL', 'setattr')
}

function checkXattrNameLength(name: Name, operation: string): void {
  if (name.length === 0 || name.length > NAME_BYTES_MAX) throw new FsError('ERANGE', operation)
}

function checkXattrName(name: Name, operation: string): void {
  checkXattrNameLength(name, operation)
  const prefix = XATTR_PREFIXES.find(start => name.startsWith(start))
  if (prefix === undefined || name === XATTR_REFUSED) throw new FsError('EOPNOTSUPP', operation)
  if (name === prefix) throw new FsError('EINVAL', operation)
}

/** As listxattr(2) counts: every name with the zero byte that ends it. */
function listSizeBytes(names: readonly Name[]): number {
  let bytes = 0
  for (const name of names) bytes += name.length + 1
  return bytes
}

function contentChanged(inode: Inode, now: Timestamp): void {
  inode.mtime = now
  inode.ctime = now
  inode.xattrs.delete(XATTR_CAPABILITY)
}

function killPrivileges(inode: Inode): void {
  if (isDirectory(inode)) return
  inode.mode &= ~S_ISUID
  if ((inode.mode & S_IXGRP) !== 0) inode.mode &= ~S_ISGID
}

/** Copies data and leaves holes out, so that copying a sparse file costs what it holds. */
function copyWithHoles(
  source: SparseBytes,
  target: SparseBytes,
  range: { readonly from: number; readonly to: number; readonly count: number }
): void {
  const end = range.from + range.count
  const runs: { readonly offset: number; readonly bytes: Uint8Array }[] = []
  for (let at = source.nextData(range.from); at !== undefined && at < end;) {
    const stop = Math.min(source.nextHole(at), end)
    runs.push({ offset: at - range.from, bytes: source.read(at, stop - at) })
    at = stop < end ? source.nextData(stop) : undefined
  }
  if (range.to + range.count > target.size) target.resize(range.to + range.count)
  target.clear(range.to, range.count)
  for (const run of runs) target.write(range.to + run.offset, run.bytes)
}

function isReadable(file: FileHandle): boolean {
  return (file.flags & O_ACCMODE) !== O_WRONLY
}

function isWritable(file: FileHandle): boolean {
  return (file.flags & O_ACCMODE) !== O_RDONLY
}

function isDirectory(inode: Inode): boolean {
  return (inode.mode & S_IFMT) === S_IFDIR
}

function isRegular(inode: Inode): boolean {
  return (inode.mode & S_IFMT) === S_IFREG
}

function isSymlink(inode: Inode): boolean {
  return (inode.mode & S_IFMT) === S_IFLNK
}
