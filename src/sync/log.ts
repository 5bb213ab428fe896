/**
 * An append-only log with one writer: this process appends, everyone may read.
 *
 * A log holds opaque sealed entries. What is durable when: `append` survives a crash of the
 * process (`kill -9`) once it resolves; only `sync` makes it survive a loss of power. After a
 * power loss what is left is a prefix of what was appended, in the order of the appends over
 * all logs of one home.
 *
 * @module
 */

/** The public name of a log: 32 bytes as 64 lowercase hexadecimal digits. */
export type LogKey = string & { /** @internal */ readonly __brand: 'LogKey' }

/** How many bytes a log key has. */
export const LOG_KEY_BYTES = 32

/** The largest entry or block a log takes, in bytes. */
export const ENTRY_BYTES_MAX = 8 * 1024 * 1024

/** Checks and brands a log key. @throws {TypeError} when it is not 64 lowercase hex digits. */
export function logKey(hex: string): LogKey {
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new TypeError('a log key is 64 lowercase hex digits')
  return hex as LogKey
}

/** A signed append-only history that can be read. Entries are numbered from 0. */
export interface ReadableLog {
  /** The log's name. */
  readonly key: LogKey
  /**
   * How many entries, from 0 on without a gap, are stored here: of a log of this device all that
   * were appended and acknowledged, of another's all that have arrived and were verified.
   */
  readonly length: number

  /**
   * Reads one entry.
   *
   * @returns its bytes, which the caller may keep but not change
   * @throws {SyncError} `MISSING` when it is not stored here, `DAMAGED`, `IO`, `CLOSED`
   */
  get(index: number): Promise<Uint8Array>

  /**
   * The hash that stands for the first `length` entries: equal only for equal histories.
   *
   * @param length - 0 to {@link ReadableLog.length}
   * @returns 32 bytes
   */
  treeHash(length: number): Promise<Uint8Array>
}

/** A log of this device: the only writer of it is this process. */
export interface Log extends ReadableLog {
  /**
   * Appends entries, all or none, in order. Calls run one after another in the order made.
   *
   * @param entries - 1 or more, each of 1 to {@link ENTRY_BYTES_MAX} bytes; borrowed until the
   *   promise settles, so the caller must not change them before
   * @param expectedLength - the length the log must have just before; a guard against a log
   *   that rolled back or has a second writer
   * @returns the length afterwards; the entries then survive `kill -9`, not power loss
   * @throws {SyncError} `DIVERGED` when the length is not `expectedLength`, `NO_SPACE`, `IO`,
   *   `CLOSED`. After a failure nothing of the call is in the log.
   */
  append(entries: readonly Uint8Array[], expectedLength: number): Promise<number>

  /**
   * Makes everything appended before the call, to this and every other log of the same home,
   * durable against power loss. Concurrent calls share the work (group commit).
   *
   * @throws {SyncError} `IO`, `CLOSED`
   */
  sync(): Promise<void>

  /** Waits for calls under way and releases the log. Idempotent. */
  close(): Promise<void>
}
