/**
 * rename(2) and renameat2(2): the matrix of what can be moved where.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  closeSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { failsWith, type PosixCase, type PosixContext } from './posix-case.ts'

type Kind = 'file' | 'symlink' | 'empty directory' | 'full directory' | 'nothing'

const SOURCES: readonly Kind[] = ['file', 'symlink', 'empty directory', 'full directory']
const TARGETS: readonly Kind[] = [...SOURCES, 'nothing']

function make(c: PosixContext, name: string, kind: Kind): void {
  const path = c.path(name)
  if (kind === 'file') writeFileSync(path, name)
  if (kind === 'symlink') symlinkSync(name, path)
  if (kind.endsWith('directory')) mkdirSync(path)
  if (kind === 'full directory') writeFileSync(c.path(name, 'inside'), name)
}

/** What rename of one kind onto another does. */
function outcome(source: Kind, target: Kind): string {
  if (target === 'nothing') return 'moves'
  const [from, to] = [source.endsWith('directory'), target.endsWith('directory')]
  if (from && !to) return 'ENOTDIR'
  if (!from && to) return 'EISDIR'
  return target === 'full directory' ? 'ENOTEMPTY' : 'moves'
}

const RENAMEAT2 = `
libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
def rename2(source, target, flags):
    return libc_errno(libc.renameat2(-100, source.encode(), -100, target.encode(), flags))
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
`

/** See the module. */
export const renameCases: readonly PosixCase[] = [
  {
    name: 'rename() of every kind onto every kind',
    run(c) {
      for (const source of SOURCES) {
        for (const target of TARGETS) {
          make(c, 'from', source)
          make(c, 'to', target)
          const { ino } = lstatSync(c.path('from'))
          const rename = () => renameSync(c.path('from'), c.path('to'))
          const expected = outcome(source, target)
          if (expected === 'moves') {
            rename()
            assert.deepEqual(readdirSync(c.directory), ['to'], `${source} onto ${target}`)
            assert.equal(lstatSync(c.path('to')).ino, ino)
          } else {
            // POSIX lets a file system say EEXIST for ENOTEMPTY; Linux file systems do not.
            failsWith(expected, rename, `${source} onto ${target}`)
            assert.equal(lstatSync(c.path('from')).ino, ino)
          }
          rmSync(c.path('from'), { recursive: true, force: true })
          rmSync(c.path('to'), { recursive: true, force: true })
        }
      }
    }
  },
  {
    name: 'rename() between directories moves counts of directories along',
    run(c) {
      for (const path of ['a', 'a/b', 'a/b/c', 'z']) mkdirSync(c.path(path))
      writeFileSync(c.path('a/b/c/f'), 'deep')
      const counts = () => ['a', 'z'].map(name => statSync(c.path(name)).nlink)
      const counted = counts()[0] === 3
      renameSync(c.path('a/b'), c.path('z/moved'))
      assert.equal(readFileSync(c.path('z/moved/c/f'), 'utf8'), 'deep')
      assert.equal(statSync(c.path('z/moved/..')).ino, statSync(c.path('z')).ino)
      if (counted) assert.deepEqual(counts(), [2, 3])
    }
  },
  {
    name: 'rename() into itself: EINVAL; onto what it lies in: ENOTEMPTY',
    run(c) {
      mkdirSync(c.path('a', 'b', 'c'), { recursive: true })
      failsWith('EINVAL', () => renameSync(c.path('a'), c.path('a', 'x')))
      failsWith('EINVAL', () => renameSync(c.path('a'), c.path('a', 'b', 'c', 'x')))
      failsWith('EINVAL', () => renameSync(c.path('a'), c.path('a', 'b')))
      failsWith('ENOTEMPTY', () => renameSync(c.path('a', 'b', 'c'), c.path('a')))
      failsWith('ENOTEMPTY', () => renameSync(c.path('a', 'b'), c.path('a')))
    }
  },
  {
    name: 'rename() fails with ENOENT, ENOTDIR, EBUSY and ENAMETOOLONG as it should',
    run(c) {
      writeFileSync(c.path('f'), '')
      mkdirSync(c.path('d'))
      failsWith('ENOENT', () => renameSync(c.path('absent'), c.path('x')))
      failsWith('ENOENT', () => renameSync(c.path('f'), c.path('absent', 'x')))
      failsWith('ENOTDIR', () => renameSync(c.path('f'), c.path('f', 'x')))
      failsWith('ENOTDIR', () => renameSync(c.path('f'), `${c.path('x')}/`))
      failsWith('EBUSY', () => renameSync(`${c.path('d')}/.`, c.path('x')))
      failsWith('EBUSY', () => renameSync(c.path('f'), `${c.path('d')}/..`))
      failsWith('ENAMETOOLONG', () => renameSync(c.path('f'), c.path('x'.repeat(256))))
      renameSync(`${c.path('d')}/`, `${c.path('e')}/`)
      assert.deepEqual(readdirSync(c.directory), ['e', 'f'])
    }
  },
  {
    name: 'rename() onto another link of the same file does nothing',
    run(c) {
      writeFileSync(c.path('a'), 'content')
      linkSync(c.path('a'), c.path('b'))
      renameSync(c.path('a'), c.path('b'))
      renameSync(c.path('a'), c.path('a'))
      assert.deepEqual(readdirSync(c.directory), ['a', 'b'])
      assert.equal(statSync(c.path('a')).nlink, 2)
    }
  },
  {
    name: 'rename() over an open file: the descriptor keeps the old one',
    run(c) {
      writeFileSync(c.path('old'), 'old content')
      writeFileSync(c.path('new'), 'new content')
      const opened = openSync(c.path('old'), 'r+')
      renameSync(c.path('new'), c.path('old'))
      assert.equal(fstatSync(opened).nlink, 0)
      writeSync(opened, 'OLD', 0)
      assert.equal(readFileSync(opened, 'utf8').slice(-7), 'content')
      closeSync(opened)
      assert.equal(readFileSync(c.path('old'), 'utf8'), 'new content')
    }
  },
  {
    name: 'rename() of an open file: the descriptor goes on',
    run(c) {
      const opened = openSync(c.path('a'), 'w')
      writeSync(opened, 'one')
      renameSync(c.path('a'), c.path('b'))
      writeSync(opened, 'two')
      closeSync(opened)
      assert.equal(readFileSync(c.path('b'), 'utf8'), 'onetwo')
      writeFileSync(c.path('a'), 'another')
      assert.equal(readFileSync(c.path('b'), 'utf8'), 'onetwo')
    }
  },
  {
    name: 'rename() over a file that has another link leaves that one',
    run(c) {
      writeFileSync(c.path('a'), 'new')
      writeFileSync(c.path('b'), 'old')
      linkSync(c.path('b'), c.path('kept'))
      renameSync(c.path('a'), c.path('b'))
      assert.equal(readFileSync(c.path('kept'), 'utf8'), 'old')
      assert.equal(statSync(c.path('kept')).nlink, 1)
    }
  },
  {
    name: 'renameat2(RENAME_NOREPLACE) moves onto nothing only',
    async run(c) {
      const result = await c.python(`${RENAMEAT2}
open('a', 'w').write('a'); open('b', 'w').write('b'); os.mkdir('d'); os.mkdir('e')
result = [rename2('a', 'b', NOREPLACE), rename2('d', 'e', NOREPLACE), rename2('a', 'a', NOREPLACE),
    rename2('a', 'c', NOREPLACE), rename2('absent', 'x', NOREPLACE), sorted(os.listdir('.')), open('b').read()]
`)
      const names = ['b', 'c', 'd', 'e']
      assert.deepEqual(result, ['EEXIST', 'EEXIST', 'EEXIST', 'ok', 'ENOENT', names, 'b'])
    }
  },
  {
    name: 'renameat2(RENAME_EXCHANGE) swaps anything with anything',
    async run(c) {
      const result = await c.python(`${RENAMEAT2}
os.makedirs('x/d/inside'); os.mkdir('y'); open('y/f', 'w').write('file')
numbers = [os.stat('x/d').st_ino, os.stat('y/f').st_ino]
result = [rename2('x/d', 'y/f', EXCHANGE), [os.stat('y/f').st_ino, os.stat('x/d').st_ino] == numbers,
    open('x/d').read(), os.listdir('y/f'), os.stat('y/f/..').st_ino == os.stat('y').st_ino,
    rename2('x/d', 'absent', EXCHANGE), rename2('y', 'y/f', EXCHANGE), rename2('y/f', 'y', EXCHANGE),
    rename2('x', 'y', EXCHANGE | NOREPLACE)]
`)
      assert.deepEqual(result, [
        ...['ok', true, 'file', ['inside'], true],
        ...['ENOENT', 'EINVAL', 'EINVAL', 'EINVAL']
      ])
    }
  }
]
