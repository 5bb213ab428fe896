/**
 * Keeps content from filling the disk to the last byte.
 *
 * RocksDB needs room to move its memory to files, and stops taking writes when it finds none;
 * and who deletes files to make room must first record that they are gone. So content is
 * refused while there is still a reserve, and operations may use it up.
 *
 * @module
 */
import { statfs } from 'node:fs/promises'
import { SyncError } from '../sync/sync-error.ts'

/** The memory that RocksDB fills before it writes a file, on a disk that is not small. */
export const WRITE_BUFFER_BYTES_MAX = 64 * 1024 * 1024

/** The same on the smallest disk. */
export const WRITE_BUFFER_BYTES_MIN = 4 * 1024 * 1024

/** The write buffer is at most this part of the disk. */
const WRITE_BUFFERS_PER_DISK = 16

/** RocksDB fills one write buffer while it writes out another. */
const WRITE_BUFFERS_RESERVED = 2

/** How long after a refusal of what a peer sent it is tried again, in milliseconds. */
export const SPACE_RETRY_MS = 30_000

/** How much space there must be then, in bytes. */
export const SPACE_RETRY_BYTES = 16 * 1024 * 1024

/** How much of the space seen may be used before looking again: others write too. */
const ALLOWANCE_PART = 4

/**
 * How large the write buffer is on a disk of this size. RocksDB recovers from a full disk when
 * it finds as much free, so a small disk has a small one.
 */
export function writeBufferBytes(totalBytes: number): number {
  const share = Math.floor(totalBytes / WRITE_BUFFERS_PER_DISK)
  return Math.min(WRITE_BUFFER_BYTES_MAX, Math.max(WRITE_BUFFER_BYTES_MIN, share))
}

/** How many bytes the disk under a directory has. */
export async function diskBytes(directory: string): Promise<number> {
  const { blocks, bsize } = await statfs(directory)
  return blocks * bsize
}

/** Refuses content that would use up the reserve of a disk. */
export class SpaceGuard {
  readonly #directory: string
  readonly #reservedBytes: number
  #allowance = 0

  /** @param bufferBytes - the write buffer of the database in this directory */
  constructor(directory: string, bufferBytes: number) {
    this.#directory = directory
    this.#reservedBytes = bufferBytes * WRITE_BUFFERS_RESERVED
  }

  /**
   * Asks for space. Looks at the disk only now and then.
   *
   * @throws {SyncError} `NO_SPACE` when only the reserve is left
   */
  async admit(bytes: number): Promise<void> {
    if (bytes > this.#allowance) await this.#look(bytes)
    this.#allowance -= bytes
  }

  async #look(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#directory)
    const usable = bavail * bsize - this.#reservedBytes
    this.#allowance = 0
    if (usable < bytes) throw new SyncError('NO_SPACE', 'only the reserve of the disk is left')
    this.#allowance = Math.max(bytes, Math.floor(usable / ALLOWANCE_PART))
  }
}
