/** A device's own logs and its copies of others' are kept; what it dropped it does not keep. */
import t from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { DeviceKeptLogs } from '../../src/replication/device-kept-logs.ts'
import { blockSetsOf, indexesOf, type BlockSet } from '../../src/sync/block-bitmap.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { MemoryFabric } from '../support/memory-peer-network.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'
import { rejectsWith } from '../suites/log-suite.ts'

const IDLE = { idleMs: 5000 }

const blocks = (log: LogKey, indexes: readonly number[]): BlockSet => {
  const [set] = blockSetsOf(log, indexes)
  if (set === undefined) throw new Error('no blocks')
  return set
}

t.test('a device is a keeper of what its drive has here', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b', { takesContent: false })]
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const clock = new SystemClock()
  const fabric = new MemoryFabric({ clock, random: new SeededRandom(7) })
  let keepsAll = false
  const parts = { logHome: b.logHome, pairs: b.pairs, clock, keepsAll: () => keepsAll }
  const logs = new DeviceKeptLogs(parts)
  for (const device of [a, b]) device.connect(fabric.network(device.options.deviceKeys.network))
  await logs.learn(a.pairs.announcements.map(({ bytes }) => bytes))
  await a.commit(Buffer.from('entry'), [Buffer.from('zero'), Buffer.from('one')])
  await b.commit(Buffer.from('own'), [Buffer.from('mine'), Buffer.from('old')])
  await until('the entry', () => b.pairOf(a)?.operationLog.length === 1)
  await logs.arrived(a.operationLog.key, 1, IDLE)
  t.same(logs.operationLogs(), [b.operationLog.key, a.operationLog.key])
  t.ok([a.contentLog.key, b.contentLog.key].every(log => logs.isKnown(log)))

  const missing = blocks(a.contentLog.key, [1])
  await rejectsWith(t, 'UNREACHABLE', () => logs.bring(missing, IDLE), 'content on demand')
  keepsAll = true
  await logs.bring(missing, IDLE)
  t.same([...indexesOf({ window: 0, bitmap: logs.stored(a.contentLog.key, 0) })], [1])
  t.equal(Buffer.from(await logs.read(a.contentLog.key, 1)).toString(), 'one')
  t.same(await logs.treeHash(a.contentLog.key, 2), await a.contentLog.treeHash(2))
  t.same([logs.length(a.contentLog.key), logs.contiguousLength(a.contentLog.key)], [2, 0])

  await logs.bring(blocks(b.contentLog.key, [0, 1]), IDLE)
  await b.contentLog.clear({ from: 1, to: 2 })
  const gone = blocks(b.contentLog.key, [1])
  await rejectsWith(t, 'UNREACHABLE', () => logs.bring(gone, IDLE), 'what was collected')
  await t.rejects(logs.forget(), RangeError)
  await logs.sync()
})
