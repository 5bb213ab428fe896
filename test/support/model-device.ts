/**
 * A device of the model: it does what commands say to the tree it sees, writes entries of it,
 * and learns the entries of others.
 *
 * @module
 */
import type { Timestamp } from '../../src/sync/clock.ts'
import type { LogKey } from '../../src/sync/log.ts'
import type {
  Name,
  NamePlace,
  Operation,
  OperationId,
  UnlinkOperation
} from '../../src/sync/operation.ts'
import { childAt, nodeAt, type Command, type Path } from './model-command.ts'
import { keyOf } from './model-entry.ts'
import {
  treeOf,
  type ModelChild,
  type ModelEntry,
  type ModelNode,
  type ModelTree
} from './model.ts'

/** What the author of an operation saw and did, for a check to hold the outcome against. */
export interface Witness {
  /** The operation. */
  readonly id: OperationId
  /** Versions that this operation took from the author's tree without making a new one. */
  readonly ended: readonly string[]
  /** Names that were given, each with the version that it was given to. */
  readonly given: readonly { readonly name: Name; readonly version: string }[]
}

/** One device. */
export class ModelDevice {
  /** Its attested name. */
  readonly name: string
  /** Its operation log. */
  readonly log: LogKey
  /** What it saw when it executed each operation. */
  readonly witnesses: Witness[] = []
  readonly #logs = new Map<LogKey, ModelEntry[]>()
  #pending: Operation[] = []
  #time = { sec: 0, nsec: 0 }
  #tree: ModelTree | undefined

  /** Makes a device that has seen nothing. */
  constructor(name: string, log: LogKey) {
    this.name = name
    this.log = log
  }

  /** Everything it knows, pending operations included as an entry. */
  get entries(): readonly ModelEntry[] {
    const known = [...this.#logs.values()].flat()
    return this.#pending.length > 0 ? [...known, this.#entry()] : known
  }

  /** The tree it sees. */
  get tree(): ModelTree {
    this.#tree ??= treeOf(this.entries)
    return this.#tree
  }

  /** Does a command to the tree it sees. */
  execute(command: Command): void {
    const before = versionsOf(this.tree)
    const id = { log: this.log, index: this.#length(this.log), number: this.#pending.length }
    const given = givenBy(this.tree, command, id)
    const operation = operationOf(this.tree, command)
    this.record(operation, command.time)
    const after = versionsOf(this.tree)
    const isEdit = operation.type === 'write' || operation.type === 'truncate'
    const ended = isEdit ? [] : [...before].filter(version => !after.has(version))
    this.witnesses.push({ id, ended, given })
  }

  /** Adds an operation as it is. */
  record(operation: Operation, time: Timestamp): void {
    this.#pending.push(operation)
    this.#time = time
    this.#tree = undefined
  }

  /** Seals what is pending into an entry. */
  commit(): void {
    if (this.#pending.length === 0) return
    this.#own().push(this.#entry())
    this.#pending = []
  }

  /** Learns the first `length` entries of a log and all that they had seen. */
  learn(from: ModelDevice, log: LogKey, length: number): void {
    this.commit()
    this.#tree = undefined
    const known = this.#logs.get(log) ?? []
    this.#logs.set(log, known)
    for (const entry of (from.#logs.get(log) ?? []).slice(known.length, length)) {
      for (const [log, length] of entry.heads) this.learn(from, log, length)
      known.push(entry)
    }
  }

  /** Learns all that another device knows. */
  merge(other: ModelDevice): void {
    other.commit()
    for (const [log, entries] of other.#logs) this.learn(other, log, entries.length)
  }

  #entry(): ModelEntry {
    const others = [...this.#logs].filter(([log]) => log !== this.log)
    const lasts = [...this.#logs.values()].map(entries => entries.at(-1)?.lamport ?? 0)
    return {
      ...{ log: this.log, index: this.#length(this.log), lamport: 1 + Math.max(0, ...lasts) },
      ...{ heads: new Map(others.map(([log, entries]) => [log, entries.length])) },
      ...{ time: this.#time, device: this.name, operations: this.#pending }
    }
  }

  #own(): ModelEntry[] {
    const own = this.#logs.get(this.log) ?? []
    this.#logs.set(this.log, own)
    return own
  }

  #length(log: LogKey): number {
    return this.#logs.get(log)?.length ?? 0
  }
}

/** The content that can be read somewhere in a tree. */
export function versionsOf(node: ModelNode): Set<string> {
  const versions = new Set<string>()
  for (const child of node.children.values()) {
    if (child.node.version) versions.add(keyOf(child.node.version))
    for (const version of versionsOf(child.node)) versions.add(version)
  }
  return versions
}

/** The names that a command gives to files, and the versions it gives them to. */
function givenBy(tree: ModelTree, command: Command, id: OperationId): Witness['given'] {
  if (command.type === 'create') {
    return command.path.slice(-1).map(name => ({ name, version: keyOf(id) }))
  }
  if (!('from' in command)) return []
  const { from, to, type } = command
  const pairs =
    type === 'exchange' ? [[from, to] as const, [to, from] as const] : [[from, to] as const]
  return pairs.flatMap(([from, to]) => {
    const version = nodeAt(tree, from)?.version
    const name = to.at(-1)
    return version && name !== undefined ? [{ name, version: keyOf(version) }] : []
  })
}

/** The operation that is recorded for a command. */
export function operationOf(tree: ModelTree, command: Command): Operation {
  const { time } = command
  switch (command.type) {
    case 'create': {
      const { kind, mode } = command
      const node = { ...placeOf(tree, command.path), ...OWNER, kind, mode, time }
      return { type: 'create', ...node, rdev: 0, target: new Uint8Array() }
    }
    case 'mkdir':
      return {
        ...{ type: 'mkdir', ...placeOf(tree, command.path), ...OWNER },
        ...{ mode: command.mode, time }
      }
    case 'link': {
      const { node, links } = find(tree, command.from)
      const file = { inode: first(node.ids), through: first(links) }
      return { type: 'link', ...file, ...placeOf(tree, command.to), time }
    }
    case 'unlink':
    case 'rmdir':
      return { type: command.type, ...removalOf(tree, command.path), time }
    case 'rename': {
      const { links, parent: from } = removalOf(tree, command.from)
      const replaced = childAt(tree, command.to)?.links ?? []
      return { type: 'rename', links, from, ...placeOf(tree, command.to), replaced, time }
    }
    case 'exchange': {
      const [first, second] = [placeOf(tree, command.from), placeOf(tree, command.to)]
      const { links } = find(tree, command.from)
      const { links: others } = find(tree, command.to)
      return { type: 'exchange', links, first, others, second, time }
    }
    default:
      return operationOnNode(tree, command)
  }
}

function operationOnNode(
  tree: ModelTree,
  command: Extract<Command, { type: 'write' | 'truncate' | 'setattr' | 'setxattr' | 'removexattr' }>
): Operation {
  const { path, ...rest } = command
  const node = nodeAt(tree, path)
  if (!node) throw new Error(`there is no ${path.join('/')}`)
  const inode = first(node.ids)
  const seen = { inode, base: node.version ?? inode }
  if (rest.type !== 'write' && rest.type !== 'truncate') return { ...rest, ...seen }
  return { ...rest, ...seen, through: first(find(tree, path).links) }
}

const OWNER = { uid: 0, gid: 0 }

function placeOf(tree: ModelTree, path: Path): NamePlace {
  const parent = nodeAt(tree, path.slice(0, -1))
  const name = path.at(-1)
  if (!parent || name === undefined) throw new Error(`nowhere to make ${path.join('/')}`)
  return { parent: first(parent.ids), name }
}

/** The links at a path and the directory that they leave. */
function removalOf(tree: ModelTree, path: Path): Pick<UnlinkOperation, 'links' | 'parent'> {
  return { links: find(tree, path).links, parent: placeOf(tree, path).parent }
}

function find(tree: ModelTree, path: Path): ModelChild {
  const child = childAt(tree, path)
  if (!child) throw new Error(`there is no ${path.join('/')}`)
  return child
}

function first(ids: readonly OperationId[]): OperationId {
  const [id] = ids
  if (!id) throw new Error('there is at least one identity')
  return id
}
