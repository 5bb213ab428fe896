/**
 * The requests about open directories.
 *
 * @module
 */
import { FsError } from '../../fs-error.ts'
import type { Attributes, DirectoryEntry, InodeNumber, Vfs } from '../../vfs.ts'
import { OpenFlag, Opcode } from './fuse-protocol.ts'
import {
  GiveUp,
  nothing,
  whenKnown,
  type Answer,
  type Handler,
  type OperationContext
} from './fuse-operation.ts'

/** The handlers by opcode. */
export const DIRECTORY_OPERATIONS: readonly (readonly [opcode: number, handler: Handler])[] = [
  [Opcode.OPENDIR, opendir],
  [Opcode.READDIR, readdir],
  [Opcode.READDIRPLUS, readdirplus],
  [Opcode.RELEASEDIR, releasedir],
  [Opcode.FSYNCDIR, fsyncdir]
]

function opendir({ vfs, request, reply, grant, open }: OperationContext): number {
  const handle = vfs.opendir(request.node)
  grant.directory(open, handle)
  return reply.opened(handle, OpenFlag.KEEP_CACHE | OpenFlag.CACHE_DIR)
}

function readdir({ vfs, request, reply }: OperationContext): number {
  const { handle, offset, limit } = listing(request, reply)
  let used = 0
  let isFull = false
  vfs.readdir(handle, offset, entry => {
    const end = reply.directoryEntry(used, limit, entry)
    isFull = end === undefined
    used = end ?? used
    return !isFull
  })
  return listed(used, isFull)
}

/** Rows with attributes, so that a listing needs no lookups. */
function readdirplus({ vfs, request, reply, grant }: OperationContext): number {
  const { handle, offset, limit } = listing(request, reply)
  const { node } = request
  let used = 0
  let isFull = false
  vfs.readdir(handle, offset, entry => {
    const isDot = entry.name === '.' || entry.name === '..'
    const end = reply.directoryEntryPlus(used, limit, entry, () => {
      // Of these two the kernel takes neither attributes nor a lookup count.
      const attributes = isDot ? undefined : attributesIfThere(vfs, node, entry, offset > 0)
      if (attributes !== undefined) grant.remember(vfs, entry.ino)
      return attributes
    })
    isFull = end === undefined
    used = end ?? used
    return !isFull
  })
  return listed(used, isFull)
}

function listing(
  request: OperationContext['request'],
  reply: OperationContext['reply']
): { handle: ReturnType<Vfs['opendir']>; offset: number; limit: number } {
  const { handle, offset, size } = request.read()
  return { handle, offset, limit: Math.min(size, reply.bodyBytesMax) }
}

/** An empty body would mean the end of the directory. */
function listed(used: number, isFull: boolean): number {
  if (used === 0 && isFull) throw new FsError('EINVAL', 'readdir')
  return used
}

/**
 * A listing that goes on is as old as its beginning: a row's inode may be gone, or its name stand
 * for another by now, which the kernel was told of and must not unlearn from us.
 */
function attributesIfThere(
  vfs: Vfs,
  parent: InodeNumber,
  { name, ino }: DirectoryEntry,
  goesOn: boolean
): Attributes | undefined {
  try {
    if (!goesOn) return vfs.getattr(ino)
    const now = vfs.lookup({ parent, name })
    return now.ino === ino ? now : undefined
  } catch (error) {
    if (error instanceof FsError) return undefined
    throw error
  }
}

function releasedir({ vfs, request, open }: OperationContext): number {
  const handle = request.handle()
  open.directories.delete(handle)
  vfs.releasedir(handle)
  return 0
}

function fsyncdir({ vfs, request }: OperationContext): Answer {
  const giveUp = new GiveUp()
  return whenKnown(vfs.fsyncdir(request.handle(), giveUp.signal), nothing, giveUp)
}
