/**
 * The built command with a real daemon and a real mount: background start, refusals with the
 * pid, signals, `kill -9`, busy folders, foreign unmounts. Programs that use the folder run as
 * processes of their own.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { isProcessAlive } from '../../bin/process-alive.ts'
import { GroveHome, isMounted, runProgram, until } from './grove-home.ts'

// It starts some fifty programs: 95 s on a slow machine, and tap's own limit is 120.
t.setTimeout(400_000)

const ONE_LINE = /^grove: [^\n]+\n$/

t.test('mount returns when the folder answers; the daemon goes on in the background', async t => {
  const grove = await GroveHome.initialised(t)
  const pid = await grove.mount()
  await grove.write('note', 'kept')
  t.equal(await grove.read('note'), 'kept')
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
  t.equal(await grove.read('note'), 'kept')
  t.match(await grove.succeed(['stop']), `${pid}`)
  t.notOk(isProcessAlive(pid))
  t.notOk(await isMounted(grove.mountPoint))
  t.match(JSON.parse(await readFile(join(grove.directory, 'last-run.json'), 'utf8')), {
    clean: true
  })
  const log = await grove.log()
  t.notMatch(log, 'note')
  t.notMatch(log, 'kept')
})

t.test('after kill -9 the next mount clears what is left and everything is there', async t => {
  const grove = await GroveHome.initialised(t)
  const first = await grove.mount()
  await grove.write('note', 'kept')
  t.equal((await runProgram('sync', [join(grove.mountPoint, 'note')])).code, 0)
  await grove.kill(first)
  t.match(JSON.parse(await grove.succeed(['status', '--json'])), { running: false })
  const second = await grove.mount()
  t.not(second, first)
  t.equal(await grove.read('note'), 'kept')
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
    await grove.write(signal, signal)
    await grove.kill(pid, signal)
    t.notOk(await isMounted(grove.mountPoint), signal)
    const mark = JSON.parse(
      await readFile(join(grove.directory, 'last-run.json'), 'utf8')
    ) as object
    t.match(mark, { clean: true })
  }
  await grove.mount()
  for (const signal of ['SIGTERM', 'SIGINT']) t.equal(await grove.read(signal), signal)
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
  await grove.write('note', 'still served')
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
  t.equal(await grove.read('note'), 'still served')
})

t.test('--foreground stays, logs to the terminal, and ends with its mount', async t => {
  const grove = await GroveHome.initialised(t)
  const child = grove.start(['mount', '--foreground', grove.mountPoint])
  t.teardown(() => child.kill('SIGKILL'))
  let stderr = ''
  child.stderr?.on('data', chunk => (stderr += String(chunk)))
  const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer]
  t.equal(String(line), `mounted at ${grove.mountPoint}\n`)
  await grove.write('note', 'kept')
  // It may end before umount has been waited for.
  const closed = once(child, 'close')
  t.equal((await runProgram('umount', [grove.mountPoint])).code, 0)
  await closed
  t.equal(child.exitCode, 0)
  t.match(stderr, /mounted with/)
  t.match(stderr, /unmounted by somebody else/)

  const again = grove.start(['mount', '--foreground', grove.mountPoint])
  t.teardown(() => again.kill('SIGKILL'))
  await once(again.stdout ?? again, 'data')
  t.equal(await grove.read('note'), 'kept')
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

/** A process that keeps a file of the folder open. */
async function holdOpen(directory: string): Promise<ChildProcess> {
  const user = spawn('sh', ['-c', 'exec 3> "$1/held"; echo open; exec sleep 60', 'sh', directory], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  await once(user.stdout, 'data')
  return user
}
