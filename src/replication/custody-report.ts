/**
 * Says how a drive is kept: copies and health of files, what survives which loss, and who keeps
 * what since when and why.
 *
 * @module
 */
import { countBits, indexesOf, intersection, isSubset, rangeBitmap } from '../sync/block-bitmap.ts'
import type { BlockSet } from '../sync/block-bitmap.ts'
import type { CopiesStatus, Health } from '../sync/custody-view.ts'
import type { LogKey } from '../sync/log.ts'
import { COPIES_MAX, redundancyKey } from '../sync/redundancy.ts'
import type { Redundancy } from '../sync/redundancy.ts'
import type { CopyPlanner } from './copy-planner.ts'
import type { CustodianParts, KeeperInfo } from './custodian-parts.ts'
import type { LogBlock } from '../sync/content-needs.ts'
import type { CustodyBook } from './custody-book.ts'
import type { LogWindowPlace } from './custody-needs.ts'
import { setsOf } from './durability-waiter.ts'
import type { KeeperId, KeeperUsage } from './holder-link.ts'
import type { RosterEntry } from './keeper-roster.ts'
import type { KeeperState } from './keeper-standing.ts'
import { HOLD_BLOCKS_MAX, scoreOf } from './placement.ts'
import { nowMs } from './wall-time.ts'
import { assessWindow } from './window-assessment.ts'
import type { AssessedGroup } from './window-assessment.ts'

/**
 * Operations that are younger take no file's copies down, in milliseconds: they are on their way,
 * and say nothing of files whose blocks are where they should be.
 */
export const OPERATIONS_SETTLE_MS = 10_000
/** How many of the weakest blocks a report names. */
export const WEAKEST_BLOCKS_MAX = 1000
/** For how long it is remembered how the operations are kept, in milliseconds. */
export const OPERATIONS_REPORT_MS = 100
const SNAPSHOTS_MAX = 16

/** Some blocks and what they have. */
export interface BlockAmount {
  /** How many blocks. */
  readonly blocks: number
  /** About how many bytes. */
  readonly bytes: number
}

/** What survives of all that is to have one level. */
export interface LevelSurvival extends BlockAmount {
  /** The level. */
  readonly redundancy: Redundancy
  /** Copies of its weakest block, on distinct machines: one fewer may be lost. */
  readonly copies: number
  /** On how many sites its weakest block is: all but one may be lost. */
  readonly sites: number
  /** At how many people's its weakest block is: all but one may be lost. */
  readonly persons: number
  /** What has a health other than `ok`. */
  readonly unwell: Readonly<Record<Exclude<Health, 'ok'>, BlockAmount>>
}

/** A block that has fewer copies than it should. */
export interface WeakBlock extends LogBlock {
  /** How many it has. */
  readonly copies: number
  /** What that means. */
  readonly health: Health
}

/** What survives which loss. */
export interface SurvivalReport {
  /** By level, the weakest first. */
  readonly levels: readonly LevelSurvival[]
  /** Copies of the weakest operation. */
  readonly operationCopies: number
  /** The weakest blocks first; at most {@link WEAKEST_BLOCKS_MAX}. */
  readonly weakest: readonly WeakBlock[]
}

/** A keeper as users see it. */
export interface KeeperStatus {
  /** What the owner says of it. */
  readonly info: KeeperInfo
  /** What its copies are worth. */
  readonly state: KeeperState
  /** Whether it is connected. */
  readonly isConnected: boolean
  /** How much of the drive it keeps. */
  readonly kept: BlockAmount
  /** When it was last connected, in milliseconds since 1970. */
  readonly seenMs: number
  /** When it last proved something, in milliseconds since 1970; 0 for never. */
  readonly provenMs: number
  /** How far it can be relied on, from 0 to 1. */
  readonly reliability: number
  /** How many blocks it was asked to prove and how many audits it failed; older ones count less. */
  readonly audits: { readonly blocks: number; readonly failed: number }
  /** Which machine it is on, by which copies are counted. */
  readonly machine: string
  /** What it said of its space, last; undefined before it was connected. */
  readonly usage: KeeperUsage | undefined
  /** Why it keeps no more just now; undefined when it does. */
  readonly refusal: string | undefined
}

/** Who keeps some blocks, and why. */
export interface KeptExplanation {
  /** Who. */
  readonly keeper: KeeperId
  /** Its name. */
  readonly name: string
  /** What its copies are worth. */
  readonly state: KeeperState
  /** How many of the blocks it keeps. */
  readonly blocks: number
  /** Since when it keeps any of them, in milliseconds since 1970; 0 for this device. */
  readonly sinceMs: number
  /** When it last proved that, in milliseconds since 1970; 0 for never. */
  readonly provenMs: number
  /** Whether it would be asked to keep more. */
  readonly isCandidate: boolean
  /** What it drew for the first of them; the highest are chosen, others' machines first. */
  readonly score: number
}

/** What a report is made of; all borrowed. */
export interface CustodyReportParts extends Pick<
  CustodianParts,
  'clock' | 'device' | 'isAuthorAround'
> {
  /** What is known. */
  readonly book: CustodyBook
  /** Decides who keeps what. */
  readonly planner: CopyPlanner
}

/** See the module. */
export class CustodyReport {
  readonly #parts: CustodyReportParts
  /** Of windows of operations that are settled; see {@link touched}. */
  readonly #operations = new Map<string, WeakestCopies>()
  /** Of all operations, or of the settled ones, as it was just now: many files are asked about. */
  readonly #weakest = new Map<boolean, { readonly ms: number; readonly copies: WeakestCopies }>()
  /** How long the operation logs were, oldest first; the first is settled. */
  #lengths: { readonly ms: number; readonly lengths: ReadonlyMap<LogKey, number> }[] = []

  /** @param parts - borrowed */
  constructor(parts: CustodyReportParts) {
    this.#parts = parts
  }

  /** The copies of a window changed. */
  touched({ log, window }: LogWindowPlace): void {
    this.#operations.delete(`${log}/${window}`)
    this.#weakest.clear()
  }

  /** The operation logs grew. */
  operationsGrew(): void {
    this.#weakest.clear()
    const { clock, book } = this.#parts
    const ms = nowMs(clock)
    this.#lengths.push({ ms, lengths: book.needs.operations })
    while ((this.#lengths[1]?.ms ?? ms) <= ms - OPERATIONS_SETTLE_MS) this.#lengths.shift()
    // With many in a moment the last is replaced, so that the first still grows old.
    if (this.#lengths.length > SNAPSHOTS_MAX) this.#lengths.splice(-2, 1)
  }

  /** The copies of some blocks, and of the operations. */
  copiesOf(blocks: Iterable<LogBlock>, redundancy: Redundancy): CopiesStatus {
    const { book, device } = this.#parts
    let lostBytes = 0
    let content = UNCOUNTED
    for (const set of setsOf(blocks)) {
      for (const group of this.#assess(set, redundancy)) {
        content = weaker(content, { ...group, keepers: new Set(group.counting) })
        if (this.#isLost(set.log, group)) lostBytes += group.bytes
      }
    }
    const operations = this.#weakestOperation(content.keepers !== undefined)
    const { copies, sites } = weaker(weaker(content, operations), NOTHING_TO_LOSE)
    const holders = [...(content.keepers ?? operations.keepers ?? [device.id])]
    return {
      copies,
      health: healthOf({ copies, sites, lostBytes, redundancy }),
      lostBytes: Math.round(lostBytes),
      holders: holders.map(id => book.roster.nameOf(id)).sort()
    }
  }

  /** What survives which loss. */
  survival(): SurvivalReport {
    const { book } = this.#parts
    const levels = new Map<string, LevelSurvival>()
    const weak: (Omit<AssessedGroup, 'bytes'> & LogWindowPlace)[] = []
    for (const place of book.needs.contentWindows()) {
      for (const group of book.assess(place)) {
        const health = this.#healthIn(place.log, group)
        const key = redundancyKey(group.redundancy)
        levels.set(key, withGroup(levels.get(key), group, health))
        if (health !== 'ok') weak.push({ ...group, ...place, health })
      }
    }
    weak.sort((left, right) => left.copies - right.copies)
    const weakest: WeakBlock[] = []
    for (const { log, window, bitmap, copies, health } of weak) {
      for (const index of indexesOf({ window, bitmap })) {
        if (weakest.length === WEAKEST_BLOCKS_MAX) break
        weakest.push({ log, index, copies, health })
      }
    }
    const { copies } = weaker(this.#weakestOperation(false), NOTHING_TO_LOSE)
    return {
      levels: [...levels.values()].sort((left, right) => left.copies - right.copies),
      operationCopies: copies,
      weakest
    }
  }

  /** Whether a block that is needed has no more copies than its floor. */
  isAtFloor(): boolean {
    const { book } = this.#parts
    for (const place of book.needs.contentWindows())
      for (const { copies, redundancy } of book.assess(place))
        if (copies <= redundancy.floor) return true
    return false
  }

  /** What would be below its floor, or gone, without a keeper. */
  without(keeper: KeeperId): { readonly belowFloor: BlockAmount; readonly lost: BlockAmount } {
    const { book } = this.#parts
    let belowFloor: BlockAmount = { blocks: 0, bytes: 0 }
    let lost = belowFloor
    for (const { log, window } of book.ledger.rowsOf(keeper)) {
      const place = { log, window }
      const held = book.heldAt(place).filter(({ tag }) => tag !== keeper)
      const wanted = book.needs.contentAt(place)
      const factsOf = (id: KeeperId) => book.factsOf(id)
      for (const group of assessWindow({ wanted, held, factsOf })) {
        if (this.#isLost(log, group)) lost = plus(lost, amountOf(group))
        else if (group.copies < group.redundancy.floor)
          belowFloor = plus(belowFloor, amountOf(group))
      }
    }
    return { belowFloor, lost }
  }

  /** The keepers, as users see them. */
  keepers(): readonly KeeperStatus[] {
    return [...this.#parts.book.roster.all()].map(entry => this.#statusOf(entry))
  }

  /** Who keeps some blocks, since when, and why. */
  explain(blocks: Iterable<LogBlock>): readonly KeptExplanation[] {
    const { book, planner, device } = this.#parts
    const sets = setsOf(blocks)
    const candidates = new Map(planner.candidates().map(one => [one.id, one]))
    const ids = [device.id, ...[...book.roster.all()].map(({ info }) => info.id)]
    return ids.map(keeper => {
      const rows = sets.flatMap(({ log, window }) => book.ledger.row({ keeper, log, window }) ?? [])
      const candidate = candidates.get(keeper)
      const [first] = sets
      return {
        keeper,
        name: book.roster.nameOf(keeper),
        state: book.factsOf(keeper)?.state ?? 'gone',
        blocks: sets.reduce((sum, set) => sum + this.#countKept(keeper, set), 0),
        sinceMs: rows.reduce((least, row) => Math.min(least, row.sinceMs), rows[0]?.sinceMs ?? 0),
        provenMs: rows.reduce((most, row) => Math.max(most, row.provenMs), 0),
        isCandidate: candidate !== undefined,
        score: candidate && first ? scoreOf(candidate, stripeOf(first)) : 0
      }
    })
  }

  #countKept(keeper: KeeperId, set: BlockSet): number {
    const { book, device } = this.#parts
    const { log, window } = set
    const valid = keeper === device.id ? book.ownAt(set) : book.validAt({ keeper, log, window })
    return valid === undefined ? 0 : countBits(intersection(valid, set.bitmap))
  }

  #statusOf(entry: RosterEntry): KeeperStatus {
    const { book, clock } = this.#parts
    const { info, standing, usage, refusal, link } = entry
    const facts = book.factsOf(info.id)
    const now = nowMs(clock)
    const { provenMs, auditedBlocks, failures } = standing.recordAt(now)
    return {
      info,
      state: facts?.state ?? 'gone',
      isConnected: link !== undefined,
      kept: book.totalOf(info.id),
      seenMs: link === undefined ? standing.seenMs : now,
      provenMs,
      reliability: standing.reliabilityAt(now),
      audits: { blocks: auditedBlocks, failed: failures },
      machine: facts?.machine ?? info.id,
      usage,
      refusal
    }
  }

  #assess(set: BlockSet, redundancy: Redundancy): readonly AssessedGroup[] {
    const { book } = this.#parts
    const bytes = book.needs.bytesOf(set, countBits(set.bitmap))
    const wanted = [{ bitmap: set.bitmap, redundancy, bytes }]
    return assessWindow({ wanted, held: book.heldAt(set), factsOf: id => book.factsOf(id) })
  }

  #weakestOperation(onlySettled: boolean): WeakestCopies {
    const ms = nowMs(this.#parts.clock)
    const known = this.#weakest.get(onlySettled)
    if (known !== undefined && ms - known.ms < OPERATIONS_REPORT_MS && ms >= known.ms)
      return known.copies
    let copies = UNCOUNTED
    for (const place of this.#parts.book.needs.operationWindows())
      copies = weaker(copies, this.#weakestAt(place, onlySettled))
    this.#weakest.set(onlySettled, { ms, copies })
    return copies
  }

  #weakestAt(place: LogWindowPlace, onlySettled: boolean): WeakestCopies {
    const all = this.#parts.book.needs.operationsAt(place)
    const bitmap = onlySettled ? this.#settledOf(place) : all
    const key = `${place.log}/${place.window}`
    const isWhole = isSubset(all, bitmap)
    const known = isWhole ? this.#operations.get(key) : undefined
    if (known !== undefined) return known
    const weakest = this.#assess({ ...place, bitmap }, ANY_LEVEL).reduce<WeakestCopies>(
      (least, group) => weaker(least, { ...group, keepers: new Set(group.counting) }),
      UNCOUNTED
    )
    if (isWhole) this.#operations.set(key, weakest)
    return weakest
  }

  #settledOf({ log, window }: LogWindowPlace): Uint8Array {
    const ms = nowMs(this.#parts.clock) - OPERATIONS_SETTLE_MS
    const settled = this.#lengths.findLast((one, at) => at === 0 || one.ms <= ms)
    return rangeBitmap({ window, from: 0, to: settled?.lengths.get(log) ?? 0 })
  }

  #isLost(log: LogKey, { isKnown }: Pick<AssessedGroup, 'isKnown'>): boolean {
    return !isKnown && !this.#parts.isAuthorAround(log)
  }

  #healthIn(log: LogKey, group: AssessedGroup): Health {
    return group.health === 'lost' && !this.#isLost(log, group) ? 'at-risk' : group.health
  }
}

function healthOf(input: {
  readonly copies: number
  readonly sites: number
  readonly lostBytes: number
  readonly redundancy: Redundancy
}): Health {
  const { copies, sites, lostBytes, redundancy } = input
  if (lostBytes > 0) return 'lost'
  if (copies < redundancy.floor) return 'at-risk'
  return copies < redundancy.copies || sites < redundancy.sites ? 'repairing' : 'ok'
}

/** Copies of the weakest of some blocks, and who keeps all of them. */
interface WeakestCopies {
  readonly copies: number
  readonly sites: number
  /** Undefined when there are no blocks. */
  readonly keepers: ReadonlySet<KeeperId> | undefined
}

const UNCOUNTED: WeakestCopies = {
  copies: Number.POSITIVE_INFINITY,
  sites: Number.POSITIVE_INFINITY,
  keepers: undefined
}
/** More than anybody can ask for. */
const NOTHING_TO_LOSE: WeakestCopies = { copies: COPIES_MAX, sites: COPIES_MAX, keepers: undefined }
const ANY_LEVEL: Redundancy = { copies: 1, floor: 1, sites: 1 }

function weaker(left: WeakestCopies, right: WeakestCopies): WeakestCopies {
  const keepers =
    left.keepers === undefined || right.keepers === undefined
      ? (left.keepers ?? right.keepers)
      : new Set([...left.keepers].filter(id => right.keepers?.has(id) === true))
  return {
    copies: Math.min(left.copies, right.copies),
    sites: Math.min(left.sites, right.sites),
    keepers
  }
}

const NOTHING: BlockAmount = { blocks: 0, bytes: 0 }

function withGroup(
  level: LevelSurvival | undefined,
  group: AssessedGroup,
  health: Health
): LevelSurvival {
  const amount = amountOf(group)
  const unwell = level?.unwell ?? { lost: NOTHING, 'at-risk': NOTHING, repairing: NOTHING }
  return {
    redundancy: group.redundancy,
    ...plus(level ?? NOTHING, amount),
    copies: Math.min(level?.copies ?? group.copies, group.copies),
    sites: Math.min(level?.sites ?? group.sites, group.sites),
    persons: Math.min(level?.persons ?? group.persons, group.persons),
    unwell: health === 'ok' ? unwell : { ...unwell, [health]: plus(unwell[health], amount) }
  }
}

function amountOf({ bitmap, bytes }: AssessedGroup): BlockAmount {
  return { blocks: countBits(bitmap), bytes }
}

function plus(left: BlockAmount, right: BlockAmount): BlockAmount {
  return { blocks: left.blocks + right.blocks, bytes: Math.round(left.bytes + right.bytes) }
}

function stripeOf({ log, window, bitmap }: BlockSet): {
  readonly log: LogKey
  readonly stripe: number
} {
  const [first = 0] = indexesOf({ window, bitmap })
  return { log, stripe: Math.floor(first / HOLD_BLOCKS_MAX) }
}
