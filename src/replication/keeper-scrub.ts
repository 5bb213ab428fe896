/**
 * Reads again, slowly and for ever, everything that a keeper has signed for: what cannot be read
 * any more is found before anybody asks for it, and is no longer promised.
 *
 * @module
 */
import type { Random } from '../crypto/random.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import type { KeeperPerson } from './keeper-person.ts'

/** How much is read in a second, in bytes. */
export const SCRUB_BYTES_PER_SECOND = 1024 * 1024

/** How long a round waits that found nothing to read, in milliseconds. */
export const SCRUB_IDLE_MS = 60_000

/** How often reading is slowed down, in milliseconds. */
const STEP_MS = 1000

/** What a scrub works with; all borrowed. */
export interface KeeperScrubParts {
  /** Whose blocks are read. */
  readonly persons: () => readonly KeeperPerson[]
  /** Time. */
  readonly clock: Clock
  /** Dice: where to begin, so that restarts do not always read the same. */
  readonly random: Random
  /** Told what went wrong, for the log. */
  readonly report: (message: string, cause?: unknown) => void
}

/** See the module. */
export class KeeperScrub {
  readonly #parts: KeeperScrubParts
  #readBytes = 0
  #timer: Timer | undefined
  #wake: (() => void) | undefined
  #isClosed = false
  #running: Promise<void> | undefined

  /** @param parts - borrowed */
  constructor(parts: KeeperScrubParts) {
    this.#parts = parts
  }

  /** Begins. Idempotent. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends, after the block that is being read. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#wake?.()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      await this.#sleep(STEP_MS)
      const before = this.#readBytes
      await this.#round().catch((error: unknown) => this.#fail(error))
      if (this.#readBytes === before) await this.#sleep(SCRUB_IDLE_MS)
    }
  }

  /** Everything once. */
  async #round(): Promise<void> {
    for (const person of rotated(this.#parts.persons(), this.#draw())) {
      const places = rotated([...person.book.windows()], this.#draw())
      for (const place of places) {
        if (this.#isClosed) return
        await person
          .scrub(place, bytes => this.#pace(bytes))
          .catch((error: unknown) => this.#fail(error))
      }
    }
  }

  #fail(error: unknown): void {
    if (!this.#isClosed) this.#parts.report('a scrub failed', error)
  }

  /** @returns false to stop reading */
  async #pace(bytes: number): Promise<boolean> {
    const before = Math.floor(this.#readBytes / SCRUB_BYTES_PER_SECOND)
    this.#readBytes += bytes
    const steps = Math.floor(this.#readBytes / SCRUB_BYTES_PER_SECOND) - before
    if (steps > 0) await this.#sleep(steps * STEP_MS)
    return !this.#isClosed
  }

  #sleep(ms: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    return new Promise(resolve => {
      this.#wake = resolve
      this.#timer = this.#parts.clock.after(ms, resolve)
    })
  }

  #draw(): number {
    const [low = 0, high = 0] = this.#parts.random.bytes(2)
    return (high * 256 + low) / 65_536
  }
}

/** The same from another beginning. @param share - where, from 0 to 1 */
function rotated<T>(items: readonly T[], share: number): readonly T[] {
  const at = Math.floor(items.length * share)
  return [...items.slice(at), ...items.slice(0, at)]
}
