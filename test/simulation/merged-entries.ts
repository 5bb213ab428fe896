/**
 * What a device has merged, as the oracle takes it.
 *
 * @module
 */
import type { LogKey } from '../../src/sync/log.ts'
import type { Operation } from '../../src/sync/operation.ts'
import { deliver } from '../support/model-entry.ts'
import type { ModelEntry } from '../support/model.ts'
import type { SimulatedDevice } from './simulated-device.ts'

const MARK: Operation = { type: 'statement', bytes: new Uint8Array(1) }

/**
 * The entries that a device has merged, read from its own disk, and those of its own that it has
 * executed and not yet appended.
 */
export async function mergedEntries(device: SimulatedDevice): Promise<readonly ModelEntry[]> {
  const pending = device.pendingEntries
  const heads = new Map(device.drive.replica.heads)
  const stored = await storedEntries(device)
  const merged = stored.filter(({ log, index }) => index < (heads.get(log) ?? 0))
  for (const entry of pending) {
    const isSeen = (other: ModelEntry): boolean =>
      other.log === entry.log || (entry.heads.get(other.log) ?? 0) > other.index
    const lamports = merged.filter(isSeen).map(({ lamport }) => lamport)
    merged.push({ ...entry, lamport: 1 + Math.max(0, ...lamports) })
  }
  return merged
}

/**
 * How far each log can be merged of which a device stores something: entries whose causes were
 * lost wherever they were are not merged.
 */
export async function mergeableLengths(
  device: SimulatedDevice
): Promise<ReadonlyMap<LogKey, number>> {
  const lengths = new Map<LogKey, number>()
  const stored = await storedEntries(device)
  // One operation for each entry: an entry may have none, and then none is delivered.
  const marked = stored.map(entry => ({ ...entry, operations: [MARK] }))
  for (const { entry } of deliver(marked)) {
    lengths.set(entry.log, Math.max(lengths.get(entry.log) ?? 0, entry.index + 1))
  }
  return lengths
}

async function storedEntries({ drive }: SimulatedDevice): Promise<readonly ModelEntry[]> {
  const stored: ModelEntry[] = []
  for (const { operationKey: log, device } of drive.pairs) {
    for (const [index, entry] of (await drive.entries(log)).entries()) {
      const { lamport, time, operations } = entry
      const named = entry.heads.map((head): [LogKey, number] => [head.log, head.length])
      stored.push({ log, index, lamport, time, device, operations, heads: new Map(named) })
    }
  }
  return stored
}
