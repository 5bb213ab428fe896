/**
 * Applies one operation to the index. The same function serves an operation made here a moment
 * ago and one read from a log at start, so that a rebuilt index is the one that was lost.
 *
 * An operation whose inode or link is not known (its entry is damaged, or it was removed) is
 * passed over: what it would have changed is not there. Where entries are missing, those after
 * them still make a tree: a directory is not removed with what is in it nor moved into itself,
 * and what stands where something is put gets another name.
 *
 * @module
 */
import type { Timestamp } from './clock.ts'
import { sameId, type InodeKind, type InodeRecord, type LinkRecord } from './inode-record.ts'
import {
  NAME_BYTES_MAX,
  type CreateOperation,
  type ExchangeOperation,
  type InodeId,
  type LinkId,
  type LinkOperation,
  type MkdirOperation,
  type Name,
  type Operation,
  type OperationId,
  type RenameOperation,
  type SetattrOperation,
  type SetxattrOperation,
  type RemovexattrOperation,
  type TruncateOperation,
  type UnlinkOperation,
  type WriteOperation
} from './operation.ts'
import type { TreeIndex } from './tree-index.ts'

/** Circumstances of an application that the operation itself does not tell. */
export interface ApplyOptions {
  /** Gives a created inode this number: an open file without a name gets its first one. */
  readonly ino?: number
  /** Whether an inode without a name must stay because it is open. */
  readonly isOpen: (ino: number) => boolean
}

/** Applies an operation. @returns whether everything it names was known */
export function applyOperation(
  index: TreeIndex,
  id: OperationId,
  operation: Operation,
  options: ApplyOptions
): boolean {
  switch (operation.type) {
    case 'create':
      return create(index, id, operation, operation.kind, options.ino)
    case 'mkdir':
      return create(index, id, operation, 'directory', options.ino)
    case 'link':
      return addLink(index, id, operation)
    case 'unlink':
    case 'rmdir':
      return unlink(index, operation, options)
    case 'rename':
      return rename(index, operation, options)
    case 'exchange':
      return exchange(index, operation)
    case 'write':
      return write(index, id, operation)
    case 'truncate':
      return truncate(index, id, operation)
    case 'setattr':
      return setattr(index, operation)
    case 'setxattr':
      return setxattr(index, operation)
    case 'removexattr':
      return removexattr(index, operation)
    case 'statement':
    case 'envelope':
      return true
  }
}

function create(
  index: TreeIndex,
  id: OperationId,
  operation: CreateOperation | MkdirOperation,
  kind: InodeKind,
  given: number | undefined
): boolean {
  const parent = recordOf(index, operation.parent)
  if (parent === undefined) return false
  // One number is taken either way, so that all later inodes have the same in a rebuilt index.
  const next = index.nextIno()
  const ino = given ?? next
  const { mode, uid, gid, time, name } = operation
  const content = given === undefined ? undefined : index.inodes.get(given)
  const target = operation.type === 'create' ? operation.target.slice() : new Uint8Array(0)
  const rdev = operation.type === 'create' ? operation.rdev : 0
  index.inodes.put(ino, '', {
    ...{ ino, id, kind, mode, uid, gid, rdev, target, version: id },
    ...{
      size: content?.size ?? 0,
      allocated: content?.allocated ?? 0,
      xattrs: content?.xattrs ?? 0
    },
    ...{ atime: time, mtime: time, ctime: time, children: 0, subdirectories: 0 },
    links: []
  })
  if (given !== undefined) index.orphans.delete(given)
  index.identify(id, ino)
  place(index, ino, { id, parent: parent.ino, name }, time)
  return true
}

function addLink(index: TreeIndex, id: OperationId, operation: LinkOperation): boolean {
  const file = recordOf(index, operation.inode)
  const parent = recordOf(index, operation.parent)
  if (file === undefined || parent === undefined) return false
  index.identify(id, file.ino)
  place(index, file.ino, { id, parent: parent.ino, name: operation.name }, operation.time)
  return true
}

function unlink(index: TreeIndex, operation: UnlinkOperation, options: ApplyOptions): boolean {
  const removed = operation.links.map(id => remove(index, id, operation.time, options))
  return removed.every(Boolean)
}

function rename(index: TreeIndex, operation: RenameOperation, options: ApplyOptions): boolean {
  const parent = recordOf(index, operation.parent)
  if (parent === undefined) return false
  for (const id of operation.replaced) remove(index, id, operation.time, options)
  const { name, time } = operation
  const moved = operation.links.map(id => move(index, id, { parent: parent.ino, name }, time))
  return moved.every(Boolean)
}

function exchange(index: TreeIndex, operation: ExchangeOperation): boolean {
  const first = operation.links.map(id => linkOf(index, id))
  const second = operation.others.map(id => linkOf(index, id))
  const [here, there] = [first[0], second[0]]
  if (!here || !there) return false
  const closesCycle =
    first.some(found => found && isWithin(index, there.link.parent, found.ino)) ||
    second.some(found => found && isWithin(index, here.link.parent, found.ino))
  if (closesCycle) return false
  // Both places are emptied before either is filled: a place holds one name.
  for (const found of [...first, ...second]) if (found) displace(index, found, operation.time)
  for (const found of first)
    if (found) place(index, found.ino, { ...there.link, id: found.link.id }, operation.time)
  for (const found of second)
    if (found) place(index, found.ino, { ...here.link, id: found.link.id }, operation.time)
  return true
}

function write(index: TreeIndex, id: OperationId, operation: WriteOperation): boolean {
  const file = recordOf(index, operation.inode)
  if (file === undefined) return false
  const { pieces, size, time } = operation
  for (const piece of pieces) if (piece.kind === 'block') index.addLog(piece.log)
  const freed = shorten(index, file, size, time)
  const grown = freed + index.content.write(file.ino, pieces, time.sec)
  index.inodes.put(file.ino, '', {
    ...{ ...file, size, allocated: file.allocated + grown, version: id },
    ...{ mtime: time, ctime: time }
  })
  return true
}

function truncate(index: TreeIndex, id: OperationId, operation: TruncateOperation): boolean {
  const file = recordOf(index, operation.inode)
  if (file === undefined) return false
  const { size, time } = operation
  const grown = shorten(index, file, size, time)
  index.inodes.put(file.ino, '', {
    ...{ ...file, size, allocated: file.allocated + grown, version: id },
    ...{ mtime: time, ctime: time }
  })
  return true
}

/** Removes what lies beyond a size. @returns by how much the allocated bytes grew (0 or less) */
function shorten(index: TreeIndex, file: InodeRecord, size: number, time: Timestamp): number {
  if (size >= file.size) return 0
  return index.content.cut(file.ino, { from: size, to: file.size }, time.sec)
}

function setattr(index: TreeIndex, operation: SetattrOperation): boolean {
  const record = recordOf(index, operation.inode)
  if (record === undefined) return false
  const { mode, uid, gid, atime, mtime, time } = operation
  index.inodes.put(record.ino, '', {
    ...record,
    mode: mode ?? record.mode,
    uid: uid ?? record.uid,
    gid: gid ?? record.gid,
    atime: atime ?? record.atime,
    mtime: mtime ?? record.mtime,
    ctime: time
  })
  return true
}

function setxattr(index: TreeIndex, operation: SetxattrOperation): boolean {
  const record = recordOf(index, operation.inode)
  if (record === undefined) return false
  const { name, value, time } = operation
  const added = index.xattrs.get(record.ino, name) === undefined ? 1 : 0
  index.xattrs.put(record.ino, name, { name, value: value.slice() })
  index.inodes.put(record.ino, '', { ...record, xattrs: record.xattrs + added, ctime: time })
  return true
}

function removexattr(index: TreeIndex, operation: RemovexattrOperation): boolean {
  const record = recordOf(index, operation.inode)
  if (record === undefined) return false
  const { name, time } = operation
  const removed = index.xattrs.get(record.ino, name) === undefined ? 0 : 1
  index.xattrs.delete(record.ino, name)
  index.inodes.put(record.ino, '', { ...record, xattrs: record.xattrs - removed, ctime: time })
  return true
}

/** Removes a link; an inode without any goes too, unless it is open. */
function remove(index: TreeIndex, id: LinkId, time: Timestamp, options: ApplyOptions): boolean {
  const found = linkOf(index, id)
  if (found === undefined || index.inode(found.ino).children > 0) return false
  const record = displace(index, found, time)
  // The identity of the inode must still be found after its first name is gone.
  if (!sameId(id, record.id)) index.identify(id, undefined)
  if (record.links.length > 0) return true
  index.orphans.put(record.ino, '', true)
  if (!options.isOpen(record.ino)) index.purge(record.ino, time.sec)
  return true
}

function move(
  index: TreeIndex,
  id: LinkId,
  to: { parent: number; name: Name },
  time: Timestamp
): boolean {
  const found = linkOf(index, id)
  if (found === undefined || isWithin(index, to.parent, found.ino)) return false
  displace(index, found, time)
  place(index, found.ino, { id, ...to }, time)
  return true
}

/** Takes a link from its place. @returns the inode afterwards */
function displace(index: TreeIndex, found: FoundLink, time: Timestamp): InodeRecord {
  const { parent, name } = found.link
  const record = index.inode(found.ino)
  const links = record.links.filter(link => !sameId(link.id, found.link.id))
  const changed = { ...record, links, ctime: time }
  index.inodes.put(record.ino, '', changed)
  index.names.delete(parent, name)
  touchDirectory(index, parent, record.kind, -1, time)
  return changed
}

/** Puts a link at a place, which its author saw empty. */
function place(index: TreeIndex, ino: number, link: LinkRecord, time: Timestamp): void {
  makeRoom(index, link, time)
  const record = index.inode(ino)
  index.inodes.put(ino, '', { ...record, links: [...record.links, link], ctime: time })
  index.names.put(link.parent, link.name, { name: link.name, ino, kind: record.kind })
  touchDirectory(index, link.parent, record.kind, 1, time)
}

/**
 * Something stands at a place that is about to be filled only if the entry that took it away
 * could not be read: it is kept, under a name of its own.
 */
function makeRoom(index: TreeIndex, { parent, name }: LinkRecord, time: Timestamp): void {
  const there = index.names.get(parent, name)
  const link = there && index.inode(there.ino).links.find(each => isAt(each, parent, name))
  if (!link) return
  displace(index, { ino: there.ino, link }, time)
  place(index, there.ino, { ...link, name: recoveredName(index, parent, name) }, time)
}

function recoveredName(index: TreeIndex, parent: number, name: Name): Name {
  for (let attempt = 1; ; attempt++) {
    const suffix = attempt === 1 ? ' (recovered)' : ` (recovered ${attempt})`
    const free = (cut(name, NAME_BYTES_MAX - suffix.length) + suffix) as Name
    if (index.names.get(parent, free) === undefined) return free
  }
}

/** @returns at most so many bytes of a name, no character of UTF-8 broken */
function cut(name: Name, bytesMax: number): string {
  if (name.length <= bytesMax) return name
  let end = bytesMax
  while (end > 0 && (name.charCodeAt(end) & 0xc0) === 0x80) end--
  return name.slice(0, end)
}

function isAt(link: LinkRecord, parent: number, name: Name): boolean {
  return link.parent === parent && link.name === name
}

/** Whether a directory is an inode or lies below it; only then could a move close a cycle. */
function isWithin(index: TreeIndex, directory: number, ino: number): boolean {
  if (index.inode(ino).kind !== 'directory') return false
  for (let at: number | undefined = directory; at !== undefined;) {
    if (at === ino) return true
    at = index.inodes.get(at)?.links[0]?.parent
  }
  return false
}

function touchDirectory(
  index: TreeIndex,
  ino: number,
  kind: InodeKind,
  by: 1 | -1,
  time: Timestamp
): void {
  const directory = index.inodes.get(ino)
  if (directory === undefined) return
  index.inodes.put(ino, '', {
    ...directory,
    children: directory.children + by,
    subdirectories: directory.subdirectories + (kind === 'directory' ? by : 0),
    mtime: time,
    ctime: time
  })
}

interface FoundLink {
  readonly ino: number
  readonly link: LinkRecord
}

function linkOf(index: TreeIndex, id: LinkId): FoundLink | undefined {
  const ino = index.find(id)
  if (ino === undefined) return undefined
  const link = index.inodes.get(ino)?.links.find(each => sameId(each.id, id))
  return link && { ino, link }
}

function recordOf(index: TreeIndex, id: InodeId): InodeRecord | undefined {
  const ino = index.find(id)
  return ino === undefined ? undefined : index.inodes.get(ino)
}
