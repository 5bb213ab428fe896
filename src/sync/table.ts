/**
 * The rows of the index: typed tables over one sealed key-value store, with an overlay.
 *
 * A change is visible at once and lives in memory until it is written. Two layers hold such
 * changes: the newest, and the one that is being written (`freeze`). Below them lie a bounded
 * cache of decoded rows and the store. Rows are values: a table never changes an object it was
 * given or gave out, and neither may its callers.
 *
 * A row has the key `table || group || sub`. The sub key is a byte string (latin1). A table may
 * keep a sub key in memory (a name) that is another one in the store (its keyed hash).
 *
 * @module
 */
import type { RowSealer } from '../crypto/row-sealer.ts'
import { Slab } from '../crypto/slab.ts'
import { ByteWriter } from './byte-writer.ts'
import { GroupedRows } from './grouped-rows.ts'
import type { Change, KeyValueStore } from './key-value-store.ts'

/** How many decoded rows each half of a table's cache holds. */
export const ROWS_CACHED_MAX = 32_768

/** How many rows are sealed before others have their turn. */
export const ROWS_PER_TURN = 256
/** After how many rows that were written and go to the cache others have their turn. */
export const ROWS_THAWED_PER_TURN = 1024

/** Most rows are shorter than this. */
const ROW_BYTES = 1024
/** A writer that has written a longer row than this is not used again. */
const WRITER_BYTES_MAX = 64 * 1024
const GROUP_BYTES = 7
const HEADER_BYTES = 1 + GROUP_BYTES

/** How one table's rows become bytes. */
export interface TableFormat<V> {
  /** The table's number, 0 to 255, part of every key. */
  readonly number: number
  /** Appends the bytes of a row. */
  readonly encode: (out: ByteWriter, value: V) => void
  /** The row of bytes; may throw on damage. The bytes are only valid during the call. */
  readonly decode: (bytes: Uint8Array) => V
  /** The sub key in the store, valid until the next call; absent when it is that in memory. */
  readonly storedSub?: (group: number, sub: string) => Uint8Array
  /** The sub key in memory of a row that was read; required with `storedSub`. */
  readonly subOf?: (value: V) => string
  /** How many rows each half of the cache holds; absent for {@link ROWS_CACHED_MAX}. */
  readonly cachedMax?: number
}

/** A row with its key. */
export interface Row<V> {
  /** The first part of its key. */
  readonly group: number
  /** The second part of its key. */
  readonly sub: string
  /** What it holds. */
  readonly value: V
}

/** Which rows {@link Table.page} gives. */
export interface PageOptions {
  /** The row before the first one. */
  readonly after: Pick<Row<unknown>, 'group' | 'sub'> | undefined
  /** The group before which it ends. */
  readonly to: number
  /** How many rows at most, at least 1. */
  readonly countMax: number
}

/** Changed rows; null for one that was removed. */
type Layer<V> = GroupedRows<V | null>

/** One table. Made by {@link TableSet.table}. */
export class Table<V> {
  readonly #set: TableSet
  readonly #format: TableFormat<V>
  #newest: Layer<V> = new GroupedRows()
  #frozen: Layer<V> = new GroupedRows()
  readonly #cache: RowCache<V>
  /** The key that the store was last found to have no row for, until rows are written. */
  #missing: Pick<Row<V>, 'group' | 'sub'> | undefined

  /** @internal */
  constructor(set: TableSet, format: TableFormat<V>) {
    this.#set = set
    this.#format = format
    this.#cache = new RowCache(format.cachedMax ?? ROWS_CACHED_MAX)
  }

  /** @returns the row, or undefined if there is none */
  get(group: number, sub = ''): V | undefined {
    const changed = this.#changed(group, sub)
    if (changed !== undefined) return changed ?? undefined
    const cached = this.#cache.get(group, sub)
    if (cached !== undefined) return cached
    const value = this.#load(group, sub)
    if (value !== undefined) this.#cache.set(group, sub, value)
    return value
  }

  /** As {@link Table.get}, for a row that is not asked for again soon: it is not put in the cache. */
  peek(group: number, sub = ''): V | undefined {
    const changed = this.#changed(group, sub)
    if (changed !== undefined) return changed ?? undefined
    return this.#cache.get(group, sub) ?? this.#load(group, sub)
  }

  /** Sets a row. */
  put(group: number, sub: string, value: V): void {
    this.#change(group, sub, value)
  }

  /** Sets a row among the changes that were frozen, as if it had been set before. */
  putFrozen(group: number, sub: string, value: V): void {
    this.#frozen.set(group, sub, value)
  }

  /** Removes a row; none there is no error. */
  delete(group: number, sub = ''): void {
    this.#change(group, sub, null)
  }

  /** All rows of a group, as they are now, by sub key; in no particular order. */
  entries(group: number): Map<string, V> {
    return this.between(group, group + 1).get(group) ?? new Map<string, V>()
  }

  /**
   * All rows of the groups `from` up to but not including `to`; a group without rows is left out.
   *
   * @param storedMax - of the rows that only the store has, so many of the first at most
   */
  between(from: number, to: number, storedMax = Infinity): Map<number, Map<string, V>> {
    const rows = new Map<number, Map<string, V>>()
    let stored = 0
    for (const { group, sub, value } of this.#stored(from, to)) {
      if (this.#changed(group, sub) !== undefined) continue
      if (++stored > storedMax) break
      rowsOf(rows, group).set(sub, value)
    }
    for (const layer of [this.#frozen, this.#newest]) {
      for (const [group, sub, value] of layer.between(from, to)) overlay(rows, group, sub, value)
    }
    return rows
  }

  /**
   * Rows in the order of group and sub key, for going through a table in steps. Only for a table
   * whose sub keys in the store are those in memory. Rows of the group `to` and later ones are
   * left out.
   *
   * @param after - the last row of the step before
   */
  page({ after, to, countMax }: PageOptions): Row<V>[] {
    const rows: Row<V>[] = []
    let isCut = false
    for (const row of this.#stored(after?.group ?? 0, to, after?.sub)) {
      if (!isAfter(row, after) || this.#changed(row.group, row.sub) !== undefined) continue
      if (rows.push(row) < countMax) continue
      isCut = true
      break
    }
    const last = isCut ? rows.at(-1) : undefined
    for (const row of this.#overlaid(after?.group ?? 0, to)) {
      if (isAfter(row, after) && (last === undefined || isAfter(last, row))) rows.push(row)
    }
    return rows.toSorted(compareRows).slice(0, countMax)
  }

  /** Starts a new layer over the one whose changes are about to be written. */
  freeze(): void {
    this.#frozen = this.#newest
    this.#newest = new GroupedRows()
  }

  /** The frozen layer's changes, sealed. */
  *frozenChanges(): Iterable<Change> {
    for (const [group, sub, value] of this.#frozen.rows()) {
      const key = this.#key(group, sub)
      yield [key, value === null ? undefined : this.#set.seal(key, value, this.#format.encode)]
    }
  }

  /** The frozen layer is in the store: its rows move to the cache. @returns how many */
  thaw(): number {
    const { count } = this.#frozen
    this.#missing = undefined
    for (const [group, sub, value] of this.#frozen.rows()) {
      if (value === null) this.#cache.delete(group, sub)
      else this.#cache.set(group, sub, value)
    }
    this.#frozen = new GroupedRows()
    return count
  }

  /** @returns the row as the layers have it, null if it was removed, undefined if it is as stored */
  #changed(group: number, sub: string): V | null | undefined {
    const changed = this.#newest.get(group, sub)
    return changed === undefined ? this.#frozen.get(group, sub) : changed
  }

  #change(group: number, sub: string, value: V | null): void {
    const { count } = this.#newest
    this.#newest.set(group, sub, value)
    this.#set.changeCount += this.#newest.count - count
  }

  #load(group: number, sub: string): V | undefined {
    // What makes a row looks first whether it is there, often more than once.
    if (this.#missing?.group === group && this.#missing.sub === sub) return undefined
    const key = this.#key(group, sub)
    const sealed = this.#set.store.get(key)
    if (sealed !== undefined) return this.#read(key, sealed)
    this.#missing = { group, sub }
    return undefined
  }

  /** Rows that are only in memory yet, in no particular order. */
  *#overlaid(from: number, to: number): Iterable<Row<V>> {
    for (const layer of [this.#frozen, this.#newest]) {
      for (const [group, sub, value] of layer.between(from, to)) {
        const isNewest = layer === this.#newest || this.#newest.get(group, sub) === undefined
        if (value !== null && isNewest) yield { group, sub, value }
      }
    }
  }

  *#stored(from: number, to: number, fromSub = ''): Iterable<Row<V>> {
    const bounds = {
      from: this.#set.rowKey(this.#format.number, from, fromSub),
      to: this.#set.rowKey(this.#format.number, to, '')
    }
    for (const [key, sealed] of this.#set.store.range(bounds)) {
      const value = this.#read(key, sealed)
      const sub = this.#format.subOf ? this.#format.subOf(value) : latin1(key, HEADER_BYTES)
      yield { group: groupOf(key), sub, value }
    }
  }

  #read(key: Uint8Array, sealed: Uint8Array): V {
    try {
      return this.#format.decode(this.#set.open(key, sealed))
    } catch (error) {
      this.#set.onDamage()
      throw error
    }
  }

  #key(group: number, sub: string): Uint8Array {
    const { number, storedSub } = this.#format
    return this.#set.rowKey(number, group, storedSub ? storedSub(group, sub) : sub)
  }
}

/** All tables of one index over one store. */
export class TableSet {
  /** The store under the tables. */
  readonly store: KeyValueStore
  /** How many rows were set or removed since the last {@link TableSet.freeze}. */
  changeCount = 0
  /** Whether changes were set apart and are not written yet. */
  isFrozen = false
  /** Called when a row does not open: the rows are a cache and should be made anew. */
  onDamage: () => void = () => undefined
  readonly #sealer: RowSealer
  readonly #tables: Table<never>[] = []
  readonly #keys = new Slab()
  #writer = new ByteWriter(ROW_BYTES)

  /** @param parts - the store is borrowed: its owner closes it */
  constructor(parts: { readonly store: KeyValueStore; readonly sealer: RowSealer }) {
    this.store = parts.store
    this.#sealer = parts.sealer
  }

  /** Adds a table. */
  table<V>(format: TableFormat<V>): Table<V> {
    const table = new Table<V>(this, format)
    this.#tables.push(table as unknown as Table<never>)
    return table
  }

  /** Sets the changes made so far apart, to be written by {@link TableSet.write}. */
  freeze(): void {
    if (this.isFrozen) throw new Error('the frozen changes have not been written yet')
    for (const table of this.#tables) table.freeze()
    this.isFrozen = true
    this.changeCount = 0
  }

  /**
   * Writes what was frozen as one batch. May be repeated after an error.
   *
   * @param pause - awaited every {@link ROWS_PER_TURN} rows that are sealed, and now and then after
   * @returns when it survives `kill -9`
   */
  async write(pause: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const changes: Change[] = []
    for (const table of this.#tables) {
      for (const change of table.frozenChanges()) {
        if (changes.push(change) % ROWS_PER_TURN === 0) await pause()
      }
    }
    if (changes.length > 0) await this.store.commit(changes)
    let thawed = 0
    for (const table of this.#tables) {
      thawed += table.thaw()
      if (thawed < ROWS_THAWED_PER_TURN) continue
      thawed = 0
      await pause()
    }
    this.isFrozen = false
  }

  /** The key of a row in the store: table, group as 7 bytes big-endian, sub key. */
  rowKey(table: number, group: number, sub: string | Uint8Array): Uint8Array {
    const key = this.#keys.cut(HEADER_BYTES + sub.length)
    key[0] = table
    let rest = group
    for (let i = GROUP_BYTES; i >= 1; i--) {
      key[i] = rest % 256
      rest = Math.floor(rest / 256)
    }
    if (typeof sub !== 'string') key.set(sub, HEADER_BYTES)
    else for (let i = 0; i < sub.length; i++) key[HEADER_BYTES + i] = sub.charCodeAt(i)
    return key
  }

  /** Seals a row to its key. */
  seal<V>(key: Uint8Array, value: V, encode: TableFormat<V>['encode']): Uint8Array {
    // The same for each row: what is sealed is copied anyway.
    this.#writer.truncate(0)
    encode(this.#writer, value)
    const content = this.#writer.view()
    if (content.length > WRITER_BYTES_MAX) this.#writer = new ByteWriter(ROW_BYTES)
    return this.#sealer.seal(key, content)
  }

  /** Opens a row's bytes. @throws {CryptoError} when they are not what was sealed under the key */
  open(key: Uint8Array, sealed: Uint8Array): Uint8Array {
    return this.#sealer.open(key, sealed)
  }
}

/**
 * A bounded cache in two halves: rows are added to the young half; when it is full it becomes
 * the old half and the former old half is dropped. A hit in the old half moves the row over.
 */
class RowCache<V> {
  #young = new GroupedRows<V>()
  #old = new GroupedRows<V>()
  readonly #countMax: number

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  get(group: number, sub: string): V | undefined {
    const young = this.#young.get(group, sub)
    if (young !== undefined) return young
    const old = this.#old.get(group, sub)
    if (old !== undefined) this.set(group, sub, old)
    return old
  }

  set(group: number, sub: string, value: V): void {
    this.#young.set(group, sub, value)
    if (this.#young.count < this.#countMax) return
    this.#old = this.#young
    this.#young = new GroupedRows()
  }

  delete(group: number, sub: string): void {
    this.#young.delete(group, sub)
    this.#old.delete(group, sub)
  }
}

function isAfter(row: Pick<Row<unknown>, 'group' | 'sub'>, after: PageOptions['after']): boolean {
  if (after === undefined) return true
  return row.group === after.group ? row.sub > after.sub : row.group > after.group
}

function compareRows(left: Row<unknown>, right: Row<unknown>): number {
  return isAfter(left, right) ? 1 : -1
}

function groupOf(key: Uint8Array): number {
  let group = 0
  for (let i = 1; i <= GROUP_BYTES; i++) group = group * 256 + (key[i] ?? 0)
  return group
}

/** @returns the bytes from `from` on as a string of one character per byte */
function latin1(bytes: Uint8Array, from: number): string {
  let text = ''
  for (let i = from; i < bytes.length; i++) text += String.fromCharCode(bytes[i] ?? 0)
  return text
}

function rowsOf<V>(rows: Map<number, Map<string, V>>, group: number): Map<string, V> {
  let subs = rows.get(group)
  if (subs === undefined) rows.set(group, (subs = new Map<string, V>()))
  return subs
}

function overlay<V>(
  rows: Map<number, Map<string, V>>,
  group: number,
  sub: string,
  value: V | null
): void {
  if (value !== null) {
    rowsOf(rows, group).set(sub, value)
    return
  }
  const subs = rows.get(group)
  if (subs?.delete(sub) && subs.size === 0) rows.delete(group)
}
