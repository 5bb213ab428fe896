/**
 * The machine's clock.
 *
 * Node gives wall time in milliseconds and monotonic time in nanoseconds. Files that are made
 * in one millisecond should still have times that differ and never run backwards, so the two
 * are joined: the monotonic clock counts within the millisecond that the wall clock shows.
 *
 * Invariant: the result lies in the wall clock's current millisecond, so it is never more than
 * a millisecond off, whatever was done to the clock.
 *
 * @module
 */
import type { Clock, Timer, Timestamp } from '../src/sync/clock.ts'

/** The longest delay one Node timer takes; a longer one would fire at once. */
export const TIMER_DELAY_MS_MAX = 2 ** 31 - 1

const NANOSECONDS_PER_MS = 1_000_000

/** Where a {@link SystemClock} takes its time from; replaced in tests. */
export interface TimeSource {
  /** Wall time in whole milliseconds since 1970. */
  wallMs(): number
  /** Monotonic time in milliseconds with a fraction, from any origin. */
  monotonicMs(): number
}

const machine: TimeSource = { wallMs: () => Date.now(), monotonicMs: () => performance.now() }

/** {@link Clock} of this machine. */
export class SystemClock implements Clock {
  readonly #source: TimeSource
  /** A moment on both clocks. The first {@link SystemClock.now} finds it far off and replaces it. */
  #anchorWallMs = 0
  #anchorMonotonicMs = 0

  /** @param source - where the time comes from; the machine unless a test says otherwise */
  constructor(source: TimeSource = machine) {
    this.#source = source
  }

  now(): Timestamp {
    const wallMs = this.#source.wallMs()
    const monotonicMs = this.#source.monotonicMs()
    const sinceAnchorMs = wallMs - this.#anchorWallMs
    const elapsedMs = monotonicMs - this.#anchorMonotonicMs
    let ns = Math.floor((elapsedMs - sinceAnchorMs) * NANOSECONDS_PER_MS)
    if (ns < 0 || ns >= NANOSECONDS_PER_MS) {
      // The clocks disagree by the part of a millisecond that the anchor was off, or the wall
      // clock was set. Either way the nearest edge of this millisecond is the best estimate.
      ns = ns < 0 ? 0 : NANOSECONDS_PER_MS - 1
      this.#anchorWallMs = wallMs
      this.#anchorMonotonicMs = monotonicMs - ns / NANOSECONDS_PER_MS
    }
    const sec = Math.floor(wallMs / 1_000)
    return { sec, nsec: (wallMs - sec * 1_000) * NANOSECONDS_PER_MS + ns }
  }

  after(delayMs: number, callback: () => void): Timer {
    let remainingMs = Math.max(0, delayMs)
    let timeout: NodeJS.Timeout
    const arm = (): void => {
      const stepMs = Math.min(remainingMs, TIMER_DELAY_MS_MAX)
      remainingMs -= stepMs
      timeout = setTimeout(() => {
        if (remainingMs > 0) arm()
        else callback()
      }, stepMs)
      timeout.unref()
    }
    arm()
    return { cancel: () => clearTimeout(timeout) }
  }
}
