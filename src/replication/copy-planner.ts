/**
 * What keepers are to be asked to keep of a window: the copies that are missing, where placement
 * puts them, and what everyone keeps anyway.
 *
 * Everyone keeps the operations. The person's other devices that keep all content have it without
 * being chosen, so they are asked for their receipt, and what they are asked for counts as coming:
 * placement makes only the copies that are missing besides.
 *
 * @module
 */
import {
  countBits,
  difference,
  emptyBitmap,
  intersection,
  isEmptyBitmap,
  isSubset,
  union
} from '../sync/block-bitmap.ts'
import type { TaggedBlocks } from './copy-groups.ts'
import type { Clock } from '../sync/clock.ts'
import type { CustodyBook } from './custody-book.ts'
import type { LogWindowPlace } from './custody-needs.ts'
import type { KeeperId } from './holder-link.ts'
import type { RosterEntry } from './keeper-roster.ts'
import { nowMs } from './wall-time.ts'
import { choosePlaces, stripesOf } from './placement.ts'
import type { Candidate, Choice } from './placement.ts'
import type { AssessedGroup, Urgency } from './window-assessment.ts'

/** What an order is for; the first is the most urgent. */
export const ORDER_URGENCIES = ['operations', 'floor', 'wish', 'sites', 'devices'] as const

/** What an order is for. */
export type OrderUrgency = (typeof ORDER_URGENCIES)[number]

/** Blocks that a keeper is to be asked to keep: a piece of a window. */
export interface HoldOrder extends LogWindowPlace {
  /** Who is to be asked. */
  readonly keeper: KeeperId
  /** Which blocks. */
  readonly bitmap: Uint8Array
  /** About how many bytes they have. */
  readonly bytes: number
  /** What it is for. */
  readonly urgency: OrderUrgency
  /** Whether the blocks had their copies once, so that this replaces some. */
  readonly isRepair: boolean
}

/** What is to be done about a window. */
export interface WindowPlan {
  /** Whom to ask. */
  readonly orders: readonly HoldOrder[]
  /** How urgent the window is; undefined when nothing is missing. */
  readonly urgency: OrderUrgency | undefined
  /** The blocks that have all of their copies, or will when what is under way has come. */
  readonly complete: Uint8Array
}

/** What is under way for a window, and whom not to ask. */
export interface UnderWay {
  /** Who is being asked to keep which of its blocks. */
  readonly coming: readonly TaggedBlocks<KeeperId>[]
  /** Whether a keeper refused the window a moment ago. */
  readonly isLeftAlone: (keeper: KeeperId) => boolean
}

/** What a planner works with. */
export interface CopyPlannerParts {
  /** Time. */
  readonly clock: Clock
  /** What is known; borrowed. */
  readonly book: CustodyBook
  /** The share of the drive that one keeper gets at most. */
  readonly shareMax: () => number
  /** How many bytes a keeper is being asked to keep. */
  readonly comingBytes: (keeper: KeeperId) => number
  /** Which blocks of a window had all of their copies once. */
  readonly settled: (place: LogWindowPlace) => Uint8Array | undefined
}

/** See the module. */
export class CopyPlanner {
  readonly #parts: CopyPlannerParts

  /** @param parts - borrowed */
  constructor(parts: CopyPlannerParts) {
    this.#parts = parts
  }

  /** Decides about a window. */
  plan(place: LogWindowPlace, underWay: UnderWay): WindowPlan {
    const { needs } = this.#parts.book
    return needs.isOperations(place.log)
      ? this.#planOperations(place, underWay)
      : this.#planContent(place, underWay)
  }

  /** Those that could be asked to keep something. */
  candidates(): readonly Candidate[] {
    const { book, comingBytes } = this.#parts
    const all = Math.max(1, book.needs.contentBytes)
    const now = nowMs(this.#parts.clock)
    const candidates: Candidate[] = []
    for (const entry of book.roster.ready()) {
      if (entry.info.kind !== 'holder' || entry.usage === undefined) continue
      const { id } = entry.info
      const facts = book.factsOf(id)
      if (facts === undefined) continue
      const { quotaBytes, usedBytes } = entry.usage
      const coming = comingBytes(id)
      candidates.push({
        id,
        machine: facts.machine,
        site: facts.site,
        person: facts.person,
        freeBytes: Math.max(0, quotaBytes - usedBytes - coming),
        reliability: entry.standing.reliabilityAt(now),
        share: (book.totalOf(id).bytes + coming) / all
      })
    }
    return candidates
  }

  /** Where the missing copies of a group are to go, piece by piece. */
  chooseFor(
    place: LogWindowPlace,
    group: AssessedGroup,
    candidates: readonly Candidate[]
  ): readonly {
    readonly bitmap: Uint8Array
    readonly bytes: number
    readonly choices: readonly Choice[]
  }[] {
    const taken = this.#takenBy(group)
    const blocks = countBits(group.bitmap)
    return stripesOf(place.window, group.bitmap).map(({ stripe, bitmap }) => {
      const bytes = (group.bytes / blocks) * countBits(bitmap)
      const missingSites = Math.max(0, group.redundancy.sites - group.sites)
      const placed = { log: place.log, stripe, bytes, missing: group.missing, missingSites }
      const shareMax = this.#parts.shareMax()
      // Whoever could not prove some of them is asked again only for want of others.
      const trusted = candidates.filter(({ id }) => !this.#isDoubted(place, id, bitmap))
      const choose = (from: readonly Candidate[]): readonly Choice[] =>
        choosePlaces(placed, { candidates: from, taken, shareMax })
      const choices = choose(trusted)
      const isEnough = choices.length === group.missing || trusted.length === candidates.length
      return { bitmap, bytes, choices: isEnough ? choices : choose(candidates) }
    })
  }

  #planOperations(place: LogWindowPlace, underWay: UnderWay): WindowPlan {
    const { book } = this.#parts
    const entries = book.needs.operationsAt(place)
    const orders: HoldOrder[] = []
    let urgency: OrderUrgency | undefined
    for (const entry of book.roster.all()) {
      const { kind, id, leaving } = entry.info
      if (kind !== 'holder' || leaving !== undefined || entry.link === undefined) continue
      const bitmap = this.#lacking(place, entry, { wanted: entries, underWay })
      if (isEmptyBitmap(bitmap)) continue
      urgency = 'operations'
      if (!book.roster.isReady(entry) || underWay.isLeftAlone(id)) continue
      const bytes = book.needs.bytesOf(place, countBits(bitmap))
      orders.push({ ...placeOf(place), keeper: id, bitmap, bytes, urgency, isRepair: false })
    }
    return { orders, urgency, complete: emptyBitmap() }
  }

  #planContent(place: LogWindowPlace, underWay: UnderWay): WindowPlan {
    const { book, settled } = this.#parts
    const orders = this.#planDevices(place, underWay)
    const asked = orders.map(({ keeper, bitmap }) => ({ tag: keeper, bitmap }))
    const once = settled(place) ?? emptyBitmap()
    let urgency: OrderUrgency | undefined = orders.length > 0 ? 'devices' : undefined
    let complete = wantedAt(book, place)
    let candidates: readonly Candidate[] | undefined
    for (const group of book.assessLacking(place, [...underWay.coming, ...asked])) {
      if (group.urgency === undefined || group.missing === 0) continue
      complete = difference(complete, group.bitmap)
      urgency = moreUrgent(urgency, group.urgency)
      const bitmap = this.#obtainable(place, group)
      if (isEmptyBitmap(bitmap)) continue
      candidates ??= this.candidates().filter(({ id }) => !underWay.isLeftAlone(id))
      const isRepair = !isEmptyBitmap(intersection(once, group.bitmap))
      const bytes = (group.bytes * countBits(bitmap)) / countBits(group.bitmap)
      for (const piece of this.chooseFor(place, { ...group, bitmap, bytes }, candidates))
        for (const { candidate } of piece.choices)
          orders.push({
            ...{ ...placeOf(place), keeper: candidate.id, bitmap: piece.bitmap },
            ...{ bytes: piece.bytes, urgency: group.urgency, isRepair }
          })
    }
    return { orders: merged(orders), urgency, complete }
  }

  /** Only what is here, or with somebody who is connected, can be handed on. */
  #obtainable(place: LogWindowPlace, { bitmap, keepers }: AssessedGroup): Uint8Array {
    const { book } = this.#parts
    const isThere = keepers.some(id => book.roster.sourceOf(id) !== undefined)
    return isThere ? bitmap : intersection(bitmap, book.storedAt(place))
  }

  /** The person's devices have all content anyway. */
  #planDevices(place: LogWindowPlace, underWay: UnderWay): HoldOrder[] {
    const { book } = this.#parts
    const wanted = wantedAt(book, place)
    const orders: HoldOrder[] = []
    for (const entry of book.roster.ready()) {
      const { kind, id: keeper } = entry.info
      if (kind !== 'device' || underWay.isLeftAlone(keeper)) continue
      const lacking = this.#lacking(place, entry, { wanted, underWay })
      for (const { bitmap } of stripesOf(place.window, lacking)) {
        const bytes = book.needs.bytesOf(place, countBits(bitmap))
        const order = { ...placeOf(place), keeper, bitmap, bytes }
        orders.push({ ...order, urgency: 'devices', isRepair: false })
      }
    }
    return orders
  }

  #lacking(
    place: LogWindowPlace,
    entry: RosterEntry,
    input: { readonly wanted: Uint8Array; readonly underWay: UnderWay }
  ): Uint8Array {
    const keeper = entry.info.id
    const { log, window } = place
    const valid = this.#parts.book.validAt({ keeper, log, window })
    if (valid !== undefined && isSubset(input.wanted, valid)) return NO_BLOCKS
    const lacking = valid === undefined ? input.wanted : difference(input.wanted, valid)
    return input.underWay.coming
      .filter(({ tag }) => tag === keeper)
      .reduce((rest, { bitmap }) => difference(rest, bitmap), lacking)
  }

  #isDoubted(place: LogWindowPlace, keeper: KeeperId, bitmap: Uint8Array): boolean {
    const { log, window } = place
    const doubted = this.#parts.book.ledger.row({ keeper, log, window })?.doubted
    return doubted !== undefined && !isEmptyBitmap(intersection(doubted, bitmap))
  }

  #takenBy({ counting }: AssessedGroup): {
    readonly machines: ReadonlySet<string>
    readonly sites: ReadonlySet<string>
    readonly persons: ReadonlySet<string>
  } {
    const facts = counting.flatMap(id => this.#parts.book.factsOf(id) ?? [])
    return {
      machines: new Set(facts.map(({ machine }) => machine)),
      sites: new Set(facts.map(({ site }) => site)),
      persons: new Set(facts.map(({ person }) => person))
    }
  }
}

function wantedAt(book: CustodyBook, place: LogWindowPlace): Uint8Array {
  const wanted = book.needs.contentAt(place)
  return wanted.reduce((all, { bitmap }) => union(all, bitmap), emptyBitmap())
}

const NO_BLOCKS = emptyBitmap()

/** The more urgent of two. */
export function moreUrgent(
  left: OrderUrgency | undefined,
  right: OrderUrgency | Urgency
): OrderUrgency {
  if (left === undefined) return right
  return ORDER_URGENCIES.indexOf(left) < ORDER_URGENCIES.indexOf(right) ? left : right
}

/** Pieces of one stripe for one keeper and purpose are one order. */
function merged(orders: readonly HoldOrder[]): readonly HoldOrder[] {
  const byKey = new Map<string, HoldOrder>()
  for (const order of orders) {
    const stripe = order.bitmap.findIndex(byte => byte !== 0) >> 5
    const key = `${order.keeper}/${stripe}`
    const other = byKey.get(key)
    if (other === undefined) byKey.set(key, order)
    else
      byKey.set(key, {
        ...other,
        bitmap: union(other.bitmap, order.bitmap),
        bytes: other.bytes + order.bytes,
        urgency: moreUrgent(other.urgency, order.urgency),
        isRepair: other.isRepair && order.isRepair
      })
  }
  return [...byKey.values()]
}

function placeOf({ log, window }: LogWindowPlace): LogWindowPlace {
  return { log, window }
}
