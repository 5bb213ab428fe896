/**
 * The linux driver on a real mount of a {@link MemoryVfs}, served by another process: mounting
 * and unmounting, how many requests a system call costs, and what must not hang. The semantics
 * of files are shown by the suites that run on every mount.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import { mountLinux } from '../../../src/fs/fuse/linux-driver.ts'
import { parseMountTable } from '../../../src/fs/fuse/mount-table.ts'
import {
  dropCaches,
  ifMountable,
  ifMountableAsRoot,
  inProcess,
  MemoryMount,
  run,
  until,
  type FileSystemModule
} from '../../support/memory-mount.ts'
import { MemoryVfs } from '../../support/memory-vfs.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const COMPILER = process.env['CC'] ?? 'cc'
const mountable = ifMountable()
const asRoot = ifMountableAsRoot()
const isRoot = process.geteuid?.() === 0
const NOBODY = 65_534

const mountedAt = (directory: string) =>
  parseMountTable(readFileSync('/proc/self/mountinfo')).find(entry => entry.directory === directory)

t.test('on one mount', mountable, async t => {
  const mount = await MemoryMount.start({ allowOther: isRoot })
  t.teardown(async () => mount.stop())
  await t.test('it shows as Grove', async t => {
    t.match(mountedAt(mount.directory), { type: 'fuse.grove', source: 'grove' })
  })
  await t.test('it says that operations were served, and only then', async t => {
    const before = await mount.state()
    t.equal((await mount.state()).served, before.served)
    await inProcess((fs, directory) => ({ names: fs.readdirSync(directory) }), mount.directory)
    t.ok((await mount.state()).served > before.served)
  })
  await t.test('it knows within a tick whether a program waits for an answer', async t => {
    const asked = mount.command('busyUntilAsked')
    await inProcess((fs, directory) => ({ names: fs.readdirSync(directory) }), mount.directory)
    t.equal(await asked, true)
  })
  await testCounts(t, mount)
  await testListingCounts(t, mount)
  await testNames(t, mount)
  await testTimes(t, mount)
  await t.test('calls that node does not have', asRoot, async t => testCalls(t, mount))
  await t.test('lookups balance to nothing', asRoot, async t => testBalance(t, mount))
  await t.test('a handler that throws', asRoot, async t => testThrows(t, mount))
  await t.test('it unmounts cleanly', async t => {
    const { state } = await inProcess(
      (fs, directory) => ({ state: fs.readdirSync(directory).length }),
      mount.directory
    )
    t.type(state, 'number')
    await mount.command('unmount', false)
    t.equal(mountedAt(mount.directory), undefined)
    await mount.command('unmount', false)
    await mount.command('ended')
    t.match(await mount.state(), { handles: 0 }, 'a second unmount does nothing')
  })
})

interface Cost {
  readonly what: string
  readonly action: (fs: FileSystemModule, file: string) => unknown
  readonly requests: Readonly<Record<string, number>>
}

/** What system calls cost: golden numbers. The actions follow one another on one file. */
const COSTS: readonly Cost[] = [
  {
    what: 'a new file of 4 KiB; GETXATTR comes once in the life of a file',
    action: (fs, file) => {
      const fd = fs.openSync(file, 'w+')
      fs.writeSync(fd, Buffer.alloc(4096, 1))
      fs.closeSync(fd)
    },
    requests: { LOOKUP: 1, CREATE: 1, GETXATTR: 1, WRITE: 1, FLUSH: 1, RELEASE: 1 }
  },
  {
    what: 'a write of 4 KiB: 1; GETATTR is of the directory, which has changed',
    action: (fs, file) => {
      const fd = fs.openSync(file, 'r+')
      const bytes = Buffer.alloc(4096, 1)
      for (let count = 0; count < 20; count++) fs.writeSync(fd, bytes, 0, 4096, count * 4096)
      fs.closeSync(fd)
    },
    requests: { GETATTR: 1, OPEN: 1, WRITE: 20, FLUSH: 1, RELEASE: 1 }
  },
  {
    what: 'a write of 1 MiB: 1',
    action: (fs, file) => {
      const fd = fs.openSync(file, 'r+')
      fs.writeSync(fd, Buffer.alloc(4 * 1_048_576, 1))
      fs.closeSync(fd)
    },
    requests: { OPEN: 1, WRITE: 4, FLUSH: 1, RELEASE: 1 }
  },
  {
    what: 'what was written is read from the cache; GETATTR because it has changed',
    action: (fs, file) => fs.readFileSync(file).length,
    requests: { OPEN: 1, GETATTR: 1, RELEASE: 1 }
  },
  {
    what: 'stat of what is cached: 0',
    action: (fs, file) => {
      for (let count = 0; count < 100; count++) fs.statSync(file)
    },
    requests: {}
  },
  {
    what: 'what is not there is asked for once',
    action: (fs, file) => {
      for (let count = 0; count < 100; count++) fs.existsSync(`${file}-absent`)
    },
    requests: { LOOKUP: 1 }
  }
]
/** Other tests may empty the kernel's caches in between, which costs requests: then once more. */
const ATTEMPTS_MAX = 5

/** Calls `measure` until it gives what is expected, and gives the last that it gave. */
async function attempted<Value>(
  expected: Value,
  measure: (attempt: number) => Promise<Value>
): Promise<Value> {
  let value = await measure(0)
  for (let attempt = 1; attempt < ATTEMPTS_MAX; attempt++)
    if (!isDeepStrictEqual(value, expected)) value = await measure(attempt)
  return value
}

async function testCounts(t: Test, mount: MemoryMount): Promise<void> {
  await t.test('system calls cost their requests and no more', async t => {
    const expected = COSTS.map(({ what, requests }) => ({ what, requests }))
    const seen = await attempted(expected, async attempt => {
      const file = join(mount.directory, `counted${attempt}`)
      // Asks for what is asked once and for all, and for the directory.
      await inProcess((fs, at) => fs.statSync(at).ino, mount.directory)
      const costs: typeof expected = []
      for (const { what, action } of COSTS)
        costs.push({ what, requests: await mount.requestsOf(async () => inProcess(action, file)) })
      return costs
    })
    t.strictSame(seen, expected)
  })
}

async function testListingCounts(t: Test, mount: MemoryMount): Promise<void> {
  const directory = join(mount.directory, 'listed')
  const make = async (from: number, to: number): Promise<unknown> =>
    inProcess(
      (fs, at, first, last) => {
        fs.mkdirSync(at, { recursive: true })
        for (let index = first; index < last; index++) fs.writeFileSync(`${at}/${index}`, '')
      },
      directory,
      from,
      to
    )
  const warm = async (): Promise<Record<string, number>> => {
    await run('ls', ['-l', directory])
    return mount.requestsOf(async () => run('ls', ['-l', directory]))
  }
  await t.test('a warm ls -l costs the same for few and many files', async t => {
    const expected = { GETATTR: 1, OPENDIR: 1, GETXATTR: 2, RELEASEDIR: 1 }
    await make(0, 3)
    t.strictSame(await attempted<Record<string, number>>(expected, warm), expected)
    await make(3, 300)
    t.strictSame(await attempted<Record<string, number>>(expected, warm), expected)
  })
}

async function testNames(t: Test, mount: MemoryMount): Promise<void> {
  await t.test('names are bytes', async t => {
    const names = await inProcess(
      (fs, at) => {
        fs.mkdirSync(at)
        const path = (hex: string): Buffer =>
          Buffer.concat([Buffer.from(`${at}/`), Buffer.from(hex, 'hex')])
        const all = ['ff', '80fe', 'c3a9', '0a20', 'f09f9880', '5c'.repeat(255)]
        for (const hex of all) fs.writeFileSync(path(hex), hex)
        fs.renameSync(path('80fe'), path('80ff'))
        return fs
          .readdirSync(Buffer.from(at), { encoding: 'buffer' })
          .map(name => name.toString('hex'))
          .map(hex => [hex, fs.readFileSync(path(hex), 'utf8')])
      },
      join(mount.directory, 'names')
    )
    t.strictSame(Object.fromEntries(names), {
      ff: 'ff',
      c3a9: 'c3a9',
      '0a20': '0a20',
      f09f9880: 'f09f9880',
      '80ff': '80fe',
      ['5c'.repeat(255)]: '5c'.repeat(255)
    })
    const tooLong = join(mount.directory, 'x'.repeat(256))
    await t.rejects(
      inProcess((fs, path) => fs.writeFileSync(path, ''), tooLong),
      { code: 'ENAMETOOLONG' }
    )
  })
}

async function testTimes(t: Test, mount: MemoryMount): Promise<void> {
  const file = join(mount.directory, 'times')
  const times = async (): Promise<string> => run('stat', ['-c', '%.9X %.9Y', file])
  await t.test('times: one alone, nanoseconds, before 1970, after 2106', async t => {
    await run('touch', ['-d', '@0', file])
    await run('touch', ['-a', '-d', '@1.123456789', file])
    await run('touch', ['-m', '-d', '@2.000000001', file])
    t.equal(await times(), '1.123456789 2.000000001\n')
    await run('touch', ['-m', '-d', '1938-04-24 22:13:19.75 UTC', file])
    t.equal(await times(), '1.123456789 -1000000000.250000000\n')
    await run('touch', ['-a', '-d', '@5000000000', file])
    t.equal(await times(), '5000000000.000000000 -1000000000.250000000\n')
    await run('touch', ['-m', file])
    t.match(await times(), /^5000000000\.0+ 1\d{9}\./, 'touch -m sets mtime to now and no more')
  })
}

/** Runs each command in a native folder too: it must find nothing wrong there either. */
async function testCalls(t: Test, mount: MemoryMount): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'grove-calls-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const program = join(folder, 'kernel-calls')
  const source = join(import.meta.dirname, '../../support/kernel-calls.c')
  execFileSync(COMPILER, ['-O1', '-o', program, source])
  const native = join(folder, 'native')
  mkdirSync(native)
  const commands = ['map-shared', 'orphans', 'nameless', 'renames', 'ranges', 'handles']
  for (const command of [...commands, 'privileges', 'listing'])
    for (const directory of [native, mount.directory]) {
      const said = await run('sh', ['-c', `cd ${directory} && ${program} ${command} || true`])
      t.equal(said, '', `${command} in ${directory}`)
    }
  t.strictSame((await mount.state()).reports, [])
}

async function testBalance(t: Test, mount: MemoryMount): Promise<void> {
  await inProcess((fs, at) => {
    for (let index = 0; index < 50; index++) {
      fs.mkdirSync(`${at}/d${index}`)
      fs.writeFileSync(`${at}/d${index}/f`, 'x')
      fs.linkSync(`${at}/d${index}/f`, `${at}/d${index}/l`)
      fs.symlinkSync('f', `${at}/d${index}/s`)
    }
  }, mount.directory)
  await run('find', [mount.directory, '-ls'])
  await run('sh', ['-c', `rm -r ${mount.directory}/*`])
  await dropCaches()
  await until('all is forgotten', async () => (await mount.state()).inodes === 1)
  t.match(await mount.state(), { handles: 0, rootRemembered: 0, reports: [] })
}

async function testThrows(t: Test, mount: MemoryMount): Promise<void> {
  const file = join(mount.directory, 'throws')
  await inProcess((fs, path) => fs.writeFileSync(path, 'x'), file)
  await dropCaches()
  const read = inProcess((fs, path) => fs.readFileSync(path, 'utf8'), file)
  await t.rejects(read, { code: 'EIO' })
  const { reports } = await mount.state()
  t.match(reports[0], /READ: answered with EIO: nobody foresaw this/)
  t.equal(await inProcess((fs, path) => fs.statSync(path).size, file), 1, 'others are served')
}

t.test('BUSY while a file is open; lazily at once, and the file goes on', mountable, async t => {
  const mount = await MemoryMount.start()
  t.teardown(async () => mount.stop())
  const file = join(mount.directory, 'open')
  await inProcess((fs, path) => fs.writeFileSync(path, 'kept'), file)
  const script = `exec 3< ${file}; echo ready; read line; cat <&3`
  const holder = spawn('sh', ['-c', script], { cwd: '/' })
  t.teardown(() => holder.kill('SIGKILL'))
  const nextOutput = async (): Promise<string> =>
    new Promise(resolve => holder.stdout.once('data', (data: Buffer) => resolve(data.toString())))
  await nextOutput()
  await t.rejects(mount.command('unmount', false), { code: 'BUSY' })
  t.equal(await inProcess((fs, path) => fs.readFileSync(path, 'utf8'), file), 'kept')

  await mount.command('unmount', true)
  t.equal(mountedAt(mount.directory), undefined)
  const said = nextOutput()
  holder.stdin.write('go\n')
  t.equal(await said, 'kept')
  await mount.command('ended')
  t.equal((await mount.state()).handles, 0)
})

t.test('a read-only mount; somebody else unmounts it', mountable, async t => {
  const mount = await MemoryMount.start({ readOnly: true })
  t.teardown(async () => mount.stop())
  const { directory } = mount
  const write = inProcess((fs, path) => fs.writeFileSync(path, 'x'), join(directory, 'a'))
  await t.rejects(write, { code: 'EROFS' })
  if (isRoot) {
    const listed = run('ls', [directory], { user: NOBODY })
    await t.rejects(listed, /Permission denied/, 'other users are not let in unless asked for')
  }

  const vfs = new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })
  const options = { vfs, readOnly: false, allowOther: false, report: () => undefined }
  await t.rejects(mountLinux({ ...options, directory }), { code: 'BUSY' }, 'one mount at a place')

  const ended = mount.command('ended')
  await run(isRoot ? 'umount' : 'fusermount3', [...(isRoot ? [] : ['-u']), directory])
  await ended
  await mount.command('unmount', false)
})

t.test('mounting says what is wrong', mountable, async t => {
  const vfs = new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })
  const options = { vfs, readOnly: false, allowOther: false, report: () => undefined }
  const folder = t.testdir({ file: '' })
  for (const name of ['missing', 'file']) {
    const mounting = mountLinux({ ...options, directory: join(folder, name) })
    await t.rejects(mounting, { code: 'NOT_A_DIRECTORY' }, name)
  }
})
