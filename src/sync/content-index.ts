/**
 * The content half of the index: which bytes of a file lie in which block, how often each block
 * is used, and since when a block is used no more.
 *
 * Invariants
 * - A block's count is the number of runs in all regions that point into it.
 * - A block whose count fell to 0 keeps it and has a row in the superseded table until it is
 *   cleared; that row may outlive a block that came into use again, so whoever clears checks the
 *   count. A block without a count was never recorded, or is cleared.
 * - An inline run's bytes are in the pages of the file.
 *
 * @module
 */
import { KEPT_SLAB_BYTES, Slab } from '../crypto/slab.ts'
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { LogNumbers } from './log-numbers.ts'
import { readId, writeId } from './operation-id.ts'
import { ROOT_ID, type BlockPiece, type OperationId, type Piece } from './operation.ts'
import {
  decodeRuns,
  encodeRuns,
  REGION_BYTES,
  regionOf,
  regionSub,
  replaceRuns,
  slice,
  type Run
} from './region.ts'
import { numberSub } from './row-key.ts'
import type { Table, TableSet } from './table.ts'

/** Bytes of a file that one page of inline content covers. */
export const PAGE_BYTES = 4096

/** How many regions are probed one by one before all of a file's regions are listed. */
const REGIONS_PROBED_MAX = 64

const TABLE_REGION = 3
const TABLE_PAGE = 4
const TABLE_BLOCK = 7
const TABLE_SUPERSEDED = 8
const NO_RUNS: readonly Run[] = []
/** Sorts before every sub key of a region. */
const BEFORE_REGIONS = ''

/** A block of a content log by the log's local number. */
export interface BlockPlace {
  /** Local number of the content log. */
  readonly log: number
  /** The block's index. */
  readonly index: number
}

/** A block that no run points into any more. */
export interface SupersededBlock extends BlockPlace {
  /** When, in seconds since 1970. */
  readonly sec: number
  /** The operation that superseded it; that of the root when no operation recorded it. */
  readonly by: OperationId
  /** @internal The row's sub key. */
  readonly sub: string
}

/** When a block was superseded, and by which operation. */
type Superseding = Pick<SupersededBlock, 'sec' | 'by'>
type SupersededRow = BlockPlace & Pick<SupersededBlock, 'by'>

/** The runs of one region of a file. */
export interface RegionRuns {
  /** The file's inode number. */
  readonly group: number
  /** @internal The row's sub key. */
  readonly sub: string
  /** Ascending. */
  readonly value: readonly Run[]
}

/** Half-open range of a file, in bytes. */
export interface FileRange {
  /** First byte. */
  readonly from: number
  /** First byte after it. */
  readonly to: number
}

/** The content half of the index. */
export class ContentIndex {
  readonly #logs: LogNumbers
  readonly #regions: Table<readonly Run[]>
  readonly #pages: Table<Uint8Array>
  readonly #blocks: Table<number>
  readonly #superseded: Table<SupersededRow>
  /** Of hashes and of pages of small files. */
  readonly #slab = new Slab(KEPT_SLAB_BYTES)

  /** @param tables - where its tables are added */
  constructor(tables: TableSet, logs: LogNumbers) {
    this.#logs = logs
    this.#regions = tables.table({ number: TABLE_REGION, encode: encodeRuns, decode: decodeRuns })
    this.#pages = tables.table({
      number: TABLE_PAGE,
      encode: (out, page) => out.bytes(page),
      decode: bytes => bytes.slice()
    })
    this.#blocks = tables.table({ number: TABLE_BLOCK, encode: encodeCount, decode: decodeCount })
    this.#superseded = tables.table({
      number: TABLE_SUPERSEDED,
      encode: (out, row) => encodeSuperseded(out, row, logs),
      decode: bytes => decodeSuperseded(bytes, logs)
    })
  }

  /** The runs that lie within a range, cut to it, ascending. */
  runs(ino: number, range: FileRange): Run[] {
    const found: Run[] = []
    for (const part of regionParts(range)) {
      for (const run of this.#regions.get(ino, regionSub(part.region)) ?? NO_RUNS) {
        const from = Math.max(run.offset, part.from)
        const to = Math.min(run.offset + run.length, part.to)
        if (from < to) found.push(slice(run, from, to))
      }
    }
    return found
  }

  /** The bytes of a range that inline runs cover; a fresh buffer. */
  inlineBytes(ino: number, range: FileRange): Uint8Array {
    const bytes = new Uint8Array(range.to - range.from)
    for (let at = range.from; at < range.to;) {
      const page = Math.floor(at / PAGE_BYTES)
      const to = Math.min(range.to, (page + 1) * PAGE_BYTES)
      const stored = this.#pages.get(ino, numberSub(page))
      const start = at - page * PAGE_BYTES
      if (stored) bytes.set(stored.subarray(start, start + to - at), at - range.from)
      at = to
    }
    return bytes
  }

  /**
   * Lays pieces over a file.
   *
   * @param sec - when, for the blocks that are used no more
   * @param by - the operation that does it
   * @returns by how much the allocated bytes grew; may be negative
   */
  write(ino: number, pieces: readonly Piece[], sec: number, by: OperationId = ROOT_ID): number {
    let grown = 0
    for (const piece of pieces) {
      const length = piece.kind === 'inline' ? piece.bytes.length : piece.length
      if (piece.kind === 'inline') this.#writePages(ino, piece.offset, piece.bytes)
      const run = this.#runOf(piece, length)
      grown += this.#replace(
        ino,
        { from: piece.offset, to: piece.offset + length },
        { sec, by },
        run
      )
    }
    return grown
  }

  /** Removes what lies in a range. @returns by how much the allocated bytes grew (0 or less) */
  cut(ino: number, range: FileRange, sec: number, by: OperationId = ROOT_ID): number {
    return this.#replace(ino, range, { sec, by })
  }

  /** Removes all content of an inode. */
  purge(ino: number, sec: number, by: OperationId = ROOT_ID): void {
    this.cut(ino, { from: 0, to: Infinity }, sec, by)
    for (const sub of this.#pages.entries(ino).keys()) this.#pages.delete(ino, sub)
  }

  /** @returns where data starts at or after `offset`, or undefined if there is none */
  nextData(ino: number, offset: number): number | undefined {
    for (const runs of this.#runsFrom(ino, offset)) {
      for (const run of runs)
        if (run.offset + run.length > offset) return Math.max(offset, run.offset)
    }
    return undefined
  }

  /** @returns where a hole starts at or after `offset`; may lie beyond the end of the file */
  nextHole(ino: number, offset: number): number {
    let at = offset
    for (const run of this.#runsWhile(ino, offset)) {
      if (run.offset > at) return at
      at = Math.max(at, run.offset + run.length)
    }
    return at
  }

  /** Every run of a file, ascending; holes cost nothing, however large the file is. */
  *everyRun(ino: number): Iterable<Run> {
    const regions = [...this.#regions.entries(ino)].sort(([left], [right]) =>
      left < right ? -1 : 1
    )
    for (const [, runs] of regions) yield* runs
  }

  /**
   * The regions of the files numbered `from` up to but not including `to`, and their runs, in
   * order: for going through many files, or through a large one, in steps.
   *
   * @param options - `after` is the last of the step before, `countMax` how many at most
   */
  regions(options: {
    readonly from: number
    readonly to: number
    readonly after: RegionRuns | undefined
    readonly countMax: number
  }): readonly RegionRuns[] {
    const { from, to, countMax } = options
    const after = options.after ?? { group: from, sub: BEFORE_REGIONS }
    return this.#regions.page({ after, to, countMax })
  }

  /**
   * The same regions, page after page. Files may change between two steps of the iteration.
   *
   * @param range - `countMax` is how many regions a page has at most
   */
  *regionPages(range: {
    readonly from: number
    readonly to: number
    readonly countMax: number
  }): Iterable<readonly RegionRuns[]> {
    let after: RegionRuns | undefined
    do {
      const page = this.regions({ ...range, after })
      yield page
      after = page.length < range.countMax ? undefined : page.at(-1)
    } while (after !== undefined)
  }

  /** @returns a run as a piece of an operation, to be recorded anew */
  pieceOf(ino: number, run: Run): Piece {
    const { offset, length } = run
    if (run.kind === 'inline') {
      return {
        kind: 'inline',
        offset,
        bytes: this.inlineBytes(ino, { from: offset, to: offset + length })
      }
    }
    const { index, hash, blockOffset } = run
    return {
      kind: 'block',
      offset,
      length,
      log: this.#logs.keyOf(run.log),
      index,
      hash,
      blockOffset
    }
  }

  /** How many runs point into a block. */
  useCount(place: BlockPlace): number {
    return this.#blocks.get(place.log, numberSub(place.index)) ?? 0
  }

  /**
   * Blocks superseded at or before `sec` and not forgotten since, oldest first.
   *
   * @param countMax - how many at most; when fewer than that come there are no more
   * @param after - only those that come after this one
   */
  *supersededBefore(
    sec: number,
    countMax: number,
    after?: Pick<SupersededBlock, 'sec' | 'sub'>
  ): Iterable<SupersededBlock> {
    const last = after && { group: after.sec, sub: after.sub }
    for (const row of this.#superseded.page({ after: last, to: clampSec(sec) + 1, countMax })) {
      yield { ...row.value, sec: row.group, sub: row.sub }
    }
  }

  /**
   * Says that an operation points into a block, whether or not a file is shown that has it: it is
   * not to be cleared before its time.
   */
  recordUse(piece: BlockPiece, sec: number, by: OperationId): void {
    const place = { log: this.#logs.numberOf(piece.log), index: piece.index }
    const sub = numberSub(place.index)
    if (this.isRecorded(place)) return
    this.#blocks.put(place.log, sub, 0)
    this.#superseded.put(clampSec(sec), numberSub(place.log) + sub, { ...place, by })
  }

  /** Whether any operation ever pointed into a block that was not cleared since. */
  isRecorded(place: BlockPlace): boolean {
    return this.#blocks.get(place.log, numberSub(place.index)) !== undefined
  }

  /** Forgets that a block was superseded, and the block itself if it is unused still. */
  forgetSuperseded(block: SupersededBlock): void {
    this.#superseded.delete(block.sec, block.sub)
    if (this.useCount(block) === 0) this.#blocks.delete(block.log, numberSub(block.index))
  }

  #runOf(piece: Piece, length: number): Run | undefined {
    if (piece.kind === 'hole') return undefined
    if (piece.kind === 'inline') return { kind: 'inline', offset: piece.offset, length }
    const { offset, index, blockOffset } = piece
    // A copy: the piece's hash may be a view of a whole entry, which the row would keep alive.
    const hash = this.#slab.copy(piece.hash)
    return {
      kind: 'block',
      offset,
      length,
      log: this.#logs.numberOf(piece.log),
      index,
      hash,
      blockOffset
    }
  }

  #replace(ino: number, range: FileRange, superseding: Superseding, run?: Run): number {
    let grown = 0
    for (const part of run ? regionParts(range) : this.#partsToCut(ino, range)) {
      const sub = regionSub(part.region)
      const before = this.#regions.get(ino, sub) ?? NO_RUNS
      if (run === undefined && before.length === 0) continue
      const after = replaceRuns(before, part, run && slice(run, part.from, part.to))
      if (after.length > 0) this.#regions.put(ino, sub, after)
      else this.#regions.delete(ino, sub)
      this.#count(before, after, superseding)
      grown += lengthOf(after) - lengthOf(before)
    }
    return grown
  }

  /** The parts of a range in which there may be runs, however vast the range. */
  #partsToCut(ino: number, range: FileRange): Iterable<RegionPart> {
    if (range.to - range.from <= REGIONS_PROBED_MAX * REGION_BYTES) return regionParts(range)
    const regions = [...this.#regions.entries(ino).keys()].map(regionOf)
    return regions
      .map(region => ({
        region,
        from: Math.max(range.from, region * REGION_BYTES),
        to: Math.min(range.to, (region + 1) * REGION_BYTES)
      }))
      .filter(part => part.from < part.to)
  }

  #count(before: readonly Run[], after: readonly Run[], superseding: Superseding): void {
    if (before.length === 0) {
      for (const run of after) if (run.kind === 'block') this.#use(run, 1, superseding)
      return
    }
    const kept = new Set(before)
    for (const run of after)
      if (!kept.delete(run) && run.kind === 'block') this.#use(run, 1, superseding)
    for (const run of kept) if (run.kind === 'block') this.#use(run, -1, superseding)
  }

  #use(run: BlockPlace, by: 1 | -1, superseding: Superseding): void {
    const sub = numberSub(run.index)
    const count = (this.#blocks.get(run.log, sub) ?? 0) + by
    this.#blocks.put(run.log, sub, count)
    if (count > 0) return
    const row = { log: run.log, index: run.index, by: superseding.by }
    this.#superseded.put(clampSec(superseding.sec), numberSub(run.log) + sub, row)
  }

  #writePages(ino: number, offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const page = Math.floor((offset + at) / PAGE_BYTES)
      const start = offset + at - page * PAGE_BYTES
      const part = bytes.subarray(at, at + PAGE_BYTES - start)
      const sub = numberSub(page)
      const old = this.#pages.get(ino, sub)
      const changed = this.#slab.cut(Math.max(old?.length ?? 0, start + part.length))
      if (old) changed.set(old)
      changed.set(part, start)
      this.#pages.put(ino, sub, changed)
      at += part.length
    }
  }

  /** Each region's runs from the region of `offset` on, empty ones left out. */
  *#runsFrom(ino: number, offset: number): Iterable<readonly Run[]> {
    const first = Math.floor(offset / REGION_BYTES)
    for (let region = first; region < first + REGIONS_PROBED_MAX; region++) {
      const runs = this.#regions.get(ino, regionSub(region))
      if (runs) yield runs
    }
    const rest = [...this.#regions.entries(ino)].filter(
      ([sub]) => regionOf(sub) >= first + REGIONS_PROBED_MAX
    )
    rest.sort(([left], [right]) => (left < right ? -1 : 1))
    for (const [, runs] of rest) yield runs
  }

  /** The runs from `offset` on, region after region, up to the first region that has none. */
  *#runsWhile(ino: number, offset: number): Iterable<Run> {
    for (let region = Math.floor(offset / REGION_BYTES); ; region++) {
      const runs = this.#regions.get(ino, regionSub(region))
      if (runs === undefined) return
      for (const run of runs) if (run.offset + run.length > offset) yield run
    }
  }
}

/** The part of a range that lies in one region. */
interface RegionPart extends FileRange {
  readonly region: number
}

function regionParts(range: FileRange): Iterable<RegionPart> {
  const region = Math.floor(range.from / REGION_BYTES)
  const isInOne = range.from < range.to && range.to <= (region + 1) * REGION_BYTES
  return isInOne ? [{ region, from: range.from, to: range.to }] : everyRegionPart(range)
}

function* everyRegionPart(range: FileRange): Iterable<RegionPart> {
  for (let from = range.from; from < range.to;) {
    const region = Math.floor(from / REGION_BYTES)
    const to = Math.min(range.to, (region + 1) * REGION_BYTES)
    yield { region, from, to }
    from = to
  }
}

function lengthOf(runs: readonly Run[]): number {
  let length = 0
  for (const run of runs) length += run.length
  return length
}

/** @returns a time that can be part of a row key: a wild clock must not break the index */
function clampSec(sec: number): number {
  return Math.min(Math.max(0, Math.floor(sec)), 2 ** 48)
}

function encodeCount(out: ByteWriter, count: number): void {
  out.varint(count)
}

function decodeCount(bytes: Uint8Array): number {
  return new ByteReader(bytes).varint()
}

function encodeSuperseded(out: ByteWriter, row: SupersededRow, logs: LogNumbers): void {
  out.varint(row.log)
  out.varint(row.index)
  writeId(out, row.by, logs)
}

function decodeSuperseded(bytes: Uint8Array, logs: LogNumbers): SupersededRow {
  const reader = new ByteReader(bytes)
  return { log: reader.varint(), index: reader.varint(), by: readId(reader, logs) }
}
