/**
 * Names: looking up, making and removing them.
 *
 * @module
 */
import {
  O_RDONLY,
  O_RDWR,
  ROOT_INODE,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type InodeNumber
} from '../../../src/fs/vfs.ts'
import { NAME_BYTES_MAX, TARGET_BYTES_MAX, type Name } from '../../../src/sync/operation.ts'
import { bytesOf, nameOf, textOf } from '../../support/vfs-session.ts'
import { failsWith, type VfsCase, type VfsCaseSession, sameBytes } from './vfs-case.ts'

const NOWHERE = Number.MAX_SAFE_INTEGER as InodeNumber

/** A way to make a name; for behaviour that all of them share. */
type Maker = readonly [name: string, make: (s: VfsCaseSession, path: string) => unknown]

const MAKERS: readonly Maker[] = [
  ['create', (s, path) => s.create(path, O_RDWR)],
  ['mkdir', (s, path) => s.mkdir(path)],
  ['symlink', (s, path) => s.vfs.symlink(s.place(path), bytesOf('t'), s.caller)],
  ['mknod', (s, path) => s.vfs.mknod(s.place(path), { mode: S_IFIFO | 0o600, rdev: 0 }, s.caller)],
  ['link', (s, path) => s.vfs.link(s.ino('source'), s.place(path))]
]

async function withSource(s: VfsCaseSession): Promise<void> {
  await s.writeFile('source', 'source')
}

/** See the module. */
export const nameCases: readonly VfsCase[] = [
  {
    name: 'the root is a directory, inode 1, with two links and no names',
    run(t, s) {
      const root = s.vfs.getattr(ROOT_INODE)
      t.equal(root.ino, 1)
      t.equal(root.mode & S_IFMT, S_IFDIR)
      t.equal(root.nlink, 2)
      t.same(s.names(''), [])
    }
  },
  {
    name: 'lookup() finds what was made, under its own inode number',
    async run(t, s) {
      const directory = s.mkdir('d')
      await s.writeFile('d/f', 'content')
      const file = s.stat('d/f')
      t.equal(s.stat('d').ino, directory.ino)
      t.not(file.ino, directory.ino)
      t.equal(s.vfs.getattr(file.ino).ino, file.ino)
      t.equal(file.size, 7)
    }
  },
  {
    name: 'lookup() of . and .. stays at the root',
    run(t, s) {
      const inner = s.mkdir('d').ino
      t.equal(s.vfs.lookup({ parent: inner, name: nameOf('.') }).ino, inner)
      t.equal(s.vfs.lookup({ parent: inner, name: nameOf('..') }).ino, ROOT_INODE)
      t.equal(s.vfs.lookup({ parent: ROOT_INODE, name: nameOf('..') }).ino, ROOT_INODE)
    }
  },
  {
    name: 'lookup() fails with ENOENT, ENOTDIR and ENAMETOOLONG',
    async run(t, s) {
      await s.writeFile('f', '')
      await failsWith(t, 'ENOENT', () => s.stat('absent'), 'no such name')
      await failsWith(t, 'ENOTDIR', () => s.stat('f/x'), 'the parent is a file')
      const nowhere = { parent: NOWHERE, name: nameOf('x') }
      await failsWith(t, 'ENOENT', () => s.vfs.lookup(nowhere), 'the parent is no inode')
      await failsWith(t, 'ENAMETOOLONG', () => s.stat('x'.repeat(256)), '256 bytes')
    }
  },
  {
    name: 'names are told apart by every byte: case, composition and invalid UTF-8',
    run(t, s) {
      const names = ['a', 'A', 'é', 'e\u0301'].map(nameOf)
      const raw = ['\xff', '\xc3', '\xc3\x28', '\x01', ' ', '\n', '\\', '\x80'] as Name[]
      const all = [...names, ...raw]
      for (const name of all) s.vfs.mkdir({ parent: ROOT_INODE, name }, 0o700, s.caller)
      const listed = s.rows(ROOT_INODE).map(row => row.name)
      t.same(listed.slice(2).toSorted(), all.toSorted())
      for (const name of all) s.vfs.rmdir({ parent: ROOT_INODE, name })
      t.same(s.names(''), [])
    }
  },
  {
    name: 'a name may have 255 bytes and not 256, whatever makes it',
    async run(t, s) {
      await withSource(s)
      const longest = 'ä'.repeat(127) + 'x'
      for (const [maker, make] of MAKERS) {
        await make(s, longest)
        t.ok(s.exists(longest), `${maker} of ${NAME_BYTES_MAX} bytes`)
        if (maker === 'mkdir') s.vfs.rmdir(s.place(longest))
        else s.vfs.unlink(s.place(longest))
        await failsWith(t, 'ENAMETOOLONG', () => make(s, longest + 'x'), `${maker} of 256 bytes`)
      }
      const rename = () => s.vfs.rename(s.place('source'), s.place('x'.repeat(256)), 'replace')
      await failsWith(t, 'ENAMETOOLONG', rename, 'rename to 256 bytes')
    }
  },
  {
    name: 'a name that cannot be is refused, whatever makes it',
    async run(t, s) {
      await withSource(s)
      const before = s.names('')
      for (const [maker, make] of MAKERS) {
        for (const bad of ['.', '..']) {
          await failsWith(t, 'EEXIST', () => make(s, bad), `${maker} of ${bad}`)
        }
        await failsWith(t, 'ENOENT', () => make(s, ''), `${maker} of the empty name`)
        await failsWith(t, 'EINVAL', () => make(s, 'a\0b'), `${maker} of a name with a zero byte`)
      }
      t.same(s.names(''), before)
    }
  },
  {
    name: 'nothing is made over an existing name of any kind',
    async run(t, s) {
      await withSource(s)
      s.mkdir('directory')
      s.vfs.symlink(s.place('symlink'), bytesOf('nowhere'), s.caller)
      for (const [maker, make] of MAKERS) {
        for (const taken of ['source', 'directory', 'symlink']) {
          await failsWith(t, 'EEXIST', () => make(s, taken), `${maker} over a ${taken}`)
        }
      }
      t.equal(await s.readFileText('source'), 'source')
    }
  },
  {
    name: 'nothing is made in a file, in no inode or in a removed directory',
    async run(t, s) {
      await withSource(s)
      const removed = s.mkdir('d').ino
      s.vfs.remember(removed)
      s.vfs.rmdir(s.place('d'))
      for (const [maker, make] of MAKERS) {
        await failsWith(t, 'ENOTDIR', () => make(s, 'source/x'), `${maker} in a file`)
      }
      const places = [removed, NOWHERE].map(parent => ({ parent, name: nameOf('x') }))
      for (const place of places) {
        const where = place.parent === removed ? 'in a removed directory' : 'in no inode'
        const attempts = [
          () => s.vfs.create(place, { mode: 0o644, flags: O_RDWR }, s.caller),
          () => s.vfs.mkdir(place, 0o755, s.caller),
          () => s.vfs.symlink(place, bytesOf('t'), s.caller),
          () => s.vfs.link(s.ino('source'), place),
          () => s.vfs.rename(s.place('source'), place, 'replace'),
          () => s.vfs.tmpfile(place.parent, { mode: 0o644, flags: O_RDWR }, s.caller)
        ]
        for (const attempt of attempts) await failsWith(t, 'ENOENT', attempt, where)
      }
      s.vfs.forget(removed, 1)
    }
  },
  {
    name: 'mknod() makes each type and keeps the device number of a device',
    async run(t, s) {
      const types = {
        file: S_IFREG,
        fifo: S_IFIFO,
        socket: S_IFSOCK,
        char: S_IFCHR,
        block: S_IFBLK
      }
      for (const [name, type] of Object.entries(types)) {
        const device = type === S_IFCHR || type === S_IFBLK
        const made = s.vfs.mknod(s.place(name), { mode: type | 0o4751, rdev: 0x0103 }, s.caller)
        t.equal(made.mode, type | 0o4751, `${name}: type and permission bits`)
        t.equal(made.rdev, device ? 0x0103 : 0, `${name}: device number`)
        t.equal(made.nlink, 1)
        t.same(s.stat(name), made)
      }
      await failsWith(
        t,
        'EPERM',
        () => s.vfs.mknod(s.place('d'), { mode: S_IFDIR | 0o755, rdev: 0 }, s.caller),
        'a directory'
      )
    }
  },
  {
    name: 'what is made belongs to the caller and has the mode that was asked for',
    async run(t, s) {
      const caller = { uid: 4_294_967_294, gid: 70_000 }
      const directory = s.vfs.mkdir(s.place('d'), 0o1711, caller)
      const { attributes: file, handle } = s.vfs.create(
        s.place('f'),
        { mode: S_IFREG | 0o6640, flags: O_RDWR },
        caller
      )
      await s.vfs.release(handle)
      const symlink = s.vfs.symlink(s.place('l'), bytesOf('target'), caller)
      for (const made of [directory, file, symlink]) {
        t.equal(made.uid, caller.uid)
        t.equal(made.gid, caller.gid)
      }
      t.equal(directory.mode, S_IFDIR | 0o1711)
      t.equal(file.mode, S_IFREG | 0o6640)
      t.equal(symlink.mode, S_IFLNK | 0o777)
      t.equal(directory.nlink, 2)
      t.equal(file.nlink, 1)
    }
  },
  {
    name: 'a set-group-ID directory hands its group down, and the bit to directories',
    async run(t, s) {
      s.mkdir('d')
      await s.vfs.setattr(s.ino('d'), { mode: 0o2775, gid: 777 })
      const directory = s.mkdir('d/sub', 0o700)
      const file = s.vfs.mknod(s.place('d/f'), { mode: S_IFREG | 0o644, rdev: 0 }, s.caller)
      const symlink = s.vfs.symlink(s.place('d/l'), bytesOf('t'), s.caller)
      t.same(
        [directory, file, symlink].map(made => made.gid),
        [777, 777, 777]
      )
      t.equal(directory.mode, S_IFDIR | 0o2700)
      t.equal(file.mode, S_IFREG | 0o644)
      t.equal(file.uid, s.caller.uid)
    }
  },
  {
    name: 'readlink() gives the target back, byte for byte',
    async run(t, s) {
      const targets = ['t', '../a/b', 'ä'.repeat(2047) + 'x']
      for (const [index, target] of targets.entries()) {
        const made = s.vfs.symlink(s.place(`l${index}`), bytesOf(target), s.caller)
        t.equal(made.size, bytesOf(target).length, 'the size is that of the target')
        t.equal(textOf(s.vfs.readlink(made.ino)), target)
      }
      const raw = Uint8Array.from([0xff, 0x2f, 0xc3])
      const made = s.vfs.symlink(s.place('raw'), raw, s.caller)
      sameBytes(t, s.vfs.readlink(made.ino), raw)
      await failsWith(t, 'EINVAL', () => s.vfs.readlink(ROOT_INODE), 'a directory is no link')
    }
  },
  {
    name: 'symlink() refuses a target that is empty or too long',
    async run(t, s) {
      const make = (bytes: number) => () =>
        s.vfs.symlink(s.place('l'), new Uint8Array(bytes).fill(97), s.caller)
      await failsWith(t, 'ENOENT', make(0), 'empty')
      await failsWith(t, 'ENAMETOOLONG', make(TARGET_BYTES_MAX + 1), '4,096 bytes')
      t.notOk(s.exists('l'))
    }
  },
  {
    name: 'link() gives a file another name and counts it',
    async run(t, s) {
      await s.writeFile('a', 'content')
      s.mkdir('d')
      const linked = s.vfs.link(s.ino('a'), s.place('d/b'))
      t.equal(linked.nlink, 2)
      t.equal(linked.ino, s.ino('a'))
      await s.writeFile('d/b', 'changed')
      t.equal(await s.readFileText('a'), 'changed')
      s.vfs.unlink(s.place('a'))
      t.equal(s.stat('d/b').nlink, 1)
      t.equal(await s.readFileText('d/b'), 'changed')
    }
  },
  {
    name: 'link() works for symbolic links and special nodes, not for directories',
    async run(t, s) {
      s.vfs.symlink(s.place('l'), bytesOf('target'), s.caller)
      s.vfs.mknod(s.place('p'), { mode: S_IFIFO | 0o600, rdev: 0 }, s.caller)
      t.equal(s.vfs.link(s.ino('l'), s.place('l2')).nlink, 2)
      t.equal(s.vfs.link(s.ino('p'), s.place('p2')).nlink, 2)
      t.equal(textOf(s.vfs.readlink(s.ino('l2'))), 'target')
      const directory = s.mkdir('d').ino
      await failsWith(t, 'EPERM', () => s.vfs.link(directory, s.place('d2')), 'a directory')
      await failsWith(t, 'EEXIST', () => s.vfs.link(directory, s.place('l')), 'taken comes first')
      await failsWith(t, 'ENOENT', () => s.vfs.link(NOWHERE, s.place('x')), 'no inode')
    }
  },
  {
    name: 'unlink() removes files and refuses directories',
    async run(t, s) {
      await s.writeFile('f', 'x')
      s.mkdir('d')
      s.vfs.unlink(s.place('f'))
      await failsWith(t, 'ENOENT', () => s.stat('f'), 'it is gone')
      await failsWith(t, 'ENOENT', () => s.vfs.unlink(s.place('f')), 'twice')
      await failsWith(t, 'EISDIR', () => s.vfs.unlink(s.place('d')), 'a directory')
      await s.writeFile('f', 'y')
      await failsWith(t, 'ENOTDIR', () => s.vfs.unlink(s.place('f/x')), 'in a file')
      t.same(s.names(''), ['d', 'f'])
    }
  },
  {
    name: 'rmdir() removes empty directories and nothing else',
    async run(t, s) {
      await s.writeFile('f', 'x')
      s.mkdir('d')
      s.mkdir('d/sub')
      t.equal(s.stat('d').nlink, 3)
      await failsWith(t, 'ENOTEMPTY', () => s.vfs.rmdir(s.place('d')), 'a name is in it')
      await failsWith(t, 'ENOTDIR', () => s.vfs.rmdir(s.place('f')), 'a file')
      await failsWith(t, 'ENOENT', () => s.vfs.rmdir(s.place('absent')), 'nothing')
      s.vfs.rmdir(s.place('d/sub'))
      t.equal(s.stat('d').nlink, 2)
      s.vfs.rmdir(s.place('d'))
      t.same(s.names(''), ['f'])
      t.equal(s.stat('').nlink, 2)
    }
  },
  {
    name: 'a name can be used again, by another kind of node, under a new inode number',
    async run(t, s) {
      await s.writeFile('x', 'file')
      const first = s.ino('x')
      s.vfs.unlink(s.place('x'))
      const second = s.mkdir('x').ino
      s.vfs.rmdir(s.place('x'))
      await s.writeFile('x', 'again')
      t.equal(new Set([first, second, s.ino('x')]).size, 3, 'inode numbers are never reused')
      t.equal(await s.readFileText('x'), 'again')
    }
  },
  {
    name: 'create() opens what it makes, with the access that was asked for',
    async run(t, s) {
      const reader = s.create('r', O_RDONLY, 0o000)
      const data = bytesOf('x')
      const write = () => s.vfs.write(reader, data, { offset: 0, killPrivileges: false })
      await failsWith(t, 'EBADF', write, 'opened for reading')
      t.equal(s.stat('r').mode, S_IFREG)
      await s.close(reader)
    }
  },
  {
    name: 'tmpfile() makes a file without a name that link() can give one',
    async run(t, s) {
      s.mkdir('d')
      const made = s.vfs.tmpfile(s.ino('d'), { mode: 0o640, flags: O_RDWR }, s.caller)
      t.equal(made.attributes.nlink, 0)
      t.equal(made.attributes.mode, S_IFREG | 0o640)
      t.same(s.names('d'), [])
      await s.write(made.handle, 'content', 0)
      const linked = s.vfs.link(made.attributes.ino, s.place('d/f'))
      t.equal(linked.nlink, 1)
      t.equal(linked.ino, made.attributes.ino)
      await s.write(made.handle, '!', 7)
      await s.close(made.handle)
      t.equal(await s.readFileText('d/f'), 'content!')
      await failsWith(
        t,
        'ENOTDIR',
        () => s.vfs.tmpfile(s.ino('d/f'), { mode: 0o640, flags: O_RDWR }, s.caller),
        'in a file'
      )
    }
  }
]
