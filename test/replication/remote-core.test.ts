/** The logs of another device on hypercore pass the suite; closing ends what is under way. */
import t from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { MemoryFabric } from '../support/memory-peer-network.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'
import { bytes, rejectsWith } from '../suites/log-suite.ts'
import { remoteLogSuite, type RemoteLogStage } from '../suites/remote-log-suite.ts'

interface TwoDevices extends RemoteLogStage {
  /** Closes the device on which the logs are another's. */
  closeHere(): Promise<void>
}

async function twoDevices(): Promise<TwoDevices> {
  const drive = await ReplicatedDrive.make()
  const there = await drive.device('there')
  const here = await drive.device('here', { takesContent: false })
  const fabric = new MemoryFabric({ clock: new SystemClock(), random: new SeededRandom(7) })
  const networkThere = fabric.network(there.options.deviceKeys.network)
  const networkHere = fabric.network(here.options.deviceKeys.network)
  there.connect(networkThere)
  here.connect(networkHere)
  await until('the pair', () => here.pairOf(there) !== undefined)
  const pair = here.pairOf(there)
  if (pair === undefined) throw new Error('no pair')
  const { operationLog, contentLog } = pair
  const core = here.logHome.replicated(contentLog.key)
  return {
    operationLog,
    contentLog,
    treeHashThere: length => there.operationLog.treeHash(length),
    appendEntries: async entries => {
      for (const entry of entries) await there.commit(entry)
      await until('entries', () => operationLog.length === there.operationLog.length)
    },
    appendBlocks: async blocks => {
      await there.contentLog.append(blocks, there.contentLog.length)
      await until('an offer', () => core?.isOffered(there.contentLog.length - 1) === true)
    },
    disconnect: async () => {
      await networkThere.close()
      await until('the end', () => core?.hasPeers === false)
    },
    stall: () => fabric.partition(networkHere, networkThere),
    closeHere: () => here.close(),
    close: async () => {
      await here.close()
      await there.close()
    }
  }
}

remoteLogSuite(t, 'hypercore', twoDevices)

t.test(
  'what is under way when the home is closed is CLOSED, and so is what comes after',
  async t => {
    const stage = await twoDevices()
    t.teardown(() => stage.close())
    await stage.appendEntries([bytes('a')])
    await stage.appendBlocks([bytes('block')])
    stage.stall()
    const fetching = stage.contentLog.fetch(0, { deadlineMs: 20_000 })
    const closed = rejectsWith(t, 'CLOSED', () => fetching, 'a fetch')
    await stage.closeHere()
    await closed
    await rejectsWith(t, 'CLOSED', () => stage.operationLog.get(0), 'a read')
    await rejectsWith(t, 'CLOSED', () => stage.contentLog.get(0), 'a read of a block')
    await rejectsWith(t, 'CLOSED', () => stage.contentLog.clear({ from: 0, to: 1 }), 'a clear')
    await rejectsWith(t, 'CLOSED', () => stage.contentLog.fetch(0, { deadlineMs: 9 }), 'another')
  }
)

t.test('the disk space of what was cleared is given back, blocks beside it stay', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b', { takesContent: false })]
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const fabric = new MemoryFabric({ clock: new SystemClock(), random: new SeededRandom(7) })
  for (const device of [a, b]) device.connect(fabric.network(device.options.deviceKeys.network))
  const random = new SeededRandom(8)
  const blocks = Array.from({ length: 192 }, () => random.bytes(262_144))
  for (let index = 0; index < blocks.length; index += 16)
    await a.contentLog.append(blocks.slice(index, index + 16), index)
  await until('the pair', () => b.pairOf(a) !== undefined)
  const content = b.pairOf(a)?.contentLog
  if (content === undefined) throw new Error('no content log')
  for (let index = 0; index < blocks.length; index++)
    await content.fetch(index, { deadlineMs: 20_000 })
  await b.contentLog.compact()
  const before = await b.logHome.bytesOnDisk()
  for (let index = 0; index < blocks.length; index++)
    if (index % 8 !== 0) await content.clear({ from: index, to: index + 1 })
  await b.contentLog.compact()
  const after = await b.logHome.bytesOnDisk()
  t.ok(after < before / 2, `${String(before)} bytes, then ${String(after)}`)
  for (const index of [0, 8, 184])
    t.same(Buffer.from(await content.get(index)), Buffer.from(blocks[index] ?? []))
})
