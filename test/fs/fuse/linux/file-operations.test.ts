/**
 * Requests about open files: what the driver adds to the file system's own answers.
 */
import t from 'tap'
import { FILE_OPERATIONS } from '../../../../src/fs/fuse/linux/file-operations.ts'
import { Opcode } from '../../../../src/fs/fuse/linux/fuse-protocol.ts'
import type { HandleId, InodeNumber } from '../../../../src/fs/vfs.ts'
import { Fields, FuseConversation, type SeenReply } from '../../../support/fuse-conversation.ts'
import { MemoryVfs } from '../../../support/memory-vfs.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const [EFBIG, EEXIST, ENXIO, ESTALE] = [27, 17, 6, 116]
const [O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC] = [0, 1, 2, 0o100, 0o200, 0o1000]
const O_APPEND = 0o2000
const [KEEP_CACHE, NOFLUSH] = [2, 32]
const [WRITE_CACHE, KILL_SUIDGID] = [1, 4]
const FILE = 2 as InodeNumber

/** A file system with one file of mode 6755 and content `0123456789`, inode 2. */
function withFile(): { vfs: MemoryVfs; conversation: FuseConversation } {
  const vfs = new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })
  const root = { uid: 0, gid: 0 }
  const place = { parent: 1 as InodeNumber, name: 'file' as never }
  const { handle } = vfs.create(place, { mode: 0o6755, flags: O_WRONLY }, root)
  void vfs.write(handle, Buffer.from('0123456789'), { offset: 0, killPrivileges: false })
  vfs.release(handle)
  return { vfs, conversation: new FuseConversation(vfs) }
}

function contentOf(vfs: MemoryVfs): string {
  const handle = vfs.open(FILE, O_RDONLY)
  const parts = vfs.read(handle, { offset: 0, length: 1000 })
  if (parts instanceof Promise) throw new Error('memory does not wait')
  vfs.release(handle)
  return Buffer.concat(parts).toString()
}

function open(conversation: FuseConversation, flags: number, openFlags = 0): SeenReply {
  return conversation.ask(Opcode.OPEN, FILE, new Fields().u32(flags, openFlags))
}

const handleOf = (reply: SeenReply): number => Number(reply.body.readBigUInt64LE(0))

function write(
  handle: number,
  text: string,
  at: { offset: number; writeFlags?: number; flags?: number }
): Fields {
  return new Fields()
    .u64(handle, at.offset)
    .u32(text.length, at.writeFlags ?? 0, 0, 0, at.flags ?? O_WRONLY, 0)
    .bytes(Buffer.from(text))
}

t.test('there is one handler an opcode', async t => {
  const opcodes = FILE_OPERATIONS.map(([opcode]) => opcode)
  t.equal(new Set(opcodes).size, opcodes.length)
})

t.test('OPEN keeps what is cached; only a reader closes without a FLUSH', async t => {
  const { conversation } = withFile()
  t.equal(open(conversation, O_RDONLY).body.readUInt32LE(8), KEEP_CACHE | NOFLUSH)
  t.equal(open(conversation, O_WRONLY).body.readUInt32LE(8), KEEP_CACHE)
  t.equal(open(conversation, O_RDWR).body.readUInt32LE(8), KEEP_CACHE)
})

t.test('OPEN with O_TRUNC cuts, and clears set-user-ID only if the kernel says so', async t => {
  for (const { openFlags, mode } of [
    { openFlags: 0, mode: 0o6755 },
    { openFlags: 1, mode: 0o755 }
  ]) {
    const { vfs, conversation } = withFile()
    t.equal(open(conversation, O_RDWR | O_TRUNC, openFlags).errno, 0)
    t.match(vfs.getattr(FILE), { size: 0, mode: 0o100000 | mode })
  }
  const { vfs, conversation } = withFile()
  open(conversation, O_RDWR, 1)
  t.match(vfs.getattr(FILE), { size: 10, mode: 0o106755 }, 'without O_TRUNC nothing is cleared')
})

t.test('CREATE of a name that appeared meanwhile makes the kernel look again', async t => {
  const { conversation } = withFile()
  const create = (flags: number): number =>
    conversation.ask(Opcode.CREATE, 1, new Fields().u32(flags, 0o644, 0, 0).text('file')).errno
  t.equal(create(O_WRONLY | O_CREAT), ESTALE)
  t.equal(create(O_WRONLY | O_CREAT | O_EXCL), EEXIST)
})

t.test('WRITE goes where the kernel says, however the handle was opened', async t => {
  const { vfs, conversation } = withFile()
  const handle = handleOf(open(conversation, O_WRONLY | O_APPEND))
  // A page of a shared mapping goes through any handle of the file.
  const page = write(handle, 'ab', { offset: 2, writeFlags: WRITE_CACHE, flags: O_APPEND })
  t.equal(conversation.ask(Opcode.WRITE, FILE, page).body.readUInt32LE(0), 2)
  t.equal(contentOf(vfs), '01ab456789')
  conversation.ask(Opcode.WRITE, FILE, write(handle, 'xy', { offset: 4 }))
  t.equal(contentOf(vfs), '01abxy6789', 'O_APPEND was switched off by fcntl')
  t.strictSame(conversation.notifications, [])
})

t.test('an append to a file that grew behind the kernel goes to the real end', async t => {
  const { vfs, conversation } = withFile()
  const handle = handleOf(open(conversation, O_WRONLY | O_APPEND))
  conversation.ask(Opcode.WRITE, FILE, write(handle, 'ab', { offset: 10, flags: O_APPEND }))
  t.strictSame(conversation.notifications, [], 'the kernel knew the end')
  conversation.ask(Opcode.WRITE, FILE, write(handle, 'cd', { offset: 10, flags: O_APPEND }))
  t.equal(contentOf(vfs), '0123456789abcd')
  t.equal(conversation.notifications.length, 2, 'the kernel is told the size')
  const [store] = conversation.notifications
  t.equal(store?.readInt32LE(4), 4, 'NOTIFY_STORE')
  t.equal(store?.readBigUInt64LE(24), 12n)
})

t.test('WRITE clears set-user-ID only if the kernel says so', async t => {
  const { vfs, conversation } = withFile()
  const handle = handleOf(open(conversation, O_WRONLY))
  conversation.ask(Opcode.WRITE, FILE, write(handle, 'a', { offset: 0 }))
  t.equal(vfs.getattr(FILE).mode, 0o106755)
  const killing = write(handle, 'a', { offset: 0, writeFlags: KILL_SUIDGID })
  conversation.ask(Opcode.WRITE, FILE, killing)
  t.equal(vfs.getattr(FILE).mode, 0o100755)
})

t.test('bytes beyond the largest file are EFBIG', async t => {
  const { conversation } = withFile()
  const handle = handleOf(open(conversation, O_WRONLY))
  for (const offset of [2 ** 53 - 1, 2 ** 62])
    t.equal(conversation.ask(Opcode.WRITE, FILE, write(handle, 'a', { offset })).errno, EFBIG)
  const range = new Fields().u64(handle, 2 ** 53 - 1, 4096).u32(0, 0)
  t.equal(conversation.ask(Opcode.FALLOCATE, FILE, range).errno, EFBIG)
})

t.test('READ answers what is there, to the end and behind it', async t => {
  const { conversation } = withFile()
  const handle = handleOf(open(conversation, O_RDONLY))
  for (const { offset, size, text } of [
    { offset: 0, size: 4, text: '0123' },
    { offset: 8, size: 100, text: '89' },
    { offset: 10, size: 100, text: '' },
    { offset: 2 ** 62, size: 100, text: '' }
  ]) {
    const fields = new Fields().u64(handle, offset).u32(size, 0, 0, 0, 0, 0)
    const reply = conversation.ask(Opcode.READ, FILE, fields)
    t.equal(reply.body.toString(), text, `${size} bytes at ${offset}`)
  }
})

t.test('LSEEK, FALLOCATE and COPY_FILE_RANGE in both widths', async t => {
  const { vfs, conversation } = withFile()
  const handle = handleOf(open(conversation, O_RDWR))
  const seek = (offset: number, whence: number): SeenReply =>
    conversation.ask(Opcode.LSEEK, FILE, new Fields().u64(handle, offset).u32(whence, 0))
  t.equal(seek(3, 3).body.readBigUInt64LE(0), 3n, 'SEEK_DATA')
  t.equal(seek(3, 4).body.readBigUInt64LE(0), 10n, 'SEEK_HOLE')
  t.equal(seek(11, 3).errno, ENXIO)
  const grow = new Fields().u64(handle, 0, 5_000_000_000).u32(0, 0)
  t.equal(conversation.ask(Opcode.FALLOCATE, FILE, grow).errno, 0)
  t.equal(vfs.getattr(FILE).size, 5_000_000_000)
  const copy = (from: number, to: number, length: number): Fields =>
    new Fields().u64(handle, from, FILE, handle, to, length, 0)
  const narrow = conversation.ask(Opcode.COPY_FILE_RANGE, FILE, copy(0, 20, 10))
  t.equal(narrow.body.readUInt32LE(0), 10)
  const wide = conversation.ask(Opcode.COPY_FILE_RANGE_64, FILE, copy(0, 40, 10))
  t.equal(wide.body.readBigUInt64LE(0), 10n)
  t.equal(contentOf(vfs).slice(40, 50), '0123456789')
})

t.test('FLUSH, FSYNC and RELEASE', async t => {
  const { vfs, conversation } = withFile()
  const handle = handleOf(open(conversation, O_RDWR))
  const about = (): Fields => new Fields().u64(handle).u32(0, 0).u64(0)
  t.equal(conversation.ask(Opcode.FLUSH, FILE, about()).errno, 0)
  const unique = conversation.send(Opcode.FSYNC, FILE, about())
  await new Promise(resolve => setImmediate(resolve))
  t.equal(conversation.replyTo(unique)?.errno, 0)
  t.equal(conversation.ask(Opcode.RELEASE, FILE, about()).errno, 0)
  t.equal(vfs.handleCount, 0)
  t.throws(() => vfs.read(handle as HandleId, { offset: 0, length: 1 }), { code: 'EBADF' })
})
