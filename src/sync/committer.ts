/**
 * The one appender of a device's two logs: operations and blocks are accepted in memory at once
 * and appended in groups.
 *
 * An operation gets its identity when it is accepted, because the entry it will stand in is
 * known: nobody else appends to this log. A block gets its index, is sealed for it and hashed
 * when it is accepted, for the same reason. What was accepted is appended in order, the blocks
 * before the entries that name them; both logs share one write-ahead log, so after a power loss
 * an entry is only there if its blocks are.
 *
 * An entry says what its author had merged. That is settled when the entry is closed: whoever is
 * about to merge entries of others closes the open one first.
 *
 * When the disk refuses, what was accepted stays queued under the same indexes and is tried
 * again; nothing needs to be sealed anew.
 *
 * @module
 */
import { hashBlock } from '../crypto/block-hash.ts'
import type { Sealer } from '../crypto/sealer.ts'
import type { BlockStore } from './block-store.ts'
import type { Clock, Timer, Timestamp } from './clock.ts'
import { EntryBuilder, type EntryPlace } from './entry-codec.ts'
import type { EntryRow } from './entry-check.ts'
import type { Head } from './entry.ts'
import type { Log, LogKey } from './log.ts'
import type { MergedHeads } from './merged-heads.ts'
import type { Operation, OperationId } from './operation.ts'
import { SyncError } from './sync-error.ts'

/** An entry is closed when its operations reach this many bytes. */
export const ENTRY_BYTES_TARGET = 256 * 1024
/** An entry is closed when it has so many operations: others merge it in one tick. */
export const ENTRY_OPERATIONS_TARGET = 64
/** The most bytes of blocks or entries in one append. */
export const APPEND_BYTES_MAX = 4 * 1024 * 1024
/** Blocks waiting beyond this many bytes are appended without being asked for. */
export const STREAM_BYTES = 2 * 1024 * 1024
/** Writers wait while more bytes than this are accepted and not yet appended. */
export const PENDING_BYTES_MAX = 32 * 1024 * 1024
/** How long after a failed commit the next attempt is made. */
export const RETRY_DELAY_MS = 1000
/** How long an operation nobody asked to flush stays in memory. */
export const COMMIT_DELAY_MS = 200

/** What a committer needs. */
export interface CommitterParts {
  /** Where entries go. */
  readonly operationLog: Log
  /** Where blocks go. */
  readonly contentLog: BlockStore
  /** Seals entries for the operation log. */
  readonly entrySealer: Sealer
  /** Seals blocks for the content log. */
  readonly blockSealer: Sealer
  /** For time stamps of entries, delays and retries. */
  readonly clock: Clock
  /** How far every log is merged; the committer moves its own log on. */
  readonly heads: MergedHeads
  /** What the log's last entry had seen; empty for a new log. */
  readonly seen: ReadonlyMap<LogKey, number>
  /** Tree hash of an operation log that is known. */
  readonly treeHashOf: (log: LogKey, length: number) => Promise<Uint8Array>
  /** Told of each entry that is closed, before it is appended. */
  readonly onEntry: (entry: EntryRow & EntryPlace) => void
  /** Called when all that was accepted is in closed entries, before these are appended. */
  readonly onClose: () => void
  /** Called after each append to one of the logs. */
  readonly onAppend: () => void
  /** Called when all that was accepted before a commit was appended. */
  readonly onAppended: () => void
}

interface ClosedEntry {
  readonly builder: EntryBuilder
  readonly bytes: number
  readonly lamport: number
  readonly time: Timestamp
  /** What was merged since the log's previous entry was closed. */
  readonly heads: readonly Omit<Head, 'treeHash'>[]
  sealed?: Uint8Array
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Accepts operations and blocks, and appends them in groups. */
export class Committer {
  readonly #parts: CommitterParts
  #open: EntryBuilder
  #closed: ClosedEntry[] = []
  #blocks: Uint8Array[] = []
  #entryIndex: number
  #blocksAppended: number
  #blockBytes = 0
  #entryBytes = 0
  #contentHeadLength: number
  #seen: ReadonlyMap<LogKey, number>
  #timer: Timer | undefined
  #wanted = false
  #running: Promise<void> | undefined
  #waiters: { commit: Waiter[]; sync: Waiter[] } = { commit: [], sync: [] }
  #roomWaiters: Waiter[] = []
  #failure: SyncError | undefined
  #isClosed = false
  #closing: Promise<void> | undefined

  /** @param parts - the logs are borrowed: their owner closes them */
  constructor(parts: CommitterParts) {
    this.#parts = parts
    this.#entryIndex = parts.operationLog.length
    this.#blocksAppended = parts.contentLog.length
    this.#contentHeadLength = parts.contentLog.length
    this.#seen = parts.seen
    this.#open = this.#builder()
  }

  /** Bytes accepted and not yet appended. */
  get pendingBytes(): number {
    const open = this.#open.operationCount === 0 ? 0 : this.#open.byteLength
    return this.#blockBytes + this.#entryBytes + open
  }

  /** The length the operation log will have when every closed entry is appended. */
  get closedLength(): number {
    return this.#entryIndex
  }

  /** Why the last attempt to append failed, until one succeeds. */
  get failure(): SyncError | undefined {
    return this.#failure
  }

  /**
   * Accepts an operation.
   *
   * @returns its identity
   */
  add(operation: Operation): OperationId {
    this.#refuseIfStopped()
    const { byteLength, operationCount } = this.#open
    // Only now: the operation that made it full had to be applied as one of an open entry.
    if (byteLength >= ENTRY_BYTES_TARGET || operationCount >= ENTRY_OPERATIONS_TARGET) {
      this.closeEntry()
    }
    const index = this.#entryIndex
    const number = this.#open.add(operation)
    this.#later(COMMIT_DELAY_MS)
    return { log: this.#parts.operationLog.key, index, number }
  }

  /**
   * Accepts a block: seals it for the next index.
   *
   * @param content - read during the call only
   */
  addBlock(content: Uint8Array): { readonly index: number; readonly hash: Uint8Array } {
    this.#refuseIfStopped()
    const index = this.#blocksAppended + this.#blocks.length
    const sealed = this.#parts.blockSealer.seal(content, index)
    this.#blocks.push(sealed)
    this.#blockBytes += sealed.length
    if (this.#blockBytes >= STREAM_BYTES) this.#want()
    return { index, hash: hashBlock(sealed) }
  }

  /** Closes the open entry, if it has operations: what is merged from now on it has not seen. */
  closeEntry(): void {
    if (this.#open.operationCount > 0) this.#close()
  }

  /** Adds an entry without operations, which tells what is merged. */
  addHeads(): void {
    this.#refuseIfStopped()
    this.closeEntry()
    this.#close()
    this.#later(COMMIT_DELAY_MS)
  }

  /** @returns a block that is accepted and not yet appended, sealed */
  pendingBlock(index: number): Uint8Array | undefined {
    return this.#blocks[index - this.#blocksAppended]
  }

  /**
   * @returns undefined when there is room for more, else a promise that resolves when there is
   * @throws {SyncError} the reason why nothing can be appended now
   */
  room(): Promise<void> | undefined {
    this.#refuseIfStopped()
    if (this.pendingBytes <= PENDING_BYTES_MAX) return undefined
    if (this.#failure) throw this.#failure
    this.#want()
    return new Promise((resolve, reject) => this.#roomWaiters.push({ resolve, reject }))
  }

  /** Lets the next commit start within `delayMs`, so that several calls share it. */
  commitWithin(delayMs: number): void {
    this.#later(delayMs)
  }

  /** Starts a commit now; nobody waits for it, and what fails is tried again. */
  commitNow(): void {
    if (!this.#isClosed && this.#failure === undefined) this.#want()
  }

  /** @returns when all that was accepted before the call survives `kill -9` */
  commit(): Promise<void> {
    return this.#wait('commit')
  }

  /** @returns when all that was accepted before the call survives a loss of power */
  sync(): Promise<void> {
    return this.#wait('sync')
  }

  /**
   * Accepts no more from the call on; commits and syncs what was accepted before. Idempotent: a
   * later call ends as the first does.
   */
  close(): Promise<void> {
    this.#closing ??= this.#finish()
    return this.#closing
  }

  async #finish(): Promise<void> {
    try {
      const synced = this.sync()
      this.#isClosed = true
      await synced
    } finally {
      this.#isClosed = true
      this.#timer?.cancel()
      await this.#running
    }
  }

  #wait(kind: 'commit' | 'sync'): Promise<void> {
    this.#refuseIfStopped()
    return new Promise((resolve, reject) => {
      this.#waiters[kind].push({ resolve, reject })
      this.#want()
    })
  }

  #refuseIfStopped(): void {
    if (this.#failure?.code === 'DIVERGED') throw this.#failure
    if (this.#isClosed) throw new SyncError('CLOSED', 'the replica is closed')
  }

  #builder(): EntryBuilder {
    return new EntryBuilder({ log: this.#parts.operationLog.key, index: this.#entryIndex })
  }

  #close(): void {
    const { heads, clock, onEntry } = this.#parts
    const place = { log: this.#parts.operationLog.key, index: this.#entryIndex }
    const seen = new Map([...heads.named].filter(([, length]) => length > 0))
    const row = { lamport: heads.lamport + 1, time: clock.now(), seen }
    const news = [...seen]
      .filter(([log, length]) => log !== place.log && length > (this.#seen.get(log) ?? 0))
      .map(([log, length]) => ({ log, length }))
    const { lamport, time } = row
    const bytes = this.#open.byteLength
    this.#closed.push({ builder: this.#open, bytes, lamport, time, heads: news })
    this.#entryBytes += bytes
    this.#seen = seen
    heads.advance(place.log, lamport)
    onEntry({ ...place, ...row })
    this.#entryIndex += 1
    this.#open = this.#builder()
  }

  #later(delayMs: number): void {
    if (this.#wanted || this.#isClosed) return
    if (this.#timer && delayMs >= COMMIT_DELAY_MS) return
    this.#timer?.cancel()
    this.#timer = this.#parts.clock.after(delayMs, () => {
      this.#timer = undefined
      this.#want()
    })
  }

  #want(): void {
    this.#wanted = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#wanted) this.#want()
    })
  }

  async #run(): Promise<void> {
    // What the caller adds in this tick still joins the group.
    await Promise.resolve()
    while (this.#wanted) {
      this.#wanted = false
      this.#timer?.cancel()
      this.#timer = undefined
      const waiters = this.#waiters
      this.#waiters = { commit: [], sync: [] }
      await this.#runOnce(waiters)
    }
  }

  async #runOnce(waiters: { commit: Waiter[]; sync: Waiter[] }): Promise<void> {
    try {
      await this.#appendAll()
      this.#failure = undefined
      settle(waiters.commit)
      if (waiters.sync.length > 0) await this.#parts.operationLog.sync()
      settle(waiters.sync)
      this.#parts.onAppended()
    } catch (error) {
      this.#failure = asSyncError(error)
      for (const waiter of [...waiters.commit, ...waiters.sync, ...this.#roomWaiters.splice(0)]) {
        waiter.reject(this.#failure)
      }
      if (this.#failure.code !== 'DIVERGED') this.#later(RETRY_DELAY_MS)
    }
  }

  async #appendAll(): Promise<void> {
    this.closeEntry()
    this.#parts.onClose()
    const [blocks, entries] = [this.#blocks.length, this.#closed.length]
    await this.#appendBlocks(blocks)
    await this.#appendEntries(entries)
  }

  async #appendBlocks(count: number): Promise<void> {
    for (let rest = count; rest > 0;) {
      const group = takeGroup(this.#blocks, rest, block => block.length)
      const expected = this.#blocksAppended
      await this.#parts.contentLog.append(group, expected)
      this.#blocks.splice(0, group.length)
      this.#blocksAppended += group.length
      this.#blockBytes -= group.reduce((sum, block) => sum + block.length, 0)
      rest -= group.length
      this.#parts.onAppend()
      this.#admit()
    }
  }

  async #appendEntries(count: number): Promise<void> {
    for (let rest = count; rest > 0;) {
      const group = takeGroup(this.#closed, rest, entry => entry.bytes)
      // The place its operations were told, not the length the log happens to have.
      const first = this.#entryIndex - this.#closed.length
      const sealed: Uint8Array[] = []
      for (const [at, entry] of group.entries()) sealed.push(await this.#seal(entry, first + at))
      await this.#parts.operationLog.append(sealed, first)
      this.#closed.splice(0, group.length)
      this.#entryBytes -= group.reduce((sum, entry) => sum + entry.bytes, 0)
      rest -= group.length
      this.#parts.onAppend()
      this.#admit()
    }
  }

  /** Completes and seals an entry, once. */
  async #seal(entry: ClosedEntry, index: number): Promise<Uint8Array> {
    if (entry.sealed) return entry.sealed
    const heads: Head[] = []
    for (const { log, length } of entry.heads) {
      heads.push({ log, length, treeHash: await this.#parts.treeHashOf(log, length) })
    }
    const contentHead = await this.#newContentHead()
    const { lamport, time } = entry
    const plain = entry.builder.finish({ lamport, time, listVersion: 0, heads, contentHead })
    entry.sealed = this.#parts.entrySealer.seal(plain, index)
    return entry.sealed
  }

  async #newContentHead(): Promise<Head | undefined> {
    const log = this.#parts.contentLog
    const length = this.#blocksAppended
    if (length === this.#contentHeadLength) return undefined
    const treeHash = await log.treeHash(length)
    this.#contentHeadLength = length
    return { log: log.key, length, treeHash }
  }

  #admit(): void {
    if (this.pendingBytes <= PENDING_BYTES_MAX / 2) settle(this.#roomWaiters.splice(0))
  }
}

function settle(waiters: readonly Waiter[]): void {
  for (const waiter of waiters) waiter.resolve()
}

/** @returns the first items, at least 1 and at most `countMax`, of at most {@link APPEND_BYTES_MAX} in all */
function takeGroup<T>(items: readonly T[], countMax: number, bytesOf: (item: T) => number): T[] {
  const group: T[] = []
  let bytes = 0
  for (const item of items.slice(0, countMax)) {
    bytes += bytesOf(item)
    if (group.length > 0 && bytes > APPEND_BYTES_MAX) break
    group.push(item)
  }
  return group
}

function asSyncError(error: unknown): SyncError {
  if (error instanceof SyncError) return error
  return new SyncError('IO', 'a log could not be appended to', { cause: error })
}
