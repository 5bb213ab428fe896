/**
 * An index over a store in memory, without logs and without a replica.
 *
 * @module
 */
import { RowSealer } from '../../src/crypto/row-sealer.ts'
import { applyOperation } from '../../src/sync/apply-operation.ts'
import type { LogKey } from '../../src/sync/log.ts'
import type { KeyValueStore } from '../../src/sync/key-value-store.ts'
import { TreeIndex } from '../../src/sync/tree-index.ts'
import { filled } from './bytes.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import type { ModelEntry } from './model.ts'
import { SeededRandom } from './seeded-random.ts'

/** Nothing is open. */
export const NONE_OPEN = { isOpen: (): boolean => false }

const SEALER = new RowSealer({ key: filled(32, 9), random: new SeededRandom(1) })

/** The sealer of every index in memory. */
export function rowSealer(): RowSealer {
  return SEALER
}

/** Opens the index of a store, by default an empty one. */
export async function openIndex(
  store: KeyValueStore = new MemoryKeyValueStore()
): Promise<TreeIndex> {
  return TreeIndex.open({ store, sealer: rowSealer() })
}

/** Applies entries, given in a causal order. @returns whether everything they name was known */
export function applyEntries(index: TreeIndex, entries: readonly ModelEntry[]): boolean {
  let known = true
  for (const entry of entries) known = applyEntry(index, entry) && known
  index.settle()
  return known
}

/** Applies an entry without settling. @returns whether everything it names was known */
export function applyEntry(index: TreeIndex, entry: ModelEntry): boolean {
  recordModelEntry(index, entry)
  let known = true
  for (const [number, operation] of entry.operations.entries()) {
    const id = { log: entry.log, index: entry.index, number }
    known = applyOperation(index, id, operation, NONE_OPEN) && known
  }
  return known
}

/** Makes an entry known to an index that has all that its author had seen. */
export function recordModelEntry(index: TreeIndex, entry: ModelEntry): void {
  const { log, index: at, lamport, time } = entry
  const seen = new Map<LogKey, number>()
  for (const [head, length] of [...entry.heads, [log, at] as const]) {
    if (length === 0) continue
    const cause = index.recordedEntry(head, length - 1)
    for (const [other, count] of [...(cause?.seen ?? []), [head, length] as const]) {
      seen.set(other, Math.max(seen.get(other) ?? 0, count))
    }
  }
  index.recordEntry({ log, index: at, lamport, time, seen })
}
