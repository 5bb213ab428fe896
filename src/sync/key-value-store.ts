/**
 * The ordered key-value store under the index. Reads are synchronous, so that a lookup can be
 * answered in the tick that asked; writes are batches that happen completely or not at all.
 *
 * The index is derived from the logs, so the store may lose its newest batches in a power
 * loss, but after `kill -9` it must open with a whole prefix of the batches.
 *
 * @module
 */

/** The longest key, in bytes. */
export const KEY_BYTES_MAX = 512

/** One change of a batch: a new value, or `undefined` to delete the key. */
export type Change = readonly [key: Uint8Array, value: Uint8Array | undefined]

/** An ordered store of bytes by bytes; keys compare as unsigned bytes. */
export interface KeyValueStore {
  /** @returns the value, valid until the caller returns to the event loop; do not change it */
  get(key: Uint8Array): Uint8Array | undefined

  /**
   * Iterates keys from `from` (inclusive) up to `to` (exclusive), ascending. The view is of
   * one moment. Keys and values are valid until the next step of the iteration.
   */
  range(bounds: {
    readonly from: Uint8Array
    readonly to: Uint8Array
  }): Iterable<readonly [key: Uint8Array, value: Uint8Array]>

  /**
   * Applies a batch atomically; when it resolves the batch is visible and survives `kill -9`.
   * Batches apply in the order of the calls. The arrays are borrowed until it settles.
   *
   * @throws {SyncError} `NO_SPACE`, `IO`, `CLOSED`; then nothing of the batch was applied
   */
  commit(changes: readonly Change[]): Promise<void>

  /** Deletes everything. */
  clear(): Promise<void>

  /** Makes all resolved batches durable against power loss. */
  sync(): Promise<void>

  /** Waits for batches under way and releases the store. Idempotent. */
  close(): Promise<void>
}
