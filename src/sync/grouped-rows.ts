/**
 * Rows in memory by group and sub key. Most groups have a single row, the row of an inode above
 * all, and a map for each of them would cost more than what it holds: a group becomes a map when
 * it gets a second row.
 *
 * @module
 */

interface SingleRow<V> {
  readonly sub: string
  value: V
}

/** A map with keys of two parts. */
export class GroupedRows<V> {
  readonly #groups = new Map<number, SingleRow<V> | Map<string, V>>()
  #count = 0

  /** How many rows there are. */
  get count(): number {
    return this.#count
  }

  /** @returns the row, or undefined if there is none */
  get(group: number, sub: string): V | undefined {
    const rows = this.#groups.get(group)
    if (rows === undefined) return undefined
    if (rows instanceof Map) return rows.get(sub)
    return rows.sub === sub ? rows.value : undefined
  }

  /** Sets a row, which is not undefined. */
  set(group: number, sub: string, value: V): void {
    const rows = this.#groups.get(group)
    if (rows instanceof Map) {
      const before = rows.size
      rows.set(sub, value)
      this.#count += rows.size - before
    } else if (rows?.sub === sub) rows.value = value
    else {
      this.#groups.set(group, rows ? mapOf(rows, { sub, value }) : { sub, value })
      this.#count++
    }
  }

  /** Removes a row. @returns whether there was one */
  delete(group: number, sub: string): boolean {
    const rows = this.#groups.get(group)
    if (rows === undefined) return false
    const isThere = rows instanceof Map ? rows.delete(sub) : rows.sub === sub
    if (!isThere) return false
    this.#count--
    if (!(rows instanceof Map) || rows.size === 0) this.#groups.delete(group)
    return true
  }

  /** All rows; one that is set between two steps of the iteration may come or not. */
  *rows(): Iterable<[group: number, sub: string, value: V]> {
    // No generator for each group: it would be as large as the row, and there are very many.
    for (const [group, rows] of this.#groups) {
      if (!(rows instanceof Map)) yield [group, rows.sub, rows.value]
      else for (const [sub, value] of rows) yield [group, sub, value]
    }
  }

  /** The rows of the groups `from` up to but not including `to`. */
  *between(from: number, to: number): Iterable<[group: number, sub: string, value: V]> {
    if (to - from === 1) {
      const rows = this.#groups.get(from)
      if (rows) yield* rowsOf(from, rows)
      return
    }
    for (const [group, rows] of this.#groups) {
      if (group >= from && group < to) yield* rowsOf(group, rows)
    }
  }
}

function mapOf<V>(...rows: readonly SingleRow<V>[]): Map<string, V> {
  return new Map(rows.map(({ sub, value }) => [sub, value]))
}

function* rowsOf<V>(
  group: number,
  rows: SingleRow<V> | Map<string, V>
): Iterable<[group: number, sub: string, value: V]> {
  if (!(rows instanceof Map)) yield [group, rows.sub, rows.value]
  else for (const [sub, value] of rows) yield [group, sub, value]
}
