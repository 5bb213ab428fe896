/**
 * A real holder and what may befall it: it is killed, its disk is full, its files are damaged
 * behind its back, its space is cut, its home is lost. What it signed for it has, or says that it
 * has not.
 */
import { once } from 'node:events'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { HolderCodeAnswer, HolderProcessStatus } from '../../bin/holder-api.ts'
import { isProcessAlive } from '../../bin/process-alive.ts'
import type { Receipt } from '../../src/crypto/receipt.ts'
import { blake2b, equalBytes } from '../../src/crypto/sodium.ts'
import { BootstrapNode } from '../../src/replication/bootstrap-node.ts'
import type { KeeperLink } from '../../src/replication/keeper-link.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { countBits, indexesOf } from '../../src/sync/block-bitmap.ts'
import { toHex } from '../support/bytes.ts'
import { HolderGuest } from '../support/holder-guest.ts'
import { freePort } from '../support/loopback-fabric.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'
import { GroveHome, type World } from './grove-home.ts'

const BLOCK_BYTES = 64 * 1024
const BLOCKS = 512

interface Stage {
  readonly home: GroveHome
  readonly node: BootstrapNode
}

async function stage(t: Test, world: World = {}): Promise<Stage> {
  const node = await BootstrapNode.open({ host: '127.0.0.1', port: await freePort() })
  t.teardown(() => node.close())
  const environment = {
    GROVE_LISTEN: '127.0.0.1',
    GROVE_BOOTSTRAP: `127.0.0.1:${String(node.address.port)}`
  }
  const home = await GroveHome.make(t, { environment, ...world })
  t.teardown(() => home.run(['host', 'stop']))
  return { home, node }
}

async function host(home: GroveHome, ...words: readonly string[]): Promise<string> {
  return ((await home.json(['host', ...words])) as HolderCodeAnswer).code
}

async function pidOf(home: GroveHome): Promise<number> {
  return ((await home.json(['host', 'status'])) as HolderProcessStatus).pid
}

/** A device with some content. */
async function guest(t: Test, { node }: Stage, code: string): Promise<HolderGuest> {
  const made = await HolderGuest.make({ bootstrap: node.address, code })
  t.teardown(() => made.close())
  const random = new SeededRandom(5)
  const { contentLog } = made.device
  for (let from = 0; from < BLOCKS; from += 64)
    await contentLog.append(
      Array.from({ length: 64 }, () => random.bytes(BLOCK_BYTES)),
      from
    )
  await made.device.commit(Buffer.from('entry'))
  return made
}

/** Which of the blocks that are under receipt the holder can prove. */
async function proven(link: KeeperLink, { device }: HolderGuest, receipts: readonly Receipt[]) {
  const result = { signed: 0, proven: 0, missing: 0 }
  const log = device.contentLog.key
  for (const { log: bytes, window, bitmap } of receipts) {
    if (toHex(bytes) !== log) continue
    for (const index of indexesOf({ window, bitmap })) {
      result.signed++
      const answer = await link.challenge({ log, indexes: [index], mode: 'blocks' })
      if (answer.kind === 'missing') result.missing++
      if (answer.kind !== 'blocks') continue
      const [block] = answer.blocks
      const own = blake2b(await device.contentLog.get(index))
      if (block !== undefined && equalBytes(blake2b(block), own)) result.proven++
    }
  }
  return result
}

function newest(receipts: readonly Receipt[]): readonly Receipt[] {
  return [
    ...new Map(receipts.map(one => [`${toHex(one.log)} ${String(one.window)}`, one])).values()
  ]
}

t.test('killed while it takes blocks: it has all that it signed for, and goes on', async t => {
  const at = await stage(t)
  const one = await guest(t, at, await host(at.home, '--space', '1GB'))
  const link = await one.link()
  await one.hold(link, 0, 40)
  const pid = await pidOf(at.home)
  const broken = t.rejects(one.hold(link, 40, BLOCKS), ReplicationError)
  await sleep(300)
  process.kill(pid, 'SIGKILL')
  await broken
  await until('its end', () => !isProcessAlive(pid))
  await host(at.home)
  const again = await one.link()
  const before = await proven(again, one, newest(await again.receipts(0)))
  t.ok(before.signed >= 40)
  t.same([before.proven, before.missing], [before.signed, 0])
  const receipts = await one.hold(again, 0, BLOCKS)
  t.equal(countBits(receipts.at(-1)?.bitmap ?? new Uint8Array()), BLOCKS)
  t.equal((await proven(again, one, receipts)).proven, BLOCKS)
})

t.test('damage behind its back is told, survived, and mended with what comes again', async t => {
  const at = await stage(t)
  const one = await guest(t, at, await host(at.home, '--space', '1GB'))
  await one.hold(await one.link(), 0, BLOCKS)
  // What it still has in memory and in its write-ahead log goes to files when it ends.
  await at.home.succeed(['host', 'stop'])
  await damageBlobs(join(at.home.directory, 'logs', 'db'))
  await host(at.home)
  const link = await one.link()
  const receipts = newest(await link.receipts(0))
  const found = await proven(link, one, receipts)
  t.equal(found.signed, BLOCKS)
  t.ok(found.missing > 0, `${String(found.missing)} are damaged`)
  t.equal(found.proven + found.missing, BLOCKS, 'and no damaged one is passed off as whole')
  const mended = await one.hold(link, 0, BLOCKS)
  t.equal((await proven(link, one, mended)).proven, BLOCKS)
  t.ok(isProcessAlive(await pidOf(at.home)))
})

t.test('with less space it takes nothing new and drops nothing', async t => {
  const at = await stage(t)
  const one = await guest(t, at, await host(at.home, '--space', '1GB'))
  const link = await one.link()
  const receipts = await one.hold(link, 0, 128)
  await host(at.home, '--space', '2MB')
  const linked = await one.link()
  await t.rejects(one.hold(linked, 128, 256), { code: 'FULL' })
  t.equal((await proven(linked, one, receipts)).proven, 128)
  t.equal((await linked.usage()).quotaBytes, 2_000_000)
  await host(at.home, '--space', '1GB')
  const larger = await one.link()
  t.equal(countBits((await one.hold(larger, 128, 256)).at(-1)?.bitmap ?? new Uint8Array()), 256)
})

t.test('a full disk refuses, keeps what is signed and keeps running', async t => {
  const script =
    'mkdir -p "$GROVE_HOME" && mount -t tmpfs -o size=40m none "$GROVE_HOME" && exec "$@"'
  const namespace = process.getuid?.() === 0 ? [] : ['--map-root-user']
  const wrapper = ['unshare', ...namespace, '-m', 'sh', '-c', script, 'sh']
  const at = await stage(t, { wrapper })
  const child = at.home.start(['host', '--space', '1GB', '--foreground', '--json'])
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer]
  const { code } = JSON.parse(String(line)) as HolderCodeAnswer
  const one = await guest(t, at, code)
  const link = await one.link()
  const receipts = [...(await one.hold(link, 0, 32))]
  await t.rejects(one.hold(link, 32, BLOCKS), { code: 'FULL' })
  t.equal(child.exitCode, null)
  const after = await one.link()
  t.equal((await proven(after, one, receipts)).proven, 32)
  t.equal(child.exitCode, null)
})

t.test('who lost its home is another holder', async t => {
  const at = await stage(t)
  const one = await guest(t, at, await host(at.home, '--space', '1GB'))
  const { id } = (await at.home.json(['host', 'status'])) as HolderProcessStatus
  t.equal((await one.link()).id, id)
  await at.home.succeed(['host', 'stop'])
  await rm(at.home.directory, { recursive: true })
  const other = await HolderGuest.make({
    bootstrap: at.node.address,
    code: await host(at.home, '--space', '1GB')
  })
  t.teardown(() => other.close())
  t.not((await other.link()).id, id)
})

/** Flips a byte in every 256 KiB of every file of blocks. */
async function damageBlobs(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.endsWith('.blob')) continue
    const path = join(directory, name)
    const { size } = await stat(path)
    const file = await open(path, 'r+')
    for (let position = 100_000; position < size - 1000; position += 262_144) {
      const byte = Buffer.alloc(1)
      await file.read(byte, 0, 1, position)
      byte[0] = (byte[0] ?? 0) ^ 0xff
      await file.write(byte, 0, 1, position)
    }
    await file.close()
  }
}
