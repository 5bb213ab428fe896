/**
 * The content half of the model: the tree of versions of each inode, the files it falls into,
 * and where the bytes of a version are.
 *
 * A version names its base. Where several versions share a base, the first in order goes on
 * with the file and each of the others starts a file of its own, a branch, whose identity is
 * that version.
 *
 * @module
 */
import type { LogKey } from '../../src/sync/log.ts'
import type {
  CreateOperation,
  Operation,
  OperationId,
  Piece,
  TruncateOperation,
  WriteOperation
} from '../../src/sync/operation.ts'
import { keyOf, saw, type ModelOperation } from './model-entry.ts'

/** A run of a file's bytes, resolved; what no run covers is a hole. */
export type ModelRun =
  | {
      readonly kind: 'block'
      readonly offset: number
      readonly length: number
      readonly log: LogKey
      readonly index: number
      readonly blockOffset: number
    }
  | { readonly kind: 'inline'; readonly offset: number; readonly bytes: Uint8Array }

/** Content as one operation left it. */
export interface ModelVersion {
  /** The operation: the create, a write or a truncate. */
  readonly made: ModelOperation<CreateOperation | WriteOperation | TruncateOperation>
  /** The version it was laid over; undefined for that of the create. */
  readonly base: ModelVersion | undefined
  /** The version of the create. */
  readonly root: ModelVersion
  /** Versions based on this one, in order. */
  readonly children: ModelVersion[]
  /** The file it belongs to. */
  readonly file: ModelFile
}

/** A line of versions: an inode, or a branch of one. */
export interface ModelFile {
  /** Its first version, whose identity is the file's. */
  readonly first: ModelVersion
  /** Its newest version. */
  readonly tip: ModelVersion
  /** All of them, oldest first. */
  readonly versions: ModelVersion[]
}

/** All versions of a set of operations. */
export class ModelContent {
  /** Every file, in the order of its identity. */
  readonly files: ModelFile[] = []
  readonly #versions = new Map<string, ModelVersion>()

  /** @param operations - in order */
  constructor(operations: readonly ModelOperation[]) {
    for (const made of operations) {
      if (is(made, 'create')) this.#add(made, undefined)
      else if (is(made, 'write') || is(made, 'truncate')) {
        const base = this.seen(made, made.operation.base)
        if (base && isRegular(base)) this.#add(made, base)
      }
    }
  }

  /** The version of that identity, if `by` has seen it. */
  seen(by: ModelOperation, id: OperationId): ModelVersion | undefined {
    const version = this.#versions.get(keyOf(id))
    return version && saw(by, version.made) ? version : undefined
  }

  /** The version an operation made, if it made one. */
  madeBy(made: ModelOperation): ModelVersion | undefined {
    return this.#versions.get(made.key)
  }

  #add(made: ModelVersion['made'], base: ModelVersion | undefined): void {
    const version = new Version(made, base)
    // Operations come in order, so the first child to come is the first in order.
    if (base?.children.length === 0) base.file.versions.push(version)
    else {
      version.file = new File(version)
      this.files.push(version.file)
    }
    base?.children.push(version)
    this.#versions.set(made.key, version)
  }
}

/** The newest version that `by` saw in the file that it saw `version` in. */
export function tipSeenBy(by: ModelOperation, version: ModelVersion): ModelVersion {
  const next = version.children.find(child => saw(by, child.made))
  return next ? tipSeenBy(by, next) : version
}

/** Whether a version is `other` or one that it was made from. */
export function isAncestor(version: ModelVersion, other: ModelVersion | undefined): boolean {
  for (let at = other; at; at = at.base) if (at === version) return true
  return false
}

/** The size of a version, in bytes. */
export function sizeOf({ made }: ModelVersion): number {
  const { operation } = made
  return operation.type === 'create' ? operation.target.length : operation.size
}

/** Where the bytes of a version are: ascending, adjacent runs joined, holes left out. */
export function runsOf(version: ModelVersion): readonly ModelRun[] {
  const line: ModelVersion[] = []
  for (let at: ModelVersion | undefined = version; at; at = at.base) line.unshift(at)
  let runs: readonly ModelRun[] = []
  for (const { made } of line) {
    const { operation } = made
    if (operation.type === 'create') continue
    const pieces = operation.type === 'write' ? operation.pieces : []
    for (const piece of pieces) runs = lay(runs, piece)
    runs = runs.flatMap(run => slice(run, 0, operation.size))
  }
  return join(runs)
}

/** Narrows an operation to one type. */
export function is<T extends Operation['type']>(
  operation: ModelOperation,
  type: T
): operation is ModelOperation<Extract<Operation, { type: T }>> {
  return operation.operation.type === type
}

class Version implements ModelVersion {
  readonly children: ModelVersion[] = []
  readonly root: ModelVersion
  readonly made: ModelVersion['made']
  readonly base: ModelVersion | undefined
  file: ModelFile

  constructor(made: ModelVersion['made'], base: ModelVersion | undefined) {
    this.made = made
    this.base = base
    this.root = base?.root ?? this
    this.file = base?.file ?? new File(this)
  }
}

class File implements ModelFile {
  readonly first: ModelVersion
  readonly versions: ModelVersion[]

  constructor(first: ModelVersion) {
    this.first = first
    this.versions = [first]
  }

  get tip(): ModelVersion {
    return this.versions.at(-1) ?? this.first
  }
}

function isRegular(version: ModelVersion): boolean {
  const { operation } = version.root.made
  return operation.type === 'create' && operation.kind === 'file'
}

function lengthOf(run: ModelRun | Piece): number {
  return run.kind === 'inline' ? run.bytes.length : run.length
}

function lay(runs: readonly ModelRun[], piece: Piece): readonly ModelRun[] {
  const end = piece.offset + lengthOf(piece)
  const before = runs.flatMap(run => slice(run, 0, piece.offset))
  const after = runs.flatMap(run => slice(run, end, Infinity))
  if (piece.kind === 'hole') return [...before, ...after]
  if (piece.kind === 'inline') return [...before, piece, ...after]
  const { kind, offset, length, log, index, blockOffset } = piece
  return [...before, { kind, offset, length, log, index, blockOffset }, ...after]
}

/** The part of a run that lies from `from` up to but not including `to`, if any. */
function slice(run: ModelRun, from: number, to: number): ModelRun[] {
  const offset = Math.max(run.offset, from)
  const end = Math.min(run.offset + lengthOf(run), to)
  if (offset >= end) return []
  const skipped = offset - run.offset
  if (run.kind === 'inline') {
    return [{ kind: 'inline', offset, bytes: run.bytes.slice(skipped, skipped + end - offset) }]
  }
  return [{ ...run, offset, length: end - offset, blockOffset: run.blockOffset + skipped }]
}

function join(runs: readonly ModelRun[]): readonly ModelRun[] {
  const joined: ModelRun[] = []
  for (const run of runs) {
    const last = joined.at(-1)
    const both = last && joinTwo(last, run)
    if (both) joined[joined.length - 1] = both
    else joined.push(run)
  }
  return joined
}

function joinTwo(left: ModelRun, right: ModelRun): ModelRun | undefined {
  if (left.offset + lengthOf(left) !== right.offset) return undefined
  if (left.kind === 'inline' && right.kind === 'inline') {
    return { ...left, bytes: Uint8Array.from([...left.bytes, ...right.bytes]) }
  }
  if (left.kind !== 'block' || right.kind !== 'block') return undefined
  const isSameBlock = left.log === right.log && left.index === right.index
  if (!isSameBlock || left.blockOffset + left.length !== right.blockOffset) return undefined
  return { ...left, length: left.length + right.length }
}
