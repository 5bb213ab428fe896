/**
 * The owner's side of custody on one device: has other computers keep the blocks of a drive, as
 * many copies as their directories ask for, knows by receipts and audits what is kept, and makes
 * new copies when some are lost.
 *
 * It decides and remembers; connections, disks and keys are handed in. Whoever composes it
 * - says `setNeeds()` and `operationsGrew()` when files or operations changed,
 * - says `linkOpened()` and `linkClosed()` for connections to keepers,
 * - says `keepersChanged()` when keepers or the person's devices online changed,
 * - serves a block to a keeper only while `mayServe()`, and says `askedAgain()` for one that asks
 *   for a block it has a receipt for.
 *
 * @module
 */
import { blockSetsOf, hasBit, windowOf } from '../sync/block-bitmap.ts'
import type { Timer } from '../sync/clock.ts'
import type { CopiesStatus } from '../sync/custody-view.ts'
import type { LogKey } from '../sync/log.ts'
import type { Redundancy } from '../sync/redundancy.ts'
import { Auditor } from './auditor.ts'
import type { CustodianParts } from './custodian-parts.ts'
import type { LogBlock } from '../sync/content-needs.ts'
import { CopyReleaser, type ReleasedCopies, type WaitingRelease } from './copy-releaser.ts'
import { CustodyBook } from './custody-book.ts'
import type { NeededBlocks } from '../sync/content-needs.ts'
import { CustodyReport } from './custody-report.ts'
import type {
  BlockAmount,
  KeeperStatus,
  KeptExplanation,
  SurvivalReport
} from './custody-report.ts'
import { CustodyRounds } from './custody-rounds.ts'
import { DurabilityWaiter } from './durability-waiter.ts'
import type { DurableRequest } from './durability-waiter.ts'
import type { HolderLink, KeeperId } from './holder-link.ts'
import type { RosterEntry } from './keeper-roster.ts'
import type { KeeperState } from './keeper-standing.ts'
import { PendingReleases } from './pending-releases.ts'
import { AFTER_REFUSAL_MS, ReceiptReader } from './receipt-reader.ts'
import { nowMs } from './wall-time.ts'

/** How long what is to be remembered may wait to be written, in milliseconds. */
export const FLUSH_DELAY_MS = 1000
/** How often it is written how long everyone was there, at most; milliseconds. */
export const REMEMBER_MS = 10 * 60_000

/** Timers of Node wait no longer. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** See the module. */
export class Custodian {
  readonly #parts: CustodianParts
  readonly #book: CustodyBook
  readonly #rounds: CustodyRounds
  readonly #reader: ReceiptReader
  readonly #auditor: Auditor
  readonly #waiter: DurabilityWaiter
  readonly #report: CustodyReport
  readonly #releases: PendingReleases
  readonly #releaser: CopyReleaser
  readonly #states = new Map<KeeperId, KeeperState>()
  /** All that are connected, also those that are no keepers yet. */
  readonly #links = new Map<KeeperId, HolderLink>()
  /** Those that were asked what waits there. */
  readonly #asked = new WeakSet<HolderLink>()
  #stateTimer: Timer | undefined
  #rememberTimer: Timer | undefined
  #flushTimer: Timer | undefined
  #isStarted = false
  #areNeedsKnown = false
  #closing: Promise<void> | undefined

  /** @param parts - borrowed; reads what the store remembers. @throws {SyncError} `IO`, `CLOSED` */
  constructor(parts: CustodianParts) {
    const remembered = parts.store.load()
    const book = new CustodyBook(parts, remembered)
    this.#parts = parts
    this.#book = book
    this.#reader = new ReceiptReader({
      ...{ book, clock: parts.clock, settings: parts.settings, report: parts.report },
      onReady: entry => this.#madeReady(entry)
    })
    this.#rounds = new CustodyRounds({
      ...{ ...parts, book },
      onRefused: ({ link }) => {
        if (link !== undefined) this.#reader.follow(link, AFTER_REFUSAL_MS)
      }
    })
    this.#auditor = new Auditor({ ...parts, book, onFailed: entry => this.#failed(entry) })
    this.#waiter = new DurabilityWaiter({ ...parts, book })
    this.#releases = new PendingReleases(parts.store, remembered.releases)
    this.#releaser = new CopyReleaser({
      ...{ ...parts, book, releases: this.#releases },
      areNeedsKnown: () => this.#areNeedsKnown,
      onLeft: parts.onLeft ?? (() => undefined)
    })
    this.#report = new CustodyReport({ ...parts, book, planner: this.#rounds.planner })
    book.onTouch = place => {
      this.#report.touched(place)
      this.#rounds.touch(place)
      this.#flushSoon()
    }
    for (const { info } of book.roster.all()) this.#noteState(info.id)
  }

  /** Begins to act. */
  start(): void {
    if (this.#isStarted || this.#closing !== undefined) return
    this.#isStarted = true
    this.operationsGrew()
    this.#watchStates()
    this.#rememberAll()
    this.#releaser.start()
  }

  /** Stops, remembers and waits for what is under way. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Says which blocks of content are to be kept, all of them. */
  setNeeds(needs: readonly NeededBlocks[]): void {
    this.#areNeedsKnown = true
    for (const place of this.#book.needs.setContent(needs)) this.#book.onTouch(place)
  }

  /** The operation logs are longer than before, or there are others. */
  operationsGrew(): void {
    const grown = this.#book.needs.setOperations(this.#parts.operationLogs())
    this.#report.operationsGrew()
    for (const place of grown) this.#book.onTouch(place)
  }

  /** Blocks came to this device or went, such as when the policy for content changed. */
  ownBlocksChanged(): void {
    for (const place of this.#book.needs.contentWindows()) this.#rounds.touch(place)
  }

  /** The keepers, what the owner says of them, or the person's devices online changed. */
  keepersChanged(): void {
    const { roster } = this.#book
    for (const id of roster.set(this.#parts.keepers())) {
      this.#book.forget(id)
      this.#parts.store.removeKeeper(id)
      this.#releases.forget(id)
      this.#states.delete(id)
      const link = this.#links.get(id)
      if (link !== undefined) this.#leave(link)
    }
    for (const entry of [...roster.all()]) {
      const { info, link, isReady } = entry
      this.#noteState(info.id)
      this.#book.touchKeeper(info.id)
      const waiting = this.#links.get(info.id)
      if (link === undefined && waiting !== undefined) this.#connect(waiting)
      if (isReady) this.#tellWhatMayGo(entry)
    }
    this.#rounds.retry()
    this.#watchStates()
    this.#flushSoon()
  }

  /** A keeper is connected and answered to us. A newer connection replaces an older one. */
  linkOpened(link: HolderLink): void {
    if (this.#closing !== undefined) return
    const older = this.#links.get(link.id)
    if (older !== undefined && older !== link) this.#leave(older)
    this.#links.set(link.id, link)
    this.#connect(link)
  }

  /** A connection that was opened is gone. */
  linkClosed(link: HolderLink): void {
    if (this.#links.get(link.id) === link) this.#links.delete(link.id)
    this.#leave(link)
    const entry = this.#book.roster.disconnected(link)
    if (entry === undefined) return
    this.#book.roster.remember(entry)
    this.#statesChanged()
    this.#flushSoon()
  }

  /** The copies of some blocks and of the operations that name them, as they are known. */
  copiesOf(blocks: Iterable<LogBlock>, redundancy: Redundancy): CopiesStatus {
    return this.#report.copiesOf(blocks, redundancy)
  }

  /**
   * Waits until the operations up to now and some blocks are on other disks.
   *
   * @throws {SyncError} `TIMED_OUT`, `CLOSED`
   */
  whenDurable(request: DurableRequest): Promise<void> {
    return this.#waiter.wait(request)
  }

  /**
   * Whether a keeper may be served a block just now: an entry of an operation log, or one that it
   * was asked to keep and gave no receipt for that counts.
   */
  mayServe(keeper: KeeperId, log: LogKey, index: number): boolean {
    const { needs, roster } = this.#book
    if (roster.get(keeper) === undefined) return false
    if (needs.isOperations(log)) return true
    if (this.#isUnderReceipt(keeper, log, index)) return false
    return this.#rounds.isComing(keeper, log, index) || this.#waiter.isComing(keeper, log, index)
  }

  /** A keeper asked for a block: if it has a receipt for it, it lost the block. */
  askedAgain(keeper: KeeperId, log: LogKey, index: number): void {
    const entry = this.#book.roster.get(keeper)
    const isContent = !this.#book.needs.isOperations(log)
    if (entry === undefined || !isContent || !this.#isUnderReceipt(keeper, log, index)) return
    this.#auditor.failed(entry, blockSetsOf(log, [index]), 1)
  }

  /** What survives which loss. */
  survival(): SurvivalReport {
    return this.#report.survival()
  }

  /** Who keeps some blocks, since when, and why. */
  explain(blocks: Iterable<LogBlock>): readonly KeptExplanation[] {
    return this.#report.explain(blocks)
  }

  /** The keepers as users see them. */
  keeperStatus(): readonly KeeperStatus[] {
    return this.#report.keepers()
  }

  /** Whether some block has no more copies than its floor: this device had better stay. */
  isAtFloor(): boolean {
    return this.#report.isAtFloor()
  }

  /** What would be below its floor, or lost, without a keeper: to be asked before it is removed. */
  without(keeper: KeeperId): ReturnType<CustodyReport['without']> {
    return this.#report.without(keeper)
  }

  /**
   * Releases copies that are more than wished, because the user orders it. They go after the time
   * for which a release can be cancelled, with the locks of as many others as are wished.
   *
   * @returns what became of it, by keeper
   * @throws {ReplicationError} `REFUSED` when not all of the drive may be known here, `UNAVAILABLE`
   *   while it is not known what is needed
   */
  trim(): Promise<readonly ReleasedCopies[]> {
    return this.#ordered(this.#releaser.trim())
  }

  /** Takes back what {@link Custodian.trim} released and was not dropped yet. */
  cancelTrim(): Promise<readonly ReleasedCopies[]> {
    return this.#ordered(this.#releaser.cancel())
  }

  /**
   * Releases what a keeper has that the user does without, if it is connected; otherwise that is
   * done when it is.
   *
   * @throws {ReplicationError} as {@link Custodian.trim}
   */
  releaseRemoved(keeper: KeeperId): Promise<ReleasedCopies> {
    return this.#ordered(this.#releaser.releaseRemoved(keeper))
  }

  /** What keepers, or one of them, were given leave to forget and still have. */
  waitingReleases(keeper?: KeeperId): readonly WaitingRelease[] {
    return this.#releaser.waiting(keeper)
  }

  /** Whether it was said what is needed since the start: before, nothing seems to be. */
  get areNeedsKnown(): boolean {
    return this.#areNeedsKnown
  }

  /** How much content a keeper keeps, as its receipts say. */
  contentOf(keeper: KeeperId): BlockAmount {
    return this.#book.contentOf(keeper)
  }

  /** How many windows lack copies, or may. 0 when everything is as it should be. */
  get openWindows(): number {
    return this.#rounds.openWindows
  }

  async #ordered<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } finally {
      this.#flushSoon()
    }
  }

  async #close(): Promise<void> {
    for (const timer of [this.#stateTimer, this.#rememberTimer, this.#flushTimer]) timer?.cancel()
    this.#waiter.close()
    await Promise.all([this.#rounds.close(), this.#reader.close(), this.#auditor.close()])
    await this.#releaser.close()
    this.#flushTimer?.cancel()
    for (const entry of this.#book.roster.all()) this.#book.roster.remember(entry)
    try {
      await this.#parts.store.flush()
    } catch (error) {
      this.#parts.report('what is known of copies could not be written', error)
    }
  }

  #connect(link: HolderLink): void {
    const entry = this.#book.roster.connected(link)
    if (entry === undefined) return
    this.#rounds.forgetRefusals(link.id)
    this.#reader.follow(link)
    this.#auditor.follow(link)
    this.#waiter.retry()
    this.#statesChanged()
  }

  #leave(link: HolderLink): void {
    this.#reader.leave(link)
    this.#auditor.leave(link)
  }

  /** Not only in the next round: the user may wait for it. */
  #tellWhatMayGo(entry: RosterEntry): void {
    const { info } = entry
    if (this.#closing !== undefined || !this.#releaser.isDue(entry)) return
    this.#releaser.round().catch((error: unknown) => {
      this.#parts.report(`${info.name} was not told what it may forget`, error)
    })
  }

  /** What other devices ordered is known as soon as it can be. */
  #learnReleases({ info, link }: RosterEntry): void {
    if (link === undefined || info.kind !== 'holder' || this.#asked.has(link)) return
    this.#asked.add(link)
    this.#releaser.learn(link).then(
      () => this.#flushSoon(),
      (error: unknown) => {
        if (this.#links.get(info.id) === link)
          this.#parts.report(`${info.name} does not say what it may forget`, error)
      }
    )
  }

  #madeReady(entry: RosterEntry): void {
    this.#learnReleases(entry)
    this.#tellWhatMayGo(entry)
    // Operations are wanted by whoever is there, so without anybody they did not even wait.
    for (const place of this.#book.needs.operationWindows()) this.#rounds.touch(place)
    this.#rounds.retry()
    this.#waiter.retry()
    this.#flushSoon()
  }

  #failed({ info }: RosterEntry): void {
    this.#parts.report(`${info.name} failed too many audits: its copies do not count any more`)
    this.#statesChanged()
    this.#rounds.retry()
  }

  /** Sees whose copies are worth more or less than before, and when that will be so again. */
  #statesChanged(): void {
    for (const entry of this.#book.roster.all()) {
      const { id } = entry.info
      const before = this.#states.get(id)
      const state = this.#noteState(id)
      if (state === before) continue
      this.#book.touchKeeper(id)
      if (state !== 'gone') continue
      this.#book.forget(id)
      entry.synced = 0
    }
    this.#watchStates()
  }

  #noteState(id: KeeperId): KeeperState | undefined {
    const state = this.#book.roster.stateOf(id)
    if (state !== undefined) this.#states.set(id, state)
    return state
  }

  #watchStates(): void {
    this.#stateTimer?.cancel()
    this.#stateTimer = undefined
    const next = this.#book.roster.nextChangeMs()
    if (next === undefined || this.#closing !== undefined || !this.#isStarted) return
    const delayMs = Math.max(0, next - nowMs(this.#parts.clock)) + 1
    this.#stateTimer = this.#parts.clock.after(Math.min(delayMs, TIMER_MS_MAX), () =>
      this.#statesChanged()
    )
  }

  /** A standing is only a measurement: of a crash it may lose some minutes. */
  #rememberAll(): void {
    const delayMs = Math.max(REMEMBER_MS, this.#parts.settings().pollMs)
    this.#rememberTimer = this.#parts.clock.after(delayMs, () => {
      for (const entry of this.#book.roster.all()) this.#book.roster.remember(entry)
      this.#flushSoon()
      this.#rememberAll()
    })
  }

  #flushSoon(): void {
    if (this.#closing !== undefined || !this.#parts.store.isDirty) return
    this.#flushTimer ??= this.#parts.clock.after(FLUSH_DELAY_MS, () => {
      this.#flushTimer = undefined
      this.#parts.store.flush().catch((error: unknown) => {
        this.#parts.report('what is known of copies could not be written', error)
      })
    })
  }

  #isUnderReceipt(keeper: KeeperId, log: LogKey, index: number): boolean {
    const valid = this.#book.validAt({ keeper, log, window: windowOf(index) })
    return valid !== undefined && hasBit(valid, index)
  }
}
