/**
 * How far a replica has merged every operation log, its own included: what an entry that is
 * closed now has seen.
 *
 * @module
 */
import type { LogKey } from './log.ts'

/** The merged state of a replica, as lengths. */
export class MergedHeads {
  readonly #lengths = new Map<LogKey, number>()
  readonly #named = new Map<LogKey, number>()
  #lamport = 0

  /** For every known operation log how many of its entries are merged. */
  get lengths(): ReadonlyMap<LogKey, number> {
    return this.#lengths
  }

  /**
   * As {@link MergedHeads.lengths}, without entries at the end of a log that were passed over
   * because they are damaged: nobody can say that it saw those.
   */
  get named(): ReadonlyMap<LogKey, number> {
    return this.#named
  }

  /** The highest lamport of all merged entries, 0 if there is none. */
  get lamport(): number {
    return this.#lamport
  }

  /** Makes an operation log known. @param named - its length without damaged entries at the end */
  add(log: LogKey, length: number, { named, lamport }: { named: number; lamport: number }): void {
    this.#lengths.set(log, length)
    this.#named.set(log, named)
    this.#lamport = Math.max(this.#lamport, lamport)
  }

  /** Takes up a log's next entry. */
  advance(log: LogKey, lamport: number): void {
    const length = this.pass(log)
    this.#named.set(log, length)
    this.#lamport = Math.max(this.#lamport, lamport)
  }

  /** Passes over a log's next entry, which is damaged. @returns the length afterwards */
  pass(log: LogKey): number {
    const length = (this.#lengths.get(log) ?? 0) + 1
    this.#lengths.set(log, length)
    return length
  }
}
