/**
 * What a reply hands to the kernel is taken back when the kernel no longer wants the reply, and
 * lookup counts balance to zero.
 */
import t from 'tap'
import {
  GiveUp,
  OpenHandles,
  ReplyGrant,
  whenKnown
} from '../../../../src/fs/fuse/linux/fuse-operation.ts'
import { Opcode } from '../../../../src/fs/fuse/linux/fuse-protocol.ts'
import type { HandleId, InodeNumber } from '../../../../src/fs/vfs.ts'
import { Fields, FuseConversation } from '../../../support/fuse-conversation.ts'
import { MemoryVfs } from '../../../support/memory-vfs.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const ENOENT = 2
const memory = (): MemoryVfs => new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })

/** The requests that make the kernel know one inode more, and the fields they need. */
const KNOWING: readonly (readonly [opcode: number, fields: () => Fields])[] = [
  [Opcode.LOOKUP, () => new Fields().text('file')],
  [Opcode.MKNOD, () => new Fields().u32(0o100644, 0, 0, 0).text('n')],
  [Opcode.MKDIR, () => new Fields().u32(0o755, 0).text('d')],
  [Opcode.SYMLINK, () => new Fields().text('s').text('target')],
  [Opcode.LINK, () => new Fields().u64(2).text('l')],
  [Opcode.CREATE, () => new Fields().u32(1, 0o644, 0, 0).text('c')],
  [Opcode.TMPFILE, () => new Fields().u32(2, 0o644, 0, 0).text('')]
]

/** A conversation over a file system with one file, inode 2. */
function withFile(): { vfs: MemoryVfs; conversation: FuseConversation } {
  const vfs = memory()
  const conversation = new FuseConversation(vfs)
  conversation.ask(Opcode.MKNOD, 1, new Fields().u32(0o100644, 0, 0, 0).text('file'))
  conversation.send(Opcode.FORGET, 2, new Fields().u64(1))
  return { vfs, conversation }
}

t.test('each of seven requests counts one lookup, which FORGET takes back', async t => {
  for (const [opcode, fields] of KNOWING) {
    const { vfs, conversation } = withFile()
    const reply = conversation.ask(opcode, 1, fields())
    t.equal(reply.errno, 0, `opcode ${opcode}`)
    const ino = Number(reply.body.readBigUInt64LE(0)) as InodeNumber
    t.equal(vfs.rememberedCount(ino), 1, `opcode ${opcode} counts`)
    conversation.send(Opcode.FORGET, ino, new Fields().u64(1))
    t.equal(vfs.rememberedCount(ino), 0, `opcode ${opcode} is forgotten`)
  }
})

t.test('a reply that nobody waits for hands nothing over', async t => {
  for (const [opcode, fields] of KNOWING) {
    const { vfs, conversation } = withFile()
    conversation.refusals.push(-ENOENT)
    conversation.send(opcode, 1, fields())
    const known = [2, 3].map(ino => vfs.rememberedCount(ino as InodeNumber))
    t.strictSame(known, [0, 0], `opcode ${opcode}`)
    t.equal(vfs.handleCount, 0, `opcode ${opcode} leaves no handle`)
    t.strictSame(conversation.reports, [])
  }
})

t.test(
  'OPEN and OPENDIR that nobody waits for leave no handle, also when they had to wait',
  async t => {
    const { vfs, conversation } = withFile()
    const open = vfs.open.bind(vfs)
    Object.assign(vfs, { open: async (ino: InodeNumber, flags: number) => open(ino, flags) })
    conversation.refusals.push(-ENOENT, -ENOENT)
    conversation.send(Opcode.OPENDIR, 1, new Fields().u32(0, 0))
    conversation.send(Opcode.OPEN, 2, new Fields().u32(0, 0))
    await new Promise(resolve => setImmediate(resolve))
    t.equal(vfs.handleCount, 0)
    t.strictSame(conversation.refusals, [])
  }
)

t.test('READDIRPLUS counts each row but . and .., and takes them back', async t => {
  const { vfs, conversation } = withFile()
  conversation.ask(Opcode.OPENDIR, 1, new Fields().u32(0, 0))
  const listing = (): Fields => new Fields().u64(1, 0).u32(4096, 0, 0, 0, 0, 0)
  conversation.ask(Opcode.READDIRPLUS, 1, listing())
  t.equal(vfs.rememberedCount(2 as InodeNumber), 1)
  t.equal(vfs.rememberedCount(1 as InodeNumber), 0)
  conversation.refusals.push(-ENOENT)
  conversation.send(Opcode.READDIRPLUS, 1, listing())
  t.equal(vfs.rememberedCount(2 as InodeNumber), 1)
})

t.test('a grant that was taken is not taken back', async t => {
  const vfs = memory()
  const grant = new ReplyGrant()
  const open = new OpenHandles()
  const { ino } = vfs.mkdir({ parent: 1 as InodeNumber, name: 'd' as never }, 0o755, {
    uid: 0,
    gid: 0
  })
  grant.remember(vfs, ino)
  grant.directory(open, vfs.opendir(ino))
  grant.clear()
  t.equal(grant.takeBack(vfs, open), undefined)
  t.equal(vfs.rememberedCount(ino), 1)
  t.strictSame([...open.directories], [1 as HandleId])
})

t.test('whenKnown() encodes in the same tick what is known', async t => {
  t.equal(
    whenKnown(7, value => value + 1),
    8
  )
  const later = whenKnown(Promise.resolve(7), value => value + 1)
  if (typeof later === 'number') throw new Error('a promise cannot be known')
  t.equal(later.interrupt, undefined)
  const encoded = await new Promise(resolve =>
    later.settle(
      encode => resolve(encode()),
      error => resolve(error)
    )
  )
  t.equal(encoded, 8)
})

t.test('GiveUp gives up only what has asked for its signal', async t => {
  const idle = new GiveUp()
  t.equal(idle.interrupt(), false)
  const waiting = new GiveUp()
  const signal = waiting.signal()
  t.equal(waiting.signal(), signal, 'one, however often it is asked for')
  t.equal(signal.aborted, false)
  t.equal(waiting.interrupt(), true)
  t.equal(signal.aborted, true)
})
