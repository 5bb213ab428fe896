/**
 * The built command with a real daemon and a real mount: background start, refusals with the
 * pid, signals, `kill -9`, busy folders, foreign unmounts. Programs that use the folder run as
 * processes of their own.
 */
import { once } from 'node:events'
import { mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { GroveHome, isAlive, isMounted, runProgram, until } from './grove-home.ts'

const ONE_LINE = /^grove: [^\n]+\n$/

/** Writes a file through the mount, in another process. */
async function write(path: string, text: string): Promise<void> {
  const { code, stderr } = await runProgram('sh', ['-c', 'printf %s "$2" > "$1"', 'sh', path, text])
  if (code !== 0) throw new Error(`cannot write: ${stderr}`)
}

/** Reads a file through the mount, in another process. */
async function read(path: string): Promise<string> {
  const { code, stdout, stderr } = await runProgram('cat', [path])
  if (code !== 0) throw new Error(`cannot read: ${stderr}`)
  return stdout
}

t.test('mount returns when the folder answers; the daemon goes on in the background', async t => {
  const grove = await GroveHome.initialised(t)
  const file = join(grove.mountPoint, 'note')
  const pid = await grove.mount()
  await write(file, 'kept')
  t.equal(await read(file), 'kept')
  const status = await grove.status()
  t.match(status, {
    running: true,
    pid,
    home: grove.directory,
    device: { name: 'desk' },
    mounts: [{ directory: grove.mountPoint, readOnly: false }],
    damagedEntries: 0
  })
  t.strictSame(
    status.logs.map(log => [log.role, log.writable]),
    [
      ['operations', true],
      ['content', true]
    ]
  )
  t.ok(status.bytes > 0)
  t.match(await grove.succeed(['status']), new RegExp(`process ${pid}`))
  t.match(await grove.succeed(['mount', grove.mountPoint]), 'already mounted')
  t.equal(await grove.succeed(['verify']), 'everything is whole\n')

  t.equal(await grove.succeed(['unmount']), `unmounted ${grove.mountPoint}\n`)
  t.notOk(await isMounted(grove.mountPoint))
  t.strictSame(await readdir(grove.mountPoint), [])
  t.equal(await grove.mount(), pid, 'the same daemon mounts again')
  t.equal(await read(file), 'kept')
  t.match(await grove.succeed(['stop']), `${pid}`)
  t.notOk(isAlive(pid))
  t.notOk(await isMounted(grove.mountPoint))
  t.match(JSON.parse(await readFile(join(grove.directory, 'last-run.json'), 'utf8')), {
    clean: true
  })
  const log = await grove.log()
  t.notMatch(log, 'note')
  t.notMatch(log, 'kept')
})

t.test('a second daemon is refused with the pid of the first', async t => {
  const grove = await GroveHome.initialised(t)
  const pid = await grove.mount()
  const other = join(grove.folder, 'other')
  for (const args of [
    ['mount', '--foreground', other],
    ['mount', other],
    ['rebuild-index'],
    ['init']
  ]) {
    const { code, stderr } = await grove.run(args)
    t.equal(code, 1, args.join(' '))
    t.match(stderr, ONE_LINE)
    if (args[0] !== 'init') t.match(stderr, `process ${pid}`)
  }
  t.notOk((await readdir(grove.folder)).includes('other'))
  t.equal((await grove.status()).pid, pid, 'the first goes on')
})

t.test('after kill -9 the next mount clears what is left and everything is there', async t => {
  const grove = await GroveHome.initialised(t)
  const first = await grove.mount()
  await write(join(grove.mountPoint, 'note'), 'kept')
  t.equal((await runProgram('sync', ['-f', grove.mountPoint])).code, 0)
  await grove.kill(first)
  t.match(JSON.parse(await grove.succeed(['status', '--json'])), { running: false })
  const second = await grove.mount()
  t.not(second, first)
  t.equal(await read(join(grove.mountPoint, 'note')), 'kept')
  t.equal((await grove.status()).logs.length, 2, 'a kill starts no log epoch')
  await grove.kill(second)
  t.ok(await isMounted(grove.mountPoint))
  t.match(await grove.succeed(['unmount', grove.mountPoint]), 'unmounted')
  t.notOk(await isMounted(grove.mountPoint), 'unmount clears it too')
  t.equal(await grove.succeed(['verify']), 'everything is whole\n')
})

t.test('SIGTERM and SIGINT save, unmount and leave the mark of a clean end', async t => {
  const grove = await GroveHome.initialised(t)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const pid = await grove.mount()
    await write(join(grove.mountPoint, signal), signal)
    await grove.kill(pid, signal)
    t.notOk(await isMounted(grove.mountPoint), signal)
    const mark = JSON.parse(
      await readFile(join(grove.directory, 'last-run.json'), 'utf8')
    ) as object
    t.match(mark, { clean: true })
  }
  await grove.mount()
  for (const signal of ['SIGTERM', 'SIGINT'])
    t.equal(await read(join(grove.mountPoint, signal)), signal)
})

t.test('a busy folder is not unmounted unless asked, but a stop detaches it', async t => {
  const grove = await GroveHome.initialised(t)
  const pid = await grove.mount()
  const user = await holdOpen(grove.mountPoint)
  t.teardown(() => user.kill('SIGKILL'))
  const refused = await grove.run(['unmount'])
  t.equal(refused.code, 1)
  t.match(refused.stderr, ONE_LINE)
  t.match(refused.stderr, '--lazy')
  await write(join(grove.mountPoint, 'note'), 'still served')
  await grove.succeed(['unmount', '--lazy'])
  t.notOk(await isMounted(grove.mountPoint))
  user.kill('SIGKILL')
  await once(user, 'close')

  await grove.mount()
  const second = await holdOpen(grove.mountPoint)
  t.teardown(() => second.kill('SIGKILL'))
  await grove.kill(pid, 'SIGTERM')
  t.notOk(await isMounted(grove.mountPoint))
  await grove.mount()
  t.equal(await read(join(grove.mountPoint, 'note')), 'still served')
})

t.test('--foreground stays, logs to the terminal, and ends with its mount', async t => {
  const grove = await GroveHome.initialised(t)
  const child = grove.start(['mount', '--foreground', grove.mountPoint])
  t.teardown(() => child.kill('SIGKILL'))
  let stderr = ''
  child.stderr?.on('data', chunk => (stderr += String(chunk)))
  const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer]
  t.equal(String(line), `mounted at ${grove.mountPoint}\n`)
  await write(join(grove.mountPoint, 'note'), 'kept')
  t.equal((await runProgram('umount', [grove.mountPoint])).code, 0)
  await once(child, 'close')
  t.equal(child.exitCode, 0)
  t.match(stderr, /mounted with/)
  t.match(stderr, /unmounted by somebody else/)

  const again = grove.start(['mount', '--foreground', grove.mountPoint])
  t.teardown(() => again.kill('SIGKILL'))
  await once(again.stdout ?? again, 'data')
  t.equal(await read(join(grove.mountPoint, 'note')), 'kept')
  again.kill('SIGINT')
  await once(again, 'close')
  t.equal(again.exitCode, 0)
  t.notOk(await isMounted(grove.mountPoint))
})

t.test('a foreign umount leaves the daemon without a mount, ready for another', async t => {
  const grove = await GroveHome.initialised(t)
  const pid = await grove.mount()
  t.equal((await runProgram('umount', [grove.mountPoint])).code, 0)
  await until(async () => (await grove.status()).mounts.length === 0, 'the daemon notices')
  t.equal(await grove.mount(), pid)
})

t.test('a read-only mount refuses writes', async t => {
  const grove = await GroveHome.initialised(t)
  await grove.mount('--read-only')
  await t.rejects(write(join(grove.mountPoint, 'note'), 'no'), /Read-only/)
  t.match((await grove.status()).mounts, [{ readOnly: true }])
})

t.test('a home inside a mounted drive is refused, directly and behind a link', async t => {
  const grove = await GroveHome.initialised(t)
  await grove.mount()
  const inside = join(grove.mountPoint, 'home')
  const link = join(grove.folder, 'link')
  await symlink(grove.mountPoint, link)
  for (const home of [inside, grove.mountPoint, join(link, 'home')]) {
    const { code, stderr } = await grove.run(['init'], { environment: { GROVE_HOME: home } })
    t.equal(code, 1, home)
    t.match(stderr, /^grove: .*inside the drive mounted at [^\n]*\n$/)
  }
  t.equal((await runProgram('ls', ['-A', grove.mountPoint])).stdout, '', 'nothing was written')
})

t.test('two homes have two daemons, and neither takes the other’s folder', async t => {
  const [one, two] = [await GroveHome.initialised(t), await GroveHome.initialised(t)]
  const pid = await one.mount()
  const taken = await two.run(['mount', one.mountPoint])
  t.equal(taken.code, 1)
  t.match(taken.stderr, /^grove: the drive of another home is mounted at [^\n]*\n$/)
  t.not(await two.mount(), pid)
  t.equal((await one.run(['unmount', two.mountPoint])).code, 1)
  t.ok(await isMounted(two.mountPoint))
})

t.test('a mount that fails says why in one line and leaves no daemon', async t => {
  const grove = await GroveHome.initialised(t)
  const full = join(grove.folder, 'full')
  await mkdir(full)
  await writeFile(join(full, 'file'), '')
  for (const directory of [full, join(full, 'file'), grove.directory, grove.folder, '/']) {
    const { code, stderr } = await grove.run(['mount', directory])
    t.equal(code, 1, directory)
    t.match(stderr, ONE_LINE)
  }
  t.match(JSON.parse(await grove.succeed(['status', '--json'])), { running: false })
  t.strictSame(await readdir(full), ['file'])
})

t.test('a home with a very long path has a socket all the same', async t => {
  const grove = await GroveHome.make(t)
  const environment = {
    GROVE_HOME: join(grove.folder, 'long'.repeat(30)),
    XDG_RUNTIME_DIR: grove.folder
  }
  await grove.succeed(['init'], { environment })
  await grove.succeed(['mount', grove.mountPoint], { environment })
  t.teardown(() => grove.run(['stop'], { environment }))
  // Found through the home, not through the environment it was started in.
  const { GROVE_HOME } = environment
  const text = await grove.succeed(['status', '--json'], { environment: { GROVE_HOME } })
  t.match(JSON.parse(text), { running: true, home: GROVE_HOME })
  t.equal((await stat(GROVE_HOME)).mode & 0o777, 0o700)
  await grove.succeed(['stop'], { environment: { GROVE_HOME } })
})

t.test('a setting reaches the running daemon', async t => {
  const grove = await GroveHome.initialised(t)
  await grove.mount()
  t.equal(await grove.succeed(['config', 'history.keep', '30m']), '30m\n')
  t.equal(await grove.succeed(['config', 'history.keep']), '30m\n')
})

/** A process that keeps a file of the folder open. */
async function holdOpen(directory: string) {
  const { spawn } = await import('node:child_process')
  const user = spawn('sh', ['-c', 'exec 3> "$1/held"; echo open; sleep 60', 'sh', directory], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  await once(user.stdout, 'data')
  return user
}
