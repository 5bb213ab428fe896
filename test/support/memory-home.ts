/**
 * The disk under the logs in memory: what was appended, in the order of the appends over all
 * logs, and how much of it has been synced. It can fail on purpose and lose power.
 *
 * A log's handle (see `memory-log.ts`) is a view of it, so a log outlives `close()`, `kill()`
 * and `losePower()` and can be opened again.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { logKey, type LogKey } from '../../src/sync/log.ts'
import { SyncError, type SyncErrorCode } from '../../src/sync/sync-error.ts'

/** What the disk has of one log. */
export interface StoredLog {
  /** The entries; a hole where one was cleared. */
  readonly entries: (Uint8Array | undefined)[]
  /** The tree hash after each, which clearing leaves. */
  readonly hashes: Uint8Array[]
}

/** What losing power may undo. */
type Write =
  | { readonly kind: 'append'; readonly key: LogKey; readonly count: number }
  | {
      readonly kind: 'clear'
      readonly key: LogKey
      readonly from: number
      readonly old: StoredLog['entries']
    }
  | { readonly kind: 'put'; readonly key: LogKey; readonly index: number }

/** Something that stops working when the process dies. */
interface Handle {
  /** The process died: every later call is `CLOSED`. */
  abandon(): void
}

/** A disk for {@link MemoryLog} and {@link MemoryBlockStore}. */
export class MemoryHome {
  /** So many more writes (append, clear, sync) succeed, then each fails with `failCode`. */
  failAfter = Number.POSITIVE_INFINITY
  /** So many writes fail once `failAfter` is used up; then the disk works again. */
  failTimes = Number.POSITIVE_INFINITY
  /** What a write fails with. */
  failCode: SyncErrorCode = 'IO'
  /** How many times the disk was synced. */
  syncCount = 0
  /** How many entries and blocks were read. */
  readCount = 0

  readonly #name: string
  readonly #logs = new Map<LogKey, StoredLog>()
  readonly #damaged = new Map<LogKey, Set<number>>()
  readonly #handles = new Set<Handle>()
  #unsynced: Write[] = []
  #keyCount = 0

  /** @param name - tells the keys of one home from those of another */
  constructor(name = 'home') {
    this.#name = name
  }

  /** How many writes a loss of power could undo. */
  get unsyncedCount(): number {
    return this.#unsynced.length
  }

  /** How many entries of a log have not been cleared. */
  storedCount(key: LogKey): number {
    return this.#stored(key).entries.filter(entry => entry !== undefined).length
  }

  /** How many entries of a log were appended or arrived. */
  lengthOf(key: LogKey): number {
    return this.#stored(key).entries.length
  }

  /** Whether an entry is here: it came and was not cleared. */
  stores(key: LogKey, index: number): boolean {
    return this.#stored(key).entries[index] !== undefined
  }

  /** The stored bytes of an entry that is here, for another disk to copy. */
  block(key: LogKey, index: number): Uint8Array {
    const entry = this.#stored(key).entries[index]
    if (entry === undefined) throw new Error('the entry is not stored here')
    return entry
  }

  /** A key that no log of this home has yet; the same sequence in every home of this name. */
  newKey(): LogKey {
    const seed = `${this.#name}/${String(this.#keyCount++)}`
    return logKey(createHash('sha256').update(seed).digest('hex'))
  }

  /** The process dies (`kill -9`): handles are closed, everything appended is kept. */
  kill(): void {
    for (const handle of this.#handles) handle.abandon()
    this.#handles.clear()
  }

  /** The machine loses power: of the writes that were not synced the first `kept` survive. */
  losePower({ kept = 0 }: { readonly kept?: number } = {}): void {
    this.kill()
    for (const write of this.#unsynced.splice(kept).reverse()) this.#undo(write)
    this.#unsynced = []
  }

  /** Flips the stored bytes of an entry: reading it is `DAMAGED` from now on. */
  damage(key: LogKey, index: number): void {
    const indexes = this.#damaged.get(key) ?? new Set()
    this.#damaged.set(key, indexes.add(index))
  }

  /** Takes back all but the first entries of a log: its tail is lost. */
  truncate(key: LogKey, length: number): void {
    const { entries, hashes } = this.#stored(key)
    entries.length = length
    hashes.length = length
  }

  /** Takes back what {@link MemoryHome.damage} did. */
  repair(key: LogKey, index: number): void {
    this.#damaged.get(key)?.delete(index)
  }

  /** @internal */
  attach(key: LogKey, handle: Handle): StoredLog {
    this.#handles.add(handle)
    return this.#stored(key)
  }

  /** @internal */
  detach(handle: Handle): void {
    this.#handles.delete(handle)
  }

  /** @internal */
  isDamaged(key: LogKey, index: number): boolean {
    return this.#damaged.get(key)?.has(index) === true
  }

  /** @internal */
  append(key: LogKey, entries: readonly Uint8Array[]): void {
    this.#failMaybe()
    const stored = this.#stored(key)
    for (const entry of entries) {
      const hash = createHash('sha256').update(entry)
      stored.hashes.push(hash.update(stored.hashes.at(-1) ?? new Uint8Array(32)).digest())
      stored.entries.push(entry)
    }
    this.#unsynced.push({ kind: 'append', key, count: entries.length })
  }

  /** @internal Stores one block of another device's log, wherever it stands. */
  put(key: LogKey, index: number, block: Uint8Array): void {
    this.#failMaybe()
    const { entries } = this.#stored(key)
    while (entries.length < index) entries.push(undefined)
    entries[index] = block
    this.#unsynced.push({ kind: 'put', key, index })
  }

  /** @internal */
  clear(key: LogKey, { from, to }: { readonly from: number; readonly to: number }): void {
    this.#failMaybe()
    const { entries } = this.#stored(key)
    const old = entries.slice(from, to)
    entries.fill(undefined, from, to)
    this.#unsynced.push({ kind: 'clear', key, from, old })
  }

  /** @internal */
  sync(): void {
    this.#failMaybe()
    this.#unsynced = []
    this.syncCount++
  }

  #undo(write: Write): void {
    const { entries, hashes } = this.#stored(write.key)
    if (write.kind === 'put') entries[write.index] = undefined
    else if (write.kind === 'clear') entries.splice(write.from, write.old.length, ...write.old)
    else {
      entries.length -= write.count
      hashes.length -= write.count
    }
  }

  #stored(key: LogKey): StoredLog {
    const stored = this.#logs.get(key) ?? { entries: [], hashes: [] }
    this.#logs.set(key, stored)
    return stored
  }

  #failMaybe(): void {
    if (this.failAfter > 0) this.failAfter--
    else if (this.failTimes > 0) {
      this.failTimes--
      throw new SyncError(this.failCode, 'a fault injected by the test')
    }
  }
}
