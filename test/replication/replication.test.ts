/** Two and three devices exchange their logs over a network in memory. */
import t, { type Test } from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { ContentFetcher } from '../../src/replication/content-fetcher.ts'
import { HyperswarmNetwork } from '../../src/replication/hyperswarm-network.ts'
import type { PeerConnection } from '../../src/replication/peer-network.ts'
import {
  ANNOUNCE_INTERVAL_MS,
  DEVICES_SOUGHT_MAX,
  HEADS_INTERVAL_MS,
  SESSION_ANNOUNCEMENTS_MAX,
  UNKNOWN_HEADS_MAX
} from '../../src/replication/replication.ts'
import { MESSAGE_ITEMS_MAX, type SessionMessage } from '../../src/replication/session-message.ts'
import { SPACE_RETRY_MS } from '../../src/replication/space-guard.ts'
import { TURN_MS_MAX } from '../../src/replication/upload-turns.ts'
import { logKey } from '../../src/sync/log.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { cloneStore } from '../support/cut-wal.ts'
import { MemoryFabric, type MemoryPeerNetwork } from '../support/memory-peer-network.ts'
import { LoopbackFabric } from '../support/loopback-fabric.ts'
import { RawPeer } from '../support/raw-peer.ts'
import { ReplicatedDrive, type ReplicatedDevice } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const clock = new SystemClock()

function fabric(delayMs = 0): MemoryFabric {
  return new MemoryFabric({ clock, random: new SeededRandom(7), delayMs })
}

function networkOf(device: ReplicatedDevice, on: MemoryFabric): MemoryPeerNetwork {
  return on.network(device.options.deviceKeys.network)
}

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString()

t.test('no content is taken unasked of a pair that was known before the start', async t => {
  const drive = await ReplicatedDrive.make()
  const a = await drive.device('a')
  const announcements = a.pairs.announcements.map(({ bytes }) => bytes)
  const b = await drive.device('b', { announcements, takesContent: false })
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const on = fabric()
  a.connect(networkOf(a, on))
  b.connect(networkOf(b, on))
  await until('a conversation', () => b.met.length === 1 && a.met.length === 1)
  for (let index = 0; index < 20; index++)
    await a.commit(Buffer.from(`entry ${String(index)}`), [Buffer.alloc(500, index)])
  await until('the entries', () => b.pairOf(a)?.operationLog.length === 20)
  const content = b.pairOf(a)?.contentLog
  t.same(
    Array.from({ length: 20 }, (_, index) => content?.has(index)),
    Array.from({ length: 20 }, () => false)
  )
})

t.test('two devices: what was there before is caught up, what comes is pushed', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b')]
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  for (let index = 0; index < 50; index++) await a.commit(Buffer.from(`a ${String(index)}`))
  const on = fabric()
  a.connect(networkOf(a, on))
  b.connect(networkOf(b, on))
  await until('a pair', () => b.pairOf(a) !== undefined && a.pairOf(b) !== undefined)
  await until('50 entries', () => b.pairOf(a)?.operationLog.length === 50)
  t.equal(text(await b.pairOf(a)?.operationLog.get(49)), 'a 49')
  t.same(b.events, ['pair of a'])

  await a.commit(Buffer.from('live'), [Buffer.alloc(5000, 1), Buffer.alloc(6000, 2)])
  await until('the entry', () => b.pairOf(a)?.operationLog.length === 51)
  const content = b.pairOf(a)?.contentLog
  await until('the content', () => content?.has(0) === true && content.has(1))
  t.same(await content?.get(1), Buffer.alloc(6000, 2))
  await b.commit(Buffer.from('back'))
  await until('the way back', () => a.pairOf(b)?.operationLog.length === 1)
  await until('heads', () => a.replication.peers()[0]?.heads.get(a.operationLog.key) === 51)
  t.match(a.replication.peers(), [{ name: 'b', connected: true, id: b.id }])
})

/** Two devices that were long apart: `b` has less to send, and time stands still for it. */
async function longApart(
  t: Test,
  isKnown: boolean
): Promise<{ a: ReplicatedDevice; b: ReplicatedDevice; waits: VirtualClock; heardByB: number }> {
  const drive = await ReplicatedDrive.make()
  const waits = new VirtualClock()
  const a = await drive.device('a')
  const announcements = isKnown ? a.pairs.announcements.map(({ bytes }) => bytes) : []
  const b = await drive.device('b', { clock: waits, announcements })
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const entries = (count: number): Buffer[] =>
    Array.from({ length: count }, (_, index) => Buffer.from(`entry ${String(index)}`))
  await a.operationLog.append(entries(3000), 0)
  await b.operationLog.append(entries(1000), 0)
  const on = fabric()
  a.connect(networkOf(a, on))
  b.connect(networkOf(b, on))
  await until('what b did', () => a.pairOf(b)?.operationLog.length === 1000)
  // Time for what it may not ask for.
  await new Promise(resolve => setTimeout(resolve, 200))
  const atB = b.logHome.replicated(a.operationLog.key)
  const heard = Array.from({ length: 3000 }, (_, index) => atB?.has(index) === true)
  return { a, b, waits, heardByB: heard.filter(Boolean).length }
}

for (const isKnown of [true, false])
  t.test(`who was long away and has less sends first, ${isKnown ? 'known' : 'new'}`, async t => {
    const { a, b, waits, heardByB } = await longApart(t, isKnown)
    t.ok(heardByB < 600, `${String(heardByB)} of 3000 were asked for before it was known`)
    await b.commit(Buffer.from('live'))
    await until('it', () => a.pairOf(b)?.operationLog.length === 1001)
    t.ok((b.pairOf(a)?.operationLog.length ?? 0) <= heardByB)
    waits.advance(TURN_MS_MAX)
    await until('all', () => b.pairOf(a)?.operationLog.length === 3000)
    await a.commit(Buffer.from('live'))
    await until('the next one', () => b.pairOf(a)?.operationLog.length === 3001)
  })

t.test('who sent first goes on as soon as the other one has merged it', async t => {
  const { a, b } = await longApart(t, true)
  await a.commit(Buffer.from('what tells how far a is'), [Buffer.alloc(5000, 1)])
  await until('all', () => b.pairOf(a)?.operationLog.length === 3001)
  t.same(await b.pairOf(a)?.contentLog.fetch(0, { deadlineMs: 5000 }), Buffer.alloc(5000, 1))
})

t.test('what is new is pushed only to who can use it', async t => {
  const { a, b, waits } = await longApart(t, true)
  const log = a.operationLog.key
  const atB = b.logHome.replicated(log)
  await a.commit(Buffer.from('nothing for b yet'))
  await until('the length', () => atB?.length === 3001)
  t.equal(atB?.has(3000), false)
  waits.advance(TURN_MS_MAX)
  await until('all', () => atB?.contiguousLength === 3001)
  await until('that a knows', () => a.logHome.replicated(log)?.isOffered(3000) === true)
  atB?.unfollow()
  await a.commit(Buffer.from('unasked'))
  await until('it', () => b.pairOf(a)?.operationLog.length === 3002)
})

t.test('who waited for a device whose connection broke waits no more', async t => {
  const { b, a } = await longApart(t, true)
  for (const connection of [...(b.network[0]?.connections ?? [])]) await connection.close()
  await until('all', () => b.pairOf(a)?.operationLog.length === 3000)
  t.equal(b.replication.peers()[0]?.connected, true)
})

t.test('three devices in a row: the middle one passes logs on', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b, c] = [await drive.device('a'), await drive.device('b'), await drive.device('c')]
  t.teardown(async () => {
    for (const device of [a, b, c]) await device.close()
  })
  await a.commit(Buffer.from('before'), [Buffer.alloc(9000, 3)])
  const on = fabric()
  const [networkA, networkB, networkC] = [networkOf(a, on), networkOf(b, on), networkOf(c, on)]
  on.partition(networkA, networkC)
  a.connect(networkA)
  b.connect(networkB)
  c.connect(networkC)
  await until('the entry of a at c', () => c.pairOf(a)?.operationLog.length === 1)
  await a.commit(Buffer.from('after'))
  await until('the next one', () => c.pairOf(a)?.operationLog.length === 2)
  t.equal(text(await c.pairOf(a)?.operationLog.get(1)), 'after')
  const block = b.pairOf(a)?.contentLog.fetch(0, { deadlineMs: 5000 })
  t.same(await block, Buffer.alloc(9000, 3))
  t.same(await c.pairOf(a)?.contentLog.fetch(0, { deadlineMs: 5000 }), Buffer.alloc(9000, 3))
})

t.test('how far a peer is in a log that it announces in the same breath is learned', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b, c] = [await drive.device('a'), await drive.device('b'), await drive.device('c')]
  t.teardown(async () => {
    for (const device of [a, b, c]) await device.close()
  })
  for (let index = 0; index < 3; index++) await a.commit(Buffer.from(`a ${String(index)}`))
  const on = fabric()
  const [networkA, networkB, networkC] = [networkOf(a, on), networkOf(b, on), networkOf(c, on)]
  on.partition(networkA, networkC)
  a.connect(networkA)
  b.connect(networkB)
  await until('three entries', () => b.pairOf(a)?.operationLog.length === 3)
  // Nothing changes at b any more: what it says now it says once.
  c.connect(networkC)
  const toldByB = () => c.replication.peers().find(({ id }) => id === b.id)?.heads
  await until('what b says of the log of a', () => toldByB()?.get(a.operationLog.key) === 3)
  t.pass()
})

t.test('a pair that no session brought is passed on too', async t => {
  const drive = await ReplicatedDrive.make()
  // Whoever is made later knows those who were there before.
  const [c, a, b] = [await drive.device('c'), await drive.device('a'), await drive.device('b')]
  t.teardown(async () => {
    for (const device of [a, b, c]) await device.close()
  })
  const on = fabric()
  a.connect(networkOf(a, on))
  b.connect(networkOf(b, on))
  await until('a pair', () => a.pairOf(b) !== undefined && b.pairOf(a) !== undefined)
  // As a holder does that answers after a recovery.
  const [announcement] = c.pairs.announcements
  t.equal(announcement && (await b.pairs.add(announcement.bytes)), 'added')
  await until('the pair of c at a', () => a.pairOf(c) !== undefined)
  t.pass()
})

t.test('what a peer said before it was away does not count as said since', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b')]
  t.teardown(async () => {
    for (const device of [a, b]) await device.close()
  })
  const on = fabric()
  const [networkA, networkB] = [networkOf(a, on), networkOf(b, on)]
  const seen: (readonly [connected: boolean, hasToldHeads: boolean])[] = []
  const look = (): void => {
    const { connected = false, hasToldHeads = false } = a.replication.peers()[0] ?? {}
    const [last] = seen.slice(-1)
    if (last?.[0] !== connected || last[1] !== hasToldHeads) seen.push([connected, hasToldHeads])
  }
  a.connect(networkA)
  b.connect(networkB)
  const told = () => (look(), a.replication.peers()[0]?.hasToldHeads === true)
  await until('heads', told)
  on.partition(networkA, networkB)
  await until('the end', () => (look(), a.replication.peers()[0]?.connected === false))
  on.heal(networkA, networkB)
  await until('heads again', told)
  t.strictSame(seen.slice(-2)[0]?.[1], false, 'not before they came')
  t.ok(seen.some(([connected, hasTold]) => !connected && !hasTold))
})

t.test('heads of logs that nobody knows do not take memory without limit', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b')]
  t.teardown(async () => {
    for (const device of [a, b]) await device.close()
  })
  await a.commit(Buffer.from('entry'))
  const unknown = Array.from({ length: UNKNOWN_HEADS_MAX + 100 }, (_, at) =>
    logKey(at.toString(16).padStart(64, '0'))
  )
  const heads = b.heads.bind(b)
  b.heads = () => new Map([...unknown.map(key => [key, 7] as const), ...heads()])
  const on = fabric()
  a.connect(networkOf(a, on))
  b.connect(networkOf(b, on))
  const toldByB = () => a.replication.peers()[0]?.heads
  await until('the entry', () => b.pairOf(a)?.operationLog.length === 1)
  await b.commit(Buffer.from('another'))
  await until('what b says', () => toldByB()?.get(a.operationLog.key) === 1)
  t.ok((toldByB()?.size ?? 0) <= UNKNOWN_HEADS_MAX + 2, String(toldByB()?.size))
})

/** A device whose home is a copy that was made when it had two entries, and one that has five. */
async function rolledBack(
  t: Test,
  drive: ReplicatedDrive
): Promise<{ five: ReplicatedDevice; open: () => Promise<ReplicatedDevice> }> {
  const deviceKeys = drive.newKeys()
  drive.state('attest', deviceKeys, 'a')
  const five = await drive.device('a', { deviceKeys })
  t.teardown(() => five.close())
  const directory = `${five.directory}-copy`
  await five.commit(Buffer.from('one'))
  await five.commit(Buffer.from('two'))
  await cloneStore(five.directory, directory)
  for (const entry of ['three', 'four', 'five']) await five.commit(Buffer.from(entry))
  const open = async (): Promise<ReplicatedDevice> => {
    const device = await drive.device('a', { deviceKeys, directory })
    t.teardown(() => device.close())
    return device
  }
  return { five, open }
}

t.test('a log that lost its tail is outrun: seen, not appended to, and read again', async t => {
  const drive = await ReplicatedDrive.make()
  const { five, open } = await rolledBack(t, drive)
  const b = await drive.device('b')
  t.teardown(() => b.close())
  const on = fabric()
  const before = networkOf(five, on)
  five.connect(before)
  b.connect(networkOf(b, on))
  await until('five entries', () => b.pairOf(five)?.operationLog.length === 5)
  await five.replication.close()
  await before.close()

  const a = await open()
  t.equal(a.operationLog.length, 2)
  a.connect(networkOf(a, on))
  await until('the tail', () => a.events.includes('outrun'))
  await t.rejects(a.operationLog.append([Buffer.from('other')], 2), { code: 'DIVERGED' })
  await t.rejects(a.operationLog.append([Buffer.from('other')], 5), { code: 'DIVERGED' })
  t.equal(a.events.filter(event => event === 'outrun').length, 1, 'told once')
  await until('the tail', () => a.logHome.replicated(a.operationLog.key)?.contiguousLength === 5)
  t.equal(text(await a.operationLog.get(4)), 'five')
  t.same(b.replication.status.frozen, [])
})

t.test('a log with two histories is contained: kept, replicated no more', async t => {
  const drive = await ReplicatedDrive.make()
  const { five, open } = await rolledBack(t, drive)
  const b = await drive.device('b')
  t.teardown(() => b.close())
  const on = fabric()
  const before = networkOf(five, on)
  five.connect(before)
  b.connect(networkOf(b, on))
  await until('five entries', () => b.pairOf(five)?.operationLog.length === 5)
  await five.replication.close()
  await before.close()

  const a = await open()
  for (const entry of ['drei', 'vier']) await a.commit(Buffer.from(entry))
  a.connect(networkOf(a, on))
  const log = a.operationLog.key
  await until('the conflict', () => b.replication.status.frozen.includes(log))
  await until('the conflict here', () => a.events.includes('outrun'))
  await t.rejects(a.operationLog.append([Buffer.from('x')], 4), { code: 'DIVERGED' })
  t.equal(text(await a.operationLog.get(3)), 'vier', 'what is here is kept')
  t.equal(b.pairOf(a)?.operationLog.length, 5)
  t.equal(text(await b.pairOf(a)?.operationLog.get(4)), 'five', 'what is there is kept')
  await b.commit(Buffer.from('other logs go on'))
  await until('the other log', () => a.pairOf(b)?.operationLog.length === 1)
  t.ok(a.replication.peers()[0]?.connected)
})

/** Fetches all content of the others in the background. */
function fetcherOf(device: ReplicatedDevice): ContentFetcher {
  const fetcher = new ContentFetcher({
    policy: 'all',
    blocksOf: log => device.pairs.remotes.find(pair => pair.contentLog.key === log)?.contentLog,
    missing: () => [],
    hasPeers: () => device.replication.peers().some(({ connected }) => connected),
    gauge: device.logHome.fetchGauge,
    clock,
    yieldToEventLoop: () => new Promise(resolve => setImmediate(resolve)),
    report: message => device.reports.push(message)
  })
  device.onBlock = (log, index) => fetcher.arrived(log, index)
  device.onPeers = () => fetcher.peersChanged()
  return fetcher
}

t.test('a transfer that is broken off again and again goes on where it was', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b')]
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const blocks = Array.from({ length: 400 }, (_, index) => Buffer.alloc(16_384, index))
  await a.contentLog.append(blocks, 0)
  for (let index = 0; index < 300; index++) await a.commit(Buffer.from(`entry ${String(index)}`))
  const on = fabric(1)
  const [networkA, networkB] = [networkOf(a, on), networkOf(b, on)]
  a.connect(networkA)
  b.connect(networkB)
  const fetcher = fetcherOf(b)
  fetcher.start()
  await until('the pair', () => b.pairOf(a) !== undefined)
  const log = a.contentLog.key
  fetcher.add(blocks.map(({ length }, index) => ({ log, index, bytes: length })))
  let drops = 0
  for (let missing = 350; missing > 0; missing -= 100) {
    await until('some blocks', () => fetcher.progress.missingBlocks < missing)
    on.dropConnection(networkA, networkB)
    drops++
  }
  await until('all blocks', () => fetcher.progress.missingBlocks === 0)
  await until('all entries', () => b.pairOf(a)?.operationLog.length === 300)
  for (const index of [0, 77, 399])
    t.same(await b.pairOf(a)?.contentLog.get(index), blocks[index], `block ${String(index)}`)
  t.equal(drops, 4)
  t.ok(b.replication.status.ends.gone >= drops)
  await fetcher.close()
})

t.test('what was learned is known at the next start, without the network', async t => {
  const drive = await ReplicatedDrive.make()
  const deviceKeys = drive.newKeys()
  drive.state('attest', deviceKeys, 'b')
  const [a, b] = [await drive.device('a'), await drive.device('b', { deviceKeys })]
  t.teardown(() => a.close())
  await a.commit(Buffer.from('entry'))
  const on = fabric()
  a.connect(networkOf(a, on))
  b.connect(networkOf(b, on))
  await until('the entry', () => b.pairOf(a)?.operationLog.length === 1)
  const announcements = b.pairs.remotes.map(pair => pair.announcement.bytes)
  await b.close(true)
  await a.commit(Buffer.from('while b was away'))

  const again = await drive.device('b', { deviceKeys, directory: b.directory, announcements })
  t.teardown(() => again.close())
  t.equal(text(await again.pairOf(a)?.operationLog.get(0)), 'entry')
  again.connect(networkOf(again, on))
  await until('what came since', () => again.pairOf(a)?.operationLog.length === 2)
  t.same(again.events, [], 'nothing new')
})

t.test(
  'a device that nobody had heard of meets those who were away when it was attested',
  async t => {
    const drive = await ReplicatedDrive.make()
    const a = await drive.device('a')
    const b = await drive.device('b')
    const before = [...drive.statements]
    const c = await drive.device('c')
    const forgetful = await drive.device('d', {
      deviceKeys: b.options.deviceKeys,
      statements: before
    })
    t.teardown(async () => {
      for (const device of [a, b, c, forgetful]) await device.close()
    })
    await c.commit(Buffer.from('hello'))
    const on = fabric()
    forgetful.connect(networkOf(forgetful, on))
    c.connect(networkOf(c, on))
    await until('the entry', () => forgetful.pairOf(c)?.operationLog.length === 1)
    t.equal(forgetful.members.all().length, 3)
  }
)

t.test('a member that was suspended hears no more, and its logs stay', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b')]
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const on = fabric()
  a.connect(networkOf(a, on))
  b.connect(networkOf(b, on))
  await b.commit(Buffer.from('before'))
  await until('the entry', () => a.pairOf(b)?.operationLog.length === 1)
  a.members.add(drive.state('suspend', b.options.deviceKeys))
  await until('the end', () => a.replication.peers()[0]?.connected === false)
  t.equal(a.replication.status.ends['no-member'], 1)
  t.equal(text(await a.pairOf(b)?.operationLog.get(0)), 'before')
  t.type(a.replication.peers()[0]?.lastSeenMs, 'number')
})

t.test('a connection that somebody else takes is no conversation of the drive', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b')]
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const taken: PeerConnection[] = []
  a.takesConnection = connection => {
    taken.push(connection)
    return taken.length === 1
  }
  const on = fabric()
  a.connect(networkOf(a, on))
  b.connect(networkOf(b, on))
  await until('a connection', () => taken.length === 1)
  t.same(taken[0]?.remotePublicKey, b.options.deviceKeys.publicKeys.network)
  t.same(a.met, [])
  await taken[0]?.close()
  await until('the next one', () => a.met.length === 1 && b.met.length === 1)
  t.same([a.met, b.met], [['b'], ['a']])
})

t.test('more members than can be wanted are no fault, before and while it runs', async t => {
  const drive = await ReplicatedDrive.make()
  const a = await drive.device('a')
  t.teardown(() => a.close())
  for (let count = 0; count < DEVICES_SOUGHT_MAX; count++) drive.state('attest', drive.newKeys())
  for (const statement of drive.statements.slice(1)) a.members.add(statement)
  a.connect(networkOf(a, fabric()))
  for (let count = 0; count < 3; count++)
    t.equal(a.members.add(drive.state('attest', drive.newKeys())), 'added')
  t.equal(a.replication.peers().length, DEVICES_SOUGHT_MAX + 3)
})

t.test('nothing of a peer is stored when only the reserve of the disk is left', async t => {
  const drive = await ReplicatedDrive.make()
  const waits = new VirtualClock()
  const [a, b] = [await drive.device('a'), await drive.device('b', { clock: waits })]
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const on = fabric()
  a.connect(networkOf(a, on))
  b.connect(networkOf(b, on))
  await a.commit(Buffer.from('one'))
  await until('the first', () => b.pairOf(a)?.operationLog.length === 1)
  let isFull = true
  const { guard } = b.logHome
  const admit = guard.admit.bind(guard)
  guard.admit = bytes => (isFull ? Promise.reject(new SyncError('NO_SPACE', 'full')) : admit(bytes))
  await a.commit(Buffer.from('two'), [Buffer.alloc(5000)])
  await a.commit(Buffer.from('three'))
  await until('the refusal', () => b.replication.status.isStarved)
  await b.commit(Buffer.from('operations of our own use the reserve'))
  await until('them', () => a.pairOf(b)?.operationLog.length === 1)
  t.equal(b.pairOf(a)?.operationLog.length, 1)
  t.equal(b.pairOf(a)?.contentLog.has(0), false)
  waits.advance(SPACE_RETRY_MS)
  await until('the next refusal', () => b.replication.status.isStarved)
  isFull = false
  waits.advance(SPACE_RETRY_MS)
  await until('what was refused', () => b.pairOf(a)?.operationLog.length === 3)
  t.equal(b.replication.status.isStarved, false)
  t.same(await b.pairOf(a)?.contentLog.fetch(0, { deadlineMs: 10_000 }), Buffer.alloc(5000))
})

t.test('heads are told at most so often, and only those that changed', async t => {
  const drive = await ReplicatedDrive.make()
  const waits = new VirtualClock()
  const b = await drive.device('b')
  const a = await drive.device('a', { clock: waits })
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const on = fabric()
  const networkA = networkOf(a, on)
  a.connect(networkA)
  const peer = await RawPeer.connect(networkOf(b, on), networkA.publicKey)
  peer.say(peer.proof(drive.keys, drive.drive))
  peer.say({ kind: 'hello', isLast: true, statements: drive.statements })
  const heads = (): SessionMessage[] => peer.messages.filter(({ kind }) => kind === 'heads')
  await until('heads', () => heads().length === 1)
  for (let count = 0; count < 20; count++) await a.commit(Buffer.from('entry'))
  await until('news', () => heads().length === 2)
  waits.advance(HEADS_INTERVAL_MS)
  await until('the rest', () => heads().length === 3)
  t.same(heads()[2], { kind: 'heads', heads: new Map([[a.operationLog.key, 20]]) })
  waits.advance(10 * HEADS_INTERVAL_MS)
  a.replication.headsChanged()
  await a.replication.close()
  t.equal(heads().length, 3, 'no news, no message')
})

t.test('announcements without end are a flood; false ones are counted', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b')]
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const on = fabric()
  const networkA = networkOf(a, on)
  a.connect(networkA)
  const peer = await RawPeer.connect(networkOf(b, on), networkA.publicKey)
  peer.say(peer.proof(drive.keys, drive.drive))
  peer.say({ kind: 'hello', isLast: true, statements: drive.statements })
  await until('the logs', () => peer.messages.some(({ kind }) => kind === 'logs'))
  peer.say({ kind: 'logs', announcements: [new Uint8Array(9)] })
  await until('a count', () => a.replication.status.refusedAnnouncements === 1)
  const announcements = Array.from({ length: MESSAGE_ITEMS_MAX }, () => new Uint8Array(9))
  for (let sent = 1; sent <= SESSION_ANNOUNCEMENTS_MAX; sent += MESSAGE_ITEMS_MAX)
    peer.say({ kind: 'logs', announcements })
  await peer.connection.closed
  t.equal(a.replication.status.ends.flood, 1)
})

t.test('close() ends the sessions, leaves network and logs open, and is idempotent', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b')]
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const on = fabric()
  const networkA = networkOf(a, on)
  a.connect(networkA)
  b.connect(networkOf(b, on))
  await until('a pair', () => b.pairOf(a) !== undefined)
  await Promise.all([a.replication.close(), a.replication.close()])
  t.equal(networkA.connections.length, 0)
  t.notOk(networkA.isClosed)
  await a.commit(Buffer.from('goes on'))
  t.equal(a.operationLog.length, 1)
})

t.test('two devices over the real network of this machine', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b')]
  const loopback = await LoopbackFabric.open()
  t.teardown(async () => {
    await a.close()
    await b.close()
    await loopback.close()
  })
  const networkFor = ({ options }: ReplicatedDevice): HyperswarmNetwork =>
    new HyperswarmNetwork({
      keyPair: options.deviceKeys.network,
      bootstrap: [loopback.bootstrap],
      listenHost: '127.0.0.1',
      clock,
      random: new SeededRandom(Buffer.from(options.name).readUInt8(0)),
      report: message => t.comment(message)
    })
  await a.commit(Buffer.from('before'))
  a.connect(networkFor(a))
  b.connect(networkFor(b))
  await until('the entry', () => b.pairOf(a)?.operationLog.length === 1)
  const blocks = Array.from({ length: 64 }, (_, index) => Buffer.alloc(65_536, index))
  await a.commit(Buffer.from('after'), blocks)
  await until('the next one', () => b.pairOf(a)?.operationLog.length === 2)
  const fetcher = fetcherOf(b)
  fetcher.start()
  fetcher.add(blocks.map(({ length }, index) => ({ log: a.contentLog.key, index, bytes: length })))
  await until('4 MiB', () => fetcher.progress.missingBlocks === 0)
  t.same(await b.pairOf(a)?.contentLog.get(63), blocks[63])
  t.type(a.replication.peers()[0]?.rttMs, 'number')
  await fetcher.close()
})

t.test('logs of a device that is not known yet are taken once it is', async t => {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b')]
  const before = [...drive.statements]
  const c = await drive.device('c')
  t.teardown(async () => {
    for (const device of [a, b, c]) await device.close()
  })
  const on = fabric()
  const networkA = networkOf(a, on)
  a.connect(networkA)
  const peer = await RawPeer.connect(networkOf(b, on), networkA.publicKey)
  peer.say(peer.proof(drive.keys, drive.drive))
  peer.say({ kind: 'hello', isLast: true, statements: before })
  const announcements = c.pairs.announcements.map(({ bytes }) => bytes)
  peer.say({ kind: 'logs', announcements })
  peer.say({ kind: 'logs', announcements: [new Uint8Array(9)] })
  await until('both were heard', () => a.replication.status.refusedAnnouncements === 1)
  t.same(a.pairs.remotes, [])
  const attestation = drive.statements.at(-1)
  if (attestation !== undefined) a.members.add(attestation)
  await until('the pair', () => a.pairOf(c) !== undefined)
  t.same(a.events, ['pair of c'])
})

t.test('many new pairs are passed on together, and not to where they came from', async t => {
  const drive = await ReplicatedDrive.make()
  const waits = new VirtualClock()
  const a = await drive.device('a', { clock: waits })
  const devices = [a]
  for (const name of ['b', 'c', 'd', 'e', 'f']) devices.push(await drive.device(name))
  t.teardown(async () => {
    for (const device of devices) await device.close()
  })
  const [, b, c, ...others] = devices
  if (b === undefined || c === undefined) throw new Error('no devices')
  for (const statement of drive.statements) a.members.add(statement)
  const on = fabric()
  const networkA = networkOf(a, on)
  a.connect(networkA)
  const peers = [
    await RawPeer.connect(networkOf(b, on), networkA.publicKey),
    await RawPeer.connect(networkOf(c, on), networkA.publicKey)
  ]
  const heard = (peer: RawPeer | undefined) =>
    (peer?.messages ?? []).flatMap(message =>
      message.kind === 'logs' ? [message.announcements.length] : []
    )
  for (const peer of peers) {
    peer.say(peer.proof(drive.keys, drive.drive))
    peer.say({ kind: 'hello', isLast: true, statements: drive.statements })
    await until('the logs', () => heard(peer).length === 1)
  }
  const announcements = others.flatMap(({ pairs }) => pairs.announcements.map(({ bytes }) => bytes))
  peers[0]?.say({ kind: 'logs', announcements })
  await until('the pairs', () => others.every(other => a.pairOf(other) !== undefined))
  await until('the first', () => heard(peers[1]).length === 2)
  waits.advance(ANNOUNCE_INTERVAL_MS)
  await until('the rest', () => heard(peers[1]).length === 3)
  t.same(heard(peers[1]), [1, 1, announcements.length - 1])
  t.same(heard(peers[0]), [1], 'nothing back')
})
