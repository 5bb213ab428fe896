/**
 * Requests of the kernel, decoded. One object over one buffer, used for request after request:
 * `load` takes in the header, then the method of the opcode decodes the rest. What a method
 * returns are values of its own, but for the bytes of a WRITE, which are borrowed until the next
 * request is loaded.
 *
 * A message that is too short for its opcode fails with EINVAL. Numbers of 64 bits are read as
 * two of 32; above 2^53 they lose precision but stay above 2^53, so that the checks of the file
 * system refuse them.
 *
 * @module
 */
import type { Timestamp } from '../../../sync/clock.ts'
import type { Name } from '../../../sync/operation.ts'
import { FsError } from '../../fs-error.ts'
import {
  O_APPEND,
  O_ACCMODE,
  O_EXCL,
  O_TRUNC,
  type AttributeChanges,
  type HandleId,
  type InodeNumber,
  type Place
} from '../../vfs.ts'
import {
  AttributeFlag,
  OPEN_KILL_SUIDGID,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  REQUEST_HEADER_BYTES,
  SEEK_DATA,
  SEEK_HOLE,
  WRITE_CACHE,
  WRITE_FIELDS_BYTES,
  WRITE_KILL_SUIDGID,
  XATTR_CREATE,
  XATTR_REPLACE
} from './fuse-protocol.ts'

const HIGH_WORD = 4_294_967_296
const BODY = REQUEST_HEADER_BYTES
/** Index of the first 32-bit word after the header. */
const BODY_WORD = BODY / 4
const NSEC_PER_SEC = 1_000_000_000
/** The flags of an open that the file system is told; the others are the kernel's. */
const OPEN_FLAGS = O_ACCMODE | O_EXCL | O_TRUNC

/** How many forgets a BATCH_FORGET carries at most: as many as fit into a request. */
export const FORGETS_MAX = 65_536

/** INIT. */
export interface InitRequest {
  /** Protocol version. */
  readonly major: number
  /** Protocol version. */
  readonly minor: number
  /** The most that is read ahead. */
  readonly maxReadaheadBytes: number
  /** What the kernel offers, bits 0 to 31. */
  readonly flags: number
  /** What the kernel offers, bits 32 to 63. */
  readonly flags2: number
}

/** SETATTR. */
export interface SetattrRequest {
  /** What to change. */
  readonly changes: AttributeChanges
  /** It is a chown, which clears set-user-ID and set-group-ID of a file; also of -1 and -1. */
  readonly isChown: boolean
}

/** OPEN. */
export interface OpenRequest {
  /** Access mode, O_EXCL and O_TRUNC; nothing else. */
  readonly flags: number
  /** If the file is cut, it loses set-user-ID and set-group-ID. */
  readonly killPrivileges: boolean
}

/** WRITE. */
export interface WriteRequest {
  /** Which file. */
  readonly handle: HandleId
  /** Where. */
  readonly offset: number
  /** What; borrowed. */
  readonly data: Uint8Array
  /** The program asked for the end of the file, wherever the kernel thinks it is. */
  readonly append: boolean
  /** Clear set-user-ID and set-group-ID. */
  readonly killPrivileges: boolean
}

/** READ, READDIR, READDIRPLUS. */
export interface ReadRequest {
  /** Which file or directory. */
  readonly handle: HandleId
  /** Where. */
  readonly offset: number
  /** How much at most. */
  readonly size: number
}

/** One entry of a FORGET or BATCH_FORGET. */
export interface Forget {
  /** Which inode. */
  readonly ino: InodeNumber
  /** How often. */
  readonly count: number
}

/** The request under way. */
export class FuseRequest {
  readonly #bytes: Uint8Array
  readonly #text: Buffer
  readonly #words: Uint32Array
  #length = 0

  /** What is asked. */
  opcode = 0
  /** The number that the reply must carry. */
  unique = 0
  /** The inode it is about; of a name its directory. */
  node = 0 as InodeNumber
  /** User on whose behalf. */
  uid = 0
  /** Group on whose behalf. */
  gid = 0

  /** @param bytes - the buffer requests are read into; its start must be aligned to 8 */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2)
  }

  /**
   * Takes in the header of a request that was read into the buffer.
   *
   * @param length - how many bytes were read
   * @returns whether it is well formed. If not, `unique` is still set where it could be read.
   */
  load(length: number): boolean {
    this.#length = length
    this.opcode = length >= 8 ? this.#word(1) : 0
    this.unique = length >= 16 ? this.#wide(2) : 0
    if (length < REQUEST_HEADER_BYTES || this.#word(0) !== length) return false
    this.node = this.#wide(4) as InodeNumber
    this.uid = this.#word(6)
    this.gid = this.#word(7)
    return true
  }

  /** INIT. The kernel's second half is absent in older versions. */
  init(): InitRequest {
    this.#require(16)
    const isExtended = this.#length >= BODY + 20
    return {
      major: this.#word(BODY_WORD),
      minor: this.#word(BODY_WORD + 1),
      maxReadaheadBytes: this.#word(BODY_WORD + 2),
      flags: this.#word(BODY_WORD + 3),
      flags2: isExtended ? this.#word(BODY_WORD + 4) : 0
    }
  }

  /** The only field, a name: LOOKUP, UNLINK, RMDIR, REMOVEXATTR. */
  name(): Name {
    return this.#nameAt(0)
  }

  /** The place that a name after `fieldBytes` of fields stands for. */
  #placeAt(fieldBytes: number): Place {
    return { parent: this.node, name: this.#nameAt(fieldBytes) }
  }

  /** The place of LOOKUP, UNLINK and RMDIR. */
  place(): Place {
    return this.#placeAt(0)
  }

  /** FORGET: how often. */
  forget(): Forget {
    this.#require(8)
    return { ino: this.node, count: this.#wide(BODY_WORD) }
  }

  /** BATCH_FORGET. */
  batchForget(): readonly Forget[] {
    this.#require(8)
    const count = this.#word(BODY_WORD)
    if (count > FORGETS_MAX) throw new FsError('EINVAL', 'forget')
    this.#require(8 + count * 16)
    const forgets: Forget[] = []
    for (let at = BODY_WORD + 2; forgets.length < count; at += 4)
      forgets.push({ ino: this.#wide(at) as InodeNumber, count: this.#wide(at + 2) })
    return forgets
  }

  /** SETATTR. */
  setattr(): SetattrRequest {
    this.#require(88)
    const at = BODY_WORD
    const valid = this.#word(at)
    const has = (flag: number): boolean => (valid & flag) !== 0
    const { MODE, UID, GID, SIZE, ATIME, MTIME, ATIME_NOW, MTIME_NOW, KILL_SUIDGID } = AttributeFlag
    const changes: AttributeChanges = {
      ...(has(MODE) && { mode: this.#word(at + 17) & 0o7777 }),
      ...(has(UID) && { uid: this.#word(at + 19) }),
      ...(has(GID) && { gid: this.#word(at + 20) }),
      ...(has(SIZE) && { size: this.#wide(at + 4) }),
      ...(has(ATIME) && { atime: has(ATIME_NOW) ? 'now' : this.#time(at + 8, at + 14) }),
      ...(has(MTIME) && { mtime: has(MTIME_NOW) ? 'now' : this.#time(at + 10, at + 15) }),
      ...(has(KILL_SUIDGID) && { killPrivileges: true })
    }
    return { changes, isChown: has(UID | GID) || !has(MODE | SIZE | ATIME | MTIME) }
  }

  /** SYMLINK: name, then target. The target is a copy. */
  symlink(): { readonly place: Place; readonly target: Uint8Array } {
    const place = this.#placeAt(0)
    const from = BODY + place.name.length + 1
    const end = this.#endOfText(from)
    return { place, target: this.#bytes.slice(from, end) }
  }

  /** MKNOD. */
  mknod(): { readonly place: Place; readonly mode: number; readonly rdev: number } {
    this.#require(16)
    return {
      place: this.#placeAt(16),
      mode: this.#word(BODY_WORD),
      rdev: this.#word(BODY_WORD + 1)
    }
  }

  /** MKDIR. */
  mkdir(): { readonly place: Place; readonly mode: number } {
    this.#require(8)
    return { place: this.#placeAt(8), mode: this.#word(BODY_WORD) & 0o7777 }
  }

  /** RENAME. */
  rename(): { readonly from: Place; readonly to: Place; readonly mode: 'replace' } {
    return { ...this.#renamed(8), mode: 'replace' }
  }

  /** RENAME2. Flags that we do not know are EINVAL. */
  rename2(): {
    readonly from: Place
    readonly to: Place
    readonly mode: 'replace' | 'noreplace' | 'exchange'
  } {
    this.#require(16)
    const flags = this.#word(BODY_WORD + 2)
    const places = this.#renamed(16)
    if (flags === 0) return { ...places, mode: 'replace' }
    if (flags === RENAME_NOREPLACE) return { ...places, mode: 'noreplace' }
    if (flags === RENAME_EXCHANGE) return { ...places, mode: 'exchange' }
    throw new FsError('EINVAL', 'rename')
  }

  /** LINK: the inode that gets another name, and where. */
  link(): { readonly ino: InodeNumber; readonly place: Place } {
    this.#require(8)
    return { ino: this.#wide(BODY_WORD) as InodeNumber, place: this.#placeAt(8) }
  }

  /** OPEN and OPENDIR. */
  open(): OpenRequest {
    this.#require(8)
    return {
      flags: this.#word(BODY_WORD) & OPEN_FLAGS,
      killPrivileges: (this.#word(BODY_WORD + 1) & OPEN_KILL_SUIDGID) !== 0
    }
  }

  /** CREATE and TMPFILE; the kernel has applied the umask. */
  create(): { readonly place: Place; readonly mode: number; readonly flags: number } {
    this.#require(16)
    return {
      place: this.#placeAt(16),
      mode: this.#word(BODY_WORD + 1),
      flags: this.#word(BODY_WORD) & OPEN_FLAGS
    }
  }

  /** READ, READDIR and READDIRPLUS. */
  read(): ReadRequest {
    this.#require(40)
    return {
      handle: this.handle(),
      offset: this.#wide(BODY_WORD + 2),
      size: this.#word(BODY_WORD + 4)
    }
  }

  /** WRITE. */
  write(): WriteRequest {
    this.#require(WRITE_FIELDS_BYTES)
    const size = this.#word(BODY_WORD + 4)
    const from = BODY + WRITE_FIELDS_BYTES
    if (from + size !== this.#length) throw new FsError('EINVAL', 'write')
    const writeFlags = this.#word(BODY_WORD + 5)
    const isAppend = (this.#word(BODY_WORD + 8) & O_APPEND) !== 0
    return {
      handle: this.handle(),
      offset: this.#wide(BODY_WORD + 2),
      data: new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + from, size),
      append: isAppend && (writeFlags & WRITE_CACHE) === 0,
      killPrivileges: (writeFlags & WRITE_KILL_SUIDGID) !== 0
    }
  }

  /** The handle, which is the first field of all requests about one. */
  handle(): HandleId {
    this.#require(8)
    return this.#wide(BODY_WORD) as HandleId
  }

  /** SETXATTR. The value is a copy. */
  setxattr(): {
    readonly name: Name
    readonly value: Uint8Array
    readonly mode: 'set' | 'create' | 'replace'
  } {
    this.#require(8)
    const size = this.#word(BODY_WORD)
    const flags = this.#word(BODY_WORD + 1)
    const name = this.#nameAt(8)
    const from = BODY + 8 + name.length + 1
    if (from + size !== this.#length) throw new FsError('EINVAL', 'setxattr')
    const value = this.#bytes.slice(from, from + size)
    if (flags === 0) return { name, value, mode: 'set' }
    if (flags === XATTR_CREATE) return { name, value, mode: 'create' }
    if (flags === XATTR_REPLACE) return { name, value, mode: 'replace' }
    throw new FsError('EINVAL', 'setxattr')
  }

  /** GETXATTR. Size 0 asks for the size. */
  getxattr(): { readonly name: Name; readonly size: number } {
    this.#require(8)
    return { name: this.#nameAt(8), size: this.#word(BODY_WORD) }
  }

  /** LISTXATTR: the size asked for; 0 asks for the size. */
  listxattr(): number {
    this.#require(8)
    return this.#word(BODY_WORD)
  }

  /** FALLOCATE. */
  fallocate(): {
    readonly handle: HandleId
    readonly mode: number
    readonly offset: number
    readonly length: number
  } {
    this.#require(32)
    return {
      handle: this.handle(),
      mode: this.#word(BODY_WORD + 6),
      offset: this.#wide(BODY_WORD + 2),
      length: this.#wide(BODY_WORD + 4)
    }
  }

  /** LSEEK. The kernel does the other values of `whence` itself. */
  lseek(): {
    readonly handle: HandleId
    readonly offset: number
    readonly whence: 'data' | 'hole'
  } {
    this.#require(24)
    const whence = this.#word(BODY_WORD + 4)
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) throw new FsError('EINVAL', 'lseek')
    return {
      handle: this.handle(),
      offset: this.#wide(BODY_WORD + 2),
      whence: whence === SEEK_DATA ? 'data' : 'hole'
    }
  }

  /** COPY_FILE_RANGE and COPY_FILE_RANGE_64. */
  copyFileRange(): {
    readonly from: { readonly handle: HandleId; readonly offset: number }
    readonly to: { readonly handle: HandleId; readonly offset: number }
    readonly length: number
  } {
    this.#require(56)
    return {
      from: { handle: this.handle(), offset: this.#wide(BODY_WORD + 2) },
      to: {
        handle: this.#wide(BODY_WORD + 6) as HandleId,
        offset: this.#wide(BODY_WORD + 8)
      },
      length: this.#wide(BODY_WORD + 10)
    }
  }

  /** INTERRUPT: the number of the request that is no longer wanted. */
  interrupt(): number {
    this.#require(8)
    return this.#wide(BODY_WORD)
  }

  #renamed(fieldBytes: number): { readonly from: Place; readonly to: Place } {
    this.#require(fieldBytes)
    const from = this.#placeAt(fieldBytes)
    const name = this.#nameAt(fieldBytes + from.name.length + 1)
    return { from, to: { parent: this.#wide(BODY_WORD) as InodeNumber, name } }
  }

  #nameAt(fieldBytes: number): Name {
    const from = BODY + fieldBytes
    return this.#text.toString('latin1', from, this.#endOfText(from)) as Name
  }

  /** Where the text that begins at `from` ends: at its NUL, which must be there. */
  #endOfText(from: number): number {
    const bytes = this.#bytes
    for (let at = from; at < this.#length; at++) if (bytes[at] === 0) return at
    throw new FsError('EINVAL', 'request')
  }

  #require(bodyBytes: number): void {
    if (this.#length < BODY + bodyBytes) throw new FsError('EINVAL', 'request')
  }

  /** Seconds are signed: before 1970 they are negative. */
  #time(secondsAt: number, nanosecondsAt: number): Timestamp {
    const nsec = this.#word(nanosecondsAt)
    if (nsec >= NSEC_PER_SEC) throw new FsError('EINVAL', 'setattr')
    return { sec: (this.#word(secondsAt + 1) | 0) * HIGH_WORD + this.#word(secondsAt), nsec }
  }

  #wide(at: number): number {
    return this.#word(at) + this.#word(at + 1) * HIGH_WORD
  }

  #word(at: number): number {
    return this.#words[at] ?? 0
  }
}
