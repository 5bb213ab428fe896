/**
 * What keepers of both kinds say about logs that are open in a {@link LogHome}.
 *
 * @module
 */
import { emptyBitmap, setBit, WINDOW_BLOCKS } from '../sync/block-bitmap.ts'
import type { LogKey } from '../sync/log.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { LogHome } from './log-home.ts'
import type { ReplicatedCore } from './replicated-core.ts'

/** Some of the logs of a home. */
export class OpenedLogs {
  readonly #logHome: LogHome
  readonly #isKnown: (log: LogKey) => boolean

  /** @param isKnown - which of the logs of the home; they are open */
  constructor(logHome: LogHome, isKnown: (log: LogKey) => boolean) {
    this.#logHome = logHome
    this.#isKnown = isKnown
  }

  /** How many entries a log has as far as is known here; 0 when it is not known. */
  length(log: LogKey): number {
    return this.#core(log)?.length ?? 0
  }

  /** How many entries from 0 on are stored without a gap. */
  contiguousLength(log: LogKey): number {
    return this.#core(log)?.contiguousLength ?? 0
  }

  /** Which blocks of a window are stored. */
  stored(log: LogKey, window: number): Uint8Array {
    const bitmap = emptyBitmap()
    const core = this.#core(log)
    if (core === undefined) return bitmap
    const from = window * WINDOW_BLOCKS
    const to = Math.min(from + WINDOW_BLOCKS, core.length)
    for (let index = from; index < to; index++) if (core.has(index)) setBit(bitmap, index)
    return bitmap
  }

  /** The hash of a prefix. @throws {SyncError} `MISSING` when its hashes are not here */
  async treeHash(log: LogKey, length: number): Promise<Uint8Array> {
    const opened = this.#isKnown(log) ? this.#logHome.opened(log) : undefined
    if (opened === undefined || length > this.length(log))
      throw new SyncError('MISSING', 'the log is not known here at that length')
    return opened.treeHash(length)
  }

  /** Reads a stored block. @throws {SyncError} `MISSING`, `DAMAGED`, `IO`, `CLOSED` */
  async read(log: LogKey, index: number): Promise<Uint8Array> {
    const opened = this.#isKnown(log) ? this.#logHome.opened(log) : undefined
    if (opened === undefined) throw new SyncError('MISSING', 'the log is not known here')
    return opened.get(index)
  }

  /** The replicating side of a log. @throws {SyncError} `UNREACHABLE` when it is not known */
  core(log: LogKey): ReplicatedCore {
    const core = this.#core(log)
    if (core === undefined) throw new SyncError('UNREACHABLE', 'the log is not known here')
    return core
  }

  #core(log: LogKey): ReplicatedCore | undefined {
    return this.#isKnown(log) ? this.#logHome.replicated(log) : undefined
  }
}
