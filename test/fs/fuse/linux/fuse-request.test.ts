/**
 * Goal: each request of the kernel is decoded exactly.
 * Method: golden vectors made from the kernel's own header by test/golden/fuse-messages.c; then
 * the same cut short at every length, which must fail with EINVAL and nothing else.
 */
import t from 'tap'
import { Opcode } from '../../../../src/fs/fuse/linux/fuse-protocol.ts'
import { FuseRequest } from '../../../../src/fs/fuse/linux/fuse-request.ts'
import { FsError } from '../../../../src/fs/fs-error.ts'
import { goldenVector } from '../../../support/golden-vector.ts'

const NODE = 0x2_0000_0003
const HANDLE = 0x3_0000_0004
const OFFSET = 0x4_0000_0005

interface Case {
  readonly vector: string
  readonly opcode: number
  readonly decode: (request: FuseRequest) => unknown
  readonly decoded: unknown
}

const place = (name: string): unknown => ({ parent: NODE, name })
const places = { from: place('a'), to: { parent: 8, name: 'bc' } }
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))

const CASES: readonly Case[] = [
  {
    vector: 'lookup of a name that is not UTF-8',
    opcode: Opcode.LOOKUP,
    decode: request => request.place(),
    decoded: place('caf\xe9\xff')
  },
  {
    vector: 'forget',
    opcode: Opcode.FORGET,
    decode: request => request.forget(),
    decoded: { ino: NODE, count: 0x5_0000_0006 }
  },
  {
    vector: 'batch forget',
    opcode: Opcode.BATCH_FORGET,
    decode: request => request.batchForget(),
    decoded: [
      { ino: 7, count: 1 },
      { ino: 0x6_0000_0007, count: 2 }
    ]
  },
  {
    vector: 'setattr of everything',
    opcode: Opcode.SETATTR,
    decode: request => request.setattr(),
    decoded: {
      changes: {
        mode: 0o4755,
        uid: 5,
        gid: 0xffff_fffe,
        size: OFFSET,
        atime: { sec: -2, nsec: 999_999_999 },
        mtime: { sec: 0x1_0000_0001, nsec: 1 }
      },
      isChown: true
    }
  },
  {
    vector: 'setattr to now',
    opcode: Opcode.SETATTR,
    decode: request => request.setattr(),
    decoded: { changes: { atime: 'now', mtime: 'now' }, isChown: false }
  },
  {
    vector: 'setattr of mtime alone',
    opcode: Opcode.SETATTR,
    decode: request => request.setattr(),
    decoded: { changes: { mtime: { sec: -1, nsec: 500_000_000 } }, isChown: false }
  },
  {
    vector: 'setattr that cuts and kills privileges',
    opcode: Opcode.SETATTR,
    decode: request => request.setattr(),
    decoded: { changes: { size: 0, killPrivileges: true }, isChown: false }
  },
  {
    vector: 'chown to -1 and -1',
    opcode: Opcode.SETATTR,
    decode: request => request.setattr(),
    decoded: { changes: {}, isChown: true }
  },
  {
    vector: 'symlink',
    opcode: Opcode.SYMLINK,
    decode: request => request.symlink(),
    decoded: { place: place('name'), target: bytes('../target') }
  },
  {
    vector: 'mknod',
    opcode: Opcode.MKNOD,
    decode: request => request.mknod(),
    decoded: { place: place('null'), mode: 0o020600, rdev: 0x103 }
  },
  {
    vector: 'mkdir',
    opcode: Opcode.MKDIR,
    decode: request => request.mkdir(),
    decoded: { place: place('d'), mode: 0o1755 }
  },
  {
    vector: 'unlink',
    opcode: Opcode.UNLINK,
    decode: request => request.place(),
    decoded: place('gone')
  },
  {
    vector: 'rename',
    opcode: Opcode.RENAME,
    decode: request => request.rename(),
    decoded: { ...places, mode: 'replace' }
  },
  {
    vector: 'rename without replacing',
    opcode: Opcode.RENAME2,
    decode: request => request.rename2(),
    decoded: { ...places, mode: 'noreplace' }
  },
  {
    vector: 'rename that exchanges',
    opcode: Opcode.RENAME2,
    decode: request => request.rename2(),
    decoded: { ...places, mode: 'exchange' }
  },
  {
    vector: 'link',
    opcode: Opcode.LINK,
    decode: request => request.link(),
    decoded: { ino: 0x6_0000_0007, place: place('l') }
  },
  {
    vector: 'open',
    opcode: Opcode.OPEN,
    decode: request => request.open(),
    decoded: { flags: 0o1002, killPrivileges: true }
  },
  {
    vector: 'create',
    opcode: Opcode.CREATE,
    decode: request => request.create(),
    decoded: { place: place('new'), mode: 0o100644, flags: 0o201 }
  },
  {
    vector: 'read',
    opcode: Opcode.READ,
    decode: request => request.read(),
    decoded: { handle: HANDLE, offset: OFFSET, size: 131_072 }
  },
  {
    vector: 'write',
    opcode: Opcode.WRITE,
    decode: request => request.write(),
    decoded: {
      handle: HANDLE,
      offset: OFFSET,
      data: bytes('abc'),
      append: false,
      killPrivileges: true
    }
  },
  {
    vector: 'write that appends',
    opcode: Opcode.WRITE,
    decode: request => request.write(),
    decoded: { handle: HANDLE, offset: 1, data: bytes('a'), append: true, killPrivileges: false }
  },
  {
    vector: 'write of a mapped page through a handle that appends',
    opcode: Opcode.WRITE,
    decode: request => request.write(),
    decoded: { handle: HANDLE, offset: 1, data: bytes('a'), append: false, killPrivileges: false }
  },
  {
    vector: 'release',
    opcode: Opcode.RELEASE,
    decode: request => request.handle(),
    decoded: HANDLE
  },
  {
    vector: 'setxattr that creates',
    opcode: Opcode.SETXATTR,
    decode: request => request.setxattr(),
    decoded: { name: 'user.a', value: bytes('x\0y'), mode: 'create' }
  },
  {
    vector: 'getxattr',
    opcode: Opcode.GETXATTR,
    decode: request => request.getxattr(),
    decoded: { name: 'user.a', size: 64 }
  },
  {
    vector: 'listxattr',
    opcode: Opcode.LISTXATTR,
    decode: request => request.listxattr(),
    decoded: 65_536
  },
  {
    vector: 'init',
    opcode: Opcode.INIT,
    decode: request => request.init(),
    decoded: { major: 7, minor: 38, maxReadaheadBytes: 131_072, flags: 0x4000_0001, flags2: 8 }
  },
  {
    vector: 'init of an older kernel',
    opcode: Opcode.INIT,
    decode: request => request.init(),
    decoded: { major: 7, minor: 31, maxReadaheadBytes: 65_536, flags: 1, flags2: 0 }
  },
  {
    vector: 'interrupt',
    opcode: Opcode.INTERRUPT,
    decode: request => request.interrupt(),
    decoded: 0x7_0000_0008
  },
  {
    vector: 'fallocate',
    opcode: Opcode.FALLOCATE,
    decode: request => request.fallocate(),
    decoded: { handle: HANDLE, mode: 3, offset: OFFSET, length: 4096 }
  },
  {
    vector: 'lseek to data',
    opcode: Opcode.LSEEK,
    decode: request => request.lseek(),
    decoded: { handle: HANDLE, offset: OFFSET, whence: 'data' }
  },
  {
    vector: 'lseek to a hole',
    opcode: Opcode.LSEEK,
    decode: request => request.lseek(),
    decoded: { handle: HANDLE, offset: OFFSET, whence: 'hole' }
  },
  {
    vector: 'copy file range',
    opcode: Opcode.COPY_FILE_RANGE,
    decode: request => request.copyFileRange(),
    decoded: {
      from: { handle: HANDLE, offset: OFFSET },
      to: { handle: 0x8_0000_0009, offset: 11 },
      length: 0x9_0000_000a
    }
  }
]

/** A request object over a buffer that holds `message` and, behind it, an older request. */
function loaded(message: Uint8Array): { request: FuseRequest; isWellFormed: boolean } {
  const buffer = new Uint8Array(4096).fill(0x5a)
  buffer.set(message)
  const request = new FuseRequest(buffer)
  return { request, isWellFormed: request.load(message.length) }
}

t.test('load() takes in the header', async t => {
  const { request, isWellFormed } = loaded(goldenVector('fuse-request', 'unlink'))
  t.ok(isWellFormed)
  const { opcode, unique, node, uid, gid } = request
  t.strictSame(
    { opcode, unique, node, uid, gid },
    { opcode: Opcode.UNLINK, unique: 0x1_0000_0002, node: NODE, uid: 1000, gid: 1001 }
  )
})

t.test('each request is decoded exactly', async t => {
  for (const { vector, opcode, decode, decoded } of CASES) {
    const { request, isWellFormed } = loaded(goldenVector('fuse-request', vector))
    t.ok(isWellFormed, `${vector}: well formed`)
    t.equal(request.opcode, opcode, `${vector}: opcode`)
    t.strictSame(decode(request), decoded, vector)
  }
})

t.test('a request that is cut short fails with EINVAL', async t => {
  for (const { vector, decode, decoded } of CASES) {
    const whole = goldenVector('fuse-request', vector)
    for (let length = 40; length < whole.length; length++) {
      const cut = whole.slice(0, length)
      new DataView(cut.buffer).setUint32(0, length, true)
      const { request } = loaded(cut)
      try {
        const got = decode(request)
        // Of INIT an older, shorter form is right too; fields that nobody reads may be missing.
        if (vector !== 'init' && vector !== 'release')
          t.strictSame(got, decoded, `${vector} cut to ${length}: ${JSON.stringify(got)}`)
      } catch (error) {
        if (!(error instanceof FsError) || error.code !== 'EINVAL')
          t.fail(`${vector} cut to ${length}: ${String(error)}`)
      }
    }
  }
})

t.test('what nobody may ask is EINVAL', async t => {
  const decodings: readonly (readonly [string, (request: FuseRequest) => unknown])[] = [
    ['rename with a whiteout', request => request.rename2()],
    ['lseek to the end', request => request.lseek()]
  ]
  for (const [vector, decode] of decodings) {
    const { request } = loaded(goldenVector('fuse-request', vector))
    t.throws(() => decode(request), { code: 'EINVAL' }, vector)
  }
})

t.test('load() refuses a header that is short or lies about the length', async t => {
  const whole = goldenVector('fuse-request', 'unlink')
  for (let length = 0; length < whole.length; length++)
    t.notOk(loaded(whole.slice(0, length)).isWellFormed, `${length} bytes`)
  const { request } = loaded(whole.slice(0, 16))
  t.equal(request.unique, 0x1_0000_0002, 'the number to answer to is still known')
  t.equal(loaded(whole.slice(0, 15)).request.unique, 0)
})
