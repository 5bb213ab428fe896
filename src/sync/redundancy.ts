/**
 * How many copies are asked for: the values of `user.grove.redundancy`, `user.grove.sites` and
 * `user.grove.durability`, and what follows from several of them.
 *
 * @module
 */

/** The most copies or sites that can be asked for. */
export const COPIES_MAX = 64

/** How many copies a block is to have. */
export interface Redundancy {
  /** The wish: verified copies on distinct computers, 1 to {@link COPIES_MAX}. */
  readonly copies: number
  /** Never to go below: 1 to `copies`. */
  readonly floor: number
  /** On how many distinct sites they are to be, 1 to {@link COPIES_MAX}. */
  readonly sites: number
}

/**
 * What an fsync waits for: this disk, that of one other computer, or those of as many computers as
 * copies are asked for.
 */
export type Durability = 'local' | 'peer' | 'level'

/** What holds where nobody set anything. */
export const DEFAULT_REDUNDANCY: Redundancy = { copies: 2, floor: 1, sites: 1 }

/** What holds where nobody set anything. */
export const DEFAULT_DURABILITY: Durability = 'local'

/**
 * Parses `N` or `N/FLOOR`. For `N` alone the floor is one less, and at least 1.
 *
 * @returns undefined when the text is neither
 */
export function parseRedundancy(text: string): Pick<Redundancy, 'copies' | 'floor'> | undefined {
  const [, wish, least] = /^([1-9]\d?)(?:\/([1-9]\d?))?$/.exec(text) ?? []
  if (wish === undefined) return undefined
  const copies = Number(wish)
  const floor = least === undefined ? Math.max(1, copies - 1) : Number(least)
  return copies > COPIES_MAX || floor > copies ? undefined : { copies, floor }
}

/** Writes `N/FLOOR`. */
export function formatRedundancy({ copies, floor }: Pick<Redundancy, 'copies' | 'floor'>): string {
  return `${copies}/${floor}`
}

/** Parses a number of sites. @returns undefined when the text is none */
export function parseSites(text: string): number | undefined {
  const sites = /^[1-9]\d?$/.test(text) ? Number(text) : Number.NaN
  return sites <= COPIES_MAX ? sites : undefined
}

/** Parses a durability. @returns undefined when the text is none */
export function parseDurability(text: string): Durability | undefined {
  return text === 'local' || text === 'peer' || text === 'level' ? text : undefined
}

/** What satisfies both. */
export function strictest(left: Redundancy, right: Redundancy): Redundancy {
  return {
    copies: Math.max(left.copies, right.copies),
    floor: Math.max(left.floor, right.floor),
    sites: Math.max(left.sites, right.sites)
  }
}

/** The same for the same levels, and for no others. */
export function redundancyKey({ copies, floor, sites }: Redundancy): string {
  return `${copies}/${floor}/${sites}`
}
