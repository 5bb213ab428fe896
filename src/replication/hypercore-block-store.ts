/**
 * A content log of this device on a hypercore.
 *
 * @module
 */
import type { BlockStore } from '../sync/block-store.ts'
import type { BlobReclaimer, MovableLog } from './blob-reclaimer.ts'
import type { CoreSlot } from './core-slot.ts'
import { HypercoreLog, type SyncHome } from './hypercore-log.ts'
import type { SpaceGuard } from './space-guard.ts'
import { toSyncError } from './storage-error.ts'

/** What the block stores of a home share. */
export interface BlockStoreHome {
  /** Refuses blocks when the disk is nearly full. */
  readonly guard: SpaceGuard
  /** Gives disk space back. */
  readonly reclaimer: BlobReclaimer
  /** The logs of other devices of which blocks were cleared since the last call. */
  readonly takeCleared: () => Promise<readonly MovableLog[]>
}

/** A handle of a block store; made by `LogHome.openBlockStore`. */
export class HypercoreBlockStore extends HypercoreLog implements BlockStore {
  readonly #home: BlockStoreHome

  /** @internal */
  constructor(slot: CoreSlot, syncHome: SyncHome, home: BlockStoreHome) {
    super(slot, syncHome)
    this.#home = home
  }

  override append(entries: readonly Uint8Array[], expectedLength: number): Promise<number> {
    const admit = (bytes: number): Promise<void> => this.#home.guard.admit(bytes)
    return this.whileOpen(() => this.slot.append(entries, expectedLength, admit))
  }

  has(index: number): Promise<boolean> {
    return this.whileOpen(() => this.slot.has(index))
  }

  clear(range: { readonly from: number; readonly to: number }): Promise<void> {
    return this.whileOpen(() => this.slot.clear(range))
  }

  compact(): Promise<void> {
    return this.whileOpen(async () => {
      try {
        const { reclaimer, takeCleared } = this.#home
        for (const log of [this.slot, ...(await takeCleared())]) await reclaimer.reclaim(log)
      } catch (error) {
        throw toSyncError(error, 'a compaction')
      }
    })
  }
}
