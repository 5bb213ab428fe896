/**
 * Which blocks are to be kept, window by window: the content that files use, at their level, and
 * all entries of all operation logs, with everyone.
 *
 * @module
 */
import { WINDOW_BLOCKS, rangeBitmap, windowOf } from '../sync/block-bitmap.ts'
import type { NeededBlocks } from '../sync/content-needs.ts'
import type { LogKey } from '../sync/log.ts'
import { redundancyKey } from '../sync/redundancy.ts'
import type { WantedBlocks } from './window-assessment.ts'

/** A window of a log. */
export interface LogWindowPlace {
  /** The log. */
  readonly log: LogKey
  /** The window's number. */
  readonly window: number
}

/** How long entries of operations may be while nothing is said of their size, in bytes. */
const ENTRY_BYTES = 512
const NOTHING: readonly WantedBlocks[] = []

/** The blocks that are to be kept. */
export class CustodyNeeds {
  #content = new Map<LogKey, Map<number, readonly WantedBlocks[]>>()
  #contentBytes = 0
  #operations: ReadonlyMap<LogKey, number> = new Map()

  /** How many bytes of content are to be kept, each counted once. */
  get contentBytes(): number {
    return this.#contentBytes
  }

  /** Replaces what content is needed. @returns the windows of which something changed */
  setContent(needs: readonly NeededBlocks[]): readonly LogWindowPlace[] {
    const before = this.#content
    this.#content = new Map()
    this.#contentBytes = 0
    for (const { log, window, bitmap, redundancy, bytes } of needs) {
      const windows = this.#content.get(log) ?? new Map<number, readonly WantedBlocks[]>()
      this.#content.set(log, windows)
      windows.set(window, [...(windows.get(window) ?? []), { bitmap, redundancy, bytes }])
      this.#contentBytes += bytes
    }
    const changed: LogWindowPlace[] = []
    for (const [log, windows] of this.#content)
      for (const [window, wanted] of windows)
        if (!areSame(wanted, before.get(log)?.get(window))) changed.push({ log, window })
    for (const [log, windows] of before)
      for (const window of windows.keys())
        if (this.#content.get(log)?.has(window) !== true) changed.push({ log, window })
    return changed
  }

  /** Says how long the operation logs are. @returns the windows that grew */
  setOperations(lengths: ReadonlyMap<LogKey, number>): readonly LogWindowPlace[] {
    const changed: LogWindowPlace[] = []
    for (const [log, length] of lengths) {
      const from = this.#operations.get(log) ?? 0
      if (from >= length) continue
      for (let window = windowOf(from); window <= windowOf(length - 1); window++)
        changed.push({ log, window })
    }
    this.#operations = new Map(lengths)
    return changed
  }

  /** The operation logs and how long they are. */
  get operations(): ReadonlyMap<LogKey, number> {
    return this.#operations
  }

  /** Whether a log is one of operations: everyone keeps all of it. */
  isOperations(log: LogKey): boolean {
    return this.#operations.has(log)
  }

  /** What is wanted of a window of content. */
  contentAt({ log, window }: LogWindowPlace): readonly WantedBlocks[] {
    return this.#content.get(log)?.get(window) ?? NOTHING
  }

  /** The entries in a window of an operation log. */
  operationsAt({ log, window }: LogWindowPlace): Uint8Array {
    return rangeBitmap({ window, from: 0, to: this.#operations.get(log) ?? 0 })
  }

  /** About how many bytes blocks of a window have. */
  bytesOf({ log, window }: LogWindowPlace, count: number): number {
    if (this.isOperations(log)) return count * ENTRY_BYTES
    let [bytes, blocks] = [0, 0]
    for (const wanted of this.contentAt({ log, window })) {
      bytes += wanted.bytes
      blocks += wanted.bitmap.reduce((sum, byte) => sum + bitsOf(byte), 0)
    }
    return blocks === 0 ? 0 : (bytes / blocks) * count
  }

  /** All windows of content. */
  *contentWindows(): Iterable<LogWindowPlace> {
    for (const [log, windows] of this.#content)
      for (const window of windows.keys()) yield { log, window }
  }

  /** All windows of operation logs. */
  *operationWindows(): Iterable<LogWindowPlace> {
    for (const [log, length] of this.#operations)
      for (let window = 0; window * WINDOW_BLOCKS < length; window++) yield { log, window }
  }
}

function areSame(
  left: readonly WantedBlocks[],
  right: readonly WantedBlocks[] | undefined
): boolean {
  if (left.length !== right?.length) return false
  return left.every((wanted, at) => {
    const other = right[at]
    return (
      other !== undefined &&
      redundancyKey(wanted.redundancy) === redundancyKey(other.redundancy) &&
      wanted.bytes === other.bytes &&
      wanted.bitmap.every((byte, position) => byte === other.bitmap[position])
    )
  })
}

function bitsOf(byte: number): number {
  let count = 0
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++
  return count
}
