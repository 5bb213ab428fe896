/**
 * Requests about names, attributes and extended attributes: what the driver adds to the file
 * system's own answers. The file system's semantics are shown by its conformance suite.
 */
import t from 'tap'
import { NODE_OPERATIONS } from '../../../../src/fs/fuse/linux/node-operations.ts'
import { Opcode } from '../../../../src/fs/fuse/linux/fuse-protocol.ts'
import { CACHE_SECONDS } from '../../../../src/fs/fuse/linux/fuse-reply.ts'
import type { InodeNumber } from '../../../../src/fs/vfs.ts'
import { Fields, FuseConversation } from '../../../support/fuse-conversation.ts'
import { MemoryVfs } from '../../../support/memory-vfs.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const [ENOENT, E2BIG, EFBIG, ERANGE, EOPNOTSUPP, ENODATA] = [2, 7, 27, 34, 95, 61]
const FILE = 2
const SIZE = 1 << 3
const UID = 1 << 1
const KILL_SUIDGID = 1 << 11

/** A file system with one file of mode 6755, inode 2. */
function withFile(): { vfs: MemoryVfs; conversation: FuseConversation } {
  const vfs = new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })
  const conversation = new FuseConversation(vfs)
  const made = conversation.ask(Opcode.MKNOD, 1, new Fields().u32(0o106755, 0, 0, 0).text('file'))
  t.equal(made.errno, 0)
  return { vfs, conversation }
}

const modeOf = (vfs: MemoryVfs, ino: number): number =>
  vfs.getattr(ino as InodeNumber).mode & 0o7777

function setattr(valid: number, fields: { size?: number; uid?: number } = {}): Fields {
  return new Fields()
    .u32(valid, 0)
    .u64(0, fields.size ?? 0, 0, 0, 0, 0)
    .u32(0, 0, 0, 0, 0, fields.uid ?? 0, 0, 0)
}

t.test('there is one handler an opcode', async t => {
  const opcodes = NODE_OPERATIONS.map(([opcode]) => opcode)
  t.equal(new Set(opcodes).size, opcodes.length)
})

t.test('LOOKUP of a name that is not there is an answer the kernel may keep', async t => {
  const { conversation } = withFile()
  const { errno, body } = conversation.ask(Opcode.LOOKUP, 1, new Fields().text('absent'))
  t.equal(errno, 0)
  t.equal(body.readBigUInt64LE(0), 0n, 'no node')
  t.equal(body.readBigUInt64LE(16), BigInt(CACHE_SECONDS))
  t.equal(conversation.ask(Opcode.LOOKUP, FILE, new Fields().text('x')).errno, 20, 'ENOTDIR is not')
})

t.test('LOOKUP of . and .. works from a node alone', async t => {
  const { vfs, conversation } = withFile()
  conversation.ask(Opcode.MKDIR, 1, new Fields().u32(0o755, 0).text('d'))
  for (const { name, node, found } of [
    { name: '.', node: 3, found: 3 },
    { name: '..', node: 3, found: 1 },
    { name: '..', node: 1, found: 1 },
    // A file handle of a file: the kernel asks for its `.` too.
    { name: '.', node: FILE, found: FILE }
  ]) {
    const { body } = conversation.ask(Opcode.LOOKUP, node, new Fields().text(name))
    t.equal(Number(body.readBigUInt64LE(0)), found, `${name} of ${node}`)
  }
  t.equal(vfs.rememberedCount(FILE as InodeNumber), 2)
})

t.test('a chown clears set-user-ID and set-group-ID of a file and not of a directory', async t => {
  for (const fields of [setattr(UID, { uid: 5 }), setattr(0)]) {
    const { vfs, conversation } = withFile()
    t.equal(conversation.ask(Opcode.SETATTR, FILE, fields).errno, 0)
    t.equal(modeOf(vfs, FILE), 0o755)
  }
  const { vfs, conversation } = withFile()
  conversation.ask(Opcode.MKDIR, 1, new Fields().u32(0o2755, 0).text('d'))
  conversation.ask(Opcode.SETATTR, 3, setattr(UID, { uid: 5 }))
  t.equal(modeOf(vfs, 3), 0o2755)
})

t.test('truncating clears them when the kernel says so', async t => {
  const { vfs, conversation } = withFile()
  conversation.ask(Opcode.SETATTR, FILE, setattr(SIZE))
  t.equal(modeOf(vfs, FILE), 0o6755, 'a privileged caller')
  conversation.ask(Opcode.SETATTR, FILE, setattr(SIZE | KILL_SUIDGID))
  t.equal(modeOf(vfs, FILE), 0o755)
})

t.test('a size above the largest file is EFBIG', async t => {
  const { conversation } = withFile()
  for (const size of [2 ** 53, 2 ** 62])
    t.equal(conversation.ask(Opcode.SETATTR, FILE, setattr(SIZE, { size })).errno, EFBIG)
})

t.test('GETXATTR and LISTXATTR tell the size, fill a buffer and refuse a short one', async t => {
  const { conversation } = withFile()
  const value = Buffer.from('some value')
  const set = new Fields().u32(value.length, 0).text('user.a').bytes(value)
  t.equal(conversation.ask(Opcode.SETXATTR, FILE, set).errno, 0)
  const get = (size: number): Fields => new Fields().u32(size, 0).text('user.a')
  const list = (size: number): Fields => new Fields().u32(size, 0)

  t.equal(conversation.ask(Opcode.GETXATTR, FILE, get(0)).body.readUInt32LE(0), value.length)
  t.equal(conversation.ask(Opcode.GETXATTR, FILE, get(value.length)).body.toString(), 'some value')
  t.equal(conversation.ask(Opcode.GETXATTR, FILE, get(value.length - 1)).errno, ERANGE)
  t.equal(conversation.ask(Opcode.LISTXATTR, FILE, list(0)).body.readUInt32LE(0), 7)
  t.equal(conversation.ask(Opcode.LISTXATTR, FILE, list(7)).body.toString(), 'user.a\0')
  t.equal(conversation.ask(Opcode.LISTXATTR, FILE, list(6)).errno, ERANGE)
  t.equal(conversation.ask(Opcode.REMOVEXATTR, FILE, new Fields().text('user.a')).errno, 0)
  t.equal(conversation.ask(Opcode.GETXATTR, FILE, get(0)).errno, ENODATA)
  t.equal(conversation.ask(Opcode.LISTXATTR, FILE, list(6)).body.length, 0)
})

t.test('GETXATTR that takes a while is answered as one that does not', async t => {
  const { vfs, conversation } = withFile()
  vfs.getxattr = async () => Promise.resolve(Buffer.from('12'))
  const answers = [0, 2, 1].map(size =>
    conversation.send(Opcode.GETXATTR, FILE, new Fields().u32(size, 0).text('user.grove.copies'))
  )
  await new Promise(resolve => setImmediate(resolve))
  const [size, whole, short] = answers.map(unique => conversation.replyTo(unique))
  t.equal(size?.body.readUInt32LE(0), 2)
  t.equal(whole?.body.toString(), '12')
  t.equal(short?.errno, ERANGE)
})

t.test('an attribute of 64 KiB and many names', async t => {
  const { conversation } = withFile()
  const value = Buffer.alloc(65_536, 7)
  const set = (name: string, bytes: Buffer): number =>
    conversation.ask(
      Opcode.SETXATTR,
      FILE,
      new Fields().u32(bytes.length, 0).text(name).bytes(bytes)
    ).errno
  t.equal(set('user.big', value), 0)
  const got = conversation.ask(Opcode.GETXATTR, FILE, new Fields().u32(65_536, 0).text('user.big'))
  t.ok(got.body.equals(value))
  t.equal(set('user.bigger', Buffer.alloc(65_537)), E2BIG)
  for (let index = 0; index < 200; index++)
    t.equal(set(`user.${index}`.padEnd(255, 'x'), Buffer.from('v')), 0)
  const names = conversation.ask(Opcode.LISTXATTR, FILE, new Fields().u32(65_536, 0))
  t.equal(names.body.toString().split('\0').length, 202)
})

t.test('attributes that we never have are refused without asking', async t => {
  const { vfs, conversation } = withFile()
  Object.assign(vfs, {
    getxattr: () => {
      throw new Error('asked')
    }
  })
  for (const name of ['security.selinux', 'system.posix_acl_access', 'system.posix_acl_default']) {
    const get = new Fields().u32(0, 0).text(name)
    t.equal(conversation.ask(Opcode.GETXATTR, FILE, get).errno, EOPNOTSUPP, name)
    const set = new Fields().u32(1, 0).text(name).bytes(Buffer.from('x'))
    t.equal(conversation.ask(Opcode.SETXATTR, FILE, set).errno, EOPNOTSUPP, name)
    const remove = new Fields().text(name)
    t.equal(conversation.ask(Opcode.REMOVEXATTR, FILE, remove).errno, EOPNOTSUPP, name)
  }
})

t.test('BATCH_FORGET forgets each as often as it says', async t => {
  const { vfs, conversation } = withFile()
  const lookup = (): unknown => conversation.ask(Opcode.LOOKUP, 1, new Fields().text('file'))
  for (let count = 0; count < 4; count++) lookup()
  t.equal(vfs.rememberedCount(FILE as InodeNumber), 5)
  conversation.send(Opcode.BATCH_FORGET, 0, new Fields().u32(2, 0).u64(FILE, 3, 99, 1))
  t.equal(vfs.rememberedCount(FILE as InodeNumber), 2)
  t.equal(conversation.ask(Opcode.UNLINK, 1, new Fields().text('file')).errno, 0)
  t.equal(conversation.ask(Opcode.GETATTR, FILE).errno, 0, 'it stays while it is known')
  conversation.send(Opcode.BATCH_FORGET, 0, new Fields().u32(1, 0).u64(FILE, 2))
  t.equal(conversation.ask(Opcode.GETATTR, FILE).errno, ENOENT)
})
