/**
 * A bar on a terminal that says how far a long command has got. Where nobody watches it is
 * silent.
 *
 * @module
 */
import type { Output } from './command.ts'

/** How far something has got. */
export interface Progress {
  /** Units done. */
  readonly done: number
  /** Units in all, as far as is known. */
  readonly total: number
}

/** The least time between two drawings, in milliseconds. */
export const REDRAW_MS_MIN = 100
const BAR_CHARACTERS = 24

/** Draws {@link Progress} on one line, over and over. */
export class ProgressBar {
  readonly #output: Output
  readonly #label: string
  readonly #nowMs: () => number
  #drawnMs = Number.NEGATIVE_INFINITY
  #drawn = false

  /** @param output - where; @param label - what is under way, a word or two */
  constructor(output: Output, label: string, nowMs: () => number = () => performance.now()) {
    this.#output = output
    this.#label = label
    this.#nowMs = nowMs
  }

  /** Draws the state, unless it was drawn a moment ago. */
  update(progress: Progress): void {
    const nowMs = this.#nowMs()
    if (this.#output.isTTY !== true || nowMs - this.#drawnMs < REDRAW_MS_MIN) return
    this.#drawnMs = nowMs
    this.#drawn = true
    const { done, total } = progress
    const share = total > 0 ? Math.min(1, done / total) : 0
    const full = Math.round(share * BAR_CHARACTERS)
    const bar = '#'.repeat(full) + '-'.repeat(BAR_CHARACTERS - full)
    const line = `${this.#label} [${bar}] ${Math.floor(share * 100)} % (${done}/${total})`
    this.#output.write(`\r\u001B[K${line.slice(0, (this.#output.columns ?? 80) - 1)}`)
  }

  /** Wipes the line. */
  end(): void {
    if (this.#drawn) this.#output.write('\r\u001B[K')
    this.#drawn = false
  }
}
