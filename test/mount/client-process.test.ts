/** The process that is the client of a mount: its values, its deadline, and that nothing is left. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { runClient } from '../support/client-process.ts'

/** How long the killed processes get until they must be gone. */
const GONE_MS_MAX = 5000

async function script(t: Test, code: string): Promise<URL> {
  const directory = await mkdtemp(join(tmpdir(), 'grove-client-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const path = join(directory, 'client.mjs')
  await writeFile(path, code)
  return pathToFileURL(path)
}

async function isGone(pid: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < GONE_MS_MAX; waitedMs += 50) {
    try {
      process.kill(pid, 0)
    } catch {
      return true
    }
    await setTimeout(50)
  }
  return false
}

t.test('runClient() gives the values, the exit code and the standard error', async t => {
  const seen: unknown[] = []
  const client = await runClient({
    script: await script(
      t,
      `console.log(JSON.stringify({ argument: process.argv[2] }))
       console.log(JSON.stringify([1, 2]))
       console.error('a complaint')
       process.exitCode = 3`
    ),
    args: ['given'],
    deadlineMs: 30_000,
    onValue: value => seen.push(value)
  })
  t.same(client.values, [{ argument: 'given' }, [1, 2]])
  t.same(seen, client.values)
  t.match(client, { exitCode: 3, timedOut: false, stuck: false, stderr: /a complaint/ })
})

t.test('runClient() kills the client and what it started at the deadline', async t => {
  const client = await runClient({
    script: await script(
      t,
      `import { spawn } from 'node:child_process'
       const child = spawn('sleep', ['600'])
       console.log(JSON.stringify([process.pid, child.pid]))`
    ),
    args: [],
    deadlineMs: 2000
  })
  t.match(client, { timedOut: true, stuck: false, exitCode: null })
  const pids = client.values[0] as readonly number[]
  t.equal(pids.length, 2)
  for (const pid of pids) t.ok(await isGone(pid), `process ${pid} is gone`)
})

t.test('runClient() refuses a script that prints something else', async t => {
  const run = runClient({
    script: await script(t, `console.log('not JSON')`),
    args: [],
    deadlineMs: 30_000
  })
  await t.rejects(run, { message: /not JSON/ })
})
