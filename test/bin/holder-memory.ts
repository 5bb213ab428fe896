/**
 * Measures the memory of a real holder: `npm run bench:holder -- [--blocks N] [--space SIZE]
 * [--bytes N]`. A device has it keep small blocks, window after window; then it is started anew.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { systemRandom } from '../../bin/system-random.ts'
import type { HolderCodeAnswer, HolderProcessStatus } from '../../bin/holder-api.ts'
import { BootstrapNode } from '../../src/replication/bootstrap-node.ts'
import { WINDOW_BLOCKS } from '../../src/sync/block-bitmap.ts'
import { HolderGuest } from '../support/holder-guest.ts'
import { freePort } from '../support/loopback-fabric.ts'

const PROGRAM = resolve(import.meta.dirname, '../../dist/bin/grove.js')
const run = promisify(execFile)

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '1000000' },
    bytes: { type: 'string', default: '128' },
    space: { type: 'string', default: '100GB' }
  }
})
const [count, size] = [Number(values.blocks), Number(values.bytes)]
const folder = await mkdtemp(join(tmpdir(), 'grove-holder-memory-'))
const node = await BootstrapNode.open({ host: '127.0.0.1', port: await freePort() })
const environment = {
  ...process.env,
  GROVE_HOME: join(folder, 'host'),
  GROVE_LISTEN: '127.0.0.1',
  GROVE_BOOTSTRAP: `127.0.0.1:${String(node.address.port)}`
}

async function grove(...words: readonly string[]): Promise<unknown> {
  const { stdout } = await run(process.execPath, [PROGRAM, ...words, '--json'], {
    env: environment
  })
  return JSON.parse(stdout) as unknown
}

/** Resident memory now and at most, in MB. */
async function memory(pid: number): Promise<string> {
  const text = await readFile(`/proc/${String(pid)}/status`, 'latin1')
  const mb = (name: string): string => {
    const kib = Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(text)?.[1])
    return ((kib * 1024) / 1e6).toFixed(0)
  }
  return `${mb('VmRSS')} MB resident (of which files ${mb('RssFile')}), ${mb('VmHWM')} MB at most`
}

const say = (what: string): void => void process.stdout.write(`${what}\n`)

try {
  const { code } = (await grove('host', '--space', values.space)) as HolderCodeAnswer
  const { pid } = (await grove('host', 'status')) as HolderProcessStatus
  say(`started, ${values.space} pledged: ${await memory(pid)}`)
  const guest = await HolderGuest.make({ bootstrap: node.address, code })
  for (let from = 0; from < count; from += WINDOW_BLOCKS) {
    const length = Math.min(WINDOW_BLOCKS, count - from)
    const blocks = Array.from({ length }, () => systemRandom.bytes(size))
    await guest.device.contentLog.append(blocks, from)
  }
  await guest.device.commit(Buffer.alloc(500))
  const link = await guest.link()
  const startMs = performance.now()
  for (let from = 0; from < count; from += WINDOW_BLOCKS) {
    await guest.hold(link, from, Math.min(count, from + WINDOW_BLOCKS))
    if ((from / WINDOW_BLOCKS) % 100 === 99)
      say(`${String(from + WINDOW_BLOCKS)} blocks: ${await memory(pid)}`)
  }
  const seconds = (performance.now() - startMs) / 1000
  say(
    `${String(count)} blocks of ${String(size)} B in ${seconds.toFixed(0)} s: ${await memory(pid)}`
  )
  const indexes = Array.from({ length: 64 }, () => Math.floor(Math.random() * count))
  await link.challenge({
    log: guest.device.contentLog.key,
    indexes: [...new Set(indexes)].toSorted((left, right) => left - right),
    mode: 'hash'
  })
  await sleep(15_000)
  say(`after a challenge and a quarter of a minute: ${await memory(pid)}`)
  await guest.close()
  await grove('host', 'stop')
  await grove('host')
  const again = (await grove('host', 'status')) as HolderProcessStatus
  say(`started anew: ${await memory(again.pid)}`)
} finally {
  await grove('host', 'stop')
  await node.close()
  await rm(folder, { recursive: true, force: true })
}
