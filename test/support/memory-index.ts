/**
 * An index over a store in memory, without logs and without a replica.
 *
 * @module
 */
import { RowSealer } from '../../src/crypto/row-sealer.ts'
import { applyOperation } from '../../src/sync/apply-operation.ts'
import type { KeyValueStore } from '../../src/sync/key-value-store.ts'
import { TreeIndex } from '../../src/sync/tree-index.ts'
import { filled } from './bytes.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import type { ModelEntry } from './model.ts'
import { SeededRandom } from './seeded-random.ts'

/** Nothing is open. */
export const NONE_OPEN = { isOpen: (): boolean => false }

/** The sealer of every index in memory. */
export function rowSealer(): RowSealer {
  return new RowSealer({ key: filled(32, 9), random: new SeededRandom(1) })
}

/** Opens the index of a store, by default an empty one. */
export async function openIndex(
  store: KeyValueStore = new MemoryKeyValueStore()
): Promise<TreeIndex> {
  return TreeIndex.open({ store, sealer: rowSealer() })
}

/** Applies entries in order. @returns whether everything they name was known */
export function applyEntries(index: TreeIndex, entries: readonly ModelEntry[]): boolean {
  let known = true
  for (const { log, index: at, operations } of entries) {
    index.addLog(log)
    for (const [number, operation] of operations.entries()) {
      known = applyOperation(index, { log, index: at, number }, operation, NONE_OPEN) && known
    }
  }
  return known
}
