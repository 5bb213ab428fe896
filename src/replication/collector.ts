/**
 * Gives the disk back: blocks that no file, open handle or version within `history.keep` needs
 * are cleared, a bounded number at a time, and the store is compacted when that is worth it.
 *
 * It never takes a block that is in use: the replica checks each one in the tick in which it is
 * cleared, and makes what superseded it durable first.
 *
 * @module
 */
import type { Clock, Timer } from '../sync/clock.ts'
import type { Replica } from '../sync/replica.ts'

/** How long after a round the next one starts, in milliseconds. */
export const COLLECT_INTERVAL_MS = 60_000
/** How many blocks are cleared before other work gets its turn. */
export const BLOCKS_PER_STEP = 512
/** The store is compacted when this many blocks have been cleared since the last time. */
export const COMPACT_BLOCKS = 128
/** Fewer cleared blocks than that wait this long for their compaction, in seconds. */
export const COMPACT_SEC = 3600

/** What a collector works with. */
export interface CollectorParts {
  /** The drive; borrowed. */
  readonly replica: Replica
  /** Time. */
  readonly clock: Clock
  /** For how many seconds superseded versions are kept; read at each round. */
  readonly keepSec: () => number
  /** Whether blocks may be there that no operation names: the last stop was not clean. */
  readonly wasUnclean: boolean
  /**
   * Whether versions may lose their blocks now: those that superseded them have as many copies as
   * the floor asks for. Asked before each step.
   */
  readonly mayClear: () => boolean
  /** Told when a round failed. */
  readonly report: (message: string, cause: unknown) => void
}

/** Clears what is superseded, round after round. */
export class Collector {
  readonly #parts: CollectorParts
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #isClosed = false
  /** Not 0 at first: what an earlier process cleared may still wait for its compaction. */
  #uncompacted = 1
  #compactedSec: number
  #mustSweep: boolean

  /** @param parts - borrowed */
  constructor(parts: CollectorParts) {
    this.#parts = parts
    this.#mustSweep = parts.wasUnclean
    this.#compactedSec = parts.clock.now().sec - COMPACT_SEC
  }

  /** Starts rounds on a timer. */
  start(): void {
    if (this.#isClosed) return
    this.#timer = this.#parts.clock.after(COLLECT_INTERVAL_MS, () => {
      this.collect()
        .catch((error: unknown) => this.#parts.report('collecting failed', error))
        .finally(() => this.start())
    })
  }

  /** Runs a round now, or joins the one under way. @throws {SyncError} */
  collect(): Promise<void> {
    this.#running ??= this.#round().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Stops; waits for the round under way. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#running?.catch(() => undefined)
  }

  async #round(): Promise<void> {
    if (this.#mustSweep) await this.#sweep()
    const { replica, clock, keepSec, mayClear } = this.#parts
    const before = clock.now().sec - keepSec()
    for (let rest = BLOCKS_PER_STEP; rest >= BLOCKS_PER_STEP && !this.#isClosed;) {
      if (!mayClear()) break
      const { found, cleared } = await replica.clearSuperseded(before, BLOCKS_PER_STEP)
      this.#uncompacted += cleared
      rest = found
    }
    await this.#compactIfWorthIt()
  }

  async #sweep(): Promise<void> {
    const { replica } = this.#parts
    for (const [log, length] of replica.contentLengthsAtStart()) {
      for (let from = 0; from < length && !this.#isClosed; from += BLOCKS_PER_STEP) {
        await replica.clearUnrecorded({ log, from, to: Math.min(length, from + BLOCKS_PER_STEP) })
      }
    }
    this.#mustSweep = this.#isClosed
  }

  async #compactIfWorthIt(): Promise<void> {
    const { sec } = this.#parts.clock.now()
    const isDue = this.#uncompacted > 0 && sec - this.#compactedSec >= COMPACT_SEC
    if (!isDue && this.#uncompacted < COMPACT_BLOCKS) return
    this.#uncompacted = 0
    this.#compactedSec = sec
    await this.#parts.replica.compact()
  }
}
