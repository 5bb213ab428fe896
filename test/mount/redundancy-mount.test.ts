/**
 * Redundancy on real mounts, by the system calls that programs make: attributes by both drivers,
 * and an fsync that waits for other computers, which can be given up and holds up nobody else.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { GroveHome } from '../bin/grove-home.ts'
import { ifFuseNative } from '../support/if-fuse-native.ts'
import { ifMountable, inProcess, MemoryMount, run, until } from '../support/memory-mount.ts'

const { errno } = constants
const NAME = 'user.grove.'

/** Sets, reads, lists and removes attributes of a directory and of a file in it. */
const ATTRIBUTES = `
import ctypes, errno, json, os, sys, time
os.chdir(sys.argv[1])
os.mkdir('d')
open('d/f', 'w').write('content' * 2000)
os.symlink('f', 'd/link')
libc = ctypes.CDLL(None, use_errno=True)
def code(call, *args):
    try:
        call(*args)
        return 0
    except OSError as error:
        return error.errno
def raw(path, name, size):
    buffer = ctypes.create_string_buffer(max(size, 1))
    got = libc.getxattr(path.encode(), name.encode(), buffer if size else None, size)
    return [got, ctypes.get_errno() if got < 0 else 0, buffer.raw[:max(got, 0)].decode() if size else '']
N = '${NAME}'
# What was written is a copy once it is in a log, and copies are counted once the network is open.
for attempt in range(200):
    if os.getxattr('d/f', N + 'copies') == b'1' and os.getxattr('d/f', N + 'holders') != b'': break
    time.sleep(0.05)
os.setxattr('d', N + 'redundancy', b'3/2')
os.setxattr('d/f', N + 'durability', b'peer')
os.setxattr('d/f', N + 'sites', b'2')
os.removexattr('d/f', N + 'sites')
print(json.dumps({
    'set': [os.getxattr('d', N + 'redundancy').decode(), os.getxattr('d/f', N + 'durability').decode()],
    'listed': [os.listxattr('d'), os.listxattr('d/f')],
    'unset': [code(os.getxattr, 'd/f', N + 'redundancy'), code(os.removexattr, 'd/f', N + 'sites')],
    'invalid': [code(os.setxattr, 'd', N + name, value) for name, value in
        [('redundancy', b'2/3'), ('redundancy', b'3\\n'), ('redundancy', b''), ('sites', b'0'), ('durability', b'x'), ('x', b'1')]],
    'readonly': [code(os.setxattr, 'd', N + name, b'1') for name in ('copies', 'health', 'holders')]
        + [code(os.removexattr, 'd/f', N + name) for name in ('copies', 'health', 'holders')],
    'link': code(lambda: os.setxattr('d/link', N + 'sites', b'2', follow_symlinks=False)),
    'sizes': [raw('d/f', N + 'health', size) for size in (0, 1, 100)],
    'answers': [[os.getxattr(path, N + name).decode() for name in ('copies', 'health', 'holders')]
        for path in ('d/f', 'd', '.')]
}))`

async function attributesAt(directory: string): Promise<unknown> {
  return JSON.parse(await run('python3', ['-c', ATTRIBUTES, directory]))
}

/** What is to be seen where nobody else keeps the drive, level 3/2 on the directory. */
const EXPECTED = {
  set: ['3/2', 'peer'],
  listed: [[`${NAME}redundancy`], [`${NAME}durability`]],
  unset: [errno.ENODATA, errno.ENODATA],
  invalid: Array.from({ length: 6 }, () => errno.EINVAL),
  readonly: Array.from({ length: 6 }, () => errno.EPERM),
  link: errno.EPERM,
  sizes: [
    [7, 0, ''],
    [-1, errno.ERANGE, ''],
    [7, 0, 'at-risk']
  ],
  answers: [
    ['1', 'at-risk', 'desk'],
    ['1', 'at-risk', 'desk'],
    ['1', 'at-risk', 'desk']
  ]
}

t.setTimeout(240_000)

t.test('attributes by the linux driver', ifMountable(), async t => {
  const home = await GroveHome.initialised(t)
  await home.mount()
  t.strictSame(await attributesAt(home.mountPoint), EXPECTED)
  await home.succeed(['stop'])
})

t.test('attributes by fuse-native', ifFuseNative(), async t => {
  const home = await GroveHome.initialised(t)
  await home.succeed(['mount', '--driver', 'fuse-native', home.mountPoint])
  t.strictSame(await attributesAt(home.mountPoint), EXPECTED)
  await home.succeed(['stop'])
})

/** A program that is under way, and what becomes of it. */
interface Program {
  readonly child: ChildProcess
  readonly ended: Promise<string>
}

/** Runs a piece of Python with `os` and the path, and gives what it prints. */
function python(t: Test, path: string, source: string): Program {
  const child = spawn(
    'python3',
    ['-c', `import os, signal, sys\npath = sys.argv[1]\n${source}`, path],
    {
      cwd: '/'
    }
  )
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (data: Buffer) => (said += data.toString()))
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  return { child, ended: new Promise(resolve => child.once('close', () => resolve(said.trim()))) }
}

const FSYNC = `
fd = os.open(path, os.O_RDWR | os.O_CREAT)
os.write(fd, b'kept')
try:
    os.fsync(fd)
    print('durable')
except OSError as error:
    print(error.errno)`

const FSYNC_DIRECTORY = `
os.fsync(os.open(path, os.O_RDONLY))
print('durable')`

async function held(mount: MemoryMount, count: number): Promise<void> {
  await until(`${count} wait`, async () => (await mount.command('held')) === count)
}

t.test('fsync that waits for other computers', ifMountable(), async t => {
  const mount = await MemoryMount.start({ program: 'drive-mount-process.ts', allowOther: true })
  t.teardown(async () => mount.stop())
  const path = (name: string): string => join(mount.directory, name)
  await inProcess((fs, at) => fs.mkdirSync(at), path('d'))
  await run('python3', [
    '-c',
    `import os, sys; os.setxattr(sys.argv[1], '${NAME}durability', b'peer')`,
    path('d')
  ])
  const names = async (at: string): Promise<readonly string[]> =>
    inProcess((fs, directory) => fs.readdirSync(directory), path(at))

  await t.test('it ends when they answer, by every way to ask for it', async t => {
    const ways = [
      FSYNC,
      FSYNC.replace('os.fsync', 'os.fdatasync'),
      FSYNC.replace('os.O_CREAT', 'os.O_CREAT | os.O_SYNC').replace('os.fsync(fd)', 'pass')
    ]
    for (const [number, way] of ways.entries()) {
      const program = python(t, path(`d/f${number}`), way)
      await held(mount, 1)
      await mount.command('answer', true)
      t.equal(await program.ended, 'durable')
    }
  })

  await t.test('it is ETIMEDOUT when they do not, and the data stays', async t => {
    const program = python(t, path('d/late'), FSYNC)
    await held(mount, 1)
    await mount.command('answer', false)
    t.equal(await program.ended, String(errno.ETIMEDOUT))
    t.equal(await inProcess((fs, at) => fs.readFileSync(at, 'utf8'), path('d/late')), 'kept')
  })

  await t.test('a signal ends it', async t => {
    const handler = 'signal.signal(signal.SIGUSR1, lambda *_: sys.exit("interrupted"))'
    const program = python(t, path('d/given-up'), `${handler}\n${FSYNC}`)
    await held(mount, 1)
    program.child.kill('SIGUSR1')
    t.equal(await program.ended, 'interrupted')
    await mount.command('answer', true)
    const killed = python(t, path('d/killed'), FSYNC)
    await held(mount, 1)
    killed.child.kill('SIGKILL')
    t.equal(await killed.ended, '')
    await mount.command('answer', true)
  })

  await t.test('the file can be read, and others are written, meanwhile', async t => {
    const program = python(t, path('d/busy'), FSYNC)
    await held(mount, 1)
    t.equal(await inProcess((fs, at) => fs.readFileSync(at, 'utf8'), path('d/busy')), 'kept')
    await inProcess((fs, at) => fs.writeFileSync(at, 'x'), path('d/other'))
    t.ok((await names('d')).includes('other'))
    await mount.command('answer', true)
    t.equal(await program.ended, 'durable')
  })

  await t.test('news of other directories do not wait for one that is synced', async t => {
    await inProcess((fs, at) => fs.mkdirSync(at), path('e'))
    await inProcess((fs, at) => fs.writeFileSync(at, 'before'), path('e/f'))
    await mount.command('tell')
    const read = async (): Promise<string> =>
      inProcess((fs, at) => fs.readFileSync(at, 'utf8'), path('e/f'))
    const exists = async (name: string): Promise<boolean> =>
      inProcess((fs, at) => fs.existsSync(at), path(name))
    t.strictSame([await read(), await exists('d/news')], ['before', false], 'remembered')
    const program = python(t, path('d'), FSYNC_DIRECTORY)
    await held(mount, 1)
    await mount.command('there', 'write', 'd/news', 'from there')
    await mount.command('there', 'write', 'e/f', 'after it')
    await mount.command('hear')
    await until('news of the other directory', async () => (await read()) === 'after it')
    t.equal((await mount.state()).notifier.queued, 0, 'nothing waits in the kernel')
    await mount.command('answer', true)
    t.equal(await program.ended, 'durable')
    await until('news of this one', async () => exists('d/news'))
  })
  t.strictSame((await mount.state()).reports, [])
})
