/**
 * Who had seen what: for every entry that was merged its place in the order of entries and how
 * many entries of each log its author had merged, causes of causes included.
 *
 * The entry that local operations are gathered in is known before it is sealed: its author, this
 * device, has seen everything that was merged so far, and nothing else is merged until then.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Timestamp } from './clock.ts'
import type { Causality } from './file-family.ts'
import { readTime, writeTime } from './operation-id.ts'
import type { LogKey } from './log.ts'
import type { LogNumbers } from './log-numbers.ts'
import { ROOT_LOG, type OperationId } from './operation.ts'
import { numberSub } from './row-key.ts'
import { SyncError } from './sync-error.ts'
import type { Table, TableSet } from './table.ts'

/** How many entries are kept in memory. */
export const ENTRIES_CACHED_MAX = 65_536

const TABLE_ENTRY = 11

/** An entry of an operation log, as far as causality goes. */
export interface RecordedEntry {
  /** The log. */
  readonly log: LogKey
  /** The entry's index. */
  readonly index: number
  /** Its lamport. */
  readonly lamport: number
  /** The author's wall time. */
  readonly time: Timestamp
  /**
   * For every log how many of its entries the author had merged, causes of causes included; of
   * its own log those before this entry.
   */
  readonly seen: ReadonlyMap<LogKey, number>
}

/** Lengths of logs by their local numbers. */
type Lengths = ReadonlyMap<number, number>

interface EntryRow {
  readonly lamport: number
  readonly time: Timestamp
  /** Without the entry's own log, of which all earlier entries were seen. */
  readonly seen: Lengths
}

const EPOCH: Timestamp = { sec: 0, nsec: 0 }
/** What the root directory's identity stands for: before everything. */
const BEFORE_ALL: EntryRow = { lamport: 0, time: EPOCH, seen: new Map() }

/** What every merged entry had seen. */
export class EntryCausality implements Causality {
  readonly #logs: LogNumbers
  readonly #rows: Table<EntryRow>
  readonly #cache = new Map<LogKey, Map<number, EntryRow>>()
  #cachedCount = 0
  readonly #heads = new Map<number, number>()
  #highest = 0
  #open: Pick<OperationId, 'log' | 'index'> | undefined

  /** @param tables - where its table is added */
  constructor(tables: TableSet, logs: LogNumbers) {
    this.#logs = logs
    this.#rows = tables.table({ number: TABLE_ENTRY, encode: encodeEntry, decode: decodeEntry })
  }

  /** The highest lamport of all entries. */
  get highestLamport(): number {
    return this.#highest
  }

  /** Takes up where an index that was written left off. */
  resume(state: {
    readonly highestLamport: number
    readonly heads: Iterable<[log: LogKey, length: number]>
  }): void {
    this.#highest = state.highestLamport
    for (const [log, length] of state.heads) this.#heads.set(this.#logs.numberOf(log), length)
  }

  /** Makes an entry known, or gives the open one its final values. @returns whether they changed */
  record({ log, index, lamport, time, seen }: RecordedEntry): boolean {
    const number = this.#logs.numberOf(log)
    const known = this.#find(log, index)
    if (known) {
      this.#open = undefined
      if (known.lamport === lamport && sameTime(known.time, time)) return false
      this.#put(log, index, { ...known, lamport, time })
      return true
    }
    const others = [...seen].flatMap(([other, length]): [number, number][] =>
      other === log || length === 0 ? [] : [[this.#logs.numberOf(other), length]]
    )
    this.#heads.set(number, index + 1)
    this.#highest = Math.max(this.#highest, lamport)
    this.#put(log, index, { lamport, time, seen: new Map(others) })
    return true
  }

  /** Makes the entry known that local operations are gathered in; once only. */
  open(log: LogKey, index: number, time: Timestamp): void {
    if (this.#find(log, index)) return
    const number = this.#logs.numberOf(log)
    const seen = new Map([...this.#heads].filter(([other]) => other !== number))
    this.#heads.set(number, index + 1)
    this.#highest++
    this.#open = { log, index }
    this.#put(log, index, { lamport: this.#highest, time, seen })
  }

  /** What was recorded of an entry; undefined if it is not known. */
  entry(log: LogKey, index: number): RecordedEntry | undefined {
    const row = this.#find(log, index)
    if (!row) return undefined
    const seen = new Map([...row.seen].map(([other, length]) => [this.#logs.keyOf(other), length]))
    if (index > 0) seen.set(log, index)
    return { log, index, lamport: row.lamport, time: row.time, seen }
  }

  /** Whether an operation's entry is known. */
  knows({ log, index }: OperationId): boolean {
    return this.isOpen({ log, index }) || this.#find(log, index) !== undefined
  }

  /** Whether an operation is of the open entry: it has seen everything. */
  isOpen({ log, index }: Pick<OperationId, 'log' | 'index'>): boolean {
    return this.#open?.index === index && this.#open.log === log
  }

  /** @returns what was recorded of an entry, or undefined */
  recorded(log: LogKey, index: number): RecordedEntry | undefined {
    const row = this.#find(log, index)
    if (row === undefined) return undefined
    const seen = [...row.seen].map(([other, length]) => [this.#logs.keyOf(other), length] as const)
    return { log, index, lamport: row.lamport, time: row.time, seen: new Map(seen) }
  }

  /** When the entry of an operation was sealed. */
  timeOf(id: OperationId): Timestamp {
    return this.#row(id).time
  }

  /** The lamport of an operation's entry. */
  lamportOf(id: OperationId): number {
    return this.#row(id).lamport
  }

  /** See {@link Causality.saw}. */
  saw(later: OperationId, earlier: OperationId): boolean {
    if (later.log === earlier.log) {
      if (later.index !== earlier.index) return later.index > earlier.index
      return later.number > earlier.number
    }
    if (earlier.log === ROOT_LOG) return true
    const number = this.#logs.find(earlier.log)
    if (number === undefined) return false
    return (this.#row(later).seen.get(number) ?? 0) > earlier.index
  }

  /** See {@link Causality.compare}. */
  compare(left: OperationId, right: OperationId): number {
    if (left.log === right.log) return left.index - right.index || left.number - right.number
    return this.#row(left).lamport - this.#row(right).lamport || (left.log < right.log ? -1 : 1)
  }

  #row(id: OperationId): EntryRow {
    const row = this.#find(id.log, id.index)
    if (row === undefined) throw new SyncError('DAMAGED', 'a row of the index names no entry')
    return row
  }

  #find(log: LogKey, index: number): EntryRow | undefined {
    const cached = this.#cache.get(log)?.get(index)
    if (cached) return cached
    if (log === ROOT_LOG) return BEFORE_ALL
    const number = this.#logs.find(log)
    const row = number === undefined ? undefined : this.#rows.get(number, numberSub(index))
    if (row) this.#keep(log, index, row)
    return row
  }

  #put(log: LogKey, index: number, row: EntryRow): void {
    this.#rows.put(this.#logs.numberOf(log), numberSub(index), row)
    this.#keep(log, index, row)
  }

  #keep(log: LogKey, index: number, row: EntryRow): void {
    if (++this.#cachedCount > ENTRIES_CACHED_MAX) {
      this.#cache.clear()
      this.#cachedCount = 1
    }
    const rows = this.#cache.get(log)
    if (rows) rows.set(index, row)
    else this.#cache.set(log, new Map([[index, row]]))
  }
}

function sameTime(left: Timestamp, right: Timestamp): boolean {
  return left.sec === right.sec && left.nsec === right.nsec
}

function encodeEntry(out: ByteWriter, row: EntryRow): void {
  out.varint(row.lamport)
  writeTime(out, row.time)
  out.varint(row.seen.size)
  for (const [log, length] of row.seen) {
    out.varint(log)
    out.varint(length)
  }
}

function decodeEntry(bytes: Uint8Array): EntryRow {
  const reader = new ByteReader(bytes)
  const lamport = reader.varint()
  const time = readTime(reader)
  const seen = new Map<number, number>()
  for (let rest = reader.count(2); rest > 0; rest--) seen.set(reader.varint(), reader.varint())
  reader.end()
  return { lamport, time, seen }
}
