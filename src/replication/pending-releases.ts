/**
 * Releases that were handed over to keepers and have not been carried out: what was released is
 * not released again, and can be cancelled when it is needed again.
 *
 * @module
 */
import { openRelease, type ReleaseKind } from '../crypto/release.ts'
import { emptyBitmap, union, type BlockSet } from '../sync/block-bitmap.ts'
import { logKey } from '../sync/log.ts'
import { memberId } from '../sync/members.ts'
import type { LogWindowPlace } from './custody-needs.ts'
import type { CustodyStore, ReleaseRecord } from './custody-store.ts'
import type { KeeperId } from './holder-link.ts'

/** How many releases wait at one keeper at most; it keeps no more itself. */
export const PENDING_RELEASES_MAX = 128

/** A release that was handed over. */
export interface PendingRelease extends ReleaseRecord {
  /** Why. */
  readonly kind: ReleaseKind
  /** How many other copies must stay. */
  readonly floor: number
  /** Which blocks. */
  readonly blocks: readonly BlockSet[]
}

/** See the module. */
export class PendingReleases {
  readonly #store: CustodyStore
  readonly #byKeeper = new Map<KeeperId, Set<PendingRelease>>()

  /** @param records - as the store has them; what is no release is forgotten */
  constructor(store: CustodyStore, records: readonly ReleaseRecord[]) {
    this.#store = store
    for (const record of records) {
      const release = opened(record)
      if (release === undefined) store.removeRelease(record)
      else this.#setOf(record.keeper).add(release)
    }
  }

  /** Those of a keeper, oldest first as far as known. */
  of(keeper: KeeperId): readonly PendingRelease[] {
    return [...(this.#byKeeper.get(keeper) ?? [])]
  }

  /** Whether one is known. */
  has(keeper: KeeperId, hash: string): boolean {
    return this.of(keeper).some(release => release.hash === hash)
  }

  /** All. */
  all(): readonly PendingRelease[] {
    return [...this.#byKeeper.keys()].flatMap(keeper => this.of(keeper))
  }

  /** Which blocks of a window are released at a keeper. */
  blocksAt(keeper: KeeperId, { log, window }: LogWindowPlace): Uint8Array {
    return this.of(keeper)
      .flatMap(({ blocks }) => blocks)
      .filter(set => set.log === log && set.window === window)
      .reduce((all, { bitmap }) => union(all, bitmap), emptyBitmap())
  }

  /** Remembers one that was handed over; once, although the keeper may tell of it before. */
  add(record: ReleaseRecord): void {
    if (this.has(record.keeper, record.hash)) return
    const release = opened(record)
    if (release === undefined) throw new RangeError('no release')
    this.#store.putRelease(record)
    this.#setOf(record.keeper).add(release)
  }

  /** Forgets one: it was carried out or cancelled. */
  remove(release: PendingRelease): void {
    this.#store.removeRelease(release)
    this.#byKeeper.get(release.keeper)?.delete(release)
  }

  /** Forgets those of a keeper that is none any more. */
  forget(keeper: KeeperId): void {
    for (const release of this.of(keeper)) this.remove(release)
    this.#byKeeper.delete(keeper)
  }

  #setOf(keeper: KeeperId): Set<PendingRelease> {
    const releases = this.#byKeeper.get(keeper) ?? new Set<PendingRelease>()
    this.#byKeeper.set(keeper, releases)
    return releases
  }
}

function opened(record: ReleaseRecord): PendingRelease | undefined {
  try {
    const { kind, floor, windows } = openRelease(record.statement)
    const blocks = windows.map(set => ({ ...set, log: logKey(memberId(set.log)) }))
    return { ...record, kind, floor, blocks }
  } catch {
    return undefined
  }
}
