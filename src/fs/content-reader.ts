/**
 * Reads the bytes of files: from memory, from the disk and, where another device wrote them and
 * they have not arrived yet, from there.
 *
 * - A read is of one moment: what it reads is settled in the tick in which it is asked for.
 * - A block that is not here is waited for until the drive's deadline, or until whoever asked
 *   gives up. At most {@link REMOTE_READS_MAX} reads wait like that; one more fails at once, so
 *   that the kernel has requests left for what is here.
 * - Who reads on is read ahead of: {@link READ_AHEAD_BYTES} of what is here, and
 *   {@link REMOTE_READ_AHEAD_BYTES} of what is not, of which at most
 *   {@link REMOTE_BYTES_IN_FLIGHT_MAX} are asked for at a time, over all files.
 *
 * @module
 */
import { setMaxListeners } from 'node:events'
import type { InodeRecord } from '../sync/inode-record.ts'
import type { BlockRun, Run } from '../sync/region.ts'
import type { Replica } from '../sync/replica.ts'
import { SyncError } from '../sync/sync-error.ts'
import { FsError } from './fs-error.ts'
import type { MaybePromise, WaitSignal } from './vfs.ts'

/** How far a sequential reader is read ahead of in what is here, in bytes. */
export const READ_AHEAD_BYTES = 1024 * 1024
/** How far a sequential reader is read ahead of in what is not here, in bytes. */
export const REMOTE_READ_AHEAD_BYTES = 8 * 1024 * 1024
/** How many bytes are asked of other devices ahead of readers at a time. */
export const REMOTE_BYTES_IN_FLIGHT_MAX = 16 * 1024 * 1024
/** How many reads may wait for other devices; half of what the kernel has in the background. */
export const REMOTE_READS_MAX = 2048

const ZEROS = new Uint8Array(128 * 1024)

/** Bytes that were written and are not yet an operation. */
export interface WrittenBytes {
  /** Where they start in the file. */
  readonly start: number
  /** How many there are. */
  readonly length: number
  /** The bytes, and room behind them. */
  readonly buffer: Uint8Array
}

/** A range of a file that is there: `to` is at most its size. */
interface ReadRange {
  readonly from: number
  readonly to: number
  readonly signal: WaitSignal | undefined
}

type Part = MaybePromise<Uint8Array>

/** Reads files of one replica. */
export class ContentReader {
  readonly #replica: Replica
  readonly #written: (ino: number) => WrittenBytes | undefined
  readonly #readEnds = new Map<number, number>()
  readonly #holesChecked = new Set<number>()
  readonly #closed = new AbortController()
  #remoteReads = 0
  #aheadBytes = 0

  /** @param written - what gathers in memory for a file */
  constructor(replica: Replica, written: (ino: number) => WrittenBytes | undefined) {
    this.#replica = replica
    this.#written = written
    // Every read that waits listens; how many there are is the kernel's to limit.
    setMaxListeners(0, this.#closed.signal)
  }

  /** How many reads wait for other devices. */
  get remoteReads(): number {
    return this.#remoteReads
  }

  /** How many bytes are asked of other devices ahead of readers. */
  get aheadBytes(): number {
    return this.#aheadBytes
  }

  /**
   * Reads.
   *
   * @param record - the inode, with the size that counts
   * @param signal - ends waiting for other devices
   * @returns parts that follow one another, never changed afterwards; holes as zeros
   * @throws {SyncError} `DAMAGED`, `MISSING`, `IO`, `UNREACHABLE`, `TIMED_OUT`, `INTERRUPTED`
   */
  read(
    record: InodeRecord,
    range: { readonly offset: number; readonly length: number },
    signal?: WaitSignal
  ): MaybePromise<Uint8Array[]> {
    const { size, ino } = record
    const from = range.offset
    const to = Math.min(from + range.length, size)
    if (to <= from) return []
    const isSequential = this.#readEnds.get(ino) === from
    this.#readEnds.set(ino, to)
    const parts = this.#parts(ino, { from, to, signal })
    if (parts.some(part => isZeros(part))) this.#checkHoles(record)
    if (isSequential) this.#readAhead(ino, to, size)
    if (!parts.some(part => part instanceof Promise)) return parts as Uint8Array[]
    return Promise.all(parts).catch((error: unknown) =>
      this.#readAgain(ino, { from, to, signal }, error)
    )
  }

  /** The file is not open any more: forgets how it was read. */
  closed(ino: number): void {
    this.#holesChecked.delete(ino)
    this.#readEnds.delete(ino)
  }

  /** Ends what is asked of other devices ahead of readers. Idempotent. */
  close(): void {
    this.#closed.abort()
  }

  #parts(ino: number, range: ReadRange): Part[] {
    const parts: Part[] = []
    let at = range.from
    const segments = this.#segments(ino, range.from, range.to)
    const isRemote = segments.some(run => run.kind === 'block' && !this.#replica.hasBlock(run))
    if (isRemote && this.#remoteReads >= REMOTE_READS_MAX) throw new FsError('ETIMEDOUT', 'read')
    for (const segment of segments) {
      addZeros(parts, segment.offset - at)
      parts.push(this.#bytesOf(ino, segment, range.signal))
      at = segment.offset + segment.length
    }
    addZeros(parts, range.to - at)
    if (isRemote) this.#countRemote(parts)
    return parts
  }

  #countRemote(parts: readonly Part[]): void {
    this.#remoteReads++
    void Promise.allSettled(parts).then(() => this.#remoteReads--)
  }

  /** The runs of a range, with the part that gathers in memory laid over them as inline. */
  #segments(ino: number, from: number, to: number): readonly Run[] {
    const runs = this.#replica.index.content.runs(ino, { from, to })
    const written = this.#written(ino)
    if (written === undefined) return runs
    const offset = Math.max(from, written.start)
    const end = Math.min(to, written.start + written.length)
    if (end <= offset) return runs
    const kept = runs.flatMap(run => outside(run, offset, end))
    kept.push({ kind: 'inline', offset, length: end - offset })
    return kept.sort((left, right) => left.offset - right.offset)
  }

  #bytesOf(ino: number, run: Run, signal: WaitSignal | undefined): Part {
    const { offset, length } = run
    if (run.kind === 'inline') {
      const written = this.#written(ino)
      const within = written && offset >= written.start && offset < written.start + written.length
      if (within)
        return written.buffer.slice(offset - written.start, offset - written.start + length)
      return this.#replica.index.content.inlineBytes(ino, { from: offset, to: offset + length })
    }
    const block = this.#block(run, signal)
    const cut = (bytes: Uint8Array): Uint8Array =>
      bytes.subarray(run.blockOffset, run.blockOffset + length)
    if (!(block instanceof Promise)) return cut(block)
    const bytes = block.then(cut)
    // Awaited with the other parts, unless finding one of those fails first.
    bytes.catch(() => undefined)
    return bytes
  }

  #block(run: BlockRun, signal: WaitSignal | undefined): Part {
    if (signal === undefined || this.#replica.hasBlock(run)) return this.#replica.readBlock(run)
    return this.#replica.readBlock(run, { signal: signal() })
  }

  /** What reads as a hole may be a row of the index that is missing: once for each open file. */
  #checkHoles(record: InodeRecord): void {
    if (record.allocated === 0 || this.#holesChecked.has(record.ino)) return
    this.#replica.index.checkAllocated(this.#replica.index.inode(record.ino))
    this.#holesChecked.add(record.ino)
  }

  /**
   * A block may be superseded and cleared between finding it and reading it: looks once more, at
   * what the file has become meanwhile, which may be shorter or gone.
   */
  async #readAgain(ino: number, range: ReadRange, error: unknown): Promise<Uint8Array[]> {
    if (!(error instanceof SyncError) || error.code !== 'MISSING') throw error
    const now = this.#replica.index.findInode(ino)
    if (now === undefined) throw error
    const written = this.#written(ino)
    const size = Math.max(now.size, written ? written.start + written.length : 0)
    const to = Math.min(range.to, size)
    return to <= range.from ? [] : Promise.all(this.#parts(ino, { ...range, to }))
  }

  #readAhead(ino: number, from: number, size: number): void {
    const to = Math.min(size, from + REMOTE_READ_AHEAD_BYTES)
    for (const run of this.#replica.index.content.runs(ino, { from, to })) {
      if (run.kind !== 'block') continue
      if (!this.#replica.hasBlock(run)) this.#fetchAhead(run)
      else if (run.offset < from + READ_AHEAD_BYTES) this.#replica.prefetchBlock(run)
    }
  }

  /** Errors are left to the read that asks for the block. */
  #fetchAhead(run: BlockRun): void {
    const bytes = run.blockOffset + run.length
    if (this.#aheadBytes + bytes > REMOTE_BYTES_IN_FLIGHT_MAX) return
    const block = this.#replica.readBlock(run, { signal: this.#closed.signal })
    if (!(block instanceof Promise)) return
    this.#aheadBytes += bytes
    const done = (): void => {
      this.#aheadBytes -= bytes
    }
    block.then(done, done)
  }
}

/** Whether a part is of the zeros that stand for holes. */
function isZeros(part: Part): boolean {
  return part instanceof Uint8Array && part.buffer === ZEROS.buffer
}

function addZeros(parts: Part[], count: number): void {
  for (let rest = count; rest > 0; rest -= ZEROS.length)
    parts.push(ZEROS.subarray(0, Math.min(rest, ZEROS.length)))
}

/** The parts of a run that lie before `from` and after `to`. */
function outside(run: Run, from: number, to: number): Run[] {
  const end = run.offset + run.length
  if (end <= from || run.offset >= to) return [run]
  const parts: Run[] = []
  if (run.offset < from) parts.push({ ...run, length: from - run.offset })
  if (end > to) {
    const skipped = to - run.offset
    const rest = { ...run, offset: to, length: end - to }
    parts.push(rest.kind === 'block' ? { ...rest, blockOffset: rest.blockOffset + skipped } : rest)
  }
  return parts
}
