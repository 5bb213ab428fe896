/**
 * Extended attributes: what setfattr and getfattr rely on, and the limits of Linux.
 *
 * @module
 */
import { S_IFIFO, XATTR_VALUE_BYTES_MAX } from '../../../src/fs/vfs.ts'
import type { Name } from '../../../src/sync/operation.ts'
import { bytesOf, nameOf, patternBytes } from '../../support/vfs-session.ts'
import { failsWith, type VfsCase, type VfsCaseSession, sameBytes } from './vfs-case.ts'

const USER = nameOf('user.test')

async function file(s: VfsCaseSession) {
  await s.writeFile('f', 'content')
  return s.ino('f')
}

/** See the module. */
export const xattrCases: readonly VfsCase[] = [
  {
    name: 'setxattr() then getxattr(), listxattr() and removexattr()',
    async run(t, s) {
      const ino = await file(s)
      t.same([...s.vfs.listxattr(ino)], [])
      s.vfs.setxattr(ino, USER, bytesOf('value'), 'set')
      s.vfs.setxattr(ino, nameOf('user.other'), bytesOf('x'), 'set')
      sameBytes(t, await s.vfs.getxattr(ino, USER), bytesOf('value'))
      t.same([...s.vfs.listxattr(ino)].toSorted(), ['user.other', 'user.test'])
      s.vfs.setxattr(ino, USER, bytesOf('another value'), 'set')
      sameBytes(t, await s.vfs.getxattr(ino, USER), bytesOf('another value'))
      s.vfs.removexattr(ino, USER)
      await failsWith(t, 'ENODATA', () => s.vfs.getxattr(ino, USER), 'removed')
      await failsWith(t, 'ENODATA', () => s.vfs.removexattr(ino, USER), 'twice')
      t.same([...s.vfs.listxattr(ino)], ['user.other'])
    }
  },
  {
    name: 'setxattr(create) and setxattr(replace) ask what is there',
    async run(t, s) {
      const ino = await file(s)
      const set = (mode: 'create' | 'replace', value: string) => () =>
        s.vfs.setxattr(ino, USER, bytesOf(value), mode)
      await failsWith(t, 'ENODATA', set('replace', 'no'), 'replace nothing')
      set('create', 'one')()
      await failsWith(t, 'EEXIST', set('create', 'no'), 'create again')
      set('replace', 'two')()
      sameBytes(t, await s.vfs.getxattr(ino, USER), bytesOf('two'))
    }
  },
  {
    name: 'values: empty, any bytes, and to 64 KiB',
    async run(t, s) {
      const ino = await file(s)
      for (const size of [0, 1, 256, 4096, XATTR_VALUE_BYTES_MAX]) {
        const value = patternBytes(size, size + 1)
        s.vfs.setxattr(ino, USER, value, 'set')
        sameBytes(t, await s.vfs.getxattr(ino, USER), value, `${size} bytes`)
      }
      const tooLarge = new Uint8Array(XATTR_VALUE_BYTES_MAX + 1)
      const set = () => s.vfs.setxattr(ino, USER, tooLarge, 'set')
      await failsWith(t, 'E2BIG', set, '64 KiB and one byte')
      t.equal(
        (await s.vfs.getxattr(ino, USER)).length,
        XATTR_VALUE_BYTES_MAX,
        'the old value stays'
      )
    }
  },
  {
    name: 'setxattr() keeps its own copy of the value',
    async run(t, s) {
      const ino = await file(s)
      const value = bytesOf('before')
      s.vfs.setxattr(ino, USER, value, 'set')
      value.fill(0)
      sameBytes(t, await s.vfs.getxattr(ino, USER), bytesOf('before'))
    }
  },
  {
    name: 'names: user, security and trusted are kept, others EOPNOTSUPP',
    async run(t, s) {
      const ino = await file(s)
      for (const name of ['user.a', 'security.a', 'trusted.a', 'user.\xff\x01'] as Name[]) {
        s.vfs.setxattr(ino, name, bytesOf(name), 'set')
        sameBytes(t, await s.vfs.getxattr(ino, name), bytesOf(name))
      }
      const refused = [
        'system.posix_acl_access',
        'system.posix_acl_default',
        'system.x',
        'security.selinux',
        'os2.x',
        'user',
        'nonsense'
      ]
      for (const name of refused.map(nameOf)) {
        const set = () => s.vfs.setxattr(ino, name, bytesOf('x'), 'set')
        await failsWith(t, 'EOPNOTSUPP', set, `set ${name}`)
        await failsWith(t, 'EOPNOTSUPP', () => s.vfs.getxattr(ino, name), `get ${name}`)
        await failsWith(t, 'EOPNOTSUPP', () => s.vfs.removexattr(ino, name), `remove ${name}`)
      }
      t.equal(s.vfs.listxattr(ino).length, 4)
    }
  },
  {
    name: 'names: to 255 bytes, not empty, not a bare prefix',
    async run(t, s) {
      const ino = await file(s)
      const longest = nameOf('user.' + 'x'.repeat(250))
      s.vfs.setxattr(ino, longest, bytesOf('v'), 'set')
      t.same([...s.vfs.listxattr(ino)], [longest])
      const set = (name: string) => () => s.vfs.setxattr(ino, nameOf(name), bytesOf('v'), 'set')
      await failsWith(t, 'ERANGE', set(`${longest}x`), '256 bytes')
      await failsWith(t, 'ERANGE', set(''), 'empty')
      await failsWith(t, 'EINVAL', set('user.'), 'a bare prefix')
      await failsWith(t, 'ERANGE', () => s.vfs.getxattr(ino, nameOf('')), 'get of the empty name')
    }
  },
  {
    name: 'names: as many as a list of 64 KiB holds, then ENOSPC',
    async run(t, s) {
      const ino = await file(s)
      const name = (index: number) => nameOf(`user.${String(index).padStart(250, '0')}`)
      for (let index = 0; index < 256; index++) s.vfs.setxattr(ino, name(index), bytesOf(''), 'set')
      t.equal(s.vfs.listxattr(ino).length, 256)
      const set = () => s.vfs.setxattr(ino, nameOf('user.x'), bytesOf('v'), 'set')
      await failsWith(t, 'ENOSPC', set, 'one more name')
      s.vfs.setxattr(ino, name(7), bytesOf('changed'), 'set')
      sameBytes(t, await s.vfs.getxattr(ino, name(7)), bytesOf('changed'))
      s.vfs.removexattr(ino, name(3))
      set()
    }
  },
  {
    name: 'every kind of node has attributes of its own, which go with it',
    async run(t, s) {
      await file(s)
      s.mkdir('d')
      s.vfs.symlink(s.place('l'), bytesOf('t'), s.caller)
      s.vfs.mknod(s.place('p'), { mode: S_IFIFO | 0o600, rdev: 0 }, s.caller)
      const name = nameOf('trusted.which')
      for (const path of ['f', 'd', 'l', 'p', '']) {
        s.vfs.setxattr(s.ino(path), name, bytesOf(`at ${path}`), 'set')
      }
      for (const path of ['f', 'd', 'l', 'p', '']) {
        sameBytes(t, await s.vfs.getxattr(s.ino(path), name), bytesOf(`at ${path}`))
      }
      s.vfs.unlink(s.place('f'))
      await s.writeFile('f', 'new')
      t.same([...s.vfs.listxattr(s.ino('f'))], [], 'a new file has none')
    }
  },
  {
    name: 'attributes follow the inode through link() and rename()',
    async run(t, s) {
      const ino = await file(s)
      s.vfs.setxattr(ino, USER, bytesOf('value'), 'set')
      s.vfs.link(ino, s.place('g'))
      s.vfs.rename(s.place('f'), s.place('h'), 'replace')
      s.vfs.setxattr(s.ino('g'), USER, bytesOf('changed'), 'replace')
      sameBytes(t, await s.vfs.getxattr(s.ino('h'), USER), bytesOf('changed'))
    }
  }
]
