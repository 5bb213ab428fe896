/**
 * Content: reading, writing, truncating, holes and copies.
 *
 * @module
 */
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  FILE_BYTES_MAX,
  O_APPEND,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  S_IFIFO,
  type HandleId
} from '../../../src/fs/vfs.ts'
import { bytesOf, joined, patternBytes } from '../../support/vfs-session.ts'
import { failsWith, type VfsCase, type VfsCaseSession, sameBytes } from './vfs-case.ts'

const KIB = 1024
const MIB = 1024 * KIB
const TIB = 1024 ** 4
/** A hole must be found if it is larger than this; smaller ones may read as data. */
const HOLE_GRAIN_BYTES = 256 * KIB
/** Sizes around every border an implementation may have. */
const SIZES = [0, 1, 4095, 4096, 4097, 32 * KIB, 64 * KIB + 1, 128 * KIB, 131_073, MIB + 7]

const STALE = Number.MAX_SAFE_INTEGER as HandleId

async function fileWith(s: VfsCaseSession, path: string, content: Uint8Array): Promise<HandleId> {
  const handle = s.create(path, O_RDWR)
  await s.write(handle, content, 0)
  return handle
}

function allZero(bytes: Uint8Array): boolean {
  return bytes.every(byte => byte === 0)
}

/** See the module. */
export const contentCases: readonly VfsCase[] = [
  ...SIZES.map((size): VfsCase => ({
    name: `write() then read() of ${size} bytes in one piece`,
    async run(t, s) {
      const content = patternBytes(size, size + 1)
      const handle = await fileWith(s, 'f', content)
      t.equal(s.stat('f').size, size)
      sameBytes(t, await s.read(handle, 0, size + 100), content, 'before close')
      await s.close(handle)
      sameBytes(t, await s.readFile('f'), content, 'after close')
    }
  })),
  {
    name: 'read() gives what lies in the range, at most to the end, then nothing',
    async run(t, s) {
      const handle = await fileWith(s, 'f', bytesOf('0123456789'))
      t.equal(await s.readText(handle, 3, 4), '3456')
      t.equal(await s.readText(handle, 8, 100), '89')
      t.same(await s.vfs.read(handle, { offset: 10, length: 5 }), [], 'at the end')
      t.same(await s.vfs.read(handle, { offset: TIB, length: 5 }), [], 'far beyond')
      sameBytes(t, joined(await s.vfs.read(handle, { offset: 0, length: 0 })), new Uint8Array(0))
      await s.close(handle)
    }
  },
  {
    name: 'what read() gave is not changed by a later write()',
    async run(t, s) {
      const handle = await fileWith(s, 'f', bytesOf('before'))
      const parts = await s.vfs.read(handle, { offset: 0, length: 6 })
      await s.write(handle, 'after!', 0)
      sameBytes(t, joined(parts), bytesOf('before'))
      await s.close(handle)
    }
  },
  {
    name: 'write() borrows its data until it returns',
    async run(t, s) {
      const handle = s.create('f', O_RDWR)
      const buffer = bytesOf('first ')
      const first = s.vfs.write(handle, buffer, { offset: 0, killPrivileges: false })
      buffer.set(bytesOf('second'))
      const second = s.vfs.write(handle, buffer, { offset: 6, killPrivileges: false })
      buffer.fill(0)
      t.same([await first, await second], [6, 6])
      t.equal(await s.readText(handle), 'first second')
      await s.close(handle)
      t.equal(await s.readFileText('f'), 'first second')
    }
  },
  {
    name: 'writes over one another: the last one wins, byte for byte',
    async run(t, s) {
      const size = 300 * KIB
      const expected = patternBytes(size)
      const handle = await fileWith(s, 'f', expected)
      const overlays = [
        [0, 1],
        [4095, 2],
        [4096, 4096],
        [65_535, 70_000],
        [131_072, 1],
        [size - 1, 1],
        [100_000, 150_000]
      ] as const
      for (const [offset, length] of overlays) {
        const piece = patternBytes(length, offset + length)
        expected.set(piece, offset)
        await s.write(handle, piece, offset)
        sameBytes(t, await s.read(handle, 0, size), expected, `${length} at ${offset}, still open`)
      }
      await s.close(handle)
      sameBytes(t, await s.readFile('f'), expected, 'after close')
    }
  },
  {
    name: 'a thousand small writes in a row and a hundred all over',
    async run(t, s) {
      const expected = new Uint8Array(64 * KIB)
      const handle = s.create('f', O_RDWR)
      for (let index = 0; index < 1000; index++) {
        const piece = patternBytes(64, index + 1)
        expected.set(piece, index * 64)
        await s.write(handle, piece, index * 64)
      }
      for (let index = 0; index < 100; index++) {
        const offset = (index * 7919) % 60_000
        const piece = patternBytes(1 + index, index + 5000)
        expected.set(piece, offset)
        await s.write(handle, piece, offset)
      }
      const size = s.stat('f').size
      t.equal(size, 64_000)
      await s.close(handle)
      sameBytes(t, await s.readFile('f'), expected.slice(0, size))
    }
  },
  {
    name: 'write() beyond the end leaves zeros between',
    async run(t, s) {
      const handle = await fileWith(s, 'f', bytesOf('start'))
      await s.write(handle, 'end', 200_000)
      t.equal(s.stat('f').size, 200_003)
      t.equal(await s.readText(handle, 0, 5), 'start')
      t.ok(allZero(await s.read(handle, 5, 199_995)))
      t.equal(await s.readText(handle, 200_000, 3), 'end')
      await s.close(handle)
    }
  },
  {
    name: 'write() of nothing changes nothing',
    async run(t, s) {
      const handle = await fileWith(s, 'f', bytesOf('content'))
      const before = s.stat('f')
      await s.tick()
      t.equal(await s.write(handle, '', 1000), 0)
      t.same(s.stat('f'), before)
      await s.close(handle)
    }
  },
  {
    name: 'write() through O_APPEND goes to the end, wherever it was sent',
    async run(t, s) {
      const appender = s.create('f', O_WRONLY | O_APPEND)
      const other = await s.open('f', O_RDWR)
      await s.write(appender, 'one', 0)
      await s.write(other, 'two', 3)
      await s.write(appender, 'three', 0)
      await s.write(other, 'ONE', 0)
      t.equal(await s.readText(other), 'ONEtwothree')
      await s.vfs.setattr(s.ino('f'), { size: 3 })
      await s.write(appender, '!', 100)
      t.equal(await s.readText(other), 'ONE!')
      await s.close(appender)
      await s.close(other)
    }
  },
  {
    name: 'several handles of a file see each other at once',
    async run(t, s) {
      const writer = s.create('f', O_WRONLY)
      const reader = await s.open('f', O_RDONLY)
      await s.write(writer, 'hello', 0)
      t.equal(await s.readText(reader), 'hello')
      t.equal(s.stat('f').size, 5)
      await s.close(writer)
      t.equal(await s.readText(reader), 'hello')
      await s.close(reader)
    }
  },
  {
    name: 'a handle gives the access it was opened with; a handle that is none: EBADF',
    async run(t, s) {
      await s.writeFile('f', 'content')
      const reader = await s.open('f', O_RDONLY)
      const writer = await s.open('f', O_WRONLY)
      await failsWith(t, 'EBADF', () => s.read(writer, 0, 1), 'read from a writer')
      await failsWith(t, 'EBADF', () => s.write(reader, 'x', 0), 'write to a reader')
      const range = { mode: 0, offset: 0, length: 10 }
      await failsWith(t, 'EBADF', () => s.vfs.fallocate(reader, range), 'fallocate of a reader')
      await s.close(reader)
      await s.close(writer)
      const calls = [
        () => s.read(STALE, 0, 1),
        () => s.write(STALE, 'x', 0),
        () => s.vfs.flush(STALE),
        () => s.vfs.fsync(STALE),
        () => s.vfs.release(STALE),
        () => s.vfs.fallocate(STALE, range),
        () => s.vfs.seek(STALE, { offset: 0, whence: 'data' }),
        () => s.vfs.copyFileRange({ handle: STALE, offset: 0 }, { handle: STALE, offset: 0 }, 1),
        () => s.read(reader, 0, 1)
      ]
      for (const call of calls) await failsWith(t, 'EBADF', call, String(call))
      t.equal(await s.readFileText('f'), 'content')
    }
  },
  {
    name: 'open() refuses directories, symbolic links and what is not there',
    async run(t, s) {
      const directory = s.mkdir('d').ino
      const symlink = s.vfs.symlink(s.place('l'), bytesOf('t'), s.caller).ino
      await failsWith(t, 'EISDIR', () => s.vfs.open(directory, O_RDONLY), 'a directory')
      await failsWith(t, 'ELOOP', () => s.vfs.open(symlink, O_RDONLY), 'a symbolic link')
      await s.writeFile('gone', '')
      const gone = s.ino('gone')
      s.vfs.unlink(s.place('gone'))
      await failsWith(t, 'ENOENT', () => s.vfs.open(gone, O_RDONLY), 'gone')
    }
  },
  {
    name: 'open(O_TRUNC) empties the file, also for handles that are open',
    async run(t, s) {
      const first = await fileWith(s, 'f', patternBytes(100_000))
      const second = await s.open('f', O_WRONLY | O_TRUNC)
      t.equal(s.stat('f').size, 0)
      t.same(await s.vfs.read(first, { offset: 0, length: 10 }), [])
      await s.write(first, 'tail', 10)
      sameBytes(
        t,
        await s.read(first, 0, 20),
        Uint8Array.from([...new Uint8Array(10), ...bytesOf('tail')])
      )
      await s.close(first)
      await s.close(second)
    }
  },
  {
    name: 'setattr(size) cuts and grows; what was cut does not come back',
    async run(t, s) {
      const content = patternBytes(200_000)
      const handle = await fileWith(s, 'f', content)
      for (const size of [150_001, 4096, 4095, 1, 0]) {
        const after = await s.vfs.setattr(s.ino('f'), { size })
        t.equal(after.size, size)
        sameBytes(t, await s.read(handle, 0, 300_000), content.slice(0, size))
      }
      await s.write(handle, content, 0)
      await s.vfs.setattr(s.ino('f'), { size: 5000 })
      await s.vfs.setattr(s.ino('f'), { size: 180_000 })
      await s.close(handle)
      const regrown = await s.readFile('f')
      t.equal(regrown.length, 180_000)
      sameBytes(t, regrown.slice(0, 5000), content.slice(0, 5000))
      t.ok(allZero(regrown.slice(5000)))
    }
  },
  {
    name: 'setattr(size) works without a handle and refuses what has no content',
    async run(t, s) {
      await s.writeFile('f', 'content')
      await s.vfs.setattr(s.ino('f'), { size: 3 })
      t.equal(await s.readFileText('f'), 'con')
      const directory = s.mkdir('d').ino
      const fifo = s.vfs.mknod(s.place('p'), { mode: S_IFIFO | 0o600, rdev: 0 }, s.caller).ino
      await failsWith(t, 'EISDIR', () => s.vfs.setattr(directory, { size: 0 }), 'a directory')
      await failsWith(t, 'EINVAL', () => s.vfs.setattr(fifo, { size: 0 }), 'a FIFO')
      await failsWith(t, 'EINVAL', () => s.vfs.setattr(s.ino('f'), { size: -1 }), 'negative')
      const huge = () => s.vfs.setattr(s.ino('f'), { size: 2 ** 60 })
      await failsWith(t, 'EFBIG', huge, 'beyond the largest file')
      t.equal(s.stat('f').size, 3)
    }
  },
  {
    name: 'a file may be 1 TiB and more, and reads at its far end',
    async run(t, s) {
      const handle = s.create('f', O_RDWR)
      await s.vfs.setattr(s.ino('f'), { size: TIB })
      t.equal(s.stat('f').size, TIB)
      await s.write(handle, 'far', 2 * TIB)
      t.equal(s.stat('f').size, 2 * TIB + 3)
      t.equal(await s.readText(handle, 2 * TIB, 10), 'far')
      t.ok(allZero(await s.read(handle, TIB - 10, 20)))
      await s.vfs.setattr(s.ino('f'), { size: FILE_BYTES_MAX })
      const write = () => s.write(handle, 'xx', FILE_BYTES_MAX - 1)
      await failsWith(t, 'EFBIG', write, 'a write that ends beyond the largest file')
      await s.vfs.setattr(s.ino('f'), { size: 0 })
      await s.close(handle)
    }
  },
  {
    name: 'holes take no space and seek() finds them',
    needs: 'holes',
    async run(t, s) {
      const handle = s.create('f', O_RDWR)
      const [start, end] = [512 * MIB, TIB]
      await s.write(handle, patternBytes(4096), start)
      await s.vfs.setattr(s.ino('f'), { size: end })
      await s.vfs.fsync(handle)
      t.ok(s.stat('f').blocks * 512 <= MIB, `blocks: ${s.stat('f').blocks}`)
      const data = s.vfs.seek(handle, { offset: 0, whence: 'data' })
      t.ok(data > start - HOLE_GRAIN_BYTES && data <= start, `data at ${data}`)
      t.equal(s.vfs.seek(handle, { offset: start + 1, whence: 'data' }), start + 1)
      t.equal(s.vfs.seek(handle, { offset: 7, whence: 'hole' }), 7)
      const hole = s.vfs.seek(handle, { offset: start, whence: 'hole' })
      t.ok(hole >= start + 4096 && hole < start + 4096 + HOLE_GRAIN_BYTES, `hole at ${hole}`)
      const beyond = () => s.vfs.seek(handle, { offset: start + 2 * MIB, whence: 'data' })
      await failsWith(t, 'ENXIO', beyond, 'no data to the end')
      await s.close(handle)
    }
  },
  {
    name: 'seek() in a full file: data everywhere, a hole at the end, ENXIO beyond',
    async run(t, s) {
      const handle = await fileWith(s, 'f', patternBytes(10_000))
      t.equal(s.vfs.seek(handle, { offset: 0, whence: 'data' }), 0)
      t.equal(s.vfs.seek(handle, { offset: 9999, whence: 'data' }), 9999)
      t.equal(s.vfs.seek(handle, { offset: 0, whence: 'hole' }), 10_000)
      t.equal(s.vfs.seek(handle, { offset: 9999, whence: 'hole' }), 10_000)
      for (const whence of ['data', 'hole'] as const) {
        const at = (offset: number) => () => s.vfs.seek(handle, { offset, whence })
        await failsWith(t, 'ENXIO', at(10_000), `${whence} at the end`)
        await failsWith(t, 'ENXIO', at(-1), `${whence} before the start`)
      }
      await s.close(handle)
    }
  },
  {
    name: 'fallocate() grows with zeros, or not with KEEP_SIZE',
    async run(t, s) {
      const handle = await fileWith(s, 'f', bytesOf('content'))
      await s.vfs.fallocate(handle, { mode: FALLOC_FL_KEEP_SIZE, offset: 0, length: 50_000 })
      t.equal(s.stat('f').size, 7)
      await s.vfs.fallocate(handle, { mode: 0, offset: 2, length: 3 })
      t.equal(s.stat('f').size, 7, 'a range inside')
      await s.vfs.fallocate(handle, { mode: 0, offset: 2, length: 20_000 })
      t.equal(s.stat('f').size, 20_002)
      t.equal(await s.readText(handle, 0, 7), 'content')
      t.ok(allZero(await s.read(handle, 7, 20_000)))
      await s.close(handle)
    }
  },
  {
    name: 'fallocate(PUNCH_HOLE) zeroes the range and keeps the size',
    async run(t, s) {
      const expected = patternBytes(300_000)
      const handle = await fileWith(s, 'f', expected)
      const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
      const ranges = [
        [10, 5],
        [4096, 8192],
        [100_001, 99_999],
        [299_990, 1000],
        [400_000, 10]
      ] as const
      for (const [offset, length] of ranges) {
        await s.vfs.fallocate(handle, { mode, offset, length })
        expected.fill(0, offset, offset + length)
        sameBytes(t, await s.read(handle, 0, 400_000), expected, `${length} at ${offset}`)
      }
      await s.close(handle)
      sameBytes(t, await s.readFile('f'), expected)
    }
  },
  {
    name: 'fallocate(PUNCH_HOLE) gives space back',
    needs: 'holes',
    async run(t, s) {
      const handle = await fileWith(s, 'f', patternBytes(2 * MIB))
      await s.vfs.fsync(handle)
      const before = s.stat('f').blocks
      const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
      await s.vfs.fallocate(handle, { mode, offset: 0, length: MIB })
      await s.vfs.fsync(handle)
      t.ok(before * 512 >= MIB, `full: ${before}`)
      t.ok(s.stat('f').blocks <= before * 0.7, `with a hole: ${s.stat('f').blocks}`)
      t.equal(s.vfs.seek(handle, { offset: 0, whence: 'hole' }), 0)
      await s.close(handle)
    }
  },
  {
    name: 'fallocate(ZERO_RANGE) zeroes the range and grows unless KEEP_SIZE',
    async run(t, s) {
      const content = patternBytes(10_000)
      const handle = await fileWith(s, 'f', content)
      const keep = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE
      await s.vfs.fallocate(handle, { mode: keep, offset: 9000, length: 5000 })
      t.equal(s.stat('f').size, 10_000)
      await s.vfs.fallocate(handle, { mode: FALLOC_FL_ZERO_RANGE, offset: 8000, length: 5000 })
      t.equal(s.stat('f').size, 13_000)
      sameBytes(t, await s.read(handle, 0, 8000), content.slice(0, 8000))
      t.ok(allZero(await s.read(handle, 8000, 5000)))
      await s.close(handle)
    }
  },
  {
    name: 'fallocate() refuses bad ranges and other modes, in that order',
    async run(t, s) {
      const handle = await fileWith(s, 'f', bytesOf('content'))
      const attempt = (mode: number, offset: number, length: number) => () =>
        s.vfs.fallocate(handle, { mode, offset, length })
      await failsWith(t, 'EINVAL', attempt(0, 0, 0), 'no length')
      await failsWith(t, 'EINVAL', attempt(0, -1, 10), 'a negative offset')
      await failsWith(t, 'EINVAL', attempt(8, 0, 0), 'a bad range in an unknown mode')
      await failsWith(t, 'EOPNOTSUPP', attempt(8, 0, 4096), 'COLLAPSE_RANGE')
      await failsWith(t, 'EOPNOTSUPP', attempt(32, 0, 4096), 'INSERT_RANGE')
      await failsWith(t, 'EOPNOTSUPP', attempt(2, 0, 4096), 'PUNCH_HOLE without KEEP_SIZE')
      await failsWith(t, 'EFBIG', attempt(0, FILE_BYTES_MAX - 5, 10), 'beyond the largest file')
      t.equal(await s.readText(handle), 'content')
      await s.close(handle)
    }
  },
  {
    name: 'copyFileRange() copies between files, up to the end of the source',
    async run(t, s) {
      const content = patternBytes(300_000)
      const source = await fileWith(s, 'a', content)
      const target = await fileWith(s, 'b', patternBytes(1000, 9))
      const copied = await s.vfs.copyFileRange(
        { handle: source, offset: 1000 },
        { handle: target, offset: 500 },
        1_000_000
      )
      t.equal(copied, 299_000)
      t.equal(s.stat('b').size, 299_500)
      sameBytes(t, await s.read(target, 0, 500), patternBytes(1000, 9).slice(0, 500))
      sameBytes(t, await s.read(target, 500, 300_000), content.slice(1000))
      await s.write(source, new Uint8Array(300_000), 0)
      sameBytes(t, await s.read(target, 500, 300_000), content.slice(1000), 'a copy of its own')
      const atEnd = await s.vfs.copyFileRange(
        { handle: source, offset: 300_000 },
        { handle: target, offset: 0 },
        10
      )
      t.equal(atEnd, 0)
      await s.close(source)
      await s.close(target)
      sameBytes(t, (await s.readFile('b')).slice(500), content.slice(1000))
    }
  },
  {
    name: 'copyFileRange() within a file: apart it copies, overlapping it is EINVAL',
    async run(t, s) {
      const content = patternBytes(20_000)
      const handle = await fileWith(s, 'f', content)
      const copy = (from: number, to: number, length: number) =>
        s.vfs.copyFileRange({ handle, offset: from }, { handle, offset: to }, length)
      t.equal(await copy(0, 10_000, 10_000), 10_000)
      sameBytes(t, await s.read(handle, 10_000, 10_000), content.slice(0, 10_000))
      await failsWith(t, 'EINVAL', () => copy(0, 5000, 6000), 'overlapping forwards')
      await failsWith(t, 'EINVAL', () => copy(5000, 0, 6000), 'overlapping backwards')
      t.equal(await copy(19_000, 15_000, 100_000), 1000, 'cut at the end they do not overlap')
      await s.close(handle)
    }
  },
  {
    name: 'copyFileRange() keeps holes as zeros and refuses handles without access',
    async run(t, s) {
      const source = s.create('a', O_RDWR)
      await s.write(source, 'x', 100_000)
      const target = await fileWith(s, 'b', patternBytes(150_000))
      const copied = await s.vfs.copyFileRange(
        { handle: source, offset: 0 },
        { handle: target, offset: 0 },
        100_001
      )
      t.equal(copied, 100_001)
      t.ok(allZero(await s.read(target, 0, 100_000)))
      sameBytes(t, await s.read(target, 100_001, 50_000), patternBytes(150_000).slice(100_001))
      const [reader, writer] = [await s.open('a', O_RDONLY), await s.open('b', O_WRONLY)]
      const appender = await s.open('b', O_WRONLY | O_APPEND)
      for (const [from, to] of [
        [writer, target],
        [source, reader],
        [source, appender]
      ] as const) {
        const copy = () =>
          s.vfs.copyFileRange({ handle: from, offset: 0 }, { handle: to, offset: 0 }, 1)
        await failsWith(t, 'EBADF', copy, 'refused')
      }
      for (const handle of [source, target, reader, writer, appender]) await s.close(handle)
    }
  },
  {
    name: 'flush(), fsync() and syncfs() change nothing that can be seen',
    async run(t, s) {
      const handle = await fileWith(s, 'f', bytesOf('content'))
      const before = s.stat('f')
      await s.vfs.flush(handle)
      await s.vfs.fsync(handle)
      await s.write(handle, 'C', 0)
      await s.vfs.syncfs()
      t.equal(await s.readText(handle), 'Content')
      await s.close(handle)
      t.equal(s.stat('f').ino, before.ino)
      t.equal(s.stat('f').size, before.size)
    }
  },
  {
    name: 'many files at once keep their content apart',
    async run(t, s) {
      const count = 50
      const handles: HandleId[] = []
      for (let index = 0; index < count; index++) handles.push(s.create(`f${index}`, O_RDWR))
      for (let round = 0; round < 4; round++) {
        for (const [index, handle] of handles.entries()) {
          await s.write(handle, patternBytes(3000, index * 10 + round + 1), round * 3000)
        }
      }
      for (const handle of handles) await s.close(handle)
      for (let index = 0; index < count; index++) {
        const rounds = [0, 1, 2, 3].map(round => patternBytes(3000, index * 10 + round + 1))
        sameBytes(t, await s.readFile(`f${index}`), joined(rounds))
      }
    }
  }
]
