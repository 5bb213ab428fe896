/**
 * The blocks of a drive on this device, as its custodian sees them.
 *
 * @module
 */
import { hashBlock } from '../src/crypto/block-hash.ts'
import { equalBytes } from '../src/crypto/sodium.ts'
import type { AnsweredBlock, OwnBlocks } from '../src/replication/custodian-parts.ts'
import type { DeviceKeptLogs } from '../src/replication/device-kept-logs.ts'
import { isSubset, windowOf } from '../src/sync/block-bitmap.ts'
import type { LogBlock, NeededBlocks } from '../src/sync/content-needs.ts'
import type { LogKey } from '../src/sync/log.ts'
import type { RemoteBlocks } from '../src/sync/remote-logs.ts'
import type { Replica } from '../src/sync/replica.ts'
import { SyncError } from '../src/sync/sync-error.ts'

/** How long a block that is to be handed on is waited for, in milliseconds. */
export const OBTAIN_MS_MAX = 30_000

/** How many files are looked at before others have their turn. */
const FILES_PER_STEP = 256

/** What they are seen through; all of it is borrowed. */
export interface DriveBlocksParts {
  /** The logs on this device. */
  readonly logs: DeviceKeptLogs
  /** The drive. */
  readonly replica: Replica
  /** The content log of another device, or of an earlier epoch of this one. */
  readonly blocksOf: (log: LogKey) => RemoteBlocks | undefined
  /** Whether all content is kept here. */
  readonly keepsAll: () => boolean
}

/** See the module. */
export class DriveBlocks implements OwnBlocks {
  readonly #parts: DriveBlocksParts
  /** Which files use blocks of a window that are not here. */
  #users: ReadonlyMap<string, ReadonlySet<number>> = new Map()

  /** @param parts - see {@link DriveBlocksParts} */
  constructor(parts: DriveBlocksParts) {
    this.#parts = parts
  }

  get counts(): boolean {
    return this.#parts.keepsAll()
  }

  stored(log: LogKey, window: number): Uint8Array {
    return this.#parts.logs.stored(log, window)
  }

  read(log: LogKey, index: number): Promise<Uint8Array> {
    return this.#parts.logs.read(log, index)
  }

  /** Whoever has it is asked; what comes is verified against the log's key. */
  async obtain({ log, index }: LogBlock): Promise<void> {
    const blocks = this.#parts.blocksOf(log)
    if (blocks === undefined) throw new SyncError('UNREACHABLE', 'the log is not known here')
    await blocks.fetch(index, { deadlineMs: OBTAIN_MS_MAX })
  }

  /** Of a block that no file is known to use nothing can be said. */
  isGenuine({ log, index, bytes }: AnsweredBlock): Promise<boolean | undefined> {
    const hash = this.#hashOf({ log, index })
    return Promise.resolve(hash && equalBytes(hash, hashBlock(bytes)))
  }

  /**
   * Looks anew at which files use what is not here: that is audited by its bytes.
   *
   * @param needs - what files use, as of now
   */
  async filesChanged(needs: readonly NeededBlocks[], pause: () => Promise<void>): Promise<void> {
    const users = new Map<string, Set<number>>()
    for (const { log, window, bitmap } of needs)
      if (!isSubset(bitmap, this.stored(log, window))) users.set(`${log}/${window}`, new Set())
    let count = 0
    for (const { ino, blocks } of users.size === 0 ? [] : this.#parts.replica.files()) {
      for (const block of blocks) users.get(keyOf(block))?.add(ino)
      if (++count % FILES_PER_STEP === 0) await pause()
    }
    this.#users = users
  }

  #hashOf(block: LogBlock): Uint8Array | undefined {
    const { index } = this.#parts.replica
    for (const ino of this.#users.get(keyOf(block)) ?? [])
      for (const run of index.content.everyRun(ino)) {
        if (run.kind !== 'block' || run.index !== block.index) continue
        const piece = index.content.pieceOf(ino, run)
        if (piece.kind === 'block' && piece.log === block.log) return piece.hash
      }
    return undefined
  }
}

function keyOf({ log, index }: LogBlock): string {
  return `${log}/${windowOf(index)}`
}
