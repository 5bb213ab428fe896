/**
 * The bytes of files: gathering small writes into blocks, and sharing them.
 *
 * Writes to one file that follow one another gather in a run in memory. A run ends at a block
 * boundary of the file; when it is full, when another write does not touch it, at flush, or
 * {@link FLUSH_DELAY_MS} after it began, it becomes a block and a write operation. Reads see it
 * at once. A write that covers whole blocks goes around the run, without a copy.
 *
 * Before operations of other devices are merged, every run is flushed: what programs wrote until
 * then is based on what they saw, and what comes is not covered by it.
 *
 * @module
 */
import type { Clock, Timer, Timestamp } from '../sync/clock.ts'
import type { InodeRecord } from '../sync/inode-record.ts'
import { ROOT_LOG, type LinkId, type Piece } from '../sync/operation.ts'
import type { Replica } from '../sync/replica.ts'
import type { Run } from '../sync/region.ts'
import { ContentReader } from './content-reader.ts'
import { isNameless } from './drive-attributes.ts'
import type { OpenInodes } from './open-inodes.ts'
import type { MaybePromise, WaitSignal } from './vfs.ts'

/** Content of a file is cut into blocks at multiples of this many bytes. */
export const BLOCK_BYTES = 128 * 1024
/** A file of up to this many bytes travels inside its operation. */
export const INLINE_FILE_BYTES_MAX = 4096
/** A write of up to this many bytes travels inside its operation, however large the file is. */
export const INLINE_WRITE_BYTES_MAX = 512
/** How long written bytes may gather before they are committed. */
export const FLUSH_DELAY_MS = 200
/** So many files may gather written bytes at once; one more and all are flushed. */
export const RUNS_MAX = 512
/** The most pieces of one operation. */
export const PIECES_MAX = 512
/** The most bytes copied by one call of {@link FileContent.copy}. */
export const COPY_BYTES_MAX = 256 * 1024 * 1024

const RUN_BYTES_FIRST = 8192
const INLINE_BYTES_MAX = 256 * 1024

/** Bytes that were written and are not yet an operation. */
interface WriteRun {
  readonly start: number
  readonly limit: number
  buffer: Uint8Array
  length: number
  time: Timestamp
}

/** The content of all files of a replica. */
export class FileContent {
  readonly #replica: Replica
  readonly #clock: Clock
  readonly #open: OpenInodes
  readonly #reader: ContentReader
  readonly #runs = new Map<number, WriteRun>()
  #timer: Timer | undefined

  /** @param parts - borrowed */
  constructor(parts: {
    readonly replica: Replica
    readonly clock: Clock
    readonly open: OpenInodes
  }) {
    this.#replica = parts.replica
    this.#clock = parts.clock
    this.#open = parts.open
    this.#reader = new ContentReader(parts.replica, ino => this.#runs.get(ino))
  }

  /** Bytes written that are not yet part of an operation. */
  get unflushedBytes(): number {
    let bytes = 0
    for (const run of this.#runs.values()) bytes += run.length
    return bytes
  }

  /** The inode as a reader sees it: with what was written and is not yet an operation. */
  current(record: InodeRecord): InodeRecord {
    const run = this.#runs.get(record.ino)
    if (run === undefined) return record
    const size = Math.max(record.size, run.start + run.length)
    return {
      ...record,
      size,
      allocated: record.allocated + run.length,
      mtime: run.time,
      ctime: run.time
    }
  }

  /** Reads, what is gathered included. See {@link ContentReader.read}. */
  read(
    record: InodeRecord,
    range: { readonly offset: number; readonly length: number },
    signal?: WaitSignal
  ): MaybePromise<Uint8Array[]> {
    return this.#reader.read(this.current(record), range, signal)
  }

  /**
   * Whether changes of an inode are recorded. A file that never had a name, or lost it here, has
   * an identity of this device only, and changes of it are nobody else's business. Where another
   * device took the name of a file that is open here, they bring it back.
   */
  isRecorded(record: InodeRecord): boolean {
    if (!isNameless(record)) return true
    return record.kind !== 'directory' && record.id.log !== ROOT_LOG
  }

  /** Writes. @param data - read during the call only */
  write(record: InodeRecord, offset: number, data: Uint8Array, time: Timestamp): void {
    const { ino } = record
    const pieces: Piece[] = []
    for (let at = 0; at < data.length;) {
      const position = offset + at
      const run = this.#runs.get(ino)
      if (run && position >= run.start && position <= run.start + run.length) {
        at += this.#extend(ino, run, position, data.subarray(at), time)
      } else if (run) {
        this.flush(ino)
      } else if (position % BLOCK_BYTES === 0 && data.length - at >= BLOCK_BYTES) {
        pieces.push(this.#blockPiece(position, data.subarray(at, at + BLOCK_BYTES)))
        at += BLOCK_BYTES
      } else {
        this.#record(ino, pieces.splice(0), position, time)
        this.#begin(ino, position, data.length - at, time)
      }
    }
    this.#record(ino, pieces, offset + data.length, time)
  }

  /** Makes an operation of what was written to a file. */
  flush(ino: number): void {
    const run = this.#runs.get(ino)
    if (run === undefined) return
    const bytes = run.buffer.subarray(0, run.length)
    const end = run.start + run.length
    const size = Math.max(this.#replica.index.inode(ino).size, end)
    const isInline = size <= INLINE_FILE_BYTES_MAX || run.length <= INLINE_WRITE_BYTES_MAX
    const piece: Piece = isInline
      ? { kind: 'inline', offset: run.start, bytes }
      : this.#blockPiece(run.start, bytes)
    this.#record(ino, [piece], end, run.time)
    // Not sooner: if recording fails, what was written must stay readable and be tried again.
    this.#runs.delete(ino)
  }

  /** Makes operations of all that was written; of every file, also when one of them fails. */
  flushAll(): void {
    const failures: unknown[] = []
    for (const ino of [...this.#runs.keys()]) {
      try {
        this.flush(ino)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  /** Forgets what was written to a file that is gone. */
  discard(ino: number): void {
    this.#runs.delete(ino)
    this.#reader.closed(ino)
  }

  /** The file is not open any more: forgets how it was read. */
  closed(ino: number): void {
    this.#reader.closed(ino)
  }

  /** Ends what goes on in the background. What was written must have been flushed. Idempotent. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#reader.close()
  }

  /** Sets the size. */
  truncate(ino: number, size: number, time: Timestamp): void {
    this.flush(ino)
    const record = this.#replica.index.inode(ino)
    const { id: inode, version: base } = record
    const through = this.#throughOf(record)
    this.#replica.execute(
      { type: 'truncate', inode, through, base, size, time },
      { recorded: this.isRecorded(record) }
    )
  }

  /** Makes a range read as zeros and sets the size. */
  punch(
    ino: number,
    range: { readonly from: number; readonly to: number },
    size: number,
    time: Timestamp
  ): void {
    this.flush(ino)
    const to = Math.min(range.to, this.#replica.index.inode(ino).size)
    const pieces: Piece[] =
      range.from < to ? [{ kind: 'hole', offset: range.from, length: to - range.from }] : []
    this.#execute(ino, pieces, size, time)
  }

  /**
   * Copies a range of one file over a range of another (or of itself, not overlapping); blocks
   * are shared.
   *
   * @param count - how many bytes, up to {@link COPY_BYTES_MAX}, within the source
   */
  copy(
    from: { readonly ino: number; readonly offset: number },
    to: { readonly ino: number; readonly offset: number },
    count: number,
    time: Timestamp
  ): void {
    this.flush(from.ino)
    this.flush(to.ino)
    const source = { from: from.offset, to: from.offset + count }
    const runs = this.#replica.index.content.runs(from.ino, source)
    const pieces = withHoles(this.#pieces(from.ino, runs), source).map(piece => ({
      ...piece,
      offset: piece.offset - from.offset + to.offset
    }))
    const size = Math.max(this.#replica.index.inode(to.ino).size, to.offset + count)
    this.recordAll(to.ino, pieces, size, time)
  }

  /** The whole content of a file as pieces; it is flushed first. */
  allPieces(ino: number): Iterable<Piece> {
    this.flush(ino)
    return this.#pieces(ino, [...this.#replica.index.content.everyRun(ino)])
  }

  /** Records pieces in as few operations as limits allow; at least one. */
  recordAll(ino: number, pieces: Iterable<Piece>, size: number, time: Timestamp): void {
    let group: Piece[] = []
    let inlineBytes = 0
    for (const piece of pieces) {
      group.push(piece)
      if (piece.kind === 'inline') inlineBytes += piece.bytes.length
      if (group.length < PIECES_MAX && inlineBytes < INLINE_BYTES_MAX) continue
      this.#execute(ino, group, size, time)
      group = []
      inlineBytes = 0
    }
    this.#execute(ino, group, size, time)
  }

  /** Where data or a hole starts at or after an offset within the file; it is flushed first. */
  seek(
    ino: number,
    at: { readonly offset: number; readonly whence: 'data' | 'hole' }
  ): number | undefined {
    this.flush(ino)
    const { content } = this.#replica.index
    return at.whence === 'data'
      ? content.nextData(ino, at.offset)
      : content.nextHole(ino, at.offset)
  }

  #begin(ino: number, start: number, wanted: number, time: Timestamp): void {
    const limit = (Math.floor(start / BLOCK_BYTES) + 1) * BLOCK_BYTES
    const capacity = Math.min(limit - start, Math.max(RUN_BYTES_FIRST, wanted))
    if (this.#runs.size >= RUNS_MAX) this.flushAll()
    this.#runs.set(ino, { start, limit, buffer: new Uint8Array(capacity), length: 0, time })
    this.#flushSoon()
  }

  #flushSoon(): void {
    if (this.#timer) return
    this.#timer = this.#clock.after(FLUSH_DELAY_MS, () => this.#flushLate())
  }

  /** Nobody waits for this flush, so its error is left to the next call that does. */
  #flushLate(): void {
    this.#timer = undefined
    try {
      this.flushAll()
      this.#replica.commitWithin(0)
    } catch {
      this.#flushSoon()
    }
  }

  /** Puts bytes into a run. @returns how many it took */
  #extend(ino: number, run: WriteRun, position: number, data: Uint8Array, time: Timestamp): number {
    const at = position - run.start
    const count = Math.min(data.length, run.limit - position)
    if (at + count > run.buffer.length) {
      const capacity = Math.min(run.limit - run.start, Math.max(run.buffer.length * 2, at + count))
      const grown = new Uint8Array(capacity)
      grown.set(run.buffer.subarray(0, run.length))
      run.buffer = grown
    }
    run.buffer.set(data.subarray(0, count), at)
    run.length = Math.max(run.length, at + count)
    run.time = time
    if (run.start + run.length === run.limit) this.flush(ino)
    return count
  }

  #blockPiece(offset: number, bytes: Uint8Array): Piece {
    const { log, index, hash } = this.#replica.addBlock(bytes)
    return { kind: 'block', offset, length: bytes.length, log, index, hash, blockOffset: 0 }
  }

  #record(ino: number, pieces: Piece[], end: number, time: Timestamp): void {
    if (pieces.length === 0) return
    this.#execute(ino, pieces, Math.max(this.#replica.index.inode(ino).size, end), time)
  }

  #execute(ino: number, pieces: readonly Piece[], size: number, time: Timestamp): void {
    const record = this.#replica.index.inode(ino)
    const { id: inode, version: base } = record
    const through = this.#throughOf(record)
    const recorded = this.isRecorded(record)
    this.#replica.execute({ type: 'write', inode, through, base, pieces, size, time }, { recorded })
  }

  /** Of a file that another device unlinked while it is open here: the name it comes back at. */
  #throughOf(record: InodeRecord): LinkId {
    return record.links[0]?.id ?? this.#open.throughOf(record.ino) ?? record.id
  }

  *#pieces(ino: number, runs: readonly Run[]): Iterable<Piece> {
    for (const run of runs) yield this.#replica.index.content.pieceOf(ino, run)
  }
}

/** The link that a change of a file goes through: its first. One without a link is unrecorded. */
export function throughOf(record: InodeRecord): InodeRecord['id'] {
  return record.links[0]?.id ?? record.id
}

/** Fills the gaps between pieces with holes. */
function withHoles(
  pieces: Iterable<Piece>,
  range: { readonly from: number; readonly to: number }
): Piece[] {
  const filled: Piece[] = []
  let at = range.from
  for (const piece of pieces) {
    if (piece.offset > at) filled.push({ kind: 'hole', offset: at, length: piece.offset - at })
    filled.push(piece)
    at = piece.offset + (piece.kind === 'inline' ? piece.bytes.length : piece.length)
  }
  if (at < range.to) filled.push({ kind: 'hole', offset: at, length: range.to - at })
  return filled
}
