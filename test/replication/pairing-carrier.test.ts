/** Request and answer between two who share a secret, among strangers who only know where. */
import BlindPairing from 'blind-pairing'
import { buffer, decode, encode } from 'compact-encoding'
import Protomux from 'protomux'
import t from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { pairingKeys } from '../../src/crypto/invitation-code.ts'
import {
  PAIRING_CONNECTIONS_MAX,
  PAIRING_CONNECTION_MS_MAX,
  PAIRING_MESSAGES_MAX,
  PAIRING_SEARCH_MS_MAX,
  offerPairing,
  sendPairingRequest,
  type PairingReply
} from '../../src/replication/pairing-carrier.ts'
import type { PeerConnection } from '../../src/replication/peer-network.ts'
import { filled, toHex } from '../support/bytes.ts'
import type { MemoryPeerNetwork } from '../support/memory-peer-network.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { PairingFabric, untilClosed } from '../support/pairing-parties.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

/** How many hostile messages are sent; `GROVE_FUZZ` sets ten times another number. */
const FUZZ_INPUTS = Math.ceil(Number(process.env['GROVE_FUZZ'] ?? 20_000) / 10)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)
/** A request of an invitation, without a session and without data. */
const EMPTY_REQUEST = new Uint8Array(34)
/** How many of them one stranger sends; each twice, as request and as reply. */
const BATCH = PAIRING_MESSAGES_MAX / 2 - 1
const LOOK_MS = 2
const LOOKS_MAX = 5_000

const clock = new SystemClock()
const secret = filled(16, 5)
const topicOf = (shared: Uint8Array) => {
  const { seed, topic } = pairingKeys(shared)
  return BlindPairing.createInvite(topic, { seed }).discoveryKey
}

/** As blind-pairing sends bytes; others end the connection by themselves. */
const framed = (bytes: Uint8Array) => encode(buffer, bytes)

/** Waits, for a bounded time. */
async function until(isSo: () => boolean): Promise<void> {
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    if (isSo()) return
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
  }
  throw new Error('never')
}

/** Asks and waits for the reply. */
async function ask(
  network: MemoryPeerNetwork,
  options: { readonly request?: Uint8Array; readonly secret?: Uint8Array } = {}
): Promise<PairingReply> {
  let side: { close(): Promise<void> } | undefined
  const reply = await new Promise<PairingReply>(onReply => {
    const request = options.request ?? filled(300, 1)
    const shared = options.secret ?? secret
    const parts = { network, secret: shared, clock, request, onConnected: () => undefined }
    side = sendPairingRequest({ ...parts, onReply })
  })
  await side?.close()
  return reply
}

/** A device that has found the topic but has not the secret. */
function stranger(
  network: MemoryPeerNetwork,
  onChannel: (send: readonly { send(bytes: Uint8Array): boolean }[]) => void
): { readonly heard: Uint8Array[]; readonly connections: PeerConnection[] } {
  const heard: Uint8Array[] = []
  const connections: PeerConnection[] = []
  network.onConnection = connection => {
    connections.push(connection)
    const onmessage = (message: Uint8Array) => void heard.push(new Uint8Array(message))
    const options = {
      protocol: 'blind-pairing',
      id: topicOf(secret),
      messages: [{ onmessage }, { onmessage }]
    }
    const channel = Protomux.from(connection.stream).createChannel(options)
    channel?.open()
    if (channel !== null) onChannel(channel.messages)
  }
  network.join(topicOf(secret))
  return { heard, connections }
}

t.test('the answer to a request arrives, however large, and refusals too', async t => {
  const { openNetwork } = new PairingFabric()
  const requests: string[] = []
  let reply: PairingReply = { answer: systemRandom.bytes(3 * 1024 * 1024) }
  const offer = offerPairing({
    network: openNetwork(),
    secret,
    clock,
    onRequest: async request => {
      requests.push(toHex(request))
      return reply
    }
  })
  t.teardown(() => offer.close())
  const request = systemRandom.bytes(300)
  const first = await ask(openNetwork(), { request })
  t.ok('answer' in first && Buffer.compare(first.answer, Buffer.from(reply.answer)) === 0)
  t.same(requests, [toHex(request)])
  for (const refusal of ['refused', 'used', 'expired'] as const) {
    reply = { refusal }
    t.same(await ask(openNetwork(), { request: systemRandom.bytes(300) }), { refusal })
  }
})

t.test('the topic is of the secret, and the secret is not to be had from it', async t => {
  const { openNetwork, networks } = new PairingFabric()
  const joined: string[] = []
  for (let count = 0; count < 2; count++) {
    const network = openNetwork()
    const join = network.join.bind(network)
    network.join = topic => {
      joined.push(toHex(topic))
      join(topic)
    }
    const shared = filled(16, count)
    const onRequest = () => Promise.resolve({ refusal: 'used' } as const)
    const offer = offerPairing({ network, secret: shared, clock, onRequest })
    t.equal(joined.at(-1), toHex(topicOf(shared)))
    const { seed, topic } = pairingKeys(shared)
    for (const hidden of [shared, seed, topic]) t.notMatch(joined.at(-1), toHex(hidden))
    await offer.close()
  }
  t.not(joined[0], joined[1])
  t.same(
    networks.map(({ isClosed }) => isClosed),
    [true, true]
  )
})

t.test('strangers hear nothing they can read, and change nothing', async t => {
  const { openNetwork } = new PairingFabric()
  const answer = Buffer.from('the answer, in words that would be seen')
  const request = Buffer.concat([Buffer.from('the request, in words'), filled(200, 0)])
  let requests = 0
  const offer = offerPairing({
    network: openNetwork(),
    secret,
    clock,
    onRequest: async () => {
      requests++
      return { answer }
    }
  })
  t.teardown(() => offer.close())
  const noise = openNetwork()
  const { heard } = stranger(noise, ([ask, reply]) => {
    for (let count = 0; count < PAIRING_MESSAGES_MAX / 4; count++) {
      ask?.send(framed(systemRandom.bytes(count * 9)))
      reply?.send(framed(systemRandom.bytes(count * 9)))
    }
  })
  t.teardown(() => noise.close())
  t.same(await ask(openNetwork(), { request }), { answer: new Uint8Array(answer) })
  t.equal(requests, 1, 'noise is no request')
  const bytes = Buffer.concat(heard)
  t.equal(bytes.indexOf('words'), -1)
  t.equal(bytes.indexOf(Buffer.from(secret)), -1)
})

t.test(`${FUZZ_INPUTS} hostile messages end nobody (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  const genuine: Uint8Array[] = [EMPTY_REQUEST]
  for (let sent = 0; sent < FUZZ_INPUTS; sent += BATCH) {
    // Anew for each few: a network turns strangers away that come too often.
    const { openNetwork } = new PairingFabric()
    let requests = 0
    const onRequest = async () => {
      requests++
      return { refusal: 'refused' } as const
    }
    const replies: PairingReply[] = []
    const request = filled(300, 1)
    const noise = openNetwork()
    const { heard, connections } = stranger(noise, ([ask, reply]) => {
      for (let count = 0; count < BATCH; count++) {
        const bytes = hostileBytes(random, genuine)
        ask?.send(framed(bytes))
        reply?.send(framed(bytes))
      }
    })
    const parts = { secret, clock, request, onConnected: () => undefined }
    const asker = openNetwork()
    const onReply = (reply: PairingReply) => replies.push(reply)
    const side = sendPairingRequest({ ...parts, network: asker, onReply })
    // The newcomer asks the stranger first: what it says is what the next messages are made of.
    await until(() => connections.length > 0 && (genuine.length > 1 || heard.length > 0))
    if (genuine.length === 1)
      genuine.push(decode(buffer, heard[0] ?? framed(EMPTY_REQUEST)) ?? EMPTY_REQUEST)
    const offer = offerPairing({ network: openNetwork(), secret, clock, onRequest })
    await until(() => connections.length > 1)
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
    if (replies.some(reply => !('refusal' in reply) || reply.refusal !== 'refused')) {
      t.fail(`a reply was made up before message ${sent}`)
    }
    if (requests > PAIRING_MESSAGES_MAX) t.fail('requests were made up')
    await Promise.all([side, offer, noise].map(each => each.close()))
  }
  t.equal(genuine.length, 2, 'some were made of a genuine request')
})

t.test('a request that rejects is answered by silence, and the next is asked anew', async t => {
  const { openNetwork, networks, fabric } = new PairingFabric()
  let requests = 0
  const offer = offerPairing({
    network: openNetwork(),
    secret,
    clock,
    onRequest: async () => {
      requests++
      if (requests > 1) return { refusal: 'used' }
      const [here, there] = networks
      if (here !== undefined && there !== undefined) fabric.dropConnection(here, there)
      throw new Error('not now')
    }
  })
  t.teardown(() => offer.close())
  t.same(await ask(openNetwork()), { refusal: 'used' })
  t.equal(requests, 2)
})

t.test('who sends too much or too many is disconnected', async t => {
  for (const flood of [
    [new Uint8Array(64 * 1024)],
    Array.from({ length: PAIRING_MESSAGES_MAX + 1 }, () => new Uint8Array(8))
  ]) {
    const { openNetwork } = new PairingFabric()
    let requests = 0
    const onRequest = async () => {
      requests++
      return { refusal: 'used' } as const
    }
    // Time stands still: nobody is disconnected for having stayed too long.
    const still = new VirtualClock()
    const offer = offerPairing({ network: openNetwork(), secret, clock: still, onRequest })
    const network = openNetwork()
    const closed = new Promise<void>(resolve => {
      const { connections } = stranger(network, ([ask]) => {
        for (const bytes of flood) ask?.send(framed(bytes))
        void connections[0]?.closed.then(resolve)
      })
    })
    await closed
    t.equal(requests, 0)
    await Promise.all([network.close(), offer.close()])
  }
})

t.test('nobody takes all places for long', async t => {
  const { openNetwork } = new PairingFabric()
  const virtual = new VirtualClock()
  const offered = openNetwork()
  const onRequest = () => Promise.resolve({ refusal: 'used' } as const)
  const offer = offerPairing({ network: offered, secret, clock: virtual, onRequest })
  const sitters = Array.from({ length: PAIRING_CONNECTIONS_MAX + 4 }, () => openNetwork())
  for (const network of sitters) stranger(network, () => undefined)
  for (
    let turns = 0;
    turns < 10_000 && offered.connections.length < PAIRING_CONNECTIONS_MAX;
    turns++
  )
    await new Promise(resolve => setImmediate(resolve))
  for (let turns = 0; turns < 100; turns++) await new Promise(resolve => setImmediate(resolve))
  t.equal(offered.connections.length, PAIRING_CONNECTIONS_MAX)
  const gone = offered.connections.map(connection => connection.closed)
  virtual.advance(PAIRING_CONNECTION_MS_MAX)
  await Promise.all(gone)
  await Promise.all([offer, ...sitters].map(each => each.close()))
})

t.test('the newcomer looks anew for as long as it finds nobody', async t => {
  const { openNetwork } = new PairingFabric()
  const virtual = new VirtualClock()
  const network = openNetwork()
  let lookups = 0
  const join = network.join.bind(network)
  network.join = topic => {
    lookups++
    join(topic)
  }
  const side = sendPairingRequest({
    network,
    secret,
    clock: virtual,
    request: filled(300, 1),
    onConnected: () => undefined,
    onReply: () => undefined
  })
  await new Promise(resolve => setImmediate(resolve))
  t.equal(lookups, 1)
  virtual.advance(60_000)
  t.ok(lookups >= 60_000 / PAIRING_SEARCH_MS_MAX && lookups < 25, `${lookups} times in a minute`)
  await side.close()
  const before = lookups
  virtual.advance(60_000)
  t.equal(lookups, before, 'and no longer')
  t.equal(virtual.pendingTimers, 0)
  await untilClosed(network)
})
