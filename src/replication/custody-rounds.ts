/**
 * Has keepers keep what is missing: window by window, the most urgent first, a bounded number of
 * pieces at a time, in as many rounds as it takes.
 *
 * A window is looked at when something about it changed. What cannot be done now, because nobody
 * fit is connected, waits until somebody is. Nothing of this is stored: what is missing is seen
 * from receipts, so that after a restart it goes on where it was.
 *
 * Of the person's devices that are online one acts for each window; when it goes another does.
 * Two that act at once for a moment make a copy too many, no more.
 *
 * @module
 */
import { setMaxListeners } from 'node:events'
import {
  difference,
  emptyBitmap,
  hasBit,
  indexesOf,
  isEmptyBitmap,
  setBit,
  union,
  windowOf
} from '../sync/block-bitmap.ts'
import type { Timer } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import { CopyPlanner, ORDER_URGENCIES } from './copy-planner.ts'
import type { HoldOrder, OrderUrgency } from './copy-planner.ts'
import type { TaggedBlocks } from './copy-groups.ts'
import type { CustodianParts } from './custodian-parts.ts'
import type { CustodyBook } from './custody-book.ts'
import type { LogWindowPlace } from './custody-needs.ts'
import type { HolderLink, KeeperId } from './holder-link.ts'
import type { RosterEntry } from './keeper-roster.ts'
import { rankedFor } from './placement.ts'
import { ReplicationError } from './replication-error.ts'
import { nowMs } from './wall-time.ts'

/** How many pieces all keepers together are asked to keep at one time. */
export const HOLDS_MAX = 12
/** How many pieces one keeper is asked to keep at one time. */
export const HOLDS_PER_KEEPER_MAX = 3
/** How long after a change a round begins, in milliseconds; later changes are part of it. */
export const ROUND_DELAY_MS = 100
/** How many windows that changed are looked at before others have their turn. */
export const DIRTY_PER_ROUND_MAX = 256
/** How many windows are planned before others have their turn. */
export const PLANS_PER_ROUND_MAX = 64
/** How many blocks of a piece are brought here at a time, so that they can be handed on. */
export const OBTAINS_MAX = 8
/** How long a keeper is not asked for a window again that it could not have; then twice as long. */
export const LEFT_ALONE_MS = 1000
/** The longest that a keeper is not asked for a window again, in milliseconds. */
export const LEFT_ALONE_MS_MAX = 10 * 60_000
/** The same for operations, which are little and on which the rest depends. */
export const OPERATIONS_ALONE_MS_MAX = 15_000
/** How many windows that keepers could not have are remembered. */
export const LEFT_ALONE_MAX = 4096

/** Codes that say something of the window, not of the keeper. */
const OF_THE_WINDOW: ReadonlySet<string> = new Set(['UNAVAILABLE', 'KEEP_LOCKED'])
/** Codes that say nothing of the keeper: we went away, or it did. */
const OF_NOBODY: ReadonlySet<string> = new Set(['CLOSED', 'INTERRUPTED'])

/** A piece that a keeper is asked to keep. */
interface Hold extends HoldOrder {
  readonly done: Promise<void>
}

/** What rounds work with; all borrowed. */
export interface CustodyRoundsParts extends Pick<
  CustodianParts,
  'clock' | 'own' | 'device' | 'onlineDevices' | 'settings' | 'report'
> {
  /** What is known. */
  readonly book: CustodyBook
  /** Told when a keeper did not do what it was asked for; it may have done a part of it. */
  readonly onRefused: (entry: RosterEntry) => void
}

/** See the module. */
export class CustodyRounds {
  readonly #parts: CustodyRoundsParts
  readonly #planner: CopyPlanner
  readonly #dirty = new Map<string, LogWindowPlace>()
  readonly #queues: Readonly<Record<OrderUrgency, Map<string, LogWindowPlace>>> = {
    operations: new Map(),
    floor: new Map(),
    wish: new Map(),
    sites: new Map(),
    devices: new Map()
  }
  /** How many of each queue were planned in vain since anything happened. */
  #triedCounts = noneTried()
  /** What lacks copies that cannot be made now. */
  readonly #waiting = new Map<string, LogWindowPlace>()
  readonly #settled = new Map<string, Uint8Array>()
  readonly #holds = new Set<Hold>()
  readonly #leftAlone = new Map<string, { readonly untilMs: number; readonly times: number }>()
  readonly #abort = new AbortController()
  #round: Timer | undefined
  #retry: Timer | undefined
  /** Repair goes on then, in milliseconds since 1970. */
  #pacedMs = 0

  /** @param parts - borrowed */
  constructor(parts: CustodyRoundsParts) {
    this.#parts = parts
    setMaxListeners(HOLDS_MAX * 2, this.#abort.signal)
    this.#planner = new CopyPlanner({
      book: parts.book,
      clock: parts.clock,
      shareMax: () => parts.settings().shareMax,
      comingBytes: keeper => this.#comingBytes(keeper),
      settled: place => this.#settled.get(keyOf(place))
    })
  }

  /** Decides, for whoever wants to know why. */
  get planner(): CopyPlanner {
    return this.#planner
  }

  /** How many windows lack copies, or may. */
  get openWindows(): number {
    const queued = ORDER_URGENCIES.reduce((sum, urgency) => sum + this.#queues[urgency].size, 0)
    return queued + this.#dirty.size + this.#waiting.size + this.#holds.size
  }

  /** Something about a window changed. */
  touch({ log, window }: LogWindowPlace): void {
    if (this.#abort.signal.aborted) return
    this.#dirty.set(`${log}/${window}`, { log, window })
    this.#triedCounts = noneTried()
    this.#wake()
  }

  /** Somebody came or has room, or other devices are online: what waited may be possible now. */
  retry(): void {
    for (const [key, place] of this.#waiting) this.#dirty.set(key, place)
    this.#waiting.clear()
    this.#triedCounts = noneTried()
    this.#wake()
  }

  /** A keeper begins anew: what it refused before says nothing. */
  forgetRefusals(keeper: KeeperId): void {
    for (const key of this.#leftAlone.keys())
      if (key.startsWith(keeper)) this.#leftAlone.delete(key)
  }

  /** Whether a keeper is being asked to keep a block. */
  isComing(keeper: KeeperId, log: LogKey, index: number): boolean {
    for (const hold of this.#holds)
      if (hold.keeper === keeper && hold.log === log && covers(hold, index)) return true
    return false
  }

  /** Gives up what is under way and waits for it. Idempotent. */
  async close(): Promise<void> {
    this.#abort.abort()
    this.#round?.cancel()
    this.#retry?.cancel()
    await Promise.all([...this.#holds].map(({ done }) => done))
  }

  #wake(delayMs = ROUND_DELAY_MS): void {
    if (this.#abort.signal.aborted) return
    this.#round ??= this.#parts.clock.after(delayMs, () => {
      this.#round = undefined
      this.#runRound()
    })
  }

  #runRound(): void {
    this.#sortDirty()
    let plans = 0
    let isInVain = true
    for (const urgency of ORDER_URGENCIES) {
      const queue = this.#queues[urgency]
      for (const [key, place] of [...queue]) {
        if (!this.#canStart() || this.#triedCounts[urgency] >= queue.size) break
        if (plans++ >= PLANS_PER_ROUND_MAX) break
        queue.delete(key)
        if (this.#begin(key, place)) isInVain = false
      }
    }
    if (this.#dirty.size > 0) this.#wake(0)
    // Where all wait for a keeper that is busy another may be idle for long: no reason to hurry.
    else if (plans > PLANS_PER_ROUND_MAX && this.#canStart())
      this.#wake(isInVain ? ROUND_DELAY_MS : 0)
    this.#retryInTime()
  }

  /** Puts what changed where it belongs. */
  #sortDirty(): void {
    let rest = DIRTY_PER_ROUND_MAX
    for (const [key, place] of this.#dirty) {
      if (rest-- === 0) return
      this.#dirty.delete(key)
      for (const urgency of ORDER_URGENCIES) this.#queues[urgency].delete(key)
      this.#waiting.delete(key)
      const { urgency, complete } = this.#plan(place)
      if (!isEmptyBitmap(complete))
        this.#settled.set(key, union(this.#settled.get(key) ?? emptyBitmap(), complete))
      if (urgency === undefined) continue
      if (this.#isOurs(place)) this.#queues[urgency].set(key, place)
      else this.#waiting.set(key, place)
    }
  }

  /** @returns whether it need not be planned in vain again */
  #begin(key: string, place: LogWindowPlace): boolean {
    const { urgency, orders } = this.#plan(place)
    if (urgency === undefined) return true
    if (orders.length === 0) {
      this.#waiting.set(key, place)
      return true
    }
    const later = orders.filter(order => !this.#start(order))
    if (later.length === 0) return true
    this.#queues[urgency].set(key, place)
    this.#triedCounts[urgency]++
    return later.length < orders.length
  }

  #plan(place: LogWindowPlace): ReturnType<CopyPlanner['plan']> {
    const coming = this.#comingAt(place)
    const isLeftAlone = (keeper: KeeperId): boolean => {
      const until = this.#leftAlone.get(keeper + keyOf(place))?.untilMs
      return until !== undefined && until > this.#nowMs()
    }
    return this.#planner.plan(place, { coming, isLeftAlone })
  }

  /** Of the devices online one acts for each window. */
  #isOurs(place: LogWindowPlace): boolean {
    const { device, onlineDevices } = this.#parts
    return (rankedFor(onlineDevices(), place)[0] ?? device.id) === device.id
  }

  #canStart(): boolean {
    if (this.#holds.size >= HOLDS_MAX) return false
    for (const { info } of this.#parts.book.roster.ready())
      if (this.#holdsOf(info.id) < HOLDS_PER_KEEPER_MAX) return true
    return false
  }

  /** @returns whether the keeper is asked */
  #start(order: HoldOrder): boolean {
    const entry = this.#parts.book.roster.get(order.keeper)
    if (entry?.link === undefined || this.#holds.size >= HOLDS_MAX) return false
    if (this.#isBusy(order) || !this.#takePace(order)) return false
    const done = this.#hold(order, entry, entry.link).finally(() => {
      this.#holds.delete(hold)
      this.touch(order)
    })
    const hold: Hold = { ...order, done }
    this.#holds.add(hold)
    return true
  }

  /** Repair takes no more than its share of the bandwidth. @returns whether it may go on now */
  #takePace({ bytes, isRepair }: HoldOrder): boolean {
    const { repairBytesPerSec, areFirstCopiesLimited } = this.#parts.settings()
    if (repairBytesPerSec === 0 || (!isRepair && !areFirstCopiesLimited)) return true
    const now = this.#nowMs()
    if (now < this.#pacedMs) return false
    this.#pacedMs = now + (bytes / repairBytesPerSec) * 1000
    return true
  }

  async #hold(order: HoldOrder, entry: RosterEntry, link: HolderLink): Promise<void> {
    const { book, report } = this.#parts
    const { log, window } = order
    const { signal } = this.#abort
    try {
      const bitmap = await this.#bringHere(order)
      if (isEmptyBitmap(bitmap)) {
        this.#leaveAlone(order)
        return
      }
      const receipt = await link.hold({ log, window, bitmap }, { signal })
      const isForUs = book.takeReceipt(entry, receipt, { held: bitmap })
      const valid = book.validAt({ keeper: order.keeper, log, window }) ?? emptyBitmap()
      if (!isForUs) throw new ReplicationError('BAD_ANSWER', 'a receipt for another')
      if (!isEmptyBitmap(difference(bitmap, valid)))
        throw new ReplicationError('UNAVAILABLE', 'a receipt without some of the blocks')
      book.roster.succeeded(entry, order.bytes, !book.needs.isOperations(log))
      this.#leftAlone.delete(order.keeper + keyOf(order))
    } catch (error) {
      const code = error instanceof ReplicationError ? error.code : 'IO'
      if (signal.aborted || OF_NOBODY.has(code)) return
      if (OF_THE_WINDOW.has(code)) this.#leaveAlone(order)
      else book.roster.pause(entry, error)
      if (entry.pauses === 0)
        report(`${book.roster.nameOf(order.keeper)} does not keep more`, error)
      this.#parts.onRefused(entry)
    }
  }

  /**
   * Only what is here can be handed on; the person's devices have all by themselves, or fetch it.
   *
   * @returns the blocks that can be asked for now
   */
  async #bringHere(order: HoldOrder): Promise<Uint8Array> {
    const { own, book, report } = this.#parts
    const { log, window, bitmap } = order
    if (book.needs.isOperations(log) || order.urgency === 'devices') return bitmap
    const missing = [...indexesOf({ window, bitmap: difference(bitmap, own.stored(log, window)) })]
    const failed = emptyBitmap()
    let cause: unknown
    const bring = async (): Promise<void> => {
      for (let index = missing.pop(); index !== undefined; index = missing.pop()) {
        if (this.#abort.signal.aborted) return
        try {
          await own.obtain({ log, index }, this.#sourcesOf(order, index))
        } catch (error) {
          setBit(failed, index)
          cause = error
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(OBTAINS_MAX, missing.length) }, bring))
    if (!isEmptyBitmap(failed)) report('blocks could not be had to make copies of them', cause)
    return difference(bitmap, failed)
  }

  /** Who has a verified copy, in an order that spreads the reading. */
  #sourcesOf({ log, window }: HoldOrder, index: number): readonly HolderLink[] {
    const { book } = this.#parts
    const keepers = book.ledger.rowsAt(log, window).flatMap(({ keeper }) => {
      const valid = book.validAt({ keeper, log, window })
      return valid !== undefined && hasBit(valid, index) ? [keeper] : []
    })
    const ranked = rankedFor(keepers, { log, window: index })
    return ranked.flatMap(keeper => book.roster.sourceOf(keeper) ?? [])
  }

  #leaveAlone(order: HoldOrder): void {
    const key = order.keeper + keyOf(order)
    const times = this.#leftAlone.get(key)?.times ?? 0
    const isOperations = this.#parts.book.needs.isOperations(order.log)
    const mostMs = isOperations ? OPERATIONS_ALONE_MS_MAX : LEFT_ALONE_MS_MAX
    const delayMs = Math.min(mostMs, LEFT_ALONE_MS * 2 ** Math.min(20, times))
    if (this.#leftAlone.size >= LEFT_ALONE_MAX) this.#leftAlone.clear()
    this.#leftAlone.set(key, { untilMs: this.#nowMs() + delayMs, times: times + 1 })
  }

  /** Goes on when somebody may be asked again. */
  #retryInTime(): void {
    this.#retry?.cancel()
    this.#retry = undefined
    const now = this.#nowMs()
    const times = [this.#parts.book.roster.nextPauseEndMs() ?? Number.POSITIVE_INFINITY]
    for (const { untilMs } of this.#leftAlone.values()) if (untilMs > now) times.push(untilMs)
    if (this.#pacedMs > now) times.push(this.#pacedMs)
    const next = times.reduce((first, time) => Math.min(first, time), Number.POSITIVE_INFINITY)
    if (next === Number.POSITIVE_INFINITY || this.openWindows === 0) return
    this.#retry = this.#parts.clock.after(next - now + 1, () => this.retry())
  }

  #comingAt({ log, window }: LogWindowPlace): readonly TaggedBlocks<KeeperId>[] {
    return [...this.#holds]
      .filter(hold => hold.log === log && hold.window === window)
      .map(({ keeper, bitmap }) => ({ tag: keeper, bitmap }))
  }

  #comingBytes(keeper: KeeperId): number {
    let sum = 0
    for (const hold of this.#holds) if (hold.keeper === keeper) sum += hold.bytes
    return sum
  }

  /** A keeper does one thing at a time about a window: other windows fill its pipeline better. */
  #isBusy({ keeper, log, window }: HoldOrder): boolean {
    if (this.#holdsOf(keeper) >= HOLDS_PER_KEEPER_MAX) return true
    const asked = this.#comingAt({ log, window })
    return asked.some(({ tag }) => tag === keeper)
  }

  #holdsOf(keeper: KeeperId): number {
    let count = 0
    for (const hold of this.#holds) if (hold.keeper === keeper) count++
    return count
  }

  #nowMs(): number {
    return nowMs(this.#parts.clock)
  }
}

function noneTried(): Record<OrderUrgency, number> {
  return { operations: 0, floor: 0, wish: 0, sites: 0, devices: 0 }
}

function keyOf({ log, window }: LogWindowPlace): string {
  return `${log}/${window}`
}

function covers({ window, bitmap }: HoldOrder, index: number): boolean {
  return windowOf(index) === window && hasBit(bitmap, index)
}
