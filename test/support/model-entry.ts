/**
 * The operations of a set of entries with what the rules of the merge ask about them: their
 * order, and which of them saw which.
 *
 * @module
 */
import type { Timestamp } from '../../src/sync/clock.ts'
import type { LogKey } from '../../src/sync/log.ts'
import type { Operation, OperationId } from '../../src/sync/operation.ts'

/** An entry as the model takes it. */
export interface ModelEntry {
  /** Its log. */
  readonly log: LogKey
  /** Its index there. */
  readonly index: number
  /** 1 + the highest lamport it has seen. */
  readonly lamport: number
  /** Lengths of other logs that the author had merged; those unchanged since its last may lack. */
  readonly heads: ReadonlyMap<LogKey, number>
  /** The author's wall time. */
  readonly time: Timestamp
  /** The author's attested name. */
  readonly device: string
  /** The operations. */
  readonly operations: readonly Operation[]
}

/** One operation in its place. */
export interface ModelOperation<T extends Operation = Operation> {
  /** Its identity. */
  readonly id: OperationId
  /** Its identity as text. */
  readonly key: string
  /** Its entry. */
  readonly entry: ModelEntry
  /** For every log, how many entries its author had seen, all causes of causes included. */
  readonly seen: ReadonlyMap<LogKey, number>
  /** What it does. */
  readonly operation: T
}

/** @returns an identity as text */
export function keyOf(id: OperationId): string {
  return `${id.log}:${String(id.index)}:${String(id.number)}`
}

/** The order of operations: a tie-breaker that agrees with what has seen what. */
export function compareOperations(left: ModelOperation, right: ModelOperation): number {
  return (
    left.entry.lamport - right.entry.lamport ||
    compareText(left.id.log, right.id.log) ||
    left.id.index - right.id.index ||
    left.id.number - right.id.number
  )
}

/** Whether the author of `later` had seen `earlier` when it executed `later`. */
export function saw(later: ModelOperation, earlier: ModelOperation): boolean {
  if (later.entry.log === earlier.entry.log && later.entry.index === earlier.entry.index) {
    return later.id.number > earlier.id.number
  }
  return (later.seen.get(earlier.id.log) ?? 0) > earlier.id.index
}

/**
 * Causal delivery: the operations of those entries whose causes are all in the set, and whose
 * lamport is the one it has to be. The others are as if they had not arrived yet.
 *
 * @returns the operations, by entry in an order in which they could have been merged
 */
export function deliver(entries: readonly ModelEntry[]): ModelOperation[] {
  const logs = new Map<LogKey, Map<number, ModelEntry>>()
  for (const entry of entries) {
    const log = logs.get(entry.log) ?? new Map<number, ModelEntry>()
    if (!log.has(entry.index)) log.set(entry.index, entry)
    logs.set(entry.log, log)
  }
  const delivered = new Map<LogKey, Delivered[]>([...logs.keys()].map(log => [log, []]))
  const operations: ModelOperation[] = []
  for (let progress = true; progress;) {
    progress = false
    for (const [log, done] of delivered) {
      const entry = logs.get(log)?.get(done.length)
      const seen = entry && seenBy(entry, delivered)
      if (!entry || !seen) continue
      done.push({ lamport: entry.lamport, seen })
      operations.push(...operationsOf(entry, seen))
      progress = true
    }
  }
  return operations
}

interface Delivered {
  readonly lamport: number
  readonly seen: ReadonlyMap<LogKey, number>
}

/** @returns what an entry has seen, or undefined if it cannot be merged */
function seenBy(
  entry: ModelEntry,
  delivered: ReadonlyMap<LogKey, readonly Delivered[]>
): ReadonlyMap<LogKey, number> | undefined {
  const causes = new Map(entry.heads)
  causes.set(entry.log, entry.index)
  const seen = new Map<LogKey, number>()
  let lamport = 0
  for (const [log, length] of causes) {
    if (length === 0) continue
    const last = delivered.get(log)?.[length - 1]
    if (!last) return undefined
    lamport = Math.max(lamport, last.lamport)
    for (const [log, length] of last.seen) seen.set(log, Math.max(seen.get(log) ?? 0, length))
    seen.set(log, Math.max(seen.get(log) ?? 0, length))
  }
  const isInOrder = entry.lamport === lamport + 1 && Number.isSafeInteger(entry.lamport)
  return isInOrder ? seen : undefined
}

function operationsOf(
  entry: ModelEntry,
  seen: ReadonlyMap<LogKey, number>
): readonly ModelOperation[] {
  return entry.operations.map((operation, number) => {
    const id = { log: entry.log, index: entry.index, number }
    return { id, key: keyOf(id), entry, seen, operation }
  })
}

function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}
