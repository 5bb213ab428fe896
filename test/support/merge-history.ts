/**
 * Random histories of devices that get in each other's way all the time: few names, few
 * directories, and what a random walk over a large tree would seldom do: directories moved into
 * each other, directories of one name in directories of one name, names that look like conflict
 * names, edits of what another removes. And histories of devices that say what cannot be.
 *
 * @module
 */
import type { Timestamp } from '../../src/sync/clock.ts'
import type { Name, Operation, OperationId } from '../../src/sync/operation.ts'
import { listAll, randomCommand, type Command, type Found, type Path } from './model-command.ts'
import { makeDevices } from './model-check.ts'
import type { ModelDevice } from './model-device.ts'
import type { ModelEntry, ModelTree } from './model.ts'
import type { SeededRandom } from './seeded-random.ts'

/** How a history is drawn. */
export interface MergeHistoryOptions {
  /** Dice. */
  readonly random: SeededRandom
  /** How many devices. */
  readonly deviceCount: number
  /** How many times a device writes an entry or learns from another. */
  readonly steps: number
}

/** What a step of {@link mergeHistory} did, for who follows one device. */
export type OnStep = (device: ModelDevice, devices: readonly ModelDevice[]) => void

const NAMES = ['a', 'b', 'c.txt'] as Name[]
const DEPTH_MAX = 5

/** Draws a history. @returns its devices */
export function mergeHistory(
  { random, deviceCount, steps }: MergeHistoryOptions,
  onStep: OnStep = () => undefined
): readonly ModelDevice[] {
  const devices = makeDevices(deviceCount)
  let number = 0
  const source = { random, next: () => ++number }
  const draw = random.integer(3) === 0 ? fileCommand : denseCommand
  for (let step = 0; step < steps; step++) {
    const device = pick(devices, random)
    if (random.integer(3) === 0) {
      learnSome(device, pick(devices, random), random)
      onStep(device, devices)
      continue
    }
    for (let count = 1 + random.integer(3); count > 0; count--) {
      const isDense = random.integer(3) > 0
      const { tree } = device
      const command = isDense ? draw(tree, source) : randomCommand(tree, source)
      if (!command) continue
      device.execute(command)
      onStep(device, devices)
    }
    if (random.integer(3) > 0) device.commit()
  }
  return devices
}

/** Every entry that some devices know. */
export function entriesOf(devices: readonly ModelDevice[]): readonly ModelEntry[] {
  for (const device of devices) device.commit()
  const entries = devices.flatMap(device => device.entries)
  return [...new Map(entries.map(entry => [`${entry.log}:${entry.index}`, entry])).values()]
}

/** The entries with some operations left out and others naming what they cannot mean. */
export function spoiled(
  entries: readonly ModelEntry[],
  random: SeededRandom
): readonly ModelEntry[] {
  const ids = entries.flatMap(({ log, index, operations }) =>
    operations.map((_, number) => ({ log, index, number }))
  )
  return entries.map(entry => ({
    ...entry,
    operations: entry.operations.map((operation, number) => {
      const draw = random.integer(10)
      if (draw === 0) return { type: 'statement', bytes: Uint8Array.of(1) }
      // An entry that names itself or what comes later in it cannot be read.
      const others = ids.filter(
        ({ log, index, number: other }) =>
          log !== entry.log || index !== entry.index || other < number
      )
      return draw === 1 && others.length > 0 ? withOtherIds(operation, others, random) : operation
    })
  }))
}

const ID_FIELDS = ['parent', 'from', 'inode', 'through', 'base'] as const
const ID_LIST_FIELDS = ['links', 'others', 'replaced'] as const

function withOtherIds(
  operation: Operation,
  ids: readonly OperationId[],
  random: SeededRandom
): Operation {
  const changed: Record<string, unknown> = { ...operation }
  for (const field of ID_FIELDS) {
    if (field in changed && random.integer(2) === 0) changed[field] = pick(ids, random)
  }
  for (const field of ID_LIST_FIELDS) {
    if (!(field in changed) || random.integer(2) === 0) continue
    changed[field] = Array.from({ length: 1 + random.integer(2) }, () => pick(ids, random))
  }
  return changed as unknown as Operation
}

interface Source {
  readonly random: SeededRandom
  readonly next: () => number
}

/** What a random command is drawn from. */
interface Draw {
  readonly tree: ModelTree
  readonly all: readonly Found[]
  readonly random: SeededRandom
  readonly time: Timestamp
}

function denseCommand(tree: ModelTree, { random, next }: Source): Command | undefined {
  const time = { sec: 1_700_000_000 + 20 * next(), nsec: 0 }
  const draw: Draw = { tree, all: listAll(tree), random, time }
  const kind = random.integer(10)
  if (kind < 3) return drawMake(draw)
  const found = pickMaybe(draw.all, random)
  if (!found) return undefined
  if (kind < 6) return drawRename(draw, found)
  if (kind === 6) return drawExchange(draw, found)
  if (kind === 7) return drawRemove(draw, found)
  return found.child.node.kind === 'directory' ? drawSetting(draw, found) : drawEdit(draw, found)
}

/** A change of one of a few files, to which all devices do all kinds of things. */
function fileCommand(tree: ModelTree, { random, next }: Source): Command | undefined {
  const time = { sec: 1_700_000_000 + 20 * next(), nsec: 0 }
  const all = listAll(tree).filter(({ child }) => child.node.kind !== 'directory')
  const draw: Draw = { tree, all, random, time }
  const found = pickMaybe(all, random)
  const kind = random.integer(10)
  if (!found || kind === 0) {
    const path = freePath(draw)
    const type = random.integer(6) === 0 ? 'fifo' : 'file'
    return path ? { type: 'create', path, kind: type, mode: 0o600, time } : undefined
  }
  if (kind < 5) return drawEdit(draw, found)
  if (kind < 7) return drawRemove(draw, found)
  if (kind === 7) return drawRename(draw, found)
  if (kind === 8) return drawReplace(draw, found)
  return drawSetting(draw, found)
}

function drawReplace({ all, random, time }: Draw, found: Found): Command | undefined {
  const other = pickMaybe(all, random)
  if (!other || other.child.node === found.child.node) return undefined
  const type = random.integer(3) === 0 ? 'exchange' : 'rename'
  return { type, from: found.path, to: other.path, time }
}

function drawMake(draw: Draw): Command | undefined {
  const { random, time } = draw
  const path = freePath(draw)
  if (!path || path.length > DEPTH_MAX) return undefined
  const mode = 0o700 + random.integer(64)
  const isFile = random.integer(3) === 0
  return isFile
    ? { type: 'create', path, kind: 'file', mode, time }
    : { type: 'mkdir', path, mode, time }
}

function drawRename(draw: Draw, { path: from }: Found): Command | undefined {
  const to = freePath(draw)
  return to && !isInside(to, from) ? { type: 'rename', from, to, time: draw.time } : undefined
}

function drawExchange({ all, random, time }: Draw, found: Found): Command | undefined {
  const other = pickMaybe(all, random)
  if (!other || other.child.node === found.child.node) return undefined
  const [from, to] = [found.path, other.path]
  return isInside(to, from) || isInside(from, to) ? undefined : { type: 'exchange', from, to, time }
}

function drawRemove({ time }: Draw, { path, child }: Found): Command | undefined {
  if (child.node.kind !== 'directory') return { type: 'unlink', path, time }
  return child.node.children.size === 0 ? { type: 'rmdir', path, time } : undefined
}

function drawSetting({ random, time }: Draw, { path, child }: Found): Command {
  const name = 'user.x' as Name
  const kind = random.integer(3)
  if (kind === 0) return { type: 'setattr', path, mode: random.integer(0o1000), time }
  return kind === 1 && child.node.xattrs.has(name)
    ? { type: 'removexattr', path, name, time }
    : { type: 'setxattr', path, name, value: random.bytes(2), time }
}

function drawEdit(draw: Draw, { path, child }: Found): Command | undefined {
  const { random, time } = draw
  if (child.node.kind !== 'file') return undefined
  const free = random.integer(2) === 0 ? freePath(draw) : undefined
  if (free) return { type: 'link', from: path, to: free, time }
  const bytes = random.bytes(1 + random.integer(5))
  const size = Math.max(child.node.size, bytes.length)
  return { type: 'write', path, pieces: [{ kind: 'inline', offset: 0, bytes }], size, time }
}

function freePath({ tree, all, random }: Draw): Path | undefined {
  const directories = all.filter(({ child }) => child.node.kind === 'directory')
  const parent = pick([[], ...directories.map(({ path }) => path)], random)
  const name = freeName(tree, parent, random)
  return name === undefined ? undefined : [...parent, name]
}

/** A free name, at times one that looks like a conflict name. */
function freeName(tree: ModelTree, parent: Path, random: SeededRandom): Name | undefined {
  const generated = listAll(tree).flatMap(({ path, child }) =>
    child.isGenerated ? (path.at(-1) ?? []) : []
  )
  const names = generated.length > 0 && random.integer(5) === 0 ? generated : NAMES
  const name = pick(names, random)
  let node: ModelTree | undefined = tree
  for (const step of parent) node = node?.children.get(step)?.node
  return node?.children.has(name) ? undefined : name
}

function isInside(path: Path, directory: Path): boolean {
  return directory.every((name, depth) => path[depth] === name)
}

function learnSome(device: ModelDevice, other: ModelDevice, random: SeededRandom): void {
  if (device === other) return
  if (random.integer(2) === 0) return device.merge(other)
  other.commit()
  const logs = [...new Set(other.entries.map(({ log }) => log))]
  const log = pickMaybe(logs, random)
  if (log === undefined) return
  const length = other.entries.filter(entry => entry.log === log).length
  device.learn(other, log, 1 + random.integer(length))
}

function pick<T>(values: readonly T[], random: SeededRandom): T {
  const value = pickMaybe(values, random)
  if (value === undefined) throw new Error('there is nothing to pick from')
  return value
}

function pickMaybe<T>(values: readonly T[], random: SeededRandom): T | undefined {
  return values.length === 0 ? undefined : values[random.integer(values.length)]
}
