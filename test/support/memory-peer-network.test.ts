/** The network in memory: what every network does, and what only it can: delay and partitions. */
import t from 'tap'
import { SILENCE_MS_MAX, type PeerNetwork } from '../../src/replication/peer-network.ts'
import { peerNetworkSuite, type PeerNetworkFabric } from '../suites/peer-network-suite.ts'
import { MemoryFabric, type MemoryPeerNetwork, type NetworkKeyPair } from './memory-peer-network.ts'
import { WIRE_BYTES_MAX } from './memory-wire.ts'
import { SeededRandom } from './seeded-random.ts'
import { VirtualClock } from './virtual-clock.ts'

const STEP_MS = 50
const STEPS_MAX = 2_000

/** A fabric whose time runs while somebody waits. */
class VirtualFabric implements PeerNetworkFabric {
  readonly clock = new VirtualClock()
  readonly fabric: MemoryFabric
  readonly #networks: MemoryPeerNetwork[] = []
  readonly #keys = new Map<PeerNetwork, NetworkKeyPair>()

  constructor(delayMs = 0) {
    const { clock } = this
    this.fabric = new MemoryFabric({ clock, random: new SeededRandom(1), delayMs })
  }

  network(keysOf?: PeerNetwork): MemoryPeerNetwork {
    const known = keysOf === undefined ? undefined : this.#keys.get(keysOf)
    const keyPair = known ?? this.fabric.keyPair()
    const network = this.fabric.network(keyPair)
    this.#networks.push(network)
    this.#keys.set(network, keyPair)
    return network
  }

  async until(what: string, isSo: () => boolean): Promise<void> {
    for (let step = 0; step < STEPS_MAX; step++) {
      if (isSo()) return
      await this.pass(STEP_MS)
    }
    throw new Error(`never: ${what}`)
  }

  /** Moves time and lets what it set off come to rest. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
    for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
  }

  async close(): Promise<void> {
    await Promise.all(this.#networks.map(network => network.close()))
  }

  /** Two devices with an open connection that both want. */
  async pair(): Promise<readonly [MemoryPeerNetwork, MemoryPeerNetwork]> {
    const [a, b] = [this.network(), this.network()]
    a.connectTo(b.publicKey)
    b.connectTo(a.publicKey)
    await this.until('connected', () => a.connections.length + b.connections.length === 2)
    return [a, b]
  }
}

peerNetworkSuite(t, 'memory', { create: async () => new VirtualFabric() })
peerNetworkSuite(t, 'memory with delay', { create: async () => new VirtualFabric(20) })

t.test('bytes take the delay to arrive', async t => {
  const virtual = new VirtualFabric(25)
  const [a, b] = await virtual.pair()
  t.equal(a.connections[0]?.rttMs, 50)
  let received = 0
  b.connections[0]?.stream.on('data', () => received++)
  await virtual.pass(1_000)
  a.connections[0]?.stream.write(new Uint8Array(3))
  await virtual.pass(0)
  await virtual.pass(24)
  t.equal(received, 0)
  await virtual.pass(1)
  t.equal(received, 1)
  await virtual.close()
})

t.test('bytes keep their order when the delay gets shorter', async t => {
  const virtual = new VirtualFabric(25)
  const [a, b] = await virtual.pair()
  const received: (number | undefined)[] = []
  b.connections[0]?.stream.on('data', data => received.push(data[0]))
  await virtual.pass(1_000)
  a.connections[0]?.stream.write(new Uint8Array([1]))
  await virtual.pass(0)
  virtual.fabric.delayMs = 1
  a.connections[0]?.stream.write(new Uint8Array([2]))
  await virtual.pass(2)
  t.same(received, [])
  await virtual.pass(23)
  t.same(received, [1, 2])
  await virtual.close()
})

t.test('partition() and heal() in time: what was written arrives late', async t => {
  const virtual = new VirtualFabric()
  const [a, b] = await virtual.pair()
  const received: number[] = []
  b.connections[0]?.stream.on('data', data => received.push(data.byteLength))
  virtual.fabric.partition(a, b)
  a.connections[0]?.stream.write(new Uint8Array(5))
  await virtual.pass(SILENCE_MS_MAX - 1)
  t.same(received, [])
  virtual.fabric.heal(b, a)
  await virtual.pass(SILENCE_MS_MAX)
  t.same(received, [5])
  t.equal(a.connections.length, 1)
  await virtual.close()
})

t.test('partition() for longer: the connection dies, and is renewed after heal()', async t => {
  const virtual = new VirtualFabric(10)
  const [a, b] = await virtual.pair()
  virtual.fabric.partition(a, b)
  await virtual.pass(SILENCE_MS_MAX)
  t.same([...a.connections, ...b.connections], [])
  await virtual.pass(60_000)
  t.same([...a.connections, ...b.connections], [], 'nothing gets through')
  virtual.fabric.heal(a, b)
  await virtual.until('connected again', () => a.connections.length + b.connections.length === 2)
  await virtual.close()
})

t.test('partition() in the middle of a large transfer bounds what waits', async t => {
  const virtual = new VirtualFabric(10)
  const [a, b] = await virtual.pair()
  let received = 0
  b.connections[0]?.stream.on('data', data => (received += data.byteLength))
  virtual.fabric.partition(a, b)
  const stream = a.connections[0]?.stream
  let sent = 0
  const fill = async (): Promise<void> => {
    let hasRoom = true
    while (hasRoom && sent < 64 * WIRE_BYTES_MAX) {
      hasRoom = stream?.write(new Uint8Array(10_000)) ?? false
      sent += 10_000
    }
    await virtual.pass(0)
  }
  for (let round = 0; round < 1_000; round++) await fill()
  t.ok(sent > WIRE_BYTES_MAX)
  t.ok(sent < 12 * WIRE_BYTES_MAX, `the writer was told to wait after ${sent} bytes`)
  virtual.fabric.heal(a, b)
  await virtual.until('all arrived', () => received === sent)
  await virtual.close()
})

t.test('dropConnection() breaks both ends at once', async t => {
  const virtual = new VirtualFabric()
  const [a, b] = await virtual.pair()
  const [left, right] = [a.connections[0], b.connections[0]]
  virtual.fabric.dropConnection(b, a)
  await virtual.pass(0)
  t.ok(left?.stream.destroying)
  t.ok(right?.stream.destroying)
  await virtual.until('connected again', () => a.connections.length + b.connections.length === 2)
  t.not(a.connections[0], left)
  await virtual.close()
})
