/**
 * Each reply has the bytes that the kernel's own header gives it: golden vectors made by
 * test/golden/fuse-messages.c.
 */
import t from 'tap'
import {
  COPIED_BYTES_MAX,
  FuseReply,
  REPLY_PARTS_MAX
} from '../../../../src/fs/fuse/linux/fuse-reply.ts'
import { REPLY_BUFFER_BYTES } from '../../../../src/fs/fuse/linux/fuse-protocol.ts'
import type { Attributes, HandleId, InodeNumber } from '../../../../src/fs/vfs.ts'
import type { Name } from '../../../../src/sync/operation.ts'
import { toHex } from '../../../support/bytes.ts'
import { goldenVector } from '../../../support/golden-vector.ts'

const OFFSET = 0x4_0000_0005
const UNIQUE = 0x1_0000_0002
const HANDLE = 0x3_0000_0004 as HandleId
const KEEP_CACHE = 2
const FILE = 0o100000
const DIRECTORY = 0o040000

const ATTRIBUTES: Attributes = {
  ino: 0x2_0000_0003 as InodeNumber,
  size: OFFSET,
  blocks: 0x3_0000_0001,
  atime: { sec: -2, nsec: 999_999_999 },
  mtime: { sec: 1, nsec: 0 },
  ctime: { sec: 0x1_0000_0000, nsec: 7 },
  mode: 0o100644,
  nlink: 2,
  uid: 1000,
  gid: 0xffff_fffe,
  rdev: 0x103
}

const name = (text: string): Name => text as Name
const row = (text: string, ino: number, nextOffset: number, type: number) => ({
  name: name(text),
  ino: ino as InodeNumber,
  nextOffset,
  type
})

/** Encodes into a buffer that is full of an older reply. */
function encoded(encode: (reply: FuseReply) => number, errno = 0): string {
  const bytes = new Uint8Array(REPLY_BUFFER_BYTES).fill(0x5a)
  const reply = new FuseReply(bytes)
  const length = reply.finish(UNIQUE, encode(reply), errno)
  return toHex(Buffer.concat([bytes.subarray(0, length), ...(reply.takeParts() ?? [])]))
}

const CASES: Readonly<Record<string, (reply: FuseReply) => number>> = {
  nothing: () => 0,
  init: reply =>
    reply.init({
      minor: 38,
      maxReadaheadBytes: 1_048_576,
      flags: 0x4000_0001,
      flags2: 8,
      maxBackground: 4096
    }),
  entry: reply => reply.entry(ATTRIBUTES),
  'no entry': reply => reply.noEntry(),
  attributes: reply => reply.attributes(ATTRIBUTES),
  opened: reply => reply.opened(HANDLE, KEEP_CACHE),
  created: reply => reply.created(ATTRIBUTES, HANDLE, KEEP_CACHE),
  count: reply => reply.count(4096),
  'wide count': reply => reply.wideCount(OFFSET),
  statfs: reply =>
    reply.statfs({
      blockBytes: 4096,
      blocks: OFFSET,
      blocksFree: 5,
      blocksAvailable: 4,
      inodes: 3,
      inodesFree: 2
    }),
  names: reply => reply.names([name('a'), name('bc')]),
  bytes: reply => reply.bytes(Buffer.from('target')),
  directory: reply => {
    const first = reply.directoryEntry(0, 4096, row('.', 1, 1, DIRECTORY)) ?? 0
    return reply.directoryEntry(first, 4096, row('caf\xe9\xff-8', 0x2_0000_0003, OFFSET, FILE)) ?? 0
  },
  'directory with attributes': reply => {
    const first = reply.directoryEntryPlus(0, 4096, row('.', 1, 1, DIRECTORY), () => undefined) ?? 0
    const second = row('12345678', 0x2_0000_0003, 3, FILE)
    return reply.directoryEntryPlus(first, 4096, second, () => ATTRIBUTES) ?? 0
  }
}

t.test('each reply has the bytes of the golden vector', async t => {
  for (const [vector, encode] of Object.entries(CASES))
    t.equal(encoded(encode), toHex(goldenVector('fuse-reply', vector)), vector)
  const failure = encoded(() => 0, 2)
  t.equal(failure, toHex(goldenVector('fuse-reply', 'failure')), 'failure')
})

t.test('data() sends the bytes of all parts, copied or not', async t => {
  const partsOf = (count: number, size: number): Uint8Array[] =>
    Array.from({ length: count }, (_, index) => new Uint8Array(size).fill(index))
  for (const { count, size, isCopied } of [
    { count: 0, size: 0, isCopied: true },
    { count: 1, size: COPIED_BYTES_MAX, isCopied: true },
    { count: 1, size: COPIED_BYTES_MAX + 1, isCopied: false },
    { count: REPLY_PARTS_MAX, size: 4096, isCopied: false },
    { count: REPLY_PARTS_MAX + 1, size: 4000, isCopied: true }
  ]) {
    const parts = partsOf(count, size)
    const bytes = new Uint8Array(REPLY_BUFFER_BYTES).fill(0x5a)
    const reply = new FuseReply(bytes)
    const length = reply.finish(UNIQUE, reply.data(parts, count * size), 0)
    const rest = reply.takeParts()
    const sent = Buffer.concat([bytes.subarray(0, length), ...(rest ?? [])])
    t.equal(rest === undefined, isCopied, `${count} parts of ${size}`)
    t.equal(sent.readUInt32LE(0), 16 + count * size, 'the header says how long it is')
    t.ok(sent.subarray(16).equals(Buffer.concat(parts)), 'the bytes are those of the parts')
    t.equal(reply.takeParts(), undefined, 'parts are sent once')
  }
  const reply = new FuseReply(new Uint8Array(REPLY_BUFFER_BYTES))
  t.throws(() => reply.data(partsOf(2, 10), 19), RangeError, 'more than was asked for')
})

t.test('a row that does not fit is left out and its attributes are not asked for', async t => {
  const reply = new FuseReply(new Uint8Array(REPLY_BUFFER_BYTES))
  const entry = row('12345678', 1, 1, FILE)
  t.equal(reply.directoryEntry(0, 31, entry), undefined)
  t.equal(reply.directoryEntry(0, 32, entry), 32)
  const neverAsked = (): undefined => {
    throw new Error('asked for attributes')
  }
  t.equal(reply.directoryEntryPlus(8, 167, entry, neverAsked), undefined)
  t.equal(
    reply.directoryEntryPlus(8, 168, entry, () => ATTRIBUTES),
    168
  )
})
