/** A holder's disk: one of each person, room given back, and what happens when it is full. */
import t from 'tap'
import {
  HOLDER_BUFFER_BYTES_MAX,
  HOLDER_BUFFER_BYTES_MIN,
  holderBufferBytes,
  RECLAIM_BLOCKS,
  RECLAIM_LATER_MS,
  RECLAIM_SOON_MS
} from '../../src/replication/holder-store.ts'
import { SPACE_RETRY_MS } from '../../src/replication/space-guard.ts'
import { blockSetsOf } from '../../src/sync/block-bitmap.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { HolderStage } from '../support/holder-stage.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { rejectsWith } from '../suites/log-suite.ts'

const BLOCK_BYTES = 64 * 1024
const MIB = 1024 * 1024

t.test('a holder with little space uses little memory', async t => {
  t.equal(holderBufferBytes(10e9), HOLDER_BUFFER_BYTES_MIN)
  t.equal(holderBufferBytes(50e9), Math.ceil(50e9 / 4096))
  t.equal(holderBufferBytes(100e9), HOLDER_BUFFER_BYTES_MAX)
})

t.test('the logs of a person are opened once', async t => {
  const stage = await HolderStage.open(t)
  const both = await Promise.all([1, 2].map(() => stage.store.person(stage.person())))
  t.equal(both[0], both[1])
  t.equal(both[0], stage.logs)
  await stage.store.close()
  await rejectsWith(t, 'CLOSED', () => stage.store.person(stage.person()), 'after the end')
})

t.test('the disk of what is forgotten is given back, much of it soon', async t => {
  const clock = new VirtualClock()
  const stage = await HolderStage.open(t, clock)
  const { device, logs, store } = stage
  const random = new SeededRandom(3)
  const count = RECLAIM_BLOCKS * 4
  const all = Array.from({ length: count }, (_, index) => index)
  for (let from = 0; from < count; from += 64)
    await device.contentLog.append(
      all.slice(from, from + 64).map(() => random.bytes(BLOCK_BYTES)),
      from
    )
  await stage.connect()
  stage.grant(all)
  await stage.bring(all)
  const full = await store.bytesOnDisk()
  t.ok(full > count * BLOCK_BYTES)
  const forget = async (indexes: readonly number[]): Promise<void> => {
    for (const blocks of blockSetsOf(device.contentLog.key, indexes)) await logs.forget(blocks)
  }
  const reclaimed = async (bytes: number): Promise<boolean> => (await store.bytesOnDisk()) < bytes
  await forget(all.slice(0, 5))
  await forget(all.slice(5, RECLAIM_BLOCKS * 3))
  clock.advance(RECLAIM_SOON_MS)
  let isLess = false
  await until('the room', () => {
    void reclaimed(full - 16 * MIB).then(is => (isLess ||= is))
    return isLess
  })
  await forget([count - 1])
  clock.advance(RECLAIM_SOON_MS)
  clock.advance(RECLAIM_LATER_MS)
  t.equal((await logs.read(device.contentLog.key, count - 2)).length, BLOCK_BYTES)
  t.same(stage.reports, [])
})

t.test('a full disk refuses what comes, and takes it when there is room again', async t => {
  const clock = new VirtualClock()
  const stage = await HolderStage.open(t, clock)
  const { device, store } = stage
  await device.commit(Buffer.from('entry'), [Buffer.alloc(5000), Buffer.alloc(6000)])
  const { guard } = store
  const admit = guard.admit.bind(guard)
  guard.admit = () => Promise.reject(new SyncError('NO_SPACE', 'full'))
  await stage.connect()
  stage.grant([0, 1])
  await rejectsWith(t, 'NO_SPACE', () => stage.bring([0, 1]), 'a block')
  t.ok(store.isStarved)
  clock.advance(SPACE_RETRY_MS)
  await until('the next look', () => store.isStarved)
  guard.admit = admit
  const [before] = stage.networks[1].connections
  clock.advance(SPACE_RETRY_MS)
  await until('another connection', () => {
    const [connection] = stage.networks[1].connections
    return connection !== undefined && connection !== before
  })
  await stage.bring([0, 1])
  await stage.logs.arrived(device.operationLog.key, 1, { idleMs: 5000 })
  t.notOk(store.isStarved)
})
