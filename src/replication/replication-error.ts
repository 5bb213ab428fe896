/**
 * What can go wrong between this process and its home, and later its peers.
 *
 * @module
 */

/**
 * Codes are contract, messages are free:
 * - `LOCKED`: another process has this home open.
 * - `MOVED`: the home was moved or copied from elsewhere; open it so only with new log epochs.
 * - `NO_SPACE`: the disk is too full to open the home.
 * - `DAMAGED`: the store's own records cannot be read; nothing was changed.
 * - `CLOSED`: the home was closed.
 * - `IO`: the disk refused for another reason; see `cause`.
 * - `BAD_CODE`: a text that is no code of an invitation, or has a typing error.
 * - `NEWER_FORMAT`: the code or the other device is of a newer grove.
 * - `EXPIRED`: the invitation has expired.
 * - `USED`: another device has used the invitation.
 * - `NO_ANSWER`: nobody answered to the invitation before the deadline.
 * - `REFUSED`: the device that invited cannot or may not take this one in.
 * - `BAD_ANSWER`: what was handed over is not genuine; nothing of it was kept.
 * - `INTERRUPTED`: whoever asked gave up.
 * - `FULL`: a keeper's disk, or its quota for the person, has no room.
 * - `IMBALANCE`: a keeper keeps more for the person than it accepts in return.
 * - `UNAVAILABLE`: a keeper does not know the log, or the blocks did not come in time.
 * - `KEEP_LOCKED`: a keep-lock stands against it, or blocks are marked as about to be dropped.
 * - `NOT_FOUND`: nothing stands in the hash table under the words.
 */
export type ReplicationErrorCode =
  | 'LOCKED'
  | 'MOVED'
  | 'NO_SPACE'
  | 'DAMAGED'
  | 'CLOSED'
  | 'IO'
  | 'BAD_CODE'
  | 'NEWER_FORMAT'
  | 'EXPIRED'
  | 'USED'
  | 'NO_ANSWER'
  | 'REFUSED'
  | 'BAD_ANSWER'
  | 'INTERRUPTED'
  | 'FULL'
  | 'IMBALANCE'
  | 'UNAVAILABLE'
  | 'KEEP_LOCKED'
  | 'NOT_FOUND'

/** An operating error of the homes of the hypercore family. */
export class ReplicationError extends Error {
  override readonly name = 'ReplicationError'
  /** The stable code. */
  readonly code: ReplicationErrorCode

  /** @param code - the stable code; @param message - for people; no names, no keys. */
  constructor(code: ReplicationErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
