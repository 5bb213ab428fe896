/**
 * Work that follows changes: done some time after one, never twice at once, and no more than a
 * share of the time, however long it takes and however often something changes.
 *
 * @module
 */
import type { Clock, Timer } from '../sync/clock.ts'

/** After work that took t it rests for so many times t. */
export const REST_FACTOR = 9

/** What a {@link PacedTask} needs. */
export interface PacedTaskOptions {
  /** Time. */
  readonly clock: Clock
  /** How long after a change the work begins, in milliseconds; later changes are part of it. */
  readonly delayMs: number
  /**
   * Does it. What changes meanwhile is work for the next time.
   *
   * @returns how long it gave way to others meanwhile, in milliseconds; nothing if it did not
   */
  readonly work: () => Promise<number | void>
  /** Told what went wrong. The work is done again after the next change. */
  readonly report: (cause: unknown) => void
}

/** See the module. */
export class PacedTask {
  readonly #options: PacedTaskOptions
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #isChanged = false
  #isClosed = false
  /** Rest until then, in milliseconds since 1970. */
  #restMs = 0

  constructor(options: PacedTaskOptions) {
    this.#options = options
  }

  /** Says that there is something to do. */
  changed(): void {
    this.#isChanged = true
    if (this.#timer !== undefined || this.#running !== undefined || this.#isClosed) return
    const { clock, delayMs } = this.#options
    const waitMs = Math.max(delayMs, this.#restMs - this.#nowMs())
    this.#timer = clock.after(waitMs, () => {
      this.#timer = undefined
      this.#running = this.#run()
    })
  }

  /** Does now what there is to do; waits for what is under way. */
  async flush(): Promise<void> {
    await this.#running
    if (!this.#isChanged || this.#isClosed) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#running = this.#run()
    await this.#running
  }

  /** Does nothing any more; waits for what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#running
  }

  async #run(): Promise<void> {
    this.#isChanged = false
    const startMs = this.#nowMs()
    let pausedMs = 0
    try {
      pausedMs = (await this.#options.work()) ?? 0
    } catch (cause) {
      this.#options.report(cause)
    }
    const endMs = this.#nowMs()
    this.#restMs = endMs + Math.max(0, endMs - startMs - pausedMs) * REST_FACTOR
    this.#running = undefined
    if (this.#isChanged) this.changed()
  }

  #nowMs(): number {
    const { sec, nsec } = this.#options.clock.now()
    return sec * 1000 + nsec / 1_000_000
  }
}
