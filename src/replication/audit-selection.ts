/**
 * Which blocks a keeper is to prove: random ones, each as likely as any other, so that who lost a
 * tenth is found after a few; and in between, one after the other, so that every block has its
 * turn and who lost a single one is found too.
 *
 * @module
 */
import type { Random } from '../crypto/random.ts'
import { countBits, indexesOf } from '../sync/block-bitmap.ts'
import type { BlockSet } from '../sync/block-bitmap.ts'
import type { LogKey } from '../sync/log.ts'
import type { SweepPosition } from './custody-store.ts'

/** Of so many challenges at least about one is random, however far the sweep is behind. */
export const RANDOM_SHARE = 8

/** Blocks of one log. */
export interface SelectedBlocks {
  /** The log. */
  readonly log: LogKey
  /** The blocks, ascending; at least one. */
  readonly indexes: readonly number[]
}

/** Draws an integer of at least 0 and below `max`. */
export function drawInteger(random: Random, max: number): number {
  const bytes = random.bytes(6)
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  return Math.floor((value / 2 ** 48) * max)
}

/**
 * Draws blocks of one log; the log by how many blocks it has.
 *
 * @param kept - what the keeper is to have
 * @returns undefined when there is nothing
 */
export function drawBlocks(
  random: Random,
  kept: readonly BlockSet[],
  countMax: number
): SelectedBlocks | undefined {
  const [first] = drawFrom(random, kept, 1)
  if (first === undefined) return undefined
  const { log } = first
  const drawn = drawFrom(
    random,
    kept.filter(blocks => blocks.log === log),
    countMax
  )
  const indexes = [...new Set(drawn.map(({ index }) => index))]
  return { log, indexes: indexes.sort((left, right) => left - right) }
}

/**
 * Goes on with the sweep.
 *
 * @param kept - what the keeper is to have
 * @param from - where the sweep is
 * @returns the next blocks and where it is then; no blocks when a round is over
 */
export function sweepBlocks(
  kept: readonly BlockSet[],
  from: SweepPosition,
  countMax: number
): { readonly blocks: SelectedBlocks | undefined; readonly next: string } {
  const windows = kept
    .map(blocks => ({
      ...blocks,
      name: nameOf(blocks.log, blocks.window * blocks.bitmap.length * 8)
    }))
    .toSorted((left, right) => (left.name < right.name ? -1 : 1))
  let log: LogKey | undefined
  const indexes: number[] = []
  for (const blocks of windows) {
    const end = nameOf(blocks.log, (blocks.window + 1) * blocks.bitmap.length * 8)
    if (end <= from.next || (log !== undefined && blocks.log !== log)) continue
    for (const index of indexesOf(blocks)) {
      if (nameOf(blocks.log, index) < from.next) continue
      log = blocks.log
      indexes.push(index)
      if (indexes.length === countMax) break
    }
    if (indexes.length === countMax) break
  }
  const last = indexes.at(-1)
  if (log === undefined || last === undefined) return { blocks: undefined, next: '' }
  return { blocks: { log, indexes }, next: nameOf(log, last + 1) }
}

/** How many blocks the sweep should have asked for by now. */
export function sweepDue(
  { startedMs }: SweepPosition,
  input: { readonly blocks: number; readonly nowMs: number; readonly sweepMs: number }
): number {
  return (input.blocks * (input.nowMs - startedMs)) / input.sweepMs
}

/** Places sort as log and index do. */
function nameOf(log: LogKey, index: number): string {
  return `${log}/${String(index).padStart(16, '0')}`
}

function drawFrom(
  random: Random,
  kept: readonly BlockSet[],
  count: number
): readonly { readonly log: LogKey; readonly index: number }[] {
  const counts = kept.map(({ bitmap }) => countBits(bitmap))
  const total = counts.reduce((sum, blocks) => sum + blocks, 0)
  if (total === 0) return []
  return Array.from({ length: count }, () => {
    let rest = drawInteger(random, total)
    const at = counts.findIndex(blocks => {
      if (rest < blocks) return true
      rest -= blocks
      return false
    })
    const blocks = kept[at]
    return blocks === undefined ? [] : [{ log: blocks.log, index: nthBlock(blocks, rest) }]
  }).flat()
}

function nthBlock(blocks: BlockSet, n: number): number {
  let rest = n
  for (const index of indexesOf(blocks)) if (rest-- === 0) return index
  throw new RangeError('there are not so many blocks')
}
