/**
 * Writes the index now and then: what was applied up to a moment, together with how far every
 * log was merged at that moment, in one batch.
 *
 * The store never holds an operation that the logs lack: what was frozen is written when this
 * device's own entries up to then are appended. Others' entries are in their logs before they
 * are merged.
 *
 * @module
 */
import type { Clock, Timer } from './clock.ts'
import type { Log, LogKey } from './log.ts'
import type { MergedHeads } from './merged-heads.ts'
import type { Cursor, TreeIndex } from './tree-index.ts'

/**
 * The index is flushed when this many rows have changed. They go to the store in one step, which
 * holds up everything else: 4,096 rows took it 28 to 53 ms on a busy machine.
 */
export const INDEX_ROWS_MAX = 1024
/** The index is flushed when this long has passed since the last flush, in seconds. */
export const INDEX_FLUSH_SEC = 2
/** Merging waits while more rows than this have changed and others are being written. */
export const INDEX_ROWS_WAITING_MAX = 2 * INDEX_ROWS_MAX
/** While the index is brought up to date at start it is written when this many rows have changed. */
export const CATCH_UP_ROWS_MAX = 50_000
/** How long after a failed write the next attempt is made, in milliseconds. */
export const INDEX_RETRY_MS = 1000

/** What a flusher needs. */
export interface IndexFlusherParts {
  /** The index. */
  readonly index: TreeIndex
  /** How far every log is merged. */
  readonly heads: MergedHeads
  /** This device's current operation log. */
  readonly ownLog: Log
  /** Tree hash of an operation log that is known. */
  readonly treeHashOf: (log: LogKey, length: number) => Promise<Uint8Array>
  /** For the time between two writes. */
  readonly clock: Clock
  /** Lets others have their turn while rows are sealed. */
  readonly yieldToEventLoop: () => Promise<void>
}

/** Writes an index. */
export class IndexFlusher {
  readonly #parts: IndexFlusherParts
  #frozen: ReadonlyMap<LogKey, number> = new Map()
  #flushedSec: number
  #flushing: Promise<void> | undefined
  #waiters: (() => void)[] = []
  #retry: Timer | undefined
  #isClosed = false

  /** @param parts - borrowed */
  constructor(parts: IndexFlusherParts) {
    this.#parts = parts
    this.#flushedSec = parts.clock.now().sec
  }

  /** Sets apart what was applied, if it is time to. No entry may be open. */
  freezeIfDue(): void {
    const { index, clock } = this.#parts
    if (index.isFrozen || index.changeCount === 0) return
    const { sec } = clock.now()
    const isDue = Math.abs(sec - this.#flushedSec) >= INDEX_FLUSH_SEC
    if (!isDue && index.changeCount < INDEX_ROWS_MAX) return
    this.#flushedSec = sec
    this.#freeze()
  }

  /** Starts writing what was set apart, if its entries are appended. */
  flush(): void {
    if (this.#flushing || !this.#isWritable) return
    // Whoever waited for room may ask for the next write at once: this one must be over by then.
    const over = (next: () => void): void => {
      this.#flushing = undefined
      next()
    }
    // The index is a cache: if it cannot be written now, it is tried again.
    this.#flushing = this.#write().then(
      () => over(() => this.#admit()),
      () => over(() => this.#retryLater())
    )
  }

  /** Whether what is set apart waits for this device's own entries to be appended. */
  get isWaitingForAppend(): boolean {
    return this.#parts.index.isFrozen && !this.#isWritable
  }

  /** @returns undefined when the index can take more changes, else a promise of it */
  room(): Promise<void> | undefined {
    const { index } = this.#parts
    if (!index.isFrozen || index.changeCount < INDEX_ROWS_WAITING_MAX) return undefined
    if (this.#isClosed) return undefined
    return new Promise(resolve => this.#waiters.push(resolve))
  }

  /**
   * Writes all that was applied, if it is more than so many rows. Every entry is appended.
   *
   * @throws {SyncError} `NO_SPACE`, `IO`; what was not written is kept for the next attempt
   */
  async writeAll(rowsMax = 0): Promise<void> {
    await this.#flushing
    await this.#write()
    this.#admit()
    if (this.#parts.index.changeCount <= rowsMax) return
    this.#freeze()
    await this.#write()
    this.#admit()
  }

  /** Stops; lets those who wait for room go on. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#retry?.cancel()
    this.#admit()
    await this.#flushing
  }

  get #isWritable(): boolean {
    const { index, ownLog } = this.#parts
    return index.isFrozen && (this.#frozen.get(ownLog.key) ?? 0) <= ownLog.length
  }

  #freeze(): void {
    this.#frozen = new Map(this.#parts.heads.lengths)
    this.#parts.index.freeze()
  }

  async #write(): Promise<void> {
    const { index, treeHashOf, yieldToEventLoop } = this.#parts
    if (!index.isFrozen) return
    const cursors: Cursor[] = []
    for (const [log, length] of this.#frozen) {
      if (length === index.cursor(log).length) continue
      cursors.push({ log, length, treeHash: await treeHashOf(log, length) })
    }
    await index.write(cursors, yieldToEventLoop)
  }

  #admit(): void {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  #retryLater(): void {
    if (this.#isClosed) return
    this.#retry?.cancel()
    this.#retry = this.#parts.clock.after(INDEX_RETRY_MS, () => this.flush())
  }
}
