/**
 * Work that must not overlap, by what it is about: one after another for one name, any number of
 * names at a time up to a limit.
 *
 * @module
 */

/** See the module. */
export class SerialTurns {
  readonly #tails = new Map<string, Promise<unknown>>()
  readonly #countMax: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** @param countMax - how many run at a time, whatever their names */
  constructor(countMax: number) {
    this.#countMax = countMax
  }

  /** Runs when all earlier work of the name is done, and its turn has come. */
  run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(name) ?? Promise.resolve()
    const turn = before.then(() => this.#limited(work))
    const tail = turn
      .catch(() => undefined)
      .then(() => {
        if (this.#tails.get(name) === tail) this.#tails.delete(name)
      })
    this.#tails.set(name, tail)
    return turn
  }

  /** Waits until nothing is under way. */
  async whenIdle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }

  async #limited<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#countMax)
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}
