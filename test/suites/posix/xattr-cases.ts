/**
 * Extended attributes, through the system calls: the tools for them are often not installed.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { linkSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import type { PosixCase } from './posix-case.ts'

/** See the module. */
export const xattrCases: readonly PosixCase[] = [
  {
    name: 'setxattr(), getxattr(), listxattr() and removexattr() of a file and a directory',
    async run(c) {
      writeFileSync(c.path('f'), '')
      mkdirSync(c.path('d'))
      const result = await c.python(`
result = []
for path in ('f', 'd'):
    os.setxattr(path, 'user.one', b'value')
    os.setxattr(path, 'user.two', bytes(range(256)))
    os.setxattr(path, 'user.empty', b'')
    os.setxattr(path, 'user.one', b'changed')
    result += [os.getxattr(path, 'user.one').decode(), os.getxattr(path, 'user.two') == bytes(range(256)),
        os.getxattr(path, 'user.empty').decode(), sorted(os.listxattr(path))]
    os.removexattr(path, 'user.two')
    result += [errno_of(os.getxattr, path, 'user.two'), errno_of(os.removexattr, path, 'user.two'), len(os.listxattr(path))]
`)
      const names = ['user.empty', 'user.one', 'user.two']
      const each = ['changed', true, '', names, 'ENODATA', 'ENODATA', 2]
      assert.deepEqual(result, [...each, ...each])
    }
  },
  {
    name: 'XATTR_CREATE and XATTR_REPLACE ask what is there',
    async run(c) {
      writeFileSync(c.path('f'), '')
      const result = await c.python(`
result = [errno_of(os.setxattr, 'f', 'user.x', b'1', os.XATTR_REPLACE), errno_of(os.setxattr, 'f', 'user.x', b'1', os.XATTR_CREATE),
    errno_of(os.setxattr, 'f', 'user.x', b'2', os.XATTR_CREATE), errno_of(os.setxattr, 'f', 'user.x', b'3', os.XATTR_REPLACE),
    os.getxattr('f', 'user.x').decode()]
`)
      assert.deepEqual(result, ['ENODATA', 'ok', 'EEXIST', 'ok', '3'])
    }
  },
  {
    name: 'getxattr() and listxattr() answer size 0 with the size, a short buffer with ERANGE',
    async run(c) {
      writeFileSync(c.path('f'), '')
      const result = await c.python(`
os.setxattr('f', 'user.x', b'0123456789')
os.setxattr('f', 'user.longer', b'')
buffer = ctypes.create_string_buffer(100)
def answer(value):
    return value if value >= 0 else errno.errorcode[ctypes.get_errno()]
result = [answer(libc.getxattr(b'f', b'user.x', None, 0)), answer(libc.getxattr(b'f', b'user.x', buffer, 5)),
    answer(libc.getxattr(b'f', b'user.x', buffer, 10)), buffer.raw[:10].decode(),
    answer(libc.listxattr(b'f', None, 0)), answer(libc.listxattr(b'f', buffer, 5)), answer(libc.listxattr(b'f', buffer, 100))]
`)
      assert.deepEqual(result, [10, 'ERANGE', 10, '0123456789', 19, 'ERANGE', 19])
    }
  },
  {
    name: 'names: 255 bytes, ERANGE above, EOPNOTSUPP outside the name spaces',
    async run(c) {
      writeFileSync(c.path('f'), '')
      const result = await c.python(`
longest = 'user.' + 'x' * 250
result = [errno_of(os.setxattr, 'f', longest, b'v'), os.listxattr('f') == [longest], errno_of(os.setxattr, 'f', longest + 'y', b'v'),
    errno_of(os.setxattr, 'f', 'nonsense.x', b'v'), errno_of(os.setxattr, 'f', 'plain', b'v'), errno_of(os.getxattr, 'f', 'nonsense.x')]
`)
      assert.deepEqual(result, ['ok', true, 'ERANGE', 'EOPNOTSUPP', 'EOPNOTSUPP', 'EOPNOTSUPP'])
    }
  },
  {
    name: 'user attributes belong to files and directories only: EPERM',
    async run(c) {
      writeFileSync(c.path('f'), '')
      symlinkSync('f', c.path('l'))
      await c.run('mkfifo', 'p')
      const result = await c.python(`
result = [errno_of(os.setxattr, 'l', 'user.x', b'v', follow_symlinks=False), errno_of(os.setxattr, 'p', 'user.x', b'v'),
    errno_of(os.setxattr, 'l', 'user.x', b'v'), os.listxattr('f')]
`)
      assert.deepEqual(result, ['EPERM', 'EPERM', 'ok', ['user.x']])
    }
  },
  {
    name: 'trusted and security attributes are kept, for root',
    async run(c) {
      c.needsRoot('sets them')
      writeFileSync(c.path('f'), '')
      const result = await c.python(`
os.setxattr('f', 'trusted.x', b't')
os.setxattr('f', 'security.x', b's')
result = [sorted(os.listxattr('f')), os.getxattr('f', 'trusted.x').decode(), os.getxattr('f', 'security.x').decode()]
`)
      assert.deepEqual(result, [['security.x', 'trusted.x'], 't', 's'])
    }
  },
  {
    name: 'attributes follow the file through rename(), link() and cp -a',
    async run(c) {
      writeFileSync(c.path('f'), 'content')
      await c.python(`os.setxattr('f', 'user.x', b'value')`)
      linkSync(c.path('f'), c.path('g'))
      renameSync(c.path('f'), c.path('h'))
      await c.run('cp', '-a', '--preserve=xattr', 'h', 'copy')
      const read = `result = [os.getxattr(name, 'user.x').decode() for name in ('g', 'h', 'copy')]`
      assert.deepEqual(await c.python(read), ['value', 'value', 'value'])
    }
  },
  {
    name: 'forty attributes on one file',
    async run(c) {
      writeFileSync(c.path('f'), '')
      const result = await c.python(`
names = ['user.name-%d' % number for number in range(40)]
for name in names: os.setxattr('f', name, name.encode())
result = [sorted(os.listxattr('f')) == sorted(names), all(os.getxattr('f', name) == name.encode() for name in names)]
`)
      assert.deepEqual(result, [true, true])
    }
  },
  {
    name: 'a value of 64 KiB is kept, one byte more is E2BIG',
    async run(c) {
      writeFileSync(c.path('f'), '')
      const result = await c.python(`
value = os.urandom(65536)
result = [errno_of(os.setxattr, 'f', 'user.x', value), errno_of(os.setxattr, 'f', 'user.x', value + b'x'),
    os.getxattr('f', 'user.x') == value]
`)
      assert.deepEqual(result, ['ok', 'E2BIG', true])
    }
  },
  {
    name: 'names of 64 KiB in all are listed, one more is ENOSPC',
    async run(c) {
      writeFileSync(c.path('f'), '')
      const result = await c.python(`
names = ['user.%0250d' % number for number in range(256)]
for name in names: os.setxattr('f', name, b'')
result = [len(os.listxattr('f')), errno_of(os.setxattr, 'f', 'user.more', b'')]
`)
      assert.deepEqual(result, [256, 'ENOSPC'])
    }
  }
]
