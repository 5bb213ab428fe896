/**
 * The index as the oracle's kind of tree, so that one canonical dump serves both and equal dumps
 * are equal trees. Local things (inode numbers, numbers of logs, regions) do not show in it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { InodeRecord } from '../../src/sync/inode-record.ts'
import type { Name } from '../../src/sync/operation.ts'
import type { Run } from '../../src/sync/region.ts'
import { ROOT_INO, type TreeIndex } from '../../src/sync/tree-index.ts'
import { dump, type ModelChild, type ModelNode, type ModelRun, type ModelTree } from './model.ts'

/** @returns the canonical text of the tree that an index holds */
export function dumpIndex(index: TreeIndex): string {
  return dump(treeOfIndex(index))
}

/** @returns the tree that an index holds */
export function treeOfIndex(index: TreeIndex): ModelTree {
  return nodeOf(index, index.inode(ROOT_INO))
}

function nodeOf(index: TreeIndex, record: InodeRecord): ModelNode {
  const { kind, id, mode, uid, gid, rdev, target, atime, mtime, ctime } = record
  const isDirectory = kind === 'directory'
  const values = [...index.xattrsOf(record.ino).values()].toSorted(byName)
  const ids = isDirectory ? index.view.membersOf(record.ino).map(ino => index.record(ino).id) : [id]
  return {
    ...{ kind, ids, mode, uid, gid, rdev, target, atime, mtime, ctime },
    version: isDirectory ? undefined : record.version,
    nlink: isDirectory ? 2 + record.subdirectories : record.links.length,
    size: kind === 'symlink' ? target.length : record.size,
    xattrs: new Map(values.map(({ name, value }) => [name, value])),
    content: contentOf(index, record),
    children: isDirectory ? childrenOf(index, record) : new Map()
  }
}

function childrenOf(index: TreeIndex, directory: InodeRecord): ReadonlyMap<Name, ModelChild> {
  const children = new Map<Name, ModelChild>()
  for (const shown of [...index.list(directory.ino).values()].toSorted(byName)) {
    const { name, ino, links, isGenerated } = shown
    assert.deepEqual(index.lookup(directory.ino, name), shown, 'what is listed is found')
    const record = index.inode(ino)
    const link = record.links.find(each => each.parent === directory.ino && each.name === name)
    if (link === undefined) throw new Error(`${JSON.stringify(name)} is no link of its inode`)
    children.set(name, { node: nodeOf(index, record), links, isGenerated })
  }
  return children
}

/** The runs of a file, joined over the borders of regions as the oracle joins them. */
function contentOf(index: TreeIndex, { ino }: InodeRecord): readonly ModelRun[] {
  const joined: ModelRun[] = []
  for (const run of index.content.everyRun(ino)) {
    const next = modelRunOf(index, ino, run)
    const last = joined.at(-1)
    const both = last && joinedRun(last, next)
    if (both) joined[joined.length - 1] = both
    else joined.push(next)
  }
  return joined
}

function modelRunOf(index: TreeIndex, ino: number, run: Run): ModelRun {
  const { offset, length } = run
  if (run.kind === 'inline') {
    const range = { from: offset, to: offset + length }
    return { kind: 'inline', offset, bytes: index.content.inlineBytes(ino, range) }
  }
  const log = index.logs.keyOf(run.log)
  return { kind: 'block', offset, length, log, index: run.index, blockOffset: run.blockOffset }
}

function joinedRun(left: ModelRun, right: ModelRun): ModelRun | undefined {
  if (left.kind === 'inline') {
    if (right.kind !== 'inline' || left.offset + left.bytes.length !== right.offset)
      return undefined
    return { ...left, bytes: Uint8Array.from([...left.bytes, ...right.bytes]) }
  }
  if (right.kind === 'inline' || left.offset + left.length !== right.offset) return undefined
  const isOfOneBlock = left.log === right.log && left.index === right.index
  const isNext = isOfOneBlock && left.blockOffset + left.length === right.blockOffset
  return isNext ? { ...left, length: left.length + right.length } : undefined
}

function byName(left: { readonly name: Name }, right: { readonly name: Name }): number {
  return left.name < right.name ? -1 : 1
}
