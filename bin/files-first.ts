/**
 * Lets file operations go before long work, such as a merge.
 *
 * A program waits for the answer to one operation before it asks for the next, which mostly comes
 * within a few hundred microseconds. Work that took the event loop again in between would hold up
 * each of them for as long as one of its steps takes, and a program that opens, writes and closes
 * a file for as long as five. So who gives way after a file was used does so until files are at
 * rest for a moment. That moment is bounded, so that no program that never rests holds up the work.
 *
 * @module
 */
import { setTimeout } from 'node:timers/promises'
import { yieldToEventLoop } from './yield-to-event-loop.ts'

/** Files are at rest when none was used for this long, in milliseconds. */
export const REST_MS = 1
/** Work gives way for this long at most, and the turn of the event loop that it ends in. */
export const WAY_MS_MAX = 4

/** Knows when files are used. */
export class FilesFirst {
  #uses = 0

  /** Says that operations on files were served. */
  readonly used = (): void => {
    this.#uses += 1
  }

  /** Everybody has a turn before the promise resolves, and those who use files some more. */
  readonly giveWay = async (): Promise<void> => {
    let uses = this.#uses
    await yieldToEventLoop()
    const end = performance.now() + WAY_MS_MAX
    while (uses !== this.#uses && performance.now() < end) {
      uses = this.#uses
      await setTimeout(REST_MS)
    }
  }
}
