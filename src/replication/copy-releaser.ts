/**
 * Gives keepers leave to forget what need not be kept: blocks that nobody needs any more, by
 * itself; copies that are too many, when the user orders it.
 *
 * Garbage is what the merged operations speak of, no file uses, and is not stored here any more,
 * where everything is: so this device has cleared it, after the time for which history is kept.
 * Only a device that keeps all content tells, and only when it may: one that does not know all of
 * the drive would take for garbage what others need.
 *
 * Copies in excess are released first, wait as every release of a device does, and are then
 * dropped with the locks of as many others as copies are wished. So is what a keeper has that the
 * user does without, by itself and with the locks of as many others as the floor is: its copies
 * count no more, and all the same none goes that may turn out to be needed.
 *
 * @module
 */
import { setMaxListeners } from 'node:events'
import {
  RELEASE_DELAY_MS,
  RELEASE_WINDOWS_MAX,
  openRelease,
  releaseHash
} from '../crypto/release.ts'
import {
  countBits,
  difference,
  emptyBitmap,
  intersection,
  isEmptyBitmap,
  isSubset,
  rangeBitmap,
  union,
  type BlockSet
} from '../sync/block-bitmap.ts'
import type { Timer } from '../sync/clock.ts'
import { logKey } from '../sync/log.ts'
import { memberId } from '../sync/members.ts'
import type { CustodianParts, KeeperInfo } from './custodian-parts.ts'
import type { CustodyBook } from './custody-book.ts'
import { rowBlocks } from './custody-ledger.ts'
import type { BlockAmount } from './custody-report.ts'
import { dropBlocks } from './drop-attempt.ts'
import type { HolderLink, KeeperId } from './holder-link.ts'
import type { RosterEntry } from './keeper-roster.ts'
import {
  PENDING_RELEASES_MAX,
  type PendingRelease,
  type PendingReleases
} from './pending-releases.ts'
import { rankedFor } from './placement.ts'
import { ReplicationError, type ReplicationErrorCode } from './replication-error.ts'
import { SerialTurns } from './serial-turns.ts'
import { nowMs } from './wall-time.ts'
import { assessWindow, type AssessedGroup } from './window-assessment.ts'

/** How often it is looked for what can go, in milliseconds. */
export const RELEASE_ROUND_MS = 60 * 60_000
/** After so long a release that was not carried out is forgotten, in milliseconds. */
export const RELEASE_FORGOTTEN_MS = 30 * 24 * 60 * 60_000
/** How many windows one release names at most. */
export const RELEASED_WINDOWS_MAX: number = Math.min(128, RELEASE_WINDOWS_MAX)
/** How many drops are tried in a round at most. */
export const DROPS_PER_ROUND_MAX = 64

/** What a releaser works with; all borrowed. */
export interface CopyReleaserParts extends Pick<
  CustodianParts,
  | 'clock'
  | 'own'
  | 'device'
  | 'onlineDevices'
  | 'mayRelease'
  | 'signer'
  | 'settings'
  | 'contentLength'
  | 'report'
> {
  /** What is known. */
  readonly book: CustodyBook
  /** What was handed over. */
  readonly releases: PendingReleases
  /** Whether it was said what is needed since the start. */
  readonly areNeedsKnown: () => boolean
  /** Told of a keeper that the user does without, once it has no content any more. */
  readonly onLeft: (keeper: KeeperId) => void
}

/** What became of copies at one keeper that are to go, or that were to. */
export interface ReleasedCopies {
  /** Where. */
  readonly keeper: KeeperId
  /** What it was told of: released, or kept after all. */
  readonly told: BlockAmount
  /** What it was not told of, for it is not connected. */
  readonly away: BlockAmount
  /** Why it did not take all that it was told; undefined when it did. */
  readonly refusal: ReplicationErrorCode | undefined
}

/** What a keeper was given leave to forget and still has. */
export interface WaitingRelease extends BlockAmount {
  /** Where. */
  readonly keeper: KeeperId
  /** Why. */
  readonly kind: PendingRelease['kind']
  /** When it takes effect, in milliseconds since 1970. */
  readonly dueMs: number
  /** Why it was not dropped when that was tried last; undefined when it was not tried. */
  readonly refusal: ReplicationErrorCode | undefined
}

const NOTHING: BlockAmount = { blocks: 0, bytes: 0 }

/** See the module. */
export class CopyReleaser {
  readonly #parts: CopyReleaserParts
  readonly #abort = new AbortController()
  /** Why a release was not carried out when that was tried last, by its hash. */
  readonly #refusals = new Map<string, ReplicationErrorCode>()
  /** Those that were removed and were told what they may forget, since they are connected. */
  readonly #told = new WeakSet<HolderLink>()
  /** One order at a time: what is being released is not seen until the keeper took it. */
  readonly #orders = new SerialTurns(1)
  #timer: Timer | undefined
  #running: Promise<void> | undefined

  /** @param parts - borrowed */
  constructor(parts: CopyReleaserParts) {
    this.#parts = parts
    setMaxListeners(DROPS_PER_ROUND_MAX, this.#abort.signal)
  }

  /** Begins with its rounds. */
  start(): void {
    if (this.#abort.signal.aborted) return
    this.#timer = this.#parts.clock.after(RELEASE_ROUND_MS, () => {
      this.round()
        .catch((error: unknown) => this.#parts.report('what can go was not released', error))
        .finally(() => this.start())
    })
  }

  /** Does a round now, or joins the one under way. */
  round(): Promise<void> {
    this.#running ??= this.#round().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /**
   * Releases copies that are more than wished, at the keepers that are connected. They go after
   * the time for which a release can be cancelled.
   *
   * @returns what became of it, by keeper
   * @throws {ReplicationError} `REFUSED` when not all of the drive may be known here, `UNAVAILABLE`
   *   while it is not known what is needed
   */
  trim(): Promise<readonly ReleasedCopies[]> {
    return this.#orders.run('', () => this.#trim())
  }

  /**
   * Releases what a keeper has that the user does without, if it is connected.
   *
   * @throws {ReplicationError} as {@link CopyReleaser.trim}
   */
  releaseRemoved(keeper: KeeperId): Promise<ReleasedCopies> {
    return this.#orders.run('', () => this.#releaseRemoved(keeper))
  }

  /**
   * Takes back the releases of copies in excess that were not carried out, where the user goes on
   * with the keeper.
   *
   * @returns what became of it, by keeper
   */
  cancel(): Promise<readonly ReleasedCopies[]> {
    return this.#orders.run('', () => this.#cancelExcess())
  }

  /**
   * Asks a keeper what waits there: what other devices ordered is looked after like what this one
   * did, and what was cancelled or carried out meanwhile is forgotten.
   *
   * @throws {ReplicationError} of the link
   */
  async learn(link: HolderLink): Promise<void> {
    const { releases, clock, mayRelease } = this.#parts
    const before = releases.of(link.id)
    const held = new Set<string>()
    for (const { statement, receivedMs } of await link.releases({ signal: this.#abort.signal })) {
      const { hash: bytes, signer } = openRelease(statement)
      const hash = memberId(bytes)
      held.add(hash)
      if (!mayRelease(signer)) continue
      // A keeper's clock may be wrong, but nothing came there later than now.
      const sentMs = Math.min(receivedMs, nowMs(clock))
      releases.add({ keeper: link.id, hash, sentMs, statement })
    }
    for (const release of before) if (!held.has(release.hash)) this.#forget(release)
  }

  /** Whether a keeper is to be told something at once, as far as can be seen without asking. */
  isDue({ info, link }: RosterEntry): boolean {
    const { book, releases } = this.#parts
    const { id, leaving, addedMs } = info
    if (leaving === 'removed') {
      const isTold = link === undefined || this.#told.has(link) || releases.of(id).length > 0
      return !isTold && this.#mayRelease(id) && !hasLeft(book, id)
    }
    return releases.of(id).some(release => isTakenBack(release, { leaving, addedMs }))
  }

  /** What was handed over and is still there, at one keeper or at all. */
  waiting(at?: KeeperId): readonly WaitingRelease[] {
    const { releases } = this.#parts
    const handed = at === undefined ? releases.all() : releases.of(at)
    return handed.map(({ keeper, kind, hash, sentMs, blocks }) => {
      const kept = blocks.map(set => ({
        ...set,
        bitmap: intersection(set.bitmap, this.#keptAt(keeper, set))
      }))
      const refusal = this.#refusals.get(hash)
      return {
        keeper,
        kind,
        dueMs: sentMs + RELEASE_DELAY_MS,
        refusal,
        ...this.#amountOf(keeper, kept)
      }
    })
  }

  /** Stops and waits for what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#abort.abort()
    this.#timer?.cancel()
    await this.#running?.catch(() => undefined)
  }

  async #trim(): Promise<readonly ReleasedCopies[]> {
    this.#checkMayRelease()
    await this.#learnAll()
    const { book, releases } = this.#parts
    const orders = new Map<string, ReleaseOrder>()
    for (const place of book.needs.contentWindows())
      for (const group of book.assess(place))
        for (const keeper of this.#tooMany(place, group)) {
          const bitmap = difference(group.bitmap, releases.blocksAt(keeper, place))
          addOrder(orders, { keeper, floor: group.redundancy.copies }, { ...place, bitmap })
        }
    return await this.#releaseAll([...orders.values()])
  }

  async #releaseRemoved(keeper: KeeperId): Promise<ReleasedCopies> {
    this.#checkMayRelease()
    const { book, releases } = this.#parts
    const orders = new Map<string, ReleaseOrder>()
    for (const row of [...book.ledger.rowsOf(keeper)]) {
      const kept = difference(rowBlocks(row).bitmap, releases.blocksAt(keeper, row))
      for (const { bitmap, redundancy } of book.needs.contentAt(row)) {
        const set = { log: row.log, window: row.window, bitmap: intersection(bitmap, kept) }
        addOrder(orders, { keeper, floor: redundancy.floor }, set)
      }
    }
    const [released] = await this.#releaseAll([...orders.values()])
    return released ?? { keeper, told: NOTHING, away: NOTHING, refusal: undefined }
  }

  async #cancelExcess(): Promise<readonly ReleasedCopies[]> {
    await this.#learnAll()
    const { book, releases } = this.#parts
    const done: ReleasedCopies[] = []
    for (const release of releases.all()) {
      const entry = book.roster.get(release.keeper)
      if (release.kind !== 'excess' || entry?.info.leaving !== undefined) continue
      const amount = this.#amountOf(release.keeper, release.blocks)
      done.push(await this.#tell(release.keeper, amount, link => this.#cancel(link, release)))
    }
    return joined(done)
  }

  async #round(): Promise<void> {
    const { book, report } = this.#parts
    let drops = DROPS_PER_ROUND_MAX
    for (const entry of [...book.roster.all()]) {
      const { id, leaving } = entry.info
      const link = this.#linkTo(entry)
      if (link === undefined || this.#abort.signal.aborted) continue
      try {
        await this.learn(link)
        await this.#forgetDone(entry, link)
        await this.#releaseByItself(entry.info, link)
        for (const release of this.#parts.releases.of(id))
          if (release.kind === 'excess') drops -= await this.#dropExcess(entry, release, drops)
        if (leaving === 'removed' && hasLeft(book, id)) this.#parts.onLeft(id)
      } catch (error) {
        if (!(error instanceof ReplicationError)) throw error
        if (error.code !== 'CLOSED') report(`${entry.info.name} takes no release`, error)
      }
    }
  }

  /** Holders that are kept with, and those that are to forget what they have. */
  #linkTo(entry: RosterEntry): HolderLink | undefined {
    const { info, link, isReady } = entry
    if (info.kind !== 'holder') return undefined
    const isRemoved = isReady && info.leaving === 'removed'
    return isRemoved || this.#parts.book.roster.isReady(entry) ? link : undefined
  }

  async #releaseByItself({ id, leaving }: KeeperInfo, link: HolderLink): Promise<void> {
    if (!this.#mayRelease(id)) return
    if (this.#parts.own.counts) await this.#releaseGarbage(link)
    if (leaving !== 'removed') return
    this.#told.add(link)
    await this.releaseRemoved(id)
  }

  /** Forgets what was carried out, and cancels what is needed again. */
  async #forgetDone({ info }: RosterEntry, link: HolderLink): Promise<void> {
    const { book, releases, clock } = this.#parts
    for (const release of releases.of(info.id)) {
      const kept = release.blocks.map(set => intersection(set.bitmap, this.#keptAt(info.id, set)))
      const isDone = kept.every(isEmptyBitmap)
      const isOld = nowMs(clock) - release.sentMs > RELEASE_FORGOTTEN_MS
      const isNeeded =
        release.kind === 'garbage' &&
        release.blocks.some(
          (set, at) => !isEmptyBitmap(intersection(neededAt(book, set), kept[at] ?? emptyBitmap()))
        )
      if (isNeeded || isTakenBack(release, info)) await this.#cancel(link, release)
      else if (isDone || isOld) this.#forget(release)
    }
  }

  async #cancel(link: HolderLink, release: PendingRelease): Promise<void> {
    const { signal } = this.#abort
    await link.release(this.#parts.signer.cancel(release.statement), { signal })
    this.#forget(release)
  }

  #forget(release: PendingRelease): void {
    this.#refusals.delete(release.hash)
    this.#parts.releases.remove(release)
  }

  async #releaseGarbage(link: HolderLink): Promise<void> {
    const { book, releases } = this.#parts
    const garbage: BlockSet[] = []
    for (const row of book.ledger.rowsOf(link.id)) {
      if (garbage.length === RELEASED_WINDOWS_MAX) break
      const bitmap = difference(this.#garbageOf(rowBlocks(row)), releases.blocksAt(link.id, row))
      if (!isEmptyBitmap(bitmap)) garbage.push({ log: row.log, window: row.window, bitmap })
    }
    if (garbage.length > 0)
      await this.#release(link, { kind: 'garbage', floor: 0, blocks: garbage })
  }

  #garbageOf({ log, window, bitmap }: BlockSet): Uint8Array {
    const { book, own, contentLength } = this.#parts
    if (book.needs.isOperations(log)) return emptyBitmap()
    const known = rangeBitmap({ window, from: 0, to: contentLength(log) })
    const used = union(neededAt(book, { log, window }), own.stored(log, window))
    return difference(intersection(bitmap, known), used)
  }

  /** Whoever does not say what waits there is asked in the next round. */
  async #learnAll(): Promise<void> {
    const entries = [...this.#parts.book.roster.all()]
    const links = entries.flatMap(({ link, info }) =>
      link && info.kind === 'holder' ? [link] : []
    )
    await Promise.allSettled(links.map(link => this.learn(link)))
  }

  #checkMayRelease(): void {
    const { settings, areNeedsKnown } = this.#parts
    if (!settings().mayRelease)
      throw new ReplicationError('REFUSED', 'not all of the drive may be known here')
    if (!areNeedsKnown())
      throw new ReplicationError('UNAVAILABLE', 'it is not known yet what is needed')
  }

  /** Of the devices online one tells a keeper. */
  #mayRelease(keeper: KeeperId): boolean {
    const { settings, areNeedsKnown, onlineDevices, device, releases } = this.#parts
    if (!settings().mayRelease || !areNeedsKnown()) return false
    if (releases.of(keeper).length >= PENDING_RELEASES_MAX) return false
    const [first = device.id] = rankedFor(onlineDevices(), { log: logKey(keeper), window: 0 })
    return first === device.id
  }

  async #release(
    link: HolderLink,
    content: {
      readonly kind: 'garbage' | 'excess'
      readonly floor: number
      readonly blocks: readonly BlockSet[]
    }
  ): Promise<void> {
    const { signer, releases, clock } = this.#parts
    const statement = signer.release({ keeper: link.id, ...content })
    await link.release(statement, { signal: this.#abort.signal })
    const hash = memberId(releaseHash(statement))
    releases.add({ keeper: link.id, hash, sentMs: nowMs(clock), statement })
  }

  /** Tells the keepers that are connected, as much as they take. */
  async #releaseAll(orders: readonly ReleaseOrder[]): Promise<readonly ReleasedCopies[]> {
    const done: ReleasedCopies[] = []
    for (const { keeper, floor, sets } of orders)
      for (let from = 0; from < sets.length; from += RELEASED_WINDOWS_MAX) {
        const blocks = sets.slice(from, from + RELEASED_WINDOWS_MAX)
        const release = (link: HolderLink): Promise<void> =>
          this.#release(link, { kind: 'excess', floor, blocks })
        done.push(await this.#tell(keeper, this.#amountOf(keeper, blocks), release))
      }
    return joined(done)
  }

  async #tell(
    keeper: KeeperId,
    amount: BlockAmount,
    tell: (link: HolderLink) => Promise<void>
  ): Promise<ReleasedCopies> {
    const link = this.#parts.book.roster.get(keeper)?.link
    const none = { keeper, told: NOTHING, away: NOTHING, refusal: undefined }
    if (link === undefined) return { ...none, away: amount }
    try {
      await tell(link)
      return { ...none, told: amount }
    } catch (error) {
      if (!(error instanceof ReplicationError)) throw error
      return { ...none, refusal: error.code }
    }
  }

  /** Of blocks that a keeper has. */
  #amountOf(keeper: KeeperId, sets: readonly BlockSet[]): BlockAmount {
    return sets
      .map(set => {
        const row = this.#parts.book.ledger.row({ keeper, ...set })
        const blocks = countBits(set.bitmap)
        const all = row === undefined ? 0 : countBits(row.bitmap)
        return { blocks, bytes: Math.round(((row?.bytes ?? 0) * blocks) / Math.max(1, all)) }
      })
      .reduce(plus, NOTHING)
  }

  /**
   * Holders whose copies are more than wished, the worst placed first: those that were released
   * already before those that are connected, and these before those that are away.
   */
  #tooMany(place: BlockSetPlace, group: AssessedGroup): readonly KeeperId[] {
    const { book, releases } = this.#parts
    const { redundancy, bitmap } = group
    const worst = rankedFor(group.counting, place).toReversed()
    const holders = worst.filter(id => book.roster.get(id)?.info.kind === 'holder')
    const rankOf = (id: KeeperId): number => {
      if (isSubset(bitmap, releases.blocksAt(id, place))) return 0
      return book.roster.get(id)?.link === undefined ? 2 : 1
    }
    let rest: readonly KeeperId[] = group.counting
    const chosen: KeeperId[] = []
    for (const id of holders.toSorted((left, right) => rankOf(left) - rankOf(right))) {
      const without = rest.filter(one => one !== id)
      const facts = without.flatMap(one => book.factsOf(one) ?? [])
      const machines = new Set(facts.map(({ machine }) => machine)).size
      const sites = new Set(facts.map(({ site }) => site)).size
      if (machines < redundancy.copies || sites < redundancy.sites) continue
      rest = without
      chosen.push(id)
    }
    return chosen
  }

  /** Drops what of a release is still too many. @returns how many drops were tried */
  async #dropExcess(
    { info, link }: RosterEntry,
    release: PendingRelease,
    triesMax: number
  ): Promise<number> {
    const { clock } = this.#parts
    if (link === undefined || nowMs(clock) < release.sentMs + RELEASE_DELAY_MS) return 0
    let tries = 0
    for (const set of release.blocks) {
      for (const { bitmap, redundancy } of this.#stillTooMany(info, set)) {
        if (tries >= triesMax || this.#abort.signal.aborted) return tries
        tries++
        const floor = Math.max(release.floor, redundancy.floor)
        await this.#drop({ link, info }, { ...set, bitmap, floor }, release)
      }
    }
    return tries
  }

  /** Without this keeper, and counting only who is there, there would be enough. */
  #stillTooMany({ id, leaving }: KeeperInfo, set: BlockSet): readonly AssessedGroup[] {
    const { book } = this.#parts
    const kept = this.#keptAt(id, set)
    const held = book.heldAt(set).filter(({ tag }) => tag !== id)
    const wanted = book.needs.contentAt(set).map(one => ({
      ...one,
      bitmap: intersection(intersection(one.bitmap, set.bitmap), kept)
    }))
    const factsOf = (keeper: KeeperId) => {
      const facts = book.factsOf(keeper)
      return facts?.state === 'held' ? facts : undefined
    }
    return assessWindow({ wanted, held, factsOf }).filter(({ urgency, copies, redundancy }) =>
      leaving === 'removed'
        ? copies >= redundancy.floor
        : urgency === undefined && copies >= redundancy.copies
    )
  }

  async #drop(
    { link, info }: { readonly link: HolderLink; readonly info: RosterEntry['info'] },
    blocks: BlockSet & { readonly floor: number },
    { hash }: PendingRelease
  ): Promise<void> {
    const { book, report } = this.#parts
    const entry = book.roster.get(info.id)
    if (entry === undefined) return
    try {
      const { signal } = this.#abort
      const { floor } = blocks
      book.takeReceipt(entry, await dropBlocks(this.#parts, { link, blocks, floor, signal }))
      this.#refusals.delete(hash)
    } catch (error) {
      if (!(error instanceof ReplicationError)) throw error
      this.#refusals.set(hash, error.code)
      if (error.code !== 'KEEP_LOCKED' && error.code !== 'CLOSED')
        report(`${info.name} did not drop copies that are too many`, error)
    }
  }

  #keptAt(keeper: KeeperId, { log, window }: BlockSetPlace): Uint8Array {
    return this.#parts.book.validAt({ keeper, log, window }) ?? emptyBitmap()
  }
}

type BlockSetPlace = Pick<BlockSet, 'log' | 'window'>

function neededAt(book: CustodyBook, place: BlockSetPlace): Uint8Array {
  return book.needs.contentAt(place).reduce((all, { bitmap }) => union(all, bitmap), emptyBitmap())
}

/** Blocks that one keeper is to be told of. */
interface ReleaseOrder {
  readonly keeper: KeeperId
  /** How many others must keep them when they go. */
  readonly floor: number
  readonly sets: BlockSet[]
}

function addOrder(
  orders: Map<string, ReleaseOrder>,
  { keeper, floor }: Pick<ReleaseOrder, 'keeper' | 'floor'>,
  set: BlockSet
): void {
  if (isEmptyBitmap(set.bitmap)) return
  const key = `${keeper}/${floor}`
  const order = orders.get(key) ?? { keeper, floor, sets: [] }
  orders.set(key, order)
  addTo(order.sets, set)
}

/** By keeper. */
function joined(done: readonly ReleasedCopies[]): readonly ReleasedCopies[] {
  const all = new Map<KeeperId, ReleasedCopies>()
  for (const one of done) {
    const known = all.get(one.keeper)
    all.set(one.keeper, {
      keeper: one.keeper,
      told: plus(known?.told ?? NOTHING, one.told),
      away: plus(known?.away ?? NOTHING, one.away),
      refusal: one.refusal ?? known?.refusal
    })
  }
  return [...all.values()]
}

function plus(left: BlockAmount, right: BlockAmount): BlockAmount {
  return { blocks: left.blocks + right.blocks, bytes: left.bytes + right.bytes }
}

/** Whether a keeper has no content any more. */
function hasLeft(book: CustodyBook, keeper: KeeperId): boolean {
  return book.contentOf(keeper).blocks === 0
}

/** Whether the keeper was taken in again since copies of it were released. */
function isTakenBack(
  { kind, sentMs }: PendingRelease,
  { leaving, addedMs }: Pick<KeeperInfo, 'leaving' | 'addedMs'>
): boolean {
  return kind === 'excess' && leaving === undefined && sentMs < addedMs
}

function addTo(sets: BlockSet[], set: BlockSet): void {
  const at = sets.findIndex(({ log, window }) => log === set.log && window === set.window)
  const known = sets[at]
  if (known === undefined) sets.push(set)
  else sets[at] = { ...known, bitmap: union(known.bitmap, set.bitmap) }
}
