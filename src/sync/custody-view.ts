/**
 * What the file system asks of custody: how many copies there are, and to wait until there are.
 * The file system works without any: see {@link ALONE}.
 *
 * @module
 */
import type { BlockPlace } from './content-index.ts'
import type { Durability, Redundancy } from './redundancy.ts'
import { SyncError } from './sync-error.ts'

/** How a file or directory is kept; what `user.grove.health` says. */
export type Health = 'ok' | 'repairing' | 'at-risk' | 'lost'

/** What is known of the copies of some blocks. */
export interface CopiesStatus {
  /** Verified copies, on distinct computers, of the weakest of them. */
  readonly copies: number
  /** How that compares to what is asked for. */
  readonly health: Health
  /** Of how many bytes there is no copy anywhere. */
  readonly lostBytes: number
  /** The computers that keep all of them, by name, sorted. */
  readonly holders: readonly string[]
}

/** What an fsync has to bring to other disks. */
export interface DurabilityRequest {
  /** How many disks. */
  readonly durability: Exclude<Durability, 'local'>
  /** How many copies `level` means here. */
  readonly redundancy: Redundancy
  /** The blocks of the file. */
  readonly blocks: Iterable<BlockPlace>
}

/** The copies of a drive, as this device knows them. */
export interface CustodyView {
  /**
   * Says how blocks are kept, and with them the operations of the drive, which name them. Answers
   * in the same tick, from what is known.
   *
   * @param blocks - none for what has no content of its own
   */
  copiesOf(blocks: Iterable<BlockPlace>, redundancy: Redundancy): CopiesStatus
  /**
   * Says how the weakest of all that the drive has is kept, each part by what is asked for it.
   * Answers in the same tick, from what is known.
   */
  copiesOfDrive(): CopiesStatus
  /**
   * Waits until everything executed so far has its causal past, its blocks and the keys on the
   * disks of as many other computers as asked for. What was executed is durable here already.
   *
   * @throws {SyncError} `TIMED_OUT` when the disks did not answer within the bound; the data stays
   *   here and goes on being replicated
   */
  whenDurable(request: DurabilityRequest): Promise<void>
}

/** A drive that nobody else keeps. */
export const ALONE: CustodyView = {
  copiesOf: (_, { floor, copies }) => ({
    copies: 1,
    health: floor > 1 ? 'at-risk' : copies > 1 ? 'repairing' : 'ok',
    lostBytes: 0,
    holders: []
  }),
  // What is asked for is not known here: no part can be worse than this.
  copiesOfDrive: () => ({ copies: 1, health: 'at-risk', lostBytes: 0, holders: [] }),
  whenDurable: () => Promise.reject(new SyncError('TIMED_OUT', 'no other computer is connected'))
}
