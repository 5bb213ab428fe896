/**
 * Renames: the whole matrix of what can be moved where.
 *
 * @module
 */
import type { FsErrorCode } from '../../../src/fs/fs-error.ts'
import { O_RDONLY, O_RDWR, ROOT_INODE } from '../../../src/fs/vfs.ts'
import { bytesOf, nameOf } from '../../support/vfs-session.ts'
import { failsWith, nanoseconds, type VfsCase, type VfsCaseSession, sameBytes } from './vfs-case.ts'

/** What stands at the new name before a rename. */
type There = 'nothing' | 'file' | 'empty directory' | 'full directory'

const OUTCOMES: readonly (readonly [string, There, FsErrorCode | undefined])[] = [
  ['file', 'nothing', undefined],
  ['file', 'file', undefined],
  ['file', 'empty directory', 'EISDIR'],
  ['file', 'full directory', 'EISDIR'],
  ['directory', 'nothing', undefined],
  ['directory', 'file', 'ENOTDIR'],
  ['directory', 'empty directory', undefined],
  ['directory', 'full directory', 'ENOTEMPTY']
]

async function make(s: VfsCaseSession, path: string, kind: string): Promise<void> {
  if (kind === 'nothing') return
  if (kind === 'file') {
    await s.writeFile(path, path)
    return
  }
  s.mkdir(path)
  if (kind === 'full directory') s.mkdir(`${path}/inside`)
}

/** See the module. */
export const renameCases: readonly VfsCase[] = [
  ...OUTCOMES.map(([source, target, code]): VfsCase => ({
    name: `rename() of a ${source} onto ${target}: ${code ?? 'moves it'}`,
    async run(t, s) {
      s.mkdir('from')
      s.mkdir('to')
      await make(s, 'from/a', source)
      await make(s, 'to/b', target)
      const ino = s.ino('from/a')
      const rename = () => s.vfs.rename(s.place('from/a'), s.place('to/b'), 'replace')
      if (code) {
        await failsWith(t, code, rename, 'refused')
        t.equal(s.ino('from/a'), ino, 'and nothing moved')
        t.ok(s.exists('to/b'))
        return
      }
      rename()
      t.notOk(s.exists('from/a'))
      t.equal(s.ino('to/b'), ino)
      t.equal(s.stat('from').nlink, 2)
      t.equal(s.stat('to').nlink, source === 'directory' ? 3 : 2)
      if (source === 'file') t.equal(await s.readFileText('to/b'), 'from/a')
    }
  })),
  {
    name: 'rename() within a directory keeps everything but the name',
    async run(t, s) {
      await s.writeFile('a', 'content')
      const ino = s.ino('a')
      s.vfs.rename(s.place('a'), s.place('b'), 'replace')
      t.same(s.names(''), ['b'])
      t.equal(s.ino('b'), ino)
      t.equal(await s.readFileText('b'), 'content')
    }
  },
  {
    name: 'rename() of a directory takes its contents along and moves its ..',
    async run(t, s) {
      for (const path of ['a', 'a/b', 'a/b/c', 'z']) s.mkdir(path)
      await s.writeFile('a/b/c/f', 'deep')
      s.vfs.rename(s.place('a/b'), s.place('z/b'), 'replace')
      t.equal(await s.readFileText('z/b/c/f'), 'deep')
      t.equal(s.vfs.lookup({ parent: s.ino('z/b'), name: nameOf('..') }).ino, s.ino('z'))
      t.equal(s.stat('a').nlink, 2)
      t.equal(s.stat('z').nlink, 3)
      t.equal(s.rows(s.ino('z/b'))[1]?.ino, s.ino('z'), 'readdir agrees')
    }
  },
  {
    name: 'rename() of a directory into itself or below itself: EINVAL',
    async run(t, s) {
      for (const path of ['a', 'a/b', 'a/b/c']) s.mkdir(path)
      for (const target of ['a/x', 'a/b/x', 'a/b/c/x']) {
        const rename = () => s.vfs.rename(s.place('a'), s.place(target), 'replace')
        await failsWith(t, 'EINVAL', rename, `a to ${target}`)
      }
      const ontoChild = () => s.vfs.rename(s.place('a'), s.place('a/b'), 'replace')
      await failsWith(t, 'EINVAL', ontoChild, 'onto its own child')
      const ontoParent = () => s.vfs.rename(s.place('a/b/c'), s.place('a'), 'replace')
      await failsWith(t, 'ENOTEMPTY', ontoParent, 'onto what it lies in')
      t.ok(s.exists('a/b/c'))
    }
  },
  {
    name: 'rename() of what is not there: ENOENT, and . and .. cannot be moved',
    async run(t, s) {
      s.mkdir('d')
      await s.writeFile('f', '')
      const attempt = (from: string, to: string) => () =>
        s.vfs.rename(s.place(from), s.place(to), 'replace')
      await failsWith(t, 'ENOENT', attempt('absent', 'x'), 'nothing')
      await failsWith(t, 'ENOENT', attempt('absent', 'f'), 'nothing onto something')
      await failsWith(t, 'ENOTDIR', attempt('f', 'f/x'), 'into a file')
      await failsWith(t, 'EBUSY', attempt('d/.', 'x'), '.')
      await failsWith(t, 'EBUSY', attempt('d/..', 'x'), '..')
      await failsWith(t, 'EBUSY', attempt('f', 'd/.'), 'onto .')
    }
  },
  {
    name: 'rename() onto itself or onto another link of the same file does nothing',
    async run(t, s) {
      await s.writeFile('a', 'content')
      s.vfs.link(s.ino('a'), s.place('b'))
      const before = s.stat('a')
      await s.tick()
      s.vfs.rename(s.place('a'), s.place('b'), 'replace')
      s.vfs.rename(s.place('a'), s.place('a'), 'replace')
      t.same(s.names(''), ['a', 'b'], 'both names stay')
      t.same(s.stat('a'), before, 'no time moves')
      s.mkdir('d')
      s.vfs.rename(s.place('d'), s.place('d'), 'replace')
      t.ok(s.exists('d'))
    }
  },
  {
    name: 'rename() over a file with another link leaves that link alone',
    async run(t, s) {
      await s.writeFile('a', 'new')
      await s.writeFile('b', 'old')
      s.vfs.link(s.ino('b'), s.place('kept'))
      s.vfs.rename(s.place('a'), s.place('b'), 'replace')
      t.equal(await s.readFileText('b'), 'new')
      t.equal(await s.readFileText('kept'), 'old')
      t.equal(s.stat('kept').nlink, 1)
    }
  },
  {
    name: 'rename() onto an open file keeps the old handle readable',
    async run(t, s) {
      await s.writeFile('old', 'old content')
      await s.writeFile('new', 'new content')
      const handle = await s.open('old', O_RDONLY)
      s.vfs.rename(s.place('new'), s.place('old'), 'replace')
      t.equal(await s.readText(handle), 'old content')
      t.equal(await s.readFileText('old'), 'new content')
      await s.close(handle)
    }
  },
  {
    name: 'rename() of an open file: its handle goes on',
    async run(t, s) {
      const handle = s.create('a', O_RDWR)
      await s.write(handle, 'one', 0)
      s.vfs.rename(s.place('a'), s.place('b'), 'replace')
      await s.write(handle, 'two', 3)
      await s.close(handle)
      t.equal(await s.readFileText('b'), 'onetwo')
    }
  },
  {
    name: 'rename() moves symbolic links and special nodes as what they are',
    run(t, s) {
      s.vfs.symlink(s.place('l'), bytesOf('target'), s.caller)
      const before = s.stat('l')
      s.vfs.rename(s.place('l'), s.place('m'), 'replace')
      const after = s.stat('m')
      t.equal(after.ino, before.ino)
      t.equal(after.mode, before.mode)
      sameBytes(t, s.vfs.readlink(after.ino), bytesOf('target'))
    }
  },
  {
    name: 'rename() touches the times of both directories and of what moved',
    async run(t, s) {
      s.mkdir('from')
      s.mkdir('to')
      await s.writeFile('from/f', 'x')
      const before = [s.stat('from'), s.stat('to'), s.stat('from/f')] as const
      await s.tick()
      s.vfs.rename(s.place('from/f'), s.place('to/f'), 'replace')
      const after = [s.stat('from'), s.stat('to'), s.stat('to/f')] as const
      for (const which of [0, 1] as const) {
        t.ok(nanoseconds(after[which].mtime) > nanoseconds(before[which].mtime), 'mtime moves')
        t.ok(nanoseconds(after[which].ctime) > nanoseconds(before[which].ctime), 'ctime moves')
      }
      t.same(after[2].mtime, before[2].mtime, "the file's mtime stays")
      t.ok(nanoseconds(after[2].ctime) > nanoseconds(before[2].ctime), "the file's ctime moves")
    }
  },
  {
    name: 'rename(noreplace) moves onto nothing only',
    async run(t, s) {
      await s.writeFile('a', 'a')
      await s.writeFile('b', 'b')
      s.vfs.link(s.ino('a'), s.place('same'))
      const attempt = (to: string) => () => s.vfs.rename(s.place('a'), s.place(to), 'noreplace')
      await failsWith(t, 'EEXIST', attempt('b'), 'taken')
      await failsWith(t, 'EEXIST', attempt('same'), 'taken by the same file')
      await failsWith(t, 'EEXIST', attempt('a'), 'itself')
      t.equal(await s.readFileText('b'), 'b')
      attempt('c')()
      t.same(s.names(''), ['b', 'c', 'same'])
    }
  },
  {
    name: 'rename(exchange) swaps files, also with directories',
    async run(t, s) {
      s.mkdir('x')
      s.mkdir('y')
      s.mkdir('x/d')
      s.mkdir('x/d/inside')
      await s.writeFile('y/f', 'file')
      const [directory, file] = [s.ino('x/d'), s.ino('y/f')]
      s.vfs.rename(s.place('x/d'), s.place('y/f'), 'exchange')
      t.equal(s.ino('x/d'), file)
      t.equal(s.ino('y/f'), directory)
      t.same([s.stat('x').nlink, s.stat('y').nlink], [2, 3])
      t.ok(s.exists('y/f/inside'))
      t.equal(s.vfs.lookup({ parent: directory, name: nameOf('..') }).ino, s.ino('y'))
      t.equal(await s.readFileText('x/d'), 'file')
    }
  },
  {
    name: 'rename(exchange) swaps full directories and needs both names',
    async run(t, s) {
      for (const path of ['a', 'a/one', 'b', 'b/two']) s.mkdir(path)
      s.vfs.rename(s.place('a'), s.place('b'), 'exchange')
      t.same(s.names('a'), ['two'])
      t.same(s.names('b'), ['one'])
      const attempt = (from: string, to: string) => () =>
        s.vfs.rename(s.place(from), s.place(to), 'exchange')
      await failsWith(t, 'ENOENT', attempt('a', 'absent'), 'nothing to swap with')
      await failsWith(t, 'EINVAL', attempt('a', 'a/two'), 'with what lies in it')
      await failsWith(t, 'EINVAL', attempt('a/two', 'a'), 'with what it lies in')
      t.same(s.names(''), ['a', 'b'])
      t.equal(s.vfs.getattr(ROOT_INODE).nlink, 4)
    }
  }
]
