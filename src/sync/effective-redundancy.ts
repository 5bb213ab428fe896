/**
 * How many copies of an inode there are to be, and what its fsync waits for: what is set on it,
 * else what is set on the nearest directory above it that has the setting, else the default. Each
 * setting is inherited by itself. A file with several names is kept as the strictest of their
 * directories asks.
 *
 * Values are read from the index, where devices of any kind put them: one that does not parse is
 * as good as none.
 *
 * @module
 */
import type { InodeRecord } from './inode-record.ts'
import type { Name } from './operation.ts'
import { PATH_NAMES_MAX } from './path-of.ts'
import {
  DEFAULT_DURABILITY,
  DEFAULT_REDUNDANCY,
  parseDurability,
  parseRedundancy,
  parseSites,
  strictest,
  type Durability,
  type Redundancy
} from './redundancy.ts'
import type { TreeIndex } from './tree-index.ts'

/** How many copies: `N` or `N/FLOOR`. */
export const XATTR_REDUNDANCY = 'user.grove.redundancy' as Name
/** On how many distinct sites at least. */
export const XATTR_SITES = 'user.grove.sites' as Name
/** What an fsync waits for: `local`, `peer` or `level`. */
export const XATTR_DURABILITY = 'user.grove.durability' as Name

/** No value of a setting is longer, in bytes. */
const SETTING_BYTES_MAX = 8

/** What is set on one inode. */
export interface OwnLevels {
  /** The wish and the floor. */
  readonly copies?: Pick<Redundancy, 'copies' | 'floor'>
  /** The sites. */
  readonly sites?: number
  /** What an fsync waits for. */
  readonly durability?: Durability
}

/** What holds for an inode. */
export interface Levels {
  /** How many copies there are to be. */
  readonly redundancy: Redundancy
  /** What an fsync waits for. */
  readonly durability: Durability
}

/**
 * What was found out about directories, by any of their numbers: for looking at many inodes in
 * one tick. It is stale as soon as the tree changes.
 */
export type KnownLevels = Map<number, Levels>

/** What of an index is read. */
export type LeveledTree = Pick<TreeIndex, 'findInode' | 'xattr'>

/** What of an inode is read; its links may be those of its row or as they are shown. */
export type LeveledInode = Pick<InodeRecord, 'ino' | 'kind' | 'links' | 'xattrs'>

/** What holds where nobody set anything. */
const DEFAULT_LEVELS: Levels = { redundancy: DEFAULT_REDUNDANCY, durability: DEFAULT_DURABILITY }

const NONE: OwnLevels = {}

/**
 * Parses the value of a setting.
 *
 * @returns undefined when there is no such setting, or the value is none of it
 */
export function parseLevel(name: Name, value: Uint8Array): OwnLevels | undefined {
  if (value.length > SETTING_BYTES_MAX) return undefined
  const text = String.fromCharCode(...value)
  switch (name) {
    case XATTR_REDUNDANCY: {
      const copies = parseRedundancy(text)
      return copies && { copies }
    }
    case XATTR_SITES: {
      const sites = parseSites(text)
      return sites === undefined ? undefined : { sites }
    }
    case XATTR_DURABILITY: {
      const durability = parseDurability(text)
      return durability && { durability }
    }
    default:
      return undefined
  }
}

/**
 * What holds for an inode. A directory counts from at most {@link PATH_NAMES_MAX} levels above it,
 * a file or directory without a name from itself only.
 *
 * @param known - filled with the directories on the way
 */
export function effectiveLevels(
  index: LeveledTree,
  inode: LeveledInode,
  known: KnownLevels = new Map()
): Levels {
  if (inode.kind === 'directory') return levelsOfDirectory(index, inode.ino, known)
  let inherited: Levels | undefined
  for (const { parent } of inode.links) {
    const levels = levelsOfDirectory(index, parent, known)
    inherited = inherited === undefined ? levels : both(inherited, levels)
  }
  return over(ownLevels(index, inode), inherited ?? DEFAULT_LEVELS)
}

function levelsOfDirectory(index: LeveledTree, directory: number, known: KnownLevels): Levels {
  const way: { readonly ino: number; readonly own: OwnLevels }[] = []
  let levels = DEFAULT_LEVELS
  for (let at: number | undefined = directory; at !== undefined && way.length < PATH_NAMES_MAX;) {
    const found = known.get(at)
    if (found !== undefined) {
      levels = found
      break
    }
    const record = index.findInode(at)
    if (record?.kind !== 'directory') break
    way.push({ ino: at, own: ownLevels(index, record) })
    at = record.links[0]?.parent
  }
  for (const { ino, own } of way.reverse()) {
    levels = over(own, levels)
    known.set(ino, levels)
  }
  return levels
}

function ownLevels(index: LeveledTree, { ino, xattrs }: LeveledInode): OwnLevels {
  if (xattrs === 0) return NONE
  const valueOf = (name: Name): OwnLevels | undefined => {
    const row = index.xattr(ino, name)
    return row && parseLevel(name, row.value)
  }
  return { ...valueOf(XATTR_REDUNDANCY), ...valueOf(XATTR_SITES), ...valueOf(XATTR_DURABILITY) }
}

/** What is set, and what is inherited where nothing is. */
function over(own: OwnLevels, inherited: Levels): Levels {
  if (own.copies === undefined && own.sites === undefined && own.durability === undefined)
    return inherited
  return {
    redundancy: {
      ...(own.copies ?? inherited.redundancy),
      sites: own.sites ?? inherited.redundancy.sites
    },
    durability: own.durability ?? inherited.durability
  }
}

/** What satisfies both. */
function both(left: Levels, right: Levels): Levels {
  if (left === right) return left
  return {
    redundancy: strictest(left.redundancy, right.redundancy),
    durability:
      STRENGTH[left.durability] < STRENGTH[right.durability] ? right.durability : left.durability
  }
}

const STRENGTH: Readonly<Record<Durability, number>> = { local: 0, peer: 1, level: 2 }
