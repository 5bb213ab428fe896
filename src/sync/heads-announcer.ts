/**
 * Lets others know how far this device has merged when it has nothing to write: superseded
 * content is kept until every device has passed what superseded it.
 *
 * @module
 */
import type { Clock, Timer } from './clock.ts'

/** A device that writes nothing tells its heads this often at most, in milliseconds. */
export const HEADS_INTERVAL_MS = 3_600_000

/** What an announcer needs. */
export interface HeadsAnnouncerParts {
  /** Time. */
  readonly clock: Clock
  /** Writes an entry that has only heads. */
  readonly announce: () => void
}

/** Tells heads from time to time. */
export class HeadsAnnouncer {
  readonly #parts: HeadsAnnouncerParts
  #timer: Timer | undefined
  #isClosed = false

  /** @param parts - borrowed */
  constructor(parts: HeadsAnnouncerParts) {
    this.#parts = parts
  }

  /**
   * Says that operations of others were merged. Entries without operations are no news, else
   * devices would answer each other for ever.
   *
   * @param sinceMs - how long ago this device wrote its last entry, as far as that is known
   */
  addNews(sinceMs = 0): void {
    if (this.#timer || this.#isClosed) return
    const delayMs = Math.min(HEADS_INTERVAL_MS, Math.max(0, HEADS_INTERVAL_MS - sinceMs))
    this.#timer = this.#parts.clock.after(delayMs, () => {
      this.#timer = undefined
      this.#parts.announce()
    })
  }

  /** Says that this device wrote an entry, which has told its heads. */
  told(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Stops. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.told()
  }
}
