/**
 * How much a keeper keeps for one person, and how much more it would take.
 *
 * Content counts as it is under receipt, and what is being brought as soon as its size is known.
 * Operation logs are kept whole as they grow and are counted when their entries have arrived; of
 * what is on its way the caller asks before it is stored, so that nobody grows past the quota
 * either way.
 *
 * @module
 */
import type { Change } from '../sync/key-value-store.ts'
import type { LogKey } from '../sync/log.ts'
import { logBytes, type KeeperRecords } from './keeper-records.ts'
import type { KeptLogs } from './kept-logs.ts'
import type { ReceiptBook } from './receipt-book.ts'

/** How many entries of operation logs are counted at a time; more wait for the next. */
export const ENTRIES_COUNTED_MAX = 512

/** A quota that is none, of a person's own devices. */
export const UNLIMITED_BYTES = Number.MAX_SAFE_INTEGER

/** What is counted. */
export interface KeeperSpaceParts {
  /** Where it is kept; borrowed. */
  readonly records: KeeperRecords
  /** The person's logs; borrowed. */
  readonly logs: KeptLogs
  /** What is under receipt; borrowed. */
  readonly book: ReceiptBook
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** How much more is kept for everybody together, in bytes; without a bound if absent. */
  readonly freeForAll?: () => number
}

/** See the module. */
export class KeeperSpace {
  /** How much is kept at most, in bytes. */
  quotaBytes: number
  readonly #parts: KeeperSpaceParts
  #reservedBytes = 0
  #summaryBytes: number
  #operationBytes: number
  /** Of operations that may be on their way to the disk. */
  #admittedBytes = 0

  /** @throws {SyncError} `DAMAGED` */
  constructor(parts: KeeperSpaceParts, quotaBytes: number) {
    const { records, identity } = parts
    this.#parts = parts
    this.quotaBytes = quotaBytes
    this.#summaryBytes = total(records.summaries.rows([identity]), row => row.length)
    this.#operationBytes = total(records.operations.rows([identity]), row => row.bytes)
  }

  /** How much is kept, in bytes. */
  get usedBytes(): number {
    return this.#parts.book.usedBytes + this.#operationBytes + this.#summaryBytes
  }

  /** How much is kept or may be on its way, in bytes. */
  get takenBytes(): number {
    return this.usedBytes + this.#reservedBytes + this.#admittedBytes
  }

  /** How much more would be taken, in bytes; never negative. */
  get freeBytes(): number {
    const free = this.quotaBytes - this.takenBytes
    return Math.max(0, Math.min(free, this.#parts.freeForAll?.() ?? free))
  }

  /** Sets room aside. @returns false when there is too little */
  reserve(bytes: number): boolean {
    if (bytes > this.freeBytes) return false
    this.#reservedBytes += bytes
    return true
  }

  /** Gives back what was set aside: when it is counted, or is not kept. */
  release(bytes: number): void {
    this.#reservedBytes -= bytes
  }

  /** Says by how much more or less the summaries are. */
  addSummaryBytes(bytes: number): void {
    this.#summaryBytes += bytes
  }

  /** Whether an entry of an operation log may be stored; asked before it is. */
  admitsOperation(bytes: number): boolean {
    if (bytes > this.freeBytes) return false
    this.#admittedBytes += bytes
    return true
  }

  /** Counts entries of operation logs that have arrived. @throws {SyncError} */
  async countOperations(): Promise<void> {
    if (this.quotaBytes === UNLIMITED_BYTES) return
    const { logs, records } = this.#parts
    const changes: Change[] = []
    let left = ENTRIES_COUNTED_MAX
    let added = 0
    for (const log of logs.operationLogs()) {
      const { change, bytes, entries } = await this.#countLog(log, left)
      if (change !== undefined) changes.push(change)
      added += bytes
      left -= entries
    }
    if (changes.length > 0) await records.commit(changes)
    this.#operationBytes += added
    this.#admittedBytes = Math.max(0, this.#admittedBytes - added)
  }

  /** Nothing is on its way: what was admitted and never came is counted no more. */
  forgetAdmitted(): void {
    this.#admittedBytes = 0
  }

  async #countLog(
    log: LogKey,
    entriesMax: number
  ): Promise<{ readonly change?: Change; readonly bytes: number; readonly entries: number }> {
    const { logs, records, identity } = this.#parts
    const key = logBytes(log)
    const counted = records.operations.get(identity, key) ?? { length: 0, bytes: 0 }
    const length = Math.min(logs.contiguousLength(log), counted.length + entriesMax)
    if (length <= counted.length) return { bytes: 0, entries: 0 }
    let bytes = 0
    for (let index = counted.length; index < length; index++)
      bytes += (await logs.read(log, index)).length
    const row = { length, bytes: counted.bytes + bytes }
    const change = records.operations.put(row, identity, key)
    return { change, bytes, entries: length - counted.length }
  }
}

function total<Row>(rows: Iterable<{ readonly row: Row }>, bytesOf: (row: Row) => number): number {
  let bytes = 0
  for (const { row } of rows) bytes += bytesOf(row)
  return bytes
}
