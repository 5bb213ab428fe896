/**
 * open(2) and close(2): flags, what they make and what they refuse.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { failsWith, pattern, sameBytes, type PosixCase } from './posix-case.ts'

const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND } = constants
const { O_DIRECTORY, O_NOFOLLOW, O_SYNC, O_DSYNC } = constants

/** How many files are open at once in the case about that. */
const OPEN_FILES = 250

/** See the module. */
export const openCases: readonly PosixCase[] = [
  {
    name: 'open(O_CREAT | O_EXCL) makes a file only where no name is',
    run(c) {
      closeSync(openSync(c.path('f'), O_CREAT | O_EXCL | O_RDWR, 0o644))
      symlinkSync('nowhere', c.path('dangling'))
      mkdirSync(c.path('d'))
      for (const name of ['f', 'dangling', 'd']) {
        failsWith('EEXIST', () => openSync(c.path(name), O_CREAT | O_EXCL | O_RDWR), name)
      }
      assert.equal(existsSync(c.path('nowhere')), false)
    }
  },
  {
    name: 'open(O_CREAT) opens what is there, and through a dangling link makes its target',
    run(c) {
      writeFileSync(c.path('f'), 'content')
      const opened = openSync(c.path('f'), O_CREAT | O_RDWR, 0o600)
      assert.equal(readFileSync(opened, 'utf8'), 'content')
      closeSync(opened)
      symlinkSync('target', c.path('link'))
      closeSync(openSync(c.path('link'), O_CREAT | O_RDWR, 0o600))
      assert.ok(lstatSync(c.path('target')).isFile())
    }
  },
  {
    name: 'open(O_TRUNC) empties a file, also under an open descriptor',
    run(c) {
      writeFileSync(c.path('f'), pattern(100_000))
      const first = openSync(c.path('f'), O_RDONLY)
      const second = openSync(c.path('f'), O_WRONLY | O_TRUNC)
      assert.equal(fstatSync(first).size, 0)
      assert.equal(readSync(first, Buffer.alloc(10)), 0)
      writeSync(second, 'new')
      assert.equal(readFileSync(c.path('f'), 'utf8'), 'new')
      closeSync(first)
      closeSync(second)
    }
  },
  {
    name: 'open(O_APPEND) writes at the end, wherever the end is by then',
    run(c) {
      const [one, other] = [1, 2].map(() => openSync(c.path('f'), O_CREAT | O_WRONLY | O_APPEND))
      assert.ok(one !== undefined && other !== undefined)
      for (let round = 0; round < 50; round++) {
        writeSync(one, `one ${round}\n`)
        writeSync(other, `other ${round}\n`, 0)
      }
      closeSync(one)
      closeSync(other)
      const lines = Array.from({ length: 50 }, (_, round) => `one ${round}\nother ${round}\n`)
      assert.equal(readFileSync(c.path('f'), 'utf8'), lines.join(''))
    }
  },
  {
    name: 'open() fails with ENOENT, ENOTDIR, EISDIR and ELOOP as it should',
    run(c) {
      writeFileSync(c.path('f'), '')
      mkdirSync(c.path('d'))
      symlinkSync('f', c.path('link'))
      symlinkSync('loop', c.path('loop'))
      failsWith('ENOENT', () => openSync(c.path('absent'), O_RDONLY))
      failsWith('ENOENT', () => openSync(c.path('absent', 'f'), O_RDWR | O_CREAT))
      failsWith('ENOTDIR', () => openSync(c.path('f', 'x'), O_RDONLY))
      failsWith('ENOTDIR', () => openSync(c.path('f'), O_RDONLY | O_DIRECTORY))
      failsWith('ENOTDIR', () => openSync(`${c.path('f')}/`, O_RDONLY))
      failsWith('EISDIR', () => openSync(c.path('d'), O_RDWR))
      failsWith('EISDIR', () => openSync(c.path('d'), O_RDWR | O_CREAT))
      failsWith('ELOOP', () => openSync(c.path('link'), O_RDONLY | O_NOFOLLOW))
      failsWith('ELOOP', () => openSync(c.path('loop'), O_RDONLY))
    }
  },
  {
    name: 'open(O_CREAT) takes the mode less the umask',
    run(c) {
      const before = process.umask(0o027)
      try {
        closeSync(openSync(c.path('f'), O_CREAT | O_RDWR, 0o777))
        mkdirSync(c.path('d'), 0o777)
      } finally {
        process.umask(before)
      }
      assert.equal(statSync(c.path('f')).mode & 0o7777, 0o750)
      assert.equal(statSync(c.path('d')).mode & 0o7777, 0o750)
    }
  },
  {
    name: 'open(O_CREAT | O_WRONLY, 0400) gives a descriptor that writes',
    run(c) {
      const opened = openSync(c.path('f'), O_CREAT | O_WRONLY | O_EXCL, 0o400)
      writeSync(opened, 'content')
      failsWith('EBADF', () => readSync(opened, Buffer.alloc(1)))
      closeSync(opened)
      assert.equal(statSync(c.path('f')).mode & 0o777, 0o400)
      const reader = openSync(c.path('f'), O_RDONLY)
      failsWith('EBADF', () => writeSync(reader, 'x'))
      closeSync(reader)
      failsWith('EBADF', () => readSync(reader, Buffer.alloc(1)), 'closed')
    }
  },
  {
    name: 'a file that is unlinked while open is read and written until it is closed',
    run(c) {
      const opened = openSync(c.path('f'), O_CREAT | O_RDWR, 0o600)
      writeSync(opened, 'before')
      unlinkSync(c.path('f'))
      assert.equal(fstatSync(opened).nlink, 0)
      writeSync(opened, pattern(200_000), 0, 200_000, 6)
      assert.equal(fstatSync(opened).size, 200_006)
      const read = Buffer.alloc(200_000)
      assert.equal(readSync(opened, read, 0, 200_000, 6), 200_000)
      sameBytes(read, pattern(200_000))
      writeFileSync(c.path('f'), 'another file')
      fsyncSync(opened)
      closeSync(opened)
      assert.equal(readFileSync(c.path('f'), 'utf8'), 'another file')
    }
  },
  {
    name: 'an unlinked file keeps its other link, and counts',
    run(c) {
      const opened = openSync(c.path('a'), O_CREAT | O_RDWR, 0o600)
      linkSync(c.path('a'), c.path('b'))
      assert.equal(fstatSync(opened).nlink, 2)
      unlinkSync(c.path('a'))
      assert.equal(fstatSync(opened).nlink, 1)
      writeSync(opened, 'content')
      closeSync(opened)
      assert.equal(readFileSync(c.path('b'), 'utf8'), 'content')
    }
  },
  {
    name: 'fsync(), fdatasync(), O_SYNC and fsync() of a directory succeed',
    run(c) {
      const synced = openSync(c.path('f'), O_CREAT | O_RDWR | O_SYNC, 0o600)
      writeSync(synced, 'one')
      fsyncSync(synced)
      writeSync(synced, 'two')
      fdatasyncSync(synced)
      closeSync(synced)
      const dataSynced = openSync(c.path('f'), O_RDWR | O_DSYNC | O_APPEND)
      writeSync(dataSynced, 'three')
      closeSync(dataSynced)
      const directory = openSync(c.directory, O_RDONLY | O_DIRECTORY)
      fsyncSync(directory)
      closeSync(directory)
      assert.equal(readFileSync(c.path('f'), 'utf8'), 'onetwothree')
    }
  },
  {
    name: 'syncfs() and sync(1) of a file succeed',
    async run(c) {
      writeFileSync(c.path('f'), 'content')
      await c.run('sync', 'f')
      await c.run('sync', '--file-system', 'f')
    }
  },
  {
    name: `${OPEN_FILES} files are open at once, each with its own content`,
    run(c) {
      const opened = Array.from({ length: OPEN_FILES }, (_, index) =>
        openSync(c.path(`f${index}`), O_CREAT | O_RDWR, 0o600)
      )
      for (const [index, file] of opened.entries()) writeSync(file, `content ${index}`)
      for (const [index, file] of opened.entries()) {
        const read = Buffer.alloc(50)
        const count = readSync(file, read, 0, 50, 0)
        assert.equal(read.toString('utf8', 0, count), `content ${index}`)
      }
      for (const file of opened) closeSync(file)
    }
  },
  {
    name: 'open(O_TMPFILE) makes a nameless file that linkat() can name',
    async run(c) {
      const result = await c.python(`
fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o640)
os.write(fd, b'content')
before = [os.listdir('.'), os.fstat(fd).st_nlink, oct(os.fstat(fd).st_mode)]
os.link('/proc/self/fd/%d' % fd, 'named', src_dir_fd=0, follow_symlinks=True)
os.write(fd, b'!')
result = before + [os.listdir('.'), os.fstat(fd).st_nlink, open('named').read()]
exclusive = os.open('.', os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
result.append(errno_of(os.link, '/proc/self/fd/%d' % exclusive, 'other', src_dir_fd=0, follow_symlinks=True))
`)
      assert.deepEqual(result, [[], 0, '0o100640', ['named'], 1, 'content!', 'ENOENT'])
    }
  },
  {
    name: 'a program in the directory is executed, a script too',
    async run(c) {
      writeFileSync(c.path('script'), '#!/bin/sh\necho "hello $1"\n', { mode: 0o755 })
      assert.equal(await c.run(c.path('script'), 'you'), 'hello you\n')
      await c.run('cp', '--dereference', '/bin/sh', 'shell')
      assert.equal(await c.run(c.path('shell'), '-c', 'echo binary'), 'binary\n')
    }
  }
]
