/**
 * Which of two devices that were long apart sends its operations first.
 *
 * Both have much that the other lacks. If both sent it at once, a device would read and send all
 * that it has while it merges, and whoever uses its files would wait for both. So the one with less
 * to send goes first: it asks for nothing of the other until that one says that it has merged what
 * it was sent, or {@link TURN_MS_MAX} has passed. With less it is sooner done, and the other one is
 * the one that was used meanwhile.
 *
 * Both know both amounts from how far the other says that it has merged. Where they disagree both
 * wait or neither does, and nothing is lost but those seconds.
 *
 * @module
 */
import type { Clock, Timer } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'

/** A device waits for others so long at most, in milliseconds. */
export const TURN_MS_MAX = 2000

/** So long after it has begun to wait it does not wait again, in milliseconds, whoever comes. */
export const TURN_INTERVAL_MS = 60_000

/**
 * Fewer entries than these are sent in no time, whatever else is under way. Not more: when a program
 * wrote without flushing an entry has dozens of operations and more.
 */
export const TURN_ENTRIES_MIN = 64

/** How far each operation log is merged somewhere. */
export type Heads = ReadonlyMap<LogKey, number>

/** What turns rest on. */
export interface UploadTurnsParts {
  /** Time. */
  readonly clock: Clock
  /** This device, as 64 lowercase hexadecimal digits. */
  readonly device: string
  /** Told that this device waits from now on, or no more. */
  readonly onChange: () => void
}

/** The turns of one device with all others. */
export class UploadTurns {
  readonly #parts: UploadTurnsParts
  /** What each of those that are waited for lacked when the wait began. */
  readonly #lacking = new Map<string, Heads>()
  #deadline: Timer | undefined
  #pause: Timer | undefined
  #isClosed = false

  /** @param parts - borrowed */
  constructor(parts: UploadTurnsParts) {
    this.#parts = parts
  }

  /** Whether this device asks for no operations of others. */
  get isWaiting(): boolean {
    return this.#lacking.size > 0
  }

  /**
   * Decides whose turn it is with a device, from what each has merged when they meet.
   *
   * @param peer - the other device, as 64 lowercase hexadecimal digits
   */
  meet(peer: string, here: Heads, there: Heads): void {
    if (this.#isClosed || (this.#pause !== undefined && !this.isWaiting)) return
    const lacking = missingAt(there, here)
    const [toSend, toTake] = [entriesOf(lacking, there), entriesOf(missingAt(here, there), here)]
    const isShorter = toSend === toTake ? this.#parts.device < peer : toSend < toTake
    if (toSend < TURN_ENTRIES_MIN || !isShorter) return
    const { clock } = this.#parts
    this.#pause ??= clock.after(TURN_INTERVAL_MS, () => (this.#pause = undefined))
    this.#deadline ??= clock.after(TURN_MS_MAX, () => this.#end())
    this.#lacking.set(peer, lacking)
    if (this.#lacking.size === 1) this.#parts.onChange()
  }

  /** Looks whether a device has merged what it is waited for. */
  told(peer: string, there: Heads): void {
    const lacking = this.#lacking.get(peer)
    if (lacking !== undefined && missingAt(there, lacking).size === 0) this.gone(peer)
  }

  /** Waits for a device no more. */
  gone(peer: string): void {
    if (this.#lacking.delete(peer) && !this.isWaiting) this.#end()
  }

  /** Waits for nobody any more. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#lacking.clear()
    this.#deadline?.cancel()
    this.#pause?.cancel()
  }

  #end(): void {
    this.#lacking.clear()
    this.#deadline?.cancel()
    this.#deadline = undefined
    this.#parts.onChange()
  }
}

/** How far the logs are of which more is merged in one place than in the other. */
function missingAt(place: Heads, elsewhere: Heads): Heads {
  return new Map([...elsewhere].filter(([log, length]) => length > (place.get(log) ?? 0)))
}

/** How many entries beyond those of a place. */
function entriesOf(lacking: Heads, place: Heads): number {
  return [...lacking].reduce((sum, [log, length]) => sum + length - (place.get(log) ?? 0), 0)
}
