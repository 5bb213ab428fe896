/**
 * A content log of this device on a hypercore.
 *
 * @module
 */
import type { BlockStore } from '../sync/block-store.ts'
import { HypercoreLog } from './hypercore-log.ts'

/** A handle of a block store; made by `LogHome.openBlockStore`. */
export class HypercoreBlockStore extends HypercoreLog implements BlockStore {
  has(index: number): Promise<boolean> {
    return this.whileOpen(() => this.slot.has(index))
  }

  clear(range: { readonly from: number; readonly to: number }): Promise<void> {
    return this.whileOpen(() => this.slot.clear(range))
  }

  compact(): Promise<void> {
    return this.whileOpen(() => this.slot.compact())
  }
}
