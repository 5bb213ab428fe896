/**
 * Where directories are: their moves, replayed in the order of operations, so that all devices
 * skip the same ones, those that would close a cycle (Kleppmann et al., "A highly-available move
 * operation for replicated trees", 2022). Where a directory was made needs no replay: nobody who
 * comes before can have named it.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Placement } from './directory-state.ts'
import type { EntryCausality } from './entry-causality.ts'
import type { LogNumbers } from './log-numbers.ts'
import { readId, sameId, writeId } from './operation-id.ts'
import type { Name, OperationId } from './operation.ts'
import { numberSub } from './row-key.ts'
import type { Table, TableSet } from './table.ts'

const TABLE_MOVE = 14
/** No lamport is as high. */
const LAMPORT_END = 2 ** 53

/** A directory was given a place. A value. */
export interface DirectoryMove {
  /** The place and the operation that gave it. */
  readonly place: Placement
  /** Which of the moves of that operation it is. */
  readonly sequence: number
  /** Inode number of the directory. */
  readonly ino: number
}

/** A move as it was replayed. */
interface MoveRow extends DirectoryMove {
  /** Where the directory was before. */
  readonly before: Placement
  /** Whether it was done: it did not close a cycle. */
  readonly isDone: boolean
}

/** All moves of directories. */
export class DirectoryMoves {
  readonly #rows: Table<MoveRow>
  readonly #causality: EntryCausality
  readonly #placeOf: (ino: number) => Placement | undefined
  #pending: DirectoryMove[] = []

  /**
   * @param tables - where its table is added
   * @param parts - `placeOf` says where a directory is as long as nothing is pending
   */
  constructor(
    tables: TableSet,
    logs: LogNumbers,
    parts: {
      readonly causality: EntryCausality
      readonly placeOf: (ino: number) => Placement | undefined
    }
  ) {
    this.#causality = parts.causality
    this.#placeOf = parts.placeOf
    this.#rows = tables.table({
      number: TABLE_MOVE,
      encode: (out, row) => encodeMove(out, row, logs),
      decode: bytes => decodeMove(bytes, logs)
    })
  }

  /** Whether moves wait for {@link DirectoryMoves.replay}. */
  get isDirty(): boolean {
    return this.#pending.length > 0
  }

  /** Adds a move, to be done with the next {@link DirectoryMoves.replay}. */
  add(move: DirectoryMove): void {
    this.#pending.push(move)
  }

  /** Replays from the first pending move on. @returns the directories that are elsewhere now */
  replay(): ReadonlyMap<number, Placement> {
    const pending = this.#pending.toSorted((left, right) => this.#compare(left, right))
    this.#pending = []
    const [first] = pending
    if (!first) return new Map()
    const later = this.#after(first)
    const places = new Map<number, Placement>()
    for (const { ino, before, isDone } of later.toReversed()) if (isDone) places.set(ino, before)
    const moves = [...later, ...pending].sort((left, right) => this.#compare(left, right))
    for (const move of moves) this.#replayOne(move, places)
    return new Map([...places].filter(([ino, place]) => !isSamePlace(place, this.#placeOf(ino))))
  }

  #replayOne(move: DirectoryMove | MoveRow, places: Map<number, Placement>): void {
    const { ino, place, sequence } = move
    const before = places.get(ino) ?? this.#placeOf(ino)
    if (!before) return
    const isDone = !this.#isWithin(place.parent, ino, places)
    if (isDone) places.set(ino, place)
    const isAsItWas = 'before' in move && move.isDone === isDone && isSamePlace(before, move.before)
    if (isAsItWas) return
    const group = this.#causality.lamportOf(place.by)
    this.#rows.put(group, subOf(move), { ino, place, sequence, before, isDone })
  }

  #isWithin(directory: number, ino: number, places: ReadonlyMap<number, Placement>): boolean {
    for (let at: number | undefined = directory; at !== undefined;) {
      if (at === ino) return true
      at = (places.get(at) ?? this.#placeOf(at))?.parent
    }
    return false
  }

  /** The moves that come after one in order. */
  #after(move: DirectoryMove): MoveRow[] {
    const from = this.#causality.lamportOf(move.place.by)
    const rows = [...this.#rows.between(from, LAMPORT_END).values()]
    return rows
      .flatMap(group => [...group.values()])
      .filter(row => this.#compare(move, row) < 0)
      .sort((left, right) => this.#compare(left, right))
  }

  #compare(left: DirectoryMove, right: DirectoryMove): number {
    const order = this.#causality.compare(left.place.by, right.place.by)
    return order === 0 ? left.sequence - right.sequence : order
  }
}

function isSamePlace(left: Placement, right: Placement | undefined): boolean {
  return left.parent === right?.parent && left.name === right.name && sameId(left.by, right.by)
}

/** The sub key of a move among those of one lamport. */
function subOf({ place: { by }, sequence }: DirectoryMove): string {
  return by.log + numberSub(by.index) + numberSub(by.number) + numberSub(sequence)
}

function encodeMove(out: ByteWriter, row: MoveRow, logs: LogNumbers): void {
  out.varint(row.ino)
  out.varint(row.sequence)
  out.u8(row.isDone ? 1 : 0)
  for (const { parent, name, by } of [row.place, row.before]) {
    out.varint(parent)
    out.u8(name.length)
    out.latin1(name)
    writeId(out, by, logs)
  }
}

function decodeMove(bytes: Uint8Array, logs: LogNumbers): MoveRow {
  const reader = new ByteReader(bytes)
  const [ino, sequence, isDone] = [reader.varint(), reader.varint(), reader.u8() === 1]
  const place = readPlace(reader, logs)
  const before = readPlace(reader, logs)
  reader.end()
  return { ino, sequence, isDone, place, before }
}

function readPlace(reader: ByteReader, logs: LogNumbers): Placement {
  const parent = reader.varint()
  const name = reader.latin1(reader.u8()) as Name
  const by: OperationId = readId(reader, logs)
  return { parent, name, by }
}
