/**
 * Where sealed content lives: a log whose entries may be given back to the disk.
 *
 * @module
 */
import type { Log } from './log.ts'

/** A content log: a {@link Log} of blocks, any of which can be cleared. */
export interface BlockStore extends Log {
  /** Whether the block is stored here. */
  has(index: number): Promise<boolean>

  /**
   * Forgets the bytes of blocks `from` up to but not including `to`. Their places and hashes
   * stay in the log; `get` answers `MISSING` from now on. Clearing a block twice is no error.
   * The disk is given back by {@link BlockStore.compact}.
   */
  clear(range: { readonly from: number; readonly to: number }): Promise<void>

  /** Gives the disk space of cleared blocks back to the file system. May take seconds. */
  compact(): Promise<void>
}
