/**
 * Listens to what a replica executes, so that the oracle can be asked about the very operations
 * that the index was told.
 *
 * @module
 */
import type { LogKey } from '../../src/sync/log.ts'
import type { Operation } from '../../src/sync/operation.ts'
import type { ExecuteOptions, Replica } from '../../src/sync/replica.ts'
import type { ModelEntry } from './model.ts'

/** The operations of one device, by the entry each was accepted for. */
export class RecordedOperations {
  readonly #entries: Operation[][] = []
  readonly #log: LogKey

  /** @param log - the device's operation log */
  constructor(log: LogKey) {
    this.#log = log
  }

  /** Listens to a replica from now on; it may be one opened after another on the same log. */
  listenTo(replica: Replica): void {
    const execute = replica.execute.bind(replica)
    replica.execute = (operation: Operation, options?: ExecuteOptions) => {
      // What an operation holds is borrowed by the call, so it is copied before.
      const copy = structuredClone(operation)
      const id = execute(operation, options)
      if (options?.recorded === false) return id
      const entry = (this.#entries[id.index] ??= [])
      if (id.number !== entry.length) throw new Error(`operation ${id.index}/${id.number} is late`)
      entry.push(copy)
      return id
    }
  }

  /** Forgets what did not come into the log: the process died. */
  truncate(length: number): void {
    this.#entries.splice(length)
  }

  /** The entries, as the oracle takes them; the last may not be committed yet. */
  entries(): readonly ModelEntry[] {
    return this.#entries.map((operations, index) => ({
      ...{ log: this.#log, index, lamport: index + 1, heads: new Map<LogKey, number>() },
      ...{ time: { sec: 0, nsec: 0 }, device: 'device', operations }
    }))
  }
}
