/**
 * How much of each content log the merged operations spoke of a while ago. Operations of one file
 * may arrive long before those of another whose blocks lie lower in the same log, so that "lower
 * than a block that a file uses, and used by none" means garbage only once some time has passed.
 *
 * @module
 */
import type { Clock } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import { nowMs } from './wall-time.ts'

/** How long ago a block must have been spoken of before what lies below it may be garbage. */
export const SPOKEN_AGE_MS = 60 * 60_000

/** How far apart two notes of lengths are at least; `SPOKEN_AGE_MS` over this are kept. */
export const SPOKEN_STEP_MS = 10 * 60_000

interface Note {
  readonly timeMs: number
  readonly lengths: ReadonlyMap<LogKey, number>
}

/** See the module. In memory: after a start nothing is garbage for `SPOKEN_AGE_MS`. */
export class SpokenLengths {
  readonly #clock: Clock
  /** Oldest first. */
  #notes: Note[] = []

  /** @param clock - time */
  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Notes what a finished scan found. @param lengths - the block after the last used one, by log */
  note(lengths: ReadonlyMap<LogKey, number>): void {
    const timeMs = nowMs(this.#clock)
    const last = this.#notes.at(-1)
    if (last !== undefined && timeMs - last.timeMs < SPOKEN_STEP_MS) return
    const counting = this.#notes.findLastIndex(note => timeMs - note.timeMs >= SPOKEN_AGE_MS)
    this.#notes = [...this.#notes.slice(Math.max(0, counting)), { timeMs, lengths }]
  }

  /** How many blocks of a log were spoken of `SPOKEN_AGE_MS` ago; 0 when that is not known. */
  of(log: LogKey): number {
    const now = nowMs(this.#clock)
    return (
      this.#notes.findLast(({ timeMs }) => now - timeMs >= SPOKEN_AGE_MS)?.lengths.get(log) ?? 0
    )
  }
}
