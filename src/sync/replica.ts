/**
 * One device's copy of a drive: its logs, the index over them, and the way from an operation to
 * a durable entry.
 *
 * An operation is applied to the index and accepted for the log in one tick; reads see it at
 * once. It survives `kill -9` when a commit has resolved and a loss of power when a sync has.
 *
 * @module
 */
import type { KeyTable } from '../crypto/key-table.ts'
import type { Random } from '../crypto/random.ts'
import { RowSealer } from '../crypto/row-sealer.ts'
import { Sealer } from '../crypto/sealer.ts'
import { applyOperation } from './apply-operation.ts'
import { BlockCache } from './block-cache.ts'
import type { BlockStore } from './block-store.ts'
import type { Clock } from './clock.ts'
import type { BlockPlace } from './content-index.ts'
import { Committer } from './committer.ts'
import type { KeyValueStore } from './key-value-store.ts'
import type { Log, LogKey } from './log.ts'
import { openBlock } from './open-block.ts'
import type { Operation, OperationId } from './operation.ts'
import type { BlockRun } from './region.ts'
import { Replay, type LogPair } from './replay.ts'
import { SyncError, type SyncErrorCode } from './sync-error.ts'
import { TreeIndex } from './tree-index.ts'
import { verifyReplica, type Damage, type VerifyOptions } from './verify-replica.ts'

/** Opened blocks kept in memory, in bytes. */
export const BLOCK_CACHE_BYTES = 64 * 1024 * 1024
/** The index is flushed after this many changed rows at the latest. */
export const INDEX_ROWS_MAX = 8192
/** The index is flushed when this long has passed since the last flush, in seconds. */
export const INDEX_FLUSH_SEC = 2

/** What a replica is made of. All of it is passed in. */
export interface ReplicaParts {
  /** Holds the index; borrowed, the owner closes it after {@link Replica.close}. */
  readonly store: KeyValueStore
  /** This device's current operation log; borrowed. */
  readonly operationLog: Log
  /** This device's current content log; borrowed. */
  readonly contentLog: BlockStore
  /** This device's earlier epochs, read only; borrowed. */
  readonly earlier: readonly LogPair[]
  /** The drive's id, 32 bytes. */
  readonly drive: Uint8Array
  /** The drive's keys. */
  readonly keys: KeyTable
  /** The key of this device's index, 32 bytes. */
  readonly indexKey: Uint8Array
  /** Time. */
  readonly clock: Clock
  /** Randomness for nonces. */
  readonly random: Random
  /** Called when the index turns out to be damaged; it should be made anew at the next start. */
  readonly onIndexDamage?: () => void
  /**
   * Refuse, with `DIVERGED`, to go on in logs that lost entries which the index has applied.
   * Otherwise the index is made anew from what is there.
   */
  readonly refuseRollBack?: boolean
  /** Told how many of how many entries have been read while opening. */
  readonly onProgress?: (done: number, total: number) => void
}

/** Numbers about a replica, for people. */
export interface ReplicaStatus {
  /** Bytes accepted and not yet appended to a log. */
  readonly unflushedBytes: number
  /** Entries that could not be read when the index was brought up to date. */
  readonly damagedEntries: number
  /** Why the last attempt to append failed, if it did. */
  readonly failure: string | undefined
}

/** How an operation is executed. */
export interface ExecuteOptions {
  /** Gives a created inode this number, which an open file without a name had until now. */
  readonly ino?: number
  /** `false` for a change of a file that has no name: it is applied and not recorded. */
  readonly recorded?: boolean
}

/** One device's copy of a drive. */
export class Replica {
  /** The tree as it is now. */
  readonly index: TreeIndex
  /** Whether the index was made from nothing: blocks may be stored that no row of it knows. */
  readonly wasRebuilt: boolean
  /** Whether an inode is open, so that it stays when its last name goes. Set by the file system. */
  isOpen: (ino: number) => boolean = () => false
  readonly #parts: ReplicaParts
  readonly #committer: Committer
  readonly #contentLogs: ReadonlyMap<LogKey, BlockStore>
  readonly #contentLengths: ReadonlyMap<LogKey, number>
  readonly #sealers = new Map<LogKey, Sealer>()
  readonly #cache = new BlockCache(BLOCK_CACHE_BYTES)
  readonly #loading = new Map<string, Promise<Uint8Array>>()
  readonly #damagedEntries: number
  #frozenLength = 0
  #flushing: Promise<void> | undefined
  #flushedSec: number
  #isClosed = false

  private constructor(
    parts: ReplicaParts,
    index: TreeIndex,
    { replay, wasRebuilt }: { readonly replay: Replay; readonly wasRebuilt: boolean }
  ) {
    this.wasRebuilt = wasRebuilt
    this.#parts = parts
    this.index = index
    this.#damagedEntries = replay.damaged.length
    this.#flushedSec = parts.clock.now().sec
    this.#contentLogs = new Map(
      [...parts.earlier.map(pair => pair.contentLog), parts.contentLog].map(log => [log.key, log])
    )
    this.#contentLengths = new Map([...this.#contentLogs].map(([key, log]) => [key, log.length]))
    this.#committer = new Committer({
      operationLog: parts.operationLog,
      contentLog: parts.contentLog,
      entrySealer: sealerOf(parts, 'entry', parts.operationLog.key),
      blockSealer: this.#blockSealer(parts.contentLog.key),
      clock: parts.clock,
      lamport: replay.lamport,
      firstHeads: replay.firstHeads,
      onClose: () => this.#freezeIndex(),
      onAppended: () => this.#flushIndex()
    })
  }

  /**
   * Opens a replica and brings its index up to date with its logs. An index that is empty, of
   * another version, ahead of its logs or of another history is made anew from them.
   *
   * @throws {SyncError} `NEWER_FORMAT` when an entry was made by a newer grove; `IO`
   */
  static async open(parts: ReplicaParts): Promise<Replica> {
    const sealer = new RowSealer({ key: parts.indexKey, random: parts.random })
    const replay = new Replay({
      pairs: [...parts.earlier, { operationLog: parts.operationLog, contentLog: parts.contentLog }],
      sealerOf: log => sealerOf(parts, 'entry', log),
      onProgress: parts.onProgress ?? (() => undefined)
    })
    let index = await TreeIndex.open({ store: parts.store, sealer })
    if (!(await replay.continues(index))) {
      if (parts.refuseRollBack === true) throw new SyncError('DIVERGED', 'a log lost entries')
      await parts.store.clear()
      index = await TreeIndex.open({ store: parts.store, sealer })
    }
    index.onDamage = parts.onIndexDamage ?? (() => undefined)
    const [applied] = index.appliedLogs()
    await replay.run(index)
    index.purgeOrphans(parts.clock.now().sec)
    return new Replica(parts, index, { replay, wasRebuilt: applied === undefined })
  }

  /** Numbers for people. */
  get status(): ReplicaStatus {
    return {
      unflushedBytes: this.#committer.pendingBytes,
      damagedEntries: this.#damagedEntries,
      failure: this.#committer.failure?.message
    }
  }

  /** Bytes accepted and not yet appended to a log. */
  get pendingBytes(): number {
    return this.#committer.pendingBytes
  }

  /** Why the last attempt to append failed, until one succeeds. */
  get failureCode(): SyncErrorCode | undefined {
    return this.#committer.failure?.code
  }

  /**
   * Executes an operation: it is visible when the call returns and will be committed.
   *
   * @returns its identity
   */
  execute(operation: Operation, options: ExecuteOptions = {}): OperationId {
    const { ino, recorded = true } = options
    const id = recorded ? this.#committer.add(operation) : this.#unrecordedId(operation)
    const isOpen = this.isOpen
    applyOperation(this.index, id, operation, ino === undefined ? { isOpen } : { ino, isOpen })
    return id
  }

  /**
   * Accepts a block of content.
   *
   * @param content - read during the call only
   * @returns what a piece says of it
   */
  addBlock(content: Uint8Array): {
    readonly log: LogKey
    readonly index: number
    readonly hash: Uint8Array
  } {
    return { log: this.#parts.contentLog.key, ...this.#committer.addBlock(content) }
  }

  /**
   * Reads the block that a run points into.
   *
   * @returns the opened block, which must not be changed; a promise when the disk must be asked
   * @throws {SyncError} `MISSING`, `DAMAGED`, `IO`
   */
  readBlock(run: BlockRun): Uint8Array | Promise<Uint8Array> {
    const key = `${run.log}/${run.index}`
    return this.#cache.get(key) ?? this.#loading.get(key) ?? this.#load(key, run)
  }

  /** Starts reading a block that will soon be asked for; its errors are left to that call. */
  prefetchBlock(run: BlockRun): void {
    const key = `${run.log}/${run.index}`
    if (this.#cache.get(key) || this.#loading.has(key)) return
    const loading = this.#load(key, run)
    if (loading instanceof Promise) loading.catch(() => undefined)
  }

  /** @returns undefined when more can be accepted, else a promise of it. @throws {SyncError} */
  room(): Promise<void> | undefined {
    return this.#committer.room()
  }

  /** Lets a commit start within `delayMs`. */
  commitWithin(delayMs: number): void {
    this.#committer.commitWithin(delayMs)
  }

  /** @returns when all executed operations survive `kill -9`. @throws {SyncError} */
  commit(): Promise<void> {
    return this.#committer.commit()
  }

  /** @returns when all executed operations survive a loss of power. @throws {SyncError} */
  sync(): Promise<void> {
    return this.#committer.sync()
  }

  /** Reads and authenticates every entry and block held here; yields what is damaged. */
  verify(options: VerifyOptions): AsyncIterable<Damage> {
    const { operationLog, contentLog, earlier } = this.#parts
    return verifyReplica({
      index: this.index,
      pairs: [...earlier, { operationLog, contentLog }],
      entrySealerOf: log => sealerOf(this.#parts, 'entry', log),
      readBlock: run => this.#read(run),
      options
    })
  }

  /**
   * Clears blocks that nothing has used since `sec` or before. What superseded them is made
   * durable first, so that no loss of power brings back a version whose blocks are gone.
   *
   * @param countMax - about how many at most
   * @returns how many were looked at; fewer than `countMax` means there are no more
   */
  async clearSuperseded(sec: number, countMax: number): Promise<number> {
    const found = [...this.index.content.supersededBefore(sec, countMax)]
    if (found.length === 0) return 0
    await this.sync()
    // Unused is for ever: only a run can be copied, and no run points into an unused block.
    await this.#clear(found.filter(block => this.index.content.useCount(block) === 0))
    for (const block of found) this.index.content.forgetSuperseded(block)
    return found.length
  }

  /**
   * Clears blocks that no operation ever named: a process died between appending them and
   * recording what they were for. Clears none while an entry cannot be read, which may name them.
   *
   * @param range - of which content log, and which of the blocks that were there at the start
   */
  async clearUnrecorded(range: {
    readonly log: LogKey
    readonly from: number
    readonly to: number
  }): Promise<void> {
    if (this.index.hasGaps) return
    const log = this.index.addLog(range.log)
    const unused: BlockPlace[] = []
    for (let index = range.from; index < range.to; index++) {
      if (!this.index.content.isRecorded({ log, index })) unused.push({ log, index })
    }
    await this.#clear(unused)
  }

  /** The content logs and how many blocks each had when the replica was opened. */
  contentLengthsAtStart(): ReadonlyMap<LogKey, number> {
    return this.#contentLengths
  }

  /** Gives the disk space of cleared blocks back to the file system. May take seconds. */
  async compact(): Promise<void> {
    await this.#parts.contentLog.compact()
  }

  /** Commits, syncs and flushes the index. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      await this.#committer.close()
      await this.#flushing
      await this.#writeIndex()
      this.#freeze()
      await this.#writeIndex()
      await this.#parts.store.sync()
    } finally {
      await Promise.allSettled(this.#loading.values())
    }
  }

  async #clear(blocks: readonly BlockPlace[]): Promise<void> {
    for (const { log, from, to } of rangesOf(blocks)) {
      await this.#contentLogs.get(this.index.logs.keyOf(log))?.clear({ from, to })
    }
  }

  #unrecordedId(operation: Operation): OperationId {
    if (!('inode' in operation)) throw new TypeError('only a change of one inode can go unrecorded')
    return operation.inode
  }

  #load(key: string, run: BlockRun): Uint8Array | Promise<Uint8Array> {
    const pending = this.#pending(run)
    if (pending) return pending
    const loading = this.#read(run)
      .then(block => {
        this.#cache.set(key, block)
        return block
      })
      .finally(() => this.#loading.delete(key))
    this.#loading.set(key, loading)
    return loading
  }

  #pending(run: BlockPlace): Uint8Array | undefined {
    const log = this.index.logs.keyOf(run.log)
    if (log !== this.#parts.contentLog.key) return undefined
    const sealed = this.#committer.pendingBlock(run.index)
    return sealed && openBlock(this.#blockSealer(log), sealed, run.index)
  }

  async #read(run: BlockPlace): Promise<Uint8Array> {
    const pending = this.#pending(run)
    if (pending) return pending
    const key = this.index.logs.keyOf(run.log)
    const log = this.#contentLogs.get(key)
    if (log === undefined) throw new SyncError('MISSING', 'the content log is not held here')
    return openBlock(this.#blockSealer(key), await log.get(run.index), run.index)
  }

  #blockSealer(log: LogKey): Sealer {
    let sealer = this.#sealers.get(log)
    if (sealer === undefined) this.#sealers.set(log, (sealer = sealerOf(this.#parts, 'block', log)))
    return sealer
  }

  #freezeIndex(): void {
    if (this.index.isFrozen || this.index.changeCount === 0) return
    const { sec } = this.#parts.clock.now()
    const isDue = Math.abs(sec - this.#flushedSec) >= INDEX_FLUSH_SEC
    if (!isDue && this.index.changeCount < INDEX_ROWS_MAX) return
    this.#flushedSec = sec
    this.#freeze()
  }

  #freeze(): void {
    this.#frozenLength = this.#committer.closedLength
    this.index.freeze()
  }

  #flushIndex(): void {
    if (!this.index.isFrozen || this.#flushing) return
    // The index is a cache: if it cannot be written now, the next commit tries again.
    this.#flushing = this.#writeIndex()
      .catch(() => undefined)
      .finally(() => {
        this.#flushing = undefined
      })
  }

  async #writeIndex(): Promise<void> {
    if (!this.index.isFrozen) return
    const log = this.#parts.operationLog
    const length = this.#frozenLength
    await this.index.write([{ log: log.key, length, treeHash: await log.treeHash(length) }])
  }
}

/** @returns blocks as runs of neighbours */
function rangesOf(blocks: readonly BlockPlace[]): { log: number; from: number; to: number }[] {
  const sorted = blocks.toSorted((left, right) => left.log - right.log || left.index - right.index)
  const ranges: { log: number; from: number; to: number }[] = []
  for (const { log, index } of sorted) {
    const last = ranges.at(-1)
    if (last?.log === log && last.to === index) last.to = index + 1
    else ranges.push({ log, from: index, to: index + 1 })
  }
  return ranges
}

function sealerOf(parts: ReplicaParts, purpose: 'entry' | 'block', log: LogKey): Sealer {
  const { keys, drive, random } = parts
  return new Sealer({ keys, purpose, drive, log: bytesOfHex(log), random })
}

function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) =>
    Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16)
  )
}
