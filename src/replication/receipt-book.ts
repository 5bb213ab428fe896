/**
 * A keeper's receipts for one person: what it has promised to keep, signed as one chain.
 *
 * A change is recorded once the disk has what it promises: the caller syncs the logs first. Then
 * it is signed, and handed out when the records are durable. Changes that come while others are
 * being written are written together. What was not written is not in the chain: the next receipt
 * takes its number.
 *
 * The records hold the newest receipt of each window, so that memory does not grow with what is
 * kept.
 *
 * @module
 */
import { receiptHash, signReceipt } from '../crypto/receipt.ts'
import type { KeyPair } from '../crypto/sodium.ts'
import { NO_PREVIOUS } from '../crypto/statement.ts'
import { emptyBitmap, hasBit, indexesOf, setBit } from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import type { Change } from '../sync/key-value-store.ts'
import { ANSWER_RECEIPTS_MAX } from './custody-message.ts'
import {
  logBytes,
  placeKey,
  sequenceKey,
  type ChainRow,
  type KeeperRecords,
  type WindowPlace,
  type WindowRow
} from './keeper-records.ts'
import type { KeptLogs } from './kept-logs.ts'

/** How many receipts are signed and written at a time. */
export const RECEIPT_BATCH_MAX = 64

/** What a book is of. */
export interface ReceiptBookParts {
  /** Where it is kept; borrowed. */
  readonly records: KeeperRecords
  /** The person's logs; borrowed. */
  readonly logs: Pick<KeptLogs, 'length' | 'treeHash'>
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** Signs; the keeper's. */
  readonly keyPair: KeyPair
  /** Which machine the keeper runs on; `MACHINE_TAG_BYTES`. */
  readonly machine: Uint8Array
  /** Time. */
  readonly clock: Clock
  /** How long the keeper has been online in all, in seconds. */
  readonly onlineSec: () => number
}

/** What is kept of a window from now on. */
export interface KeptChange extends WindowPlace {
  /** Further blocks, by index in the log, and how large each is. */
  readonly added: ReadonlyMap<number, number>
  /** The blocks that are kept no more. */
  readonly removed: Uint8Array
  /** Whether the log is a content log: operations are counted otherwise. */
  readonly isContent: boolean
  /** What else is to be written with it. */
  readonly rows?: readonly Change[]
}

/** A window as it stands. */
interface Standing {
  readonly bitmap: Uint8Array
  readonly sizes: readonly number[]
  /** Of the receipt that it replaces. */
  readonly sequence: number | undefined
}

interface Waiting {
  readonly change: KeptChange
  readonly resolve: (receipt: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

interface Signed {
  readonly waiting: Waiting
  readonly receipt: Uint8Array
}

/** See the module. */
export class ReceiptBook {
  readonly #parts: ReceiptBookParts
  readonly #waiting: Waiting[] = []
  #chain: ChainRow
  #usedBytes: number
  #isDurable = true
  #isStale = false
  #drain: Promise<void> | undefined

  /** @throws {SyncError} `DAMAGED` */
  constructor(parts: ReceiptBookParts) {
    this.#parts = parts
    this.#chain = this.#recordedChain()
    this.#usedBytes = this.#recordedBytes()
  }

  /** The number of the newest receipt; 0 before the first. */
  get sequence(): number {
    return this.#chain.sequence
  }

  /** How many bytes of content are under receipt. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** The blocks of a window that are under receipt; a fresh bitmap. */
  kept(place: WindowPlace): Uint8Array {
    return this.#row(place)?.bitmap ?? emptyBitmap()
  }

  /** How many bytes some of the blocks under receipt have. */
  bytesOf(place: WindowPlace, blocks: Uint8Array): number {
    let bytes = 0
    for (const [index, size] of sizesByIndex(place, this.#row(place)))
      if (hasBit(blocks, index)) bytes += size
    return bytes
  }

  /** All windows that there are receipts of, by the age of their receipts; some are empty. */
  *windows(): Iterable<WindowPlace> {
    const { records, identity } = this.#parts
    for (const { row } of records.sequences.rows([identity])) yield row
  }

  /**
   * Signs what is kept of a window from now on.
   *
   * @returns the receipt; it and what it says are durable
   * @throws {SyncError} as the records and the logs; then nothing was promised
   */
  record(change: KeptChange): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject })
      this.#drain ??= this.#drainAll()
    })
  }

  /** The receipts that stand, of those after a sequence, oldest first. */
  async since(
    sequence: number
  ): Promise<{ readonly receipts: readonly Uint8Array[]; readonly isLast: boolean }> {
    await this.#makeDurable()
    const { records, identity } = this.#parts
    const receipts: Uint8Array[] = []
    for (const { row } of records.sequences.rows([identity], sequenceKey(sequence))) {
      if (receipts.length === ANSWER_RECEIPTS_MAX) return { receipts, isLast: false }
      const receipt = this.#row(row)?.receipt
      if (receipt !== undefined) receipts.push(receipt)
    }
    return { receipts, isLast: true }
  }

  /** Waits for what is being recorded. */
  async close(): Promise<void> {
    await this.#drain
  }

  async #drainAll(): Promise<void> {
    // What is asked for in one turn is written together.
    await Promise.resolve()
    while (this.#waiting.length > 0)
      await this.#recordBatch(this.#waiting.splice(0, RECEIPT_BATCH_MAX))
    // In the step that found nothing to do: who comes later begins anew.
    this.#drain = undefined
  }

  async #recordBatch(batch: readonly Waiting[]): Promise<void> {
    const { records, identity } = this.#parts
    const standings = new Map<string, Standing>()
    const changes: Change[] = []
    const signed: Signed[] = []
    for (const waiting of batch) {
      try {
        this.#reread()
        const { receipt, rows } = await this.#sign(waiting.change, standings)
        changes.push(...rows)
        signed.push({ waiting, receipt })
      } catch (error) {
        waiting.reject(error)
      }
    }
    if (signed.length === 0) return
    changes.push(records.chains.put(this.#chain, identity))
    try {
      await records.commit(changes)
      this.#isDurable = true
      for (const { waiting, receipt } of signed) waiting.resolve(receipt)
    } catch (error) {
      this.#recover()
      for (const { waiting } of signed) waiting.reject(error)
    }
  }

  /** It may have been written and not be durable: what the store says is what holds. */
  #recover(): void {
    this.#isDurable = false
    this.#isStale = true
    try {
      this.#reread()
    } catch {
      // The store cannot be read either; it is tried again before anything is signed.
    }
  }

  #reread(): void {
    if (!this.#isStale) return
    this.#chain = this.#recordedChain()
    this.#usedBytes = this.#recordedBytes()
    this.#isStale = false
  }

  async #makeDurable(): Promise<void> {
    if (this.#isDurable) return
    await this.#parts.records.commit([])
    this.#isDurable = true
  }

  async #sign(
    change: KeptChange,
    standings: Map<string, Standing>
  ): Promise<{ readonly receipt: Uint8Array; readonly rows: readonly Change[] }> {
    const { logs, keyPair, identity, drive, machine, clock, onlineSec, records } = this.#parts
    const { log, window, isContent } = change
    const length = logs.length(log)
    const treeHash = await logs.treeHash(log, length)
    const place = placeKey(change)
    const name = Buffer.from(place).toString('hex')
    const before = standings.get(name) ?? this.#standing(change)
    const { bitmap, sizes } = changed(before, change)
    const bytes = sum(sizes)
    const sequence = this.#chain.sequence + 1
    const { sec, nsec } = clock.now()
    const receipt = signReceipt(
      {
        ...{ sequence, previous: this.#chain.previous, identity, drive, machine },
        ...{ log: logBytes(log), length, treeHash, window, bitmap, bytes },
        timeMs: sec * 1000 + Math.floor(nsec / 1_000_000),
        onlineSec: onlineSec()
      },
      keyPair
    )
    this.#chain = { sequence, previous: receiptHash(receipt) }
    if (isContent) this.#usedBytes += bytes - sum(before.sizes)
    standings.set(name, { bitmap, sizes, sequence })
    const rows = [
      records.windows.put({ sequence, isContent, receipt, bitmap, sizes }, identity, place),
      records.sequences.put({ log, window }, identity, sequenceKey(sequence))
    ]
    if (before.sequence !== undefined)
      rows.push(records.sequences.remove(identity, sequenceKey(before.sequence)))
    return { receipt, rows: [...rows, ...(change.rows ?? [])] }
  }

  #standing(place: WindowPlace): Standing {
    const row = this.#row(place)
    if (row === undefined) return { bitmap: emptyBitmap(), sizes: [], sequence: undefined }
    return row
  }

  #row(place: WindowPlace): WindowRow | undefined {
    return this.#parts.records.windows.get(this.#parts.identity, placeKey(place))
  }

  #recordedChain(): ChainRow {
    const { records, identity } = this.#parts
    return records.chains.get(identity) ?? { sequence: 0, previous: NO_PREVIOUS }
  }

  #recordedBytes(): number {
    const { records, identity } = this.#parts
    let bytes = 0
    for (const { row } of records.windows.rows([identity]))
      if (row.isContent) bytes += sum(row.sizes)
    return bytes
  }
}

function changed(
  before: Standing,
  change: KeptChange
): { readonly bitmap: Uint8Array; readonly sizes: readonly number[] } {
  const sizes = new Map(sizesByIndex(change, before))
  for (const [index, size] of change.added) sizes.set(index, size)
  const bitmap = emptyBitmap()
  const kept = [...sizes].filter(([index]) => !hasBit(change.removed, index))
  for (const [index] of kept) setBit(bitmap, index)
  return { bitmap, sizes: kept.toSorted(([left], [right]) => left - right).map(([, size]) => size) }
}

function* sizesByIndex(
  { window }: WindowPlace,
  row: Pick<WindowRow, 'bitmap' | 'sizes'> | undefined
): Iterable<readonly [index: number, bytes: number]> {
  if (row === undefined) return
  let at = 0
  for (const index of indexesOf({ window, bitmap: row.bitmap })) yield [index, row.sizes[at++] ?? 0]
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all + size, 0)
}
