/** The daemon over its socket, with a drive and drivers that only remember what was asked. */
import { request as httpRequest } from 'node:http'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ApiClient } from '../../bin/api-client.ts'
import type { VerifyLine } from '../../bin/api.ts'
import { Home } from '../../bin/home.ts'
import { HomeLock } from '../../bin/home-lock.ts'
import { until } from '../support/until.ts'
import { fakeDaemon } from './fake-daemon.ts'

/** One request of a client that does not keep to the rules. */
function rawRequest(
  socketPath: string,
  options: { readonly method: string; readonly path: string; readonly body?: string }
): Promise<{ readonly status: number | undefined; readonly text: string }> {
  const { method, path, body } = options
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method, path }, response => {
      let text = ''
      response.on('data', chunk => (text += String(chunk)))
      response.on('end', () => resolve({ status: response.statusCode, text }))
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}

t.test('status, mount, unmount and settings over the socket', async t => {
  const { home, client, journal, directory, mount, socket } = await fakeDaemon(t)
  t.equal((await stat(socket)).mode & 0o777, 0o600)
  t.match(await client.mount(mount), { directory, driver: 'linux' })
  t.match(await client.status(), {
    running: true,
    pid: process.pid,
    home: home.directory,
    mounts: [{ directory, driver: 'linux', readOnly: false }],
    openFiles: 3,
    device: { name: 'desk' }
  })
  t.strictSame(await client.unmount({ lazy: false }), { directories: [directory] })
  t.strictSame(await client.unmount({ lazy: false }), { directories: [] })
  t.match(await client.changeSetting({ name: 'history.keep', value: '7d' }), {
    'history.keep': '7d'
  })
  t.match(journal.at(-1), /^settings \{"history.keep":"7d","content":"all",/)
  t.match(await readFile(home.settingsFile, 'utf8'), '7d')
  await t.rejects(client.changeSetting({ name: 'history.keep', value: '?' }), { code: 'USAGE' })
})

t.test('errors keep their code and message on the way', async t => {
  const { client, mount, home } = await fakeDaemon(t)
  await t.rejects(client.mount({ ...mount, directory: home.directory }), {
    code: 'BAD_DIRECTORY',
    message: /choose another folder/
  })
})

t.test('verify streams what it finds, and an error at its end', async t => {
  const { client, drive, journal } = await fakeDaemon(t)
  const progress = { kind: 'progress', progress: { done: 1, total: 2 } } as const
  const damage = { kind: 'damage', damage: { path: '/a', reason: 'damaged' } } as const
  drive.events = [progress, damage]
  const lines: VerifyLine[] = []
  for await (const line of client.verify()) lines.push(line)
  t.strictSame(lines, [progress, damage, { kind: 'end' }])
  t.equal(journal.at(-1), 'verified')
  drive.failure = new Error('the disk went away')
  await t.rejects(
    async () => {
      for await (const line of client.verify()) lines.push(line)
    },
    { code: 'FAILED', message: /the disk went away/ }
  )
})

t.test('a client that leaves ends its verify', async t => {
  const { client, drive, journal } = await fakeDaemon(t)
  const progress = { kind: 'progress', progress: { done: 1, total: 2 } } as const
  drive.events = Array.from({ length: 1_000_000 }, () => progress)
  for await (const line of client.verify()) if (line.kind === 'progress') break
  await new Promise(resolve => setTimeout(resolve, 200))
  t.notOk(journal.includes('verified'))
  t.match(await client.status(), { running: true }, 'and the daemon goes on')
})

t.test('malformed requests are refused and harm nothing', async t => {
  const { socket, client, journal } = await fakeDaemon(t)
  const bodies = [
    '',
    'nonsense',
    '[]',
    'null',
    '{"driver":"auto"}',
    '{"directory":"relative","driver":"auto","readOnly":false,"allowOther":false}',
    '{"directory":"/a\\u0000b","driver":"auto","readOnly":false,"allowOther":false}',
    '{"directory":"/a","driver":"best","readOnly":false,"allowOther":false}',
    '{"directory":"/a","driver":"auto","readOnly":"no","allowOther":false}',
    `{"directory":"/${'a'.repeat(70_000)}"}`
  ]
  for (const body of bodies) {
    const { status, text } = await rawRequest(socket, { method: 'POST', path: '/v1/mount', body })
    t.equal(status, 400, body.slice(0, 40))
    t.match(JSON.parse(text), { error: { code: 'USAGE' } })
  }
  for (const [path, body] of [
    ['/v1/invite', '{"minutes":0}'],
    ['/v1/invite', '{"minutes":1.5}'],
    ['/v1/invite', '{"minutes":"10"}'],
    ['/v1/invite', '{"minutes":1441}'],
    ['/v1/resolve', '{"path":"a","keep":"mine"}'],
    ['/v1/resolve', '{"path":"/a","keep":"all"}'],
    ['/v1/versions', '{}'],
    ['/v1/versions', '{"path":"/a\\u0000"}'],
    ['/v1/cat', '{"path":"/a"}'],
    ['/v1/cat', `{"path":"/a","version":"${'1'.repeat(300)}"}`],
    ['/v1/sync', '{"wait":1}']
  ] as const) {
    const { status, text } = await rawRequest(socket, { method: 'POST', path, body })
    t.equal(status, 400, `${path} ${body.slice(0, 40)}`)
    t.match(JSON.parse(text), { error: { code: 'USAGE' } })
  }
  for (const path of ['/', '/v1/mount', '/v2/status'])
    t.equal((await rawRequest(socket, { method: 'GET', path })).status, 400)
  t.strictSame(journal, [])
  t.match(await client.status(), { running: true })
})

t.test('stop unmounts, closes the drive, answers, and then the socket is gone', async t => {
  const { home, client, daemon, journal, mount, socket } = await fakeDaemon(t)
  await client.mount(mount)
  t.strictSame(await client.stop(), { pid: process.pid })
  t.equal(await daemon.ended, undefined)
  t.strictSame(journal.slice(2), ['unmount', 'close vfs', 'close drive'])
  await t.rejects(stat(socket), { code: 'ENOENT' })
  t.equal(await ApiClient.find(home, new AbortController().signal), undefined)
})

t.test('stop tells what could not be saved', async t => {
  const { client, daemon, drive } = await fakeDaemon(t)
  drive.failure = Object.assign(new Error('write'), { code: 'ENOSPC' })
  t.match(await client.stop(), { problem: /full/ })
  t.match(await daemon.ended, /full/)
})

t.test('a daemon that is ending refuses to mount', async t => {
  const { daemon, mount, journal } = await fakeDaemon(t)
  const ending = daemon.end('test')
  await t.rejects(daemon.mount(mount), { code: 'FAILED', message: /ending/ })
  await ending
  t.strictSame(journal, ['close drive'])
})

t.test('abandon() saves and unmounts, and closes nothing', async t => {
  const { daemon, client, journal, mount } = await fakeDaemon(t)
  await client.mount(mount)
  await daemon.abandon()
  t.strictSame(journal.slice(2), ['sync', 'unmount', 'close vfs'])
})

t.test('find() ignores the socket of another home', async t => {
  const { home, socket } = await fakeDaemon(t)
  const other = await Home.locate({ GROVE_HOME: join(home.directory, '../other') })
  await other.prepare()
  const lock = await HomeLock.acquire(other.lockFile, { pid: 1, command: 'mount', socket })
  t.equal(await ApiClient.find(other, new AbortController().signal), undefined)
  await lock.release()
})

t.test('a drive that was outrun is opened anew, mounted again and connected again', async t => {
  const { daemon, drive, renewed, client, mount, directory, journal, driver } = await fakeDaemon(t)
  await client.mount({ ...mount, allowOther: true })
  daemon.connect({ listenHost: '127.0.0.1' })
  journal.length = 0
  drive.connected?.onOutrun()
  drive.connected?.onOutrun()
  await daemon.renew()
  t.strictSame(journal, [
    'unmount',
    'close vfs',
    'close drive',
    'renew drive',
    'open vfs',
    'mount with linux',
    'connect'
  ])
  t.strictSame(renewed.connected?.network, { listenHost: '127.0.0.1' })
  t.match((await client.status()).mounts, [{ directory, driver: 'linux' }])
  t.equal(driver.mounts.length, 2)
  drive.failure = new Error('the old one is not asked any more')
  await client.invite({ minutes: 1 })
})

t.test('whoever asks how it is while the drive is opened anew hears of the new one', async t => {
  const { daemon, drive, client } = await fakeDaemon(t)
  let questions = 0
  let goOn = (): void => undefined
  drive.close = () => new Promise<void>(resolve => (goOn = resolve))
  drive.status = () => {
    questions++
    return Promise.reject(new Error('the key-value store is closed'))
  }
  await t.rejects(client.status(), { code: 'FAILED' }, 'a fault is one when nothing is under way')
  const renewal = daemon.renew()
  const answer = client.status()
  await until('the old drive is asked', () => questions === 2)
  goOn()
  t.match(await answer, { running: true })
  await renewal
})

t.test('a drive that cannot be closed cleanly is opened anew all the same', async t => {
  const { daemon, drive, journal } = await fakeDaemon(t)
  daemon.connect({})
  drive.failure = new Error('diverged')
  await daemon.renew()
  t.strictSame(journal, ['connect', 'close drive', 'renew drive', 'connect'])
})

t.test('a drive that cannot be opened anew ends the daemon, and the log says so', async t => {
  const { daemon, renew, client, mount, home } = await fakeDaemon(t)
  await client.mount(mount)
  renew.failure = new Error('no')
  await daemon.renew()
  await daemon.ended
  const log = await readFile(home.logFile, 'utf8')
  t.match(log, /could not go on in new logs/)
  t.match(log, /ending: new logs could not be started; run grove mount/)
  t.equal(await ApiClient.find(home, new AbortController().signal), undefined)
})
