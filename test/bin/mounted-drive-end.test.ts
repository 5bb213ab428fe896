/**
 * How a real mount ends: busy folders, daemons in the foreground, foreign unmounts. Programs that
 * use the folder run as processes of their own.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { GroveHome, isMounted, runProgram, until } from './grove-home.ts'

const ONE_LINE = /^grove: [^\n]+\n$/

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
