/**
 * Keeps a reserve of the disk free, so that what was accepted can still be committed, files can
 * still be removed and the stores can tidy up when a user has filled the disk.
 *
 * @module
 */
import type { Clock } from '../sync/clock.ts'
import { FsError } from './fs-error.ts'
import type { FileSystemStatus } from './vfs.ts'

/** How many bytes of the disk writers may not use. */
export const RESERVE_BYTES = 48 * 1024 * 1024
/** The free space is asked for again after this many bytes were accepted. */
export const UNCHECKED_BYTES_MAX = 4 * 1024 * 1024
/** The free space is asked for again after this many seconds. */
export const UNCHECKED_SEC_MAX = 1

/** Says ENOSPC before the disk does. */
export class SpaceGuard {
  readonly #statfs: () => FileSystemStatus
  readonly #clock: Clock
  #free = 0
  #accepted = Infinity
  #checkedSec = 0

  /** @param parts.statfs - the disk that the drive lives on */
  constructor(parts: { readonly statfs: () => FileSystemStatus; readonly clock: Clock }) {
    this.#statfs = parts.statfs
    this.#clock = parts.clock
  }

  /**
   * Accepts `bytes` more.
   *
   * @param pendingBytes - accepted earlier and not yet on the disk
   * @throws {FsError} ENOSPC
   */
  take(bytes: number, pendingBytes: number, operation: string): void {
    const { sec } = this.#clock.now()
    if (
      this.#accepted + bytes > UNCHECKED_BYTES_MAX ||
      Math.abs(sec - this.#checkedSec) >= UNCHECKED_SEC_MAX
    ) {
      this.#free = this.#freeBytes()
      this.#accepted = 0
      this.#checkedSec = sec
    }
    if (this.#free - this.#accepted - bytes - pendingBytes < RESERVE_BYTES) {
      this.#accepted = Infinity
      throw new FsError('ENOSPC', operation)
    }
    this.#accepted += bytes
  }

  /** Checks that `bytes` would fit now, without accepting them. @throws {FsError} ENOSPC */
  check(bytes: number, operation: string): void {
    if (this.#freeBytes() - bytes < RESERVE_BYTES) throw new FsError('ENOSPC', operation)
  }

  #freeBytes(): number {
    const { blockBytes, blocksAvailable } = this.#statfs()
    return blockBytes * blocksAvailable
  }
}
