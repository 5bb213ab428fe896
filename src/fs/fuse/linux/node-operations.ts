/**
 * The requests about names and inodes: finding, making, moving and removing them, their
 * attributes and extended attributes.
 *
 * @module
 */
import type { Name } from '../../../sync/operation.ts'
import { FsError } from '../../fs-error.ts'
import {
  FILE_BYTES_MAX,
  S_IFDIR,
  S_IFMT,
  XATTR_LIST_BYTES_MAX,
  type Attributes,
  type AttributeChanges
} from '../../vfs.ts'
import { Opcode } from './fuse-protocol.ts'
import {
  GiveUp,
  NO_REPLY,
  whenKnown,
  type Answer,
  type Handler,
  type OperationContext
} from './fuse-operation.ts'

/**
 * Attributes that we never have and say so without looking: a program that gets EOPNOTSUPP does
 * not ask again, where ENODATA costs `ls -l` two requests a file.
 */
const XATTRS_REFUSED: readonly string[] = [
  'security.selinux',
  'system.posix_acl_access',
  'system.posix_acl_default'
]

/** The handlers by opcode. */
export const NODE_OPERATIONS: readonly (readonly [opcode: number, handler: Handler])[] = [
  [Opcode.LOOKUP, lookup],
  [Opcode.FORGET, forget],
  [Opcode.BATCH_FORGET, batchForget],
  [Opcode.GETATTR, ({ vfs, request, reply }) => reply.attributes(vfs.getattr(request.node))],
  [Opcode.SETATTR, setattr],
  [Opcode.READLINK, ({ vfs, request, reply }) => reply.bytes(vfs.readlink(request.node))],
  [Opcode.SYMLINK, symlink],
  [Opcode.MKNOD, mknod],
  [Opcode.MKDIR, mkdir],
  [Opcode.UNLINK, unlink],
  [Opcode.RMDIR, rmdir],
  [Opcode.RENAME, context => rename(context, context.request.rename())],
  [Opcode.RENAME2, context => rename(context, context.request.rename2())],
  [Opcode.LINK, link],
  [Opcode.SETXATTR, setxattr],
  [Opcode.GETXATTR, getxattr],
  [Opcode.LISTXATTR, listxattr],
  [Opcode.REMOVEXATTR, removexattr],
  [Opcode.STATFS, ({ vfs, reply }) => reply.statfs(vfs.statfs())],
  [Opcode.SYNCFS, ({ vfs }) => whenKnown(vfs.syncfs(), () => 0)]
]

function lookup(context: OperationContext): number {
  const { vfs, request, reply } = context
  const place = request.place()
  try {
    // `.` and `..` are asked for by file handles that outlive the cache.
    return known(context, place.name === '.' ? vfs.getattr(place.parent) : vfs.lookup(place))
  } catch (error) {
    if (error instanceof FsError && error.code === 'ENOENT') return reply.noEntry()
    throw error
  }
}

/** Answers with a node, which the kernel then knows once more. */
function known({ vfs, reply, grant }: OperationContext, attributes: Attributes): number {
  grant.remember(vfs, attributes.ino)
  return reply.entry(attributes)
}

function forget({ vfs, request }: OperationContext): number {
  const { ino, count } = request.forget()
  vfs.forget(ino, count)
  return NO_REPLY
}

function batchForget({ vfs, request }: OperationContext): number {
  for (const { ino, count } of request.batchForget()) vfs.forget(ino, count)
  return NO_REPLY
}

function setattr({ vfs, request, reply }: OperationContext): ReturnType<Handler> {
  const { changes, isChown } = request.setattr()
  if (changes.size !== undefined && changes.size > FILE_BYTES_MAX)
    throw new FsError('EFBIG', 'setattr')
  // The kernel leaves it to us that a chown clears set-user-ID; of directories it never does.
  const kills = isChown && (vfs.getattr(request.node).mode & S_IFMT) !== S_IFDIR
  const all: AttributeChanges = kills ? { ...changes, killPrivileges: true } : changes
  return whenKnown(vfs.setattr(request.node, all), attributes => reply.attributes(attributes))
}

function symlink(context: OperationContext): number {
  const { place, target } = context.request.symlink()
  return known(context, context.vfs.symlink(place, target, callerOf(context)))
}

function mknod(context: OperationContext): number {
  const { place, mode, rdev } = context.request.mknod()
  return known(context, context.vfs.mknod(place, { mode, rdev }, callerOf(context)))
}

function mkdir(context: OperationContext): number {
  const { place, mode } = context.request.mkdir()
  return known(context, context.vfs.mkdir(place, mode, callerOf(context)))
}

function link(context: OperationContext): number {
  const { ino, place } = context.request.link()
  return known(context, context.vfs.link(ino, place))
}

function callerOf({ request }: OperationContext): { uid: number; gid: number } {
  return { uid: request.uid, gid: request.gid }
}

function unlink({ vfs, request }: OperationContext): number {
  vfs.unlink(request.place())
  return 0
}

function rmdir({ vfs, request }: OperationContext): number {
  vfs.rmdir(request.place())
  return 0
}

function rename(
  { vfs }: OperationContext,
  { from, to, mode }: ReturnType<OperationContext['request']['rename2']>
): number {
  vfs.rename(from, to, mode)
  return 0
}

function setxattr({ vfs, request }: OperationContext): number {
  const { name, value, mode } = request.setxattr()
  refuseXattr(name)
  vfs.setxattr(request.node, name, value, mode)
  return 0
}

function getxattr({ vfs, request, reply }: OperationContext): Answer {
  const { name, size } = request.getxattr()
  refuseXattr(name)
  const giveUp = new GiveUp()
  const found = vfs.getxattr(request.node, name, giveUp.signal)
  return whenKnown(
    found,
    value => {
      if (size === 0) return reply.count(value.length)
      if (value.length > size) throw new FsError('ERANGE', 'getxattr')
      return reply.bytes(value)
    },
    giveUp
  )
}

function listxattr({ vfs, request, reply }: OperationContext): number {
  const size = request.listxattr()
  const names = vfs.listxattr(request.node)
  const length = names.reduce((sum, name) => sum + name.length + 1, 0)
  if (length > XATTR_LIST_BYTES_MAX) throw new FsError('E2BIG', 'listxattr')
  if (size === 0) return reply.count(length)
  if (length > size) throw new FsError('ERANGE', 'listxattr')
  return reply.names(names)
}

function removexattr({ vfs, request }: OperationContext): number {
  const name = request.name()
  refuseXattr(name)
  vfs.removexattr(request.node, name)
  return 0
}

function refuseXattr(name: Name): void {
  if (XATTRS_REFUSED.includes(name)) throw new FsError('EOPNOTSUPP', 'xattr')
}
