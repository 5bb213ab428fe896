/**
 * Which computers are to keep blocks that lack copies.
 *
 * Weighted rendezvous hashing: every computer draws a number from the blocks' place and its own
 * name, the better the more free space it has (in powers of two, so that small differences move
 * nothing) and the more it can be relied on. The best win. Everyone with the same view chooses
 * alike, and a computer that comes or goes moves only its own share.
 *
 * Before the draw come the rules: never a machine that has a copy; other people and sites first;
 * nobody gets more than its share of the drive while others have room. Only missing copies are
 * placed: what is verified stays where it is.
 *
 * Blocks are placed in stripes, so that one hold is one piece of a window.
 *
 * @module
 */
import { blake2b } from '../crypto/sodium.ts'
import { asciiBytes } from '../crypto/derive.ts'
import { BITMAP_BYTES, WINDOW_BLOCKS, emptyBitmap } from '../sync/block-bitmap.ts'
import type { LogKey } from '../sync/log.ts'
import type { KeeperId } from './holder-link.ts'

/** How many consecutive blocks are placed together, and asked for in one hold at most. */
export const HOLD_BLOCKS_MAX = 256
/** The share of a drive that one keeper gets at most, while others have room. */
export const SHARE_MAX_DEFAULT = 0.6

const STRIPES_PER_WINDOW = WINDOW_BLOCKS / HOLD_BLOCKS_MAX
const STRIPE_BYTES = BITMAP_BYTES / STRIPES_PER_WINDOW

/** A computer that could keep blocks. */
export interface Candidate {
  /** Who it is. */
  readonly id: KeeperId
  /** Its machine. */
  readonly machine: string
  /** Its site; empty when nobody named it. */
  readonly site: string
  /** Whose it is; empty when nobody named it. */
  readonly person: string
  /** How many bytes it still takes. */
  readonly freeBytes: number
  /** How far it can be relied on, above 0 to 1. */
  readonly reliability: number
  /** How much of the drive it keeps, from 0 to 1. */
  readonly share: number
}

/** Blocks to be placed. */
export interface PlacedBlocks {
  /** Their log. */
  readonly log: LogKey
  /** Which stripe of the log: the first block's index divided by {@link HOLD_BLOCKS_MAX}. */
  readonly stripe: number
  /** How many bytes they have. */
  readonly bytes: number
  /** How many copies are missing. */
  readonly missing: number
  /** How many sites are missing: so many of the copies go to new sites, or are not made. */
  readonly missingSites: number
}

/** Where there are copies already, or will be. */
export interface TakenPlaces {
  /** The machines. */
  readonly machines: ReadonlySet<string>
  /** The sites. */
  readonly sites: ReadonlySet<string>
  /** The people. */
  readonly persons: ReadonlySet<string>
}

/** A computer that was chosen, and why. */
export interface Choice {
  /** Which. */
  readonly candidate: Candidate
  /** What it drew; the highest wins among equals. */
  readonly score: number
  /** Whether nobody of this name had a copy. */
  readonly isNewPerson: boolean
  /** Whether there was none on this site. */
  readonly isNewSite: boolean
  /** Whether it has its share of the drive and was chosen for want of another. */
  readonly isOverShare: boolean
}

/** Chooses computers for blocks; fewer than are missing when there are no more. */
export function choosePlaces(
  blocks: PlacedBlocks,
  input: {
    readonly candidates: readonly Candidate[]
    readonly taken: TakenPlaces
    readonly shareMax: number
  }
): readonly Choice[] {
  const machines = new Set(input.taken.machines)
  const sites = new Set(input.taken.sites)
  const persons = new Set(input.taken.persons)
  const scored = input.candidates
    .filter(({ freeBytes }) => freeBytes >= Math.max(1, blocks.bytes))
    .map(candidate => ({ candidate, score: scoreOf(candidate, blocks) }))
  const choices: Choice[] = []
  let newSites = 0
  while (choices.length < blocks.missing) {
    const sitesLeft = blocks.missingSites - newSites
    const mustBeNewSite = sitesLeft > 0 && blocks.missing - choices.length <= sitesLeft
    const best = scored
      .filter(({ candidate: { machine } }) => !machines.has(machine))
      .map(({ candidate, score }) => ({
        ...{ candidate, score },
        isNewPerson: !persons.has(candidate.person),
        isNewSite: !sites.has(candidate.site),
        isOverShare: candidate.share >= input.shareMax
      }))
      .filter(({ isNewSite }) => isNewSite || !mustBeNewSite)
      .reduce<Choice | undefined>((first, one) => (isBetter(one, first) ? one : first), undefined)
    if (best === undefined) break
    choices.push(best)
    if (best.isNewSite) newSites++
    machines.add(best.candidate.machine)
    sites.add(best.candidate.site)
    persons.add(best.candidate.person)
  }
  return choices
}

/** What a candidate draws for blocks. */
export function scoreOf(
  { id, freeBytes, reliability }: Pick<Candidate, 'id' | 'freeBytes' | 'reliability'>,
  { log, stripe }: Pick<PlacedBlocks, 'log' | 'stripe'>
): number {
  const weight = 2 ** Math.floor(Math.log2(Math.max(1, freeBytes))) * reliability
  // An exponential draw at a rate of its weight: each wins in proportion to it.
  return weight / -Math.log(drawOf(id, log, stripe))
}

/** The blocks of a window in pieces of a stripe each, of those that have any. */
export function stripesOf(
  window: number,
  bitmap: Uint8Array
): readonly { readonly stripe: number; readonly bitmap: Uint8Array }[] {
  const stripes: { stripe: number; bitmap: Uint8Array }[] = []
  for (let at = 0; at < STRIPES_PER_WINDOW; at++) {
    const part = bitmap.subarray(at * STRIPE_BYTES, (at + 1) * STRIPE_BYTES)
    if (part.every(byte => byte === 0)) continue
    const piece = emptyBitmap()
    piece.set(part, at * STRIPE_BYTES)
    stripes.push({ stripe: window * STRIPES_PER_WINDOW + at, bitmap: piece })
  }
  return stripes
}

/** Computers in an order that follows from a place; the same for everyone who knows the same. */
export function rankedFor<Name extends string>(
  names: readonly Name[],
  place: { readonly log: LogKey; readonly window: number }
): readonly Name[] {
  return names
    .map(name => ({ name, draw: drawOf(name, place.log, place.window) }))
    .toSorted((left, right) => right.draw - left.draw || (left.name < right.name ? -1 : 1))
    .map(({ name }) => name)
}

function isBetter(left: Choice, right: Choice | undefined): boolean {
  if (right === undefined) return true
  if (left.isOverShare !== right.isOverShare) return right.isOverShare
  const news = (choice: Choice): number => Number(choice.isNewPerson) + Number(choice.isNewSite)
  if (news(left) !== news(right)) return news(left) > news(right)
  if (left.score !== right.score) return left.score > right.score
  return left.candidate.id < right.candidate.id
}

/** A number between 0 and 1 that follows from the names alone, spread evenly. */
function drawOf(name: string, log: LogKey, number: number): number {
  const [left, right] = [seedOf(name), seedOf(log)]
  const high = mixed(mixed(left[0] ^ number) + right[0])
  const low = mixed(mixed(left[1] + number) ^ right[1] ^ high)
  return ((high >>> 0) * 2 ** 21 + (low >>> 11) + 0.5) / 2 ** 53
}

const SEEDS_MAX = 4096
const seeds = new Map<string, readonly [number, number]>()

/** Two random-looking numbers for a name; remembered, for they are asked for over and over. */
function seedOf(name: string): readonly [number, number] {
  const known = seeds.get(name)
  if (known !== undefined) return known
  const hash = blake2b(asciiBytes(name))
  const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength)
  const seed = [view.getInt32(0, true), view.getInt32(4, true)] as const
  if (seeds.size >= SEEDS_MAX) seeds.clear()
  seeds.set(name, seed)
  return seed
}

/** The finalizer of MurmurHash3 (A. Appleby, public domain): every bit depends on every other. */
function mixed(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
