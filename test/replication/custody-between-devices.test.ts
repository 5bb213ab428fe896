/**
 * Two devices of a person on one connection: their conversation, their logs, and custody in both
 * directions share one multiplexer.
 */
import t from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { auditHash } from '../../src/crypto/challenge.ts'
import { DeviceKeptLogs } from '../../src/replication/device-kept-logs.ts'
import { KeeperLink } from '../../src/replication/keeper-link.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import { Keeper } from '../../src/replication/keeper.ts'
import { countBits } from '../../src/sync/block-bitmap.ts'
import { blocksOf } from '../suites/holder-link-suite.ts'
import { filled, toHex } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { MemoryFabric } from '../support/memory-peer-network.ts'
import { ReplicatedDrive, type ReplicatedDevice } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'

interface Side {
  readonly device: ReplicatedDevice
  readonly keeper: Keeper
  /** Links to the other device, one for each connection. */
  readonly links: KeeperLink[]
}

async function side(device: ReplicatedDevice, random: SeededRandom): Promise<Side> {
  const { identity, drive } = device.drive
  const clock = new SystemClock()
  const { signing } = device.options.deviceKeys
  const { logHome, pairs, members } = device
  const logs = new DeviceKeptLogs({ logHome, pairs, keepsAll: () => true, clock })
  const keeper = await Keeper.open({
    ...{ records: new KeeperRecords(new MemoryKeyValueStore()), keyPair: signing, clock, random },
    ...{ machine: filled(16, 1), name: device.options.name },
    openLogs: () => Promise.resolve(logs),
    onOpen: () => undefined,
    onLocator: () => undefined,
    report: message => device.reports.push(message)
  })
  await keeper.adopt({ identity, drive, members })
  const links: KeeperLink[] = []
  device.onDevice = ({ member, connection }) => {
    const session = keeper.meet({ connection, identity, member })
    if (session === undefined) throw new Error('no session')
    const { rpc } = session
    const parts = { rpc, keeper: member.signing, identity, drive, keyPair: signing, clock, random }
    links.push(new KeeperLink(parts))
  }
  return { device, keeper, links }
}

t.test('each keeps for the other while their logs go on', async t => {
  const drive = await ReplicatedDrive.make()
  const random = new SeededRandom(3)
  const fabric = new MemoryFabric({ clock: new SystemClock(), random })
  const sides: Side[] = []
  for (const name of ['a', 'b']) {
    const device = await drive.device(name, { takesContent: false })
    sides.push(await side(device, random))
  }
  const [a, b] = sides
  if (a === undefined || b === undefined) throw new Error('no sides')
  t.teardown(async () => {
    for (const { keeper, device } of sides) {
      await keeper.close()
      await device.close()
    }
  })
  a.device.members.add(drive.statements.at(-1) ?? filled(0, 0))
  const blocks = Array.from({ length: 40 }, () => random.bytes(30_000))
  await a.device.commit(filled(300, 1), blocks)
  await b.device.commit(filled(300, 2), [filled(5000, 1)])
  for (const { device } of sides) device.connect(fabric.network(device.options.deviceKeys.network))
  await until('links', () => a.links.length > 0 && b.links.length > 0)
  const [toB, toA] = [a.links[0], b.links[0]]
  if (toB === undefined || toA === undefined) throw new Error('no links')
  await until('the logs', () => b.device.pairOf(a.device) !== undefined)
  await until('the other logs', () => a.device.pairOf(b.device) !== undefined)
  const [logOfA, logOfB] = [a.device.contentLog.key, b.device.contentLog.key]
  const [held, back] = await Promise.all([
    toB.hold(blocksOf(logOfA, 0, 40)),
    toA.hold(blocksOf(logOfB, 0, 1)),
    a.device.commit(filled(300, 3))
  ])
  t.equal(countBits(held.bitmap), 40)
  t.equal(toHex(held.signer), b.device.id)
  t.equal(toHex(back.signer), a.device.id)
  const answer = await toB.challenge({ log: logOfA, indexes: [3, 39], mode: 'hash' })
  const audited = [3, 39].map(index => ({ index, bytes: blocks[index] ?? filled(0, 0) }))
  if (answer.kind !== 'hash') throw new Error(answer.kind)
  const subject = { nonce: answer.nonce, keeper: held.signer, log: Buffer.from(logOfA, 'hex') }
  t.equal(toHex(answer.hash), toHex(auditHash({ ...subject, blocks: audited })))
  await toB.durable({ logs: new Map([[a.device.operationLog.key, 2]]), blocks: [] })
  t.equal(b.device.pairOf(a.device)?.operationLog.length, 2)
  t.same([a.device.reports, b.device.reports], [[], []])
})
