/**
 * Lifetimes: inodes that outlive their names, and when they end.
 *
 * @module
 */
import { O_EXCL, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/fs/vfs.ts'
import { bytesOf, nameOf, patternBytes } from '../../support/vfs-session.ts'
import { failsWith, type VfsCase, sameBytes } from './vfs-case.ts'

/** See the module. */
export const lifetimeCases: readonly VfsCase[] = [
  {
    name: 'an unlinked file that is open is read, written and cut until it is released',
    async run(t, s) {
      const handle = s.create('f', O_RDWR)
      await s.write(handle, 'content', 0)
      const { ino } = s.stat('f')
      s.vfs.unlink(s.place('f'))
      t.equal(s.vfs.getattr(ino).nlink, 0)
      await s.write(handle, patternBytes(100_000), 7)
      t.equal(s.vfs.getattr(ino).size, 100_007)
      sameBytes(t, (await s.read(handle, 0, 200_000)).slice(7), patternBytes(100_000))
      await s.vfs.setattr(ino, { size: 7, mode: 0o600 })
      t.equal(await s.readText(handle), 'content')
      await s.vfs.fsync(handle)
      await s.vfs.syncfs()
      t.equal(await s.readText(handle), 'content', 'also after a sync')
      t.same(s.names(''), [])
      await s.close(handle)
      await failsWith(t, 'ENOENT', () => s.vfs.getattr(ino), 'released, it is gone')
    }
  },
  {
    name: 'an unlinked file lives until its last handle',
    async run(t, s) {
      await s.writeFile('f', 'content')
      const { ino } = s.stat('f')
      const [first, second] = [await s.open('f', O_RDONLY), await s.open('f', O_WRONLY)]
      s.vfs.unlink(s.place('f'))
      await s.close(second)
      t.equal(await s.readText(first), 'content')
      const third = await s.vfs.open(ino, O_RDWR)
      await s.close(first)
      await s.write(third, 'C', 0)
      t.equal(await s.readText(third), 'Content')
      await s.close(third)
      await failsWith(t, 'ENOENT', () => s.vfs.open(ino, O_RDONLY), 'gone')
    }
  },
  {
    name: 'an unlinked file lives until it is forgotten as often as remembered',
    async run(t, s) {
      await s.writeFile('f', 'content')
      const { ino } = s.stat('f')
      for (let count = 0; count < 3; count++) s.vfs.remember(ino)
      s.vfs.unlink(s.place('f'))
      s.vfs.forget(ino, 2)
      t.equal(s.vfs.getattr(ino).nlink, 0)
      const handle = await s.vfs.open(ino, O_RDONLY)
      t.equal(await s.readText(handle), 'content')
      s.vfs.forget(ino, 1)
      t.equal(await s.readText(handle), 'content', 'a handle keeps it')
      await s.close(handle)
      await failsWith(t, 'ENOENT', () => s.vfs.getattr(ino), 'gone')
      s.vfs.forget(ino, 5)
    }
  },
  {
    name: 'forget() of a file that has a name does not end it',
    async run(t, s) {
      await s.writeFile('f', 'content')
      const { ino } = s.stat('f')
      s.vfs.remember(ino)
      s.vfs.forget(ino, 1)
      t.equal(s.vfs.getattr(ino).ino, ino)
      t.equal(await s.readFileText('f'), 'content')
    }
  },
  {
    name: 'a removed directory that is remembered answers and takes no names',
    async run(t, s) {
      s.mkdir('d')
      const { ino } = s.stat('d')
      s.vfs.remember(ino)
      s.vfs.rmdir(s.place('d'))
      t.equal(s.vfs.getattr(ino).nlink, 0)
      const place = { parent: ino, name: nameOf('x') }
      await failsWith(t, 'ENOENT', () => s.vfs.lookup(place), 'lookup')
      await failsWith(t, 'ENOENT', () => s.vfs.mkdir(place, 0o755, s.caller), 'mkdir')
      s.vfs.forget(ino, 1)
      await failsWith(t, 'ENOENT', () => s.vfs.getattr(ino), 'forgotten, it is gone')
    }
  },
  {
    name: 'a directory replaced by a rename lives on while it is open',
    async run(t, s) {
      s.mkdir('a')
      const replaced = s.mkdir('b').ino
      const handle = s.vfs.opendir(replaced)
      s.vfs.rename(s.place('a'), s.place('b'), 'replace')
      t.equal(s.vfs.getattr(replaced).nlink, 0)
      s.vfs.releasedir(handle)
      await failsWith(t, 'ENOENT', () => s.vfs.getattr(replaced), 'gone')
    }
  },
  {
    name: 'an open file is written to after its directory was removed',
    async run(t, s) {
      s.mkdir('d')
      const handle = s.create('d/f', O_RDWR)
      s.vfs.unlink(s.place('d/f'))
      s.vfs.rmdir(s.place('d'))
      await s.write(handle, 'orphan', 0)
      await s.vfs.flush(handle)
      await s.vfs.fsync(handle)
      t.equal(await s.readText(handle), 'orphan')
      await s.vfs.release(handle)
    }
  },
  {
    name: 'an unlinked file cannot be linked again, nor one from tmpfile(O_EXCL)',
    async run(t, s) {
      const handle = s.create('f', O_RDWR)
      const { ino } = s.stat('f')
      s.vfs.unlink(s.place('f'))
      await failsWith(t, 'ENOENT', () => s.vfs.link(ino, s.place('g')), 'unlinked')
      await s.close(handle)
      const made = s.vfs.tmpfile(s.ino(''), { mode: 0o600, flags: O_RDWR | O_EXCL }, s.caller)
      const link = () => s.vfs.link(made.attributes.ino, s.place('g'))
      await failsWith(t, 'ENOENT', link, 'made not to be linked')
      await s.close(made.handle)
      t.same(s.names(''), [])
    }
  },
  {
    name: 'a nameless file ends with its handle',
    async run(t, s) {
      const made = s.vfs.tmpfile(s.ino(''), { mode: 0o600, flags: O_RDWR }, s.caller)
      await s.write(made.handle, patternBytes(10_000), 0)
      await s.vfs.fsync(made.handle)
      t.equal(s.vfs.getattr(made.attributes.ino).nlink, 0)
      await s.close(made.handle)
      await failsWith(t, 'ENOENT', () => s.vfs.getattr(made.attributes.ino), 'gone')
    }
  },
  {
    name: 'handles are numbers of their own while they are open',
    async run(t, s) {
      await s.writeFile('f', 'x')
      const handles = [
        await s.open('f', O_RDONLY),
        await s.open('f', O_RDONLY),
        s.vfs.opendir(s.ino(''))
      ]
      t.equal(new Set(handles).size, 3)
      const [first, second, directory] = handles as [never, never, never]
      await s.close(first)
      t.equal(await s.readText(second), 'x', 'the other one still reads')
      await failsWith(t, 'EBADF', () => s.read(first, 0, 1), 'the closed one does not')
      await failsWith(t, 'EBADF', () => s.read(directory, 0, 1), 'a directory is no file')
      await failsWith(t, 'EBADF', () => s.vfs.readdir(second, 0, () => true), 'nor the reverse')
      s.vfs.releasedir(directory)
      await s.close(second)
    }
  },
  {
    name: 'a file made, written, unlinked and released a hundred times leaves nothing',
    async run(t, s) {
      for (let round = 0; round < 100; round++) {
        const handle = s.create('f', O_RDWR)
        await s.write(handle, bytesOf(`round ${round}`), 0)
        s.vfs.unlink(s.place('f'))
        t.equal(await s.readText(handle), `round ${round}`)
        await s.close(handle)
      }
      await s.vfs.syncfs()
      t.same(s.names(''), [])
    }
  }
]
