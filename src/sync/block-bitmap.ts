/**
 * Sets of blocks of one content log, in windows: window w holds the blocks from
 * w * {@link WINDOW_BLOCKS} on, one bit each, the first block in the lowest bit of the first byte.
 *
 * A bitmap is {@link BITMAP_BYTES} bytes. Functions that make one return fresh bytes; only
 * {@link setBit} changes what it is given.
 *
 * @module
 */
import { WINDOW_BITMAP_BYTES, WINDOW_BLOCKS } from '../crypto/log-window.ts'
import type { LogKey } from './log.ts'

export { WINDOW_BLOCKS }

/** How many bytes the bitmap of a window has. */
export const BITMAP_BYTES = WINDOW_BITMAP_BYTES

/** Some blocks of one window of a log. */
export interface BlockSet {
  /** The log. */
  readonly log: LogKey
  /** The window's number. */
  readonly window: number
  /** Which of its blocks; {@link BITMAP_BYTES}. */
  readonly bitmap: Uint8Array
}

/** An empty bitmap. */
export function emptyBitmap(): Uint8Array {
  return new Uint8Array(BITMAP_BYTES)
}

/** The window of a block. */
export function windowOf(index: number): number {
  return Math.floor(index / WINDOW_BLOCKS)
}

/** Puts a block into a bitmap, in place. @param index - in the log */
export function setBit(bitmap: Uint8Array, index: number): void {
  const bit = index % WINDOW_BLOCKS
  bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7))
}

/** Whether a bitmap has a block. @param index - in the log */
export function hasBit(bitmap: Uint8Array, index: number): boolean {
  const bit = index % WINDOW_BLOCKS
  return ((bitmap[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0
}

/** The bitmap of the blocks from `from` up to but not including `to` that lie in a window. */
export function rangeBitmap(range: {
  readonly window: number
  readonly from: number
  readonly to: number
}): Uint8Array {
  const bitmap = emptyBitmap()
  const first = range.window * WINDOW_BLOCKS
  const to = Math.min(range.to, first + WINDOW_BLOCKS)
  for (let index = Math.max(range.from, first); index < to; index++) setBit(bitmap, index)
  return bitmap
}

/** The blocks that are in both. */
export function intersection(left: Uint8Array, right: Uint8Array): Uint8Array {
  const both = new Uint8Array(left.length)
  for (let at = 0; at < both.length; at++) both[at] = (left[at] ?? 0) & (right[at] ?? 0)
  return both
}

/** The blocks that are in either. */
export function union(left: Uint8Array, right: Uint8Array): Uint8Array {
  const either = new Uint8Array(left.length)
  for (let at = 0; at < either.length; at++) either[at] = (left[at] ?? 0) | (right[at] ?? 0)
  return either
}

/** The blocks of the first that are not in the second. */
export function difference(left: Uint8Array, right: Uint8Array): Uint8Array {
  const rest = new Uint8Array(left.length)
  for (let at = 0; at < rest.length; at++) rest[at] = (left[at] ?? 0) & ~(right[at] ?? 0)
  return rest
}

/** Whether there is no block in it. */
export function isEmptyBitmap(bitmap: Uint8Array): boolean {
  for (let at = 0; at < bitmap.length; at++) if (bitmap[at] !== 0) return false
  return true
}

/** Whether all blocks of the first are in the second. */
export function isSubset(left: Uint8Array, right: Uint8Array): boolean {
  for (let at = 0; at < left.length; at++)
    if (((left[at] ?? 0) & ~(right[at] ?? 0)) !== 0) return false
  return true
}

/** How many blocks there are in it. */
export function countBits(bitmap: Uint8Array): number {
  let count = 0
  for (let at = 0; at < bitmap.length; at++) count += BITS_OF_BYTE[bitmap[at] ?? 0] ?? 0
  return count
}

/** The blocks in it, ascending, as indexes in the log. */
export function* indexesOf({ window, bitmap }: Omit<BlockSet, 'log'>): Iterable<number> {
  const first = window * WINDOW_BLOCKS
  for (let at = 0; at < BITMAP_BYTES; at++) {
    const byte = bitmap[at] ?? 0
    for (let bit = 0; byte >> bit !== 0; bit++)
      if ((byte & (1 << bit)) !== 0) yield first + at * 8 + bit
  }
}

/** The blocks as sets, one for each window, ascending. @param indexes - in any order */
export function blockSetsOf(log: LogKey, indexes: Iterable<number>): readonly BlockSet[] {
  const bitmaps = new Map<number, Uint8Array>()
  for (const index of indexes) {
    const window = windowOf(index)
    const bitmap = bitmaps.get(window) ?? emptyBitmap()
    bitmaps.set(window, bitmap)
    setBit(bitmap, index)
  }
  return [...bitmaps]
    .toSorted(([left], [right]) => left - right)
    .map(([window, bitmap]) => ({ log, window, bitmap }))
}

const BITS_OF_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0
  for (let rest = byte; rest !== 0; rest >>= 1) count += rest & 1
  return count
})
