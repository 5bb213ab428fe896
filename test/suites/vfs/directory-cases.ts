/**
 * Listings: what readdir gives, also while names come and go.
 *
 * @module
 */
import {
  O_RDWR,
  ROOT_INODE,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  type DirectoryEntry,
  type HandleId,
  type InodeNumber
} from '../../../src/fs/vfs.ts'
import { bytesOf } from '../../support/vfs-session.ts'
import { failsWith, type VfsCase, type VfsCaseSession } from './vfs-case.ts'

/** Up to `count` rows from `offset` on. */
function take(
  s: VfsCaseSession,
  handle: HandleId,
  range: { readonly offset: number; readonly count: number }
): readonly DirectoryEntry[] {
  const rows: DirectoryEntry[] = []
  s.vfs.readdir(handle, range.offset, row => {
    if (rows.length === range.count) return false
    rows.push(row)
    return true
  })
  return rows
}

/** See the module. */
export const directoryCases: readonly VfsCase[] = [
  {
    name: 'readdir() begins with . and .. and gives each name with inode and type',
    async run(t, s) {
      s.mkdir('d')
      await s.writeFile('d/file', 'x')
      s.mkdir('d/directory')
      s.vfs.symlink(s.place('d/symlink'), bytesOf('t'), s.caller)
      s.vfs.mknod(s.place('d/fifo'), { mode: S_IFIFO | 0o600, rdev: 0 }, s.caller)
      const rows = s.rows(s.ino('d'))
      t.match(rows[0], { name: '.', ino: s.ino('d'), type: S_IFDIR })
      t.match(rows[1], { name: '..', ino: ROOT_INODE, type: S_IFDIR })
      const types = Object.fromEntries(rows.slice(2).map(row => [row.name, row.type]))
      t.same(types, { file: S_IFREG, directory: S_IFDIR, symlink: S_IFLNK, fifo: S_IFIFO })
      for (const row of rows.slice(2)) t.equal(row.ino, s.ino(`d/${row.name}`))
    }
  },
  {
    name: 'readdir() of the root: .. is the root',
    run(t, s) {
      t.same(
        s.rows(ROOT_INODE).map(row => [row.name, row.ino]),
        [
          ['.', ROOT_INODE],
          ['..', ROOT_INODE]
        ]
      )
    }
  },
  {
    name: 'readdir() goes on where it stopped, whatever fits at once',
    run(t, s) {
      const names = Array.from({ length: 25 }, (_, index) => `n${index}`)
      for (const name of names) s.mkdir(name)
      for (const rowsAtOnce of [1, 2, 3, 7, 26, 27, 28]) {
        const rows = s.rows(ROOT_INODE, rowsAtOnce)
        t.same(
          rows.map(row => row.name).toSorted(),
          ['.', '..', ...names].toSorted(),
          `${rowsAtOnce} at once`
        )
      }
    }
  },
  {
    name: 'readdir() asks again for a row that did not fit',
    run(t, s) {
      s.mkdir('a')
      const handle = s.vfs.opendir(ROOT_INODE)
      const offered: string[] = []
      s.vfs.readdir(handle, 0, row => {
        offered.push(row.name)
        return offered.length < 2
      })
      t.same(offered, ['.', '..'])
      const first = take(s, handle, { offset: 0, count: 1 })[0]
      t.same(
        take(s, handle, { offset: first?.nextOffset ?? -1, count: 9 }).map(row => row.name),
        ['..', 'a']
      )
      s.vfs.releasedir(handle)
    }
  },
  {
    name: 'readdir() goes back to any offset it gave',
    run(t, s) {
      for (const name of ['a', 'b', 'c', 'd']) s.mkdir(name)
      const handle = s.vfs.opendir(ROOT_INODE)
      const all = take(s, handle, { offset: 0, count: 100 })
      for (const [index, row] of all.entries()) {
        t.same(take(s, handle, { offset: row.nextOffset, count: 100 }), all.slice(index + 1))
      }
      t.ok(
        all.every(row => row.nextOffset > 0),
        'an offset is never 0, which starts anew'
      )
      s.vfs.releasedir(handle)
    }
  },
  {
    name: 'readdir() gives the directory as it was at offset 0, and anew from offset 0',
    run(t, s) {
      for (const name of ['a', 'b', 'c', 'd', 'e']) s.mkdir(name)
      const handle = s.vfs.opendir(ROOT_INODE)
      const before = take(s, handle, { offset: 0, count: 3 })
      for (const name of ['a', 'b', 'c', 'd', 'e']) s.vfs.rmdir(s.place(name))
      s.mkdir('new')
      const rest = take(s, handle, { offset: before.at(-1)?.nextOffset ?? -1, count: 100 })
      t.same([...before, ...rest].map(row => row.name).toSorted(), [
        '.',
        '..',
        'a',
        'b',
        'c',
        'd',
        'e'
      ])
      const anew = take(s, handle, { offset: 0, count: 100 })
      t.same(
        anew.map(row => row.name),
        ['.', '..', 'new']
      )
      s.vfs.releasedir(handle)
    }
  },
  {
    name: 'removing each name as it is listed empties a directory of 500',
    run(t, s) {
      s.mkdir('d')
      const count = 500
      for (let index = 0; index < count; index++) s.mkdir(`d/name-${index}`)
      const parent = s.ino('d')
      const handle = s.vfs.opendir(parent)
      let [offset, removed] = [0, 0]
      for (let round = 0; round <= count; round++) {
        const rows = take(s, handle, { offset, count: 10 })
        if (rows.length === 0) break
        for (const row of rows) {
          offset = row.nextOffset
          if (row.name === '.' || row.name === '..') continue
          s.vfs.rmdir({ parent, name: row.name })
          removed++
        }
      }
      s.vfs.releasedir(handle)
      t.equal(removed, count)
      s.vfs.rmdir(s.place('d'))
    }
  },
  {
    name: 'each handle has its own snapshot',
    run(t, s) {
      s.mkdir('a')
      const first = s.vfs.opendir(ROOT_INODE)
      t.equal(take(s, first, { offset: 0, count: 9 }).length, 3)
      s.mkdir('b')
      const second = s.vfs.opendir(ROOT_INODE)
      t.equal(take(s, second, { offset: 0, count: 9 }).length, 4)
      t.equal(take(s, first, { offset: 2, count: 9 }).length, 1)
      s.vfs.releasedir(first)
      s.vfs.releasedir(second)
    }
  },
  {
    name: 'opendir() refuses files; a handle that is none: EBADF',
    async run(t, s) {
      await s.writeFile('f', '')
      await failsWith(t, 'ENOTDIR', () => s.vfs.opendir(s.ino('f')), 'a file')
      const nowhere = Number.MAX_SAFE_INTEGER as InodeNumber
      await failsWith(t, 'ENOENT', () => s.vfs.opendir(nowhere), 'nothing')
      const handle = s.vfs.opendir(ROOT_INODE)
      await s.vfs.fsyncdir(handle)
      s.vfs.releasedir(handle)
      const calls = [
        () => s.vfs.readdir(handle, 0, () => true),
        () => s.vfs.releasedir(handle),
        () => s.vfs.fsyncdir(handle)
      ]
      for (const call of calls) await failsWith(t, 'EBADF', call, 'released')
    }
  },
  {
    name: 'a directory of 3,000 files lists, looks up and empties',
    async run(t, s) {
      s.mkdir('d')
      const count = 3000
      for (let index = 0; index < count; index++) {
        await s.vfs.release(s.create(`d/f${index}`, O_RDWR))
      }
      t.equal(s.names('d').length, count)
      t.equal(s.stat('d/f1234').nlink, 1)
      t.equal(new Set(s.rows(s.ino('d')).map(row => row.ino)).size, count + 2)
      for (let index = 0; index < count; index++) s.vfs.unlink(s.place(`d/f${index}`))
      t.same(s.names('d'), [])
    }
  }
]
