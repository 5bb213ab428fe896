/**
 * The built command with a real daemon and a real mount: background start, refusals with the
 * pid, signals, `kill -9`.
 */
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { isProcessAlive } from '../../bin/process-alive.ts'
import { GroveHome, isMounted, runProgram } from './grove-home.ts'

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
