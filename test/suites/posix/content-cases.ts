/**
 * Reading and writing: offsets, holes, sizes, truncation, allocation and copies.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  closeSync,
  constants,
  copyFileSync,
  createReadStream,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readvSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
  writevSync
} from 'node:fs'
import { failsWith, pattern, sameBytes, type PosixCase, type PosixContext } from './posix-case.ts'

const { O_RDWR, O_CREAT } = constants
const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB
const TIB = 1024 * GIB
const SECTOR_BYTES = 512
/** Sizes around the borders of pages, FUSE requests and blocks. */
const SIZES = [0, 1, 511, 4095, 4096, 4097, 65_536, 131_071, 131_073, MIB, 3 * MIB + 5]
/** Random operations in the case that compares a file with an array. */
const RANDOM_STEPS = 400
const RANDOM_FILE_BYTES = 300 * KIB

function open(c: PosixContext, name = 'f'): number {
  return openSync(c.path(name), O_RDWR | O_CREAT, 0o644)
}

function readAt(file: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, readSync(file, bytes, 0, length, offset))
}

/** A small generator, so that a failing run is the same again. */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return sides => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
}

/** See the module. */
export const contentCases: readonly PosixCase[] = [
  {
    name: 'write() then read() of sizes around every border',
    run(c) {
      for (const size of SIZES) {
        writeFileSync(c.path('f'), pattern(size, size + 1))
        assert.equal(statSync(c.path('f')).size, size)
        sameBytes(readFileSync(c.path('f')), pattern(size, size + 1), `${size} bytes`)
      }
    }
  },
  {
    name: 'pwrite() and pread() at offsets, over and over one another',
    run(c) {
      const file = open(c)
      const expected = pattern(200_000)
      writeSync(file, expected, 0, expected.length, 0)
      for (const [offset, length] of [
        [0, 1],
        [4095, 2],
        [100_000, 50_000],
        [131_000, 200],
        [199_999, 1]
      ] as const) {
        const piece = pattern(length, offset + 2)
        piece.copy(expected, offset)
        assert.equal(writeSync(file, piece, 0, length, offset), length)
        sameBytes(readAt(file, 0, 300_000), expected)
        sameBytes(readAt(file, offset, length), piece)
      }
      closeSync(file)
      sameBytes(readFileSync(c.path('f')), expected)
    }
  },
  {
    name: 'read() at and beyond the end gives nothing',
    run(c) {
      const file = open(c)
      writeSync(file, 'content')
      assert.equal(readAt(file, 7, 10).length, 0)
      assert.equal(readAt(file, 4 * GIB, 10).length, 0)
      assert.equal(readAt(file, 5, 10).toString(), 'nt')
      closeSync(file)
    }
  },
  {
    name: 'writev() and readv() keep their order',
    run(c) {
      const file = open(c)
      const parts = [pattern(10, 1), Buffer.alloc(0), pattern(70_000, 2), pattern(3, 3)]
      assert.equal(writevSync(file, parts, 5), 70_013)
      const into = [Buffer.alloc(70_000), Buffer.alloc(13)]
      assert.equal(readvSync(file, into, 5), 70_013)
      sameBytes(Buffer.concat(into), Buffer.concat(parts))
      closeSync(file)
    }
  },
  {
    name: 'a stream of 24 MiB comes back whole, also in small reads',
    async run(c) {
      const part = pattern(MIB)
      const file = open(c)
      for (let index = 0; index < 24; index++) writeSync(file, part)
      closeSync(file)
      for (const highWaterMark of [7_000, MIB]) {
        let at = 0
        for await (const chunk of createReadStream(c.path('f'), { highWaterMark })) {
          const bytes = chunk as Buffer
          for (let from = 0; from < bytes.length;) {
            const length = Math.min(bytes.length - from, MIB - (at % MIB))
            const expected = part.subarray(at % MIB, (at % MIB) + length)
            sameBytes(bytes.subarray(from, from + length), expected, `from ${at}`)
            from += length
            at += length
          }
        }
        assert.equal(at, 24 * MIB)
      }
    }
  },
  {
    name: 'random writes, cuts and reads agree with an array',
    run(c) {
      const roll = dice(20_261_101)
      let expected = Buffer.alloc(0)
      let file = open(c)
      const write = (offset: number, piece: Buffer) => {
        const size = Math.max(expected.length, offset + piece.length)
        const grown = Buffer.alloc(size)
        expected.copy(grown)
        piece.copy(grown, offset)
        expected = grown
        writeSync(file, piece, 0, piece.length, offset)
      }
      for (let step = 0; step < RANDOM_STEPS; step++) {
        const kind = roll(10)
        const offset = roll(RANDOM_FILE_BYTES)
        if (kind < 5) write(offset, pattern(1 + roll(kind === 0 ? 100_000 : 5000), step + 1))
        else if (kind === 5) {
          const cut = Buffer.alloc(offset)
          expected.copy(cut)
          expected = cut
          ftruncateSync(file, offset)
        } else if (kind === 6) {
          closeSync(file)
          file = open(c)
        } else {
          const length = roll(100_000)
          const found = readAt(file, offset, length)
          sameBytes(found, expected.subarray(offset, offset + length), `step ${step}`)
        }
        assert.equal(fstatSync(file).size, expected.length, `step ${step}`)
      }
      closeSync(file)
      sameBytes(readFileSync(c.path('f')), expected)
    }
  },
  {
    name: 'a write beyond the end leaves a hole of zeros that takes no space',
    run(c) {
      const file = open(c)
      writeSync(file, 'start', 0)
      writeSync(file, 'end', GIB)
      fsyncSync(file)
      const { size, blocks } = fstatSync(file)
      assert.equal(size, GIB + 3)
      assert.ok(blocks * SECTOR_BYTES <= MIB, `${blocks} blocks`)
      assert.ok(readAt(file, 5, 100_000).every(byte => byte === 0))
      assert.ok(readAt(file, GIB - 1000, 1000).every(byte => byte === 0))
      assert.equal(readAt(file, GIB, 10).toString(), 'end')
      closeSync(file)
    }
  },
  {
    name: 'a sparse file of 1 TiB is written and read at both ends',
    run(c) {
      const file = open(c)
      ftruncateSync(file, TIB)
      assert.equal(fstatSync(file).size, TIB)
      writeSync(file, pattern(5000), 0, 5000, TIB - 5000)
      writeSync(file, pattern(5000, 2), 0, 5000, 0)
      fsyncSync(file)
      closeSync(file)
      const again = open(c)
      assert.equal(fstatSync(again).size, TIB)
      assert.ok(fstatSync(again).blocks * SECTOR_BYTES <= MIB)
      sameBytes(readAt(again, TIB - 5000, 6000), pattern(5000))
      sameBytes(readAt(again, 0, 5000), pattern(5000, 2))
      assert.ok(readAt(again, TIB / 2, 10_000).every(byte => byte === 0))
      closeSync(again)
    }
  },
  {
    name: 'truncate() cuts and grows, and what was cut reads as zeros',
    run(c) {
      writeFileSync(c.path('f'), pattern(200_000))
      for (const size of [150_001, 4097, 4096, 100]) {
        truncateSync(c.path('f'), size)
        sameBytes(readFileSync(c.path('f')), pattern(200_000).subarray(0, size))
      }
      truncateSync(c.path('f'), 180_000)
      const regrown = readFileSync(c.path('f'))
      sameBytes(regrown.subarray(0, 100), pattern(200_000).subarray(0, 100))
      assert.equal(regrown.length, 180_000)
      assert.ok(regrown.subarray(100).every(byte => byte === 0))
      truncateSync(c.path('f'), 0)
      assert.equal(readFileSync(c.path('f')).length, 0)
    }
  },
  {
    name: 'ftruncate() of an open file is seen by its other descriptors',
    run(c) {
      const [one, other] = [open(c), open(c)]
      writeSync(one, pattern(100_000))
      ftruncateSync(other, 50_000)
      assert.equal(fstatSync(one).size, 50_000)
      assert.equal(readAt(one, 49_990, 100).length, 10)
      writeSync(one, 'x', 60_000)
      assert.equal(readAt(other, 60_000, 1).toString(), 'x')
      closeSync(one)
      closeSync(other)
    }
  },
  {
    name: 'truncate() of a directory: EISDIR, of nothing: ENOENT',
    run(c) {
      mkdirSync(c.path('d'))
      failsWith('EISDIR', () => truncateSync(c.path('d'), 0))
      failsWith('ENOENT', () => truncateSync(c.path('absent'), 0))
    }
  },
  {
    name: 'fallocate(1) grows, keeps the size and punches a hole',
    async run(c) {
      c.needs('fallocate', 'util-linux')
      const expected = pattern(MIB)
      writeFileSync(c.path('f'), expected)
      await c.run('fallocate', '--punch-hole', '--offset', '65536', '--length', '262144', 'f')
      expected.fill(0, 65_536, 65_536 + 262_144)
      sameBytes(readFileSync(c.path('f')), expected, 'punched')
      await c.run('fallocate', '--punch-hole', '--offset', '1000', '--length', '5', 'f')
      expected.fill(0, 1000, 1005)
      sameBytes(readFileSync(c.path('f')), expected, 'punched within a page')
      await c.run('fallocate', '--keep-size', '--length', `${4 * MIB}`, 'f')
      assert.equal(statSync(c.path('f')).size, MIB)
      await c.run('fallocate', '--length', `${2 * MIB}`, 'f')
      assert.equal(statSync(c.path('f')).size, 2 * MIB)
      sameBytes(readFileSync(c.path('f')).subarray(0, MIB), expected, 'grown')
    }
  },
  {
    name: 'fallocate(1) zeroes a range, also beyond the end',
    async run(c) {
      c.needs('fallocate', 'util-linux')
      const expected = pattern(MIB)
      writeFileSync(c.path('f'), expected)
      await c.run('fallocate', '--zero-range', '--offset', '1000', '--length', '70000', 'f')
      await c.run('fallocate', '--zero-range', '--offset', `${MIB - 10}`, '--length', '110', 'f')
      expected.fill(0, 1000, 71_000)
      expected.fill(0, MIB - 10)
      sameBytes(readFileSync(c.path('f')), Buffer.concat([expected, Buffer.alloc(100)]))
    }
  },
  {
    name: 'fallocate(PUNCH_HOLE) gives the space back',
    async run(c) {
      c.needs('fallocate', 'util-linux')
      writeFileSync(c.path('f'), pattern(4 * MIB))
      await c.run('sync', 'f')
      const before = statSync(c.path('f')).blocks
      await c.run('fallocate', '--punch-hole', '--offset', '0', '--length', `${3 * MIB}`, 'f')
      await c.run('sync', 'f')
      const after = statSync(c.path('f')).blocks
      assert.ok(before * SECTOR_BYTES >= 4 * MIB, `${before} before`)
      assert.ok(after < before / 2, `${after} after, ${before} before`)
    }
  },
  {
    name: 'fallocate() refuses what it must: EBADF, EINVAL, EOPNOTSUPP',
    async run(c) {
      writeFileSync(c.path('f'), 'content')
      const result = await c.python(`
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong]
reader = os.open('f', os.O_RDONLY)
writer = os.open('f', os.O_RDWR)
def allocate(*arguments):
    return libc_errno(libc.fallocate(*arguments))
result = [allocate(reader, 0, 0, 10), allocate(writer, 0, 0, 0), allocate(writer, 0, -1, 10), allocate(writer, 2, 0, 10), open('f').read()]
`)
      assert.deepEqual(result, ['EBADF', 'EINVAL', 'EINVAL', 'EOPNOTSUPP', 'content'])
    }
  },
  {
    name: 'lseek() finds data and holes',
    async run(c) {
      const result = await c.python(`
size = 64 * 1024 * 1024
at = 32 * 1024 * 1024
fd = os.open('f', os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(fd, size)
os.pwrite(fd, b'x' * 8192, at)
os.fsync(fd)
data = os.lseek(fd, 0, os.SEEK_DATA)
hole = os.lseek(fd, at, os.SEEK_HOLE)
result = [
    at - 1048576 <= data <= at, os.lseek(fd, at + 5, os.SEEK_DATA) == at + 5,
    at + 8192 <= hole <= at + 1048576, os.lseek(fd, 3, os.SEEK_HOLE) == 3,
    errno_of(os.lseek, fd, at + 4 * 1048576, os.SEEK_DATA),
    errno_of(os.lseek, fd, size, os.SEEK_HOLE), errno_of(os.lseek, fd, size + 1, os.SEEK_DATA)]
full = os.open('full', os.O_RDWR | os.O_CREAT, 0o600)
os.write(full, b'x' * 10000)
result += [os.lseek(full, 0, os.SEEK_DATA), os.lseek(full, 0, os.SEEK_HOLE)]
`)
      assert.deepEqual(result, [true, true, true, true, 'ENXIO', 'ENXIO', 'ENXIO', 0, 10_000])
    }
  },
  {
    name: 'cp --sparse=always keeps a sparse file sparse and the same',
    async run(c) {
      const file = open(c)
      writeSync(file, pattern(100_000), 0, 100_000, 50 * MIB)
      ftruncateSync(file, 80 * MIB)
      closeSync(file)
      await c.run('cp', '--reflink=auto', '--sparse=always', 'f', 'copy')
      await c.run('cmp', 'f', 'copy')
      await c.run('sync', 'copy')
      assert.equal(statSync(c.path('copy')).size, 80 * MIB)
      assert.ok(statSync(c.path('copy')).blocks * SECTOR_BYTES <= 2 * MIB)
    }
  },
  {
    name: 'cp and copyFile() make a copy of its own',
    async run(c) {
      const content = pattern(2 * MIB + 17)
      writeFileSync(c.path('f'), content)
      await c.run('cp', '--reflink=auto', 'f', 'one')
      copyFileSync(c.path('f'), c.path('two'))
      writeFileSync(c.path('f'), 'changed')
      for (const copy of ['one', 'two']) sameBytes(readFileSync(c.path(copy)), content, copy)
    }
  },
  {
    name: 'copy_file_range() copies ranges, stops at the end and refuses an overlap',
    async run(c) {
      writeFileSync(c.path('a'), pattern(300_000))
      writeFileSync(c.path('b'), pattern(10_000, 2))
      const result = await c.python(`
a = os.open('a', os.O_RDWR)
b = os.open('b', os.O_RDWR)
def copy_all(source, target, count, from_offset, to_offset):
    done = 0
    while done < count:
        copied = os.copy_file_range(source, target, count - done, from_offset + done, to_offset + done)
        if copied == 0: break
        done += copied
    return done
result = [
    copy_all(a, b, 400000, 1000, 5000),
    copy_all(a, a, 1000, 0, 200000),
    errno_of(os.copy_file_range, a, a, 5000, 0, 1000),
    copy_all(a, b, 10, 300000, 0)]
reader = os.open('b', os.O_RDONLY)
appender = os.open('b', os.O_WRONLY | os.O_APPEND)
result += [errno_of(os.copy_file_range, a, reader, 10, 0, 0), errno_of(os.copy_file_range, a, appender, 10, 0, 0)]
`)
      assert.deepEqual(result, [299_000, 1000, 'EINVAL', 0, 'EBADF', 'EBADF'])
      const source = pattern(300_000)
      const copied = Buffer.concat([pattern(10_000, 2).subarray(0, 5000), source.subarray(1000)])
      sameBytes(readFileSync(c.path('b')), copied)
      source.copyWithin(200_000, 0, 1000)
      sameBytes(readFileSync(c.path('a')), source)
    }
  },
  {
    name: 'write() beyond what a file can hold: EFBIG or EINVAL',
    async run(c) {
      const result = (await c.python(`
fd = os.open('f', os.O_RDWR | os.O_CREAT, 0o600)
result = [errno_of(os.pwrite, fd, b'xx', 2 ** 63 - 2), errno_of(os.ftruncate, fd, -1), os.fstat(fd).st_size,
    errno_of(os.ftruncate, fd, 2 ** 63 - 1), os.fstat(fd).st_size]
`)) as readonly (string | number)[]
      const [written, negative, size, cut, cutSize] = result
      assert.ok(written === 'EFBIG' || written === 'EINVAL', `write: ${written}`)
      assert.deepEqual([negative, size], ['EINVAL', 0])
      // A file system without a limit of its own may say yes, and must mean it.
      if (cut === 'ok') assert.ok(Number(cutSize) > 2 ** 62)
      else assert.deepEqual([cut, cutSize], [cut === 'EINVAL' ? 'EINVAL' : 'EFBIG', 0])
    }
  },
  {
    name: 'a write of nothing succeeds and changes nothing',
    run(c) {
      const file = open(c)
      writeSync(file, 'content')
      const before = fstatSync(file, { bigint: true })
      assert.equal(writeSync(file, Buffer.alloc(0), 0, 0, 1000), 0)
      const after = fstatSync(file, { bigint: true })
      assert.equal(after.size, 7n)
      assert.equal(after.mtimeNs, before.mtimeNs)
      closeSync(file)
    }
  },
  {
    name: 'a full file has its blocks counted',
    async run(c) {
      writeFileSync(c.path('f'), pattern(MIB))
      await c.run('sync', 'f')
      const { blocks, blksize } = statSync(c.path('f'))
      assert.ok(blocks * SECTOR_BYTES >= MIB && blocks * SECTOR_BYTES < 2 * MIB, `${blocks}`)
      assert.ok(blksize >= 512)
    }
  }
]
