/**
 * Requests about open directories: rows in pieces, with and without attributes.
 */
import t from 'tap'
import { DIRECTORY_OPERATIONS } from '../../../../src/fs/fuse/linux/directory-operations.ts'
import { Opcode } from '../../../../src/fs/fuse/linux/fuse-protocol.ts'
import type { InodeNumber } from '../../../../src/fs/vfs.ts'
import { Fields, FuseConversation } from '../../../support/fuse-conversation.ts'
import { MemoryVfs } from '../../../support/memory-vfs.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const EINVAL = 22
const ENTRY_BYTES = 128
const NAMES = [
  'a',
  'caf\xe9\xff',
  'x'.repeat(255),
  'dir',
  ...Array.from({ length: 60 }, (_, n) => `n${n}`)
]

interface Row {
  readonly name: string
  readonly ino: number
  readonly type: number
  readonly offset: number
  /** The inode that the attributes are about; 0 without, undefined in a plain listing. */
  readonly node: number | undefined
}

function withFiles(): { vfs: MemoryVfs; conversation: FuseConversation } {
  const vfs = new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })
  const conversation = new FuseConversation(vfs)
  const [parent, root] = [1 as InodeNumber, { uid: 0, gid: 0 }]
  for (const name of NAMES)
    if (name === 'dir') vfs.mkdir({ parent, name: name as never }, 0o755, root)
    else vfs.mknod({ parent, name: name as never }, { mode: 0o100644, rdev: 0 }, root)
  conversation.ask(Opcode.OPENDIR, 1, new Fields().u32(0, 0))
  return { vfs, conversation }
}

function rowsOf(body: Buffer, hasAttributes: boolean): Row[] {
  const rows: Row[] = []
  for (let at = 0; at < body.length;) {
    const node = hasAttributes ? Number(body.readBigUInt64LE(at)) : undefined
    const row = at + (hasAttributes ? ENTRY_BYTES : 0)
    const length = body.readUInt32LE(row + 16)
    rows.push({
      node,
      ino: Number(body.readBigUInt64LE(row)),
      offset: Number(body.readBigUInt64LE(row + 8)),
      type: body.readUInt32LE(row + 20),
      name: body.toString('latin1', row + 24, row + 24 + length)
    })
    at = row + ((24 + length + 7) & ~7)
  }
  return rows
}

/** Lists all rows in replies of at most `size` bytes. */
function list(conversation: FuseConversation, opcode: number, size: number): Row[] {
  const rows: Row[] = []
  for (let calls = 0; calls < 1000; calls++) {
    const fields = new Fields().u64(1, rows.at(-1)?.offset ?? 0).u32(size, 0, 0, 0, 0, 0)
    const { errno, body } = conversation.ask(opcode, 1, fields)
    t.equal(errno, 0)
    t.ok(body.length <= size, 'no longer than asked for')
    if (body.length === 0) return rows
    rows.push(...rowsOf(body, opcode === Opcode.READDIRPLUS))
  }
  throw new Error('the listing never ends')
}

t.test('there is one handler an opcode', async t => {
  const opcodes = DIRECTORY_OPERATIONS.map(([opcode]) => opcode)
  t.equal(new Set(opcodes).size, opcodes.length)
})

t.test('each row comes once, whatever the size of the replies', async t => {
  for (const opcode of [Opcode.READDIR, Opcode.READDIRPLUS])
    for (const size of [440, 1000, 4096, 65_536]) {
      const { conversation } = withFiles()
      const rows = list(conversation, opcode, size)
      const names = rows.map(row => row.name)
      t.strictSame(names.slice(0, 2), ['.', '..'], `opcode ${opcode}, ${size} bytes`)
      t.strictSame(names.slice(2).toSorted(), NAMES.toSorted())
      t.equal(rows.find(row => row.name === 'dir')?.type, 4, 'DT_DIR')
      t.equal(rows.find(row => row.name === 'a')?.type, 8, 'DT_REG')
    }
})

t.test('READDIRPLUS has attributes of all but . and .., each counted once', async t => {
  const { vfs, conversation } = withFiles()
  const rows = list(conversation, Opcode.READDIRPLUS, 1000)
  for (const { name, node, ino } of rows) {
    const isDot = name === '.' || name === '..'
    if (node !== (isDot ? 0 : ino)) t.fail(`${name}: attributes of ${node}`)
    if (vfs.rememberedCount(ino as InodeNumber) !== (isDot ? 0 : 1)) t.fail(`${name}: count`)
  }
  t.equal(rows.length, NAMES.length + 2)
})

t.test('a row whose inode is gone comes without attributes', async t => {
  const { vfs, conversation } = withFiles()
  const page = (offset: number): Fields => new Fields().u64(1, offset).u32(440, 0, 0, 0, 0, 0)
  conversation.ask(Opcode.READDIRPLUS, 1, page(0))
  for (const name of NAMES.filter(text => text.startsWith('n')))
    vfs.unlink({ parent: 1 as InodeNumber, name: name as never })
  const { body } = conversation.ask(Opcode.READDIRPLUS, 1, page(10))
  const rows = rowsOf(body, true)
  t.ok(rows.length > 0)
  t.ok(rows.every(row => row.name.startsWith('n') && row.node === 0))
})

t.test('a reply too short for one row is EINVAL, not the end', async t => {
  const { conversation } = withFiles()
  const fields = new Fields().u64(1, 0).u32(16, 0, 0, 0, 0, 0)
  t.equal(conversation.ask(Opcode.READDIR, 1, fields).errno, EINVAL)
})

t.test('FSYNCDIR and RELEASEDIR', async t => {
  const { vfs, conversation } = withFiles()
  const about = (): Fields => new Fields().u64(1).u32(0, 0).u64(0)
  const unique = conversation.send(Opcode.FSYNCDIR, 1, about())
  await new Promise(resolve => setImmediate(resolve))
  t.equal(conversation.replyTo(unique)?.errno, 0)
  t.equal(conversation.ask(Opcode.RELEASEDIR, 1, about()).errno, 0)
  t.equal(vfs.handleCount, 0)
})
