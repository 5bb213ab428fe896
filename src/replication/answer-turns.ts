/**
 * Peers ask for many blocks at once, and hypercore begins to answer all of them in the turn of the
 * event loop in which they are heard: each wakes a thread that reads, which takes the processor
 * from this one. So that file operations are not held up by hundreds of answers, only some are
 * begun in a turn; the others come in the next ones, in order.
 *
 * @module
 */

/** How many requests of peers begin to be answered in a turn of the event loop. */
export const ANSWERS_PER_TURN = 32

/** Above so many requests that wait for their turn others do not wait. */
export const ANSWERS_WAITING_MAX = 4096

/** Gives the requests of all peers their turns. */
export class AnswerTurns {
  readonly #waiting: (() => void)[] = []
  #begun = 0
  #isArranged = false

  /** @returns undefined when an answer may begin at once, else when it may */
  next(): Promise<void> | undefined {
    this.#arrange()
    const { length } = this.#waiting
    const isFree = length === 0 && this.#begun < ANSWERS_PER_TURN
    if (!isFree && length < ANSWERS_WAITING_MAX)
      return new Promise(resolve => this.#waiting.push(resolve))
    this.#begun += 1
    return undefined
  }

  #arrange(): void {
    if (this.#isArranged) return
    this.#isArranged = true
    setImmediate(() => {
      this.#isArranged = false
      const due = this.#waiting.splice(0, ANSWERS_PER_TURN)
      this.#begun = due.length
      if (due.length > 0) this.#arrange()
      for (const begin of due) begin()
    })
  }
}
