/**
 * Long work, such as a merge, takes turns with everything else that the process does.
 *
 * Whoever works long does so in steps. Only one step is made in a turn of the event loop, whoever
 * else waits for one: others wait for one step at most, not for a step of the merge and one of the
 * index and one of a search through it.
 *
 * A program waits for the answer to one file operation before it asks for the next, and many calls
 * are two or three requests. Where files were just used the next step waits until they are at
 * rest, so that a call is held up by one step and not by one for each of its requests. That costs
 * a part of the time of the steps at most: programs that never rest do not stop a merge.
 *
 * A step that lasts a while may look whether somebody waits, and end sooner.
 *
 * What can wait works in the background: its steps come when nobody else has one to make,
 * and now and then while others have, so that a long merge does not stop it.
 *
 * @module
 */
/** Files are at rest when none was used for this long, in milliseconds. */
export const REST_MS = 1
/** For so much of the time that passes between two steps work may wait for files to rest. */
export const REST_SHARE = 0.25
/** It is saved up to so much, and owed up to so much after a rest that took longer, in milliseconds. */
export const REST_SAVED_MS_MAX = 10

/** Of so many steps one is made in the background at least, where one waits. */
export const BACKGROUND_STEPS = 16

/** Where a {@link LongWork} takes its time from; replaced in tests. */
export interface WorkTime {
  /** Monotonic time in milliseconds with a fraction, from any origin. */
  monotonicMs(): number
  /** Calls back after a rest, which keeps the process alive: somebody waits to go on. */
  after(delayMs: number, callback: () => void): void
}

const machine: WorkTime = {
  monotonicMs: () => performance.now(),
  after: (delayMs, callback) => {
    setTimeout(callback, delayMs)
  }
}

/** Gives all long work of a process its turns. */
export class LongWork {
  /** Told of each step, but not of those in the background. Set by whoever wants to know. */
  onStep: () => void = () => undefined
  /** Whether a program waits for an answer about its files. Set by whoever can tell. */
  isAsked: () => boolean = () => false
  readonly #time: WorkTime
  /** Who waits to make a step, in order. */
  readonly #waiting: (() => void)[] = []
  /** The same for work in the background. */
  readonly #inBackground: (() => void)[] = []
  /** How many steps others made since one in the background. */
  #stepsBefore = 0
  /** Whether a turn is arranged for the first of them. */
  #isArranged = false
  #uses = 0
  /** How often files had been used when it was last looked. */
  #usesSeen = 0
  /** How long it may still wait for files to rest, in milliseconds. */
  #savedMs = 0
  /** When the last step began. */
  #steppedMs: number

  /** @param time - measures steps and rests; the machine unless a test says otherwise */
  constructor(time: WorkTime = machine) {
    this.#time = time
    this.#steppedMs = time.monotonicMs()
  }

  /** Says that operations on files were served. */
  readonly filesUsed = (): void => {
    this.#uses += 1
  }

  /**
   * Gives way within long work: timers, the network and the disk have their turn before the
   * promise resolves, and so do files in use and others who work long.
   */
  readonly yieldToEventLoop = (): Promise<void> => this.#waitIn(this.#waiting)

  /** The same for work that can wait. */
  readonly yieldInBackground = (): Promise<void> => this.#waitIn(this.#inBackground)

  #waitIn(queue: (() => void)[]): Promise<void> {
    return new Promise(resolve => {
      queue.push(resolve)
      this.#arrange()
    })
  }

  #arrange(): void {
    const count = this.#waiting.length + this.#inBackground.length
    if (this.#isArranged || count === 0) return
    this.#isArranged = true
    setImmediate(() => this.#save())
  }

  #save(): void {
    const passedMs = this.#time.monotonicMs() - this.#steppedMs
    this.#savedMs = Math.min(REST_SAVED_MS_MAX, this.#savedMs + REST_SHARE * passedMs)
    this.#stepOrRest()
  }

  #stepOrRest(): void {
    const isAtRest = this.#uses === this.#usesSeen
    this.#usesSeen = this.#uses
    if (isAtRest || this.#savedMs <= 0) return this.#step()
    const from = this.#time.monotonicMs()
    this.#time.after(REST_MS, () => {
      const restedMs = this.#time.monotonicMs() - from
      this.#savedMs = Math.max(this.#savedMs - restedMs, -REST_SAVED_MS_MAX)
      this.#stepOrRest()
    })
  }

  /** Whoever goes on does so before the next turn, and then may wait again behind the others. */
  #step(): void {
    this.#steppedMs = this.#time.monotonicMs()
    this.#isArranged = false
    this.#next()?.()
    this.#arrange()
  }

  #next(): (() => void) | undefined {
    const isDue = this.#inBackground.length > 0 && this.#stepsBefore + 1 >= BACKGROUND_STEPS
    if (this.#waiting.length > 0 && !isDue) {
      this.#stepsBefore += 1
      this.onStep()
      return this.#waiting.shift()
    }
    this.#stepsBefore = 0
    return this.#inBackground.shift()
  }
}
