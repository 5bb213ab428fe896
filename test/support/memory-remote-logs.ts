/**
 * Logs of other devices in memory: what has arrived on this device's disk, and a network that
 * copies from the disks of others when the test says so.
 *
 * @module
 */
import type { Clock } from '../../src/sync/clock.ts'
import type { LogKey, ReadableLog } from '../../src/sync/log.ts'
import type { FetchOptions, RemoteBlocks } from '../../src/sync/remote-logs.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import type { MemoryHome } from './memory-home.ts'
import { MemoryLog } from './memory-log.ts'

/** Which log, and on whose disk its copy is. */
export interface MemoryRemoteLogOptions {
  /** This device's disk. */
  readonly home: MemoryHome
  /** The log's name. */
  readonly key: LogKey
}

/** An operation log of another device, as far as it was copied. */
export class MemoryRemoteLog implements ReadableLog {
  readonly key: LogKey
  readonly #home: MemoryHome
  readonly #log: MemoryLog

  /** Opens the copy, which is made when the disk has none. */
  constructor({ home, key }: MemoryRemoteLogOptions) {
    this.key = key
    this.#home = home
    this.#log = new MemoryLog({ home, key })
  }

  get length(): number {
    return this.#log.length
  }

  get(index: number): Promise<Uint8Array> {
    return this.#log.get(index)
  }

  treeHash(length: number): Promise<Uint8Array> {
    return this.#log.treeHash(length)
  }

  /** Adds entries to what has arrived. */
  receive(entries: readonly Uint8Array[]): void {
    if (entries.length > 0) this.#home.append(this.key, entries)
  }

  /** Releases the log. Idempotent. */
  async close(): Promise<void> {
    await this.#log.close()
  }
}

/** Who can be asked for blocks, and what comes of it. */
export interface MemoryPeers {
  /** The disks of the devices that are connected. */
  readonly homes: () => readonly MemoryHome[]
  /** Whether those who have a block keep it to themselves, until the deadline. */
  readonly isStuck: () => boolean
  /** Time, for deadlines. */
  readonly clock: Clock
}

/** How often who waits for a block looks whether somebody gives it, in milliseconds. */
const LOOK_MS = 50

/** A content log of another device, of which some blocks were copied. */
export class MemoryRemoteBlocks implements RemoteBlocks {
  readonly key: LogKey
  /** How many blocks were asked of others. */
  fetchCount = 0
  readonly #home: MemoryHome
  readonly #log: MemoryLog
  readonly #peers: MemoryPeers

  /** Opens the copy, which is made when the disk has none. */
  constructor(options: MemoryRemoteLogOptions & { readonly peers: MemoryPeers }) {
    this.key = options.key
    this.#home = options.home
    this.#log = new MemoryLog(options)
    this.#peers = options.peers
  }

  has(index: number): boolean {
    return this.#home.stores(this.key, index)
  }

  get(index: number): Promise<Uint8Array> {
    return this.#log.get(index)
  }

  async fetch(index: number, { signal, deadlineMs }: FetchOptions): Promise<Uint8Array> {
    this.fetchCount += 1
    throwIfAborted(signal)
    if (this.has(index)) return this.get(index)
    if (this.#willing(index)) await Promise.resolve()
    else await this.#wait(index, deadlineMs, signal)
    throwIfAborted(signal)
    const source = this.#willing(index)
    if (source) {
      this.#home.put(this.key, index, source.block(this.key, index))
      return this.get(index)
    }
    const code = this.#source(index) ? 'TIMED_OUT' : 'UNREACHABLE'
    throw new SyncError(code, 'the block did not arrive')
  }

  async clear({ from, to }: { readonly from: number; readonly to: number }): Promise<void> {
    await Promise.resolve()
    this.#home.clear(this.key, { from, to })
  }

  /** Releases the log. Idempotent. */
  async close(): Promise<void> {
    await this.#log.close()
  }

  #source(index: number): MemoryHome | undefined {
    return this.#peers.homes().find(home => home.stores(this.key, index))
  }

  /** Who has a block and gives it. */
  #willing(index: number): MemoryHome | undefined {
    return this.#peers.isStuck() ? undefined : this.#source(index)
  }

  /** Until somebody gives a block, or the deadline. */
  #wait(index: number, deadlineMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const { clock } = this.#peers
      let restMs = deadlineMs
      const look = (): void => {
        if (this.#willing(index) || restMs <= 0) {
          resolve()
          return
        }
        const stepMs = Math.min(restMs, LOOK_MS)
        restMs -= stepMs
        timer = clock.after(stepMs, look)
      }
      let timer = clock.after(0, look)
      signal?.addEventListener('abort', () => {
        timer.cancel()
        reject(new SyncError('INTERRUPTED', 'the caller gave up'))
      })
    })
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new SyncError('INTERRUPTED', 'the caller gave up')
}
