/**
 * Brings the index up to date with the logs of one device: its epochs are read from where the
 * index stands, and their entries applied in the order of their lamports.
 *
 * @module
 */
import type { Sealer } from '../crypto/sealer.ts'
import { applyOperation } from './apply-operation.ts'
import type { BlockStore } from './block-store.ts'
import { decodeEntry } from './entry-codec.ts'
import type { Entry, Head } from './entry.ts'
import type { Log, LogKey } from './log.ts'
import { openBlock } from './open-block.ts'
import { SyncError } from './sync-error.ts'
import type { Cursor, TreeIndex } from './tree-index.ts'

/** How many entries of a log are read ahead. */
export const ENTRIES_AHEAD_MAX = 16
/** The index is written when this many rows have changed. */
export const REPLAY_ROWS_MAX = 50_000

/** The two logs of one epoch of a device. */
export interface LogPair {
  /** Its operations. */
  readonly operationLog: Log
  /** Its content. */
  readonly contentLog: BlockStore
}

/** An entry that could not be read. */
export interface DamagedEntry {
  /** The log. */
  readonly log: LogKey
  /** The entry's index. */
  readonly index: number
}

/** What a replay needs. */
export interface ReplayParts {
  /** Every epoch, oldest first, the current one last. */
  readonly pairs: readonly LogPair[]
  /** Opens entries of a log. */
  readonly sealerOf: (log: LogKey) => Sealer
  /** Told how many of how many entries have been applied. */
  readonly onProgress: (done: number, total: number) => void
}

const NEVER_OPEN = { isOpen: (): boolean => false }

/** One bringing up to date. */
export class Replay {
  /** Entries that were passed over because they could not be read. */
  readonly damaged: DamagedEntry[] = []
  /** Lamport of the newest entry, 0 if there is none. Known after {@link Replay.run}. */
  lamport = 0
  /** Heads that the first entry of a new log must name. Known after {@link Replay.run}. */
  firstHeads: readonly Head[] = []
  readonly #parts: ReplayParts
  readonly #cursors = new Map<LogKey, number>()

  /** @param parts - the logs are borrowed */
  constructor(parts: ReplayParts) {
    this.#parts = parts
  }

  /** @returns whether the index is a state that these logs went through */
  async continues(index: TreeIndex): Promise<boolean> {
    const known = new Set(this.#parts.pairs.map(({ operationLog }) => operationLog.key))
    for (const log of index.appliedLogs()) if (!known.has(log)) return false
    for (const { operationLog: log } of this.#parts.pairs) {
      const { length, treeHash } = index.cursor(log.key)
      if (length > log.length) return false
      if (length > 0 && !sameBytes(treeHash, await log.treeHash(length))) return false
    }
    return true
  }

  /** Applies every entry that the index lacks. @throws {SyncError} `NEWER_FORMAT`, `IO` */
  async run(index: TreeIndex): Promise<void> {
    const readers: EntryReader[] = []
    let total = 0
    for (const { operationLog, contentLog } of this.#parts.pairs) {
      index.addLog(operationLog.key)
      index.addLog(contentLog.key)
      const { length } = index.cursor(operationLog.key)
      this.#cursors.set(operationLog.key, length)
      total += operationLog.length - length
      readers.push(new EntryReader(operationLog, length, this.#parts.sealerOf(operationLog.key)))
    }
    for (let done = 0; done < total; done++) {
      await this.#applyNext(index, readers)
      if (index.changeCount >= REPLAY_ROWS_MAX) await this.#write(index)
      this.#parts.onProgress(done + 1, total)
    }
    if (total > 0) await this.#write(index)
    this.lamport = await this.#newestLamport()
    this.firstHeads = await this.#headsOfEarlier()
  }

  async #applyNext(index: TreeIndex, readers: readonly EntryReader[]): Promise<void> {
    let next: EntryReader | undefined
    let lamportMin = Infinity
    for (const reader of readers) {
      const lamport = await reader.nextLamport()
      if (lamport !== undefined && lamport < lamportMin) [next, lamportMin] = [reader, lamport]
    }
    if (next === undefined) return
    const { entry, at } = await next.take()
    const log = next.key
    this.#cursors.set(log, at + 1)
    if (entry === undefined) {
      this.damaged.push({ log, index: at })
      index.setGaps()
      return
    }
    for (const [number, operation] of entry.operations.entries()) {
      applyOperation(index, { log, index: at, number }, operation, NEVER_OPEN)
    }
  }

  async #write(index: TreeIndex): Promise<void> {
    const cursors: Cursor[] = []
    for (const { operationLog: log } of this.#parts.pairs) {
      const length = this.#cursors.get(log.key) ?? 0
      cursors.push({ log: log.key, length, treeHash: await log.treeHash(length) })
    }
    index.freeze()
    await index.write(cursors)
  }

  async #newestLamport(): Promise<number> {
    let newest = 0
    for (const { operationLog: log } of this.#parts.pairs) {
      newest = Math.max(newest, await lastLamport(log, this.#parts.sealerOf(log.key), newest))
    }
    return newest
  }

  async #headsOfEarlier(): Promise<readonly Head[]> {
    const current = this.#parts.pairs.at(-1)?.operationLog
    if (current === undefined || current.length > 0) return []
    const heads: Head[] = []
    for (const { operationLog: log } of this.#parts.pairs.slice(0, -1)) {
      if (log.length === 0) continue
      heads.push({ log: log.key, length: log.length, treeHash: await log.treeHash(log.length) })
    }
    return heads
  }
}

/** Reads the entries of one log in order, some ahead. */
class EntryReader {
  readonly key: LogKey
  readonly #log: Log
  readonly #sealer: Sealer
  readonly #ahead: Promise<Entry | undefined>[] = []
  #at: number
  #lamport = 0

  constructor(log: Log, from: number, sealer: Sealer) {
    this.key = log.key
    this.#log = log
    this.#at = from
    this.#sealer = sealer
  }

  /** @returns the lamport of the next entry, that of a damaged one estimated; undefined at the end */
  async nextLamport(): Promise<number | undefined> {
    this.#fill()
    const entry = this.#ahead[0]
    if (entry === undefined) return undefined
    return (await entry)?.lamport ?? this.#lamport + 1
  }

  /** Takes the next entry; undefined in place of one that is damaged. */
  async take(): Promise<{ readonly entry: Entry | undefined; readonly at: number }> {
    const entry = await this.#ahead.shift()
    const at = this.#at++
    this.#lamport = entry?.lamport ?? this.#lamport + 1
    return { entry, at }
  }

  #fill(): void {
    while (
      this.#ahead.length < ENTRIES_AHEAD_MAX &&
      this.#at + this.#ahead.length < this.#log.length
    ) {
      const entry = readEntry(this.#log, this.#at + this.#ahead.length, this.#sealer)
      // Awaited when its turn comes; until then a failure must not count as unhandled.
      entry.catch(() => undefined)
      this.#ahead.push(entry)
    }
  }
}

/** @returns the entry, or undefined when it is damaged or missing. @throws {SyncError} otherwise */
export async function readEntry(
  log: Log,
  index: number,
  sealer: Sealer
): Promise<Entry | undefined> {
  try {
    const sealed = await log.get(index)
    return decodeEntry(openBlock(sealer, sealed, index), { log: log.key, index })
  } catch (error) {
    if (error instanceof SyncError && DAMAGE.has(error.code)) return undefined
    throw error
  }
}

const DAMAGE: ReadonlySet<string> = new Set(['DAMAGED', 'MISSING', 'MALFORMED'])

/**
 * @param before - the newest lamport of earlier logs, which the first entry had seen
 * @returns the lamport of a log's last entry; entries that cannot be read count one each
 */
async function lastLamport(log: Log, sealer: Sealer, before: number): Promise<number> {
  for (let unread = 0; unread < log.length; unread++) {
    const entry = await readEntry(log, log.length - 1 - unread, sealer)
    if (entry) return entry.lamport + unread
  }
  return before + log.length
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at])
}
