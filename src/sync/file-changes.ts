/**
 * What operations do to the content and the attributes of one inode.
 *
 * @module
 */
import type { Timestamp } from './clock.ts'
import type { VersionEvent } from './file-family.ts'
import type { InodeRecord } from './inode-record.ts'
import type {
  OperationId,
  RemovexattrOperation,
  SetattrOperation,
  SetxattrOperation,
  TruncateOperation,
  WriteOperation
} from './operation.ts'
import type { TreeRows } from './tree-rows.ts'

/** An operation that changes one file and none of its names. */
export type FileChange =
  WriteOperation | TruncateOperation | SetattrOperation | SetxattrOperation | RemovexattrOperation

/** Changes an inode as an operation says that saw it as it is. */
export function changeFile(
  index: TreeRows,
  ino: number,
  { id, operation }: { readonly id: OperationId; readonly operation: FileChange }
): void {
  switch (operation.type) {
    case 'write':
    case 'truncate':
      return advanceContent(index, ino, { id, operation }, operation.time)
    case 'setattr':
      return setattr(index, ino, operation)
    case 'setxattr':
      return setxattr(index, ino, operation)
    case 'removexattr':
      return removexattr(index, ino, operation)
  }
}

/**
 * Lays a version over the one before it.
 *
 * @param changed - mtime and ctime afterwards; absent to leave them
 */
export function advanceContent(
  index: TreeRows,
  ino: number,
  { id, operation }: VersionEvent,
  changed?: Timestamp
): void {
  if (operation.type === 'create') return
  const file = index.record(ino)
  const { size, time } = operation
  let grown = shorten(index, file, { size, time, by: id })
  if (operation.type === 'write') {
    index.addContentLogs(operation.pieces)
    grown += index.content.write(ino, operation.pieces, time.sec, id)
  }
  const allocated = file.allocated + grown
  const { mtime, ctime } = file
  index.inodes.put(ino, '', {
    ...file,
    ...{ size, allocated, version: id, mtime: changed ?? mtime, ctime: changed ?? ctime }
  })
  index.noteContent(ino)
}

/** Removes what lies beyond a size. @returns by how much the allocated bytes grew (0 or less) */
function shorten(
  index: TreeRows,
  file: InodeRecord,
  to: { readonly size: number; readonly time: Timestamp; readonly by: OperationId }
): number {
  if (to.size >= file.size) return 0
  return index.content.cut(file.ino, { from: to.size, to: file.size }, to.time.sec, to.by)
}

function setattr(index: TreeRows, ino: number, operation: SetattrOperation): void {
  const record = index.record(ino)
  const { mode, uid, gid, atime, mtime, time } = operation
  index.inodes.put(ino, '', {
    ...record,
    mode: mode ?? record.mode,
    uid: uid ?? record.uid,
    gid: gid ?? record.gid,
    atime: atime ?? record.atime,
    mtime: mtime ?? record.mtime,
    ctime: time
  })
}

function setxattr(index: TreeRows, ino: number, operation: SetxattrOperation): void {
  const record = index.record(ino)
  const { name, value, time } = operation
  const added = index.xattrs.get(ino, name) === undefined ? 1 : 0
  index.xattrs.put(ino, name, { name, value: value.slice() })
  index.inodes.put(ino, '', { ...record, xattrs: record.xattrs + added, ctime: time })
}

function removexattr(index: TreeRows, ino: number, operation: RemovexattrOperation): void {
  const record = index.record(ino)
  const { name, time } = operation
  const removed = index.xattrs.get(ino, name) === undefined ? 0 : 1
  index.xattrs.delete(ino, name)
  index.inodes.put(ino, '', { ...record, xattrs: record.xattrs - removed, ctime: time })
}
