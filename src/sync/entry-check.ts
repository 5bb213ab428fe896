/**
 * Whether an entry of another device may be merged: a pure function of the entry and of what is
 * merged of its causes, so that every device that has them comes to the same answer.
 *
 * @module
 */
import type { Timestamp } from './clock.ts'
import type { EntryPlace } from './entry-codec.ts'
import type { Entry } from './entry.ts'
import type { LogKey } from './log.ts'
import type { Operation } from './operation.ts'

/** What is known of a merged entry. A value. */
export interface EntryRow {
  /** Its lamport. */
  readonly lamport: number
  /** Its author's wall time. */
  readonly time: Timestamp
  /**
   * For every operation log how many entries the author had seen, causes of causes included; of
   * its own log those before it.
   */
  readonly seen: ReadonlyMap<LogKey, number>
}

/** What the check asks of the replica. */
export interface MergedEntries {
  /** How many entries of an operation log are merged; undefined for one that is not known. */
  lengthOf(log: LogKey): number | undefined
  /** The newest readable entry among the first `length` of a log. */
  newestRow(log: LogKey, length: number): EntryRow | undefined
  /** Whether a log is the content log of a known device. */
  isContentLog(log: LogKey): boolean
  /** `false` when damaged entries were passed over here: of those the lamport is not known. */
  isComplete(): boolean
}

/** A cause that is not here yet. */
export interface MissingCause {
  /** An operation log, or a content log that is not known. */
  readonly log: LogKey
  /** The length it must be merged to; 0 for a content log, which must only be known. */
  readonly length: number
}

/** What becomes of an entry. */
export type Verdict =
  | { readonly kind: 'ready'; readonly row: EntryRow }
  | { readonly kind: 'waits'; readonly cause: MissingCause }
  | { readonly kind: 'refused'; readonly reason: string }

/** Where an entry stands and whose it is. */
export interface CheckedPlace extends EntryPlace {
  /** The content log that goes with its log. */
  readonly contentLog: LogKey
}

/** Checks an entry of another device, all of whose predecessors are merged. */
export function checkEntry(entry: Entry, place: CheckedPlace, merged: MergedEntries): Verdict {
  if (entry.contentHead && entry.contentHead.log !== place.contentLog) {
    return { kind: 'refused', reason: 'its content head is that of another log' }
  }
  const before = merged.newestRow(place.log, place.index)?.seen
  if (entry.heads.some(head => head.length <= (before?.get(head.log) ?? 0))) {
    return { kind: 'refused', reason: 'its heads do not grow' }
  }
  const cause = missingCause(entry, merged)
  if (cause !== undefined) return { kind: 'waits', cause }
  const row = rowOf(entry, place, merged)
  const isLamport = merged.isComplete()
    ? entry.lamport === row.lamport
    : entry.lamport >= row.lamport
  if (!isLamport)
    return { kind: 'refused', reason: 'its lamport is not 1 more than its causes have' }
  return { kind: 'ready', row: { ...row, lamport: entry.lamport } }
}

/**
 * The same for an entry of this device: only its causes are asked for.
 *
 * @returns what is kept of it, or the cause that is missing
 */
export function checkOwnEntry(entry: Entry, place: EntryPlace, merged: MergedEntries): Verdict {
  const cause = missingCause(entry, merged)
  if (cause !== undefined) return { kind: 'waits', cause }
  return { kind: 'ready', row: { ...rowOf(entry, place, merged), lamport: entry.lamport } }
}

/** What its heads and its predecessor make of an entry. */
function rowOf(entry: Entry, place: EntryPlace, merged: MergedEntries): EntryRow {
  const seen = new Map<LogKey, number>()
  let lamport = 0
  const causes = [...entry.heads, { log: place.log, length: place.index }]
  for (const { log, length } of causes) {
    const row = merged.newestRow(log, length)
    lamport = Math.max(lamport, row?.lamport ?? 0)
    for (const [cause, count] of row?.seen ?? []) raise(seen, cause, count)
    raise(seen, log, length)
  }
  return { lamport: lamport + 1, time: entry.time, seen }
}

function raise(seen: Map<LogKey, number>, log: LogKey, length: number): void {
  if (length > (seen.get(log) ?? 0)) seen.set(log, length)
}

function missingCause(entry: Entry, merged: MergedEntries): MissingCause | undefined {
  for (const { log, length } of entry.heads) {
    if ((merged.lengthOf(log) ?? 0) < length) return { log, length }
  }
  for (const operation of entry.operations) {
    const unknown = contentLogsOf(operation).find(log => !merged.isContentLog(log))
    if (unknown !== undefined) return { log: unknown, length: 0 }
  }
  return undefined
}

function contentLogsOf(operation: Operation): readonly LogKey[] {
  if (operation.type !== 'write') return NO_LOGS
  const logs: LogKey[] = []
  for (const piece of operation.pieces) if (piece.kind === 'block') logs.push(piece.log)
  return logs
}

const NO_LOGS: readonly LogKey[] = []
