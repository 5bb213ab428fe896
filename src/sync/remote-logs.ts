/**
 * The logs of other devices, as far as they have arrived here. The network fills them behind
 * these interfaces; the merge only reads.
 *
 * @module
 */
import type { LogKey, ReadableLog } from './log.ts'

/** How a block is asked for. */
export interface FetchOptions {
  /** Gives up when aborted; the fetch then fails with `INTERRUPTED`. */
  readonly signal?: AbortSignal
  /** Gives up after this long, in milliseconds. */
  readonly deadlineMs: number
}

/** The content log of another device. Any of its blocks may be here or not. */
export interface RemoteBlocks {
  /** The log's name. */
  readonly key: LogKey

  /** Whether a block is stored here. Answers in the same tick. */
  has(index: number): boolean

  /**
   * Reads a block that is stored here; see `ReadableLog.get`.
   *
   * @throws {SyncError} `MISSING`, `DAMAGED`, `IO`, `CLOSED`
   */
  get(index: number): Promise<Uint8Array>

  /**
   * Reads a block, from peers if it is not stored here; it is stored then. Concurrent fetches of
   * one block share the work.
   *
   * @throws {SyncError} `UNREACHABLE` when no connected peer has it and the deadline has passed,
   *   `TIMED_OUT` when one has it and did not deliver, `INTERRUPTED`, `DAMAGED`, `IO`, `CLOSED`
   */
  fetch(index: number, options: FetchOptions): Promise<Uint8Array>

  /** Forgets the bytes of blocks `from` up to but not including `to`. */
  clear(range: { readonly from: number; readonly to: number }): Promise<void>
}

/** The two logs of one epoch of another device. */
export interface RemoteLogPair {
  /** Its operations. */
  readonly operationLog: ReadableLog
  /** Its content. */
  readonly contentLog: RemoteBlocks
  /** The attested name of the device, for names that people read. */
  readonly device: string
  /**
   * What all epochs of the device have in common: its signing key as hexadecimal digits. A pair
   * without it counts as a device of its own.
   */
  readonly deviceId?: string
}
