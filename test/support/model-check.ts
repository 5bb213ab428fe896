/**
 * What must hold of every merge, whatever the rules in detail: checks of an outcome against the
 * history that led to it. They look at operations and at what the authors saw, not at how the
 * model decides.
 *
 * @module
 */
import type { LogKey } from '../../src/sync/log.ts'
import { logKey } from '../../src/sync/log.ts'
import { isUnique, listAll, randomCommand } from './model-command.ts'
import { ModelDevice, versionsOf, type Witness } from './model-device.ts'
import { deliver, keyOf, saw, type ModelOperation } from './model-entry.ts'
import type { ModelEntry, ModelNode, ModelTree } from './model.ts'
import { SeededRandom } from './seeded-random.ts'

/** What some devices did. */
export interface History {
  /** Every entry. */
  readonly entries: readonly ModelEntry[]
  /** What the authors saw, by operation. */
  readonly witnesses: ReadonlyMap<string, Witness>
}

/** How a random history is drawn. */
export interface HistoryOptions {
  /** Everything follows from it. */
  readonly seed: number
  /** How many devices. */
  readonly deviceCount: number
  /** How many times a device writes an entry or learns from another. */
  readonly steps: number
}

/** Makes devices that have seen nothing. */
export function makeDevices(count: number): ModelDevice[] {
  return Array.from({ length: count }, (_, i) => {
    const digit = (i + 1).toString(16).padStart(2, '0')
    return new ModelDevice(`device ${String(i + 1)}`, logKey(digit.repeat(32)))
  })
}

/** Draws a history. */
export function randomHistory(options: HistoryOptions): History {
  const random = new SeededRandom(options.seed)
  const devices = makeDevices(options.deviceCount)
  let number = 0
  const source = { random, next: () => ++number }
  for (let step = 0; step < options.steps; step++) {
    const device = pick(devices, random)
    if (random.integer(3) === 0) {
      learnSome(device, pick(devices, random), random)
      continue
    }
    for (let count = 1 + random.integer(3); count > 0; count--) {
      const command = randomCommand(device.tree, source)
      if (command) device.execute(command)
    }
    device.commit()
  }
  return historyOf(devices)
}

/** Everything that devices wrote. */
export function historyOf(devices: readonly ModelDevice[]): History {
  for (const device of devices) device.commit()
  const entries = new Map<string, ModelEntry>()
  for (const device of devices) {
    for (const entry of device.entries) entries.set(`${entry.log}:${entry.index}`, entry)
  }
  const witnesses = devices.flatMap(device => device.witnesses)
  return {
    entries: [...entries.values()],
    witnesses: new Map(witnesses.map(witness => [keyOf(witness.id), witness]))
  }
}

/** @returns what is wrong with an outcome; empty when nothing is */
export function problemsOf(history: History, tree: ModelTree): string[] {
  const outcome = new Outcome(history, tree)
  return [
    ...outcome.lostVersions(),
    ...outcome.undeadVersions(),
    ...outcome.orphans(),
    ...outcome.wrongLinkCounts(),
    ...outcome.foreignAttributes(),
    ...outcome.foreignNames(),
    ...outcome.lostNames()
  ]
}

class Outcome {
  readonly #history: History
  readonly #tree: ModelTree
  readonly #operations: readonly ModelOperation[]
  readonly #byKey: ReadonlyMap<string, ModelOperation>
  readonly #visible: ReadonlySet<string>
  /** For each version the operations that took it from their author's tree. */
  readonly #endings = new Map<string, ModelOperation[]>()

  constructor(history: History, tree: ModelTree) {
    this.#history = history
    this.#tree = tree
    this.#operations = deliver(history.entries)
    this.#byKey = new Map(this.#operations.map(operation => [operation.key, operation]))
    this.#visible = versionsOf(tree)
    for (const operation of this.#operations) {
      for (const version of history.witnesses.get(operation.key)?.ended ?? []) {
        this.#endings.set(version, [...(this.#endings.get(version) ?? []), operation])
      }
    }
  }

  /** Content that nobody replaced or removed knowingly can be read. */
  lostVersions(): string[] {
    const bases = new Set(this.#operations.flatMap(made => this.#baseOf(made) ?? []))
    return this.#operations
      .filter(({ operation }) => ['create', 'write', 'truncate'].includes(operation.type))
      .map(({ key }) => key)
      .filter(key => !bases.has(key) && !this.#endings.has(key) && !this.#visible.has(key))
      .map(key => `lost: ${key}`)
  }

  /** Content that somebody removed, while nobody else did anything to its file, is gone. */
  undeadVersions(): string[] {
    return [...this.#endings]
      .filter(([version]) => this.#visible.has(version))
      .filter(([version, endings]) =>
        endings.some(
          ending => !this.#operations.some(other => this.#disturbs(other, ending, version))
        )
      )
      .map(([version]) => `undead: ${version}`)
  }

  /** A directory that nobody removed is in the tree. */
  orphans(): string[] {
    const removed = new Set(this.#operations.flatMap(removedBy))
    const ids = new Set(listAll(this.#tree).flatMap(({ child }) => child.node.ids.map(keyOf)))
    return this.#operations
      .filter(({ operation, key }) => operation.type === 'mkdir' && !removed.has(key))
      .filter(({ key }) => !ids.has(key))
      .map(({ key }) => `orphan: ${key}`)
  }

  /** The link count of a node is the number of its names. */
  wrongLinkCounts(): string[] {
    const names = new Map<ModelNode, number>()
    for (const { child } of listAll(this.#tree)) {
      names.set(child.node, (names.get(child.node) ?? 0) + 1)
    }
    return [...names]
      .filter(([node, count]) => node.kind !== 'directory' && node.nlink !== count)
      .map(([node, count]) => `link count ${node.nlink} with ${count} names`)
  }

  /** An owner (each is given once) was given to content that its giver saw. */
  foreignAttributes(): string[] {
    const givers = new Map<number, string>()
    for (const { operation } of this.#operations) {
      if (operation.type !== 'setattr' || operation.uid === undefined) continue
      givers.set(operation.uid, keyOf(operation.base))
    }
    return listAll(this.#tree)
      .filter(({ child }) => child.node.version && givers.has(child.node.uid))
      .filter(({ child }) => !this.#isFrom(child.node, givers.get(child.node.uid)))
      .map(({ child, path }) => `owner ${child.node.uid} of ${path.join('/')} was for another`)
  }

  /** A name that was given once stands for content that its giver saw. */
  foreignNames(): string[] {
    const all = [...this.#history.witnesses.values()].flatMap(({ given }) => given)
    return listAll(this.#tree).flatMap(({ path, child }) => {
      const name = path.at(-1)
      const isOfFile = child.node.kind !== 'directory' && !child.isGenerated
      if (name === undefined || !isUnique(name) || !isOfFile) return []
      const given = all.filter(witness => witness.name === name)
      const isRight =
        given.length === 0 || given.some(({ version }) => this.#isFrom(child.node, version))
      return isRight ? [] : [`${name} was given to another content`]
    })
  }

  /**
   * A name of a file that was given once, and that nobody took away knowingly or moved, is
   * there. (A directory's may not be: its move is skipped where it would close a cycle.)
   */
  lostNames(): string[] {
    const shown = new Set(listAll(this.#tree).map(({ path }) => path.at(-1)))
    return this.#operations.flatMap(made => {
      const { operation } = made
      const link = linkNamedBy(made)
      if (link === undefined || !('name' in operation) || !isUnique(operation.name)) return []
      if (this.#byKey.get(link)?.operation.type === 'mkdir') return []
      // By any name of the file: in a branch all of them are the one derived link.
      const inode = this.#inodeOf(link)
      const isOf = (id: string): boolean => this.#inodeOf(id) === inode
      const isTakenAway = this.#operations.some(other => {
        if (other === made || saw(made, other)) return false
        return (saw(other, made) && removedBy(other).some(isOf)) || movedBy(other).some(isOf)
      })
      return isTakenAway || shown.has(operation.name) ? [] : [`name lost: ${operation.name}`]
    })
  }

  /** Whether a node's content is a version or was made from it. */
  #isFrom(node: ModelNode, version: string | undefined): boolean {
    let at = node.version && keyOf(node.version)
    while (at !== undefined && at !== version) at = this.#baseOf(this.#byKey.get(at))
    return at !== undefined
  }

  /** Whether an operation had to do with a version's inode, and not all that `ending` saw. */
  #disturbs(other: ModelOperation, ending: ModelOperation, version: string): boolean {
    if (other === ending || saw(ending, other)) return false
    const inode = this.#inodeOf(version)
    return namedBy(other).some(id => this.#inodeOf(id) === inode)
  }

  /** The create that a version, a link or a branch goes back to. */
  #inodeOf(key: string): string {
    const made = this.#byKey.get(key)
    if (made?.operation.type === 'link') return this.#inodeOf(keyOf(made.operation.through))
    const base = this.#baseOf(made)
    return base === undefined ? key : this.#inodeOf(base)
  }

  #baseOf(made: ModelOperation | undefined): string | undefined {
    const operation = made?.operation
    const isEdit = operation?.type === 'write' || operation?.type === 'truncate'
    return isEdit ? keyOf(operation.base) : undefined
  }
}

/** The link of a file that an operation gives a name. */
function linkNamedBy({ key, operation }: ModelOperation): string | undefined {
  if (operation.type === 'create' || operation.type === 'link') return key
  return operation.type === 'rename' ? operation.links.map(keyOf)[0] : undefined
}

/** The links that an operation removes. */
function removedBy({ operation }: ModelOperation): string[] {
  switch (operation.type) {
    case 'unlink':
    case 'rmdir':
      return operation.links.map(keyOf)
    case 'rename':
      return operation.replaced.map(keyOf)
    default:
      return []
  }
}

/** The links that an operation gives another place. */
function movedBy({ operation }: ModelOperation): string[] {
  switch (operation.type) {
    case 'rename':
      return operation.links.map(keyOf)
    case 'exchange':
      return [...operation.links, ...operation.others].map(keyOf)
    default:
      return []
  }
}

/** Identities of files and links that an operation names. */
function namedBy(made: ModelOperation): string[] {
  const { operation } = made
  switch (operation.type) {
    case 'rename':
      return [...operation.links, ...operation.replaced].map(keyOf)
    case 'exchange':
      return movedBy(made)
    case 'link':
      return [keyOf(operation.through)]
    case 'write':
    case 'truncate':
      return [keyOf(operation.base), keyOf(operation.through)]
    default:
      return removedBy(made)
  }
}

function learnSome(device: ModelDevice, other: ModelDevice, random: SeededRandom): void {
  if (device === other) return
  if (random.integer(2) === 0) {
    device.merge(other)
    return
  }
  const logs = [...new Set(other.entries.map(({ log }) => log))]
  if (logs.length === 0) return
  const log: LogKey = pick(logs, random)
  const length = other.entries.filter(entry => entry.log === log).length
  device.learn(other, log, 1 + random.integer(length))
}

function pick<T>(values: readonly T[], random: SeededRandom): T {
  const value = values[random.integer(values.length)]
  if (value === undefined) throw new Error('there is nothing to pick from')
  return value
}
