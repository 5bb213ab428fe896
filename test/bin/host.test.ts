/** The real `grove host`: starts, shows codes, says how it is, goes on with its keys, stops. */
import { once } from 'node:events'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { decodeHolderCode } from '../../src/crypto/holder-code.ts'
import type { HolderCodeAnswer, HolderProcessStatus } from '../../bin/holder-api.ts'
import { isProcessAlive } from '../../bin/process-alive.ts'
import { until } from '../support/until.ts'
import { bootstrapProcess } from './bootstrap-process.ts'
import { GroveHome } from './grove-home.ts'

async function stage(t: Test): Promise<GroveHome> {
  const environment = await bootstrapProcess(t)
  const home = await GroveHome.make(t, { environment })
  t.teardown(() => home.run(['host', 'stop']))
  return home
}

const host = async (home: GroveHome, ...words: readonly string[]): Promise<HolderCodeAnswer> =>
  (await home.json(['host', ...words])) as HolderCodeAnswer

const status = async (home: GroveHome): Promise<HolderProcessStatus> =>
  (await home.json(['host', 'status'])) as HolderProcessStatus

t.test(
  'a holder in the background: codes, status, changes, stop, and the same keys again',
  async t => {
    const home = await stage(t)
    const words = ['--space', '2GB', '--site', 'attic', '--label', 'a=b', '--label', 'c=d e']
    const first = await host(home, ...words, '--name', 'nas')
    t.equal(first.spaceBytes, 2e9)
    const { network, secret } = decodeHolderCode(first.code)
    const running = await status(home)
    const settings = { spaceBytes: 2e9, name: 'nas', site: 'attic', labels: { a: 'b', c: 'd e' } }
    t.match(running, {
      running: true,
      home: home.directory,
      ...settings,
      usedBytes: 0,
      persons: []
    })
    t.match(await home.succeed(['host', 'status']), /space {4}0 B of 1\.9 GiB/)

    const another = await host(home, 'invite', '--space', '500MB', '--hours', '2')
    t.equal(another.spaceBytes, 5e8)
    t.ok(another.expiresMs < first.expiresMs)
    t.notSame(decodeHolderCode(another.code).secret, secret)
    t.match(await home.succeed(['host', 'invite']), /grove holders add [a-z0-9]{92}/)

    const changed = await host(home, '--space', '1GB')
    t.same(decodeHolderCode(changed.code).network, network)
    t.match(await status(home), { pid: running.pid, ...settings, spaceBytes: 1e9 })

    t.match(await home.json(['host', 'stop']), { stopped: true, pid: running.pid })
    t.notOk(isProcessAlive(running.pid))
    t.same(await home.json(['host', 'stop']), { stopped: false })
    t.match(await home.json(['host', 'status']), { running: false, name: 'nas', spaceBytes: 1e9 })
    t.match((await home.run(['host', 'invite'])).stderr, /no holder is running/)
    const again = await host(home)
    t.same(decodeHolderCode(again.code).network, network, 'the same holder')
    t.equal((await status(home)).id, running.id)
  }
)

t.test('everything in its home is its owner’s alone', async t => {
  const home = await stage(t)
  await host(home, '--space', '1GB')
  for (const name of await readdir(home.directory, { recursive: true })) {
    const { mode } = await stat(join(home.directory, name))
    t.equal(mode & 0o077, 0, name)
  }
  t.equal((await stat(home.directory)).mode & 0o777, 0o700)
})

t.test('in the foreground it stays until it is interrupted', async t => {
  const home = await stage(t)
  const child = home.start(['host', '--space', '1GB', '--foreground', '--json'])
  let output = ''
  child.stdout?.on('data', chunk => (output += String(chunk)))
  await until('a code', () => output.endsWith('\n'))
  t.match(JSON.parse(output), { spaceBytes: 1e9 })
  const { code, stderr } = await home.run(['host', '--space', '1GB', '--foreground'])
  t.equal(code, 1)
  t.match(stderr, /already in use by process \d+ \(grove host\); run `grove host stop` first/)
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
})

t.test('after kill -9 it goes on', async t => {
  const home = await stage(t)
  await host(home, '--space', '1GB')
  const { pid, id } = await status(home)
  process.kill(pid, 'SIGKILL')
  await until('its end', () => !isProcessAlive(pid))
  t.match(await home.json(['host', 'status']), { running: false })
  await host(home)
  t.equal((await status(home)).id, id)
})

t.test('what makes no sense is said before anything is made', async t => {
  const home = await stage(t)
  for (const [words, message] of [
    [[], /say how much to keep/],
    [['--space', 'much'], /no size/],
    [['--space', '5'], /no size|at least 1MB/],
    [['--space', '1GB', '--label', 'attic'], /is no label/],
    [['invite', '--hours', '0'], /1 to \d+ hours|whole number/]
  ] as const) {
    const { code, stderr } = await home.run(['host', ...words])
    t.equal(code, 2, words.join(' '))
    t.match(stderr, message)
  }
  await t.rejects(stat(home.directory), { code: 'ENOENT' })
  t.match((await home.run(['host', 'status'])).stderr, /no holder in/)
  await mkdir(home.directory)
  await writeFile(join(home.directory, 'thesis.txt'), 'mine')
  const { stderr } = await home.run(['host', '--space', '1GB'])
  t.match(stderr, /is not empty/)
  t.equal(await readFile(join(home.directory, 'thesis.txt'), 'utf8'), 'mine')
})

t.test('without a network the code is shown all the same', async t => {
  const home = await GroveHome.make(t)
  t.teardown(() => home.run(['host', 'stop']))
  const { code } = await host(home, '--space', '1GB')
  t.equal(code.length, 92)
  t.match(await status(home), { connections: 0 })
})
