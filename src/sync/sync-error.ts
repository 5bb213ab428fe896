/**
 * What can go wrong in the model and the stores under it.
 *
 * @module
 */

/**
 * Codes are contract, messages are free:
 * - `MISSING`: the entry or block is not stored here (cleared, or never arrived).
 * - `DAMAGED`: stored bytes do not authenticate or do not parse.
 * - `NO_SPACE`: the disk is full; the call may be repeated when there is space.
 * - `NEWER_FORMAT`: made by a newer grove (version or unknown critical flag); nothing was written.
 * - `MALFORMED`: bytes that no version of grove writes.
 * - `DIVERGED`: a log is not as long as its only appender left it; the caller must stop.
 * - `UNREACHABLE`: no connected peer has the block, and the deadline has passed.
 * - `TIMED_OUT`: a peer has the block and did not deliver it before the deadline.
 * - `INTERRUPTED`: whoever asked gave up.
 * - `CLOSED`: the object was closed.
 * - `IO`: the disk refused for another reason; see `cause`.
 */
export type SyncErrorCode =
  | 'MISSING'
  | 'DAMAGED'
  | 'NO_SPACE'
  | 'NEWER_FORMAT'
  | 'MALFORMED'
  | 'DIVERGED'
  | 'UNREACHABLE'
  | 'TIMED_OUT'
  | 'INTERRUPTED'
  | 'CLOSED'
  | 'IO'

/** An operating error of the model, its logs and its stores. */
export class SyncError extends Error {
  override readonly name = 'SyncError'
  /** The stable code. */
  readonly code: SyncErrorCode

  /** @param code - the stable code; @param message - for people; no names, no keys. */
  constructor(code: SyncErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
