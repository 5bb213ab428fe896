/** A device finds its holders, is let in, and has them keep blocks that it serves to nobody else. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { signHolderStatement } from '../../src/crypto/holder-statement.ts'
import { HolderConnections } from '../../src/replication/holder-connections.ts'
import type { HolderLink } from '../../src/replication/holder-link.ts'
import { HolderLogs } from '../../src/replication/holder-logs.ts'
import type { GreetedKeeper } from '../../src/replication/keeper-link.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import { Keeper } from '../../src/replication/keeper.ts'
import { KnownHolders } from '../../src/replication/known-holders.ts'
import { LogHome } from '../../src/replication/log-home.ts'
import { blockSetsOf, indexesOf } from '../../src/sync/block-bitmap.ts'
import { memberId } from '../../src/sync/members.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { MemoryFabric } from '../support/memory-peer-network.ts'
import { ReplicatedDrive, type ReplicatedDevice } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'

const clock = new SystemClock()
const random = new SeededRandom(5)

/** A holder with hypercores on a disk. */
async function openHolder(t: Test, fabric: MemoryFabric) {
  const keys = DeviceKeys.generate(random)
  const directory = await mkdtemp(join(tmpdir(), 'grove-holder-'))
  const logHome = await LogHome.open({ directory })
  const records = new MemoryKeyValueStore()
  const announced = new MemoryKeyValueStore()
  let logs: HolderLogs | undefined
  const keeper = await Keeper.open({
    records: new KeeperRecords(records),
    keyPair: keys.signing,
    machine: new Uint8Array(16).fill(3),
    name: 'anna',
    openLogs: async person => {
      const parts = { logHome, records: announced, clock, onForgotten: () => undefined }
      logs = await HolderLogs.open({ ...parts, ...person })
      return logs
    },
    clock,
    random,
    onOpen: (_, connection) => logs?.attach(connection),
    onLocator: () => undefined,
    report: () => undefined
  })
  const network = fabric.network(keys.network)
  network.onConnection = connection => keeper.accept(connection)
  network.join(new Uint8Array(32))
  t.teardown(async () => {
    await keeper.close()
    await network.close()
    await logHome.close()
    await rm(directory, { recursive: true, force: true })
  })
  const code = async () => {
    const secret = await keeper.invite({ quotaBytes: 1e9, expiresMs: 0 })
    return { network: keys.network.publicKey, secret, expiresMs: 0 }
  }
  return { keys, keeper, code, logs: () => logs }
}

/** The side of a device. */
function connect(device: ReplicatedDevice, fabric: MemoryFabric) {
  const { drive, members, logHome, pairs, options } = device
  const network = fabric.network(options.deviceKeys.network)
  const holders = new KnownHolders({ drive: drive.drive, members })
  const links = new Map<string, HolderLink>()
  const leaving = { isOn: false }
  const connections = new HolderConnections({
    network,
    logHome,
    pairs,
    holders,
    members,
    identity: drive.identity,
    drive: drive.drive,
    keyPair: options.deviceKeys.signing,
    clock,
    random,
    leaving: () => (leaving.isOn ? holders.removed() : []),
    onLink: link => links.set(link.id, link),
    onLinkClosed: link => links.delete(link.id),
    report: () => undefined
  })
  device.takesConnection = connection => connections.takes(connection)
  device.connect(network)
  const record = (
    greeted: GreetedKeeper,
    code: { readonly network: Uint8Array },
    action: 'add' | 'remove' = 'add'
  ): boolean =>
    holders.add(
      signHolderStatement(
        {
          action,
          version: holders.nextVersion(memberId(greeted.signer)),
          drive: drive.drive,
          holder: greeted.signer,
          network: code.network,
          machineTag: greeted.machine,
          timeMs: 0,
          name: greeted.name,
          site: '',
          machine: '',
          person: ''
        },
        options.deviceKeys.signing
      )
    )
  holders.onChange = () => connections.holdersChanged()
  return { network, holders, links, leaving, connections, record }
}

/** Nothing but unreferenced timers may be left to wait for. */
async function awake<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, 1000)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}

async function refusedWith(t: Test, code: string, work: Promise<unknown>): Promise<void> {
  const error: unknown = await awake(work).catch((reason: unknown) => reason)
  t.match(error, { code })
}

async function parties(t: Test) {
  const fabric = new MemoryFabric({ clock, random: new SeededRandom(7) })
  const drive = await ReplicatedDrive.make()
  const device = await drive.device('a')
  t.teardown(() => device.close())
  const holder = await openHolder(t, fabric)
  const side = connect(device, fabric)
  t.teardown(() => side.connections.close())
  return { fabric, drive, device, holder, ...side }
}

t.test('a holder is admitted by its code, keeps blocks, and is found again', async t => {
  const { device, holder, connections, links, record } = await parties(t)
  await device.commit(Buffer.from('entry'), [Buffer.alloc(5000, 1), Buffer.alloc(5000, 2)])
  const code = await holder.code()
  const greeted = await awake(connections.admit(code))
  t.equal(greeted.name, 'anna')
  t.ok(record(greeted, code))
  const id = memberId(greeted.signer)
  await until('the link', () => links.has(id))
  const [blocks] = blockSetsOf(device.contentLog.key, [1])
  if (blocks === undefined) throw new Error('no blocks')
  const receipt = await links.get(id)?.hold(blocks)
  t.same([...indexesOf({ window: 0, bitmap: receipt?.bitmap ?? new Uint8Array(0) })], [1])
  t.same(await holder.logs()?.read(device.contentLog.key, 1), Buffer.alloc(5000, 2))
  const arrived = (): number => holder.logs()?.contiguousLength(device.operationLog.key) ?? 0
  await until('the operations', () => arrived() === 1)
  await device.commit(Buffer.from('live'))
  await until('the next one', () => arrived() === 2)
  const [first] = connections.links()
  t.equal(first?.id, id)
  await device.network[0]?.connections[0]?.close()
  await until('the end', () => !connections.links().includes(first as never))
  await until('the link again', () => links.has(id))
  t.equal(connections.problemOf(id), undefined)
})

t.test('logs that are learned of later reach a holder that is connected', async t => {
  const { drive, device, holder, connections, record, fabric } = await parties(t)
  const code = await holder.code()
  record(await awake(connections.admit(code)), code)
  const b = await drive.device('b')
  t.teardown(() => b.close())
  await b.commit(Buffer.from('of b'))
  const onChange = device.members.onChange
  device.members.onChange = () => {
    onChange()
    connections.membersChanged()
  }
  device.members.add(drive.statements.at(-1) ?? new Uint8Array(0))
  const onPair = device.pairs.onAdded
  device.pairs.onAdded = pair => {
    onPair(pair)
    connections.pairAdded(pair.announcement)
  }
  b.connect(fabric.network(b.options.deviceKeys.network))
  const arrived = (): number => holder.logs()?.contiguousLength(b.operationLog.key) ?? 0
  await until('the log of b', () => arrived() === 1)
  t.equal(arrived(), 1)
})

t.test(
  'one that was removed is met to forget, without logs, until it is taken in again',
  async t => {
    const { device, holder, connections, links, holders, record, leaving, network } =
      await parties(t)
    const code = await holder.code()
    const greeted = await awake(connections.admit(code))
    record(greeted, code)
    const id = memberId(greeted.signer)
    await until('the link', () => links.has(id))
    await device.commit(Buffer.from('before'))
    const arrived = (): number => holder.logs()?.contiguousLength(device.operationLog.key) ?? 0
    await until('the operations', () => arrived() === 1)
    leaving.isOn = true
    record(greeted, code, 'remove')
    t.ok(links.has(id), 'the connection stays')
    t.same(connections.links(), [], 'but for nothing else')
    await network.connections[0]?.close()
    await until('the end', () => !links.has(id))
    await until('the link again', () => links.has(id))
    await device.commit(Buffer.from('not for it'))
    t.equal((await links.get(id)?.usage())?.quotaBytes, 1e9, 'it answers')
    t.equal(arrived(), 1)
    record(greeted, code)
    await until('the logs again', () => arrived() === 2)
    t.equal(connections.links()[0]?.id, id)
    record(greeted, code, 'remove')
    leaving.isOn = false
    connections.holdersChanged()
    await until('the end for good', () => !links.has(id))
    t.same(holders.removed()[0]?.id, id)
  }
)

t.test('a wrong code is refused, the right one after it is not', async t => {
  const { holder, connections, holders, record } = await parties(t)
  const code = await holder.code()
  const guess = { ...code, secret: new Uint8Array(16) }
  await refusedWith(t, 'REFUSED', connections.admit(guess))
  t.same(holders.all(), [])
  const greeted = await awake(connections.admit(code))
  t.ok(record(greeted, code), 'the right one after the wrong one')
  t.same(holder.keys.publicKeys.network, holders.all()[0]?.statement.network)
  await connections.close()
  await refusedWith(t, 'CLOSED', connections.admit(code))
})

t.test('a holder that is removed is let go', async t => {
  const { holder, connections, holders, links, record, device, drive } = await parties(t)
  const code = await holder.code()
  const greeted = await awake(connections.admit(code))
  record(greeted, code)
  const id = memberId(greeted.signer)
  await until('the link', () => links.has(id))
  const statement = holders.byId(id)?.statement
  if (statement === undefined) throw new Error('not added')
  const { signing } = device.options.deviceKeys
  holders.add(signHolderStatement({ ...statement, action: 'remove', version: 2 }, signing))
  await until('the end', () => !links.has(id))
  t.same(connections.links(), [])
  t.same(drive.drive, statement.drive)
})
