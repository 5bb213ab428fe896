/** One process per home: the lock names its holder and ends with it, however that ends. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import t from 'tap'
import { HomeLock } from '../../bin/home-lock.ts'
import { temporaryFolder } from './temporary-folder.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const me = { pid: process.pid, command: 'mount' }

/** A process that takes the lock and says so, then waits. */
const TAKER = `
  const { openSync, writeSync } = require('node:fs')
  const file = openSync(process.argv[1], 'a+')
  if (!require('fs-native-extensions').tryLock(file)) process.exit(3)
  writeSync(file, JSON.stringify({ pid: process.pid, command: 'verify' }))
  process.stdout.write('locked')
  setTimeout(() => {}, 60000)
`

t.test('acquire() refuses a second taker and names the first', async t => {
  const path = join(await temporaryFolder(t), 'lock')
  const lock = await HomeLock.acquire(path, me)
  t.equal((await stat(path)).mode & 0o777, 0o600)
  await t.rejects(HomeLock.acquire(path, me), {
    code: 'LOCKED',
    message: new RegExp(`process ${process.pid} .*grove stop`)
  })
  await lock.release()
  await lock.release()
  t.equal(await readFile(path, 'utf8'), '', 'the name goes with the lock')
  const again = await HomeLock.acquire(path, me)
  await again.release()
})

t.test('describe() replaces what others are told, also by something shorter', async t => {
  const path = join(await temporaryFolder(t), 'lock')
  const lock = await HomeLock.acquire(path, { ...me, command: 'a long word for what it does' })
  const socket = '/run/socket'
  await lock.describe({ pid: process.pid, command: 'mount', socket })
  t.strictSame(await HomeLock.lastHolder(path), { ...me, socket })
  await lock.release()
  t.equal(await HomeLock.lastHolder(path), undefined)
})

t.test('a killed holder leaves no lock, whatever its file says', async t => {
  const path = join(await temporaryFolder(t), 'lock')
  const child = spawn(process.execPath, ['-e', TAKER, path], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  await t.rejects(HomeLock.acquire(path, me), {
    code: 'LOCKED',
    message: new RegExp(`process ${child.pid} .*until .grove verify. ends`)
  })
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.match(await readFile(path, 'utf8'), `${child.pid}`, 'the stale text is still there')
  const lock = await HomeLock.acquire(path, me)
  await lock.release()
})

t.test('a pid that now belongs to another living process fools nobody', async t => {
  const path = join(await temporaryFolder(t), 'lock')
  // The test runner's own parent stands for the innocent process.
  await writeFile(path, JSON.stringify({ pid: process.ppid, command: 'mount' }))
  const lock = await HomeLock.acquire(path, me)
  t.strictSame(await HomeLock.lastHolder(path), me)
  await lock.release()
})

t.test('lastHolder() makes nothing of nonsense', async t => {
  const path = join(await temporaryFolder(t), 'lock')
  t.equal(await HomeLock.lastHolder(path), undefined)
  for (const text of ['', '{', 'null', '{"pid":"1","command":"x"}', '{"pid":-4,"command":"x"}']) {
    await writeFile(path, text)
    t.equal(await HomeLock.lastHolder(path), undefined, text)
  }
})
