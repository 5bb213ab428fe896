/**
 * Where a keeper keeps the logs of one person: what the serving side of custody asks of the disk
 * and of the connection. A holder keeps them in a home of its own; another device of the person
 * has them as part of its drive.
 *
 * @module
 */
import type { BlockSet } from '../sync/block-bitmap.ts'
import type { LogKey } from '../sync/log.ts'

/** How blocks are brought here. */
export interface BringOptions {
  /** Gives up when aborted. */
  readonly signal?: AbortSignal
  /** Gives up after so long without a block, in milliseconds. */
  readonly idleMs: number
}

/** The logs of one person. */
export interface KeptLogs {
  /**
   * Whether the blocks are this device's own copy of the drive as well: then they are never
   * forgotten here, whatever is promised to others.
   */
  readonly isOwnCopy?: boolean
  /**
   * Takes announcements of log pairs (see `log-announcement.ts`). Those that no member signed are
   * ignored; operation logs are followed from then on.
   */
  learn(announcements: readonly Uint8Array[]): Promise<void>
  /** The operation logs that are known. */
  operationLogs(): readonly LogKey[]
  /** Whether a log is known. */
  isKnown(log: LogKey): boolean
  /** How many entries a log has as far as is known here; they need not be stored. */
  length(log: LogKey): number
  /** How many entries from 0 on are stored without a gap. */
  contiguousLength(log: LogKey): number
  /** The tree hash at {@link length}, 32 bytes. @throws {SyncError} */
  treeHash(log: LogKey, length: number): Promise<Uint8Array>
  /** Which blocks of a window are stored. */
  stored(log: LogKey, window: number): Uint8Array
  /** Reads a stored block. @throws {SyncError} `MISSING`, `DAMAGED`, `IO`, `CLOSED` */
  read(log: LogKey, index: number): Promise<Uint8Array>
  /**
   * Brings blocks here from whoever is connected and has them; those that are stored already are
   * left. What arrives was verified against the log's key.
   *
   * @returns how large those are that came, in bytes; others may be stored too by then
   * @throws {SyncError} `UNREACHABLE` or `TIMED_OUT` when some did not come, `NO_SPACE`,
   *   `INTERRUPTED`, `CLOSED`
   */
  bring(blocks: BlockSet, options: BringOptions): Promise<ReadonlyMap<number, number>>
  /** Resolves when an operation log is stored up to a length. @throws {SyncError} as `bring` */
  arrived(log: LogKey, length: number, options: BringOptions): Promise<void>
  /** Forgets blocks, unless they are an own copy; their disk is given back in time. Never fails because of damage. */
  forget(blocks: BlockSet): Promise<void>
  /** Makes all that is stored durable. @throws {SyncError} */
  sync(): Promise<void>
}
