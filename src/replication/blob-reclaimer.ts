/**
 * Gives the disk space of cleared blocks back.
 *
 * RocksDB keeps blocks in blob files of some 16 MiB and deletes a file when a compaction finds
 * nothing alive in it. Its own garbage collection of files that are dead in part is switched
 * off: it copies live blocks whenever a compaction meets them, needed or not (seen: 3.7 bytes
 * written for each of 4 GB, and rising, instead of 2), and one block that fails its checksum
 * makes it stop the whole database. So we move live blocks ourselves, one by one, and only
 * where much is dead: a block that cannot be read stays where it is.
 *
 * The cost is bounded: nothing is moved until {@link GARBAGE_PART_MAX} of all bytes is dead,
 * so some two bytes are moved for each that is given back.
 *
 * @module
 */

/** Above this part of dead bytes blocks are moved. */
export const GARBAGE_PART_MAX = 0.3

/** Dead bytes that are not worth moving blocks for. */
export const GARBAGE_BYTES_MIN = 16 * 1024 * 1024

/** Blocks that were appended together lie together; so many are looked at as one region. */
const REGION_BLOCKS = 128

/** A region with a larger part of live blocks is left as it is. */
const LIVE_PART_MAX = 0.7

/** So much is moved before the files that died are deleted. */
const MOVED_BYTES_MAX = 256 * 1024 * 1024

/** What moving left is not tried again before it has grown by this factor. */
const LEFT_GROWTH = 1.25

/** So much is moved in one write. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024

/** RocksDB's policy for a compaction that leaves live blocks alone. */
const GARBAGE_COLLECTION_DISABLED = 2

/** What the reclaimer needs to know of the database. */
export interface BlobDatabase {
  /** Compacts all keys (which are small beside the blocks they point to). */
  compactRange(
    start: null,
    end: null,
    options: { readonly blobGarbageCollectionPolicy: number }
  ): Promise<void>
  /** A number that RocksDB keeps about itself. */
  getProperty(name: string): Promise<string>
}

/** Blocks `from` up to but not including `to`. */
export interface Range {
  /** The first. */
  readonly from: number
  /** The one after the last. */
  readonly to: number
}

/** What the reclaimer needs to know of a log. */
export interface MovableLog {
  /** How many blocks it has. */
  readonly length: number
  /** How many blocks of a range are stored. */
  storedCount(range: Range): number
  /**
   * Writes stored blocks anew, in turn with the appender; those that cannot be read are left.
   *
   * @param bytesMax - about how many bytes at once
   * @returns how many bytes were written, and the index of the first block not looked at
   */
  move(range: Range, bytesMax: number): Promise<{ readonly bytes: number; readonly next: number }>
}

/** Reclaims the space of one database, one call at a time. */
export class BlobReclaimer {
  readonly #database: BlobDatabase
  /** The dead bytes that moving every sparse region of a log left. */
  readonly #left = new WeakMap<MovableLog, number>()
  #tail: Promise<unknown> = Promise.resolve()

  /** @param database - borrowed */
  constructor(database: BlobDatabase) {
    this.#database = database
  }

  /**
   * Deletes what is dead. Where too much of the files is dead but not all, the live blocks of
   * this log's sparse regions are moved out of them first.
   */
  reclaim(log: MovableLog): Promise<void> {
    const turn = this.#tail.then(() => this.#reclaim(log))
    this.#tail = turn.catch(() => undefined)
    return turn
  }

  async #reclaim(log: MovableLog): Promise<void> {
    await this.#deleteDead()
    let moved = 0
    let isWorthIt = await this.#isWorthMoving(log)
    for (let from = 0; isWorthIt && from < log.length; from += REGION_BLOCKS) {
      const region = { from, to: Math.min(from + REGION_BLOCKS, log.length) }
      if (isSparse(log, region)) moved += await moveRegion(log, region)
      if (moved < MOVED_BYTES_MAX) continue
      await this.#deleteDead()
      moved = 0
      isWorthIt = await this.#isWorthMoving(log)
    }
    if (moved === 0) return
    await this.#deleteDead()
    this.#left.set(log, await this.#property('live-blob-file-garbage-size'))
  }

  async #deleteDead(): Promise<void> {
    await this.#database.compactRange(null, null, {
      blobGarbageCollectionPolicy: GARBAGE_COLLECTION_DISABLED
    })
  }

  async #isWorthMoving(log: MovableLog): Promise<boolean> {
    const garbage = await this.#property('live-blob-file-garbage-size')
    const total = await this.#property('live-blob-file-size')
    const left = (this.#left.get(log) ?? 0) * LEFT_GROWTH
    return garbage > Math.max(GARBAGE_BYTES_MIN, total * GARBAGE_PART_MAX, left)
  }

  async #property(name: string): Promise<number> {
    return Number(await this.#database.getProperty(`rocksdb.${name}`))
  }
}

function isSparse(log: MovableLog, region: Range): boolean {
  const live = log.storedCount(region)
  return live > 0 && live <= (region.to - region.from) * LIVE_PART_MAX
}

async function moveRegion(log: MovableLog, { from, to }: Range): Promise<number> {
  let sum = 0
  for (let start = from; start < to;) {
    const { bytes, next } = await log.move({ from: start, to }, BATCH_BYTES_MAX)
    sum += bytes
    start = next
  }
  return sum
}
