/**
 * The fuse-native driver on a real mount of a {@link MemoryVfs}, served by another process:
 * mounting and unmounting, and what was mended. The semantics of files are shown by the suites.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { clearDeadMount } from '../../../src/fs/fuse/clear-dead-mount.ts'
import { mountFuseNative } from '../../../src/fs/fuse/fuse-native-driver.ts'
import { parseMountTable } from '../../../src/fs/fuse/mount-table.ts'
import { ifFuseNative } from '../../support/if-fuse-native.ts'
import { ifMountable, inProcess, MemoryMount, run, until } from '../../support/memory-mount.ts'
import { MemoryVfs } from '../../support/memory-vfs.ts'
import { ifOtherUser, NOBODY, runAsNobody } from '../../support/other-user.ts'
import type { OtherUserReport } from '../../support/other-user-mount.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const driver = 'fuse-native'
const isRoot = process.geteuid?.() === 0

const mountedAt = (directory: string) =>
  parseMountTable(readFileSync('/proc/self/mountinfo')).find(entry => entry.directory === directory)

const refusedOptions = () => ({
  vfs: new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 }),
  readOnly: false,
  allowOther: false,
  report: () => undefined
})

t.test('on one mount', ifFuseNative(), async t => {
  const mount = await MemoryMount.start({ driver })
  t.teardown(async () => mount.stop())
  const { directory } = mount
  t.match(mountedAt(directory), { type: 'fuse.grove', source: 'grove' })

  await t.test('both times are set, to the millisecond', async t => {
    const file = join(directory, 'times')
    await run('touch', [file])
    const times = await inProcess((fs, path) => {
      fs.utimesSync(path, 1000.25, 2000.5)
      const { atimeMs, mtimeMs } = fs.statSync(path)
      return [atimeMs, mtimeMs]
    }, file)
    t.strictSame(times, [1_000_250, 2_000_500])
  })

  await t.test('a file that is unlinked while open is nowhere to be seen', async t => {
    const seen = await inProcess(
      (fs, at) => {
        fs.mkdirSync(at)
        const file = fs.openSync(`${at}/f`, 'w+')
        fs.writeSync(file, 'content')
        fs.linkSync(`${at}/f`, `${at}/g`)
        fs.unlinkSync(`${at}/f`)
        fs.unlinkSync(`${at}/g`)
        const names = fs.readdirSync(at)
        const { nlink } = fs.fstatSync(file)
        const attempt = (remove: () => void) => {
          try {
            remove()
            return 'ok'
          } catch (error) {
            return (error as { code?: string }).code
          }
        }
        const early = attempt(() => fs.rmdirSync(at))
        fs.writeSync(file, '!', 7)
        const bytes = Buffer.alloc(20)
        const content = bytes.toString('utf8', 0, fs.readSync(file, bytes, 0, 20, 0))
        fs.closeSync(file)
        return { names, nlink, early, content }
      },
      join(directory, 'orphans')
    )
    t.strictSame(seen, { names: [], nlink: 0, early: 'ENOTEMPTY', content: 'content!' })
    await until('it is forgotten', async () => (await mount.state()).handles === 0)
    await run('rmdir', [join(directory, 'orphans')])
    t.equal((await mount.state()).inodes, 2, 'the root and one file')
  })

  await t.test('a list of attributes longer than the buffer is no end of us', async t => {
    const file = join(directory, 'attributes')
    const code = `
import os, sys
path = sys.argv[1]
open(path, 'w').close()
for n in range(100): os.setxattr(path, 'user.%s%d' % ('x' * 100, n), b'v%d' % n)
os.setxattr(path, 'user.empty', b'')
print(len(os.listxattr(path)), os.getxattr(path, 'user.%s7' % ('x' * 100)), os.getxattr(path, 'user.empty'))`
    t.equal(await run('python3', ['-c', code, file]), "101 b'v7' b''\n")
  })

  await t.test('what changed behind the kernel is seen at once', async t => {
    const file = join(directory, 'grown')
    const missing = await inProcess((fs, path) => fs.existsSync(path), file)
    await mount.command('createBehind', 'grown')
    await mount.command('growBehind', 'grown', 'theirs', false)
    const content = await inProcess((fs, path) => {
      const before = fs.readFileSync(path, 'utf8')
      fs.appendFileSync(path, ' and ours')
      return [before, fs.readFileSync(path, 'utf8')]
    }, file)
    t.strictSame([missing, ...content], [false, 'theirs', 'theirs and ours'])
  })

  await t.test('a handler that throws is EIO, and is reported', async t => {
    const file = join(directory, 'throws')
    await inProcess((fs, path) => fs.writeFileSync(path, 'x'), file)
    await t.rejects(
      inProcess((fs, path) => fs.readFileSync(path, 'utf8'), file),
      { code: 'EIO' }
    )
    const { reports } = await mount.state()
    t.match(reports, [/read: answered with EIO: nobody foresaw this/])
  })

  await t.test('reads that wait do not hold up the others', async t => {
    const file = join(directory, 'stuck')
    await inProcess((fs, path) => fs.writeFileSync(path, 'at last'), file)
    const reads = Array.from({ length: 20 }, async () =>
      inProcess((fs, path) => fs.readFileSync(path, 'utf8'), file)
    )
    await until('one waits', async () => (await mount.state()).waiting > 0)
    t.equal(await inProcess((fs, path) => fs.statSync(path).size, file), 7)
    await mount.command('holdUp', false)
    t.strictSame(new Set(await Promise.all(reads)), new Set(['at last']))
  })

  await t.test('the directory of an open file vanishes, and we do not', async t => {
    const done = inProcess(
      async (fs, at, sign) => {
        fs.mkdirSync(at)
        const file = fs.openSync(`${at}/f`, 'w+')
        fs.writeFileSync(`${sign}-ready`, '')
        while (!fs.existsSync(sign)) await new Promise(resolve => setTimeout(resolve, 10))
        fs.rmdirSync(at)
        fs.closeSync(file)
        return fs.existsSync(at)
      },
      join(directory, 'vanishing'),
      join(directory, 'sign')
    )
    const isReady = async () => run('ls', [directory]).then(list => list.includes('sign-ready'))
    await until('the file is open', isReady)
    await mount.command('unlinkBehind', 'vanishing', 'f')
    await mount.command('createBehind', 'sign')
    t.equal(await done, false)
    await until('it is closed', async () => (await mount.state()).handles === 0)
  })

  await t.test('it unmounts cleanly', async t => {
    await mount.command('unmount', false)
    t.equal(mountedAt(directory), undefined)
    await mount.command('unmount', false)
    await mount.command('ended')
    t.match(await mount.state(), { handles: 0 })
  })
})

t.test(
  'BUSY while a file is open; lazily at once, and the file goes on',
  ifFuseNative(),
  async t => {
    const mount = await MemoryMount.start({ driver })
    t.teardown(async () => mount.stop())
    const file = join(mount.directory, 'open')
    await inProcess((fs, path) => fs.writeFileSync(path, 'kept'), file)
    const script = `exec 3< ${file}; echo ready; read line; cat <&3`
    const holder = spawn('sh', ['-c', script], { cwd: '/' })
    t.teardown(() => holder.kill('SIGKILL'))
    await once(holder.stdout, 'data')
    await t.rejects(mount.command('unmount', false), { code: 'BUSY' })
    t.equal(await inProcess((fs, path) => fs.readFileSync(path, 'utf8'), file), 'kept')

    await mount.command('unmount', true)
    t.equal(mountedAt(mount.directory), undefined)
    const said = once(holder.stdout, 'data')
    holder.stdin.write('go\n')
    t.equal(String((await said)[0]), 'kept')
    await mount.command('ended')
    t.match(await mount.state(), { handles: 0, reports: [] })
  }
)

t.test('a process that has unmounted comes to its end', ifFuseNative(), async t => {
  const program = join(import.meta.dirname, '../../support/fuse-native-twice-process.ts')
  const typescript = process.execArgv.filter(each => each.includes('@tapjs/typescript'))
  t.equal(await run(process.execPath, [...typescript, program, t.testdir()]), 'once\ntwice\n')
})

t.test('a read-only mount; somebody else unmounts it', ifFuseNative(), async t => {
  const mount = await MemoryMount.start({ driver, readOnly: true })
  t.teardown(async () => mount.stop())
  const { directory } = mount
  const write = inProcess((fs, path) => fs.writeFileSync(path, 'x'), join(directory, 'a'))
  await t.rejects(write, { code: 'EROFS' })
  const again = mountFuseNative({ ...refusedOptions(), directory })
  await t.rejects(again, { code: 'BUSY' }, 'one mount at a place')
  const ended = mount.command('ended')
  await run(isRoot ? 'umount' : 'fusermount', [...(isRoot ? [] : ['-u']), directory])
  await ended
  await mount.command('unmount', false)
})

t.test('a killed daemon leaves a dead mount, which is cleared', ifMountable(), async t => {
  if (ifFuseNative().skip !== false) return void t.pass('fuse-native is not there')
  const mount = await MemoryMount.start({ driver })
  t.teardown(async () => mount.stop())
  const ended = once(mount.server, 'exit')
  mount.server.kill('SIGKILL')
  await ended
  t.equal(await clearDeadMount(mount.directory), 'cleared')
  t.equal(mountedAt(mount.directory), undefined)
})

t.test('a user who is not root mounts, unmounts and clears', ifOtherUser(), async t => {
  if (ifFuseNative().skip !== false) return void t.pass('fuse-native is not there')
  const program = join(import.meta.dirname, '../../support/other-user-mount.ts')
  const report = JSON.parse(await runAsNobody(program, [driver])) as OtherUserReport
  t.match(report, {
    uid: NOBODY,
    entry: { type: 'fuse.grove', source: 'grove' },
    content: 'mine',
    owner: NOBODY,
    busy: 'BUSY',
    isLeft: false,
    cleared: 'cleared',
    isLeftWhenCleared: false
  })
})

t.test('mounting says what is wrong', ifFuseNative(), async t => {
  const folder = t.testdir({ file: '', full: { something: '' } })
  for (const [name, code] of [
    ['missing', 'NOT_A_DIRECTORY'],
    ['file', 'NOT_A_DIRECTORY'],
    ['full', 'FAILED']
  ] as const) {
    const mounting = mountFuseNative({ ...refusedOptions(), directory: join(folder, name) })
    await t.rejects(mounting, { code }, name)
  }
})

t.test('without the package: NO_ADDON', async t => {
  const { cache, resolve } = createRequire(import.meta.url)
  const path = ifFuseNative().skip === false ? resolve('fuse-native') : ''
  const loaded = cache[path]
  t.teardown(() => {
    if (loaded === undefined) Reflect.deleteProperty(cache, path)
    else cache[path] = loaded
  })
  const absent = { loaded: true } as NodeJS.Module
  Object.defineProperty(absent, 'exports', {
    get() {
      throw new Error('it is not there')
    }
  })
  cache[path] = absent
  const mounting = mountFuseNative({ ...refusedOptions(), directory: t.testdir() })
  await t.rejects(mounting, { code: 'NO_ADDON', message: /npm install fuse-native/ })
})
