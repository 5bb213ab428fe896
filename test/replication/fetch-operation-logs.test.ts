/** Operation logs come from holders: up to what is expected, and whatever more there is. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import {
  FETCH_IDLE_MS_MAX,
  FETCH_SETTLE_MS,
  fetchOperationLogs,
  type FetchLogsParts
} from '../../src/replication/fetch-operation-logs.ts'
import { GuardedMux } from '../../src/replication/guarded-mux.ts'
import { KnownPairs } from '../../src/replication/known-pairs.ts'
import { LogHome } from '../../src/replication/log-home.ts'
import type { PeerConnection } from '../../src/replication/peer-network.ts'
import type { Clock } from '../../src/sync/clock.ts'
import { Members } from '../../src/sync/members.ts'
import { filled } from '../support/bytes.ts'
import { HolderStage } from '../support/holder-stage.ts'
import { until } from '../support/until.ts'

/** Waits are a tenth as long. */
const HASTE = 10

const hasty: Clock = {
  now: () => new SystemClock().now(),
  after: (delayMs, callback) => new SystemClock().after(delayMs / HASTE, callback)
}

/** A holder that has 20 entries of a device that is gone, and somebody with nothing. */
async function stage(t: Test) {
  const holder = await HolderStage.open(t)
  const { device, drive } = holder
  for (let count = 0; count < 20; count++) await device.commit(filled(300, count))
  await holder.connect()
  const { key } = device.operationLog
  await until('the holder has it', () => holder.logs.contiguousLength(key) === 20)
  const treeHash = await device.operationLog.treeHash(20)
  await holder.networks[0].close()

  const directory = await mkdtemp(join(tmpdir(), 'grove-recovered-'))
  const logHome = await LogHome.open({ directory })
  const { identity, keys, statements } = drive
  const members = new Members({ identity, keys, statements })
  const pairs = new KnownPairs({ logHome, members, drive: drive.drive })
  for (const { bytes } of device.pairs.announcements) await pairs.add(bytes)
  const network = holder.fabric.network()
  t.teardown(async () => {
    await network.close()
    await logHome.close()
    await rm(directory, { recursive: true, force: true })
  })
  const onConnections = (listener: (connection: PeerConnection) => void): void => {
    network.onConnection = connection => {
      GuardedMux.install(connection.stream, { admits: () => true, onFault: () => undefined })
      listener(connection)
    }
    network.connectTo(holder.networks[1].publicKey)
  }
  const fetch = (length: number, more: Partial<FetchLogsParts> = {}) => {
    const expected = [{ key, length, treeHash }]
    return fetchOperationLogs({ logHome, pairs, expected, onConnections, clock: hasty, ...more })
  }
  return { key, pairs, fetch }
}

t.test('all entries come, and are the ones that were meant', async t => {
  const { fetch, pairs } = await stage(t)
  const seen: number[] = []
  const onProgress = ({ done, total }: { done: number; total: number }) => {
    t.ok(done <= total)
    seen.push(done)
  }
  t.same(await fetch(20, { onProgress }), { missingEntries: 0, changed: [] })
  t.equal(pairs.remotes[0]?.operationLog.length, 20)
  t.equal(seen.at(-1), 20)
})

t.test('more than is expected is taken too', async t => {
  const { fetch, pairs, key } = await stage(t)
  const expected = [{ key, length: 5, treeHash: filled(32, 0) }]
  t.same(await fetch(5, { expected }), { missingEntries: 0, changed: [] })
  t.equal(pairs.remotes[0]?.operationLog.length, 20)
})

t.test('what nobody has is missing, after a while and not for ever', async t => {
  const { fetch, pairs } = await stage(t)
  t.same(await fetch(25), { missingEntries: 5, changed: [] })
  t.equal(pairs.remotes[0]?.operationLog.length, 20)
})

t.test('another history than was expected is found', async t => {
  const { fetch, key } = await stage(t)
  const other = [{ key, length: 20, treeHash: filled(32, 1) }]
  t.same(await fetch(20, { expected: other }), { missingEntries: 0, changed: [key] })
  const unknown = [{ key, length: 20, treeHash: filled(32, 0) }]
  t.same(await fetch(20, { expected: unknown }), { missingEntries: 0, changed: [] })
})

t.test('fetching can be given up', async t => {
  const { fetch } = await stage(t)
  await t.rejects(fetch(20, { signal: AbortSignal.abort() }), { code: 'INTERRUPTED' })
  const controller = new AbortController()
  const fetching = fetch(25, { signal: controller.signal })
  controller.abort()
  await t.rejects(fetching, { code: 'INTERRUPTED' })
  t.ok(FETCH_SETTLE_MS < FETCH_IDLE_MS_MAX)
})
