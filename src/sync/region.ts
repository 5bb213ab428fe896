/**
 * Where a file's bytes are: a file is cut into regions of 1 MiB, and the row of a region lists
 * the runs of bytes in it. What no run covers is a hole and reads as zeros.
 *
 * Regions bound what a small write rewrites (a row) and make
 * finding a byte one look-up, however large the file is.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import { SyncError } from './sync-error.ts'

/** Bytes of a file that one region covers. */
export const REGION_BYTES = 1024 * 1024

const HASH_BYTES = 32

/** A run of bytes within a sealed block. */
export interface BlockRun {
  /** Tells the runs apart. */
  readonly kind: 'block'
  /** Where it starts in the file, in bytes. */
  readonly offset: number
  /** How long it is, in bytes. */
  readonly length: number
  /** Local number of the content log. */
  readonly log: number
  /** The block's index. */
  readonly index: number
  /** Hash of the sealed block, 32 bytes. */
  readonly hash: Uint8Array
  /** Where it starts within the opened block, in bytes. */
  readonly blockOffset: number
}

/** A run of bytes that the index keeps itself, in the file's pages. */
export interface InlineRun {
  /** Tells the runs apart. */
  readonly kind: 'inline'
  /** Where it starts in the file, in bytes. */
  readonly offset: number
  /** How long it is, in bytes. */
  readonly length: number
}

/** A run of bytes. A value. */
export type Run = BlockRun | InlineRun

/** @returns the sub key of a region, which sorts as its number */
export function regionSub(region: number): string {
  return String.fromCharCode(
    Math.floor(region / 2 ** 32) & 0xff,
    (region >>> 24) & 0xff,
    (region >>> 16) & 0xff,
    (region >>> 8) & 0xff,
    region & 0xff
  )
}

/** @returns the number of the region with this sub key */
export function regionOf(sub: string): number {
  let region = 0
  for (let i = 0; i < sub.length; i++) region = region * 256 + sub.charCodeAt(i)
  return region
}

/**
 * Lays a run over a region, or cuts a hole into it.
 *
 * @param runs - ascending, not overlapping
 * @param range - what is replaced, within the region
 * @param run - what lies there afterwards, exactly as long as `range`; absent for a hole
 * @returns the new list; runs outside the range are the same objects as before
 */
export function replaceRuns(
  runs: readonly Run[],
  range: { readonly from: number; readonly to: number },
  run?: Run
): readonly Run[] {
  const result: Run[] = []
  let placed = run === undefined
  for (const old of runs) {
    const end = old.offset + old.length
    if (old.offset < range.from)
      add(result, end <= range.from ? old : slice(old, old.offset, range.from))
    if (!placed && end > range.from) {
      add(result, run as Run)
      placed = true
    }
    if (end > range.to) add(result, old.offset >= range.to ? old : slice(old, range.to, end))
  }
  if (!placed) add(result, run as Run)
  return result
}

/** @returns the part of a run from `from` to `to`, both offsets in the file within the run */
export function slice(run: Run, from: number, to: number): Run {
  if (from === run.offset && to - from === run.length) return run
  const moved = { ...run, offset: from, length: to - from }
  return moved.kind === 'block'
    ? { ...moved, blockOffset: moved.blockOffset + from - run.offset }
    : moved
}

/** Appends the row's bytes. */
export function encodeRuns(out: ByteWriter, runs: readonly Run[]): void {
  out.varint(runs.length)
  for (const run of runs) {
    out.u8(run.kind === 'block' ? 1 : 0)
    out.varint(run.offset)
    out.varint(run.length)
    if (run.kind === 'inline') continue
    out.varint(run.log)
    out.varint(run.index)
    out.varint(run.blockOffset)
    out.bytes(run.hash)
  }
}

/** @returns the row of bytes. @throws {SyncError} `MALFORMED`, `DAMAGED` */
export function decodeRuns(bytes: Uint8Array): readonly Run[] {
  const reader = new ByteReader(bytes)
  const runs = Array.from({ length: reader.count(3) }, () => readRun(reader))
  reader.end()
  return runs
}

function readRun(reader: ByteReader): Run {
  const kind = reader.u8()
  const offset = reader.varint()
  const length = reader.varint()
  if (kind === 0) return { kind: 'inline', offset, length }
  if (kind !== 1) throw new SyncError('DAMAGED', 'a row of the index has an unknown run')
  const [log, index, blockOffset] = [reader.varint(), reader.varint(), reader.varint()]
  return {
    kind: 'block',
    offset,
    length,
    log,
    index,
    blockOffset,
    hash: reader.bytes(HASH_BYTES).slice()
  }
}

/** Adds a run at the end, joined to its neighbour where both are inline and touch. */
function add(runs: Run[], run: Run): void {
  const last = runs.at(-1)
  if (
    run.kind === 'inline' &&
    last?.kind === 'inline' &&
    last.offset + last.length === run.offset
  ) {
    runs[runs.length - 1] = { ...last, length: last.length + run.length }
  } else {
    runs.push(run)
  }
}
