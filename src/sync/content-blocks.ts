/**
 * Which blocks of other devices' content logs the tree needs.
 *
 * @module
 */
import type { RegionRuns } from './content-index.ts'
import type { LogKey } from './log.ts'
import type { MergedOperation } from './merger.ts'
import type { TreeIndex } from './tree-index.ts'

/** How many inode numbers are looked up in one go. */
export const INODES_PER_STEP = 128
/** How many regions of a file are looked at in one go. */
export const REGIONS_PER_STEP = 4

/** A block of another device's content log. */
export interface ContentBlock {
  /** The content log. */
  readonly log: LogKey
  /** The block's index in it. */
  readonly index: number
  /** At least so many bytes of it are used. */
  readonly bytes: number
}

/** Whether a block of another device is wanted: its log is another device's, and it is not here. */
export type IsMissing = (log: LogKey, index: number) => boolean

/** The blocks that operations name and that are not here, each once. */
export function contentBlocksOf(
  operations: readonly MergedOperation[],
  isMissing: IsMissing
): readonly ContentBlock[] {
  const blocks = new Map<string, ContentBlock>()
  for (const { operation } of operations) {
    if (operation.type !== 'write') continue
    for (const piece of operation.pieces) {
      if (piece.kind !== 'block' || !isMissing(piece.log, piece.index)) continue
      const { log, index } = piece
      addBlock(blocks, { log, index, bytes: piece.blockOffset + piece.length })
    }
  }
  return [...blocks.values()]
}

/**
 * The blocks that files use and that are not here, those of the newest files first. A block that
 * two files use, or two regions of one, may come twice. The tree may change between two steps of
 * the iteration.
 *
 * @returns what each step of bounded size found: most find nothing, and between two of them whoever
 *   iterates can give way
 */
export function* missingBlocks(
  index: TreeIndex,
  isMissing: IsMissing
): Iterable<readonly ContentBlock[]> {
  for (let to = index.inoEnd; to > 0; to -= INODES_PER_STEP) {
    const inodes = index.inodes.between(Math.max(0, to - INODES_PER_STEP), to)
    yield []
    for (const ino of [...inodes.keys()].toSorted((left, right) => right - left)) {
      const range = { from: ino, to: ino + 1, countMax: REGIONS_PER_STEP }
      for (const page of index.content.regionPages(range)) yield missingIn(index, page, isMissing)
    }
  }
}

function missingIn(
  index: TreeIndex,
  page: readonly RegionRuns[],
  isMissing: IsMissing
): readonly ContentBlock[] {
  const blocks = new Map<string, ContentBlock>()
  for (const run of page.flatMap(({ value }) => value)) {
    if (run.kind !== 'block') continue
    const log = index.logs.keyOf(run.log)
    if (!isMissing(log, run.index)) continue
    addBlock(blocks, { log, index: run.index, bytes: run.blockOffset + run.length })
  }
  return [...blocks.values()]
}

function addBlock(blocks: Map<string, ContentBlock>, block: ContentBlock): void {
  const key = `${block.log}/${block.index}`
  const bytes = Math.max(block.bytes, blocks.get(key)?.bytes ?? 0)
  blocks.set(key, { ...block, bytes })
}
