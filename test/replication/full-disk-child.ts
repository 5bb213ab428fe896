/**
 * A process with a small disk of its own that it fills. Run by `full-disk.test.ts` in a mount
 * namespace of its own, so that the disk is gone when the process is. Prints what it saw.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { HypercoreBlockStore } from '../../src/replication/hypercore-block-store.ts'
import type { HypercoreLog } from '../../src/replication/hypercore-log.ts'
import { LogHome } from '../../src/replication/log-home.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import type { Log } from '../../src/sync/log.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { cloneStore } from '../support/cut-wal.ts'
import { identityOf } from '../support/hypercore-home.ts'

const DISK_MIB = 48
const MOUNT = 'mount'
/** RocksDB looks every 5 seconds whether there is space again. */
const RECOVERY_MS_MAX = 20_000

const [root = ''] = process.argv.slice(2)
const disk = join(root, 'disk')
const directory = join(disk, 'store')
const filler = join(disk, 'filler')

interface Logs {
  readonly home: LogHome
  readonly content: HypercoreBlockStore
  readonly operations: HypercoreLog
}

const block = (index: number): Buffer => Buffer.alloc(65_536, index + 1)
const operation = (index: number): Buffer => Buffer.alloc(2000, index + 1)
const say = (key: string, value: unknown): void =>
  void process.stdout.write(`${JSON.stringify({ [key]: value })}\n`)

async function openLogs(where: string): Promise<Logs> {
  const home = await LogHome.open({ directory: where, allowMoved: true })
  const content = await home.openBlockStore(identityOf('content'))
  return { home, content, operations: await home.openLog(identityOf('operations')) }
}

async function codeOf(call: () => Promise<unknown>): Promise<string> {
  try {
    await call()
    return 'no error'
  } catch (error) {
    const isKnown = error instanceof SyncError || error instanceof ReplicationError
    return isKnown ? error.code : String(error)
  }
}

/** Appends until it is refused; says with what. */
async function appendUntilRefused(log: Log, entry: (index: number) => Buffer): Promise<string> {
  for (;;) {
    const code = await codeOf(() => log.append([entry(log.length)], log.length))
    if (code !== 'no error') return code
  }
}

/** How many of the entries are not what was appended. */
async function wrongCount(log: Log, entry: (index: number) => Buffer): Promise<number> {
  let wrong = 0
  for (let index = 0; index < log.length; index++)
    if (!entry(index).equals(await log.get(index))) wrong++
  return wrong
}

function fillDisk(): void {
  const file = openSync(filler, 'a')
  for (const size of [65_536, 4096, 1]) {
    try {
      for (;;) writeSync(file, Buffer.alloc(size))
    } catch {
      continue
    }
  }
  closeSync(file)
}

async function main(): Promise<void> {
  mkdirSync(disk)
  execFileSync(MOUNT, ['-t', 'tmpfs', '-o', `size=${String(DISK_MIB)}m`, 'tmpfs', disk])
  const logs = await openLogs(directory)
  const { home, content, operations } = logs
  const wrong = async ({ content, operations }: Logs): Promise<number[]> => [
    await wrongCount(content, block),
    await wrongCount(operations, operation)
  ]

  await operations.append([operation(0)], 0)
  say('content refused', await appendUntilRefused(content, block))
  const kept = content.length
  say('operation on the reserve', await codeOf(() => operations.append([operation(1)], 1)))
  say('sync on the reserve', await codeOf(() => operations.sync()))

  fillDisk()
  say('operation refused', await appendUntilRefused(operations, operation))
  const length = operations.length
  say('refused again', await codeOf(() => operations.append([operation(length)], length)))
  say('lengths kept', content.length === kept && operations.length === length)
  say('wrong while full', await wrong(logs))
  const killedFull = join(root, 'killed-full')
  await cloneStore(directory, killedFull)

  rmSync(filler)
  const start = Date.now()
  let code = 'not tried'
  while (code !== 'no error' && Date.now() - start < RECOVERY_MS_MAX) {
    code = await codeOf(() => operations.append([operation(length)], length))
    if (code !== 'no error') await delay(250)
  }
  say('after space returned', code)
  say('one longer', operations.length === length + 1)
  await content.clear({ from: 0, to: 0 })
  say('sync', await codeOf(() => operations.sync()))
  say('wrong after', await wrong(logs))

  const killed = join(root, 'killed')
  await cloneStore(directory, killed)
  await home.close()
  for (const where of [killedFull, killed, directory]) {
    const again = await openLogs(where)
    say('lengths after', [again.content.length - kept, again.operations.length - length])
    say('wrong after opening', await wrong(again))
    if (where === directory) await again.operations.append([operation(length + 1)], length + 1)
    await again.home.close()
  }

  fillDisk()
  say('opening on a full disk', await codeOf(() => openLogs(directory)))
  rmSync(filler)
  const last = await openLogs(directory)
  say('lengths at last', [last.content.length - kept, last.operations.length - length])
  await last.home.close()
}

await main()
