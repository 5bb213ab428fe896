/**
 * How much of a file's content is on this device, for `st_blocks`.
 *
 * Counting looks at every run of a file, so a count holds for {@link RECOUNT_SEC}, and for as
 * long as the version does when all of it is here. Of files with more than
 * {@link RUNS_COUNTED_MAX} runs the rest is taken to be like the beginning.
 *
 * @module
 */
import type { Clock } from '../sync/clock.ts'
import type { InodeRecord } from '../sync/inode-record.ts'
import { sameId } from '../sync/operation-id.ts'
import type { VersionId } from '../sync/operation.ts'
import type { Replica } from '../sync/replica.ts'

/** For how long a count holds, in seconds. */
export const RECOUNT_SEC = 1
/** Runs of one file that are looked at. */
export const RUNS_COUNTED_MAX = 16_384
/** Files that a count is kept of. */
export const COUNTS_MAX = 65_536

interface Count {
  readonly version: VersionId
  /** Bytes that are not here. */
  readonly missing: number
  readonly sec: number
}

/** Knows what of files is here. */
export class ContentPresence {
  readonly #replica: Replica
  readonly #clock: Clock
  readonly #counts = new Map<number, Count>()
  #isShared: boolean

  /** @param parts - borrowed */
  constructor(parts: { readonly replica: Replica; readonly clock: Clock }) {
    this.#replica = parts.replica
    this.#clock = parts.clock
    this.#isShared = parts.replica.heads.size > 1
  }

  /** Other devices' operations were merged: files may have content that is not here. */
  merged(): void {
    this.#isShared = true
  }

  /** @returns how many bytes of a file's content are not here */
  missingBytes(record: InodeRecord): number {
    if (!this.#isShared || record.kind !== 'file' || record.allocated === 0) return 0
    const { sec } = this.#clock.now()
    const known = this.#counts.get(record.ino)
    if (known && Math.abs(sec - known.sec) < RECOUNT_SEC) return known.missing
    if (known?.missing === 0 && sameId(known.version, record.version)) return 0
    const missing = this.#count(record)
    if (this.#counts.size >= COUNTS_MAX) this.#counts.clear()
    this.#counts.set(record.ino, { version: record.version, missing, sec })
    return missing
  }

  /** Another device changed the file, or it is not in use any more. */
  forget(ino: number): void {
    this.#counts.delete(ino)
  }

  #count({ ino, allocated }: InodeRecord): number {
    let [runs, bytes, missing] = [0, 0, 0]
    for (const run of this.#replica.index.content.everyRun(ino)) {
      if (++runs > RUNS_COUNTED_MAX) return Math.round((missing / bytes) * allocated)
      bytes += run.length
      if (run.kind === 'block' && !this.#replica.hasBlock(run)) missing += run.length
    }
    return missing
  }
}
