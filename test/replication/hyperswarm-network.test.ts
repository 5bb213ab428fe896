/** The real network, over a private hash table on this machine's loopback. */
import t from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { HyperswarmNetwork } from '../../src/replication/hyperswarm-network.ts'
import type { PeerNetwork } from '../../src/replication/peer-network.ts'
import { peerNetworkSuite } from '../suites/peer-network-suite.ts'
import { LoopbackFabric } from '../support/loopback-fabric.ts'
import { PeerDevice } from '../support/peer-device.ts'

const topic = new Uint8Array(32).fill(9)

const connected = (...networks: readonly PeerNetwork[]): boolean =>
  networks.every(({ connections }) => connections.length > 0)

peerNetworkSuite(t, 'hyperswarm', { create: () => LoopbackFabric.open() })

t.test('a device that starts without a network says so once, and connects later', async t => {
  const fabric = await LoopbackFabric.open()
  await fabric.stopBootstrap()
  const [a, b] = [fabric.network(), fabric.network()]
  a.join(topic)
  b.join(topic)
  await fabric.until('both said so', () => fabric.reports.length === 2)
  t.same(
    new Set(fabric.reports),
    new Set(['no network: nobody passes on connections to this device'])
  )
  await fabric.startBootstrap()
  await fabric.until('connected', () => connected(a, b))
  await fabric.until('both say so', () => fabric.reports.length === 4)
  t.same(fabric.reports.slice(2), ['the network is back', 'the network is back'])
  await fabric.close()
})

t.test('devices announce themselves again to a bootstrap node that knows nobody', async t => {
  const fabric = await LoopbackFabric.open()
  const [a, b, c] = [fabric.network(), fabric.network(), fabric.network()]
  a.join(topic)
  b.join(topic)
  await fabric.until('connected', () => connected(a, b))
  const [open] = a.connections
  await fabric.stopBootstrap()
  await fabric.startBootstrap()
  c.join(topic)
  await fabric.until('c found both', () => c.connections.length === 2)
  t.notOk(open?.stream.destroying, 'a connection needs no bootstrap node')
  await fabric.close()
})

t.test('an address that is not this machine’s is reported, and nothing else happens', async t => {
  const reports: string[] = []
  const network = new HyperswarmNetwork({
    keyPair: signingKeyPair(systemRandom.bytes(32)),
    bootstrap: [],
    listenHost: '198.51.100.1',
    clock: new SystemClock(),
    random: systemRandom,
    report: message => reports.push(message)
  })
  network.join(topic)
  network.connectTo(new Uint8Array(32))
  const fabric = await LoopbackFabric.open()
  await fabric.until('it is reported', () => reports.length === 1)
  t.match(reports[0], /^no network: /)
  await network.close()
  await fabric.close()
})

t.test('a copy of a device, or an attempt replayed, does not end a live connection', async t => {
  const fabric = await LoopbackFabric.open()
  const [a, b, c] = [fabric.network(), fabric.network(), fabric.network()]
  b.connectTo(a.publicKey)
  a.join(topic)
  await fabric.until('connected', () => connected(a, b))
  const [open] = a.connections
  const copy = fabric.network(b)
  copy.connectTo(a.publicKey)
  copy.connectTo(c.publicKey)
  c.join(topic)
  await fabric.until('the copy is there', () =>
    c.connections.some(({ remotePublicKey }) => Buffer.compare(remotePublicKey, b.publicKey) === 0)
  )
  t.notOk(open?.stream.destroying)
  await b.close()
  await fabric.until('the copy takes its place', () => copy.connections.length === 2)
  t.not(a.connections[0], open)
  await fabric.close()
})

t.test('processes find each other, survive kill -9 of one, and end', async t => {
  const fabric = await LoopbackFabric.open()
  const { bootstrap } = fabric
  const start = (seed: number, wanted: readonly number[]): PeerDevice =>
    new PeerDevice({ bootstrap, seed, wanted, listenHost: '127.0.0.1' })
  const a = start(0, [1])
  let b = start(1, [0])
  await fabric.until('connected', () => a.connected.has(1) && b.connected.has(0))
  for (let round = 0; round < 2; round++) {
    const opened = a.lines.length
    await b.kill()
    b = start(1, [0])
    await fabric.until('b is there again', () => b.connected.has(0))
    await fabric.until('a noticed', () => a.connected.has(1) && a.lines.length > opened)
  }
  await Promise.all([a.end(), b.end()])
  t.same([a.exitCode, b.exitCode], [0, 0], 'nothing keeps them alive')
  await fabric.close()
})
