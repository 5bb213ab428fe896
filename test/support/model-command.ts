/**
 * What a program may do to a tree, as data: chosen at random from a tree as it is, so that every
 * command is one that would succeed there.
 *
 * @module
 */
import type { Timestamp } from '../../src/sync/clock.ts'
import { logKey } from '../../src/sync/log.ts'
import type { Name, NodeKind, Piece } from '../../src/sync/operation.ts'
import type { ModelChild, ModelNode, ModelTree } from './model.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Names from the root down; empty for the root. */
export type Path = readonly Name[]

/** A change of a tree. */
export type Command = { readonly time: Timestamp } & (
  | { readonly type: 'create'; readonly path: Path; readonly kind: NodeKind; readonly mode: number }
  | { readonly type: 'mkdir'; readonly path: Path; readonly mode: number }
  | { readonly type: 'link'; readonly from: Path; readonly to: Path }
  | { readonly type: 'unlink' | 'rmdir'; readonly path: Path }
  | { readonly type: 'rename' | 'exchange'; readonly from: Path; readonly to: Path }
  | {
      readonly type: 'write'
      readonly path: Path
      readonly pieces: readonly Piece[]
      readonly size: number
    }
  | { readonly type: 'truncate'; readonly path: Path; readonly size: number }
  | {
      readonly type: 'setattr'
      readonly path: Path
      readonly mode?: number
      readonly uid?: number
      readonly mtime?: Timestamp
    }
  | {
      readonly type: 'setxattr'
      readonly path: Path
      readonly name: Name
      readonly value: Uint8Array
    }
  | { readonly type: 'removexattr'; readonly path: Path; readonly name: Name }
)

/** Where random commands come from. */
export interface CommandSource {
  /** Dice. */
  readonly random: SeededRandom
  /** A number that was never given before: for times, owners and new names. */
  readonly next: () => number
}

/** Something with a name. */
export interface Found {
  /** Where it is. */
  readonly path: Path
  /** What it is. */
  readonly child: ModelChild
}

const NAMES = ['a', 'b', 'c', 'd.txt', 'e'] as Name[]
const SIZE_MAX = 40
const CONTENT_LOG = logKey('c0'.repeat(32))
const CONTENT_HASH = new Uint8Array(32)
const ROOT_PATH: Path = []

/** A write of everything: what an editor does. */
export function writeAll(path: Path, text: string, time: Timestamp): Command {
  const bytes = Uint8Array.from(Buffer.from(text))
  const pieces: Piece[] = [{ kind: 'inline', offset: 0, bytes }]
  return { type: 'write', path, pieces, size: bytes.length, time }
}

/** The byte that a block of the tests' content has at an offset. */
export function blockByte(index: number, offset: number): number {
  return (index * 131 + offset * 7 + 1) & 0xff
}

/** What stands at a path. */
export function childAt(tree: ModelTree, path: Path): ModelChild | undefined {
  let node: ModelNode | undefined = tree
  let child: ModelChild | undefined
  for (const name of path) {
    child = node?.children.get(name)
    node = child?.node
  }
  return child
}

/** The node at a path, which may be the root's. */
export function nodeAt(tree: ModelTree, path: Path): ModelNode | undefined {
  return path.length === 0 ? tree : childAt(tree, path)?.node
}

/** Everything that has a name, parents before children. */
export function listAll(tree: ModelNode, path: Path = ROOT_PATH): Found[] {
  return [...tree.children].flatMap(([name, child]) => {
    const own = [...path, name]
    return [{ path: own, child }, ...listAll(child.node, own)]
  })
}

/** Draws a command that can be done to a tree; undefined when the dice gave an impossible one. */
export function randomCommand(tree: ModelTree, source: CommandSource): Command | undefined {
  const { random } = source
  const all = listAll(tree)
  const files = all.filter(({ child }) => child.node.kind !== 'directory')
  const time = { sec: 1_700_000_000 + 60 * source.next(), nsec: 0 }
  const draw = random.integer(20)
  if (draw < 4) return randomMake(tree, source, time)
  if (draw < 10) return randomMove(all, tree, source, time)
  const found = pick(draw < 16 ? files.filter(isRegular) : all, random)
  if (!found) return undefined
  if (draw < 16) return randomEdit(found, source, time)
  if (draw < 18) return randomRemove(found, time)
  return randomAttribute(found, source, time)
}

function randomMake(tree: ModelTree, source: CommandSource, time: Timestamp): Command | undefined {
  const { random } = source
  const path = freePath(tree, source)
  if (!path) return undefined
  const mode = random.integer(0o1000)
  if (random.integer(3) === 0) return { type: 'mkdir', path, mode, time }
  const kind = random.integer(5) === 0 ? 'fifo' : 'file'
  return { type: 'create', path, kind, mode, time }
}

function randomMove(
  all: readonly Found[],
  tree: ModelTree,
  source: CommandSource,
  time: Timestamp
): Command | undefined {
  const { random } = source
  const found = pick(all, random)
  if (!found) return undefined
  const from = found.path
  const draw = random.integer(8)
  if (draw < 2) {
    const to = freePath(tree, source)
    const isDirectory = found.child.node.kind === 'directory'
    return to && !isDirectory ? { type: 'link', from, to, time } : undefined
  }
  if (draw < 5) {
    const to = freePath(tree, source)
    return to && !isInside(to, from) ? { type: 'rename', from, to, time } : undefined
  }
  const other = pick(all, random)
  return other && randomReplace(found, other, draw === 5 ? 'exchange' : 'rename', time)
}

function randomReplace(
  found: Found,
  other: Found,
  type: 'exchange' | 'rename',
  time: Timestamp
): Command | undefined {
  const [from, to] = [found.path, other.path]
  if (isInside(to, from) || isInside(from, to)) return undefined
  if (other.child.node === found.child.node) return undefined
  return type === 'exchange' || canReplace(found, other) ? { type, from, to, time } : undefined
}

function randomEdit(
  { path, child }: Found,
  { random, next }: CommandSource,
  time: Timestamp
): Command {
  const { size } = child.node
  if (random.integer(4) === 0) {
    return { type: 'truncate', path, size: random.integer(SIZE_MAX), time }
  }
  const pieces: Piece[] = []
  let end = random.integer(3) === 0 ? size : random.integer(SIZE_MAX)
  for (let count = 1 + random.integer(2); count > 0; count--) {
    const offset = end + random.integer(4)
    const length = 1 + random.integer(8)
    end = offset + length
    const kind = random.integer(4)
    if (kind === 0) pieces.push({ kind: 'hole', offset, length })
    else if (kind === 1) pieces.push({ kind: 'inline', offset, bytes: random.bytes(length) })
    else {
      const block = { log: CONTENT_LOG, index: next(), hash: CONTENT_HASH, blockOffset: 5 }
      pieces.push({ kind: 'block', offset, length, ...block })
    }
  }
  return { type: 'write', path, pieces, size: Math.max(size, end), time }
}

function randomRemove({ path, child }: Found, time: Timestamp): Command | undefined {
  if (child.node.kind !== 'directory') return { type: 'unlink', path, time }
  return child.node.children.size === 0 ? { type: 'rmdir', path, time } : undefined
}

function randomAttribute(
  { path, child }: Found,
  { random, next }: CommandSource,
  time: Timestamp
): Command {
  const name = `user.${random.integer(2)}` as Name
  const draw = random.integer(4)
  if (draw === 0 && child.node.xattrs.has(name)) return { type: 'removexattr', path, name, time }
  if (draw < 2) return { type: 'setxattr', path, name, value: random.bytes(3), time }
  if (draw === 2) return { type: 'setattr', path, uid: next(), time }
  return { type: 'setattr', path, mode: random.integer(0o1000), mtime: { ...time, nsec: 1 }, time }
}

/** A name that is free, often one that other devices like too. */
function freePath(tree: ModelTree, { random, next }: CommandSource): Path | undefined {
  const directories = listAll(tree).filter(({ child }) => child.node.kind === 'directory')
  const paths = [ROOT_PATH, ...directories.map(({ path }) => path)]
  const parent = pick(paths, random) ?? ROOT_PATH
  const name = random.integer(3) === 0 ? uniqueName(next()) : pick(NAMES, random)
  if (!name || nodeAt(tree, parent)?.children.has(name)) return undefined
  return [...parent, name]
}

/** A name that nothing else ever gets; see {@link isUnique}. */
function uniqueName(number: number): Name {
  return `unique-${number}` as Name
}

/** Whether a name was drawn once only. */
export function isUnique(name: Name): boolean {
  return /^unique-\d+$/.test(name)
}

function canReplace(moved: Found, target: Found): boolean {
  const [movedNode, targetNode] = [moved.child.node, target.child.node]
  const areDirectories = movedNode.kind === 'directory'
  if (areDirectories !== (targetNode.kind === 'directory')) return false
  return !areDirectories || targetNode.children.size === 0
}

function isRegular({ child }: Found): boolean {
  return child.node.kind === 'file'
}

function isInside(path: Path, directory: Path): boolean {
  return directory.every((name, depth) => path[depth] === name)
}

function pick<T>(values: readonly T[], random: SeededRandom): T | undefined {
  return values.length === 0 ? undefined : values[random.integer(values.length)]
}
