/**
 * The requests about open files: their content and their life.
 *
 * @module
 */
import { FsError } from '../../fs-error.ts'
import {
  FILE_BYTES_MAX,
  O_ACCMODE,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
  type HandleId,
  type MaybePromise,
  type Opened
} from '../../vfs.ts'
import { OpenFlag, Opcode, TRANSFER_BYTES_MAX } from './fuse-protocol.ts'
import {
  GiveUp,
  nothing,
  whenKnown,
  type Answer,
  type Handler,
  type OperationContext
} from './fuse-operation.ts'
import type { OpenRequest } from './fuse-request.ts'

/** What COPY_FILE_RANGE copies at most in one request: its reply has 32 bits. */
export const COPY_BYTES_MAX = 0x4000_0000

/** The handlers by opcode. */
export const FILE_OPERATIONS: readonly (readonly [opcode: number, handler: Handler])[] = [
  [Opcode.OPEN, open],
  [Opcode.CREATE, create],
  [Opcode.TMPFILE, tmpfile],
  [Opcode.READ, read],
  [Opcode.WRITE, write],
  [Opcode.FLUSH, ({ vfs, request }) => whenKnown(vfs.flush(request.handle()), nothing)],
  [Opcode.FSYNC, fsync],
  [Opcode.RELEASE, release],
  [Opcode.FALLOCATE, fallocate],
  [Opcode.LSEEK, lseek],
  [Opcode.COPY_FILE_RANGE, context => copyFileRange(context, n => context.reply.count(n))],
  [Opcode.COPY_FILE_RANGE_64, context => copyFileRange(context, n => context.reply.wideCount(n))]
]

function open(context: OperationContext): Answer {
  const { vfs, request, reply, grant } = context
  const asked = request.open()
  const flags = openFlags(asked.flags)
  return whenKnown(openFile(context, asked), handle => {
    grant.file(context.open, handle)
    return reply.opened(handle, flags)
  })

  function openFile(
    { request: { node } }: OperationContext,
    how: OpenRequest
  ): MaybePromise<HandleId> {
    if ((how.flags & O_TRUNC) === 0 || !how.killPrivileges) return vfs.open(node, how.flags)
    const cut = vfs.setattr(node, { size: 0, killPrivileges: true })
    const uncut = how.flags & ~O_TRUNC
    return cut instanceof Promise ? cut.then(() => vfs.open(node, uncut)) : vfs.open(node, uncut)
  }
}

/** Content stays cached over opens; closing a file that was only read tells us nothing. */
function openFlags(flags: number): number {
  const onlyReads = (flags & O_ACCMODE) === O_RDONLY
  return OpenFlag.KEEP_CACHE | (onlyReads ? OpenFlag.NOFLUSH : 0)
}

function create(context: OperationContext): number {
  const { vfs, request } = context
  const { place, mode, flags } = request.create()
  const caller = { uid: request.uid, gid: request.gid }
  try {
    return made(context, vfs.create(place, { mode, flags }, caller), flags)
  } catch (error) {
    const exists = error instanceof FsError && error.code === 'EEXIST'
    // The kernel believed that there is no such name. It looks again and opens what is there.
    if (exists && (flags & O_EXCL) === 0) throw new FsError('ESTALE', 'create', { cause: error })
    throw error
  }
}

function tmpfile(context: OperationContext): number {
  const { vfs, request } = context
  const { place, mode, flags } = request.create()
  const caller = { uid: request.uid, gid: request.gid }
  return made(context, vfs.tmpfile(place.parent, { mode, flags }, caller), flags)
}

function made(
  { vfs, reply, grant, open: handles }: OperationContext,
  file: Opened,
  flags: number
): number {
  grant.file(handles, file.handle)
  grant.remember(vfs, file.attributes.ino)
  return reply.created(file.attributes, file.handle, openFlags(flags))
}

function read({ vfs, request, reply }: OperationContext): Answer {
  const { handle, offset, size } = request.read()
  const length = Math.min(size, TRANSFER_BYTES_MAX)
  // A read of the disk here is not given up: programs do not expect that of a file.
  const giveUp = new GiveUp()
  const parts = vfs.read(handle, { offset, length }, giveUp.signal)
  return whenKnown(parts, known => reply.data(known, length), giveUp)
}

function fsync({ vfs, request }: OperationContext): Answer {
  const giveUp = new GiveUp()
  return whenKnown(vfs.fsync(request.handle(), giveUp.signal), nothing, giveUp)
}

function write(context: OperationContext): Answer {
  const { vfs, request, reply } = context
  const { handle, data, killPrivileges, ...asked } = request.write()
  const offset = asked.append ? endOfFile(context, asked.offset) : asked.offset
  if (offset > FILE_BYTES_MAX - data.length) throw new FsError('EFBIG', 'write')
  return whenKnown(vfs.write(handle, data, { offset, killPrivileges }), count => reply.count(count))
}

/**
 * Where an append goes. The kernel's idea of the end is stale when the file grew behind its
 * back; then the bytes go to the real end, and the kernel is told the size.
 */
function endOfFile({ vfs, request, notifier }: OperationContext, believed: number): number {
  const { size } = vfs.getattr(request.node)
  if (size !== believed) notifier.grew(request.node, size)
  return size
}

function release({ vfs, request, open: handles }: OperationContext): Answer {
  const handle = request.handle()
  handles.files.delete(handle)
  return whenKnown(vfs.release(handle), nothing)
}

function fallocate({ vfs, request }: OperationContext): Answer {
  const { handle, ...range } = request.fallocate()
  if (range.offset > FILE_BYTES_MAX - range.length) throw new FsError('EFBIG', 'fallocate')
  return whenKnown(vfs.fallocate(handle, range), nothing)
}

function lseek({ vfs, request, reply }: OperationContext): number {
  const { handle, offset, whence } = request.lseek()
  return reply.wideCount(vfs.seek(handle, { offset, whence }))
}

function copyFileRange(
  { vfs, request }: OperationContext,
  encode: (count: number) => number
): Answer {
  const { from, to, length } = request.copyFileRange()
  return whenKnown(vfs.copyFileRange(from, to, Math.min(length, COPY_BYTES_MAX)), encode)
}
