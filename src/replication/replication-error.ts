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
 */
export type ReplicationErrorCode = 'LOCKED' | 'MOVED' | 'NO_SPACE' | 'DAMAGED' | 'CLOSED' | 'IO'

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
