/**
 * The file system as inodes and handles: what both FUSE drivers speak to. POSIX semantics
 * unless a comment says otherwise; every method fails with an {@link FsError} and nothing else.
 *
 * A method typed {@link MaybePromise} answers in the same tick when it can, which is what makes
 * metadata fast: a caller must test the result and not blindly await it. Synchronous methods
 * throw; a method that returns a promise may also throw synchronously.
 *
 * Permission bits are not checked here: the kernel does it (`default_permissions`). Names that
 * are too long, empty, `.` or `..` are refused where they would be made.
 *
 * Durability: everything is in memory until committed. `flush` and `release` queue a commit,
 * `fsync`, `fsyncdir` and `syncfs` resolve when all earlier changes survive a loss of power. Where
 * `user.grove.durability` asks for more, the first two then wait for other computers' disks.
 *
 * @module
 */
import type { Timestamp } from '../sync/clock.ts'
import type { Name } from '../sync/operation.ts'

/** A value now, or a promise of it. */
export type MaybePromise<T> = T | Promise<T>

/** The number of an inode: 1 to 2^53-1, never reused, stable over remounts; 1 is the root. */
export type InodeNumber = number & { /** @internal */ readonly __brand: 'InodeNumber' }
/** The number of an open file or directory; reused only after release. */
export type HandleId = number & { /** @internal */ readonly __brand: 'HandleId' }

/** The root directory's inode number. */
export const ROOT_INODE = 1 as InodeNumber

/** The longest value of an extended attribute (Linux XATTR_SIZE_MAX), in bytes. */
export const XATTR_VALUE_BYTES_MAX = 65_536
/** The longest list of attribute names (Linux XATTR_LIST_MAX), in bytes. */
export const XATTR_LIST_BYTES_MAX = 65_536
/** The largest file: 2^53-1 bytes, which is far above 1 TiB. */
export const FILE_BYTES_MAX = Number.MAX_SAFE_INTEGER

/** File type bits of `mode` (inode(7)). */
export const S_IFMT = 0o170000
/** Socket. */
export const S_IFSOCK = 0o140000
/** Symbolic link. */
export const S_IFLNK = 0o120000
/** Regular file. */
export const S_IFREG = 0o100000
/** Block device. */
export const S_IFBLK = 0o060000
/** Directory. */
export const S_IFDIR = 0o040000
/** Character device. */
export const S_IFCHR = 0o020000
/** FIFO. */
export const S_IFIFO = 0o010000

/** Open flags as Linux numbers them on x86-64 and arm64 (open(2)). */
export const O_ACCMODE = 3
/** Read only. */
export const O_RDONLY = 0
/** Write only. */
export const O_WRONLY = 1
/** Read and write. */
export const O_RDWR = 2
/** Fail if the name exists; the kernel resolves it before us, create re-checks. */
export const O_EXCL = 0o200
/** Cut the file to size 0. */
export const O_TRUNC = 0o1000
/** Every write goes to the end. */
export const O_APPEND = 0o2000

/** Flags of fallocate(2): do not change the size. */
export const FALLOC_FL_KEEP_SIZE = 1
/** Make the range a hole (with KEEP_SIZE). */
export const FALLOC_FL_PUNCH_HOLE = 2
/** Make the range read as zeros. */
export const FALLOC_FL_ZERO_RANGE = 16

/** What stat(2) answers. */
export interface Attributes {
  /** Inode number. */
  readonly ino: InodeNumber
  /** Size in bytes; of a symbolic link the length of its target. */
  readonly size: number
  /** Allocated space in units of 512 bytes; holes take none. */
  readonly blocks: number
  /** Last access: set by utimensat and at creation; reads do not change it. */
  readonly atime: Timestamp
  /** Last change of content. */
  readonly mtime: Timestamp
  /** Last change of attributes, links or content. */
  readonly ctime: Timestamp
  /** Type bits and permission bits. */
  readonly mode: number
  /** Link count; of a directory 2 + the number of its subdirectories. */
  readonly nlink: number
  /** Owner. */
  readonly uid: number
  /** Group. */
  readonly gid: number
  /** Device number of a device node, as the kernel encodes it. */
  readonly rdev: number
  /**
   * For how many seconds whoever asked may remember this; absent for until {@link Vfs.onChanged}
   * says otherwise. `blocks` grows unannounced while content is fetched from other devices.
   */
  readonly validSec?: number
}

/** What setattr changes; an absent field stays. */
export interface AttributeChanges {
  /** Permission bits. */
  readonly mode?: number
  /** Owner. */
  readonly uid?: number
  /** Group. */
  readonly gid?: number
  /** New size: truncates or extends with a hole. */
  readonly size?: number
  /** Last access. */
  readonly atime?: Timestamp | 'now'
  /** Last modification. */
  readonly mtime?: Timestamp | 'now'
  /** Clear set-user-ID, and set-group-ID where group-executable, as part of this change. */
  readonly killPrivileges?: boolean
}

/** On whose behalf a node is made. */
export interface Caller {
  /** File system user. */
  readonly uid: number
  /** File system group; a set-group-ID directory overrides it. */
  readonly gid: number
}

/** A place in the tree. */
export interface Place {
  /** The directory. */
  readonly parent: InodeNumber
  /** The name in it. */
  readonly name: Name
}

/** One row of a directory listing. */
export interface DirectoryEntry {
  /** The name; `.` and `..` come first. */
  readonly name: Name
  /** Inode number. */
  readonly ino: InodeNumber
  /** Type bits. */
  readonly type: number
  /** Pass this to {@link Vfs.readdir} to go on after this row. */
  readonly nextOffset: number
}

/** What statvfs(3) answers. */
export interface FileSystemStatus {
  /** Unit of the block counts, in bytes. */
  readonly blockBytes: number
  /** Size of the file system in blocks. */
  readonly blocks: number
  /** Free blocks. */
  readonly blocksFree: number
  /** Free blocks for users who are not root. */
  readonly blocksAvailable: number
  /** Inodes in all. */
  readonly inodes: number
  /** Inodes free. */
  readonly inodesFree: number
}

/** A name that came to stand for something else. */
export interface NameChange {
  /** Where. */
  readonly place: Place
  /**
   * - `appeared`: it was free.
   * - `replaced`: what it stood for has gone from it, and another inode or none took its place.
   * - `moved`: the same, and what it stood for is a directory that lives on elsewhere: programs
   *   may be working in it.
   */
  readonly kind: 'appeared' | 'replaced' | 'moved'
}

/** What changed other than by the calls of whoever uses a {@link Vfs}. Sets without order. */
export interface VfsChanges {
  /** Names. */
  readonly names: readonly NameChange[]
  /** Inodes of which attributes changed, and no content. */
  readonly attributes: ReadonlySet<InodeNumber>
  /** Files of which content, and directories of which names changed; attributes too. */
  readonly content: ReadonlySet<InodeNumber>
}

/**
 * Gives the signal that ends waiting; only asked for by a call that waits for another computer or
 * has so much to do that others have their turn in between.
 */
export type WaitSignal = () => AbortSignal

/** A file or directory that was opened. */
export interface Opened {
  /** Its handle, to be released. */
  readonly handle: HandleId
  /** Its attributes. */
  readonly attributes: Attributes
}

/** The file system. */
export interface Vfs {
  /**
   * Told of what changed other than by calls of this interface, in the tick in which it became
   * visible: another device's changes were merged, or a change had effects on other names than
   * the one it was about. Set by whoever remembers answers, such as a kernel. It hears only of
   * inodes that are remembered or open, and of the root.
   */
  onChanged?: ((changes: VfsChanges) => void) | undefined

  /** Finds a name. `..` of the root is the root. @throws {FsError} ENOENT, ENOTDIR */
  lookup(place: Place): Attributes

  /**
   * Says that the kernel now knows the inode once more. An inode with no link left stays until
   * it is forgotten as often as it was remembered and its last handle is released.
   */
  remember(ino: InodeNumber): void
  /** Takes back `count` of {@link Vfs.remember}. Unknown inodes are ignored. */
  forget(ino: InodeNumber, count: number): void

  /** @throws {FsError} ENOENT when the inode is gone */
  getattr(ino: InodeNumber): Attributes
  /** @returns the attributes afterwards. @throws {FsError} ENOENT, EINVAL, EISDIR, EFBIG, ENOSPC, EROFS */
  setattr(ino: InodeNumber, changes: AttributeChanges): MaybePromise<Attributes>

  /** @returns the target of a symbolic link. @throws {FsError} EINVAL when it is none */
  readlink(ino: InodeNumber): Uint8Array

  /** Makes a regular file, FIFO, socket or device node. `mode` has type and permission bits. */
  mknod(
    place: Place,
    node: { readonly mode: number; readonly rdev: number },
    caller: Caller
  ): Attributes
  /** Makes a directory; it inherits set-group-ID and group from a set-group-ID parent. */
  mkdir(place: Place, mode: number, caller: Caller): Attributes
  /** Makes a symbolic link. @throws {FsError} ENAMETOOLONG for a target over 4,095 bytes */
  symlink(place: Place, target: Uint8Array, caller: Caller): Attributes
  /** Gives a file another name; also an inode made by tmpfile. @throws {FsError} EPERM for a directory */
  link(ino: InodeNumber, place: Place): Attributes
  /** Removes a name of a file. @throws {FsError} EISDIR */
  unlink(place: Place): void
  /** Removes an empty directory. @throws {FsError} ENOTEMPTY, ENOTDIR, EBUSY */
  rmdir(place: Place): void
  /**
   * Moves a name, replacing what is there unless `noreplace`; `exchange` swaps the two.
   * Renaming a name onto another link of the same inode does nothing.
   *
   * @throws {FsError} EEXIST, ENOENT, EINVAL (into its own subtree), ENOTEMPTY, EISDIR, ENOTDIR
   */
  rename(from: Place, to: Place, mode: 'replace' | 'noreplace' | 'exchange'): void

  /** Opens a file; O_TRUNC in `flags` cuts it. @throws {FsError} EISDIR, ENOENT, ELOOP */
  open(ino: InodeNumber, flags: number): MaybePromise<HandleId>
  /** Makes and opens a regular file. @throws {FsError} EEXIST if the name is taken */
  create(
    place: Place,
    node: { readonly mode: number; readonly flags: number },
    caller: Caller
  ): Opened
  /** Makes and opens a regular file without a name in the file system of `parent`. */
  tmpfile(
    parent: InodeNumber,
    node: { readonly mode: number; readonly flags: number },
    caller: Caller
  ): Opened

  /**
   * Reads up to `length` bytes; fewer only at the end of the file.
   *
   * @param signal - ends waiting for another device; what the disk here answers is not ended
   * @returns parts that follow one another; only read, never changed afterwards. A part may be
   *   part of a larger buffer. An empty list is the end of the file.
   * @throws {FsError} EBADF, EIO when a block is damaged; of content that is not here
   *   EHOSTUNREACH, ETIMEDOUT after the deadline or when too many reads wait, EINTR
   */
  read(
    handle: HandleId,
    range: { readonly offset: number; readonly length: number },
    signal?: WaitSignal
  ): MaybePromise<readonly Uint8Array[]>
  /**
   * Writes all of `data` at `offset`, or at the end of the file if the handle was opened with
   * O_APPEND. Clears set-user-ID and set-group-ID only if `killPrivileges`.
   *
   * @param data - borrowed until the call returns, not until its promise settles
   * @returns how many bytes were written: all of them
   * @throws {FsError} EBADF, EFBIG, ENOSPC, EROFS
   */
  write(
    handle: HandleId,
    data: Uint8Array,
    options: { readonly offset: number; readonly killPrivileges: boolean }
  ): MaybePromise<number>
  /** One descriptor of the handle was closed: queues a commit and does not wait for it. */
  flush(handle: HandleId): MaybePromise<void>
  /**
   * Resolves when the file and its name survive a loss of power, and the loss of as many computers
   * as its directory asks for. Other calls for the file are served meanwhile.
   *
   * @param signal - ends waiting for other computers
   * @throws {FsError} EIO, ENOSPC; when it is durable here and not elsewhere ETIMEDOUT, EINTR
   */
  fsync(handle: HandleId, signal?: WaitSignal): Promise<void>
  /** Gives the handle back; queues a commit. */
  release(handle: HandleId): MaybePromise<void>
  /** @param range - `mode` is FALLOC_FL_*. @throws {FsError} EOPNOTSUPP for other modes */
  fallocate(
    handle: HandleId,
    range: { readonly mode: number; readonly offset: number; readonly length: number }
  ): MaybePromise<void>
  /** SEEK_DATA and SEEK_HOLE of lseek(2). @throws {FsError} ENXIO past the end or without data */
  seek(handle: HandleId, at: { readonly offset: number; readonly whence: 'data' | 'hole' }): number
  /** Copies by sharing extents where it can. @returns how many bytes, 0 at the source's end */
  copyFileRange(
    from: { readonly handle: HandleId; readonly offset: number },
    to: { readonly handle: HandleId; readonly offset: number },
    length: number
  ): MaybePromise<number>

  /** Opens a directory for listing. @throws {FsError} ENOTDIR, ENOENT */
  opendir(ino: InodeNumber): HandleId
  /**
   * Lists a directory, as it was when offset 0 was last asked for on this handle.
   *
   * @param visit - called for each row from `offset` on until it returns false, which means the
   *   row did not fit and will be asked for again
   */
  readdir(handle: HandleId, offset: number, visit: (entry: DirectoryEntry) => boolean): void
  /** Gives the handle back. */
  releasedir(handle: HandleId): void
  /** The same for the directory's entries. @throws {FsError} as {@link Vfs.fsync} does */
  fsyncdir(handle: HandleId, signal?: WaitSignal): Promise<void>

  /**
   * @param signal - ends work that takes long
   * @throws {FsError} ENODATA, EOPNOTSUPP for a name space that is not kept, EINTR
   */
  getxattr(ino: InodeNumber, name: Name, signal?: WaitSignal): MaybePromise<Uint8Array>
  /** All names, in no particular order. */
  listxattr(ino: InodeNumber): readonly Name[]
  /** @param mode - `create` fails with EEXIST, `replace` with ENODATA. @throws {FsError} E2BIG, ENOSPC */
  setxattr(
    ino: InodeNumber,
    name: Name,
    value: Uint8Array,
    mode: 'set' | 'create' | 'replace'
  ): void
  /** @throws {FsError} ENODATA */
  removexattr(ino: InodeNumber, name: Name): void

  /** Real numbers of the disk the drive lives on. */
  statfs(): FileSystemStatus
  /** Resolves when everything survives a loss of power of this computer, whatever is asked for. */
  syncfs(): Promise<void>
}
