/**
 * Where the bytes of an older version of a file are: its line of versions laid over one another,
 * without rows.
 *
 * @module
 */
import type { VersionEvent } from './file-family.ts'
import type { LogNumbers } from './log-numbers.ts'
import type { InlinePiece, Piece } from './operation.ts'
import type { BlockRun } from './region.ts'

/** A run of an older version's bytes: where they are, or the bytes themselves. A value. */
export type VersionRun = BlockRun | InlinePiece

/** @returns the runs of the last of some versions, of which each is laid over the one before */
export function foldVersion(
  lineage: readonly VersionEvent[],
  logs: LogNumbers
): readonly VersionRun[] {
  let runs: readonly VersionRun[] = []
  for (const { operation } of lineage) {
    if (operation.type === 'create') continue
    const pieces = operation.type === 'write' ? operation.pieces : []
    // What a shorter version left out does not come back when a later one is longer.
    runs = within(runs, 0, operation.size)
    for (const piece of pieces) runs = laid(runs, piece, logs)
  }
  return runs
}

function laid(runs: readonly VersionRun[], piece: Piece, logs: LogNumbers): VersionRun[] {
  const end = piece.offset + (piece.kind === 'inline' ? piece.bytes.length : piece.length)
  const run = runOf(piece, logs)
  return [...within(runs, 0, piece.offset), ...(run ? [run] : []), ...within(runs, end, Infinity)]
}

function runOf(piece: Piece, logs: LogNumbers): VersionRun | undefined {
  if (piece.kind === 'hole') return undefined
  return piece.kind === 'inline' ? piece : { ...piece, log: logs.numberOf(piece.log) }
}

/** The parts of runs that lie from `from` up to but not including `to`. */
function within(runs: readonly VersionRun[], from: number, to: number): VersionRun[] {
  return runs.flatMap((run): VersionRun[] => {
    const length = run.kind === 'inline' ? run.bytes.length : run.length
    const [start, end] = [Math.max(run.offset, from), Math.min(run.offset + length, to)]
    if (start >= end) return []
    const skipped = start - run.offset
    if (run.kind === 'inline') {
      return [{ ...run, offset: start, bytes: run.bytes.subarray(skipped, skipped + end - start) }]
    }
    const blockOffset = run.blockOffset + skipped
    return [{ ...run, offset: start, length: end - start, blockOffset }]
  })
}
