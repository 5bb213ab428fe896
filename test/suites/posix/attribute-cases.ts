/**
 * stat(2), chmod(2), chown(2), utimensat(2), statfs(2).
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  closeSync,
  fstatSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { PosixCase, PosixContext } from './posix-case.ts'

/** Longer than the coarsest clock that a kernel stamps files with (10 ms at 100 Hz). */
const TICK_MS = 25

/** Times by how touch(1) takes them: seconds and nine digits. */
const TIMES = [
  '1700000000.123456789',
  '1700000000.999999999',
  '1700000000.000000001',
  '0.000000000',
  '2147483648.500000000'
]
const BEFORE_1970 = ['-1.500000000', '-1000000000.000000001', '-2147483648.000000000']
const AFTER_2106 = ['4294967296.250000000', '5000000000.123456789', '7258118400.000000000']

interface Times {
  readonly mtime: bigint
  readonly ctime: bigint
  readonly atime: bigint
}

function timesOf(path: string): Times {
  const { mtimeNs: mtime, ctimeNs: ctime, atimeNs: atime } = lstatSync(path, { bigint: true })
  return { mtime, ctime, atime }
}

/** Nanoseconds of a time as touch(1) takes it. */
function nanoseconds(time: string): bigint {
  const [whole = '0', part = '0'] = time.split('.')
  const magnitude = BigInt(whole.replace('-', '')) * 1_000_000_000n + BigInt(part.padEnd(9, '0'))
  return whole.startsWith('-') ? -magnitude : magnitude
}

/** Which of mtime and ctime a call moves. */
async function moved(path: string, call: () => unknown): Promise<string> {
  const before = timesOf(path)
  await setTimeout(TICK_MS)
  await call()
  const after = timesOf(path)
  const names = (['mtime', 'ctime'] as const).filter(name => after[name] > before[name])
  return names.join(' ')
}

async function touchAndCompare(c: PosixContext, times: readonly string[]): Promise<void> {
  writeFileSync(c.path('f'), '')
  mkdirSync(c.path('d'))
  symlinkSync('f', c.path('l'))
  for (const time of times) {
    await c.run('touch', '-h', '-d', `@${time}`, 'f', 'd', 'l')
    for (const name of ['f', 'd', 'l']) {
      const { mtime, atime } = timesOf(c.path(name))
      assert.equal(mtime, nanoseconds(time), `mtime of ${name}: ${time}`)
      assert.equal(atime, nanoseconds(time), `atime of ${name}: ${time}`)
    }
  }
}

/** See the module. */
export const attributeCases: readonly PosixCase[] = [
  {
    name: 'touch -d sets times to the nanosecond, of files, directories and links',
    run: c => touchAndCompare(c, TIMES)
  },
  {
    name: 'times before 1970 are kept',
    run: c => touchAndCompare(c, BEFORE_1970)
  },
  {
    name: 'times after 2106 are kept',
    run: c => touchAndCompare(c, AFTER_2106)
  },
  {
    name: 'touch -m leaves atime and touch -a leaves mtime (UTIME_OMIT)',
    async run(c) {
      writeFileSync(c.path('f'), '')
      await c.run('touch', '-d', '@1000.5', 'f')
      await c.run('touch', '-m', '-d', '@2000.25', 'f')
      assert.deepEqual(pick(timesOf(c.path('f'))), [2_000_250_000_000n, 1_000_500_000_000n])
      await c.run('touch', '-a', '-d', '@3000.125', 'f')
      assert.deepEqual(pick(timesOf(c.path('f'))), [2_000_250_000_000n, 3_000_125_000_000n])
      const before = timesOf(c.path('f'))
      await c.run('touch', '-m', 'f')
      const after = timesOf(c.path('f'))
      assert.ok(after.mtime > before.mtime, 'UTIME_NOW')
      assert.equal(after.atime, before.atime)
    }
  },
  {
    name: 'futimes() on an open descriptor stays after it was written to and closed',
    async run(c) {
      const opened = openSync(c.path('f'), 'w')
      writeSync(opened, 'content')
      futimesSync(opened, 1000, 2000)
      closeSync(opened)
      await setTimeout(TICK_MS)
      assert.deepEqual(pick(timesOf(c.path('f'))), [2_000_000_000_000n, 1_000_000_000_000n])
      utimesSync(c.path('f'), 5, 6)
      assert.deepEqual(pick(timesOf(c.path('f'))), [6_000_000_000n, 5_000_000_000n])
    }
  },
  {
    name: 'what moves mtime and ctime of a file, and what does not',
    async run(c) {
      const f = c.path('f')
      writeFileSync(f, 'content')
      const append = () => writeFileSync(f, 'more', { flag: 'a' })
      assert.equal(await moved(f, append), 'mtime ctime', 'write')
      assert.equal(await moved(f, () => writeFileSync(f, '')), 'mtime ctime', 'truncate')
      assert.equal(await moved(f, () => chmodSync(f, 0o600)), 'ctime', 'chmod')
      assert.equal(await moved(f, () => linkSync(f, c.path('g'))), 'ctime', 'link')
      assert.equal(await moved(f, () => unlinkSync(c.path('g'))), 'ctime', 'unlink of a link')
      assert.equal(await moved(f, () => readFileSync(f)), '', 'read')
      assert.equal(await moved(f, () => closeSync(openSync(f, 'r+'))), '', 'open and close')
      await c.run('touch', '-d', '@1000', 'f')
      assert.equal(timesOf(f).mtime, 1_000_000_000_000n)
      assert.ok(timesOf(f).ctime > timesOf(f).mtime, 'ctime cannot be set')
    }
  },
  {
    name: 'what moves mtime and ctime of a directory, and what does not',
    async run(c) {
      const d = c.path('d')
      mkdirSync(d)
      const inside = (name: string) => c.path('d', name)
      assert.equal(await moved(d, () => writeFileSync(inside('f'), '')), 'mtime ctime', 'create')
      assert.equal(await moved(d, () => mkdirSync(inside('e'))), 'mtime ctime', 'mkdir')
      assert.equal(await moved(d, () => writeFileSync(inside('f'), 'x')), '', 'a write inside')
      assert.equal(await moved(d, () => mkdirSync(inside('e/deep'))), '', 'deeper down')
      const rename = () => renameSync(inside('f'), inside('g'))
      assert.equal(await moved(d, rename), 'mtime ctime', 'rename')
      assert.equal(await moved(d, () => unlinkSync(inside('g'))), 'mtime ctime', 'unlink')
      rmdirSync(inside('e/deep'))
      assert.equal(await moved(d, () => rmdirSync(inside('e'))), 'mtime ctime', 'rmdir')
      assert.equal(await moved(d, () => chmodSync(d, 0o700)), 'ctime', 'chmod')
    }
  },
  {
    name: 'a file that was written keeps its mtime when it is closed and looked at later',
    async run(c) {
      const opened = openSync(c.path('f'), 'w')
      writeSync(opened, 'content')
      const { mtimeNs } = fstatSync(opened, { bigint: true })
      await setTimeout(TICK_MS)
      closeSync(opened)
      await c.run('sync', 'f')
      await setTimeout(TICK_MS)
      assert.equal(timesOf(c.path('f')).mtime, mtimeNs)
    }
  },
  {
    name: 'chmod() sets all twelve bits, of files and directories',
    run(c) {
      c.needsRoot('sets every bit of what it likes')
      writeFileSync(c.path('f'), '')
      mkdirSync(c.path('d'))
      for (const mode of [0o7777, 0o4755, 0o2755, 0o1777, 0o000, 0o644]) {
        for (const name of ['f', 'd']) {
          chmodSync(c.path(name), mode)
          assert.equal(statSync(c.path(name)).mode & 0o7777, mode, `${name}: ${mode.toString(8)}`)
        }
      }
      symlinkSync('f', c.path('l'))
      chmodSync(c.path('l'), 0o600)
      assert.equal(statSync(c.path('f')).mode & 0o777, 0o600, 'through a link')
    }
  },
  {
    name: 'chown() sets owner and group, each alone and up to the largest',
    async run(c) {
      c.needsRoot('gives files away')
      writeFileSync(c.path('f'), '')
      symlinkSync('f', c.path('l'))
      chownSync(c.path('f'), 12_345, 54_321)
      assert.deepEqual(owner(c.path('f')), [12_345, 54_321])
      await c.run('chown', '4294967294', 'f')
      assert.deepEqual(owner(c.path('f')), [4_294_967_294, 54_321])
      await c.run('chgrp', '0', 'f')
      assert.deepEqual(owner(c.path('f')), [4_294_967_294, 0])
      lchownSync(c.path('l'), 7, 8)
      assert.deepEqual(owner(c.path('l')), [7, 8])
      assert.deepEqual(owner(c.path('f')), [4_294_967_294, 0])
    }
  },
  {
    name: 'chown() of a program clears set-user-ID and set-group-ID',
    run(c) {
      c.needsRoot('gives files away')
      writeFileSync(c.path('f'), '')
      chmodSync(c.path('f'), 0o6755)
      chownSync(c.path('f'), 1000, 1000)
      assert.equal(statSync(c.path('f')).mode & 0o7777, 0o755)
      mkdirSync(c.path('d'))
      chmodSync(c.path('d'), 0o2755)
      chownSync(c.path('d'), 1000, 1000)
      assert.equal(statSync(c.path('d')).mode & 0o7777, 0o2755, 'a directory keeps it')
    }
  },
  {
    name: 'a set-group-ID directory hands its group down, and the bit to directories',
    run(c) {
      c.needsRoot('is in every group')
      mkdirSync(c.path('d'))
      chownSync(c.path('d'), 0, 4321)
      chmodSync(c.path('d'), 0o2775)
      mkdirSync(c.path('d', 'e'))
      writeFileSync(c.path('d', 'f'), '')
      symlinkSync('f', c.path('d', 'l'))
      assert.deepEqual(owner(c.path('d', 'e')), [0, 4321])
      assert.deepEqual(owner(c.path('d', 'f')), [0, 4321])
      assert.deepEqual(owner(c.path('d', 'l')), [0, 4321])
      assert.equal(statSync(c.path('d', 'e')).mode & 0o2000, 0o2000)
      assert.equal(statSync(c.path('d', 'f')).mode & 0o2000, 0)
    }
  },
  {
    name: 'inode numbers stay with the file through rename() and link()',
    run(c) {
      writeFileSync(c.path('a'), '')
      const { ino, dev } = statSync(c.path('a'))
      renameSync(c.path('a'), c.path('b'))
      linkSync(c.path('b'), c.path('c'))
      assert.deepEqual([statSync(c.path('b')).ino, statSync(c.path('c')).ino], [ino, ino])
      writeFileSync(c.path('a'), '')
      assert.notEqual(statSync(c.path('a')).ino, ino)
      assert.equal(statSync(c.path('a')).dev, dev)
      assert.equal(statSync(c.directory).dev, dev)
    }
  },
  {
    name: 'statfs() and df give numbers that fit together',
    async run(c) {
      const status = statfsSync(c.directory)
      assert.ok(status.bsize >= 512 && status.blocks > 0)
      assert.ok(status.bfree <= status.blocks && status.bavail <= status.bfree)
      assert.ok(status.ffree <= status.files)
      const table = await c.run('df', '--output=size,avail', '--block-size=1', '.')
      const [size = 0, available = 0] = (table.split('\n')[1] ?? '').trim().split(/\s+/).map(Number)
      assert.ok(size > 0 && available >= 0 && available <= size, table)
      const limit = await c.run('stat', '-f', '-c', '%l', '.')
      assert.equal(limit.trim(), '255', 'the longest name')
    }
  }
]

function pick(times: Times): readonly bigint[] {
  return [times.mtime, times.atime]
}

function owner(path: string): readonly number[] {
  const { uid, gid } = lstatSync(path)
  return [uid, gid]
}
