/**
 * Names: links, symbolic links, special files, long and odd names.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { failsWith, type PosixCase, type PosixContext } from './posix-case.ts'

/** How deep the deep tree is; with names of 200 bytes it has the longest path Linux takes. */
const DEEP = 18

/** A path below the case's directory with a name of any bytes. */
function rawPath(c: PosixContext, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${c.directory}/`), name])
}

async function pingThroughSocket(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.end('pong'))
    server.on('error', reject)
    server.listen(path, () => {
      let text = ''
      createConnection(path)
        .setEncoding('utf8')
        .on('data', (part: string) => (text += part))
        .on('error', reject)
        .on('close', () => server.close(() => resolve(text)))
    })
  })
}

/** See the module. */
export const nameCases: readonly PosixCase[] = [
  {
    name: 'link() gives a second name, counted and the same inode',
    run(c) {
      writeFileSync(c.path('a'), 'content')
      mkdirSync(c.path('d'))
      linkSync(c.path('a'), c.path('d', 'b'))
      const [a, b] = [statSync(c.path('a')), statSync(c.path('d', 'b'))]
      assert.deepEqual([a.nlink, b.nlink], [2, 2])
      assert.equal(a.ino, b.ino)
      writeFileSync(c.path('d', 'b'), 'changed')
      assert.equal(readFileSync(c.path('a'), 'utf8'), 'changed')
      unlinkSync(c.path('a'))
      assert.equal(statSync(c.path('d', 'b')).nlink, 1)
      assert.equal(readFileSync(c.path('d', 'b'), 'utf8'), 'changed')
    }
  },
  {
    name: 'link() fails with EEXIST, EPERM, ENOENT and ENOTDIR as it should',
    run(c) {
      writeFileSync(c.path('a'), '')
      writeFileSync(c.path('b'), '')
      mkdirSync(c.path('d'))
      failsWith('EEXIST', () => linkSync(c.path('a'), c.path('b')))
      failsWith('EEXIST', () => linkSync(c.path('d'), c.path('b')), 'EEXIST comes before EPERM')
      failsWith('EPERM', () => linkSync(c.path('d'), c.path('e')))
      failsWith('ENOENT', () => linkSync(c.path('absent'), c.path('e')))
      failsWith('ENOENT', () => linkSync(c.path('a'), c.path('absent', 'e')))
      failsWith('ENOTDIR', () => linkSync(c.path('a'), c.path('b', 'e')))
    }
  },
  {
    name: 'a file has a hundred names',
    run(c) {
      writeFileSync(c.path('f'), 'content')
      for (let index = 0; index < 100; index++) linkSync(c.path('f'), c.path(`n${index}`))
      assert.equal(statSync(c.path('f')).nlink, 101)
      for (let index = 0; index < 100; index++) unlinkSync(c.path(`n${index}`))
      assert.equal(statSync(c.path('f')).nlink, 1)
    }
  },
  {
    name: 'symlink() and readlink() keep the target byte for byte',
    run(c) {
      const targets = ['t', '../up/../and/down', '/absolute', 'x'.repeat(4095), 'ä ö\n']
      for (const [index, target] of targets.entries()) {
        symlinkSync(target, c.path(`l${index}`))
        assert.equal(readlinkSync(c.path(`l${index}`)), target)
        assert.equal(lstatSync(c.path(`l${index}`)).size, Buffer.byteLength(target))
      }
      const raw = Buffer.from([0xff, 0xc3, 0x28])
      symlinkSync(raw, c.path('raw'))
      assert.deepEqual(readlinkSync(c.path('raw'), 'buffer'), raw)
    }
  },
  {
    name: 'symbolic links are followed, dangle, loop and are removed alone',
    run(c) {
      mkdirSync(c.path('d'))
      writeFileSync(c.path('d', 'f'), 'content')
      symlinkSync('d', c.path('link'))
      symlinkSync('absent', c.path('dangling'))
      symlinkSync('two', c.path('one'))
      symlinkSync('one', c.path('two'))
      assert.equal(readFileSync(c.path('link', 'f'), 'utf8'), 'content')
      assert.ok(lstatSync(c.path('link')).isSymbolicLink())
      assert.ok(statSync(c.path('link')).isDirectory())
      failsWith('ENOENT', () => statSync(c.path('dangling')))
      failsWith('ELOOP', () => statSync(c.path('one')))
      failsWith('ENOTDIR', () => rmdirSync(c.path('link')))
      unlinkSync(c.path('link'))
      assert.equal(readFileSync(c.path('d', 'f'), 'utf8'), 'content')
    }
  },
  {
    name: 'symlink() refuses a target that is empty or too long, and a taken name',
    run(c) {
      failsWith('ENOENT', () => symlinkSync('', c.path('l')))
      failsWith('ENAMETOOLONG', () => symlinkSync('x'.repeat(4096), c.path('l')))
      symlinkSync('t', c.path('l'))
      failsWith('EEXIST', () => symlinkSync('t', c.path('l')))
    }
  },
  {
    name: 'unlink() and rmdir() tell files and directories apart',
    run(c) {
      writeFileSync(c.path('f'), '')
      mkdirSync(c.path('d'))
      mkdirSync(c.path('d', 'e'))
      failsWith('EISDIR', () => unlinkSync(c.path('d')))
      failsWith('ENOTDIR', () => rmdirSync(c.path('f')))
      failsWith('ENOTEMPTY', () => rmdirSync(c.path('d')))
      failsWith('EINVAL', () => rmdirSync(`${c.path('d')}/.`))
      failsWith('ENOENT', () => unlinkSync(c.path('absent')))
      failsWith('ENOENT', () => rmdirSync(c.path('absent')))
      failsWith('ENOTDIR', () => unlinkSync(c.path('f', 'x')))
      rmdirSync(c.path('d', 'e'))
      rmdirSync(c.path('d'))
      unlinkSync(c.path('f'))
      assert.deepEqual(readdirSync(c.directory), [])
    }
  },
  {
    name: 'mkdir() fails with EEXIST, ENOENT and ENOTDIR as it should',
    run(c) {
      mkdirSync(c.path('d'))
      writeFileSync(c.path('f'), '')
      symlinkSync('absent', c.path('dangling'))
      for (const name of ['d', 'f', 'dangling', '.', 'd/..']) {
        failsWith('EEXIST', () => mkdirSync(`${c.directory}/${name}`), name)
      }
      failsWith('ENOENT', () => mkdirSync(c.path('absent', 'd')))
      failsWith('ENOTDIR', () => mkdirSync(c.path('f', 'd')))
    }
  },
  {
    name: 'names of 255 bytes, and ENAMETOOLONG from 256 on',
    run(c) {
      for (const name of ['x'.repeat(255), 'ä'.repeat(127) + 'y', '😀'.repeat(63) + 'abc']) {
        assert.equal(Buffer.byteLength(name), 255)
        writeFileSync(c.path(name), name)
        assert.deepEqual(readdirSync(c.directory), [name])
        assert.equal(readFileSync(c.path(name), 'utf8'), name)
        failsWith('ENAMETOOLONG', () => writeFileSync(c.path(`${name}z`), ''))
        failsWith('ENAMETOOLONG', () => mkdirSync(c.path(`${name}z`)))
        failsWith('ENAMETOOLONG', () => statSync(c.path(`${name}z`)))
        failsWith('ENAMETOOLONG', () => linkSync(c.path(name), c.path(`${name}z`)))
        unlinkSync(c.path(name))
      }
    }
  },
  {
    name: 'odd names: spaces, line ends, dashes, quotes, dots, control characters',
    run(c) {
      const names = [' ', '\n', '-rf', '"', "'", '\\', '...', '.hidden', 'a:b', '*', '\u0001', '~']
      for (const name of names) writeFileSync(c.path(name), name)
      assert.deepEqual(readdirSync(c.directory).toSorted(), names.toSorted())
      for (const name of names) assert.equal(readFileSync(c.path(name), 'utf8'), name)
    }
  },
  {
    name: 'names that look alike are different files: case and composition',
    run(c) {
      const names = ['a', 'A', '\u00e9', 'e\u0301', 'ss', 'ß']
      for (const name of names) writeFileSync(c.path(name), name)
      assert.equal(readdirSync(c.directory).length, names.length)
      for (const name of names) assert.equal(readFileSync(c.path(name), 'utf8'), name)
    }
  },
  {
    name: 'names that are not UTF-8 are kept byte for byte',
    run(c) {
      const names = [[0xff], [0xc3, 0x28], [0x80, 0x81], [0xe2, 0x82], [0x61, 0xfe, 0x62]]
      for (const bytes of names) writeFileSync(rawPath(c, Buffer.from(bytes)), String(bytes))
      const listed = readdirSync(Buffer.from(c.directory), { encoding: 'buffer' })
      assert.deepEqual(
        listed.map(name => name.toString('hex')).toSorted(),
        names.map(bytes => Buffer.from(bytes).toString('hex')).toSorted()
      )
      for (const bytes of names) {
        const path = rawPath(c, Buffer.from(bytes))
        assert.equal(readFileSync(path, 'utf8'), String(bytes))
        unlinkSync(path)
      }
    }
  },
  {
    name: 'a path of more than 4,095 bytes: ENAMETOOLONG; a deep tree is removed',
    run(c) {
      const part = 'd'.repeat(200)
      const parts = Array.from({ length: DEEP }, () => part)
      mkdirSync(c.path(...parts), { recursive: true })
      writeFileSync(c.path(...parts, 'f'), 'deep')
      assert.equal(readFileSync(c.path(...parts, 'f'), 'utf8'), 'deep')
      failsWith('ENAMETOOLONG', () => statSync(c.path(...parts, part, part, part)))
      rmSync(c.path(part), { recursive: true })
      assert.deepEqual(readdirSync(c.directory), [])
    }
  },
  {
    name: 'a FIFO carries bytes between processes',
    async run(c) {
      await c.run('mkfifo', '-m', '640', 'pipe')
      const made = lstatSync(c.path('pipe'))
      assert.ok(made.isFIFO())
      assert.equal(made.mode & 0o777, 0o640)
      const through = await c.run('sh', '-c', 'echo through the pipe > pipe & cat pipe; wait')
      assert.equal(through, 'through the pipe\n')
    }
  },
  {
    name: 'a socket is made, found and connected to',
    async run(c) {
      const before = process.cwd()
      process.chdir(c.directory)
      try {
        assert.equal(await pingThroughSocket('s'), 'pong')
        closeSync(openSync('f', 'w'))
      } finally {
        process.chdir(before)
      }
      await c.python(`
import socket
kept = socket.socket(socket.AF_UNIX)
kept.bind('kept')
`)
      assert.ok(lstatSync(c.path('kept')).isSocket())
    }
  },
  {
    name: 'mknod() makes device nodes with their numbers',
    async run(c) {
      c.needsRoot('makes device nodes')
      await c.run('mknod', 'null', 'c', '1', '3')
      await c.run('mknod', 'block', 'b', '259', '70000')
      const [character, block] = [lstatSync(c.path('null')), lstatSync(c.path('block'))]
      assert.ok(character.isCharacterDevice() && block.isBlockDevice())
      const numbers = await c.run('stat', '-c', '%t %T', 'null', 'block')
      assert.equal(numbers, '1 3\n103 11170\n')
    }
  },
  {
    name: 'a working directory survives the renaming of its parent, and its own removal',
    run(c) {
      const before = process.cwd()
      mkdirSync(c.path('a', 'b', 'c'), { recursive: true })
      process.chdir(c.path('a', 'b', 'c'))
      // Not process.cwd(), which remembers where it was.
      const where = () => readlinkSync('/proc/self/cwd')
      try {
        writeFileSync('f', 'here')
        unlinkSync('f')
        const { ino } = statSync('.')
        renameSync(c.path('a'), c.path('moved'))
        assert.ok(where().endsWith('/moved/b/c'), where())
        assert.equal(statSync('.').ino, ino)
        writeFileSync('f', 'still here')
        assert.equal(readFileSync(c.path('moved', 'b', 'c', 'f'), 'utf8'), 'still here')
        unlinkSync('f')
        rmdirSync(c.path('moved', 'b', 'c'))
        assert.equal(statSync('.').nlink, 0)
        failsWith('ENOENT', () => writeFileSync('f', ''))
      } finally {
        process.chdir(before)
      }
    }
  }
]
