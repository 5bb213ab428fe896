/**
 * What every {@link PeerNetwork} does: run on the network in memory and on the real one.
 *
 * @module
 */
import type { Test } from 'tap'
import {
  TOPICS_MAX,
  WANTED_PEERS_MAX,
  type PeerConnection,
  type PeerNetwork
} from '../../src/replication/peer-network.ts'

/** Devices that can reach each other, as the suite needs them. */
export interface PeerNetworkFabric {
  /** Adds a device; with the keys of an earlier one it is that device, started again. */
  network(keysOf?: PeerNetwork): PeerNetwork
  /** Lets time pass until it is so; fails, naming `what`, when it never is. */
  until(what: string, isSo: () => boolean): Promise<void>
  /** Closes all devices. */
  close(): Promise<void>
}

/** How the suite makes what it tests. */
export interface PeerNetworkSubject {
  create(): Promise<PeerNetworkFabric>
}

const topic = new Uint8Array(32).fill(7)

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** A device and what happened to it. */
interface Watched {
  readonly network: PeerNetwork
  readonly opened: PeerConnection[]
  /** The connection it has now. */
  readonly only: () => PeerConnection
}

function watch(network: PeerNetwork): Watched {
  const opened: PeerConnection[] = []
  network.onConnection = connection => opened.push(connection)
  const only = (): PeerConnection => {
    const [connection] = network.connections
    if (connection === undefined) throw new Error('not connected')
    return connection
  }
  return { network, opened, only }
}

const areConnected = (left: Watched, right: Watched): boolean =>
  [left, right].every(({ network }, side) => {
    const other = side === 0 ? right : left
    return network.connections.some(
      ({ remotePublicKey }) => hex(remotePublicKey) === hex(other.network.publicKey)
    )
  })

type Define = (title: string, run: (t: Test, fabric: PeerNetworkFabric) => Promise<void>) => void

/** Runs the suite. */
export function peerNetworkSuite(t: Test, name: string, subject: PeerNetworkSubject): void {
  const test: Define = (title, run) => {
    void t.test(`${name}: ${title}`, async t => {
      const fabric = await subject.create()
      try {
        await run(t, fabric)
      } finally {
        await fabric.close()
      }
    })
  }
  findTests(test)
  streamTests(test)
  wantedTests(test)
  refusalTests(test)
  closeTests(test)
}

function findTests(test: Define): void {
  test('devices that join a topic find each other, late ones too', async (t, fabric) => {
    const [a, b, c] = [0, 1, 2].map(() => watch(fabric.network())) as [Watched, Watched, Watched]
    a.network.join(topic)
    b.network.join(topic)
    await fabric.until('a and b connected', () => areConnected(a, b))
    c.network.join(topic)
    await fabric.until('c connected', () => areConnected(a, c) && areConnected(b, c))
    for (const { network, opened } of [a, b, c]) {
      t.equal(network.connections.length, 2, 'one connection for each other device')
      t.same(opened, network.connections, 'each was told of once')
    }
  })

  test('devices of different topics do not', async (t, fabric) => {
    const [a, b, c] = [0, 1, 2].map(() => watch(fabric.network())) as [Watched, Watched, Watched]
    b.network.join(new Uint8Array(32).fill(8))
    a.network.join(topic)
    c.network.join(topic)
    await fabric.until('a and c connected', () => areConnected(a, c))
    t.same(b.network.connections, [])
  })

  test('both ends know each other and which of them called', async (t, fabric) => {
    const [a, b] = [watch(fabric.network()), watch(fabric.network())]
    a.network.join(topic)
    b.network.join(topic)
    await fabric.until('connected', () => areConnected(a, b))
    const [left, right] = [a.only(), b.only()]
    t.equal(hex(left.remotePublicKey), hex(b.network.publicKey))
    t.equal(hex(right.remotePublicKey), hex(a.network.publicKey))
    t.not(left.isInitiator, right.isInitiator)
    t.equal(left.handshakeHash.byteLength, 64)
    t.equal(hex(left.handshakeHash), hex(right.handshakeHash))
    t.equal(hex(left.stream.publicKey), hex(a.network.publicKey))
    t.ok(left.rttMs >= 0)
  })

  test('two that want each other share one connection', async (t, fabric) => {
    const [a, b] = [watch(fabric.network()), watch(fabric.network())]
    a.network.connectTo(b.network.publicKey)
    b.network.connectTo(a.network.publicKey)
    a.network.join(topic)
    b.network.join(topic)
    await fabric.until('connected', () => areConnected(a, b))
    t.equal(a.network.connections.length, 1)
    t.equal(b.network.connections.length, 1)
    t.equal(hex(a.only().handshakeHash), hex(b.only().handshakeHash), 'it is the same one')
  })
}

function streamTests(test: Define): void {
  test('messages arrive whole, in order, in both directions', async (t, fabric) => {
    const [a, b] = [watch(fabric.network()), watch(fabric.network())]
    a.network.join(topic)
    b.network.join(topic)
    await fabric.until('connected', () => areConnected(a, b))
    const sizes = [1, 1000, 3 * 1024 * 1024, 0xffff, 2]
    const received: [string, string[]][] = [a, b].map(({ network, only }) => {
      const seen: string[] = []
      only().stream.on('data', data => seen.push(`${data.byteLength}:${data[0]}:${data.at(-1)}`))
      return [hex(network.publicKey), seen]
    })
    for (const { only } of [a, b]) {
      for (const [index, size] of sizes.entries()) {
        only().stream.write(new Uint8Array(size).fill(index + 1))
      }
    }
    await fabric.until('all arrived', () => received.every(([, seen]) => seen.length === 5))
    const expected = sizes.map((size, index) => `${size}:${index + 1}:${index + 1}`)
    for (const [, seen] of received) t.same(seen, expected)
  })

  test('close() of a connection closes the other end', async (t, fabric) => {
    const [a, b] = [watch(fabric.network()), watch(fabric.network())]
    a.network.connectTo(b.network.publicKey)
    b.network.join(topic)
    await fabric.until('connected', () => areConnected(a, b))
    const [left, right] = [a.only(), b.only()]
    let rightClosed = false
    void right.closed.then(() => (rightClosed = true))
    const closing = left.close()
    t.ok(left.stream.destroying, 'it is closed at once')
    await Promise.all([closing, left.close(), left.closed])
    await fabric.until('the other end is closed', () => rightClosed)
    t.ok(right.stream.destroying)
  })
}

function wantedTests(test: Define): void {
  test('connectTo() waits for a device that is not there yet', async (t, fabric) => {
    const [a, b] = [watch(fabric.network()), watch(fabric.network())]
    a.network.connectTo(b.network.publicKey)
    a.network.connectTo(b.network.publicKey)
    const c = watch(fabric.network())
    c.network.connectTo(a.network.publicKey)
    await fabric.until('a is there', () => areConnected(a, c))
    t.notOk(areConnected(a, b))
    b.network.join(topic)
    await fabric.until('b is found', () => areConnected(a, b))
  })

  test('a wanted device is connected to again, whoever closed', async (t, fabric) => {
    const [a, b] = [watch(fabric.network()), watch(fabric.network())]
    a.network.connectTo(b.network.publicKey)
    b.network.connectTo(a.network.publicKey)
    for (const closer of [a, b]) {
      await fabric.until('connected', () => areConnected(a, b))
      await closer.only().close()
    }
    await fabric.until('connected again', () => areConnected(a, b))
    const hashes = new Set(a.opened.map(({ handshakeHash }) => hex(handshakeHash)))
    t.equal(hashes.size, a.opened.length, 'each connection is a new one')
    t.equal(hex(a.only().handshakeHash), hex(b.only().handshakeHash))
  })

  test('disconnectFrom() keeps the connection, and does not renew it', async (t, fabric) => {
    const [a, b, c] = [0, 1, 2].map(() => watch(fabric.network())) as [Watched, Watched, Watched]
    a.network.connectTo(b.network.publicKey)
    b.network.connectTo(c.network.publicKey)
    c.network.connectTo(b.network.publicKey)
    await fabric.until('connected', () => areConnected(a, b) && areConnected(b, c))
    a.network.disconnectFrom(b.network.publicKey)
    t.ok(areConnected(a, b), 'it is kept')
    await a.only().close()
    a.network.connectTo(c.network.publicKey)
    await fabric.until('c connected', () => areConnected(a, c))
    t.notOk(areConnected(a, b), 'it is not renewed')
  })

  test('a device that starts again takes the place of what it was', async (t, fabric) => {
    const [a, b] = [watch(fabric.network()), watch(fabric.network())]
    a.network.connectTo(b.network.publicKey)
    b.network.connectTo(a.network.publicKey)
    await fabric.until('connected', () => areConnected(a, b))
    await b.network.close()
    const again = watch(fabric.network(b.network))
    again.network.connectTo(a.network.publicKey)
    await fabric.until('connected again', () => areConnected(a, again))
    t.equal(a.network.connections.length, 1)
    t.equal(a.opened.length, 2)
  })

  test('its own key is not wanted, and limits hold', async (t, fabric) => {
    const { network } = watch(fabric.network())
    network.connectTo(network.publicKey)
    const key = (index: number) => new Uint8Array(32).fill(index + 1)
    for (let index = 0; index < WANTED_PEERS_MAX; index++) network.connectTo(key(index))
    t.throws(() => network.connectTo(key(WANTED_PEERS_MAX)), RangeError)
    network.disconnectFrom(key(0))
    network.connectTo(key(WANTED_PEERS_MAX))
    for (let index = 0; index < TOPICS_MAX; index++) network.join(key(index))
    network.join(key(0))
    t.throws(() => network.join(key(TOPICS_MAX)), RangeError)
    network.leave(key(0))
    network.join(key(TOPICS_MAX))
  })
}

function refusalTests(test: Define): void {
  test('who may not connect is refused, counted, and may try again', async (t, fabric) => {
    const [a, b] = [watch(fabric.network()), watch(fabric.network())]
    const asked = new Set<string>()
    let isRefusing = true
    a.network.mayConnect = publicKey => {
      asked.add(hex(publicKey))
      return !isRefusing
    }
    a.network.join(topic)
    b.network.connectTo(a.network.publicKey)
    await fabric.until('b was refused', () => a.network.refused > 0)
    t.same([...asked], [hex(b.network.publicKey)])
    t.same([...a.opened, ...b.opened], [], 'neither was told of a connection')
    isRefusing = false
    await fabric.until('b is let in', () => areConnected(a, b))
  })

  test('nobody is called that may not connect', async (t, fabric) => {
    const [a, b, c] = [0, 1, 2].map(() => watch(fabric.network())) as [Watched, Watched, Watched]
    const isC = (publicKey: Uint8Array) => hex(publicKey) === hex(c.network.publicKey)
    b.network.mayConnect = isC
    a.network.join(topic)
    c.network.join(topic)
    await fabric.until('a and c connected', () => areConnected(a, c))
    b.network.join(topic)
    await fabric.until('b and c connected', () => areConnected(b, c))
    t.notOk(areConnected(a, b))
  })
}

function closeTests(test: Define): void {
  test('close() closes all connections and ends in silence', async (t, fabric) => {
    const [a, b] = [watch(fabric.network()), watch(fabric.network())]
    a.network.join(topic)
    b.network.join(topic)
    await fabric.until('connected', () => areConnected(a, b))
    const open = a.only()
    await Promise.all([a.network.close(), a.network.close()])
    t.ok(open.stream.destroying)
    t.same(a.network.connections, [])
    await fabric.until('b noticed', () => b.network.connections.length === 0)
    a.network.join(topic)
    a.network.connectTo(b.network.publicKey)
    a.network.leave(topic)
    await a.network.close()
    t.equal(a.opened.length, 1)
  })

  test('close() of a device that never began does nothing', async (t, fabric) => {
    const network = fabric.network()
    await network.close()
    t.same(network.connections, [])
    t.equal(network.refused, 0)
  })
}
