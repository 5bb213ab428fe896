/**
 * Time, passed in. Code in this room never asks the operating system what time it is.
 *
 * @module
 */

/** An instant: seconds since 1970 (negative before) and 0 to 999,999,999 nanoseconds on top. */
export interface Timestamp {
  /** Whole seconds since 1970-01-01T00:00:00Z; negative before. */
  readonly sec: number
  /** Nanoseconds after {@link Timestamp.sec}: 0 to 999,999,999. */
  readonly nsec: number
}

/** A timer that has been started. */
export interface Timer {
  /** Stops the timer; a timer that already fired is left as it is. */
  cancel(): void
}

/** Wall time and timers. */
export interface Clock {
  /** The wall time, as precise as the machine gives it. */
  now(): Timestamp
  /**
   * Calls `callback` once, no sooner than `delayMs` from now. A pending timer does not keep
   * the process alive.
   */
  after(delayMs: number, callback: () => void): Timer
}
