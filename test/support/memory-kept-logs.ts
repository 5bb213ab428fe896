/**
 * The logs of one person at a keeper, in memory: what was brought from a source that the test
 * controls, damage, and faults at the n-th operation.
 *
 * @module
 */
import { blake2bOfParts } from '../../src/crypto/sodium.ts'
import type { BringOptions, KeptLogs } from '../../src/replication/kept-logs.ts'
import {
  emptyBitmap,
  indexesOf,
  setBit,
  windowOf,
  type BlockSet
} from '../../src/sync/block-bitmap.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { SyncError } from '../../src/sync/sync-error.ts'

/** What devices have and give to whoever asks. */
export class MemorySource {
  /** The blocks of each log. */
  readonly logs = new Map<LogKey, Uint8Array[]>()
  readonly operationLogs = new Set<LogKey>()
  /** Whether a block is given; everything unless a test says otherwise. */
  gives: (log: LogKey, index: number) => boolean = () => true
  /** Waited for before blocks are given. */
  whenReady: () => Promise<void> = () => Promise.resolve()
  /** How often each block was given, by log and index. */
  readonly given = new Map<string, number>()

  /** Adds a log. */
  add(log: LogKey, blocks: readonly Uint8Array[], kind: 'content' | 'operation' = 'content'): void {
    this.logs.set(log, [...blocks])
    if (kind === 'operation') this.operationLogs.add(log)
  }

  /** A block, if it is given. */
  take(log: LogKey, index: number): Uint8Array | undefined {
    if (!this.gives(log, index)) return undefined
    const name = `${log}/${index}`
    this.given.set(name, (this.given.get(name) ?? 0) + 1)
    return this.logs.get(log)?.[index]
  }
}

/** Thrown by {@link MemoryKeptLogs} where a test wants it. */
export class InjectedFault extends SyncError {
  constructor() {
    super('IO', 'injected')
  }
}

/** A {@link KeptLogs} in memory. */
export class MemoryKeptLogs implements KeptLogs {
  /** Whether it is a device's own copy. */
  isOwnCopy = false
  /** After so many operations that touch the disk, one fails. */
  failAfter = Number.POSITIVE_INFINITY
  /** Announcements that were handed over. */
  readonly learned: Uint8Array[] = []
  /** How often it was synced. */
  syncs = 0
  readonly #source: MemorySource
  readonly #blocks: Map<string, Uint8Array>
  readonly #damaged = new Set<string>()
  #synced: ReadonlyMap<string, Uint8Array>

  /** @param blocks - what is on the disk; survives the object */
  constructor(source: MemorySource, blocks = new Map<string, Uint8Array>()) {
    this.#source = source
    this.#blocks = blocks
    this.#synced = new Map(blocks)
  }

  /** What is on the disk, by log and index. */
  get disk(): Map<string, Uint8Array> {
    return this.#blocks
  }

  /** What is on the disk after a loss of power now: what was synced. */
  afterPowerLoss(): Map<string, Uint8Array> {
    return new Map(this.#synced)
  }

  /** Makes a stored block unreadable. */
  damage(log: LogKey, index: number): void {
    this.#damaged.add(`${log}/${index}`)
  }

  async learn(announcements: readonly Uint8Array[]): Promise<void> {
    await this.#operate()
    this.learned.push(...announcements)
  }

  operationLogs(): readonly LogKey[] {
    return [...this.#source.operationLogs]
  }

  isKnown(log: LogKey): boolean {
    return this.#source.logs.has(log)
  }

  length(log: LogKey): number {
    return this.#source.logs.get(log)?.length ?? 0
  }

  contiguousLength(log: LogKey): number {
    let length = 0
    while (this.#blocks.has(`${log}/${length}`)) length++
    return length
  }

  async treeHash(log: LogKey, length: number): Promise<Uint8Array> {
    await this.#operate()
    return blake2bOfParts((this.#source.logs.get(log) ?? []).slice(0, length))
  }

  stored(log: LogKey, window: number): Uint8Array {
    const bitmap = emptyBitmap()
    for (let index = 0; index < this.length(log); index++)
      if (windowOf(index) === window && this.#blocks.has(`${log}/${index}`)) setBit(bitmap, index)
    return bitmap
  }

  async read(log: LogKey, index: number): Promise<Uint8Array> {
    await this.#operate()
    const name = `${log}/${index}`
    const block = this.#blocks.get(name)
    if (block === undefined) throw new SyncError('MISSING', 'not stored')
    if (this.#damaged.has(name)) throw new SyncError('DAMAGED', 'damaged')
    return block
  }

  async bring(blocks: BlockSet, { signal }: BringOptions): Promise<ReadonlyMap<number, number>> {
    await readyOrAborted(this.#source.whenReady(), signal)
    let isComplete = true
    const came = new Map<number, number>()
    for (const index of indexesOf(blocks)) {
      const name = `${blocks.log}/${index}`
      if (this.#blocks.has(name)) continue
      await this.#operate()
      if (signal?.aborted === true) throw new SyncError('INTERRUPTED', 'given up')
      const block = this.#source.take(blocks.log, index)
      if (block === undefined) {
        isComplete = false
        continue
      }
      this.#blocks.set(name, block)
      came.set(index, block.length)
    }
    if (!isComplete) throw new SyncError('UNREACHABLE', 'some did not come')
    return came
  }

  async arrived(log: LogKey, length: number, options: BringOptions): Promise<void> {
    for (let index = 0; index < length; index++) {
      const bitmap = emptyBitmap()
      setBit(bitmap, index)
      await this.bring({ log, window: windowOf(index), bitmap }, options)
    }
  }

  async forget(blocks: BlockSet): Promise<void> {
    if (this.isOwnCopy) throw new RangeError('an own copy')
    await this.#operate()
    for (const index of indexesOf(blocks)) {
      this.#blocks.delete(`${blocks.log}/${index}`)
      this.#damaged.delete(`${blocks.log}/${index}`)
    }
  }

  async sync(): Promise<void> {
    await this.#operate()
    this.syncs++
    this.#synced = new Map(this.#blocks)
  }

  async #operate(): Promise<void> {
    await Promise.resolve()
    if (this.failAfter-- === 0) throw new InjectedFault()
  }
}

function readyOrAborted(ready: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new SyncError('INTERRUPTED', 'given up'))
    if (signal?.aborted === true) stop()
    signal?.addEventListener('abort', stop)
    ready.then(resolve, reject).finally(() => signal?.removeEventListener('abort', stop))
  })
}
