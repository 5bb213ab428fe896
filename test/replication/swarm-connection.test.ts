/** A connection of the swarm: signs of life. The rest is in the suite of networks. */
import { EventEmitter } from 'node:events'
import t from 'tap'
import type { SwarmStream } from '../../src/replication/dht-node.ts'
import { SILENCE_MS_MAX } from '../../src/replication/peer-network.ts'
import { PROBE_MS_MIN, SwarmConnection } from '../../src/replication/swarm-connection.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

class FakeStream extends EventEmitter {
  readonly rawStream = { rtt: 0, packetsReceived: 10 }
  destroying = false
  silenceMs = 0
  keepAlives = 0

  setTimeout(ms: number): void {
    this.silenceMs = ms
  }

  sendKeepAlive(): void {
    this.keepAlives++
  }

  destroy(): void {
    if (this.destroying) return
    this.destroying = true
    queueMicrotask(() => this.emit('close'))
  }
}

function connection() {
  const clock = new VirtualClock()
  const stream = new FakeStream()
  const closed: SwarmConnection[] = []
  const made = new SwarmConnection(stream as unknown as SwarmStream, {
    clock,
    onClosed: each => closed.push(each)
  })
  return { clock, stream, closed, made }
}

t.test('isAlive() when any packet comes', async t => {
  const { clock, stream, made } = connection()
  const [first, second] = [made.isAlive(), made.isAlive()]
  t.equal(stream.keepAlives, 1, 'one question at a time')
  stream.rawStream.packetsReceived++
  clock.advance(PROBE_MS_MIN)
  t.same(await Promise.all([first, second]), [true, true])
  t.notOk(stream.destroying)
  const again = made.isAlive()
  t.equal(stream.keepAlives, 2)
  clock.advance(PROBE_MS_MIN)
  t.notOk(await again)
})

t.test('isAlive() closes a connection that is silent, and says so after it closed', async t => {
  const { clock, stream, closed, made } = connection()
  const answer = made.isAlive()
  clock.advance(PROBE_MS_MIN - 1)
  t.notOk(stream.destroying)
  clock.advance(1)
  t.notOk(await answer)
  t.same(closed, [made])
  await made.closed
  t.notOk(await made.isAlive())
})

t.test('isAlive() gives a slow connection more time', async t => {
  const { clock, stream, made } = connection()
  stream.rawStream.rtt = 2_000
  const answer = made.isAlive()
  clock.advance(7_999)
  stream.rawStream.packetsReceived++
  clock.advance(1)
  t.ok(await answer)
  t.equal(made.rttMs, 2_000)
})

t.test('isAlive() of a connection that closes while it is asked is no', async t => {
  const { clock, stream, made } = connection()
  const answer = made.isAlive()
  stream.rawStream.packetsReceived++
  stream.destroy()
  clock.advance(PROBE_MS_MIN)
  t.notOk(await answer)
})

t.test('a silent stream is given up, and its errors end in closed', async t => {
  const { stream, closed, made } = connection()
  t.equal(stream.silenceMs, SILENCE_MS_MAX)
  stream.emit('error', new Error('reset'))
  stream.emit('close')
  t.same(closed, [made], 'told in the same tick')
  await made.closed
})
