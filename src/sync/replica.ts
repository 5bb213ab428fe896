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
import { BlockReader, FETCH_DEADLINE_MS, type ReadBlockOptions } from './block-reader.ts'
import type { BlockStore } from './block-store.ts'
import type { Clock } from './clock.ts'
import { Committer } from './committer.ts'
import { contentBlocksOf, missingBlocks, type ContentBlock } from './content-blocks.ts'
import type { BlockPlace, SupersededBlock } from './content-index.ts'
import {
  blocksOf,
  filesOf,
  scanContentNeeds,
  type KeptFile,
  type NeededBlocks
} from './content-needs.ts'
import { devicesOf, hasPassed, type SeenLog } from './device-heads.ts'
import { effectiveLevels } from './effective-redundancy.ts'
import { HeadsAnnouncer } from './heads-announcer.ts'
import { CATCH_UP_ROWS_MAX, IndexFlusher } from './index-flusher.ts'
import type { KeyValueStore } from './key-value-store.ts'
import type { Log, LogKey, ReadableLog } from './log.ts'
import { lostLogs, type KnownLogs, type LogPair } from './log-pair.ts'
import { MergedHeads } from './merged-heads.ts'
import { Merger, newestRow, type MergedBatch, type QuarantinedLog } from './merger.ts'
import type { Name, Operation, OperationId } from './operation.ts'
import { pathOf } from './path-of.ts'
import type { Durability, Redundancy } from './redundancy.ts'
import type { BlockRun } from './region.ts'
import type { RemoteLogPair } from './remote-logs.ts'
import { SyncError, type SyncErrorCode } from './sync-error.ts'
import { TreeIndex } from './tree-index.ts'
import { verifyReplica, type Damage, type VerifyOptions } from './verify-replica.ts'
import type { ViewChanges } from './view-changes.ts'

export type { ContentBlock } from './content-blocks.ts'

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
  /** Logs of other devices that are known at the start; borrowed. */
  readonly remotes?: readonly RemoteLogPair[]
  /** A read of content that is not here fails after this long, in milliseconds. */
  readonly fetchDeadlineMs?: number
  /** Lets file operations and the network have their turn: called between batches of a merge. */
  readonly yieldToEventLoop: () => Promise<void>
  /** Whether somebody waits for such a turn; absent where that cannot be told. */
  readonly isAwaited?: () => boolean
  /** The attested name of this device, for names that people read. */
  readonly device?: string
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

/** How long this device's current logs are. */
export interface CommittedLengths {
  /** Entries of the operation log. */
  readonly operationLog: number
  /** Blocks of the content log. */
  readonly contentLog: number
}

/** Numbers about a replica, for people. */
export interface ReplicaStatus {
  /** Bytes accepted and not yet appended to a log. */
  readonly unflushedBytes: number
  /** Entries that could not be read when the index was brought up to date. */
  readonly damagedEntries: number
  /** Why the last attempt to append failed, if it did. */
  readonly failure: string | undefined
  /** Logs that are not merged any further. */
  readonly quarantined: readonly QuarantinedLog[]
  /** Entries that are here and whose causes are not. */
  readonly waiting: number
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
  /**
   * Makes operations of all that is buffered. Called before entries of others are merged, in the
   * same tick. Set by the file system.
   */
  beforeMerge: () => void = () => undefined
  /** Told what a batch of merged entries changed, in the tick in which it became visible. */
  onMerged: (changes: ViewChanges) => void = () => undefined
  /**
   * Told of names that an operation of this device changed, its own included, where conflicts or
   * what others did make it have effects on other names too. Set by the file system.
   */
  onExecuted: (changes: ViewChanges) => void = () => undefined
  /** Told how long this device's logs are after each append. */
  onCommitted: (lengths: CommittedLengths) => void = () => undefined
  /** Told of each statement that was merged. */
  onStatement: (bytes: Uint8Array) => void = () => undefined
  /** Told of blocks that are not here and that a batch of merged operations names. */
  onContent: (blocks: readonly ContentBlock[]) => void = () => undefined
  readonly #parts: ReplicaParts
  readonly #committer: Committer
  readonly #merger: Merger
  readonly #heads: MergedHeads
  readonly #flusher: IndexFlusher
  readonly #reader: BlockReader
  readonly #announcer: HeadsAnnouncer
  readonly #opened: OpenedParts
  readonly #operationLogs: ReadonlyMap<LogKey, ReadableLog>
  readonly #remotes: ReadonlyMap<LogKey, RemoteLogPair>
  readonly #contentLogs: ReadonlyMap<LogKey, BlockStore>
  readonly #contentLengths: ReadonlyMap<LogKey, number>
  /** The last of the superseded blocks that were looked at in this round. */
  #lookedAt: SupersededBlock | undefined
  #isClosed = false

  private constructor(opened: OpenedParts & { readonly wasRebuilt: boolean }) {
    const { parts, index, heads, merger, flusher } = opened
    this.wasRebuilt = opened.wasRebuilt
    this.#opened = opened
    this.#parts = parts
    this.index = index
    this.#heads = heads
    this.#merger = merger
    this.#flusher = flusher
    this.#operationLogs = opened.operationLogs
    this.#remotes = opened.remotes
    const contentLogs = [...parts.earlier.map(pair => pair.contentLog), parts.contentLog]
    this.#contentLogs = new Map(contentLogs.map(log => [log.key, log]))
    this.#contentLengths = new Map(contentLogs.map(log => [log.key, log.length]))
    this.#reader = new BlockReader({
      own: contentLogs,
      logs: index.logs,
      sealerOf: log => sealerOf(parts, 'block', log),
      pendingBlock: (log, at) => this.#pendingBlock(log, at),
      deadlineMs: parts.fetchDeadlineMs ?? FETCH_DEADLINE_MS
    })
    this.#announcer = new HeadsAnnouncer({
      clock: parts.clock,
      announce: () => {
        // A committer that has stopped tells nobody anything.
        if (this.#committer.failure?.code !== 'DIVERGED') this.#committer.addHeads()
      }
    })
    this.#committer = this.#makeCommitter()
    for (const { contentLog } of parts.remotes ?? []) this.#reader.addRemote(contentLog)
    for (const { elsewhere } of parts.earlier)
      if (elsewhere !== undefined) this.#reader.addRemote(elsewhere)
    merger.hooks = {
      isOpen: ino => this.isOpen(ino),
      beforeBatch: () => {
        this.beforeMerge()
        this.#committer.closeEntry()
      },
      afterBatch: batch => this.#afterBatch(batch),
      room: () => this.#roomToMerge(),
      onFailure: () => parts.onIndexDamage?.()
    }
    this.#tellOldNews()
    merger.start()
  }

  /**
   * Opens a replica and brings its index up to date with its logs. An index that is empty, of
   * another version, ahead of its logs or of another history is made anew from them. What other
   * devices' logs have beyond that is merged afterwards.
   *
   * @throws {SyncError} `NEWER_FORMAT` when an entry was made by a newer grove; `DIVERGED` when the
   *   current operation log lost entries or had seen some of others that are lost; `IO`
   */
  static async open(parts: ReplicaParts): Promise<Replica> {
    const remotes = parts.remotes ?? []
    const own = [
      ...parts.earlier,
      { operationLog: parts.operationLog, contentLog: parts.contentLog }
    ]
    const index = await openIndex(parts, {
      own: own.map(pair => pair.operationLog),
      remote: remotes.map(pair => pair.operationLog)
    })
    index.onDamage = parts.onIndexDamage ?? (() => undefined)
    const [applied] = index.appliedLogs()
    const heads = new MergedHeads()
    const { clock, yieldToEventLoop } = parts
    const operationLogs = new Map<LogKey, ReadableLog>()
    const treeHashOf = treeHashesOf(operationLogs)
    const merger = new Merger({
      ...{ index, heads, clock, yieldToEventLoop, isAwaited: parts.isAwaited ?? (() => false) },
      sealerOf: log => sealerOf(parts, 'entry', log)
    })
    const flusher = new IndexFlusher({
      ...{ index, heads, clock, yieldToEventLoop, treeHashOf, ownLog: parts.operationLog }
    })
    const opened: OpenedParts = {
      ...{ parts, index, heads, merger, flusher, operationLogs },
      remotes: new Map()
    }
    index.deviceOf = log => opened.remotes.get(log)?.device ?? parts.device ?? ''
    for (const { operationLog: log, contentLog } of own) {
      operationLogs.set(log.key, log)
      merger.add({ log, contentLog: contentLog.key, isOwn: true })
    }
    for (const pair of remotes) addRemote(opened, pair)
    await catchUp(opened)
    return new Replica({ ...opened, wasRebuilt: applied === undefined })
  }

  /** Numbers for people. */
  get status(): ReplicaStatus {
    return {
      unflushedBytes: this.#committer.pendingBytes,
      damagedEntries: this.#merger.damaged.length,
      failure: (this.#committer.failure ?? this.#merger.failure)?.message,
      quarantined: this.#merger.quarantined,
      waiting: this.#merger.waiting
    }
  }

  /** For every operation log how many of its entries are merged. */
  get heads(): ReadonlyMap<LogKey, number> {
    return this.#heads.lengths
  }

  /**
   * Adds another device's logs and merges what they have. Idempotent.
   *
   * @throws {SyncError} `MALFORMED` when there are more logs than an index can number
   */
  addRemote(pair: RemoteLogPair): void {
    if (this.#isClosed || this.#operationLogs.has(pair.operationLog.key)) return
    // Nobody else writes this device's logs, whatever they are offered as.
    if (this.#contentLogs.has(pair.contentLog.key)) return
    this.#reader.addRemote(pair.contentLog)
    addRemote(this.#opened, pair)
    this.#merger.start()
  }

  /** Says that entries of an operation log arrived: they are merged soon. */
  wake(log: LogKey): void {
    if (!this.#isClosed) this.#merger.wake(log)
  }

  /** @returns when nothing that can be merged is waiting */
  settled(): Promise<void> {
    return this.#merger.settled()
  }

  /** Whether an operation log is this device's, of this epoch or an earlier one. */
  isOwnLog(log: LogKey): boolean {
    return this.#operationLogs.has(log) && !this.#remotes.has(log)
  }

  /** All statements about members merged so far. */
  statements(): Iterable<Uint8Array> {
    return this.index.statements.every('statement')
  }

  /** All key envelopes merged so far. */
  envelopes(): Iterable<Uint8Array> {
    return this.index.statements.every('envelope')
  }

  /** Whether a block can be read without asking another device. Answers in the same tick. */
  hasBlock(run: BlockPlace): boolean {
    return this.#reader.has(run)
  }

  /** Blocks of other devices' content logs that files use and that are not here, in steps. */
  missingBlocks(): Iterable<readonly ContentBlock[]> {
    return missingBlocks(this.index, this.#isMissing)
  }

  /**
   * How many copies of an inode there are to be: see {@link effectiveLevels}.
   *
   * @throws {SyncError} `MISSING`
   */
  redundancyOf(ino: number): Redundancy {
    return effectiveLevels(this.index, this.index.inode(ino)).redundancy
  }

  /** What an fsync of an inode waits for. @throws {SyncError} `MISSING` */
  durabilityOf(ino: number): Durability {
    return effectiveLevels(this.index, this.index.inode(ino)).durability
  }

  /** Which blocks files use, and how many copies of each there are to be. */
  scanNeeds(pause: () => Promise<void>): Promise<readonly NeededBlocks[]> {
    return scanContentNeeds(this.index, { pause })
  }

  /** Every file that has a name, and its blocks. See {@link filesOf}. */
  files(): Iterable<KeptFile> {
    return filesOf(this.index)
  }

  /** The blocks of a file, each once. See {@link blocksOf}. */
  blocksOf(ino: number): Iterable<BlockPlace> {
    return blocksOf(this.index, ino)
  }

  /** The names that lead to an inode: see {@link pathOf}. @throws {SyncError} `MISSING` */
  pathOf(ino: number): readonly Name[] {
    return pathOf(this.index, ino)
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
    if (recorded && id.number === 0) {
      this.index.openEntry({ log: id.log, index: id.index, time: this.#parts.clock.now() })
    }
    const isOpen = this.isOpen
    applyOperation(this.index, id, operation, ino === undefined ? { isOpen } : { ino, isOpen })
    const changes = this.index.settle()
    if (changes.names.length > 0) this.onExecuted(changes)
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
   * Reads the block that a run points into: from memory, from the disk, or from another device.
   *
   * @returns the opened block, which must not be changed; a promise when the disk must be asked
   * @throws {SyncError} `MISSING`, `DAMAGED`, `IO`, `CLOSED`; of another device's block that is
   *   not here `UNREACHABLE`, `TIMED_OUT`, `INTERRUPTED`
   */
  readBlock(run: BlockRun, options: ReadBlockOptions = {}): Uint8Array | Promise<Uint8Array> {
    return this.#reader.read(run, options)
  }

  /** Starts reading a block that will soon be asked for; its errors are left to that call. */
  prefetchBlock(run: BlockRun): void {
    this.#reader.prefetch(run)
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
    return verifyReplica({
      index: this.index,
      operationLogs: [...this.#operationLogs.values()],
      entrySealerOf: log => sealerOf(this.#parts, 'entry', log),
      // What this device wrote is to be here, even if others have it too.
      hasBlock: place =>
        this.#contentLogs.has(this.index.logs.keyOf(place.log)) || this.#reader.has(place),
      readBlock: run => this.#reader.readStored(run),
      options
    })
  }

  /**
   * Clears blocks that nothing has used since `sec` or before. What superseded them is made
   * durable first, so that no loss of power brings back a version whose blocks are gone; and every
   * known device has seen it, so that none goes on from a version whose blocks are gone.
   *
   * @param countMax - how many at most
   * @returns how many were looked at, where fewer than `countMax` means that the next call starts
   *   anew, and how many of them were cleared
   */
  async clearSuperseded(
    sec: number,
    countMax: number
  ): Promise<{ readonly found: number; readonly cleared: number }> {
    const { content } = this.index
    const found = [...content.supersededBefore(sec, countMax, this.#lookedAt)]
    this.#lookedAt = found.length < countMax ? undefined : found.at(-1)
    const devices = devicesOf(this.#remotes.values(), log => this.#newestEntry(log))
    const passed = found.filter(block => devices.every(device => hasPassed(device, block.by)))
    if (passed.length === 0) return { found: found.length, cleared: 0 }
    await this.sync()
    // Unused is for ever: only a run can be copied, and no run points into an unused block.
    await this.#clear(passed.filter(block => content.useCount(block) === 0))
    for (const block of passed) content.forgetSuperseded(block)
    return { found: found.length, cleared: passed.length }
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
    this.#announcer.close()
    // First: a merge may wait for it.
    await this.#flusher.close()
    await this.#merger.close()
    try {
      await this.#committer.close()
      if (this.#merger.failure === undefined) await this.#flusher.writeAll()
      await this.#parts.store.sync()
    } finally {
      await this.#reader.close()
    }
  }

  #makeCommitter(): Committer {
    const { parts, index, heads, operationLogs } = this.#opened
    const { operationLog, contentLog, clock } = parts
    return new Committer({
      ...{ operationLog, contentLog, clock, heads },
      entrySealer: sealerOf(parts, 'entry', operationLog.key),
      blockSealer: this.#reader.sealerOf(contentLog.key),
      seen: newestRow(index, operationLog.key, operationLog.length)?.seen ?? new Map(),
      treeHashOf: treeHashesOf(operationLogs),
      onEntry: entry => {
        index.recordEntry(entry)
        this.#announcer.told()
      },
      onClose: () => {
        if (this.#merger.failure === undefined) this.#flusher.freezeIfDue()
      },
      onAppend: () =>
        this.onCommitted({ operationLog: operationLog.length, contentLog: contentLog.length }),
      onAppended: () => this.#flusher.flush()
    })
  }

  /** Holds merging back; who waits for the index must not wait for the next commit as well. */
  #roomToMerge(): Promise<void> | undefined {
    const room = this.#flusher.room()
    if (room !== undefined && this.#flusher.isWaitingForAppend) this.#committer.commitNow()
    return room
  }

  /** The last part of a batch, in its tick. */
  #afterBatch({ changes, operations }: MergedBatch): void {
    const statements: Uint8Array[] = []
    for (const { operation } of operations) {
      if (operation.type === 'statement') statements.push(operation.bytes)
    }
    this.#flusher.freezeIfDue()
    this.#flusher.flush()
    if (operations.length > 0) this.#announcer.addNews()
    this.onMerged(changes)
    for (const bytes of statements) this.onStatement(bytes)
    const blocks = contentBlocksOf(operations, this.#isMissing)
    if (blocks.length > 0) this.onContent(blocks)
  }

  /** News that were merged before the last end of the process, and not told since. */
  #tellOldNews(): void {
    const { clock, operationLog } = this.#parts
    const last = newestRow(this.index, operationLog.key, operationLog.length)
    const isNews = [...this.#remotes.keys()].some(
      log => (this.#heads.named.get(log) ?? 0) > (last?.seen.get(log) ?? 0)
    )
    if (isNews) this.#announcer.addNews((clock.now().sec - (last?.time.sec ?? 0)) * 1000)
  }

  /** What the newest merged entry of a log had seen, itself included. */
  #newestEntry(log: LogKey): SeenLog {
    const length = this.#heads.named.get(log) ?? 0
    return { log, length, seen: newestRow(this.index, log, length)?.seen ?? new Map() }
  }

  readonly #isMissing = (log: LogKey, index: number): boolean =>
    this.#reader.remote(log)?.has(index) === false

  async #clear(blocks: readonly BlockPlace[]): Promise<void> {
    for (const { log, from, to } of rangesOf(blocks)) {
      const key = this.index.logs.keyOf(log)
      await (this.#contentLogs.get(key) ?? this.#reader.remote(key))?.clear({ from, to })
    }
  }

  #unrecordedId(operation: Operation): OperationId {
    if (!('inode' in operation)) throw new TypeError('only a change of one inode can go unrecorded')
    return operation.inode
  }

  #pendingBlock(log: LogKey, index: number): Uint8Array | undefined {
    return log === this.#parts.contentLog.key ? this.#committer.pendingBlock(index) : undefined
  }
}

/** A replica in the making. */
interface OpenedParts {
  readonly parts: ReplicaParts
  readonly index: TreeIndex
  readonly heads: MergedHeads
  readonly merger: Merger
  readonly flusher: IndexFlusher
  readonly operationLogs: Map<LogKey, ReadableLog>
  /** The pairs of other devices by their operation logs. */
  readonly remotes: Map<LogKey, RemoteLogPair>
}

async function openIndex(parts: ReplicaParts, known: KnownLogs): Promise<TreeIndex> {
  const sealer = new RowSealer({ key: parts.indexKey, random: parts.random })
  const found = await TreeIndex.open({ store: parts.store, sealer })
  const lost = await lostLogs(found, known)
  if (lost === undefined) return found
  if (lost === 'own' && parts.refuseRollBack === true) {
    throw new SyncError('DIVERGED', 'a log lost entries')
  }
  await parts.store.clear()
  return TreeIndex.open({ store: parts.store, sealer })
}

function addRemote(
  { merger, operationLogs, remotes }: Omit<OpenedParts, 'flusher'>,
  pair: RemoteLogPair
): void {
  const { operationLog, contentLog } = pair
  operationLogs.set(operationLog.key, operationLog)
  remotes.set(operationLog.key, pair)
  merger.add({ log: operationLog, contentLog: contentLog.key, isOwn: false })
}

/** Applies what this device's logs have and the index lacks, and writes the index. */
async function catchUp({ parts, index, merger, flusher, heads }: OpenedParts): Promise<void> {
  const { operationLog, clock, onProgress = () => undefined } = parts
  merger.hooks = {
    isOpen: () => false,
    beforeBatch: () => undefined,
    afterBatch: () => undefined,
    room: () => flusher.writeAll(CATCH_UP_ROWS_MAX),
    onFailure: () => parts.onIndexDamage?.()
  }
  const count = await merger.catchUp(onProgress)
  if (count > 0) await flusher.writeAll()
  merger.release(operationLog.key)
  if (parts.refuseRollBack === true && isTailDamaged(heads, operationLog.key)) {
    throw new SyncError('DIVERGED', 'the last entry of the log cannot be read')
  }
  index.purgeOrphans(clock.now().sec)
}

/** What comes after an entry that cannot be read must not go into the same log. */
function isTailDamaged({ lengths, named }: MergedHeads, log: LogKey): boolean {
  return lengths.get(log) !== named.get(log)
}

function treeHashesOf(logs: ReadonlyMap<LogKey, ReadableLog>) {
  return async (log: LogKey, length: number): Promise<Uint8Array> => {
    const found = logs.get(log)
    if (found === undefined) throw new SyncError('MISSING', 'the operation log is not held here')
    return found.treeHash(length)
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
