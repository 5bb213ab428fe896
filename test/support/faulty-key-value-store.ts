/**
 * A key-value store of which the n-th write fails.
 *
 * @module
 */
import type { Change, KeyValueStore } from '../../src/sync/key-value-store.ts'
import { SyncError } from '../../src/sync/sync-error.ts'

/** See the module. */
export class FaultyKeyValueStore implements KeyValueStore {
  /** After so many writes and syncs one fails. */
  failAfter = Number.POSITIVE_INFINITY
  /** Whether all fail from then on. */
  isPersistent = false
  readonly #store: KeyValueStore

  constructor(store: KeyValueStore) {
    this.#store = store
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#store.get(key)
  }

  range(bounds: Parameters<KeyValueStore['range']>[0]): ReturnType<KeyValueStore['range']> {
    return this.#store.range(bounds)
  }

  async commit(changes: readonly Change[]): Promise<void> {
    this.#operate()
    await this.#store.commit(changes)
  }

  async clear(): Promise<void> {
    this.#operate()
    await this.#store.clear()
  }

  async sync(): Promise<void> {
    this.#operate()
    await this.#store.sync()
  }

  async close(): Promise<void> {
    await this.#store.close()
  }

  #operate(): void {
    const isDue = this.isPersistent ? this.failAfter <= 0 : this.failAfter === 0
    this.failAfter--
    if (isDue) throw new SyncError('IO', 'injected')
  }
}
