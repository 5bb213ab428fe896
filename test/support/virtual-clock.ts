/**
 * A clock under the test's control: time stands still until the test moves it, and timers fire
 * in the order in which they fall due, inside the call that moves it.
 *
 * @module
 */
import type { Clock, Timer, Timestamp } from '../../src/sync/clock.ts'

interface PendingTimer {
  readonly dueMs: number
  readonly order: number
  readonly callback: () => void
}

/** The first instant of a {@link VirtualClock}: 2026-01-01T00:00:00Z. */
export const VIRTUAL_START_SEC = 1_767_225_600

/** A {@link Clock} whose time only moves when the test says so. */
export class VirtualClock implements Clock {
  readonly #startSec: number
  #elapsedMs = 0
  #timersStarted = 0
  readonly #timers = new Set<PendingTimer>()

  /** @param startSec - wall time of the first instant, in whole seconds since 1970 */
  constructor(startSec = VIRTUAL_START_SEC) {
    this.#startSec = startSec
  }

  /** How many timers wait to fire. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  /** The instant the clock stands at. */
  now(): Timestamp {
    const wholeSec = Math.floor(this.#elapsedMs / 1000)
    const restMs = this.#elapsedMs - wholeSec * 1000
    return { sec: this.#startSec + wholeSec, nsec: Math.floor(restMs * 1_000_000) }
  }

  /** Starts a timer that fires when {@link VirtualClock.advance} passes its due time. */
  after(delayMs: number, callback: () => void): Timer {
    const timer = {
      dueMs: this.#elapsedMs + Math.max(0, delayMs),
      order: this.#timersStarted++,
      callback
    }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  /**
   * Moves time forward and fires every timer that falls due on the way, also those that such a
   * timer starts. Each callback sees the instant it was due at.
   *
   * @param ms - how far, at least 0; fractions of a millisecond count
   */
  advance(ms: number): void {
    const endMs = this.#elapsedMs + ms
    for (;;) {
      const next = this.#nextTimer()
      if (next === undefined || next.dueMs > endMs) break
      this.#timers.delete(next)
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs)
      next.callback()
    }
    this.#elapsedMs = endMs
  }

  #nextTimer(): PendingTimer | undefined {
    let first: PendingTimer | undefined
    for (const timer of this.#timers) {
      const sooner =
        first === undefined ||
        timer.dueMs < first.dueMs ||
        (timer.dueMs === first.dueMs && timer.order < first.order)
      if (sooner) first = timer
    }
    return first
  }
}
