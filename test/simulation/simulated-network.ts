/**
 * A network between devices that carries messages late, twice, out of order or not at all, and
 * can be cut. What happens to a message is drawn when it is sent; time is a virtual clock's.
 *
 * @module
 */
import type { Clock } from '../../src/sync/clock.ts'
import type { SeededRandom } from '../support/seeded-random.ts'

/** How bad the network is. */
export interface NetworkFaults {
  /** Of a hundred messages so many are lost. */
  readonly lossPercent: number
  /** Of a hundred messages so many arrive twice. */
  readonly duplicatePercent: number
  /** A message takes up to so long, in milliseconds, each its own time: later ones overtake. */
  readonly delayMsMax: number
}

/** A network without faults: every message arrives, in order, at once. */
export const NO_FAULTS: NetworkFaults = { lossPercent: 0, duplicatePercent: 0, delayMsMax: 0 }

/** Takes a message that arrives. */
export type Receiver<M> = (message: M, from: string) => void

/** Connects every device with every other, unless they were parted. */
export class SimulatedNetwork<M> {
  /** How bad it is now. */
  faults: NetworkFaults = NO_FAULTS
  /** What happened to messages so far. */
  readonly counts = { sent: 0, lost: 0, duplicated: 0, delivered: 0 }
  readonly #clock: Clock
  readonly #random: SeededRandom
  readonly #receivers = new Map<string, Receiver<M>>()
  /** For each device a number; only those of one number hear each other. */
  readonly #islands = new Map<string, number>()
  readonly #offline = new Set<string>()

  /** @param parts - a clock that says when messages arrive, and dice */
  constructor(parts: { readonly clock: Clock; readonly random: SeededRandom }) {
    this.#clock = parts.clock
    this.#random = parts.random
  }

  /** Connects a device. */
  attach(device: string, receiver: Receiver<M>): void {
    this.#receivers.set(device, receiver)
  }

  /** Takes a device off the network, or puts it back. What is under way to it is lost. */
  setOnline(device: string, isOnline: boolean): void {
    if (isOnline) this.#offline.delete(device)
    else this.#offline.add(device)
  }

  /** Parts the devices into groups that do not hear each other; who is in none is alone. */
  part(groups: readonly (readonly string[])[]): void {
    this.#islands.clear()
    for (const [number, group] of groups.entries()) {
      for (const device of group) this.#islands.set(device, number)
    }
    let alone = groups.length
    for (const device of this.#receivers.keys()) {
      if (!this.#islands.has(device)) this.#islands.set(device, alone++)
    }
  }

  /** Ends every parting. Devices that are offline stay so. */
  join(): void {
    this.#islands.clear()
  }

  /** Whether a message that is sent now could arrive. */
  connects(one: string, other: string): boolean {
    if (one === other || this.#offline.has(one) || this.#offline.has(other)) return false
    return this.#islands.get(one) === this.#islands.get(other)
  }

  /** Sends a message to one device. */
  send({ from, to }: { readonly from: string; readonly to: string }, message: M): void {
    if (!this.connects(from, to)) return
    this.counts.sent++
    if (this.#happens(this.faults.lossPercent)) {
      this.counts.lost++
      return
    }
    const isTwice = this.#happens(this.faults.duplicatePercent)
    if (isTwice) this.counts.duplicated++
    for (let copies = isTwice ? 2 : 1; copies > 0; copies--) this.#carry(from, to, message)
  }

  #carry(from: string, to: string, message: M): void {
    const delayMs = this.#random.integer(1 + this.faults.delayMsMax)
    this.#clock.after(delayMs, () => {
      if (!this.connects(from, to)) return
      this.counts.delivered++
      this.#receivers.get(to)?.(message, from)
    })
  }

  #happens(percent: number): boolean {
    return percent > 0 && this.#random.integer(100) < percent
  }
}
