/**
 * Which keeper gave its receipt for which blocks: a bitmap for each keeper and window, from its
 * newest receipt, without the blocks that it then could not prove.
 *
 * The ledger knows nothing of presence: whether a keeper's copies count now is for its standing
 * to say. It holds what `custody-store.ts` keeps on disk, in about a bit for each block and keeper.
 *
 * @module
 */
import {
  countBits,
  difference,
  emptyBitmap,
  intersection,
  isEmptyBitmap,
  isSubset,
  union
} from '../sync/block-bitmap.ts'
import type { BlockSet } from '../sync/block-bitmap.ts'
import type { LogKey } from '../sync/log.ts'
import type { KeeperId } from './holder-link.ts'

/** A window of a keeper. */
export interface KeptWindow {
  /** Who keeps it. */
  readonly keeper: KeeperId
  /** The log. */
  readonly log: LogKey
  /** The window's number. */
  readonly window: number
}

/** What a keeper keeps of a window. */
export interface LedgerRow extends KeptWindow {
  /** The blocks of its newest receipt. */
  readonly bitmap: Uint8Array
  /** Those of them that it could not prove since; undefined for none. */
  readonly doubted: Uint8Array | undefined
  /** The receipt's number among the keeper's. */
  readonly sequence: number
  /** How many bytes the blocks of the receipt have. */
  readonly bytes: number
  /** Since when it keeps blocks of the window, in milliseconds since 1970. */
  readonly sinceMs: number
  /** When it last proved some of them, in milliseconds since 1970; 0 for never. */
  readonly provenMs: number
}

/** Rows are never changed, and what counts of them is asked for over and over. */
const counting = new WeakMap<LedgerRow, Uint8Array>()
const NO_ROWS: readonly LedgerRow[] = []

/** The receipts of all keepers. */
export class CustodyLedger {
  readonly #byLog = new Map<LogKey, Map<number, readonly LedgerRow[]>>()
  readonly #byKeeper = new Map<KeeperId, Map<LogKey, Map<number, LedgerRow>>>()

  /**
   * Takes a receipt; it replaces an older one of the same keeper and window.
   *
   * @returns the row as it is now; undefined when a newer receipt is known
   */
  put(
    receipt: Omit<LedgerRow, 'doubted' | 'provenMs'> &
      Partial<Pick<LedgerRow, 'doubted' | 'provenMs'>>
  ): LedgerRow | undefined {
    const known = this.row(receipt)
    if (known !== undefined && known.sequence >= receipt.sequence) return undefined
    const { keeper, log, window, bitmap, sequence, bytes, sinceMs } = receipt
    const row: LedgerRow = {
      ...{ keeper, log, window, bitmap, sequence, bytes },
      doubted: some(intersection(receipt.doubted ?? known?.doubted ?? emptyBitmap(), bitmap)),
      sinceMs: known?.sinceMs ?? sinceMs,
      provenMs: receipt.provenMs ?? known?.provenMs ?? 0
    }
    this.#set(row)
    return row
  }

  /** Blocks stop counting: the keeper could not prove them. @returns the row when it changed */
  doubt(place: KeptWindow, bitmap: Uint8Array): LedgerRow | undefined {
    const row = this.row(place)
    if (row === undefined) return undefined
    const wrong = intersection(bitmap, validBlocks(row))
    if (isEmptyBitmap(wrong)) return undefined
    return this.#set({ ...row, doubted: union(row.doubted ?? emptyBitmap(), wrong) })
  }

  /** Blocks count again: the keeper took them anew. @returns the row when it changed */
  trust(place: KeptWindow, bitmap: Uint8Array): LedgerRow | undefined {
    const row = this.row(place)
    if (row?.doubted === undefined) return undefined
    const doubted = some(difference(row.doubted, bitmap))
    if (doubted !== undefined && isSubset(row.doubted, doubted)) return undefined
    return this.#set({ ...row, doubted })
  }

  /** The keeper proved blocks of a window. @returns the row, if there is one */
  prove(place: KeptWindow, nowMs: number): LedgerRow | undefined {
    const row = this.row(place)
    return row && this.#set({ ...row, provenMs: nowMs })
  }

  /** Forgets a window of a keeper. @returns whether it was known */
  remove({ keeper, log, window }: KeptWindow): boolean {
    const windows = this.#byKeeper.get(keeper)?.get(log)
    if (windows?.delete(window) !== true) return false
    const rows = this.rowsAt(log, window).filter(row => row.keeper !== keeper)
    if (rows.length > 0) this.#windowsOf(log).set(window, rows)
    else this.#windowsOf(log).delete(window)
    return true
  }

  /** Forgets a keeper. @returns the windows it had */
  forget(keeper: KeeperId): readonly LedgerRow[] {
    const rows = [...this.rowsOf(keeper)]
    for (const row of rows) this.remove(row)
    this.#byKeeper.delete(keeper)
    return rows
  }

  /** What a keeper keeps of a window. */
  row({ keeper, log, window }: KeptWindow): LedgerRow | undefined {
    return this.#byKeeper.get(keeper)?.get(log)?.get(window)
  }

  /** What all keepers keep of a window. */
  rowsAt(log: LogKey, window: number): readonly LedgerRow[] {
    return this.#byLog.get(log)?.get(window) ?? NO_ROWS
  }

  /** All that a keeper keeps. */
  *rowsOf(keeper: KeeperId): Iterable<LedgerRow> {
    for (const windows of this.#byKeeper.get(keeper)?.values() ?? []) yield* windows.values()
  }

  /** All windows of which anybody keeps something. */
  *windows(): Iterable<{ readonly log: LogKey; readonly window: number }> {
    for (const [log, windows] of this.#byLog)
      for (const window of windows.keys()) yield { log, window }
  }

  /** The highest number of a keeper's receipts here; 0 for none. */
  sequenceOf(keeper: KeeperId): number {
    let highest = 0
    for (const { sequence } of this.rowsOf(keeper)) highest = Math.max(highest, sequence)
    return highest
  }

  /** How much a keeper keeps that counts as far as the ledger knows. */
  totalOf(keeper: KeeperId): { readonly blocks: number; readonly bytes: number } {
    let [blocks, bytes] = [0, 0]
    for (const row of this.rowsOf(keeper)) {
      const valid = countBits(validBlocks(row))
      blocks += valid
      bytes += (row.bytes * valid) / Math.max(1, countBits(row.bitmap))
    }
    return { blocks, bytes: Math.round(bytes) }
  }

  #set(row: LedgerRow): LedgerRow {
    const { keeper, log, window } = row
    const others = this.rowsAt(log, window).filter(one => one.keeper !== keeper)
    this.#windowsOf(log).set(window, [...others, row])
    const logs = this.#byKeeper.get(keeper) ?? new Map<LogKey, Map<number, LedgerRow>>()
    this.#byKeeper.set(keeper, logs)
    const windows = logs.get(log) ?? new Map<number, LedgerRow>()
    logs.set(log, windows)
    windows.set(window, row)
    return row
  }

  #windowsOf(log: LogKey): Map<number, readonly LedgerRow[]> {
    const windows = this.#byLog.get(log) ?? new Map<number, readonly LedgerRow[]>()
    this.#byLog.set(log, windows)
    return windows
  }
}

/** The blocks of a row that count. */
export function validBlocks(row: LedgerRow): Uint8Array {
  const { bitmap, doubted } = row
  if (doubted === undefined) return bitmap
  const known = counting.get(row) ?? difference(bitmap, doubted)
  counting.set(row, known)
  return known
}

/** A row's blocks as a set. */
export function rowBlocks(row: LedgerRow): BlockSet {
  return { log: row.log, window: row.window, bitmap: validBlocks(row) }
}

function some(bitmap: Uint8Array): Uint8Array | undefined {
  return isEmptyBitmap(bitmap) ? undefined : bitmap
}
