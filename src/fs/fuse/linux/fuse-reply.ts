/**
 * Replies to the kernel, encoded. One object over one buffer, used for reply after reply: a
 * method writes the body behind the room for the header and returns its length, then `finish`
 * writes the header. Nothing is kept between replies.
 *
 * @module
 */
import type { Timestamp } from '../../../sync/clock.ts'
import type { Name } from '../../../sync/operation.ts'
import type { Attributes, DirectoryEntry, FileSystemStatus, HandleId } from '../../vfs.ts'
import {
  DIRECTORY_ENTRY_BYTES,
  ENTRY_BYTES,
  PROTOCOL_MAJOR,
  REPLY_HEADER_BYTES,
  TRANSFER_BYTES_MAX,
  TRANSFER_PAGES_MAX
} from './fuse-protocol.ts'

/**
 * How long the kernel may keep a name, the absence of a name and attributes. One kernel sees
 * every local change, and what others change is notified, so time never makes them wrong.
 */
export const CACHE_SECONDS = 86_400
/** The unit of st_blksize: programs write in pieces of it. */
export const PREFERRED_BYTES = 4096
/** Parts of data that the kernel takes at once; more are copied together. */
export const REPLY_PARTS_MAX = 256
/** Data up to this size is copied behind the header: cheaper than another part. */
export const COPIED_BYTES_MAX = 8192
/** The longest name that statfs promises. */
const NAME_BYTES_MAX = 255

const HIGH_WORD = 4_294_967_296
const BODY = REPLY_HEADER_BYTES
const BODY_WORD = BODY / 4

/** What INIT answers. */
export interface InitReply {
  /** Protocol version. */
  readonly minor: number
  /** The most that is read ahead. */
  readonly maxReadaheadBytes: number
  /** What we take of the kernel's offer, bits 0 to 31. */
  readonly flags: number
  /** What we take of the kernel's offer, bits 32 to 63. */
  readonly flags2: number
  /** Requests that nobody waits for, at a time. */
  readonly maxBackground: number
}

/** The reply under way. */
export class FuseReply {
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  #parts: readonly Uint8Array[] | undefined
  #partsBytes = 0

  /** @param bytes - the buffer replies are made in; its start must be aligned to 8 */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2)
  }

  /** The longest body. */
  get bodyBytesMax(): number {
    return this.#bytes.length - BODY
  }

  /**
   * Writes the header.
   *
   * @param unique - the request's number
   * @param bodyBytes - what the method that wrote the body returned
   * @param errno - 0, or the positive errno of a failure, which has no body
   * @returns the length of the reply in the buffer; `takeParts` has what follows it
   */
  finish(unique: number, bodyBytes: number, errno: number): number {
    const words = this.#words
    words[0] = BODY + bodyBytes + this.#partsBytes
    words[1] = -errno
    this.#wide(2, unique)
    return BODY + bodyBytes
  }

  /** Parts to be sent behind the buffer, or undefined; they are forgotten. */
  takeParts(): readonly Uint8Array[] | undefined {
    const parts = this.#parts
    this.#parts = undefined
    this.#partsBytes = 0
    return parts
  }

  /** INIT. */
  init(init: InitReply): number {
    const words = this.#words
    words.fill(0, BODY_WORD, BODY_WORD + 16)
    words[BODY_WORD] = PROTOCOL_MAJOR
    words[BODY_WORD + 1] = init.minor
    words[BODY_WORD + 2] = init.maxReadaheadBytes
    words[BODY_WORD + 3] = init.flags
    const congestionThreshold = Math.floor((init.maxBackground * 3) / 4)
    words[BODY_WORD + 4] = init.maxBackground | (congestionThreshold << 16)
    words[BODY_WORD + 5] = TRANSFER_BYTES_MAX
    // Times are kept to the nanosecond.
    words[BODY_WORD + 6] = 1
    words[BODY_WORD + 7] = TRANSFER_PAGES_MAX
    words[BODY_WORD + 8] = init.flags2
    return 64
  }

  /** A node was found or made: LOOKUP, MKNOD, MKDIR, SYMLINK, LINK. */
  entry(attributes: Attributes): number {
    this.#entryAt(BODY_WORD, attributes)
    return ENTRY_BYTES
  }

  /** LOOKUP: there is no such name, and the kernel may remember that. */
  noEntry(): number {
    this.#words.fill(0, BODY_WORD, BODY_WORD + ENTRY_BYTES / 4)
    this.#wide(BODY_WORD + 4, CACHE_SECONDS)
    return ENTRY_BYTES
  }

  /** GETATTR, SETATTR. */
  attributes(attributes: Attributes): number {
    this.#wide(BODY_WORD, attributes.validSec ?? CACHE_SECONDS)
    this.#words[BODY_WORD + 2] = 0
    this.#words[BODY_WORD + 3] = 0
    this.#attributesAt(BODY_WORD + 4, attributes)
    return 104
  }

  /** OPEN, OPENDIR. @param flags - OpenFlag */
  opened(handle: HandleId, flags: number): number {
    this.#openedAt(BODY_WORD, handle, flags)
    return 16
  }

  /** CREATE, TMPFILE. @param flags - OpenFlag */
  created(attributes: Attributes, handle: HandleId, flags: number): number {
    this.#entryAt(BODY_WORD, attributes)
    this.#openedAt(BODY_WORD + ENTRY_BYTES / 4, handle, flags)
    return ENTRY_BYTES + 16
  }

  /** WRITE, COPY_FILE_RANGE; GETXATTR and LISTXATTR that ask for the size. */
  count(count: number): number {
    this.#words[BODY_WORD] = count
    this.#words[BODY_WORD + 1] = 0
    return 8
  }

  /** LSEEK, COPY_FILE_RANGE_64. */
  wideCount(count: number): number {
    this.#wide(BODY_WORD, count)
    return 8
  }

  /** STATFS. */
  statfs(status: FileSystemStatus): number {
    const words = this.#words
    words.fill(0, BODY_WORD, BODY_WORD + 20)
    this.#wide(BODY_WORD, status.blocks)
    this.#wide(BODY_WORD + 2, status.blocksFree)
    this.#wide(BODY_WORD + 4, status.blocksAvailable)
    this.#wide(BODY_WORD + 6, status.inodes)
    this.#wide(BODY_WORD + 8, status.inodesFree)
    words[BODY_WORD + 10] = status.blockBytes
    words[BODY_WORD + 11] = NAME_BYTES_MAX
    words[BODY_WORD + 12] = status.blockBytes
    return 80
  }

  /** Bytes as they are: READLINK, GETXATTR. */
  bytes(bytes: Uint8Array): number {
    this.#bytes.set(bytes, BODY)
    return bytes.length
  }

  /** LISTXATTR: each name with its NUL. */
  names(names: readonly Name[]): number {
    let at = BODY
    for (const name of names) {
      this.#nameAt(at, name)
      at += name.length
      this.#bytes[at++] = 0
    }
    return at - BODY
  }

  /**
   * READ: parts that follow one another, copied when they are small or too many.
   *
   * @param limit - how many bytes were asked for; more than that is a fault of the caller
   */
  data(parts: readonly Uint8Array[], limit: number): number {
    let size = 0
    for (const part of parts) size += part.length
    if (size > limit) throw new RangeError(`read: ${size} bytes where ${limit} were asked for`)
    if (size > COPIED_BYTES_MAX && parts.length <= REPLY_PARTS_MAX) {
      this.#parts = parts
      this.#partsBytes = size
      return 0
    }
    let at = BODY
    for (const part of parts) {
      this.#bytes.set(part, at)
      at += part.length
    }
    return size
  }

  /**
   * READDIR: one row more.
   *
   * @param used - the length of the rows so far
   * @param limit - the length of the body that may not be exceeded
   * @returns the length with this row, or `undefined` if it does not fit
   */
  directoryEntry(used: number, limit: number, entry: DirectoryEntry): number | undefined {
    const end = used + rowBytes(entry.name)
    if (end > limit) return undefined
    this.#directoryEntryAt(BODY + used, entry)
    return end
  }

  /**
   * READDIRPLUS: one row more, with attributes, or without for `.`, `..` and a row whose inode
   * is gone. Parameters and result as those of {@link FuseReply.directoryEntry}.
   */
  directoryEntryPlus(
    used: number,
    limit: number,
    entry: DirectoryEntry,
    attributes: () => Attributes | undefined
  ): number | undefined {
    const end = used + ENTRY_BYTES + rowBytes(entry.name)
    if (end > limit) return undefined
    const word = (BODY + used) / 4
    const known = attributes()
    if (known === undefined) this.#words.fill(0, word, word + ENTRY_BYTES / 4)
    else this.#entryAt(word, known)
    this.#directoryEntryAt(BODY + used + ENTRY_BYTES, entry)
    return end
  }

  #directoryEntryAt(at: number, entry: DirectoryEntry): void {
    const { name } = entry
    const word = at / 4
    this.#wide(word, entry.ino)
    this.#wide(word + 2, entry.nextOffset)
    this.#words[word + 4] = name.length
    this.#words[word + 5] = entry.type >>> 12
    const from = at + DIRECTORY_ENTRY_BYTES
    this.#nameAt(from, name)
    this.#bytes.fill(0, from + name.length, at + rowBytes(name))
  }

  #entryAt(word: number, attributes: Attributes): void {
    this.#wide(word, attributes.ino)
    // Inode numbers are never used again, so there are no generations.
    this.#wide(word + 2, 0)
    this.#wide(word + 4, CACHE_SECONDS)
    this.#wide(word + 6, attributes.validSec ?? CACHE_SECONDS)
    this.#words[word + 8] = 0
    this.#words[word + 9] = 0
    this.#attributesAt(word + 10, attributes)
  }

  #attributesAt(word: number, attributes: Attributes): void {
    const words = this.#words
    this.#wide(word, attributes.ino)
    this.#wide(word + 2, attributes.size)
    this.#wide(word + 4, attributes.blocks)
    this.#time(word + 6, word + 12, attributes.atime)
    this.#time(word + 8, word + 13, attributes.mtime)
    this.#time(word + 10, word + 14, attributes.ctime)
    words[word + 15] = attributes.mode
    words[word + 16] = attributes.nlink
    words[word + 17] = attributes.uid
    words[word + 18] = attributes.gid
    words[word + 19] = attributes.rdev
    words[word + 20] = PREFERRED_BYTES
    words[word + 21] = 0
  }

  #openedAt(word: number, handle: HandleId, flags: number): void {
    this.#wide(word, handle)
    this.#words[word + 2] = flags
    this.#words[word + 3] = 0
  }

  #time(secondsAt: number, nanosecondsAt: number, time: Timestamp): void {
    this.#wide(secondsAt, time.sec)
    this.#words[nanosecondsAt] = time.nsec
  }

  /** A name's characters are its bytes. */
  #nameAt(at: number, name: Name): void {
    for (let index = 0; index < name.length; index++)
      this.#bytes[at + index] = name.charCodeAt(index)
  }

  /** A number of 64 bits; negative ones, as seconds before 1970, in two's complement. */
  #wide(word: number, value: number): void {
    this.#words[word] = value
    this.#words[word + 1] = Math.floor(value / HIGH_WORD)
  }
}

/** Length of a row of a listing: rows begin at multiples of 8. */
function rowBytes(name: Name): number {
  return (DIRECTORY_ENTRY_BYTES + name.length + 7) & ~7
}
