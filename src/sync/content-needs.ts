/**
 * Which blocks of which content logs the files of a drive use, and how many copies of each there
 * are to be. Blocks of earlier versions and of files without a name are not among them.
 *
 * @module
 */
import { emptyBitmap, setBit, WINDOW_BLOCKS, type BlockSet } from './block-bitmap.ts'
import type { BlockPlace } from './content-index.ts'
import { effectiveLevels, type KnownLevels } from './effective-redundancy.ts'
import type { InodeRecord } from './inode-record.ts'
import type { LogKey } from './log.ts'
import { COPIES_MAX, strictest, type Redundancy } from './redundancy.ts'
import type { BlockRun, Run } from './region.ts'
import type { TreeIndex } from './tree-index.ts'

/** How many inode numbers are looked at before others have their turn. */
export const INODES_PER_STEP = 128
/** How many regions of files are looked at before others have their turn. */
export const REGIONS_PER_STEP = 32
/** How many windows of blocks are put together before others have their turn. */
export const WINDOWS_PER_STEP = 64

/** Blocks of one window that are to have equally many copies. */
export interface NeededBlocks extends BlockSet {
  /** How many copies of each there are to be. */
  readonly redundancy: Redundancy
  /** At least so many bytes of them are used. */
  readonly bytes: number
}

/** How to scan. */
export interface ScanOptions {
  /** Awaited between two steps: file operations have their turn, and may change the tree. */
  readonly pause: () => Promise<void>
}

/** A block by its log. */
export interface LogBlock {
  /** The content log. */
  readonly log: LogKey
  /** The block's index. */
  readonly index: number
}

/** A file and what it is made of. */
export interface KeptFile {
  /** Its inode number. */
  readonly ino: number
  /** How many copies of it there are to be. */
  readonly redundancy: Redundancy
  /** Its size in bytes. */
  readonly size: number
  /** Its blocks, each once; read when iterated, in the tick in which the file was given. */
  readonly blocks: Iterable<LogBlock>
}

/**
 * Goes through all files that there are at its start, so that it comes to an end while files are
 * added faster than it goes. What changes meanwhile may or may not be seen.
 *
 * @returns a block that several files use is with the strictest of their levels only; sorted by
 *   log, window, copies, floor and sites
 */
export async function scanContentNeeds(
  index: TreeIndex,
  { pause }: ScanOptions
): Promise<readonly NeededBlocks[]> {
  const used = new UsedBlocks()
  const { inoEnd } = index
  for (let from = 0; from < inoEnd; from += INODES_PER_STEP) {
    const range = { from, to: from + INODES_PER_STEP }
    const codes = new Map<number, number>()
    for (const { ino, redundancy } of filesIn(index, range)) codes.set(ino, codeOf(redundancy))
    await pause()
    if (codes.size === 0) continue
    for (const page of index.content.regionPages({ ...range, countMax: REGIONS_PER_STEP })) {
      for (const { group, value } of page) used.addRuns(value, codes.get(group))
      await pause()
    }
  }
  return used.needed(index, pause)
}

/** Every file that has a name. The tree may change between two steps of the iteration. */
export function* filesOf(index: TreeIndex): Iterable<KeptFile> {
  for (let from = 0; from < index.inoEnd; from += INODES_PER_STEP) {
    for (const file of filesIn(index, { from, to: from + INODES_PER_STEP })) {
      yield { ...file, blocks: logBlocksOf(index, file.ino) }
    }
  }
}

/** The blocks of a file, each once. The file may change between two steps of the iteration. */
export function* blocksOf(index: TreeIndex, ino: number): Iterable<BlockPlace> {
  const seen = new Map<number, Map<number, number>>()
  for (const { log, index: at } of blockRunsOf(index, ino)) {
    const words = seen.get(log) ?? new Map<number, number>()
    seen.set(log, words)
    const word = Math.floor(at / 32)
    const bit = 1 << (at % 32)
    const bits = words.get(word) ?? 0
    if ((bits & bit) !== 0) continue
    words.set(word, bits | bit)
    yield { log, index: at }
  }
}

function* logBlocksOf(index: TreeIndex, ino: number): Iterable<LogBlock> {
  for (const place of blocksOf(index, ino))
    yield { log: index.logs.keyOf(place.log), index: place.index }
}

function* blockRunsOf(index: TreeIndex, ino: number): Iterable<BlockRun> {
  const range = { from: ino, to: ino + 1, countMax: REGIONS_PER_STEP }
  for (const page of index.content.regionPages(range)) {
    for (const { value } of page) {
      for (const run of value) if (run.kind === 'block') yield run
    }
  }
}

/** The files of a range of inode numbers, as they are in this tick. */
function filesIn(
  index: TreeIndex,
  { from, to }: { readonly from: number; readonly to: number }
): readonly Omit<KeptFile, 'blocks'>[] {
  const known: KnownLevels = new Map()
  const records = [...index.inodes.between(from, to).values()].flatMap(rows => [...rows.values()])
  return records.filter(isNamedFile).map(record => {
    const { ino, size } = record
    return { ino, size, redundancy: effectiveLevels(index, record, known).redundancy }
  })
}

function isNamedFile({ kind, links }: InodeRecord): boolean {
  return kind === 'file' && links.length > 0
}

/** Blocks of a page: the more, the less a lone block may take, and the less many together do. */
const PAGE_BLOCKS = 64
const PAGES_PER_WINDOW = WINDOW_BLOCKS / PAGE_BLOCKS

/**
 * The blocks found so far: pages of blocks, where a page has for each block a number for its
 * level, 0 for none, and how many bytes of it are used. About 12 bytes a block where they lie
 * together, and under 1 KiB for one that lies alone.
 */
class UsedBlocks {
  readonly #logs = new Map<number, Map<number, Uint32Array>>()

  /** @param code - of the level of the file that has the runs; absent for one that does not count */
  addRuns(runs: readonly Run[], code: number | undefined): void {
    if (code === undefined) return
    for (const run of runs) if (run.kind === 'block') this.#add(run, code)
  }

  /** All of them, sorted. */
  async needed(index: TreeIndex, pause: () => Promise<void>): Promise<readonly NeededBlocks[]> {
    const logs = [...this.#logs].map(([number, pages]) => ({
      log: index.logs.keyOf(number),
      pages
    }))
    logs.sort((left, right) => (left.log < right.log ? -1 : 1))
    const found: NeededBlocks[] = []
    let windows = 0
    for (const { log, pages } of logs) {
      for (const window of windowsOf(pages)) {
        for (const blocks of neededIn(pages, window)) found.push({ log, ...blocks })
        if (++windows % WINDOWS_PER_STEP === 0) await pause()
      }
    }
    return found
  }

  #add({ log, index, blockOffset, length }: BlockRun, code: number): void {
    let pages = this.#logs.get(log)
    if (pages === undefined) this.#logs.set(log, (pages = new Map<number, Uint32Array>()))
    const number = Math.floor(index / PAGE_BLOCKS)
    let page = pages.get(number)
    if (page === undefined) pages.set(number, (page = new Uint32Array(2 * PAGE_BLOCKS)))
    const at = 2 * (index % PAGE_BLOCKS)
    page[at] = strictestCode(page[at] ?? 0, code)
    page[at + 1] = Math.max(page[at + 1] ?? 0, Math.min(blockOffset + length, BYTES_MAX))
  }
}

/** What a page can say of a block; no honest block is larger. */
const BYTES_MAX = 2 ** 32 - 1

/** The windows that have pages, ascending. */
function windowsOf(pages: ReadonlyMap<number, Uint32Array>): Iterable<number> {
  const numbers = Float64Array.from(pages.keys(), page => Math.floor(page / PAGES_PER_WINDOW))
  return new Set(numbers.sort())
}

/** The blocks of a window by their levels, the least first. */
function neededIn(
  pages: ReadonlyMap<number, Uint32Array>,
  window: number
): Iterable<Omit<NeededBlocks, 'log'>> {
  const levels = new Map<number, { readonly bitmap: Uint8Array; bytes: number }>()
  for (let part = 0; part < PAGES_PER_WINDOW; part++) {
    const page = pages.get(window * PAGES_PER_WINDOW + part)
    if (page === undefined) continue
    for (let block = 0; block < PAGE_BLOCKS; block++) {
      const code = page[2 * block] ?? 0
      if (code === 0) continue
      const level = levels.get(code) ?? { bitmap: emptyBitmap(), bytes: 0 }
      levels.set(code, level)
      setBit(level.bitmap, part * PAGE_BLOCKS + block)
      level.bytes += page[2 * block + 1] ?? 0
    }
  }
  return [...levels]
    .toSorted(([left], [right]) => left - right)
    .map(([code, { bitmap, bytes }]) => ({ window, bitmap, bytes, redundancy: redundancyOf(code) }))
}

/** A level as a number that sorts by copies, floor and sites, and is never 0. */
function codeOf({ copies, floor, sites }: Redundancy): number {
  return (copies * LEVEL_BASE + floor) * LEVEL_BASE + sites
}

function redundancyOf(code: number): Redundancy {
  return {
    copies: Math.floor(code / LEVEL_BASE ** 2),
    floor: Math.floor(code / LEVEL_BASE) % LEVEL_BASE,
    sites: code % LEVEL_BASE
  }
}

function strictestCode(left: number, right: number): number {
  if (left === right || left === 0) return right
  return codeOf(strictest(redundancyOf(left), redundancyOf(right)))
}

const LEVEL_BASE = COPIES_MAX + 1
