/**
 * Reads blocks of content, of this device's own logs and of others': from memory, from the disk,
 * or else from other devices.
 *
 * Callers that want one block at the same time share the work. It is given up when all of them
 * have given up.
 *
 * @module
 */
import { hashBlock } from '../crypto/block-hash.ts'
import type { Sealer } from '../crypto/sealer.ts'
import { BlockCache } from './block-cache.ts'
import type { BlockStore } from './block-store.ts'
import type { BlockPlace } from './content-index.ts'
import type { LogKey } from './log.ts'
import type { LogNumbers } from './log-numbers.ts'
import { openBlock } from './open-block.ts'
import type { BlockRun } from './region.ts'
import type { RemoteBlocks } from './remote-logs.ts'
import { SyncError } from './sync-error.ts'

/** Opened blocks kept in memory, in bytes. */
export const BLOCK_CACHE_BYTES = 64 * 1024 * 1024
/** A read of content that is not here fails after this long, unless told otherwise, in milliseconds. */
export const FETCH_DEADLINE_MS = 30_000

/** How a block is read. */
export interface ReadBlockOptions {
  /** Gives up waiting for another device when aborted. */
  readonly signal?: AbortSignal
}

/** What a reader needs. */
export interface BlockReaderParts {
  /** This device's content logs; borrowed. */
  readonly own: readonly BlockStore[]
  /** Numbers of logs in runs. */
  readonly logs: LogNumbers
  /** Opens blocks of a content log. */
  readonly sealerOf: (log: LogKey) => Sealer
  /** A block that was accepted and not yet appended, sealed. */
  readonly pendingBlock: (log: LogKey, index: number) => Uint8Array | undefined
  /** How long another device is waited for, in milliseconds. */
  readonly deadlineMs: number
}

interface Loading {
  readonly block: Promise<Uint8Array>
  readonly controller: AbortController
  readers: number
}

/** Reads blocks. */
export class BlockReader {
  readonly #parts: BlockReaderParts
  readonly #own: ReadonlyMap<LogKey, BlockStore>
  readonly #remote = new Map<LogKey, RemoteBlocks>()
  readonly #sealers = new Map<LogKey, Sealer>()
  readonly #cache = new BlockCache(BLOCK_CACHE_BYTES)
  readonly #loading = new Map<string, Loading>()
  #isClosed = false

  /** @param parts - borrowed */
  constructor(parts: BlockReaderParts) {
    this.#parts = parts
    this.#own = new Map(parts.own.map(log => [log.key, log]))
  }

  /** Adds the content log of another device, or of this one as other devices keep it. */
  addRemote(blocks: RemoteBlocks): void {
    this.#remote.set(blocks.key, blocks)
  }

  /** @returns the content log of another device, if it is known */
  remote(log: LogKey): RemoteBlocks | undefined {
    return this.#remote.get(log)
  }

  /** Opens and seals blocks of a content log. */
  sealerOf(log: LogKey): Sealer {
    let sealer = this.#sealers.get(log)
    if (sealer === undefined) this.#sealers.set(log, (sealer = this.#parts.sealerOf(log)))
    return sealer
  }

  /** Whether a block can be read without asking another device. */
  has(run: BlockPlace): boolean {
    const log = this.#parts.logs.keyOf(run.log)
    // What an earlier epoch of this device lost may be had from others: then it is in both.
    return this.#remote.get(log)?.has(run.index) ?? this.#own.has(log)
  }

  /**
   * Reads the block that a run points into.
   *
   * @returns the opened block, which must not be changed; a promise when the disk must be asked
   * @throws {SyncError} `MISSING`, `DAMAGED`, `IO`, `CLOSED`; of another device's block that is
   *   not here `UNREACHABLE`, `TIMED_OUT`, `INTERRUPTED`
   */
  read(run: BlockRun, { signal }: ReadBlockOptions = {}): Uint8Array | Promise<Uint8Array> {
    const key = keyOf(run)
    const found = this.#cache.get(key) ?? this.#pending(run)
    if (found !== undefined) return found
    if (signal?.aborted === true) return Promise.reject(interrupted())
    const loading = this.#loading.get(key) ?? this.#load(key, run)
    loading.readers += 1
    return signal === undefined ? loading.block : this.#interruptible(key, loading, signal)
  }

  /** Starts reading a block that will soon be asked for; its errors are left to that call. */
  prefetch(run: BlockRun): void {
    const key = keyOf(run)
    if (this.#isClosed || this.#loading.has(key) || this.#cache.get(key) || this.#pending(run))
      return
    const loading = this.#load(key, run)
    loading.readers += 1
    loading.block.catch(() => undefined)
  }

  /**
   * Reads a block from the disk, past the cache, and authenticates it.
   *
   * @throws {SyncError} `MISSING`, `DAMAGED`, `IO`, `CLOSED`
   */
  async readStored(place: BlockPlace & { readonly hash?: Uint8Array }): Promise<Uint8Array> {
    const pending = this.#pending(place)
    if (pending) return pending
    const key = this.#parts.logs.keyOf(place.log)
    const log = this.#own.get(key) ?? this.#remote.get(key)
    if (log === undefined) throw new SyncError('MISSING', 'the content log is not held here')
    return this.#open(key, place, await log.get(place.index))
  }

  /** Gives up what is being fetched and waits for what is being read. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const { controller } of this.#loading.values()) controller.abort()
    await Promise.allSettled([...this.#loading.values()].map(({ block }) => block))
  }

  #pending(place: BlockPlace): Uint8Array | undefined {
    const log = this.#parts.logs.keyOf(place.log)
    const sealed = this.#parts.pendingBlock(log, place.index)
    return sealed && openBlock(this.sealerOf(log), sealed, place.index)
  }

  #load(key: string, run: BlockRun): Loading {
    const controller = new AbortController()
    const block = this.#fetch(run, controller.signal)
      .then(opened => {
        this.#cache.set(key, opened)
        return opened
      })
      .finally(() => {
        if (this.#loading.get(key) === loading) this.#loading.delete(key)
      })
    const loading: Loading = { block, controller, readers: 0 }
    this.#loading.set(key, loading)
    return loading
  }

  async #fetch(run: BlockRun, signal: AbortSignal): Promise<Uint8Array> {
    const remote = this.#remote.get(this.#parts.logs.keyOf(run.log))
    if (remote === undefined) return this.readStored({ log: run.log, index: run.index })
    if (remote.has(run.index)) {
      const stored = await this.readStored(run).catch(missingAsUndefined)
      if (stored !== undefined) return stored
    }
    if (this.#isClosed) throw new SyncError('CLOSED', 'the replica is closed')
    const { deadlineMs } = this.#parts
    return this.#open(remote.key, run, await remote.fetch(run.index, { signal, deadlineMs }))
  }

  #open(
    log: LogKey,
    { index, hash }: BlockPlace & { readonly hash?: Uint8Array },
    sealed: Uint8Array
  ): Uint8Array {
    // Another branch of a log that forked may have other bytes at the same place.
    if (hash !== undefined && !sameBytes(hashBlock(sealed), hash)) {
      throw new SyncError('DAMAGED', 'the block is not the one that was written')
    }
    return openBlock(this.sealerOf(log), sealed, index)
  }

  #interruptible(key: string, loading: Loading, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        reject(interrupted())
        loading.readers -= 1
        if (loading.readers > 0) return
        if (this.#loading.get(key) === loading) this.#loading.delete(key)
        loading.controller.abort()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      loading.block
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', onAbort))
    })
  }
}

function keyOf(run: BlockPlace): string {
  return `${run.log}/${run.index}`
}

function interrupted(): SyncError {
  return new SyncError('INTERRUPTED', 'the caller gave up')
}

function missingAsUndefined(error: unknown): undefined {
  if (error instanceof SyncError && error.code === 'MISSING') return undefined
  throw error
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at])
}
