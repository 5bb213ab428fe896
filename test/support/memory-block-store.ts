/**
 * A {@link BlockStore} in memory: a {@link MemoryLog} whose entries can be cleared.
 *
 * @module
 */
import { checkRange } from '../../src/replication/log-arguments.ts'
import type { BlockStore } from '../../src/sync/block-store.ts'
import { MemoryLog } from './memory-log.ts'

/** A block store in a `MemoryHome`. */
export class MemoryBlockStore extends MemoryLog implements BlockStore {
  /** How many times the disk space was given back. */
  compactCount = 0

  async has(index: number): Promise<boolean> {
    this.throwIfClosed()
    await Promise.resolve()
    return this.stored.entries[index] !== undefined
  }

  async clear(range: { readonly from: number; readonly to: number }): Promise<void> {
    return this.inTurn(() => {
      checkRange(range, this.length)
      this.home.clear(this.key, range)
    })
  }

  async compact(): Promise<void> {
    this.throwIfClosed()
    await Promise.resolve()
    this.compactCount++
  }
}
