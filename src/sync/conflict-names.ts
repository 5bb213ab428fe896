/**
 * The conflict names of one directory. They are given in the order of the claims, each the first
 * that is free. Claims whose names cannot meet do not depend on each other, so when the claims to
 * one name change, only those of the same *series* are named anew: those that would get the same
 * name if nothing else stood there.
 *
 * @module
 */
import type { Name } from './operation.ts'

/**
 * A conflict name beyond this length, in bytes, may be one that was cut or meet such a one: all
 * of these are one series. Any other stays shorter than what cutting leaves.
 */
const NAME_BYTES_LONG = 240
const LONG_SERIES = '' as Name

/** A claim that did not get the name it wants. A value. */
export interface Loser<T> {
  /** What claims it. */
  readonly group: T
  /** The name it wants. */
  readonly wanted: Name
  /** The conflict name it would get if nothing else stood there. */
  readonly series: Name
  /** The conflict name it has. */
  readonly name: Name
}

/** How names are given. */
export interface ConflictNamesParts<T> {
  /** The order of claims. */
  readonly compare: (left: T, right: T) => number
  /** The name of an attempt, from 1. */
  readonly nameOf: (wanted: Name, group: T, attempt: number) => Name
  /** Whether a claim has a name as it wants. */
  readonly isGiven: (name: Name) => boolean
  /** Told before a conflict name stands for something else. */
  readonly beforeChange: (name: Name, before: Loser<T> | undefined) => void
}

/** See the module comment. */
export class ConflictNames<T> {
  readonly #parts: ConflictNamesParts<T>
  readonly #names = new Map<Name, Loser<T>>()
  /** By wanted name the names given instead. */
  readonly #slots = new Map<Name, Name[]>()
  /** By series the names given in it. */
  readonly #series = new Map<Name, Set<Name>>()

  /** Makes an empty set of names. */
  constructor(parts: ConflictNamesParts<T>) {
    this.#parts = parts
  }

  /** Every conflict name. */
  get names(): ReadonlyMap<Name, Loser<T>> {
    return this.#names
  }

  /** Those that want a name and do not get it. */
  losersOf(wanted: Name): readonly Loser<T>[] {
    return (this.#slots.get(wanted) ?? []).flatMap(name => this.#names.get(name) ?? [])
  }

  /** Sets who wants which names and does not get them; names not mentioned stay as they are. */
  set(slots: ReadonlyMap<Name, readonly T[]>): void {
    const waiting = new Map<Name, Omit<Loser<T>, 'name'>[]>()
    for (const wanted of slots.keys()) {
      for (const name of this.#slots.get(wanted) ?? []) {
        const series = this.#names.get(name)?.series
        if (series !== undefined && !waiting.has(series)) waiting.set(series, [])
      }
    }
    for (const [wanted, groups] of slots) {
      for (const group of groups) {
        const first = this.#parts.nameOf(wanted, group, 1)
        const series = first.length > NAME_BYTES_LONG ? LONG_SERIES : first
        waiting.set(series, [...(waiting.get(series) ?? []), { group, wanted, series }])
      }
    }
    for (const [series, losers] of waiting) this.#rename(series, losers, slots)
  }

  /** Names a series anew: those that stay in it and those that come. */
  #rename(
    series: Name,
    added: readonly Omit<Loser<T>, 'name'>[],
    slots: ReadonlyMap<Name, unknown>
  ): void {
    const before = [...(this.#series.get(series) ?? [])].flatMap(
      name => this.#names.get(name) ?? []
    )
    for (const loser of before) this.#take(loser)
    const kept = before.filter(({ wanted }) => !slots.has(wanted))
    const losers = [...kept, ...added]
    losers.sort((left, right) => this.#parts.compare(left.group, right.group))
    let attempt = 1
    for (const loser of losers) {
      // In one series all try the same names, unless they were cut.
      if (series === LONG_SERIES) attempt = 1
      let name = this.#parts.nameOf(loser.wanted, loser.group, attempt)
      while (this.#names.has(name) || this.#parts.isGiven(name)) {
        name = this.#parts.nameOf(loser.wanted, loser.group, ++attempt)
      }
      this.#give({ ...loser, name })
    }
  }

  #take({ name, wanted, series }: Loser<T>): void {
    this.#parts.beforeChange(name, this.#names.get(name))
    this.#names.delete(name)
    const slot = this.#slots.get(wanted)?.filter(other => other !== name) ?? []
    if (slot.length > 0) this.#slots.set(wanted, slot)
    else this.#slots.delete(wanted)
    const names = this.#series.get(series)
    names?.delete(name)
    if (names?.size === 0) this.#series.delete(series)
  }

  #give(loser: Loser<T>): void {
    const { name, wanted, series } = loser
    this.#parts.beforeChange(name, this.#names.get(name))
    this.#names.set(name, loser)
    this.#slots.set(wanted, [...(this.#slots.get(wanted) ?? []), name])
    const names = this.#series.get(series)
    if (names) names.add(name)
    else this.#series.set(series, new Set([name]))
  }
}
