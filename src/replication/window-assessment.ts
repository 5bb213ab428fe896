/**
 * How the copies of a window compare to what is asked for.
 *
 * Copies are counted once per machine and sites once per name, and a copy counts while its keeper
 * does. A copy of a keeper that is away within its grace counts, but is not relied on where the
 * blocks are at their floor: there it is replaced at once.
 *
 * @module
 */
import { countBits, difference, union } from '../sync/block-bitmap.ts'
import type { Health } from '../sync/custody-view.ts'
import type { Redundancy } from '../sync/redundancy.ts'
import { inAtLeast } from './copy-counter.ts'
import { copyGroups } from './copy-groups.ts'
import type { TaggedBlocks } from './copy-groups.ts'
import type { KeeperId } from './holder-link.ts'
import type { KeeperState } from './keeper-standing.ts'

/** Where a computer that keeps blocks stands, as the owner says, and what its copies are worth. */
export interface CopyFacts {
  /** The machine; computers of one are one copy. */
  readonly machine: string
  /** The site; empty for those that nobody named, which are one. */
  readonly site: string
  /** Whose it is; empty for those that nobody named, which are one. */
  readonly person: string
  /** What its copies are worth. */
  readonly state: KeeperState
}

/** What is known of the computers, by name; who is missing does not count. */
export type FactsOf = (keeper: KeeperId) => CopyFacts | undefined

/** Blocks that are to have equally many copies. */
export interface WantedBlocks {
  /** Which blocks of the window. */
  readonly bitmap: Uint8Array
  /** How many copies. */
  readonly redundancy: Redundancy
  /** How many bytes they have. */
  readonly bytes: number
}

/** How urgent it is to make copies: nothing comes before what is below its floor. */
export type Urgency = 'floor' | 'wish' | 'sites'

/** Blocks with the same copies. */
export interface AssessedGroup extends WantedBlocks {
  /** All that have or had them, whether they count or not. */
  readonly keepers: readonly KeeperId[]
  /** Who of them counts. */
  readonly counting: readonly KeeperId[]
  /** On how many machines there is a copy that counts. */
  readonly copies: number
  /** On how many sites. */
  readonly sites: number
  /** At how many people. */
  readonly persons: number
  /** Whether a copy is known anywhere, if only with somebody who is away. */
  readonly isKnown: boolean
  /** What `user.grove.health` says. */
  readonly health: Health
  /** How urgent it is to make copies; undefined when there are enough. */
  readonly urgency: Urgency | undefined
  /** How many copies are to be made. */
  readonly missing: number
}

/** What is to be assessed. */
export interface WindowCopies {
  /** What is asked for, without a block in common. */
  readonly wanted: readonly WantedBlocks[]
  /** Who has which blocks of the window, as far as receipts say. */
  readonly held: readonly TaggedBlocks<KeeperId>[]
  /** What is known of them. */
  readonly factsOf: FactsOf
}

/** Compares what there is to what is asked for. */
export function assessWindow({ wanted, held, factsOf }: WindowCopies): readonly AssessedGroup[] {
  return wanted.flatMap(({ bitmap, redundancy, bytes }) => {
    const blockBytes = bytes / Math.max(1, countBits(bitmap))
    return copyGroups(bitmap, held).map(group => ({
      bitmap: group.bitmap,
      redundancy,
      bytes: blockBytes * countBits(group.bitmap),
      ...assessCopies(group.tags, { redundancy, factsOf })
    }))
  })
}

/**
 * Compares as {@link assessWindow} does, but leaves out most of what has all of its copies: of a
 * window that is well it takes a fraction of the time.
 */
export function assessLacking({ wanted, held, factsOf }: WindowCopies): readonly AssessedGroup[] {
  const machines = new Map<string, Uint8Array>()
  for (const { tag, bitmap } of held) {
    const facts = factsOf(tag)
    if (facts?.state !== 'held' && facts?.state !== 'silent') continue
    const other = machines.get(facts.machine)
    machines.set(facts.machine, other === undefined ? bitmap : union(other, bitmap))
  }
  const sets = [...machines.values()]
  const lacking = wanted.flatMap(one => {
    const { copies, floor, sites } = one.redundancy
    // At the floor it matters who is there, and sites are not counted here.
    const isPlain = sites <= 1 && sets.length > 0
    const enough = isPlain ? inAtLeast(sets, Math.max(copies, floor + 1)) : undefined
    const bitmap = enough === undefined ? one.bitmap : difference(one.bitmap, enough)
    const [all, some] = [countBits(one.bitmap), countBits(bitmap)]
    return some === 0 ? [] : [{ ...one, bitmap, bytes: (one.bytes * some) / all }]
  })
  return lacking.length === 0 ? [] : assessWindow({ wanted: lacking, held, factsOf })
}

/** Compares the copies of some blocks to what is asked for. */
export function assessCopies(
  keepers: readonly KeeperId[],
  input: { readonly redundancy: Redundancy; readonly factsOf: FactsOf }
): Omit<AssessedGroup, keyof WantedBlocks> {
  const { redundancy, factsOf } = input
  const machines = new Set<string>()
  const present = new Set<string>()
  const sites = new Set<string>()
  const persons = new Set<string>()
  const counting: KeeperId[] = []
  let isKnown = false
  for (const keeper of keepers) {
    const facts = factsOf(keeper)
    if (facts === undefined) continue
    const { state, machine, site, person } = facts
    isKnown ||= state !== 'failed' && state !== 'gone'
    if (state !== 'held' && state !== 'silent') continue
    counting.push(keeper)
    machines.add(machine)
    sites.add(site)
    persons.add(person)
    if (state === 'held') present.add(machine)
  }
  const copies = machines.size
  const isAtFloor = copies <= redundancy.floor
  const missing = redundancy.copies - (isAtFloor ? present.size : copies)
  const lacksSites = sites.size < redundancy.sites
  const urgency =
    missing > 0 ? (copies < redundancy.floor ? 'floor' : 'wish') : lacksSites ? 'sites' : undefined
  return {
    ...{ keepers, counting, copies, isKnown, urgency },
    sites: sites.size,
    persons: persons.size,
    health: healthOf({ copies, sites: sites.size, isKnown, redundancy }),
    missing: Math.max(missing, lacksSites ? redundancy.sites - sites.size : 0, 0)
  }
}

function healthOf(input: {
  readonly copies: number
  readonly sites: number
  readonly isKnown: boolean
  readonly redundancy: Redundancy
}): Health {
  const { copies, sites, isKnown, redundancy } = input
  if (!isKnown) return 'lost'
  if (copies < redundancy.floor) return 'at-risk'
  return copies < redundancy.copies || sites < redundancy.sites ? 'repairing' : 'ok'
}
