/**
 * A timer for something that is tried again and again: each wait is twice the one before, up to a
 * maximum, and up to half of it is left to chance so that many devices do not try in step.
 *
 * @module
 */
import type { Random } from '../crypto/random.ts'
import type { Clock, Timer } from '../sync/clock.ts'

/** What a {@link BackoffTimer} needs. */
export interface BackoffTimerOptions {
  /** Time. */
  readonly clock: Clock
  /** Randomness. */
  readonly random: Random
  /** The first wait, in milliseconds; at least 1. */
  readonly delayMsMin: number
  /** The longest wait, in milliseconds. */
  readonly delayMsMax: number
  /** Tries it. What it throws reaches the clock's caller. */
  readonly onFire: () => void
}

/** Fires at growing intervals from {@link BackoffTimer.start} to {@link BackoffTimer.stop}. */
export class BackoffTimer {
  readonly #options: BackoffTimerOptions
  #delayMs: number
  /** The present wait, before chance shortens it. */
  #waitMs = 0
  #timer: Timer | undefined

  constructor(options: BackoffTimerOptions) {
    this.#options = options
    this.#delayMs = options.delayMsMin
  }

  /** Whether it will fire. */
  get isRunning(): boolean {
    return this.#timer !== undefined
  }

  /**
   * Starts it unless it runs; the waits go on where they were.
   *
   * @param extraMs - added to the first wait, in milliseconds
   */
  start(extraMs = 0): void {
    if (this.#timer === undefined) this.#arm(extraMs)
  }

  /** Begins the waits afresh: the next one is the shortest. One that has begun is not cut short. */
  reset(): void {
    this.#delayMs = this.#options.delayMsMin
  }

  /**
   * Begins the waits afresh and, if it runs, cuts the present one short. One that is the shortest
   * goes on: whoever hurries again and again does not put it off.
   */
  hurry(): void {
    this.reset()
    if (this.#timer === undefined || this.#waitMs <= this.#options.delayMsMin) return
    this.stop()
    this.#arm(0)
  }

  /** Stops it; the length of the next wait is kept. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(extraMs: number): void {
    const { clock, delayMsMax, onFire } = this.#options
    const delayMs = this.#delayMs
    this.#delayMs = Math.min(2 * delayMs, delayMsMax)
    this.#waitMs = extraMs + delayMs
    this.#timer = clock.after(extraMs + delayMs * this.#jitter(), () => {
      this.#arm(0)
      onFire()
    })
  }

  /** Half to one. */
  #jitter(): number {
    const [high = 0, low = 0] = this.#options.random.bytes(2)
    return 0.5 + (high * 256 + low) / 131_072
  }
}
