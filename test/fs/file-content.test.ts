/**
 * The bytes of files: what is read is what a naive array has, whenever it is flushed, committed
 * or read again from the disk; and small writes become few operations and blocks.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { READ_AHEAD_BYTES } from '../../src/fs/content-reader.ts'
import {
  BLOCK_BYTES,
  FileContent,
  FLUSH_DELAY_MS,
  INLINE_FILE_BYTES_MAX,
  INLINE_WRITE_BYTES_MAX,
  PIECES_MAX,
  RUNS_MAX,
  throughOf
} from '../../src/fs/file-content.ts'
import { OpenInodes } from '../../src/fs/open-inodes.ts'
import type { InodeRecord } from '../../src/sync/inode-record.ts'
import { ROOT_ID, type Name, type Piece, type WriteOperation } from '../../src/sync/operation.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { ROOT_INO } from '../../src/sync/tree-index.ts'
import { filled } from '../support/bytes.ts'
import { checkIndex } from '../support/check-index.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { RecordedOperations } from '../support/recorded-operations.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { joined, patternBytes } from '../support/vfs-session.ts'

const SEEDS = 40
const STEPS = 60
const FILES = ['a', 'b']
const SIZE_MAX = 3 * BLOCK_BYTES + 5000
/** Where writes begin and end, more often than elsewhere. */
const EDGES = [0, INLINE_WRITE_BYTES_MAX, INLINE_FILE_BYTES_MAX, BLOCK_BYTES, 2 * BLOCK_BYTES]

function contentOf({ replica, clock }: MemoryDrive): FileContent {
  return new FileContent({ replica, clock, open: new OpenInodes(() => undefined) })
}

/** Files of a drive, through a content of their own. */
class Bench {
  readonly drive: MemoryDrive
  readonly recorded: RecordedOperations
  content: FileContent

  private constructor(drive: MemoryDrive) {
    this.drive = drive
    this.recorded = new RecordedOperations(drive.operationKey)
    this.recorded.listenTo(drive.replica)
    this.content = contentOf(drive)
  }

  static async create(): Promise<Bench> {
    return new Bench(await MemoryDrive.create())
  }

  make(name: string): number {
    this.drive.replica.execute({
      ...{ type: 'create', parent: ROOT_ID, name: name as Name, kind: 'file', mode: 0o644 },
      ...{ uid: 0, gid: 0, rdev: 0, target: new Uint8Array(0), time: this.drive.clock.now() }
    })
    return this.ino(name)
  }

  ino(name: string): number {
    const row = this.drive.replica.index.lookup(ROOT_INO, name as Name)
    if (row === undefined) throw new Error(`no ${name}`)
    return row.ino
  }

  record(ino: number): InodeRecord {
    return this.drive.replica.index.inode(ino)
  }

  write(ino: number, offset: number, data: Uint8Array): void {
    const borrowed = data.slice()
    this.content.write(this.record(ino), offset, borrowed, this.drive.clock.now())
    borrowed.fill(0xee)
  }

  async read(ino: number, offset: number, length: number): Promise<Uint8Array> {
    return joined(await this.content.read(this.record(ino), { offset, length }))
  }

  size(ino: number): number {
    return this.content.current(this.record(ino)).size
  }

  /** The write operations recorded so far. */
  writes(): WriteOperation[] {
    const all = this.recorded.entries().flatMap(({ operations }) => operations)
    return all.filter(operation => operation.type === 'write')
  }

  async reopen(): Promise<void> {
    this.content.flushAll()
    await this.drive.reopen({ rebuild: true })
    this.recorded.listenTo(this.drive.replica)
    this.content = contentOf(this.drive)
  }
}

/** What the pieces of an operation are, in short. */
function shapesOf({ pieces }: WriteOperation): string[] {
  return pieces.map(piece => {
    const length = piece.kind === 'inline' ? piece.bytes.length : piece.length
    return `${piece.kind} ${piece.offset}+${length}`
  })
}

// Random histories

/** A bench beside naive arrays. */
class RandomRun {
  readonly bench: Bench
  readonly random: SeededRandom
  readonly files = new Map<string, Uint8Array>(FILES.map(name => [name, new Uint8Array(0)]))

  constructor(bench: Bench, seed: number) {
    this.bench = bench
    this.random = new SeededRandom(seed)
    for (const name of FILES) bench.make(name)
  }

  async step(): Promise<void> {
    const { bench, random } = this
    const { clock, replica } = bench.drive
    const name = FILES[random.integer(FILES.length)] ?? 'a'
    const ino = bench.ino(name)
    switch (random.integer(12)) {
      case 0:
        return this.#truncate(name)
      case 1:
        return this.#punch(name)
      case 2:
        return this.#copy(name)
      case 3:
        return bench.content.flush(ino)
      case 4:
        return clock.advance(random.integer(2) === 0 ? FLUSH_DELAY_MS : 1)
      case 5:
        return random.integer(2) === 0 ? replica.commit() : replica.sync()
      case 6:
        return random.integer(6) === 0 ? bench.reopen() : undefined
      default:
        return this.#write(name)
    }
  }

  async check(): Promise<void> {
    const { bench, random } = this
    for (const [name, bytes] of this.files) {
      const ino = bench.ino(name)
      assert.equal(bench.size(ino), bytes.length, 'the size')
      const [offset, length] = [this.#offset(), random.integer(2 * BLOCK_BYTES)]
      const range = { offset, length }
      assert.deepEqual(await bench.read(ino, offset, length), this.#slice(bytes, range))
    }
  }

  async checkWhole(): Promise<void> {
    for (const [name, bytes] of this.files) {
      const ino = this.bench.ino(name)
      assert.deepEqual(await this.bench.read(ino, 0, SIZE_MAX * 2), bytes)
      this.#checkSeeking(ino, bytes)
    }
    checkIndex(this.bench.drive.replica.index)
  }

  #write(name: string): void {
    const offset = this.#appends() ? (this.files.get(name)?.length ?? 0) : this.#offset()
    const lengths = [random9(this.random), 100, INLINE_WRITE_BYTES_MAX, 4096, BLOCK_BYTES]
    const near = lengths[this.random.integer(lengths.length)] ?? 1
    const wanted = near + this.random.integer(3) - 1
    const length = Math.max(1, Math.min(wanted, SIZE_MAX - offset))
    const data = patternBytes(length, this.random.integer(1000))
    this.bench.write(this.bench.ino(name), offset, data)
    const bytes = this.#grown(name, offset + length)
    bytes.set(data, offset)
  }

  #truncate(name: string): void {
    const size = this.#offset()
    this.bench.content.truncate(this.bench.ino(name), size, this.bench.drive.clock.now())
    const bytes = this.files.get(name)?.slice(0, size) ?? new Uint8Array(0)
    this.files.set(name, bytes)
    this.#grown(name, size)
  }

  #punch(name: string): void {
    const ino = this.bench.ino(name)
    const from = this.#offset()
    const to = from + 1 + this.random.integer(BLOCK_BYTES)
    const size = this.bench.size(ino)
    this.bench.content.punch(ino, { from, to }, size, this.bench.drive.clock.now())
    this.files.get(name)?.fill(0, from, to)
  }

  #copy(name: string): void {
    const source = FILES[this.random.integer(FILES.length)] ?? 'a'
    const [bytes, from, to] = [this.files.get(source), this.#offset(), this.#offset()]
    const left = (bytes?.length ?? 0) - from
    const count = Math.min(left, SIZE_MAX - to, 1 + this.random.integer(2 * BLOCK_BYTES))
    const overlaps = source === name && from < to + count && to < from + count
    if (!bytes || count <= 0 || overlaps) return
    const { bench } = this
    const part = bytes.slice(from, from + count)
    bench.content.copy(
      { ino: bench.ino(source), offset: from },
      { ino: bench.ino(name), offset: to },
      count,
      bench.drive.clock.now()
    )
    this.#grown(name, to + count).set(part, to)
  }

  /** What seek passes over when it looks for data is zeros; where it finds a hole is a zero. */
  #checkSeeking(ino: number, bytes: Uint8Array): void {
    const { content } = this.bench
    for (let at = 0; at < bytes.length;) {
      const data = content.seek(ino, { offset: at, whence: 'data' }) ?? bytes.length
      assert.ok(bytes.subarray(at, data).every(byte => byte === 0))
      if (data >= bytes.length) break
      at = content.seek(ino, { offset: data, whence: 'hole' }) ?? bytes.length
      assert.ok(at > data)
      if (at < bytes.length) assert.equal(bytes[at], 0)
    }
  }

  #slice(bytes: Uint8Array, range: { offset: number; length: number }): Uint8Array {
    return bytes.slice(range.offset, range.offset + range.length)
  }

  #grown(name: string, size: number): Uint8Array {
    const bytes = this.files.get(name) ?? new Uint8Array(0)
    if (bytes.length >= size) return bytes
    const grown = new Uint8Array(size)
    grown.set(bytes)
    this.files.set(name, grown)
    return grown
  }

  #appends(): boolean {
    return this.random.integer(3) === 0
  }

  #offset(): number {
    const edge = EDGES[this.random.integer(EDGES.length)] ?? 0
    const near = this.random.integer(2) === 0 ? this.random.integer(5) - 2 : random9(this.random)
    return Math.min(Math.max(0, edge + near), SIZE_MAX - 1)
  }
}

/** Up to 9,000, small ones more often. */
function random9(random: SeededRandom): number {
  return random.integer(1 + random.integer(9000))
}

t.test('what is read is what a naive array has', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = new RandomRun(await Bench.create(), seed)
    for (let step = 0; step < STEPS; step++) {
      try {
        await run.step()
        await run.check()
        if (step % 20 === 19) await run.checkWhole()
      } catch (cause) {
        throw new Error(`seed ${seed}, step ${step}`, { cause })
      }
    }
    await run.bench.reopen()
    await run.checkWhole()
    await run.bench.drive.close()
  }
})

// What writes become

t.test('writes that follow one another become one block and one operation', async t => {
  const bench = await Bench.create()
  const ino = bench.make('f')
  for (let at = 0; at < BLOCK_BYTES + 8192; at += 4096)
    bench.write(ino, at, filled(4096, at / 4096))
  t.strictSame(bench.writes().map(shapesOf), [[`block 0+${BLOCK_BYTES}`]], 'the full one at once')
  t.equal(bench.content.unflushedBytes, 8192)
  bench.content.flush(ino)
  t.equal(bench.content.unflushedBytes, 0)
  const last = bench.writes().slice(1).map(shapesOf)
  t.strictSame(last, [[`block ${BLOCK_BYTES}+8192`]])
  await bench.drive.close()
})

t.test('a large write is cut at multiples of a block, whole blocks in one operation', async t => {
  const bench = await Bench.create()
  const [whole, shifted] = [bench.make('whole'), bench.make('shifted')]
  bench.write(whole, 0, filled(3 * BLOCK_BYTES, 1))
  const block = (at: number, length = BLOCK_BYTES): string => `block ${at}+${length}`
  const three = [block(0), block(BLOCK_BYTES), block(2 * BLOCK_BYTES)]
  t.strictSame(bench.writes().map(shapesOf), [three])
  bench.write(shifted, 1000, filled(3 * BLOCK_BYTES, 2))
  bench.content.flush(shifted)
  t.strictSame(bench.writes().slice(1).map(shapesOf), [
    [block(1000, BLOCK_BYTES - 1000)],
    [block(BLOCK_BYTES), block(2 * BLOCK_BYTES)],
    [block(3 * BLOCK_BYTES, 1000)]
  ])
  await bench.drive.close()
})

t.test('small files and small writes travel inside their operation', async t => {
  const shapeOf = async (sizeBefore: number, offset: number, length: number): Promise<string> => {
    const bench = await Bench.create()
    const ino = bench.make('f')
    bench.content.truncate(ino, sizeBefore, { sec: 1, nsec: 0 })
    bench.write(ino, offset, filled(length, 1))
    bench.content.flush(ino)
    await bench.drive.close()
    return bench.writes().flatMap(shapesOf).join()
  }
  const [file, write] = [INLINE_FILE_BYTES_MAX, INLINE_WRITE_BYTES_MAX]
  t.equal(await shapeOf(0, 0, file), `inline 0+${file}`)
  t.equal(await shapeOf(0, 0, file + 1), `block 0+${file + 1}`)
  t.equal(await shapeOf(0, 1, file), `block 1+${file}`, 'the size of the file counts')
  t.equal(await shapeOf(file + 1, 0, file), `block 0+${file}`)
  t.equal(await shapeOf(2 ** 40, 9, write), `inline 9+${write}`)
  t.equal(await shapeOf(2 ** 40, 9, write + 1), `block 9+${write + 1}`)
})

t.test('a write inside what gathers changes it; one beside it ends it', async t => {
  const bench = await Bench.create()
  const ino = bench.make('f')
  bench.write(ino, 1000, filled(5000, 1))
  bench.write(ino, 2000, filled(100, 2))
  bench.write(ino, 6000, filled(10, 3))
  t.equal(bench.writes().length, 0)
  bench.write(ino, 999, filled(1, 4))
  t.strictSame(bench.writes().map(shapesOf), [['block 1000+5010']], 'that before it')
  bench.write(ino, 20_000, filled(1, 5))
  t.strictSame(bench.writes().slice(1).map(shapesOf), [['inline 999+1']], 'that after a gap')
  t.equal((await bench.read(ino, 0, 30_000)).length, 20_001)
  await bench.drive.close()
})

t.test('what was written is committed after a while, and the clock is not kept busy', async t => {
  const bench = await Bench.create()
  const ino = bench.make('f')
  await bench.drive.replica.sync()
  bench.write(ino, 0, filled(100, 1))
  bench.write(ino, 100, filled(100, 1))
  bench.drive.clock.advance(FLUSH_DELAY_MS - 1)
  t.equal(bench.writes().length, 0)
  bench.drive.clock.advance(1)
  t.strictSame(bench.writes().map(shapesOf), [['inline 0+200']])
  for (let i = 0; i < 3; i++) await new Promise(resolve => setImmediate(resolve))
  t.equal(bench.drive.replica.pendingBytes < 100, true, 'committed')
  t.equal(bench.drive.clock.pendingTimers, 0)
  await bench.drive.close()
})

t.test(`of more than ${RUNS_MAX} files that gather, all are flushed`, async t => {
  const bench = await Bench.create()
  for (let file = 0; file <= RUNS_MAX; file++) bench.write(bench.make(`f${file}`), 0, filled(10, 1))
  t.equal(bench.content.unflushedBytes, 10)
  t.equal(bench.writes().length, RUNS_MAX)
  await bench.drive.close()
})

t.test('what cannot be recorded stays readable, counted, and is recorded later', async t => {
  const bench = await Bench.create()
  const [one, two] = [bench.make('one'), bench.make('two')]
  bench.write(one, 0, filled(5, 1))
  bench.write(two, 0, filled(6, 2))
  const { replica } = bench.drive
  const execute = replica.execute.bind(replica)
  bench.drive.replica.execute = (operation, options) => {
    if ('size' in operation && operation.size === 5) throw new SyncError('IO', 'by the test')
    return execute(operation, options)
  }
  t.throws(() => bench.content.flushAll(), { code: 'IO' })
  t.equal(bench.content.unflushedBytes, 5, 'the other file was flushed')
  bench.drive.clock.advance(FLUSH_DELAY_MS)
  t.strictSame(await bench.read(one, 0, 10), filled(5, 1))
  bench.drive.replica.execute = execute
  bench.drive.clock.advance(FLUSH_DELAY_MS)
  t.equal(bench.content.unflushedBytes, 0, 'the timer tries again')
  t.strictSame(await bench.read(one, 0, 10), filled(5, 1))
  await bench.drive.close()
})

t.test('discard() forgets what was written and not recorded', async t => {
  const bench = await Bench.create()
  const ino = bench.make('f')
  bench.write(ino, 0, filled(5, 1))
  bench.content.discard(ino)
  t.equal(bench.content.unflushedBytes, 0)
  t.equal(bench.size(ino), 0)
  bench.content.flushAll()
  t.equal(bench.writes().length, 0)
  await bench.drive.close()
})

// Copies

t.test('copy() shares blocks and keeps holes', async t => {
  const bench = await Bench.create()
  const [from, to] = [bench.make('from'), bench.make('to')]
  bench.write(from, BLOCK_BYTES, filled(BLOCK_BYTES, 1))
  bench.content.truncate(from, 3 * BLOCK_BYTES, { sec: 1, nsec: 0 })
  bench.write(to, 0, filled(4 * BLOCK_BYTES, 2))
  await bench.drive.replica.commit()
  const blocks = bench.drive.storedBlocks()
  bench.content.copy({ ino: from, offset: 0 }, { ino: to, offset: 0 }, 3 * BLOCK_BYTES, {
    ...{ sec: 2, nsec: 0 }
  })
  await bench.drive.replica.commit()
  t.equal(bench.drive.storedBlocks(), blocks, 'no block is written')
  t.strictSame(bench.writes().slice(-1).map(shapesOf), [
    [
      `hole 0+${BLOCK_BYTES}`,
      `block ${BLOCK_BYTES}+${BLOCK_BYTES}`,
      `hole ${2 * BLOCK_BYTES}+${BLOCK_BYTES}`
    ]
  ])
  t.equal(bench.record(to).allocated, 2 * BLOCK_BYTES)
  checkIndex(bench.drive.replica.index)
  await bench.drive.close()
})

t.test('many pieces are recorded in several operations', async t => {
  const bench = await Bench.create()
  const [from, to] = [bench.make('from'), bench.make('to')]
  const count = PIECES_MAX + 20
  for (let at = 0; at < count; at++) bench.write(from, at * 10, filled(5, at))
  bench.content.flush(from)
  const before = bench.writes().length
  const total = count * 10 - 5
  bench.content.copy({ ino: from, offset: 0 }, { ino: to, offset: 3 }, total, { sec: 2, nsec: 0 })
  const made = bench.writes().slice(before)
  t.equal(made.length, 3, 'pieces and the holes between them')
  for (const { pieces, size } of made) {
    t.ok(pieces.length <= PIECES_MAX)
    t.equal(size, total + 3)
  }
  t.strictSame(await bench.read(to, 3, total), await bench.read(from, 0, total))

  const pieces: Piece[] = [...bench.content.allPieces(from)]
  const again = bench.make('again')
  bench.content.recordAll(again, pieces, total, { sec: 3, nsec: 0 })
  t.strictSame(await bench.read(again, 0, total), await bench.read(from, 0, total))
  await bench.drive.close()
})

t.test('recordAll() without pieces records the size', async t => {
  const bench = await Bench.create()
  const ino = bench.make('f')
  bench.content.recordAll(ino, [], 77, { sec: 3, nsec: 0 })
  t.equal(bench.size(ino), 77)
  await bench.drive.close()
})

t.test('throughOf() is the first name, or the file itself when it has none', async t => {
  const bench = await Bench.create()
  const record = bench.record(bench.make('f'))
  t.strictSame(throughOf(record), record.links[0]?.id)
  t.strictSame(throughOf({ ...record, links: [] }), record.id)
  await bench.drive.close()
})

// Reading from the disk

/** A file of so many blocks that is on the disk and in no cache. */
async function coldFile(blocks: number): Promise<{ bench: Bench; ino: number; bytes: Uint8Array }> {
  const bench = await Bench.create()
  const bytes = patternBytes(blocks * BLOCK_BYTES)
  bench.write(bench.make('f'), 0, bytes)
  await bench.reopen()
  return { bench, ino: bench.ino('f'), bytes }
}

/** Answers each read of a block as `answer` says: an error to fail with, or nothing to go on. */
function failReads(
  bench: Bench,
  answer: (index: number) => SyncError | undefined
): { readonly reads: number[] } {
  const reads: number[] = []
  const log = bench.drive.contentLog
  const get = log.get.bind(log)
  log.get = async index => {
    reads.push(index)
    const error = answer(index)
    if (error) throw error
    return get(index)
  }
  return { reads }
}

t.test('a reader that goes on where it stopped is read ahead of', async t => {
  const { bench, ino, bytes } = await coldFile(12)
  const { reads } = failReads(bench, () => undefined)
  await bench.read(ino, 5 * BLOCK_BYTES, 4096)
  t.equal(reads.length, 1, 'a first read brings what it asks for')
  await bench.read(ino, 0, BLOCK_BYTES)
  await bench.read(ino, BLOCK_BYTES, BLOCK_BYTES)
  const ahead = READ_AHEAD_BYTES / BLOCK_BYTES
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(
    reads.slice(1).toSorted((a, b) => a - b),
    Array.from({ length: ahead + 2 }, (_, at) => at).filter(at => at !== 5)
  )
  const next = bench.content.read(bench.record(ino), {
    ...{ offset: 2 * BLOCK_BYTES, length: BLOCK_BYTES }
  })
  t.notOk(next instanceof Promise, 'and is answered at once')
  t.strictSame(joined(next as Uint8Array[]), bytes.slice(2 * BLOCK_BYTES, 3 * BLOCK_BYTES))
  bench.content.closed(ino)
  await bench.drive.close()
})

t.test('a block that went between finding and reading it is looked for once more', async t => {
  const { bench, ino } = await coldFile(1)
  const newer = patternBytes(BLOCK_BYTES, 9)
  let isFirst = true
  failReads(bench, () => {
    if (!isFirst) return undefined
    isFirst = false
    bench.write(ino, 0, newer)
    return new SyncError('MISSING', 'cleared by the test')
  })
  t.strictSame(await bench.read(ino, 0, BLOCK_BYTES), newer)
  await bench.drive.close()
})

t.test('a block that stays missing, or is damaged, is an error', async t => {
  for (const [code, times] of [
    ['MISSING', 2],
    ['DAMAGED', 1],
    ['IO', 1]
  ] as const) {
    const { bench, ino } = await coldFile(1)
    const { reads } = failReads(bench, () => new SyncError(code, 'by the test'))
    await t.rejects(bench.read(ino, 0, 10), { code })
    t.equal(reads.length, times, code)
    await bench.drive.close()
  }
})

t.test('what was read is not changed by what is written later', async t => {
  const bench = await Bench.create()
  const ino = bench.make('f')
  bench.write(ino, 0, filled(3000, 1))
  const unflushed = await bench.read(ino, 0, 3000)
  const parts = await bench.content.read(bench.record(ino), { offset: 0, length: 3000 })
  bench.write(ino, 0, filled(3000, 2))
  bench.content.flush(ino)
  const inline = await bench.content.read(bench.record(ino), { offset: 0, length: 3000 })
  bench.write(ino, 0, filled(3000, 3))
  bench.content.flush(ino)
  t.strictSame(unflushed, filled(3000, 1))
  t.strictSame(joined(parts), filled(3000, 1))
  t.strictSame(joined(inline), filled(3000, 2))
  await bench.drive.close()
})

t.test('reading beyond the end gives nothing, over it what there is', async t => {
  const bench = await Bench.create()
  const ino = bench.make('f')
  t.equal((await bench.read(ino, 0, 10)).length, 0)
  bench.write(ino, 0, filled(100, 1))
  t.equal((await bench.read(ino, 90, 100)).length, 10)
  t.equal((await bench.read(ino, 100, 1)).length, 0)
  t.equal((await bench.read(ino, 50, 0)).length, 0)
  await bench.drive.close()
})
