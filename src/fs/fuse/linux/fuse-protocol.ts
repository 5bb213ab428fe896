/**
 * The numbers of the kernel's FUSE protocol, version 7, as far as we speak it. The names are
 * those of the kernel's header without their prefix; sizes are in bytes, all numbers are in the
 * byte order of the machine.
 *
 * Source: include/uapi/linux/fuse.h of Linux 6.18 (7.45).
 *
 * @module
 */

/** The protocol's major version. */
export const PROTOCOL_MAJOR = 7
/** The newest minor version whose messages we know. */
export const PROTOCOL_MINOR_MAX = 45
/** The oldest minor version whose messages have the sizes we use (Linux 4.20). */
export const PROTOCOL_MINOR_MIN = 28

/** Size of the header of a request. */
export const REQUEST_HEADER_BYTES = 40
/** Size of the header of a reply. */
export const REPLY_HEADER_BYTES = 16
/** Size of the fields in front of the data of a WRITE. */
export const WRITE_FIELDS_BYTES = 40
/** Size of fuse_entry_out. */
export const ENTRY_BYTES = 128
/** Size of fuse_dirent without its name. */
export const DIRECTORY_ENTRY_BYTES = 24
/** Longest write and read in one request: 256 pages, the kernel's own limit. */
export const TRANSFER_BYTES_MAX = 1_048_576
/** The same in pages. */
export const TRANSFER_PAGES_MAX = 256
/** Size of the buffer that requests are read into: the longest one is a WRITE. */
export const REQUEST_BUFFER_BYTES = TRANSFER_BYTES_MAX + 4096
/** Size of the buffer that replies are made in: the longest one is a READ of small parts. */
export const REPLY_BUFFER_BYTES = TRANSFER_BYTES_MAX + 4096

/** Requests. */
export const Opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53
} as const

/** One more than the highest request we can name. */
export const OPCODES_MAX = 64

/** Messages that we send of our own accord. */
export const NotifyCode = {
  INVAL_INODE: 2,
  INVAL_ENTRY: 3,
  STORE: 4,
  DELETE: 6,
  INC_EPOCH: 8
} as const

/** The first minor version with {@link NotifyCode.INC_EPOCH} (Linux 6.16). */
export const EPOCH_MINOR_MIN = 44

/** Flag of INVAL_ENTRY: the name is asked for again, what uses it goes on. */
export const NOTIFY_EXPIRE_ONLY = 1

/** What the kernel offers and we accept in INIT; bits 0 to 31. */
export const InitFlag = {
  ASYNC_READ: 1 << 0,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  EXPLICIT_INVAL_DATA: 1 << 25,
  HANDLE_KILLPRIV_V2: 1 << 28,
  INIT_EXT: 1 << 30
} as const

/** The same, bits 32 to 63. */
export const InitFlag2 = { HAS_EXPIRE_ONLY: 1 << 3 } as const

/** Which fields of a SETATTR count. */
export const AttributeFlag = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  KILL_SUIDGID: 1 << 11
} as const

/** What an answered OPEN tells the kernel. */
export const OpenFlag = { KEEP_CACHE: 1 << 1, CACHE_DIR: 1 << 3, NOFLUSH: 1 << 5 } as const

/** Flag of OPEN: cutting the file clears set-user-ID and set-group-ID. */
export const OPEN_KILL_SUIDGID = 1
/** Flag of WRITE: a page of the cache is written back; the handle is a guess. */
export const WRITE_CACHE = 1
/** Flag of WRITE: it clears set-user-ID and set-group-ID. */
export const WRITE_KILL_SUIDGID = 1 << 2

/** Flags of RENAME2. */
export const RENAME_NOREPLACE = 1
/** Swap the two names. */
export const RENAME_EXCHANGE = 2

/** Values of `whence` in LSEEK. */
export const SEEK_DATA = 3
/** The next hole. */
export const SEEK_HOLE = 4

/** Flags of SETXATTR: fail if it exists. */
export const XATTR_CREATE = 1
/** Fail unless it exists. */
export const XATTR_REPLACE = 2
