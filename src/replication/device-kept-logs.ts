/**
 * What a device of the person has as part of its drive, seen as a keeper's: its own logs and its
 * copies of the others'. For a device that keeps all content.
 *
 * Nothing is forgotten here: a device drops blocks by its own collection alone.
 *
 * @module
 */
import { difference, indexesOf, isEmptyBitmap, type BlockSet } from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { BringOptions, KeptLogs } from './kept-logs.ts'
import type { KnownPairs } from './known-pairs.ts'
import { awaitEntries, bringBlocks } from './log-arrival.ts'
import type { LogHome } from './log-home.ts'
import { OpenedLogs } from './opened-logs.ts'

/** What a device's logs are kept with. */
export interface DeviceKeptLogsParts {
  /** The device's logs; borrowed. */
  readonly logHome: LogHome
  /** Which logs the drive has; borrowed. */
  readonly pairs: KnownPairs
  /** Whether all content is kept here; else what is missing is not brought for others. */
  readonly keepsAll: () => boolean
  /** Time. */
  readonly clock: Clock
}

/** See the module. */
export class DeviceKeptLogs implements KeptLogs {
  readonly isOwnCopy = true
  readonly #parts: DeviceKeptLogsParts
  readonly #logs: OpenedLogs

  /** @param parts - borrowed */
  constructor(parts: DeviceKeptLogsParts) {
    this.#parts = parts
    this.#logs = new OpenedLogs(parts.logHome, log => this.isKnown(log))
  }

  async learn(announcements: readonly Uint8Array[]): Promise<void> {
    for (const bytes of announcements) await this.#parts.pairs.add(bytes)
  }

  operationLogs(): readonly LogKey[] {
    return this.#parts.pairs.announcements.map(({ operationLog }) => operationLog.key)
  }

  isKnown(log: LogKey): boolean {
    return this.#parts.pairs.has(log)
  }

  length(log: LogKey): number {
    return this.#logs.length(log)
  }

  contiguousLength(log: LogKey): number {
    return this.#logs.contiguousLength(log)
  }

  treeHash(log: LogKey, length: number): Promise<Uint8Array> {
    return this.#logs.treeHash(log, length)
  }

  stored(log: LogKey, window: number): Uint8Array {
    return this.#logs.stored(log, window)
  }

  read(log: LogKey, index: number): Promise<Uint8Array> {
    return this.#logs.read(log, index)
  }

  async bring(blocks: BlockSet, options: BringOptions): Promise<ReadonlyMap<number, number>> {
    const { log, window, bitmap } = blocks
    const missing = difference(bitmap, this.stored(log, window))
    if (isEmptyBitmap(missing)) return new Map()
    // What is gone from its own logs was superseded: nobody may ask for it any more.
    if (this.#parts.pairs.isOwn(log) || !this.#parts.keepsAll())
      throw new SyncError('UNREACHABLE', 'this device does not keep the blocks')
    const { clock } = this.#parts
    const indexes = [...indexesOf({ window, bitmap: missing })]
    return bringBlocks(this.#logs.core(log), indexes, { ...options, clock })
  }

  async arrived(log: LogKey, length: number, options: BringOptions): Promise<void> {
    await awaitEntries(this.#logs.core(log), length, { ...options, clock: this.#parts.clock })
  }

  forget(): Promise<void> {
    return Promise.reject(new RangeError('a device drops blocks by its own collection alone'))
  }

  async sync(): Promise<void> {
    await this.#parts.logHome.sync()
  }
}
