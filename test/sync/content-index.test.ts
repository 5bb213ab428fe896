/**
 * Content written, cut, punched and copied lies where a naive model of the file has it; the use
 * counts are those of a recount, and what is used no more is listed as superseded, once its rows
 * have been written and read again too.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { RowSealer } from '../../src/crypto/row-sealer.ts'
import {
  ContentIndex,
  PAGE_BYTES,
  type BlockPlace,
  type RegionRuns
} from '../../src/sync/content-index.ts'
import { logKey } from '../../src/sync/log.ts'
import { LogNumbers } from '../../src/sync/log-numbers.ts'
import type { Piece } from '../../src/sync/operation.ts'
import { REGION_BYTES } from '../../src/sync/region.ts'
import { TableSet } from '../../src/sync/table.ts'
import { filled } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { patternBytes } from '../support/vfs-session.ts'

const SEEDS = 30
const STEPS = 50
const INOS = [2, 3, 4]
const LOGS = [logKey('a'.repeat(64)), logKey('b'.repeat(64))]
const EVER = 2 ** 48
/** An inline piece is at most this long. */
const INLINE_BYTES = 2 * PAGE_BYTES
/** Bytes over a longer stretch are no test of one run: it becomes a hole. */
const RUN_BYTES = 4 * REGION_BYTES

/** Everything begins and ends at one of these, so that a model needs no more than one cell each. */
const POINTS = [
  ...[0, 1, 2, 100, 511, 512, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 3 * PAGE_BYTES],
  ...[REGION_BYTES - 1, REGION_BYTES, REGION_BYTES + 1, REGION_BYTES + PAGE_BYTES],
  ...[2 * REGION_BYTES, 2 * REGION_BYTES + 17, 3 * REGION_BYTES - 100, 3 * REGION_BYTES],
  ...[200 * REGION_BYTES, 200 * REGION_BYTES + 5000, 2 ** 40, 2 ** 40 + 300, 2 ** 40 + 9000]
]

/** What lies between two points; undefined for a hole. */
type Cell =
  | { readonly kind: 'block'; readonly log: number; readonly index: number; readonly shift: number }
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | undefined

interface Parts {
  readonly tables: TableSet
  readonly content: ContentIndex
}

function open(store: MemoryKeyValueStore): Parts {
  const sealer = new RowSealer({ key: filled(32, 6), random: new SeededRandom(8) })
  const tables = new TableSet({ store, sealer })
  const logs = new LogNumbers()
  for (const log of LOGS) logs.add(log)
  return { tables, content: new ContentIndex(tables, logs) }
}

function pointAt(number: number): number {
  const point = POINTS[number]
  if (point === undefined) throw new Error(`no point ${number}`)
  return point
}

/** A history on some files and the naive model of it. */
class ContentRun {
  readonly random: SeededRandom
  readonly store = new MemoryKeyValueStore()
  parts = open(this.store)
  readonly files = new Map<number, Cell[]>(INOS.map(ino => [ino, POINTS.map(() => undefined)]))
  /** When each block's last use went, for those that have none. */
  readonly superseded = new Map<string, number>()
  #sec = 1000
  #lastIndex = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  get content(): ContentIndex {
    return this.parts.content
  }

  async step(): Promise<void> {
    const { random } = this
    const before = this.#counts()
    this.#sec += random.integer(3)
    const kind = random.integer(12)
    if (kind < 6) this.#write()
    else if (kind < 8) this.#copy()
    else if (kind < 10) this.#cut()
    else if (kind === 10) await this.#flush()
    else if (random.integer(3) === 0) this.#purge()
    const after = this.#counts()
    for (const key of before.keys()) {
      if (!after.has(key)) this.superseded.set(key, this.#sec)
    }
  }

  check(): void {
    for (const [ino, cells] of this.files) {
      this.#checkRuns(ino, cells)
      this.#checkSeeking(ino, cells)
    }
    this.#checkRegions()
    const counts = this.#counts()
    for (let index = 0; index <= this.#lastIndex; index++) {
      for (const log of [1, 2]) {
        assert.equal(this.content.useCount({ log, index }), counts.get(`${log}/${index}`) ?? 0)
      }
    }
    const listed = [...this.content.supersededBefore(EVER, Infinity)]
      .filter(block => this.content.useCount(block) === 0)
      .map(({ log, index, sec }) => `${log}/${index} at ${sec}`)
    const expected = [...this.superseded].map(([key, sec]) => `${key} at ${sec}`)
    assert.deepEqual(listed.toSorted(), expected.toSorted())
  }

  /** Lays up to 3 pieces over a file. */
  #write(): void {
    const { random } = this
    const ino = this.#ino()
    const pieces: Piece[] = []
    const cells = this.#cells(ino)
    const grownBy = allocatedOf(cells)
    let from = random.integer(POINTS.length - 1)
    for (let count = 1 + random.integer(3); count > 0 && from < POINTS.length - 1; count--) {
      const to = Math.min(POINTS.length - 1, from + 1 + random.integer(4))
      pieces.push(this.#piece(cells, from, to))
      from = to + random.integer(2)
    }
    const grown = this.content.write(ino, pieces, this.#sec)
    assert.equal(grown, allocatedOf(cells) - grownBy, 'the bytes it allocated')
  }

  #piece(cells: Cell[], from: number, to: number): Piece {
    const { random } = this
    const [offset, end] = [pointAt(from), pointAt(to)]
    const length = end - offset
    const kind = random.integer(3)
    if (kind === 0 || length > RUN_BYTES) {
      cells.fill(undefined, from, to)
      return { kind: 'hole', offset, length }
    }
    if (kind === 1 && length <= INLINE_BYTES) {
      const bytes = patternBytes(length, random.integer(1000))
      for (let at = from; at < to; at++) {
        const part = bytes.slice(pointAt(at) - offset, pointAt(at + 1) - offset)
        cells[at] = { kind: 'inline', bytes: part }
      }
      return { kind: 'inline', offset, bytes }
    }
    const [number, index] = [random.integer(2), ++this.#lastIndex]
    const blockOffset = random.integer(100)
    const [log] = LOGS.slice(number)
    if (log === undefined) throw new Error('no such log')
    const cell: Cell = { kind: 'block', log: number + 1, index, shift: blockOffset - offset }
    for (let at = from; at < to; at++) cells[at] = cell
    const hash = filled(32, index)
    return { kind: 'block', offset, length, log, index, hash, blockOffset }
  }

  /** Records the runs of one file anew in another, as a copy of a whole file does. */
  #copy(): void {
    const [source, target] = [this.#ino(), this.#ino()]
    if (source === target) return
    const runs = [...this.content.everyRun(source)]
    const isSmall = runs.every(run => run.kind === 'block' || run.length <= INLINE_BYTES)
    if (!isSmall) return
    const pieces = runs.map(run => this.content.pieceOf(source, run))
    this.content.cut(target, { from: 0, to: 2 ** 50 }, this.#sec)
    this.content.write(target, pieces, this.#sec)
    this.files.set(target, [...this.#cells(source)])
  }

  #cut(): void {
    const ino = this.#ino()
    const cells = this.#cells(ino)
    const from = this.random.integer(POINTS.length)
    const to = this.random.integer(2) === 0 ? POINTS.length - 1 : from + this.random.integer(3)
    const last = Math.min(to, POINTS.length - 1)
    const before = allocatedOf(cells)
    cells.fill(undefined, from, last)
    const range = { from: pointAt(from), to: pointAt(last) }
    const grown = this.content.cut(ino, range, this.#sec)
    assert.equal(grown, allocatedOf(cells) - before)
  }

  #purge(): void {
    const ino = this.#ino()
    this.content.purge(ino, this.#sec)
    this.files.set(
      ino,
      POINTS.map(() => undefined)
    )
  }

  async #flush(): Promise<void> {
    this.parts.tables.freeze()
    await this.parts.tables.write()
    if (this.random.integer(2) === 0) this.parts = open(this.store)
  }

  #checkRuns(ino: number, cells: readonly Cell[]): void {
    for (const [at, cell] of cells.slice(0, -1).entries()) {
      const range = { from: pointAt(at), to: pointAt(at + 1) }
      const runs = range.to - range.from > 8 * REGION_BYTES ? [] : this.content.runs(ino, range)
      let covered = range.from
      for (const run of runs) {
        assert.equal(run.offset, covered, 'a cell is covered wholly or not at all')
        covered += run.length
        assert.equal(run.kind, cell?.kind)
        if (run.kind === 'block' && cell?.kind === 'block') {
          assert.equal(run.log, cell.log)
          assert.equal(run.index, cell.index)
          assert.equal(run.blockOffset - run.offset, cell.shift)
          assert.equal(run.hash[0], cell.index % 256)
        }
      }
      if (runs.length > 0) assert.equal(covered, range.to)
      else if (range.to - range.from <= 8 * REGION_BYTES) assert.equal(cell, undefined)
      if (cell?.kind === 'inline') {
        assert.deepEqual(this.content.inlineBytes(ino, range), cell.bytes)
      }
    }
    const bytes = [...this.content.everyRun(ino)].reduce((sum, run) => sum + run.length, 0)
    assert.equal(bytes, allocatedOf(cells))
  }

  /** In steps of any size, beginning with any file, the regions are all runs in order. */
  #checkRegions(): void {
    const first = this.#ino()
    const to = Math.max(...INOS) + 1
    const countMax = 1 + this.random.integer(4)
    const found: unknown[] = []
    for (let after: RegionRuns | undefined, rows = countMax; rows === countMax;) {
      const step = this.content.regions({ from: first, to, after, countMax })
      rows = step.length
      after = step.at(-1)
      for (const { group, value } of step) found.push(...value.map(run => [group, run]))
    }
    const inos = INOS.filter(ino => ino >= first)
    const expected = inos.flatMap(ino => [...this.content.everyRun(ino)].map(run => [ino, run]))
    assert.deepEqual(found, expected)
  }

  #checkSeeking(ino: number, cells: readonly Cell[]): void {
    for (const [at, cell] of cells.slice(0, -1).entries()) {
      const [from, to] = [pointAt(at), pointAt(at + 1)]
      const inside = from + Math.floor((to - from) / 2)
      const data = cells.findIndex((other, index) => index > at && other !== undefined)
      const next = data === -1 ? undefined : pointAt(data)
      assert.equal(this.content.nextData(ino, inside), cell === undefined ? next : inside)
      const hole = cells.findIndex((other, index) => index > at && other === undefined)
      assert.equal(this.content.nextHole(ino, inside), cell ? pointAt(hole) : inside)
    }
  }

  /** How many runs point into each block: one for each stretch of cells within one region. */
  #counts(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const ino of INOS) {
      for (const run of this.content.everyRun(ino)) {
        if (run.kind !== 'block') continue
        const key = `${run.log}/${run.index}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
    }
    return counts
  }

  #ino(): number {
    return INOS[this.random.integer(INOS.length)] ?? 2
  }

  #cells(ino: number): Cell[] {
    const cells = this.files.get(ino)
    if (cells === undefined) throw new Error(`no file ${ino}`)
    return cells
  }
}

function allocatedOf(cells: readonly Cell[]): number {
  let bytes = 0
  for (const [at, cell] of cells.entries()) if (cell) bytes += pointAt(at + 1) - pointAt(at)
  return bytes
}

t.test('content lies where a naive model has it, counts are those of a recount', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = new ContentRun(seed)
    for (let step = 0; step < STEPS; step++) {
      try {
        await run.step()
        if (step % 3 === 2) run.check()
      } catch (cause) {
        throw new Error(`seed ${seed}, step ${step}`, { cause })
      }
    }
  }
})

const block = (index: number, offset: number, length: number): Piece => ({
  ...{ kind: 'block', log: LOGS[0] as (typeof LOGS)[0], index, offset, length },
  ...{ blockOffset: 0, hash: filled(32, index) }
})

t.test('a hole over the largest file costs what lies in it', async t => {
  const { content } = open(new MemoryKeyValueStore())
  content.write(2, [block(1, 0, 100), block(2, 2 ** 52, 100)], 5)
  const length = Number.MAX_SAFE_INTEGER - 50
  t.equal(content.write(2, [{ kind: 'hole', offset: 50, length }], 5), -150)
  t.strictSame(
    [...content.everyRun(2)].map(({ offset, length }) => [offset, length]),
    [[0, 50]]
  )
})

t.test('purge() leaves no row of the file behind', async t => {
  const store = new MemoryKeyValueStore()
  const { content, tables } = open(store)
  const inline: Piece = { kind: 'inline', offset: 2 * REGION_BYTES - 3, bytes: patternBytes(9000) }
  content.write(2, [block(1, 0, 100), inline], 5)
  content.write(2, [block(2, 2 * REGION_BYTES, 9000)], 6)
  content.purge(2, 7)
  for (const block of content.supersededBefore(7, Infinity)) {
    content.forgetSuperseded(block)
  }
  tables.freeze()
  await tables.write()
  t.strictSame([...store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) })], [])
})

t.test('supersededBefore() gives each block once when asked for a few at a time', async t => {
  const store = new MemoryKeyValueStore()
  const { content, tables } = open(store)
  for (let index = 0; index < 40; index++) content.write(2, [block(index, 0, 10)], index)
  tables.freeze()
  await tables.write()
  t.strictSame([...content.supersededBefore(0, 10)], [], 'none was superseded that early')
  const seen: number[] = []
  for (;;) {
    const found = [...content.supersededBefore(30, 7)]
    seen.push(...found.map(({ index }) => index))
    for (const each of found) content.forgetSuperseded(each)
    if (found.length < 7) break
  }
  t.strictSame(
    seen.toSorted((a, b) => a - b),
    [...Array(30).keys()]
  )
  t.notOk(content.isRecorded({ log: 1, index: 3 }), 'forgotten')
  t.ok(content.isRecorded({ log: 1, index: 35 }), 'superseded later, and kept')
  t.equal(content.useCount({ log: 1, index: 39 }), 1)
})

t.test('forgetSuperseded() keeps the count of a block that came into use again', async t => {
  const { content } = open(new MemoryKeyValueStore())
  content.write(2, [block(1, 0, 10)], 5)
  content.cut(2, { from: 0, to: 10 }, 6)
  content.write(3, [block(1, 0, 10)], 7)
  const found = [...content.supersededBefore(EVER, Infinity)]
  t.match(found, [{ index: 1, sec: 6 }])
  for (const each of found) content.forgetSuperseded(each)
  const place: BlockPlace = { log: 1, index: 1 }
  t.equal(content.useCount(place), 1)
  t.strictSame([...content.supersededBefore(EVER, Infinity)], [])
  content.cut(3, { from: 0, to: 10 }, 9)
  t.match([...content.supersededBefore(EVER, Infinity)], [{ index: 1, sec: 9 }])
})

t.test('a wild clock does not break the list of what is superseded', async t => {
  const { content } = open(new MemoryKeyValueStore())
  for (const [index, sec] of [-(2 ** 53), -1, 0.5, 2 ** 53].entries()) {
    content.write(2, [block(index, 0, 10)], 5)
    content.cut(2, { from: 0, to: 10 }, sec)
  }
  t.equal([...content.supersededBefore(EVER, Infinity)].length, 4)
  t.equal([...content.supersededBefore(-5, Infinity)].length, 3, 'before 1970 is at its beginning')
})

t.test('recordUse() keeps a block that no file has, and leaves one in use alone', async t => {
  const { content } = open(new MemoryKeyValueStore())
  const piece = (index: number) => {
    const made = block(index, 0, 100)
    if (made.kind !== 'block') throw new Error('no block')
    return made
  }
  const by = { log: logKey('a'.repeat(64)), index: 4, number: 2 }
  content.recordUse(piece(1), 7, by)
  const place = { log: 1, index: 1 }
  t.ok(content.isRecorded(place))
  t.equal(content.useCount(place), 0)
  t.match([...content.supersededBefore(7, Infinity)], [{ ...place, sec: 7, by }])
  content.write(2, [piece(3)], 5)
  content.recordUse(piece(3), 9, by)
  t.equal(content.useCount({ log: 1, index: 3 }), 1)
  t.equal([...content.supersededBefore(9, Infinity)].length, 1)
})
