/**
 * A log of another device on a hypercore: an operation log, every entry of which is wanted, or a
 * content log, whose blocks are fetched as they are needed.
 *
 * @module
 */
import type { LogKey, ReadableLog } from '../sync/log.ts'
import type { FetchOptions, RemoteBlocks } from '../sync/remote-logs.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { MovableLog, Range } from './blob-reclaimer.ts'
import {
  countStored,
  giveUpRequests,
  keepTreeNodes,
  moveBlocks,
  readEntry,
  readTreeHash,
  wrapped,
  type Core,
  type CoreRequest
} from './core-slot.ts'
import { checkIndex, checkRange } from './log-arguments.ts'
import type { ReplicatedCore } from './replicated-core.ts'
import { causeCodes, toSyncError } from './storage-error.ts'

/** An open core of another device. */
export class RemoteCore implements MovableLog {
  /** The log's name. */
  readonly key: LogKey
  /** Its replicating side. */
  readonly replicated: ReplicatedCore
  readonly #core: Core
  /** Clears and moves run one after another. */
  #tail: Promise<unknown> = Promise.resolve()
  #hasCleared = false
  #closed = false

  /** @param core - opened by its manifest alone; owned from now on */
  constructor(core: Core, replicated: ReplicatedCore) {
    this.key = replicated.key
    this.replicated = replicated
    this.#core = core
    keepTreeNodes(core)
  }

  /** Reads what is stored here. */
  async get(index: number): Promise<Uint8Array> {
    checkIndex(index)
    this.#throwIfClosed()
    const entry = await readEntry(this.#core, index)
    if (entry === null) throw new SyncError('MISSING', 'the entry is not stored here')
    return entry
  }

  /** Hashes a prefix of which the hashes are here: the blocks need not be. */
  async treeHash(length: number): Promise<Uint8Array> {
    checkIndex(length)
    this.#throwIfClosed()
    if (length > this.length) throw new RangeError('the log is shorter than that')
    return readTreeHash(this.#core, length)
  }

  /** Reads a block, from peers if it is not here. */
  async fetch(index: number, { deadlineMs, signal }: FetchOptions): Promise<Uint8Array> {
    checkIndex(index)
    this.#throwIfClosed()
    if (signal?.aborted === true) throw interruptedError()
    const activeRequests: CoreRequest[] = []
    const giveUp = (): void => giveUpRequests(activeRequests)
    signal?.addEventListener('abort', giveUp, { once: true })
    try {
      // A deadline of 0 would wait for ever.
      const timeout = Math.max(1, Math.ceil(deadlineMs))
      const block = await this.#core.get(index, { timeout, activeRequests })
      if (block === null) throw new SyncError('MISSING', 'the block is not stored here')
      return block
    } catch (error) {
      throw this.#fetchError(error, index)
    } finally {
      signal?.removeEventListener('abort', giveUp)
    }
  }

  /** Forgets blocks; those beyond the end are none. */
  async clear({ from, to }: Range): Promise<void> {
    checkRange({ from, to }, Math.max(to, this.replicated.length))
    await this.#inTurn(async () => {
      this.#hasCleared = true
      await wrapped('a clear', () => this.#core.clear(from, to))
    })
  }

  /** How many entries the log has, as far as is known here. */
  get length(): number {
    return this.replicated.length
  }

  /** How many blocks of a range are stored here. */
  storedCount(range: Range): number {
    return countStored(this.#core, range)
  }

  /** Writes stored blocks anew, in turn; see `MovableLog.move`. */
  async move(range: Range, bytesMax: number): Promise<{ bytes: number; next: number }> {
    return this.#inTurn(() => moveBlocks(this.#core, range, bytesMax))
  }

  /** Whether blocks were cleared since this was asked last. */
  takeCleared(): boolean {
    const hasCleared = this.#hasCleared
    this.#hasCleared = false
    return hasCleared
  }

  /** Gives up what is being fetched and closes the core. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    this.replicated.end()
    await this.#tail
    await this.#core.close()
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#throwIfClosed()
    const turn = this.#tail.then(work)
    this.#tail = turn.catch(() => undefined)
    return turn
  }

  #fetchError(error: unknown, index: number): SyncError {
    const codes = causeCodes(error)
    if (this.#closed) return new SyncError('CLOSED', 'the home was closed', { cause: error })
    if (codes.includes('REQUEST_CANCELLED')) return interruptedError()
    if (!codes.includes('REQUEST_TIMEOUT')) return toSyncError(error, 'a fetch', 'DAMAGED')
    if (this.replicated.isOffered(index))
      return new SyncError('TIMED_OUT', 'a peer has the block and did not deliver it in time')
    return new SyncError('UNREACHABLE', 'no connected peer has the block')
  }

  #throwIfClosed(): void {
    if (this.#closed) throw new SyncError('CLOSED', 'the home was closed')
  }
}

/** The operation log of another device; made by `LogHome.openRemoteLog`. */
export class RemoteLog implements ReadableLog {
  readonly #core: RemoteCore

  /** @internal */
  constructor(core: RemoteCore) {
    this.#core = core
  }

  get key(): LogKey {
    return this.#core.key
  }

  get length(): number {
    return this.#core.replicated.contiguousLength
  }

  get(index: number): Promise<Uint8Array> {
    return this.#core.get(index)
  }

  async treeHash(length: number): Promise<Uint8Array> {
    if (length > this.length) throw new RangeError('the log is shorter than that')
    return this.#core.treeHash(length)
  }
}

/** How many foreground fetches are under way in a home; who fetches ahead gives way to them. */
export class FetchGauge {
  #count = 0
  /** Told when the first fetch begins and when the last one has ended. */
  onChange: () => void = () => undefined

  /** Whether any is under way. */
  get isBusy(): boolean {
    return this.#count > 0
  }

  /** Counts a fetch while it lasts. */
  async during<T>(fetch: () => Promise<T>): Promise<T> {
    if (++this.#count === 1) this.onChange()
    try {
      return await fetch()
    } finally {
      if (--this.#count === 0) this.onChange()
    }
  }
}

/** The content log of another device; made by `LogHome.openRemoteBlocks`. */
export class HypercoreRemoteBlocks implements RemoteBlocks {
  readonly #core: RemoteCore
  readonly #gauge: FetchGauge

  /** @internal */
  constructor(core: RemoteCore, gauge: FetchGauge) {
    this.#core = core
    this.#gauge = gauge
  }

  get key(): LogKey {
    return this.#core.key
  }

  has(index: number): boolean {
    return this.#core.replicated.has(index)
  }

  get(index: number): Promise<Uint8Array> {
    return this.#core.get(index)
  }

  fetch(index: number, options: FetchOptions): Promise<Uint8Array> {
    return this.#gauge.during(() => this.#core.fetch(index, options))
  }

  /** As {@link RemoteBlocks.fetch}, for nobody who waits: gives way to every other fetch. */
  fetchAhead(index: number, options: FetchOptions): Promise<Uint8Array> {
    return this.#core.fetch(index, options)
  }

  clear(range: { readonly from: number; readonly to: number }): Promise<void> {
    return this.#core.clear(range)
  }
}

function interruptedError(): SyncError {
  return new SyncError('INTERRUPTED', 'the fetch was given up')
}
