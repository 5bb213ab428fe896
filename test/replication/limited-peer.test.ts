/** Over a real connection: a holder is served what it was asked to keep, and nothing else. */
import Corestore from 'corestore'
import HypercoreStorage from 'hypercore-storage'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { logSigner, type Core, type CorePeer } from '../../src/replication/core-slot.ts'
import { GuardedMux } from '../../src/replication/guarded-mux.ts'
import type { HypercoreBlockStore } from '../../src/replication/hypercore-block-store.ts'
import { LimitedPeer } from '../../src/replication/limited-peer.ts'
import { LogHome } from '../../src/replication/log-home.ts'
import { blockSetsOf } from '../../src/sync/block-bitmap.ts'
import { identityOf } from '../support/hypercore-home.ts'
import { MemoryFabric } from '../support/memory-peer-network.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'

const BLOCKS = 3000
/** A get that is not answered ends after so long. */
const TIMEOUT_MS = 300

interface Stage {
  readonly home: LogHome
  readonly log: HypercoreBlockStore
  /** The log at the holder, a hypercore as it comes. */
  readonly core: Core
  /** The holder's network key. */
  readonly holder: Uint8Array
  readonly grant: (indexes: readonly number[]) => void
  readonly withdraw: (indexes: readonly number[]) => void
  readonly connect: () => Promise<void>
}

async function stage(t: Test, options: { readonly isLimited: boolean }): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'grove-limited-'))
  const home = await LogHome.open({ directory: join(directory, 'home') })
  const log = await home.openBlockStore(identityOf('content'))
  const blocks = Array.from({ length: BLOCKS }, (_, index) => Buffer.from(`block ${String(index)}`))
  await log.append(blocks, 0)
  const { manifest } = logSigner(identityOf('content'))
  const store = new Corestore(new HypercoreStorage(join(directory, 'holder')), { active: true })
  const core = store.get({ manifest, allowFork: false })
  await core.ready()
  const fabric = new MemoryFabric({ clock: new SystemClock(), random: new SeededRandom(7) })
  const [owner, holder] = [fabric.network(), fabric.network()] as const
  t.teardown(async () => {
    await owner.close()
    await holder.close()
    await store.close()
    await home.close()
    await rm(directory, { recursive: true })
  })
  if (options.isLimited) home.uploads.limit(holder.publicKey)
  owner.onConnection = ({ stream }) => {
    GuardedMux.install(stream, { admits: () => true, onFault: () => t.fail('a fault') })
    home.replicated(log.key)?.attach(stream)
  }
  holder.onConnection = ({ stream }) => core.replicate(stream)
  const setsOf = (indexes: readonly number[]) => blockSetsOf(log.key, indexes)
  return {
    home,
    log,
    core,
    holder: holder.publicKey,
    grant: indexes => {
      for (const set of setsOf(indexes)) home.uploads.grant(holder.publicKey, set)
    },
    withdraw: indexes => {
      for (const set of setsOf(indexes)) home.uploads.withdraw(holder.publicKey, set)
    },
    connect: async () => {
      owner.connectTo(holder.publicKey)
      holder.connectTo(owner.publicKey)
      await until('the length', () => core.core.replicator.peers[0]?.remoteLength === BLOCKS)
    }
  }
}

/** Reads a block at the holder; undefined when it does not come. */
async function got(core: Core, index: number, timeout = TIMEOUT_MS): Promise<string | undefined> {
  const options = { timeout, activeRequests: [] }
  return core.get(index, options).then(
    block => block?.toString(),
    () => undefined
  )
}

function peerOf(core: Core): CorePeer & { remoteBitfield: { set(index: number, is: true): void } } {
  const [peer] = core.core.replicator.peers
  if (peer === undefined) throw new Error('no peer')
  return peer as ReturnType<typeof peerOf>
}

t.test('it gets what it was granted, before it connected and after, and not the rest', async t => {
  const { core, grant, connect } = await stage(t, { isLimited: true })
  grant([3, 2500])
  await connect()
  t.same(await Promise.all([3, 2500, 4].map(index => got(core, index))), [
    'block 3',
    'block 2500',
    undefined
  ])
  const waiting = got(core, 1500)
  grant([1500])
  t.equal(await waiting, 'block 1500', 'who waits gets it when it is granted')
  const { remoteContiguousLength, remoteBitfield } = peerOf(core)
  t.equal(remoteContiguousLength, 0, 'it hears of no others')
  t.notOk(remoteBitfield.get(5))
})

t.test('what is under receipt is not served again, but what is granted again is', async t => {
  const { core, grant, withdraw, connect } = await stage(t, { isLimited: true })
  grant([3])
  await connect()
  t.equal(await got(core, 3), 'block 3')
  withdraw([3])
  await core.clear(3, 4)
  t.equal(await got(core, 3), undefined)
  grant([3])
  t.equal(await got(core, 3), 'block 3')
})

t.test('asking for more than it may have stalls nothing', async t => {
  const { core, grant, connect } = await stage(t, { isLimited: true })
  const allowed = Array.from({ length: 100 }, (_, number) => number * 10)
  grant(allowed)
  await connect()
  // It asks for everything, whatever it was told: many more than the 128 that may be under way.
  const peer = peerOf(core)
  const wanted = Array.from({ length: 1000 }, (_, index) => index)
  for (const index of wanted) peer.remoteBitfield.set(index, true)
  const all = await Promise.all(wanted.map(index => got(core, index, 2000)))
  const arrived = all.flatMap((block, index) => (block === undefined ? [] : [index]))
  t.same(arrived, allowed)
  t.notOk(peer.paused, 'and it may go on')
  grant([1])
  t.equal(await got(core, 1), 'block 1')
})

t.test('a request that was cancelled meanwhile gets no answer', async t => {
  const { home, log } = await stage(t, { isLimited: true })
  const sent: unknown[] = []
  const wire = { send: (message: unknown) => sent.push(message) }
  const asked = { id: 1, block: { index: 9 }, upgrade: null }
  const peer = {
    remotePublicKey: Buffer.alloc(32),
    remoteRequests: new Map(),
    wireBitfield: wire,
    wireRange: wire,
    wireNoData: wire,
    _handleRequest: async () => undefined
  }
  home.uploads.limit(peer.remotePublicKey)
  void new LimitedPeer(peer as unknown as CorePeer, log.key, home.uploads)
  const before = sent.length
  await (peer._handleRequest as (request: unknown) => Promise<void>)(asked)
  t.equal(sent.length, before)
})

t.test('blocks are not pushed to it, and who is not limited gets everything', async t => {
  const { home, log, core, connect } = await stage(t, { isLimited: true })
  core.core.replicator.setAllowPush(true)
  await connect()
  await until('it to allow', () => peerOf(core).remoteAllowPush !== undefined)
  await home.replicated(log.key)?.push(0, 5)
  t.equal(await core.has(0), false)
  const free = await stage(t, { isLimited: false })
  await free.connect()
  t.equal(await got(free.core, 7), 'block 7')
})
