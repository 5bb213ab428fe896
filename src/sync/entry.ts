/**
 * An entry of an operation log: one commit of one device.
 *
 * @module
 */
import type { Timestamp } from './clock.ts'
import type { LogKey } from './log.ts'
import type { Operation } from './operation.ts'

/** How far a log had got: its length and the hash of that many entries. */
export interface Head {
  /** The log. */
  readonly log: LogKey
  /** How many of its entries. */
  readonly length: number
  /** The log's tree hash at that length, 32 bytes. */
  readonly treeHash: Uint8Array
}

/** Where an entry first stood that was written again into another log. */
export interface Origin {
  /** The log. */
  readonly log: LogKey
  /** The entry's index in it. */
  readonly index: number
  /** Hash of the sealed entry, 32 bytes. */
  readonly hash: Uint8Array
}

/** One commit, opened and parsed. */
export interface Entry {
  /** 1 + the highest lamport among the entries its heads name and its log's previous entry. */
  readonly lamport: number
  /** The author's wall time when the commit was sealed. */
  readonly time: Timestamp
  /** Version of the list of members the author knew. */
  readonly listVersion: number
  /** Heads of other logs that changed since this log's previous entry. */
  readonly heads: readonly Head[]
  /** The author's content log when the entry was sealed; absent if it has none yet. */
  readonly contentHead: Head | undefined
  /** Where the entry first stood, if it was written again into another log. */
  readonly origin?: Origin
  /** The operations, in the order they executed. */
  readonly operations: readonly Operation[]
}
