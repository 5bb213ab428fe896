/**
 * How files and directories are kept: what custody knows of their blocks, put together.
 *
 * A directory is as well kept as the weakest of all that is below it. Looking at much of it takes
 * time, which is shared with others: {@link PARTS_PER_TICK} parts are looked at in a go. Of what
 * has more than {@link PARTS_MAX} parts the rest is taken to be like the weakest of the whole
 * drive: what is said is never better than it is.
 *
 * @module
 */
import type { BlockPlace } from '../sync/content-index.ts'
import type { CopiesStatus, CustodyView, Health } from '../sync/custody-view.ts'
import { effectiveLevels, type KnownLevels } from '../sync/effective-redundancy.ts'
import type { InodeRecord } from '../sync/inode-record.ts'
import type { Replica } from '../sync/replica.ts'
import { SyncError } from '../sync/sync-error.ts'
import { hasRedundancy } from './redundancy-attributes.ts'
import type { MaybePromise, WaitSignal } from './vfs.ts'

/** How many blocks of a file are one part; a file has at least one, a directory one of its own. */
export const BLOCKS_PER_PART = 256
/** How many parts are looked at before others have their turn. */
export const PARTS_PER_TICK = 16
/** How many parts are looked at in all. */
export const PARTS_MAX = 100_000

const HEALTHS: readonly Health[] = ['ok', 'repairing', 'at-risk', 'lost']

/** What a report is made from. All of it is borrowed. */
export interface CopiesReportParts {
  /** The drive. */
  readonly replica: Pick<Replica, 'index' | 'blocksOf'>
  /** What is known of copies. */
  readonly custody: CustodyView
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>
}

/** Reports how inodes are kept. */
export class CopiesReport {
  readonly #parts: CopiesReportParts

  /** @param parts - borrowed */
  constructor(parts: CopiesReportParts) {
    this.#parts = parts
  }

  /**
   * How a file is kept, or all of a directory.
   *
   * @param signal - ends the work, when there is so much that it takes several turns
   * @param partsMax - how many parts are looked at; {@link PARTS_MAX} unless told otherwise
   * @throws {SyncError} `MISSING`, `INTERRUPTED`
   */
  statusOf(ino: number, signal?: WaitSignal, partsMax = PARTS_MAX): MaybePromise<CopiesStatus> {
    const known: KnownLevels = new Map()
    const walk = { known, parts: this.#inode(ino, known), partsLeft: partsMax, status: undefined }
    return this.#turn(walk) ? statusOf(walk) : this.#goOn(walk, signal?.())
  }

  async #goOn(walk: Walk, signal: AbortSignal | undefined): Promise<CopiesStatus> {
    do {
      await this.#parts.pause()
      if (signal?.aborted === true) throw new SyncError('INTERRUPTED', 'whoever asked gave up')
      // The tree may have changed.
      walk.known.clear()
    } while (!this.#turn(walk))
    return statusOf(walk)
  }

  /** @returns whether that was all */
  #turn(walk: Walk): boolean {
    for (let count = 0; count < PARTS_PER_TICK; count++) {
      const next = walk.parts.next()
      if (next.done === true) return true
      const isLast = walk.partsLeft-- === 0
      const status = isLast ? this.#parts.custody.copiesOfDrive() : next.value
      walk.status = walk.status === undefined ? status : weaker(walk.status, status)
      if (isLast) return true
    }
    return false
  }

  /** A file or directory and all below it; nothing of what is gone meanwhile. */
  *#inode(first: number, known: KnownLevels): Iterator<CopiesStatus, undefined> {
    const { index } = this.#parts.replica
    const left = [first]
    const linked = new Set<number>()
    for (let ino = left.pop(); ino !== undefined; ino = left.pop()) {
      const record = index.findInode(ino)
      if (record === undefined || linked.has(ino)) continue
      // A file with several names is counted once.
      if (record.links.length > 1) linked.add(ino)
      if (record.kind === 'file') yield* this.#file(record, known)
      if (record.kind !== 'directory') continue
      yield this.#copiesOf([], record, known)
      for (const child of index.list(ino).values()) {
        if (hasRedundancy(child.kind)) left.push(child.ino)
      }
    }
    return undefined
  }

  *#file(record: InodeRecord, known: KnownLevels): Iterable<CopiesStatus> {
    let blocks: BlockPlace[] = []
    for (const place of this.#parts.replica.blocksOf(record.ino)) {
      if (blocks.length === BLOCKS_PER_PART) {
        yield this.#copiesOf(blocks, record, known)
        blocks = []
      }
      blocks.push(place)
    }
    yield this.#copiesOf(blocks, record, known)
  }

  #copiesOf(blocks: readonly BlockPlace[], record: InodeRecord, known: KnownLevels): CopiesStatus {
    const { replica, custody } = this.#parts
    return custody.copiesOf(blocks, effectiveLevels(replica.index, record, known).redundancy)
  }
}

/** Work that is under way. */
interface Walk {
  readonly known: KnownLevels
  readonly parts: Iterator<CopiesStatus, undefined>
  partsLeft: number
  status: CopiesStatus | undefined
}

function statusOf({ status }: Walk): CopiesStatus {
  if (status === undefined) throw new SyncError('MISSING', 'no such inode')
  return status
}

/** How both together are kept. */
function weaker(left: CopiesStatus, right: CopiesStatus): CopiesStatus {
  const isWorse = HEALTHS.indexOf(left.health) < HEALTHS.indexOf(right.health)
  return {
    copies: Math.min(left.copies, right.copies),
    health: isWorse ? right.health : left.health,
    lostBytes: left.lostBytes + right.lostBytes,
    holders: left.holders.filter(name => right.holders.includes(name))
  }
}
