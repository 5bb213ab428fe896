/**
 * The versions of one file's content. Each names its base, so they form a tree, which falls into
 * lines: where several versions share a base, the first in order goes on with the base's line and
 * each of the others starts a line of its own.
 *
 * Along a line each version's author saw the one before. So who saw one version saw all before
 * it, and how far along a line somebody saw is found by halving.
 *
 * @module
 */
import type { OperationId } from './operation.ts'

/** One version. Made by {@link VersionTree.add}. */
export interface Version<T extends { readonly id: OperationId }> {
  /** What made it. */
  readonly event: T
  /** The version it was laid over; undefined for the first of all. */
  readonly base: Version<T> | undefined
  /** Versions laid over this one, in order. */
  readonly children: readonly Version<T>[]
  /** The line it belongs to. */
  readonly line: VersionLine<T>
  /** Its place in that line, from 0. */
  readonly position: number
}

/** A file's versions from one that starts it to its newest. */
export interface VersionLine<T extends { readonly id: OperationId }> {
  /** Oldest first; at least one. */
  readonly versions: readonly Version<T>[]
  /** The version that starts it. */
  readonly first: Version<T>
  /** The newest. */
  readonly tip: Version<T>
}

/** Whether the author of `later` had seen `earlier`. */
export type Saw = (later: OperationId, earlier: OperationId) => boolean

/** @returns an identity as text, equal for equal identities */
export function keyOf(id: OperationId): string {
  return `${id.index}.${id.number}.${id.log}`
}

/** All versions that come from one create. */
export class VersionTree<T extends { readonly id: OperationId }> {
  readonly #saw: Saw
  readonly #versions = new Map<string, MutableVersion<T>>()
  readonly #lines: MutableLine<T>[] = []

  /** Makes an empty tree. */
  constructor(saw: Saw) {
    this.#saw = saw
  }

  /** Every line, in the order of the versions that start them. */
  get lines(): readonly VersionLine<T>[] {
    return this.#lines
  }

  /**
   * Adds a version. Those that share a base come in the order of operations.
   *
   * @param base - undefined for the first of all
   */
  add(event: T, base: Version<T> | undefined): Version<T> {
    const over = base && this.#versions.get(keyOf(base.event.id))
    const goesOn = over?.children.length === 0
    const line = goesOn ? over.line : this.#startLine()
    const version = { event, base: over, children: [], line, position: line.versions.length }
    line.versions.push(version)
    over?.children.push(version)
    this.#versions.set(keyOf(event.id), version)
    return version
  }

  /** The version of that identity, if there is one. */
  get(id: OperationId): Version<T> | undefined {
    return this.#versions.get(keyOf(id))
  }

  /** The newest version that `by` saw in the line that it saw `version` in. */
  tipSeenBy(by: OperationId, version: Version<T>): Version<T> {
    for (let at = version; ;) {
      at = this.#lastSeenInLine(by, at)
      const next = at.children.find(child => this.#saw(by, child.event.id))
      if (!next) return at
      at = next
    }
  }

  #lastSeenInLine(by: OperationId, { line, position }: Version<T>): Version<T> {
    const { versions } = line
    let seen = position
    let unseen = versions.length
    // The newest first: who changes a file has mostly seen all of it.
    for (let probe = unseen - 1; unseen - seen > 1; probe = (seen + unseen) >> 1) {
      const at = versions[probe]
      if (at && this.#saw(by, at.event.id)) seen = probe
      else unseen = probe
    }
    return versions[seen] ?? line.first
  }

  #startLine(): MutableLine<T> {
    const line = new MutableLine<T>()
    this.#lines.push(line)
    return line
  }
}

/** Whether a version is `other` or one that it was made from. */
export function isAncestor<T extends { readonly id: OperationId }>(
  version: Version<T>,
  other: Version<T>
): boolean {
  let at: Version<T> | undefined = other
  while (at && at.line !== version.line) at = at.line.first.base
  return at !== undefined && version.position <= at.position
}

/** @returns a version and all it was made from, oldest first */
export function lineageOf<T extends { readonly id: OperationId }>(
  version: Version<T>
): readonly Version<T>[] {
  const parts: (readonly Version<T>[])[] = []
  for (let at: Version<T> | undefined = version; at; at = at.line.first.base) {
    parts.push(at.line.versions.slice(0, at.position + 1))
  }
  return parts.toReversed().flat()
}

interface MutableVersion<T extends { readonly id: OperationId }> extends Version<T> {
  readonly base: MutableVersion<T> | undefined
  readonly children: Version<T>[]
  readonly line: MutableLine<T>
}

class MutableLine<T extends { readonly id: OperationId }> implements VersionLine<T> {
  readonly versions: Version<T>[] = []

  get first(): Version<T> {
    return present(this.versions[0])
  }

  get tip(): Version<T> {
    return present(this.versions.at(-1))
  }
}

function present<V>(value: V | undefined): V {
  if (value === undefined) throw new TypeError('a line has a version')
  return value
}
