/**
 * Attributes as the 32-bit words that fuse-native copies into the structures of libfuse.
 *
 * Times are whole milliseconds since 1970 in 64 bits without a sign: what lies before is shown as
 * 1970, because fuse-native would make garbage of it.
 *
 * @module
 */
import type { Timestamp } from '../../../sync/clock.ts'
import { NAME_BYTES_MAX } from '../../../sync/operation.ts'
import type { Attributes, DirectoryEntry, FileSystemStatus } from '../../vfs.ts'

/** The unit of st_blksize: programs write in pieces of it. */
export const BLOCK_SIZE_BYTES = 4096

const STAT_WORDS = 18
const STATFS_WORDS = 11
const WORD_MAX = 2 ** 32 - 1
const WORD = 2 ** 32

/** A `struct stat`. @param number - the inode number in 32 bits */
export function statWords(attributes: Attributes, number: number): Uint32Array {
  const words = new Uint32Array(STAT_WORDS)
  words[0] = attributes.mode
  words[1] = attributes.uid
  words[2] = attributes.gid
  setWide(words, 3, attributes.size)
  words[6] = attributes.nlink
  words[7] = number
  words[8] = attributes.rdev
  words[9] = BLOCK_SIZE_BYTES
  setWide(words, 10, attributes.blocks)
  setWide(words, 12, milliseconds(attributes.atime))
  setWide(words, 14, milliseconds(attributes.mtime))
  setWide(words, 16, milliseconds(attributes.ctime))
  return words
}

/** The two fields of a `struct stat` that a listing uses. @param number - in 32 bits */
export function entryWords(entry: DirectoryEntry, number: number): Uint32Array {
  const words = new Uint32Array(STAT_WORDS)
  words[0] = entry.type
  words[7] = number
  return words
}

/** A `struct statvfs`. The unit grows until the counts fit in 32 bits. */
export function statfsWords(status: FileSystemStatus): Uint32Array {
  let unit = 1
  while (status.blocks / unit > WORD_MAX) unit *= 2
  const words = new Uint32Array(STATFS_WORDS)
  words[0] = status.blockBytes * unit
  words[1] = status.blockBytes * unit
  words[2] = status.blocks / unit
  words[3] = status.blocksFree / unit
  words[4] = status.blocksAvailable / unit
  words[5] = Math.min(status.inodes, WORD_MAX)
  words[6] = Math.min(status.inodesFree, WORD_MAX)
  words[7] = Math.min(status.inodesFree, WORD_MAX)
  words[10] = NAME_BYTES_MAX
  return words
}

/** Two words as fuse-native hands over a number of 64 bits with a sign. */
export function wideNumber(low: number, high: number): number {
  return (high | 0) * WORD + low
}

/** The instant so many milliseconds after 1970, or before it. */
export function timeOfMilliseconds(ms: number): Timestamp {
  const sec = Math.floor(ms / 1000)
  return { sec, nsec: (ms - sec * 1000) * 1_000_000 }
}

function milliseconds({ sec, nsec }: Timestamp): number {
  return Math.max(0, sec * 1000 + Math.floor(nsec / 1_000_000))
}

function setWide(words: Uint32Array, index: number, value: number): void {
  words[index] = value % WORD
  words[index + 1] = Math.floor(value / WORD)
}
