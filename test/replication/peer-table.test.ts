/** Wanted peers and open connections: what every network shares. */
import t from 'tap'
import {
  CONNECTION_LASTED_MS,
  RECONNECT_DELAY_MS_MAX,
  RECONNECT_DELAY_MS_MIN,
  RECONNECT_YIELD_MS,
  STRANGERS_MAX,
  WANTED_PEERS_MAX,
  type PeerConnection,
  type SecretStream
} from '../../src/replication/peer-network.ts'
import { PeerTable } from '../../src/replication/peer-table.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const key = (first: number): Uint8Array => new Uint8Array(32).fill(first)

const OWN = 100
/** A device whose connections are ours to open, and one that opens them itself. */
const [LESSER, GREATER] = [key(1), key(200)]

class FakeConnection implements PeerConnection {
  readonly isInitiator = true
  readonly handshakeHash = new Uint8Array(64)
  readonly rttMs = 0
  readonly closed = Promise.resolve()
  readonly remotePublicKey: Uint8Array
  isClosed = false

  constructor(remotePublicKey: Uint8Array) {
    this.remotePublicKey = remotePublicKey
  }

  get stream(): SecretStream {
    throw new Error('a fake has no stream')
  }

  close(): Promise<void> {
    this.isClosed = true
    return this.closed
  }
}

function tableOf(isAlive = (): boolean => true) {
  const clock = new VirtualClock()
  const dialled: number[] = []
  const made = new PeerTable({
    clock,
    // No chance: each wait has its full length.
    random: { bytes: count => new Uint8Array(count).fill(255) },
    publicKey: key(OWN),
    dial: publicKey => dialled.push(publicKey[0] ?? -1),
    mayConnect: publicKey => publicKey[0] !== 66,
    isGuest: publicKey => publicKey[1] === 77,
    isAlive: async connection => {
      if (isAlive()) return true
      made.remove(connection)
      return false
    }
  })
  /** How often a device was called since the last time. */
  const calls = (): number => dialled.splice(0).length
  return { clock, made, calls }
}

t.test(
  'want() calls a device with a lesser key at once, and then at growing intervals',
  async t => {
    const { clock, made, calls } = tableOf()
    made.want(LESSER)
    made.want(LESSER)
    t.equal(calls(), 1)
    clock.advance(RECONNECT_DELAY_MS_MIN)
    t.equal(calls(), 1)
    clock.advance(2 * RECONNECT_DELAY_MS_MIN - 1)
    t.equal(calls(), 0)
    clock.advance(1)
    t.equal(calls(), 1)
    clock.advance(60_000)
    calls()
    clock.advance(10 * RECONNECT_DELAY_MS_MAX)
    t.equal(calls(), 10, 'never later than the maximum')
  }
)

t.test('want() leaves it to a device with a greater key for a moment', async t => {
  const { clock, made, calls } = tableOf()
  made.want(GREATER)
  clock.advance(RECONNECT_YIELD_MS)
  t.equal(calls(), 0)
  clock.advance(RECONNECT_DELAY_MS_MIN)
  t.equal(calls(), 1)
})

t.test('want() ignores the own key, and what is connected is not called', async t => {
  const { clock, made, calls } = tableOf()
  made.want(key(OWN))
  made.add(new FakeConnection(LESSER))
  made.want(LESSER)
  clock.advance(60_000)
  made.hurry()
  t.equal(calls(), 0)
})

t.test('add() ends the calls, remove() begins them again', async t => {
  const { clock, made, calls } = tableOf()
  made.want(LESSER)
  const connection = new FakeConnection(LESSER)
  t.ok(made.add(connection))
  t.same(made.connections, [connection])
  t.equal(made.get(LESSER), connection)
  calls()
  clock.advance(60_000)
  t.equal(calls(), 0)
  made.remove(connection)
  made.remove(connection)
  t.same(made.connections, [])
  clock.advance(RECONNECT_DELAY_MS_MIN)
  t.equal(calls(), 1)
})

t.test('the waits begin afresh only after a connection that lasted', async t => {
  for (const [lastedMs, waitMs] of [
    [CONNECTION_LASTED_MS - 1, 4 * RECONNECT_DELAY_MS_MIN],
    [CONNECTION_LASTED_MS, RECONNECT_DELAY_MS_MIN]
  ] as const) {
    const { clock, made, calls } = tableOf()
    made.want(LESSER)
    clock.advance(3 * RECONNECT_DELAY_MS_MIN)
    const connection = new FakeConnection(LESSER)
    made.add(connection)
    clock.advance(lastedMs)
    made.remove(connection)
    calls()
    // The wait that had begun before the connection does not count: it was stopped.
    clock.advance(2 * waitMs - 1)
    t.equal(calls() > 0, lastedMs === CONNECTION_LASTED_MS)
  }
})

t.test('add() takes one connection for each device', async t => {
  const { made } = tableOf()
  const first = new FakeConnection(LESSER)
  t.ok(made.add(first))
  const second = new FakeConnection(LESSER)
  t.notOk(made.add(second))
  made.remove(second)
  t.equal(made.get(LESSER), first, 'a connection that was not taken removes nothing')
})

t.test('hurry() calls the missing ones at once and begins the waits afresh', async t => {
  const { clock, made, calls } = tableOf()
  made.want(LESSER)
  made.want(GREATER)
  clock.advance(60_000)
  calls()
  made.hurry()
  t.equal(calls(), 1, 'the one that is ours to call')
  clock.advance(RECONNECT_DELAY_MS_MIN)
  t.equal(calls(), 2)
})

t.test('unwant() ends the calls', async t => {
  const { clock, made, calls } = tableOf()
  made.want(LESSER)
  calls()
  made.unwant(LESSER)
  made.unwant(GREATER)
  clock.advance(60_000)
  t.equal(calls(), 0)
  t.equal(clock.pendingTimers, 0)
})

t.test('admits() keeps what is open and alive, and gives up what is dead', async t => {
  let isAlive = true
  const { made } = tableOf(() => isAlive)
  made.add(new FakeConnection(LESSER))
  t.notOk(await made.admits(LESSER))
  t.notOk(made.mayApproach(LESSER))
  t.equal(made.refused, 0, 'it is no stranger that was turned away')
  isAlive = false
  t.ok(await made.admits(LESSER))
  t.same(made.connections, [])
})

t.test('admits() refuses who may not connect, and a copy of this device', async t => {
  const { made } = tableOf()
  t.notOk(await made.admits(key(66)))
  t.equal(made.refused, 1)
  t.notOk(made.mayApproach(key(66)))
  t.notOk(await made.admits(key(OWN)))
})

t.test('strangers have few places; one that is wanted later frees its place', async t => {
  const { made } = tableOf()
  for (let index = 0; index < STRANGERS_MAX; index++) made.add(new FakeConnection(key(index + 1)))
  t.notOk(await made.admits(GREATER))
  made.want(key(3))
  t.ok(await made.admits(GREATER))
  made.unwant(key(3))
  t.notOk(await made.admits(GREATER))
  const [first] = made.connections
  if (first !== undefined) made.remove(first)
  t.ok(await made.admits(GREATER))
})

t.test('guests take no places of strangers', async t => {
  const { made } = tableOf()
  const guest = (index: number): Uint8Array => key(index).fill(77, 1)
  for (let index = 1; index <= STRANGERS_MAX; index++) made.add(new FakeConnection(guest(index)))
  for (let index = 1; index < STRANGERS_MAX; index++) made.add(new FakeConnection(key(index)))
  t.ok(await made.admits(GREATER))
  made.add(new FakeConnection(GREATER))
  t.notOk(await made.admits(key(60)))
  t.ok(await made.admits(guest(60)))
})

t.test('want() has a limit', async t => {
  const { made } = tableOf()
  const wanted = (index: number): Uint8Array => key(index + 1).fill(0xee, 1)
  for (let index = 0; index < WANTED_PEERS_MAX; index++) made.want(wanted(index))
  t.throws(() => made.want(GREATER), RangeError)
  made.want(wanted(0))
})

t.test('close() closes all connections and stops all timers', async t => {
  const { clock, made, calls } = tableOf()
  made.want(LESSER)
  const connection = new FakeConnection(GREATER)
  made.add(connection)
  await made.admits(key(7))
  await made.close()
  t.ok(connection.isClosed)
  made.remove(connection)
  t.equal(clock.pendingTimers, 0)
  calls()
  made.want(LESSER)
  t.notOk(await made.admits(LESSER))
  t.notOk(made.add(new FakeConnection(LESSER)))
  t.equal(calls(), 0)
})
