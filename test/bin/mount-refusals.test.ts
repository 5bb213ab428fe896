/**
 * What the built command refuses with a real daemon and mount: a second daemon, a home inside a
 * drive, folders that cannot be had, writes to a read-only mount.
 */
import { mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { GroveHome, isMounted, runProgram } from './grove-home.ts'

const ONE_LINE = /^grove: [^\n]+\n$/

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

t.test('a read-only mount refuses writes', async t => {
  const grove = await GroveHome.initialised(t)
  await grove.mount('--read-only')
  await t.rejects(grove.write('note', 'no'), /Read-only/)
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
