/**
 * A log of this device on a hypercore.
 *
 * @module
 */
import type { Log, LogKey } from '../sync/log.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { CoreSlot } from './core-slot.ts'

/** Makes everything appended before the call durable; that of the home. */
export type SyncHome = () => Promise<void>

/** A handle of a log. Handles of one log share its queue; made by `LogHome.openLog`. */
export class HypercoreLog implements Log {
  /** The open core, for what a kind of log adds. */
  protected readonly slot: CoreSlot
  readonly #syncHome: SyncHome
  readonly #calls = new Set<Promise<unknown>>()
  #closed = false

  /** @internal */
  constructor(slot: CoreSlot, syncHome: SyncHome) {
    this.slot = slot
    this.#syncHome = syncHome
  }

  get key(): LogKey {
    return this.slot.key
  }

  get length(): number {
    return this.slot.length
  }

  append(entries: readonly Uint8Array[], expectedLength: number): Promise<number> {
    return this.whileOpen(() => this.slot.append(entries, expectedLength))
  }

  get(index: number): Promise<Uint8Array> {
    return this.whileOpen(() => this.slot.get(index))
  }

  treeHash(length: number): Promise<Uint8Array> {
    return this.whileOpen(() => this.slot.treeHash(length))
  }

  sync(): Promise<void> {
    return this.whileOpen(this.#syncHome)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#calls)
  }

  /** Runs a call that `close` waits for; refuses it after `close`. */
  protected async whileOpen<T>(call: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new SyncError('CLOSED', 'the log was closed')
    const result = call()
    this.#calls.add(result)
    try {
      return await result
    } finally {
      this.#calls.delete(result)
    }
  }
}
