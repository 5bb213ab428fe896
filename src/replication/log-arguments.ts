/**
 * What callers of a log must never pass. These are errors of the program, so they are a
 * `RangeError` and not a `SyncError`, and every implementation of `Log` refuses the same.
 *
 * @module
 */
import { ENTRY_BYTES_MAX } from '../sync/log.ts'

/** Refuses an append of nothing, and entries that are empty or too large. */
export function checkEntries(entries: readonly Uint8Array[]): void {
  if (entries.length === 0) throw new RangeError('an append has at least one entry')
  for (const entry of entries) {
    if (entry.length === 0 || entry.length > ENTRY_BYTES_MAX)
      throw new RangeError('an entry has 1 to ENTRY_BYTES_MAX bytes')
  }
}

/** Refuses what is not an index (or a length) of any log. */
export function checkIndex(index: number): void {
  if (!Number.isSafeInteger(index) || index < 0) throw new RangeError('not an index of a log')
}

/** Refuses what is not a run of the first `length` blocks. */
export function checkRange(
  range: { readonly from: number; readonly to: number },
  length: number
): void {
  checkIndex(range.from)
  checkIndex(range.to)
  if (range.from > range.to || range.to > length) throw new RangeError('not a range of the store')
}
