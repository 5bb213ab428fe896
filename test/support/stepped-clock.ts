/**
 * A clock under the test's control for code that goes on in promises: after each timer all that
 * follows from it is done before time moves on.
 *
 * @module
 */
import type { Clock, Timer, Timestamp } from '../../src/sync/clock.ts'
import { VIRTUAL_START_SEC } from './virtual-clock.ts'

interface PendingTimer {
  readonly dueMs: number
  readonly order: number
  callback: (() => void) | undefined
}

/** A {@link Clock} that {@link SteppedClock.run} moves. */
export class SteppedClock implements Clock {
  #nowMs = VIRTUAL_START_SEC * 1000
  #started = 0
  /** A binary heap: no timer is due before its parent. */
  readonly #heap: PendingTimer[] = []

  /** The time in milliseconds since 1970. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** The instant the clock stands at. */
  now(): Timestamp {
    const sec = Math.floor(this.#nowMs / 1000)
    return { sec, nsec: Math.floor((this.#nowMs - sec * 1000) * 1_000_000) }
  }

  /** Starts a timer. */
  after(delayMs: number, callback: () => void): Timer {
    const dueMs = this.#nowMs + Math.max(0, delayMs)
    const timer: PendingTimer = { dueMs, order: this.#started++, callback }
    this.#heap.push(timer)
    this.#rise(this.#heap.length - 1)
    return {
      cancel: () => {
        timer.callback = undefined
      }
    }
  }

  /** Lets time pass. Timers fire in order, each after all is done that the one before began. */
  async run(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await allDone()
    for (let first = this.#heap[0]; first && first.dueMs <= endMs; first = this.#heap[0]) {
      this.#takeFirst()
      const { callback } = first
      if (callback === undefined) continue
      this.#nowMs = Math.max(this.#nowMs, first.dueMs)
      callback()
      await allDone()
    }
    this.#nowMs = endMs
  }

  #takeFirst(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink(0)
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1
      if (this.#isOrdered(parent, at)) return
      this.#swap(parent, at)
      at = parent
    }
  }

  #sink(from: number): void {
    for (let at = from; ;) {
      const left = 2 * at + 1
      if (left >= this.#heap.length) return
      const right = left + 1
      const child = right < this.#heap.length && !this.#isOrdered(left, right) ? right : left
      if (this.#isOrdered(at, child)) return
      this.#swap(at, child)
      at = child
    }
  }

  #isOrdered(first: number, second: number): boolean {
    const [left, right] = [this.#heap[first], this.#heap[second]]
    if (left === undefined || right === undefined) return true
    return left.dueMs < right.dueMs || (left.dueMs === right.dueMs && left.order < right.order)
  }

  #swap(first: number, second: number): void {
    const [left, right] = [this.#heap[first], this.#heap[second]]
    if (left === undefined || right === undefined) return
    this.#heap[first] = right
    this.#heap[second] = left
  }
}

/** Everything in promises is done when the event loop comes round. */
function allDone(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
