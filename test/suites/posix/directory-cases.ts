/**
 * Directories: listing them, also large ones and while they change.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  closeSync,
  lstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  readdirSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import type { PosixCase } from './posix-case.ts'

/** How many names the large directory has. */
const MANY = 2000

/** See the module. */
export const directoryCases: readonly PosixCase[] = [
  {
    name: `readdir() of ${MANY} names gives each once; stat() finds each; unlink() empties it`,
    run(c) {
      const names = Array.from({ length: MANY }, (_, index) => `name-${index}`)
      for (const name of names) closeSync(openSync(c.path(name), 'wx'))
      assert.deepEqual(readdirSync(c.directory).toSorted(), names.toSorted())
      const numbers = names.map(name => statSync(c.path(name)).ino)
      assert.equal(new Set(numbers).size, MANY)
      for (const name of names) unlinkSync(c.path(name))
      assert.deepEqual(readdirSync(c.directory), [])
    }
  },
  {
    name: 'readdir() while each name is unlinked as it is read misses none',
    run(c) {
      mkdirSync(c.path('d'))
      for (let index = 0; index < 1000; index++) writeFileSync(c.path('d', `n${index}`), '')
      const opened = opendirSync(c.path('d'), { bufferSize: 16 })
      let removed = 0
      for (let entry = opened.readSync(); entry; entry = opened.readSync()) {
        unlinkSync(c.path('d', entry.name))
        removed++
      }
      opened.closeSync()
      assert.equal(removed, 1000)
      rmdirSync(c.path('d'))
    }
  },
  {
    name: 'readdir() while names come and go gives each that stays exactly once',
    run(c) {
      for (let index = 0; index < 500; index++) writeFileSync(c.path(`stays-${index}`), '')
      for (let index = 0; index < 500; index++) writeFileSync(c.path(`goes-${index}`), '')
      const opened = opendirSync(c.directory, { bufferSize: 32 })
      const seen: string[] = []
      let step = 0
      for (let entry = opened.readSync(); entry; entry = opened.readSync()) {
        seen.push(entry.name)
        if (step < 500) {
          unlinkSync(c.path(`goes-${step}`))
          writeFileSync(c.path(`comes-${step}`), '')
        }
        step++
      }
      opened.closeSync()
      const stays = seen.filter(name => name.startsWith('stays-'))
      assert.equal(stays.length, 500)
      assert.equal(new Set(seen).size, seen.length, 'no name twice')
    }
  },
  {
    name: 'readdir() gives the type of each name',
    async run(c) {
      writeFileSync(c.path('file'), '')
      mkdirSync(c.path('directory'))
      symlinkSync('file', c.path('symlink'))
      await c.run('mkfifo', 'fifo')
      const entries = readdirSync(c.directory, { withFileTypes: true })
      assert.equal(entries.length, 4)
      for (const entry of entries) {
        const { name } = entry
        assert.equal(entry.isFile(), name === 'file')
        assert.equal(entry.isDirectory(), name === 'directory')
        assert.equal(entry.isSymbolicLink(), name === 'symlink')
        assert.equal(entry.isFIFO(), name === 'fifo')
      }
    }
  },
  {
    name: 'readdir() gives . and .. and the inode numbers that stat() gives',
    async run(c) {
      mkdirSync(c.path('d'))
      mkdirSync(c.path('d', 'sub'))
      writeFileSync(c.path('d', 'f'), '')
      const listed = await c.run('ls', '-1ai', 'd')
      const rows = listed.trim().split('\n')
      const numbers = new Map(
        rows.map(row => row.trim().split(/\s+/).toReversed() as [string, string])
      )
      assert.deepEqual([...numbers.keys()].toSorted(), ['.', '..', 'f', 'sub'])
      for (const [name, number] of numbers) {
        assert.equal(number, String(lstatSync(c.path('d', name)).ino), name)
      }
    }
  },
  {
    name: 'telldir(), seekdir() and rewinddir() find their place again',
    async run(c) {
      for (let index = 0; index < 300; index++) writeFileSync(c.path(`n${index}`), '')
      const result = await c.python(`
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
for call in (libc.readdir, libc.telldir, libc.rewinddir): call.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
stream = libc.opendir(b'.')
def rest():
    names = []
    while True:
        entry = libc.readdir(stream)
        if not entry: return names
        names.append(ctypes.string_at(entry + 19).decode())
places, names = [], []
while True:
    places.append(libc.telldir(stream))
    entry = libc.readdir(stream)
    if not entry: break
    names.append(ctypes.string_at(entry + 19).decode())
same = True
for at in (0, 1, 2, 50, 150, 301, 302):
    libc.seekdir(stream, places[at])
    same = same and rest() == names[at:]
open('new', 'w').close()
libc.rewinddir(stream)
result = [len(names), same, 'new' in rest()]
`)
      assert.deepEqual(result, [302, true, true])
    }
  },
  {
    name: 'the link count of a directory is 2 and one for each directory in it',
    run(c) {
      mkdirSync(c.path('d'))
      if (statSync(c.path('d')).nlink === 1) c.skip('this file system does not count')
      mkdirSync(c.path('d', 'a'))
      mkdirSync(c.path('d', 'b'))
      writeFileSync(c.path('d', 'f'), '')
      assert.equal(statSync(c.path('d')).nlink, 4)
      rmdirSync(c.path('d', 'a'))
      assert.equal(statSync(c.path('d')).nlink, 3)
    }
  },
  {
    name: 'find, du and rm -r walk a tree of 30 directories',
    async run(c) {
      for (let outer = 0; outer < 5; outer++) {
        for (let inner = 0; inner < 5; inner++) {
          mkdirSync(c.path('t', `${outer}`, `${inner}`), { recursive: true })
          writeFileSync(c.path('t', `${outer}`, `${inner}`, 'f'), 'x'.repeat(5000))
        }
      }
      const found = await c.run('find', 't', '-type', 'f', '-size', '+4k')
      assert.equal(found.trim().split('\n').length, 25)
      const directories = await c.run('find', 't', '-type', 'd')
      assert.equal(directories.trim().split('\n').length, 31)
      const used = await c.run('du', '-s', '--apparent-size', '--block-size=1', 't')
      assert.ok(Number.parseInt(used, 10) >= 125_000, used)
      await c.run('rm', '-r', 't')
      assert.deepEqual(readdirSync(c.directory), [])
    }
  }
]
