/** What hypercore leaves open between peers: lost pushes, full disks, forks, pushes that pile up. */
import Corestore from 'corestore'
import HypercoreStorage from 'hypercore-storage'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { logSigner } from '../../src/replication/core-slot.ts'
import { GuardedMux } from '../../src/replication/guarded-mux.ts'
import { LogHome } from '../../src/replication/log-home.ts'
import {
  LOG_LENGTH_MAX,
  PUSH_GAP_MAX,
  ReplicatedCore
} from '../../src/replication/replicated-core.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { filled } from '../support/bytes.ts'
import { MemoryFabric, type MemoryPeerNetwork } from '../support/memory-peer-network.ts'
import { ReplicatedDrive, type ReplicatedDevice } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'

interface Stage {
  readonly a: ReplicatedDevice
  readonly b: ReplicatedDevice
  readonly fabric: MemoryFabric
  readonly networks: readonly [MemoryPeerNetwork, MemoryPeerNetwork]
  /** The core of a's operation log at b. */
  readonly there: ReplicatedCore
  /** The same at a. */
  readonly here: ReplicatedCore
}

async function stage(t: Test, takesContent = true): Promise<Stage> {
  const drive = await ReplicatedDrive.make()
  const [a, b] = [await drive.device('a'), await drive.device('b', { takesContent })]
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  const fabric = new MemoryFabric({ clock: new SystemClock(), random: new SeededRandom(7) })
  const networkOf = ({ options }: ReplicatedDevice): MemoryPeerNetwork =>
    fabric.network(options.deviceKeys.network)
  const networks = [networkOf(a), networkOf(b)] as const
  a.connect(networks[0])
  b.connect(networks[1])
  await a.commit(Buffer.from('first'))
  await until('the first', () => b.pairOf(a)?.operationLog.length === 1)
  const [here, there] = [a, b].map(device => device.logHome.replicated(a.operationLog.key))
  if (here === undefined || there === undefined) throw new Error('no cores')
  return { a, b, fabric, networks, here, there }
}

t.test('a log that grew while the peer was away is caught up, again and again', async t => {
  const { a, b, fabric, networks } = await stage(t)
  for (let length = 2; length < 6; length++) {
    await a.commit(Buffer.from(`entry ${String(length)}`))
    fabric.dropConnection(...networks)
    await a.commit(Buffer.from('while away'))
    await until('all', () => b.pairOf(a)?.operationLog.length === a.operationLog.length)
  }
  t.equal(b.pairOf(a)?.operationLog.length, 9)
})

t.test('a block that was pushed and could not be stored is asked for later', async t => {
  const { a, b, fabric, networks } = await stage(t)
  const { guard } = b.logHome
  const admit = guard.admit.bind(guard)
  let refused = 0
  guard.admit = () => {
    refused++
    return Promise.reject(new SyncError('NO_SPACE', 'full'))
  }
  await a.commit(Buffer.from('refused'))
  await until('a refusal', () => refused > 0)
  t.equal(b.pairOf(a)?.operationLog.length, 1)
  guard.admit = admit
  fabric.dropConnection(...networks)
  await until('it', () => b.pairOf(a)?.operationLog.length === 2)
  t.equal(Buffer.from((await b.pairOf(a)?.operationLog.get(1)) ?? []).toString(), 'refused')
})

t.test('content is pushed only to those who take it', async t => {
  const { a, b } = await stage(t, false)
  await a.commit(Buffer.from('entry'), [Buffer.alloc(100, 1)])
  await until('the entry', () => b.pairOf(a)?.operationLog.length === 2)
  const content = b.pairOf(a)?.contentLog
  t.equal(content?.has(0), false)
  b.replication.setTakesContent(true)
  await until('the next', () => b.logHome.replicated(a.contentLog.key)?.isOffered(0) === true)
  for (let index = 1; content?.has(index) !== true && index < 50; index++) {
    await a.commit(Buffer.from('entry'), [Buffer.alloc(100, index)])
    await until('it', () => b.pairOf(a)?.operationLog.length === index + 2)
  }
  const pushed = [...Array(50).keys()].some(index => content?.has(index) === true)
  t.ok(pushed, 'and so once it does')
})

t.test('a log knows what is here, what is offered and how far it goes', async t => {
  const { a, b, here, there } = await stage(t, false)
  t.same([here.length, here.contiguousLength, there.contiguousLength], [1, 1, 1])
  t.ok(here.has(0) && there.has(0) && there.hasPeers)
  await a.contentLog.append([Buffer.alloc(5), Buffer.alloc(6)], 0)
  const content = b.logHome.replicated(a.contentLog.key)
  await until('an offer', () => content?.isOffered(1) === true)
  await b.pairOf(a)?.contentLog.fetch(1, { deadlineMs: 10_000 })
  t.same([content?.length, content?.contiguousLength, content?.has(1)], [2, 0, true])
  t.equal(content?.isOffered(2), false)
})

t.test('push() with nobody there, of nothing and of what is not there does nothing', async t => {
  const { here, networks } = await stage(t)
  await here.push(0, 0)
  await here.push(5, 9)
  await networks[1].close()
  await here.push(0, 1)
  t.pass()
})

/** What a peer of a core can send, as hypercore encodes it. */
interface Wire {
  send(message: object): void
}

interface Liar {
  /** Sends anything about the log. */
  readonly peer: {
    readonly wireRange: Wire
    readonly wireBitfield: Wire
    readonly wireData: Wire
  }
  readonly replicated: ReplicatedCore
  faults: number
}

/** A home that follows an empty log, and a peer of it that says what the test says. */
async function liar(t: Test): Promise<Liar> {
  const directory = await mkdtemp(join(tmpdir(), 'grove-liar-'))
  const home = await LogHome.open({ directory: join(directory, 'home') })
  const { key, manifest, keyPair } = logSigner({ seed: filled(32, 1), userData: filled(32, 2) })
  await home.openRemoteLog({ publicKey: keyPair.publicKey, userData: filled(32, 2) })
  const replicated = home.replicated(key)
  if (replicated === undefined) throw new Error('no core')
  const theirs = new Corestore(new HypercoreStorage(join(directory, 'theirs')), { active: true })
  const core = theirs.get({ manifest, allowFork: false })
  await core.ready()
  const on = new MemoryFabric({ clock: new SystemClock(), random: new SeededRandom(7) })
  const networks = [on.network(), on.network()] as const
  t.teardown(async () => {
    for (const network of networks) await network.close()
    await home.close()
    await theirs.close()
    await rm(directory, { recursive: true })
  })
  const state = { faults: 0 }
  networks[0].onConnection = ({ stream }) => {
    GuardedMux.install(stream, { admits: () => true, onFault: () => state.faults++ })
    replicated.attach(stream)
    replicated.follow()
  }
  networks[1].onConnection = ({ stream }) => core.replicate(stream)
  networks[1].connectTo(networks[0].publicKey)
  networks[0].connectTo(networks[1].publicKey)
  await until('a peer', () => core.core.replicator.peers.length === 1 && replicated.hasPeers)
  const [peer] = core.core.replicator.peers as unknown as [Liar['peer']]
  return Object.assign(state, { peer, replicated })
}

t.test('claims that no log can bear out end the connection', async t => {
  const beyond = LOG_LENGTH_MAX + 1
  const range = await liar(t)
  range.peer.wireRange.send({ drop: false, start: 1, length: beyond })
  await until('the end', () => !range.replicated.hasPeers)
  t.ok(range.faults > 0)
  const page = await liar(t)
  page.peer.wireBitfield.send({ start: beyond, bitfield: new Uint32Array(1) })
  await until('the end', () => !page.replicated.hasPeers)
  t.ok(page.faults > 0)
})

t.test('a proof over which hypercore stumbles ends nothing', async t => {
  const { peer, replicated } = await liar(t)
  const upgrade = { start: 1, length: 0, nodes: [], additionalNodes: [] }
  const proof = { block: null, hash: null, seek: null, manifest: null }
  const signed = { ...upgrade, signature: new Uint8Array(68) }
  peer.wireData.send({ ...proof, request: 0, fork: 0, upgrade: { ...signed, start: 0 } })
  peer.wireData.send({ ...proof, request: 0, fork: 0, upgrade: signed })
  peer.wireRange.send({ drop: false, start: 1, length: 2 ** 50 })
  await until('the end', () => !replicated.hasPeers)
  t.equal(replicated.length, 0, 'the process lives, and took nothing')
})

/** The replicating side of a core under a test's control, and what it does to a peer that comes. */
function guardedCore(parts: {
  readonly verify?: () => Promise<boolean>
  readonly length?: number
  readonly isInOrder?: boolean
  readonly peers?: readonly object[]
}): {
  readonly guarded: ReplicatedCore
  readonly verify: (proof: object, from: object) => Promise<boolean>
  readonly addPeer: (peer: object) => void
  readonly unmarked: number[]
  readonly starvations: () => number
} {
  const unmarked: number[] = []
  const replicator = {
    setAllowPush: () => undefined,
    peers: parts.peers ?? [],
    _unmarkInflight: (index: number) => unmarked.push(index)
  }
  const inner = { replicator, verify: parts.verify ?? (async () => true) }
  const listeners = new Map<string, (peer: object) => void>()
  let starvations = 0
  const options = {
    key: logSigner({ seed: filled(32, 1), userData: filled(32, 2) }).key,
    allowPush: true,
    isInOrder: parts.isInOrder === true,
    guard: { admit: async () => undefined },
    onArrival: () => undefined,
    onFrozen: () => undefined,
    onStarved: () => starvations++
  }
  const on = (event: string, listener: (peer: object) => void) => listeners.set(event, listener)
  const core = { core: inner, length: parts.length ?? 0, on }
  type Parts = ConstructorParameters<typeof ReplicatedCore>
  const guarded = new ReplicatedCore(core as unknown as Parts[0], options as unknown as Parts[1])
  return {
    ...{ guarded, unmarked, starvations: () => starvations },
    verify: inner.verify,
    addPeer: peer => listeners.get('peer-add')?.(peer)
  }
}

/** A peer that hears nothing. */
function deafPeer() {
  const call = () => undefined
  const handlers = { onrange: call, onbitfield: call, _handleRequest: call }
  return { ...handlers, ondata: call, _handleData: call }
}

t.test('a proof of a length that no log has is refused before it is verified', async t => {
  const { guarded, verify, unmarked } = guardedCore({})
  t.notOk(guarded.isFrozen)
  const proof = (start: number, length: number) => {
    return { block: { index: 3, value: null }, upgrade: { start, length } }
  }
  t.equal(await verify(proof(1, LOG_LENGTH_MAX - 1), {}), true)
  await t.rejects(verify(proof(1, LOG_LENGTH_MAX), {}), { message: 'a length of no log' })
  t.same(unmarked, [3])
})

t.test('a write that fails is told as a full disk, until a peer comes anew', async t => {
  const failure = Object.assign(new Error('no room'), { code: 'WRITE_FAILED' })
  const core = guardedCore({ verify: () => Promise.reject(failure) })
  const news: string[] = []
  core.guarded.watch(one => news.push(one))
  await t.rejects(core.verify({ block: null, upgrade: null }, {}), failure)
  t.same([core.guarded.isStarved, core.starvations(), news], [true, 1, ['starved']])
  core.addPeer(deafPeer())
  t.notOk(core.guarded.isStarved)
})

t.test(
  'a block from a length of 0 is no evidence of another history of a log that grew',
  async t => {
    const { addPeer } = guardedCore({ length: 4 })
    const handled: object[] = []
    const peer = { ...deafPeer(), _handleData: async (proof: object) => void handled.push(proof) }
    addPeer(peer)
    const block = { index: 1, value: Buffer.from('block'), nodes: [] }
    const proof = (request: number, start: number, length: number) => {
      return { request, block, upgrade: { start, length } }
    }
    await peer._handleData(proof(0, 0, 4))
    t.same(handled, [])
    const taken = [
      proof(0, 0, 5),
      proof(0, 2, 2),
      proof(3, 0, 4),
      { ...proof(0, 0, 4), block: null },
      { ...proof(0, 0, 4), upgrade: null }
    ]
    for (const each of taken) await peer._handleData(each)
    t.same(handled, taken)
  }
)

/** A peer that says that it has so many blocks, and which blocks it was sent unasked. */
function pushablePeer(contiguousLength: number): {
  readonly peer: { remoteContiguousLength: number }
  readonly sent: number[]
} {
  const sent: number[] = []
  const peer = {
    remoteAllowPush: true,
    paused: false,
    protomux: { drained: true },
    remoteContiguousLength: contiguousLength,
    _remoteContiguousLength: 0,
    push: async (index: number) => void sent.push(index)
  }
  return { peer, sent }
}

t.test('entries are pushed to those that have nearly all before them', async t => {
  const [near, far] = [1000 - PUSH_GAP_MAX, 1000 - PUSH_GAP_MAX - 1].map(pushablePeer)
  if (near === undefined || far === undefined) throw new Error('two peers')
  const { guarded } = guardedCore({ isInOrder: true, peers: [near.peer, far.peer] })
  await guarded.push(1000, 1000 + PUSH_GAP_MAX)
  t.equal(near.sent.length, PUSH_GAP_MAX)
  await guarded.push(1000 + PUSH_GAP_MAX, 1001 + PUSH_GAP_MAX)
  t.equal(near.sent.at(-1), 1000 + PUSH_GAP_MAX, 'what it was sent it will have')
  t.strictSame(far.sent, [])
  far.peer.remoteContiguousLength = 1001
  await guarded.push(1001 + PUSH_GAP_MAX, 1002 + PUSH_GAP_MAX)
  t.strictSame(far.sent, [1001 + PUSH_GAP_MAX], 'it came near')
})

t.test('content is pushed to whoever takes it', async t => {
  const { peer, sent } = pushablePeer(0)
  await guardedCore({ peers: [peer] }).guarded.push(1000, 1002)
  t.strictSame(sent, [1000, 1001])
})
