/**
 * Brings the entries of all operation logs into the index in causal order: those of this device's
 * earlier runs at start, and those of other devices whenever they arrive. Both are one mechanism.
 *
 * - An entry is applied when all its causes are; until then it stays in its log, and its queue
 *   waits. Of the entries that can be applied the one with the lowest lamport comes first, so that
 *   most operations are newer than all they meet.
 * - Entries are applied in batches. A batch is applied in one tick: nobody sees half of one. It
 *   is bounded in time and in operations, and between two of them others have their turn.
 * - An entry that breaks the rules is refused by every device that has its causes, and with it
 *   the rest of its log. One that cannot be read yet is tried again.
 *
 * @module
 */
import type { Sealer } from '../crypto/sealer.ts'
import { applyOperation } from './apply-operation.ts'
import type { Clock, Timer } from './clock.ts'
import {
  checkEntry,
  checkOwnEntry,
  type EntryRow,
  type MergedEntries,
  type MissingCause
} from './entry-check.ts'
import { asError, EntryQueue, hasHistory, type QueuedEntry } from './entry-queue.ts'
import type { Head } from './entry.ts'
import type { LogKey, ReadableLog } from './log.ts'
import type { MergedHeads } from './merged-heads.ts'
import type { Operation, OperationId } from './operation.ts'
import { SyncError } from './sync-error.ts'
import type { RecordedEntry, TreeIndex } from './tree-index.ts'
import type { ViewChanges } from './view-changes.ts'

/** How long a batch should take at most, in milliseconds; one entry may take longer. */
export const BATCH_MS = 8
/** The same, in milliseconds, where somebody waits for the batch to be over. */
export const AWAITED_BATCH_MS = 2
/**
 * A batch takes up no further entry that would make it have more operations than this. What it
 * takes to show them is only known at its end.
 */
export const BATCH_OPERATIONS_MAX = 128
/** Within a batch files are derived anew when so many of them wait for it. */
export const FAMILIES_WAITING_MAX = 16
/** Above so many bytes read ahead of all logs, logs that wait forget what they have read. */
export const BYTES_AHEAD_MAX = 64 * 1024 * 1024
/** An entry that could not be read is tried again after this long, in milliseconds. */
export const REREAD_DELAY_MS = 10_000

/** An operation that was merged. */
export interface MergedOperation {
  /** Its identity. */
  readonly id: OperationId
  /** What it does. */
  readonly operation: Operation
}

/** What a batch did. */
export interface MergedBatch {
  /** What changed in the tree as it is shown. */
  readonly changes: ViewChanges
  /** The operations, in the order in which they were applied. */
  readonly operations: readonly MergedOperation[]
}

/** An entry that could not be read. */
export interface DamagedEntry {
  /** The log. */
  readonly log: LogKey
  /** The entry's index. */
  readonly index: number
}

/** A log whose next entry breaks the rules: neither it nor what follows it is merged. */
export interface QuarantinedLog {
  /** The log. */
  readonly log: LogKey
  /** Index of the first entry that is not merged. */
  readonly index: number
  /** Why, for people. */
  readonly reason: string
}

/** What a merger needs. */
export interface MergerParts {
  /** Where operations are applied. */
  readonly index: TreeIndex
  /** How far every log is merged; the merger moves it on. */
  readonly heads: MergedHeads
  /** Opens entries of a log. */
  readonly sealerOf: (log: LogKey) => Sealer
  /** For the bounds of a batch and for trying again. */
  readonly clock: Clock
  /** Lets others have their turn. */
  readonly yieldToEventLoop: () => Promise<void>
  /** Whether somebody waits for a batch to be over. */
  readonly isAwaited: () => boolean
}

/** What happens around a batch; all but `room` within its tick. */
export interface MergerHooks {
  /** Whether an inode without a name must stay because it is open. */
  isOpen: (ino: number) => boolean
  /** Called before the first operation of a batch is applied. */
  beforeBatch: () => void
  /** Called when a batch is applied and settled. */
  afterBatch: (batch: MergedBatch) => void
  /** Holds merging back. @returns undefined when more changes can be taken, else a promise of it */
  room: () => Promise<void> | undefined
  /** Told why merging has stopped for good: the index may hold a part of an entry. */
  onFailure: () => void
}

/** One log as the merger takes it. */
export interface MergedLog {
  /** The log; borrowed. */
  readonly log: ReadableLog
  /** The content log that goes with it. */
  readonly contentLog: LogKey
  /** Whether this device wrote it. */
  readonly isOwn: boolean
}

/** Applies what arrives. */
export class Merger {
  /** Entries of this device that were passed over because they could not be read. */
  readonly damaged: DamagedEntry[] = []
  /** What happens around a batch; set by the owner. */
  hooks: MergerHooks = {
    isOpen: () => false,
    beforeBatch: () => undefined,
    afterBatch: () => undefined,
    room: () => undefined,
    onFailure: () => undefined
  }
  readonly #parts: MergerParts
  readonly #queues = new Map<LogKey, EntryQueue>()
  readonly #logs = new Map<LogKey, ReadableLog>()
  readonly #contentLogs = new Set<LogKey>()
  /** The entry that each log was last merged to: the one that is asked for most. */
  readonly #newest = new Map<LogKey, { readonly length: number; readonly row: EntryRow }>()
  #failure: Error | undefined
  #operationsMax = BATCH_OPERATIONS_MAX
  #running: Promise<void> | undefined
  #onRead: () => void = () => undefined
  #isWoken = false
  #isClosed = false
  #retry: Timer | undefined

  /** @param parts - borrowed */
  constructor(parts: MergerParts) {
    this.#parts = parts
  }

  /** Logs whose next entry breaks the rules. */
  get quarantined(): readonly QuarantinedLog[] {
    return [...this.#queues.values()].flatMap(({ log, index, refusal }) =>
      refusal === undefined ? [] : [{ log: log.key, index, reason: refusal }]
    )
  }

  /** How many entries are here and wait for their causes, or for bytes that can be read. */
  get waiting(): number {
    let count = 0
    for (const queue of this.#queues.values()) {
      const isWaiting = queue.cause !== undefined || queue.error !== undefined
      if (queue.refusal === undefined && isWaiting) count += queue.remaining
    }
    return count
  }

  /** Why merging has stopped for good, if it has. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Adds a log that is read from where the index stands. */
  add({ log, contentLog, isOwn }: MergedLog): void {
    const { index, heads } = this.#parts
    index.addLog(log.key)
    index.addLog(contentLog)
    const { length } = index.cursor(log.key)
    const newest = newestRow(index, log.key, length)
    const lamport = newest?.lamport ?? 0
    heads.add(log.key, length, { named: newest ? newest.index + 1 : 0, lamport })
    this.#logs.set(log.key, log)
    this.#contentLogs.add(contentLog)
    const parts = { log, contentLog, isOwn, from: length }
    const sealer = this.#parts.sealerOf(log.key)
    this.#queues.set(log.key, new EntryQueue({ ...parts, sealer, onRead: () => this.#onRead() }))
  }

  /** Says that this process appends to a log itself from now on: it is read no more. */
  release(log: LogKey): void {
    this.#queues.delete(log)
  }

  /** Says that a log may have grown, or has become readable. */
  wake(log: LogKey): void {
    const queue = this.#queues.get(log)
    if (queue?.error !== undefined) queue.drop()
    this.start()
  }

  /** Merges in the background whatever can be merged. */
  start(): void {
    this.#isWoken = true
    this.#onRead()
    if (this.#isClosed || this.#failure !== undefined) return
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      // Whoever woke it just as it ended must not be forgotten.
      if (this.#isWoken) this.start()
    })
  }

  /** @returns when nothing that can be merged is left */
  async settled(): Promise<void> {
    while (this.#running) await this.#running
  }

  /**
   * Merges until all entries of this device are applied, and those that they need.
   *
   * @param onProgress - told how many of how many of them are applied
   * @returns how many of this device there were
   * @throws {SyncError} `DIVERGED` when entries that the newest log had seen are not here;
   *   `NEWER_FORMAT`, `IO`
   */
  async catchUp(onProgress: (done: number, total: number) => void): Promise<number> {
    const own = [...this.#queues.values()].filter(queue => queue.isOwn)
    const total = remainingOf(own)
    let isMoving = true
    while (isMoving && remainingOf(own) > 0) {
      isMoving = await this.#step()
      this.#throwIfUnreadable(own)
      onProgress(total - remainingOf(own), total)
    }
    if ((own.at(-1)?.remaining ?? 0) > 0) {
      throw new SyncError('DIVERGED', 'entries of other devices that this one had seen are lost')
    }
    return total
  }

  /** Stops; waits for the batch under way. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#retry?.cancel()
    this.#onRead()
    await this.#running
  }

  async #run(): Promise<void> {
    // Whoever else says in this tick that a log has grown is heard by the same run.
    await Promise.resolve()
    while (!this.#isClosed && this.#failure === undefined) {
      this.#isWoken = false
      const isMoving = await this.#step()
      if (isMoving || this.#isWoken) continue
      this.#retryLater()
      return
    }
  }

  /** Goes on by one batch, or waits for something to be read. @returns false when nothing is left */
  async #step(): Promise<boolean> {
    this.#readAhead()
    const wasAtWork = this.#work()
    if (wasAtWork) {
      await this.#parts.yieldToEventLoop()
      await this.hooks.room()
      return this.#failure === undefined
    }
    if (!this.#isReading()) return false
    await new Promise<void>(resolve => {
      this.#onRead = resolve
    })
    return true
  }

  #readAhead(): void {
    let bytes = 0
    for (const queue of this.#queues.values()) {
      if (queue.cause && this.#isMet(queue.cause)) queue.cause = undefined
      queue.readAhead()
      bytes += queue.bytesAhead
    }
    if (bytes <= BYTES_AHEAD_MAX) return
    for (const queue of this.#queues.values()) if (queue.cause) queue.drop()
  }

  /** Opens what was read and applies what can be applied, as long as the time of a batch lasts. */
  #work(): boolean {
    const startMs = this.#nowMs()
    const isTimeUp = (): boolean => {
      const tookMs = Math.abs(this.#nowMs() - startMs)
      return tookMs >= BATCH_MS || (tookMs >= AWAITED_BATCH_MS && this.#parts.isAwaited())
    }
    let done = 0
    try {
      for (const queue of this.#queues.values()) {
        if (done > 0 && isTimeUp()) break
        done += queue.open(isTimeUp) + this.#passOverDamaged(queue)
      }
      return this.#mergeBatch(isTimeUp) || done > 0
    } catch (error) {
      // What was applied of an entry must not be taken for all of it: nothing goes on.
      this.#failure = asError(error)
      this.hooks.onFailure()
      return true
    }
  }

  #mergeBatch(isTimeUp: () => boolean): boolean {
    let next = this.#next()
    if (next === undefined) return false
    const { index } = this.#parts
    const startMs = this.#nowMs()
    this.hooks.beforeBatch()
    const operations: MergedOperation[] = []
    do {
      this.#apply(next, operations)
      // Between two entries, so that the time it takes is seen before the batch grows further.
      if (index.markedCount >= FAMILIES_WAITING_MAX) index.settleFamilies()
      next = this.#next()
    } while (
      next !== undefined &&
      operations.length + next.operationCount <= this.#operationsMax &&
      !isTimeUp()
    )
    this.hooks.afterBatch({ changes: index.settle(), operations })
    this.#learnFrom(operations.length, Math.abs(this.#nowMs() - startMs))
    return true
  }

  /** What settles a batch comes at its end: the time that it took bounds the next one. */
  #learnFrom(count: number, batchMs: number): void {
    const wanted =
      batchMs > BATCH_MS ? Math.floor((count * BATCH_MS) / batchMs) : this.#operationsMax * 2
    this.#operationsMax = Math.min(BATCH_OPERATIONS_MAX, Math.max(1, wanted))
  }

  /** The entry that comes next; undefined when there is none, or an earlier one may still come. */
  #next(): Candidate | undefined {
    let best: Candidate | undefined
    for (const queue of this.#queues.values()) {
      if (queue.cause && !this.#isMet(queue.cause)) continue
      if (queue.front === undefined && this.#mayCome(queue)) return undefined
      const candidate = this.#candidate(queue)
      if (candidate === 'asked') return undefined
      if (candidate && (best === undefined || isBefore(candidate, best))) best = candidate
    }
    return best
  }

  /** Whether a queue's next entry is on its way: it may have to come before all others. */
  #mayCome(queue: EntryQueue): boolean {
    if (queue.refusal !== undefined || queue.remaining === 0) return false
    return queue.error === undefined || isPassedOver(queue)
  }

  #candidate(queue: EntryQueue): Candidate | 'asked' | undefined {
    const { front } = queue
    if (front === undefined) return undefined
    front.row ??= this.#check(queue, front)
    if (front.row === undefined) return undefined
    if (front.histories === 'unknown') this.#askHistories(queue, front)
    if (front.histories === 'asked') return 'asked'
    return {
      ...{ queue, front, row: front.row },
      operationCount: front.entry.operations.length
    }
  }

  #check(queue: EntryQueue, front: QueuedEntry): EntryRow | undefined {
    queue.cause = undefined
    const place = { log: queue.log.key, index: front.index, contentLog: queue.contentLog }
    const check = queue.isOwn ? checkOwnEntry : checkEntry
    const verdict = check(front.entry, place, this.#merged)
    if (verdict.kind === 'refused') queue.refuse(verdict.reason)
    if (verdict.kind === 'waits') queue.cause = verdict.cause
    return verdict.kind === 'ready' ? verdict.row : undefined
  }

  readonly #merged: MergedEntries = {
    lengthOf: (log: LogKey) => this.#parts.heads.lengths.get(log),
    newestRow: (log: LogKey, length: number) => this.#newestRow(log, length),
    isContentLog: (log: LogKey) => this.#contentLogs.has(log),
    isComplete: () => !this.#parts.index.hasGaps
  }

  #newestRow(log: LogKey, length: number): EntryRow | undefined {
    const newest = this.#newest.get(log)
    if (newest?.length === length) return newest.row
    return newestRow(this.#parts.index, log, length)
  }

  #isMet({ log, length }: MissingCause): boolean {
    if (length === 0) return this.#contentLogs.has(log)
    return (this.#parts.heads.lengths.get(log) ?? 0) >= length
  }

  /** Compares the histories that the heads of an entry name with those that are here. */
  #askHistories(queue: EntryQueue, front: QueuedEntry): void {
    front.histories = 'asked'
    this.#areSame(front.entry.heads).then(
      areSame => {
        if (areSame) front.histories = 'same'
        else if (queue.front === front) queue.refuse('its heads name another history of a log')
        this.#onRead()
      },
      (error: unknown) => {
        if (queue.front === front) queue.fail(asError(error))
        this.#onRead()
      }
    )
  }

  async #areSame(heads: readonly Head[]): Promise<boolean> {
    const answers = await Promise.all(
      heads.map(head => {
        const log = this.#logs.get(head.log)
        return log !== undefined && hasHistory(log, head)
      })
    )
    return answers.every(Boolean)
  }

  #apply({ queue, front, row }: Candidate, applied: MergedOperation[]): void {
    const { index, heads } = this.#parts
    const log = queue.log.key
    const at = front.index
    index.recordEntry({ log, index: at, ...row })
    for (const [number, operation] of front.entry.operations.entries()) {
      const id = { log, index: at, number }
      applyOperation(index, id, operation, this.hooks)
      applied.push({ id, operation })
    }
    heads.advance(log, row.lamport)
    this.#newest.set(log, { length: front.index + 1, row })
    queue.take()
  }

  /** Own entries that are damaged are passed over, others waited for. @returns how many were */
  #passOverDamaged(queue: EntryQueue): number {
    let count = 0
    for (; isPassedOver(queue); count++) {
      this.damaged.push({ log: queue.log.key, index: queue.index })
      this.#parts.index.setGaps()
      this.#parts.heads.pass(queue.log.key)
      queue.take()
    }
    const { error, isOwn } = queue
    if (error instanceof SyncError && !isOwn && REFUSED.has(error.code)) queue.refuse(error.message)
    return count
  }

  #throwIfUnreadable(own: readonly EntryQueue[]): void {
    if (this.#failure !== undefined) throw this.#failure
    for (const queue of own) {
      if (queue.error !== undefined && !isPassedOver(queue)) throw queue.error
    }
  }

  #isReading(): boolean {
    for (const queue of this.#queues.values()) {
      if (queue.isBusy || queue.front?.histories === 'asked') return true
    }
    return false
  }

  #retryLater(): void {
    const failed = [...this.#queues.values()].filter(({ error }) => error !== undefined)
    if (failed.length === 0 || this.#isClosed) return
    this.#retry?.cancel()
    this.#retry = this.#parts.clock.after(REREAD_DELAY_MS, () => {
      for (const queue of failed) if (queue.error !== undefined) queue.drop()
      this.start()
    })
  }

  #nowMs(): number {
    const { sec, nsec } = this.#parts.clock.now()
    return sec * 1000 + nsec / 1_000_000
  }
}

interface Candidate {
  readonly queue: EntryQueue
  readonly front: QueuedEntry
  readonly row: EntryRow
  readonly operationCount: number
}

/** What of an own log is passed over. */
const DAMAGE: ReadonlySet<string> = new Set(['DAMAGED', 'MISSING', 'MALFORMED'])
/** What ends the merging of another device's log; anything else may get better. */
const REFUSED: ReadonlySet<string> = new Set(['MALFORMED', 'NEWER_FORMAT'])

function isPassedOver({ isOwn, error }: EntryQueue): boolean {
  return isOwn && error instanceof SyncError && DAMAGE.has(error.code)
}

function isBefore(left: Candidate, right: Candidate): boolean {
  const byLamport = left.row.lamport - right.row.lamport
  return byLamport < 0 || (byLamport === 0 && left.queue.log.key < right.queue.log.key)
}

function remainingOf(queues: readonly EntryQueue[]): number {
  return queues.reduce((sum, queue) => sum + queue.remaining, 0)
}

/** @returns the newest of the first entries of a log that is no damaged one */
export function newestRow(
  index: TreeIndex,
  log: LogKey,
  length: number
): RecordedEntry | undefined {
  for (let at = length - 1; at >= 0; at--) {
    const row = index.recordedEntry(log, at)
    if (row !== undefined) return row
  }
  return undefined
}
