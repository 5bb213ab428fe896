/** A process lives until it has ended, also when nobody has noticed that it has. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { isProcessAlive } from '../../bin/process-alive.ts'
import { until } from './grove-home.ts'

t.test('isProcessAlive() of this process, another, and an ended one', async t => {
  t.ok(isProcessAlive(process.pid))
  t.ok(isProcessAlive(1))
  const child = spawn('true', { stdio: 'ignore' })
  await once(child, 'exit')
  t.notOk(isProcessAlive(child.pid ?? 0))
})

t.test('isProcessAlive() of a process that nobody has waited for', async t => {
  // The shell replaces itself by sleep, which never waits for the child it inherits; that child
  // must live until then, or the shell waits for it.
  const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  t.teardown(() => parent.kill('SIGKILL'))
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(String(line))
  await until(() => !isProcessAlive(pid), 'it has ended')
  t.match(await readFile(`/proc/${pid}/stat`, 'latin1'), /\) Z /, 'and still has its pid')
})
