/**
 * Persistence: what is there after the file system was closed and opened again.
 *
 * @module
 */
import { O_RDWR, S_IFCHR } from '../../../src/fs/vfs.ts'
import { bytesOf, nameOf, patternBytes } from '../../support/vfs-session.ts'
import { failsWith, type VfsCase, sameBytes } from './vfs-case.ts'

/** See the module. */
export const reopenCases: readonly VfsCase[] = [
  {
    name: 'a tree with everything in it is the same after a reopen, inode numbers included',
    needs: 'reopen',
    async run(t, s) {
      s.mkdir('d', 0o2750)
      s.mkdir('d/e')
      await s.writeFile('d/f', patternBytes(200_000))
      await s.writeFile('d/small', 'small')
      s.vfs.link(s.ino('d/f'), s.place('d/e/hard'))
      s.vfs.symlink(s.place('d/l'), bytesOf('../t'), s.caller)
      s.vfs.mknod(s.place('d/dev'), { mode: S_IFCHR | 0o600, rdev: 0x0103 }, s.caller)
      s.vfs.setxattr(s.ino('d/f'), nameOf('user.x'), bytesOf('value'), 'set')
      const [atime, mtime] = [
        { sec: -5, nsec: 7 },
        { sec: 5e9, nsec: 999_999_999 }
      ]
      await s.vfs.setattr(s.ino('d/small'), { mode: 0o4711, uid: 12, gid: 13, atime, mtime })
      const paths = ['', 'd', 'd/e', 'd/f', 'd/small', 'd/e/hard', 'd/l', 'd/dev']
      await s.vfs.syncfs()
      const before = paths.map(path => s.stat(path))

      const again = await s.reopened()
      for (const [index, path] of paths.entries()) {
        const { blocks: _, ...after } = again.stat(path)
        const { blocks: __, ...expected } = before[index] as (typeof before)[number]
        t.same(after, expected, path === '' ? 'the root' : path)
      }
      sameBytes(t, await again.readFile('d/e/hard'), patternBytes(200_000))
      t.equal(await again.readFileText('d/small'), 'small')
      sameBytes(t, again.vfs.readlink(again.ino('d/l')), bytesOf('../t'))
      sameBytes(t, await again.vfs.getxattr(again.ino('d/f'), nameOf('user.x')), bytesOf('value'))
    }
  },
  {
    name: 'what was removed stays removed, and its inode number is not used again',
    needs: 'reopen',
    async run(t, s) {
      await s.writeFile('f', 'x')
      const gone = s.ino('f')
      s.vfs.unlink(s.place('f'))
      const again = await s.reopened()
      t.same(again.names(''), [])
      await failsWith(t, 'ENOENT', () => again.vfs.getattr(gone), 'the old number')
      await again.writeFile('g', 'y')
      t.not(again.ino('g'), gone)
    }
  },
  {
    name: 'a file that was unlinked while open is gone after a reopen',
    needs: 'reopen',
    async run(t, s) {
      const handle = s.create('f', O_RDWR)
      await s.write(handle, patternBytes(100_000), 0)
      await s.vfs.fsync(handle)
      s.vfs.unlink(s.place('f'))
      await s.write(handle, 'more', 0)
      const again = await s.reopened()
      t.same(again.names(''), [])
    }
  },
  {
    name: 'overwritten, cut, punched and copied content is the same after a reopen',
    needs: 'reopen',
    async run(t, s) {
      const expected = patternBytes(400_000)
      const handle = s.create('f', O_RDWR)
      await s.write(handle, expected, 0)
      await s.vfs.fsync(handle)
      const overlay = patternBytes(50_000, 3)
      expected.set(overlay, 123_456)
      await s.write(handle, overlay, 123_456)
      await s.vfs.fallocate(handle, { mode: 3, offset: 10_000, length: 60_000 })
      expected.fill(0, 10_000, 70_000)
      await s.vfs.copyFileRange({ handle, offset: 300_000 }, { handle, offset: 0 }, 5000)
      expected.set(expected.slice(300_000, 305_000), 0)
      await s.vfs.setattr(s.ino('f'), { size: 390_001 })
      await s.close(handle)
      const again = await s.reopened()
      sameBytes(t, await again.readFile('f'), expected.slice(0, 390_001))
      const reopened = await again.open('f', O_RDWR)
      await again.write(reopened, 'goes on', 5)
      expected.set(bytesOf('goes on'), 5)
      await again.close(reopened)
      sameBytes(t, await again.readFile('f'), expected.slice(0, 390_001))
    }
  },
  {
    name: 'renames are the same after a reopen',
    needs: 'reopen',
    async run(t, s) {
      for (const path of ['a', 'a/b', 'a/b/c', 'z']) s.mkdir(path)
      await s.writeFile('a/b/c/f', 'deep')
      await s.writeFile('over', 'old')
      s.vfs.rename(s.place('a/b'), s.place('z/b'), 'replace')
      s.vfs.rename(s.place('z/b/c/f'), s.place('over'), 'replace')
      s.vfs.rename(s.place('a'), s.place('z/b/c'), 'exchange')
      const again = await s.reopened()
      t.same(again.names(''), ['a', 'over', 'z'])
      t.same(again.names('z/b'), ['c'])
      t.equal(await again.readFileText('over'), 'deep')
      t.same([again.stat('').nlink, again.stat('z').nlink, again.stat('z/b').nlink], [4, 3, 3])
    }
  }
]
