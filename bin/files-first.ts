/**
 * Lets file operations go before long work, such as a merge.
 *
 * A program waits for the answer to one operation before it asks for the next, which mostly comes
 * within a few hundred microseconds. Work that took the event loop again in between would hold up
 * each of them for as long as one of its steps takes, and a program that opens, writes and closes
 * a file for as long as five. So who gives way after a file was used does so until files are at
 * rest for a moment. It does so for a bounded time, so that no program that never rests holds it up.
 *
 * @module
 */
import { setTimeout } from 'node:timers/promises'
import { yieldToEventLoop } from './yield-to-event-loop.ts'

/** Files are at rest when none was used for this long, in milliseconds. */
export const REST_MS = 2
/** Work gives way for this long at most before it takes a turn again, in milliseconds. */
export const WAY_MS_MAX = 10
/** And for at most this part of the time that it took before, but for one rest. */
export const WAY_SHARE = 0.5

/** Knows when files are used. */
export class FilesFirst {
  #uses = 0
  /** When work last went on. */
  #wentMs = performance.now()

  /** Says that operations on files were served. */
  readonly used = (): void => {
    this.#uses += 1
  }

  /** Everybody has a turn before the promise resolves, and those who use files some more. */
  readonly giveWay = async (): Promise<void> => {
    let uses = this.#uses
    const wayMs = Math.min(WAY_MS_MAX, WAY_SHARE * (performance.now() - this.#wentMs))
    await yieldToEventLoop()
    const endMs = performance.now() + wayMs
    while (uses !== this.#uses) {
      uses = this.#uses
      await setTimeout(REST_MS)
      if (performance.now() >= endMs) break
    }
    this.#wentMs = performance.now()
  }
}
