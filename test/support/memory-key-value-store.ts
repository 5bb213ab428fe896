/**
 * A key-value store in memory: a sorted array, replaced as a whole by each batch, so that an
 * iteration under way keeps its view. Simple on purpose.
 *
 * @module
 */
import { KEY_BYTES_MAX, type Change, type KeyValueStore } from '../../src/sync/key-value-store.ts'
import { SyncError } from '../../src/sync/sync-error.ts'

type Row = readonly [key: Uint8Array, value: Uint8Array]

/** An ordered store that forgets everything with the process. */
export class MemoryKeyValueStore implements KeyValueStore {
  /** When set, the next commits fail with this error and change nothing. */
  failure: SyncError | undefined

  #values = new Map<string, Row>()
  #sorted: readonly Row[] | undefined
  #closed = false
  #last: Promise<void> = Promise.resolve()

  /** @returns a copy of the value */
  get(key: Uint8Array): Uint8Array | undefined {
    this.#checkOpen()
    checkKey(key)
    return this.#values.get(latin1(key))?.[1].slice()
  }

  /** Iterates over the rows as they are now. */
  *range(bounds: { readonly from: Uint8Array; readonly to: Uint8Array }): Iterable<Row> {
    this.#checkOpen()
    const rows = (this.#sorted ??= [...this.#values.values()].sort((a, b) =>
      Buffer.compare(a[0], b[0])
    ))
    for (let i = firstFrom(rows, bounds.from); i < rows.length; i++) {
      const row = rows[i]
      if (!row || Buffer.compare(row[0], bounds.to) >= 0) return
      yield [row[0].slice(), row[1].slice()]
      this.#checkOpen()
    }
  }

  /** Applies a batch as late as a store may: just before the promise settles. */
  commit(changes: readonly Change[]): Promise<void> {
    return this.#inOrder(() => {
      for (const [key, value] of changes) {
        if (value) this.#values.set(latin1(key), [key.slice(), value.slice()])
        else this.#values.delete(latin1(key))
      }
    }, changes)
  }

  /** Deletes everything. */
  clear(): Promise<void> {
    return this.#inOrder(() => {
      this.#values = new Map()
    })
  }

  /** A store of its own with the rows as they are now: what a process that dies leaves. */
  copy(): MemoryKeyValueStore {
    const copy = new MemoryKeyValueStore()
    copy.#values = new Map(this.#values)
    return copy
  }

  /** Has nothing to do. */
  async sync(): Promise<void> {
    this.#checkOpen()
    await Promise.resolve()
  }

  /** Refuses every later call. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#last
  }

  async #inOrder(change: () => void, changes: readonly Change[] = []): Promise<void> {
    this.#checkOpen()
    for (const [key] of changes) checkKey(key)
    const turn = this.#last.then(() => {
      if (this.failure) throw this.failure
      change()
      this.#sorted = undefined
    })
    this.#last = turn.catch(() => undefined)
    await turn
  }

  #checkOpen(): void {
    if (this.#closed) throw new SyncError('CLOSED', 'the key-value store is closed')
  }
}

function firstFrom(rows: readonly Row[], from: Uint8Array): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const row = rows[middle]
    if (row && Buffer.compare(row[0], from) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function latin1(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

function checkKey(key: Uint8Array): void {
  if (key.length > 0 && key.length <= KEY_BYTES_MAX) return
  throw new RangeError(`a key of ${key.length} bytes`)
}
