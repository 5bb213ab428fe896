/**
 * Which of two devices that were long apart sends its operations first.
 *
 * Both have much that the other lacks. If both sent it at once, a device would read and send all
 * that it has while it merges, and whoever uses its files would wait for both. So the one with less
 * to send goes first: it does not ask for what the other has until that one says that it has merged
 * what it was sent, or {@link TURN_MS_MAX} has passed. What else there is it asks for as ever. With
 * less it is sooner done, and the other one is the one that was used meanwhile.
 *
 * Both know both amounts from how far the other says that it has merged when they meet. Where they
 * disagree both wait or neither does, and nothing is lost but those seconds.
 *
 * @module
 */
import type { Clock, Timer } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'

/** A device waits for others so long at most, in milliseconds. */
export const TURN_MS_MAX = 2000

/** It does not wait again until so long after it last began to, in milliseconds, whoever comes. */
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
  /** Told that other logs are held back from now on than before. */
  readonly onChange: () => void
}

/** What is known of a device that is waited for, as it was when they met. */
interface Turn {
  /** How far the logs are here of which it lacked something. */
  readonly lacking: Heads
  /** How far it had merged those of which more was there than here. */
  readonly ahead: Heads
}

/** The turns of one device with all others. */
export class UploadTurns {
  readonly #parts: UploadTurnsParts
  readonly #waitedFor = new Map<string, Turn>()
  #deadline: Timer | undefined
  #pause: Timer | undefined
  #isClosed = false

  /** @param parts - borrowed */
  constructor(parts: UploadTurnsParts) {
    this.#parts = parts
  }

  /** Whether this device does not ask for entries of a log for now. */
  isHeldBack(log: LogKey): boolean {
    return [...this.#waitedFor.values()].some(({ ahead }) => ahead.has(log))
  }

  /**
   * Decides whose turn it is with a device, from what each has merged when they meet.
   *
   * @param peer - the other device, as 64 lowercase hexadecimal digits
   */
  meet(peer: string, here: Heads, there: Heads): void {
    this.gone(peer)
    const isPausing = this.#pause !== undefined && this.#deadline === undefined
    if (this.#isClosed || isPausing) return
    const [lacking, ahead] = [aheadOf(there, here), aheadOf(here, there)]
    const [toSend, toTake] = [entriesBeyond(there, lacking), entriesBeyond(here, ahead)]
    const isShorter = toSend === toTake ? this.#parts.device < peer : toSend < toTake
    if (toSend < TURN_ENTRIES_MIN || !isShorter) return
    const { clock } = this.#parts
    this.#pause ??= clock.after(TURN_INTERVAL_MS, () => (this.#pause = undefined))
    this.#deadline ??= clock.after(TURN_MS_MAX, () => this.#end())
    this.#waitedFor.set(peer, { lacking, ahead })
    this.#parts.onChange()
  }

  /** Looks whether a device has merged what it is waited for. */
  told(peer: string, there: Heads): void {
    const turn = this.#waitedFor.get(peer)
    if (turn !== undefined && aheadOf(there, turn.lacking).size === 0) this.gone(peer)
  }

  /** Waits for a device no more. */
  gone(peer: string): void {
    if (!this.#waitedFor.delete(peer)) return
    if (this.#waitedFor.size === 0) this.#end()
    else this.#parts.onChange()
  }

  /** Waits for nobody any more. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#waitedFor.clear()
    this.#deadline?.cancel()
    this.#pause?.cancel()
  }

  #end(): void {
    this.#waitedFor.clear()
    this.#deadline?.cancel()
    this.#deadline = undefined
    this.#parts.onChange()
  }
}

/** Those heads that are further than the same log's in a place. */
function aheadOf(place: Heads, heads: Heads): Heads {
  return new Map([...heads].filter(([log, length]) => length > (place.get(log) ?? 0)))
}

/** How many entries heads have beyond those of a place. */
function entriesBeyond(place: Heads, heads: Heads): number {
  return [...heads].reduce((sum, [log, length]) => sum + length - (place.get(log) ?? 0), 0)
}
