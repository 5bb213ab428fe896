/** Requests and answers in both directions of one connection, and what ends it. */
import Protomux from 'protomux'
import t, { type Test } from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { requestBytesMax } from '../../src/replication/custody-message.ts'
import {
  ANSWERS_UNDER_WAY_MAX,
  CALLS_UNDER_WAY_MAX,
  CustodyRpc,
  type CustodyRpcParts
} from '../../src/replication/custody-rpc.ts'
import { GuardedMux } from '../../src/replication/guarded-mux.ts'
import type { PeerConnection } from '../../src/replication/peer-network.ts'
import { filled } from '../support/bytes.ts'
import { MemoryFabric } from '../support/memory-peer-network.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'

interface End {
  readonly connection: PeerConnection
  faults: number
  closes: number
}

/** Both ends of a connection, with guarded multiplexers. */
async function ends(t: Test): Promise<readonly [End, End]> {
  const fabric = new MemoryFabric({ clock: new SystemClock(), random: new SeededRandom(3) })
  const networks = [fabric.network(), fabric.network()] as const
  const made: End[] = []
  for (const network of networks) {
    network.onConnection = connection => {
      network.disconnectFrom(networks[1].publicKey)
      const end = { connection, faults: 0, closes: 0 }
      GuardedMux.install(connection.stream, { admits: () => true, onFault: () => end.faults++ })
      made.push(end)
    }
    network.join(filled(32, 1))
    t.teardown(() => network.close())
  }
  await until('both ends', () => made.length === 2)
  const [left, right] = made
  if (left === undefined || right === undefined) throw new Error('no ends')
  return [left, right]
}

function open(end: End, answer: CustodyRpcParts['answer']): CustodyRpc {
  return CustodyRpc.open({
    stream: end.connection.stream,
    answer,
    onFault: () => {
      end.faults++
      void end.connection.close()
    },
    onClose: () => end.closes++
  })
}

const echo: CustodyRpcParts['answer'] = (method, bytes) =>
  Promise.resolve(Buffer.concat([Buffer.from(method), bytes]))
const never = (): Promise<Uint8Array> => new Promise(() => undefined)

t.test('both ends ask and answer on one channel', async t => {
  const [left, right] = await ends(t)
  const [a, b] = [open(left, echo), open(right, echo)]
  t.equal(Buffer.from(await a.ask('hold', filled(2, 0x61))).toString(), 'holdaa')
  t.equal(Buffer.from(await b.ask('usage', filled(1, 0x62))).toString(), 'usageb')
  t.throws(() => open(left, echo), { code: 'CLOSED' }, 'one channel of a connection')
  a.close()
  await until('the other end knows', () => b.isClosed)
  await t.rejects(b.ask('usage', filled(1, 1)), { code: 'CLOSED' })
  t.same([left.closes, right.closes, left.faults, right.faults], [1, 1, 0, 0])
})

t.test('who asks when the connection goes hears of it', async t => {
  const [left, right] = await ends(t)
  const a = open(left, echo)
  open(right, never)
  const asked = a.ask('hold', filled(1, 1))
  await right.connection.close()
  await t.rejects(asked, { code: 'CLOSED' })
  await t.rejects(a.ask('hold', filled(1, 1)), { code: 'CLOSED' })
  await a.whenDrained()
  t.throws(() => open(left, echo), { code: 'CLOSED' })
})

t.test('one end asks no more than so much at a time', async t => {
  const [left, right] = await ends(t)
  const a = open(left, echo)
  const b = open(right, never)
  for (let count = 0; count < CALLS_UNDER_WAY_MAX; count++)
    a.ask('usage', filled(1, 1)).catch(() => undefined)
  await t.rejects(a.ask('usage', filled(1, 1)), { code: 'UNAVAILABLE' })
  t.notOk(b.isClosed)
})

/** Speaks protomux-rpc by hand: requests of any number, method and content. */
function speak(end: End): (id: number, method: string, value: Uint8Array) => void {
  const channel = Protomux.from(end.connection.stream).createChannel({
    protocol: 'grove/custody/1',
    messages: [{ onmessage: () => undefined }, { onmessage: () => undefined }]
  })
  channel?.open()
  return (id, method, value) => {
    const name = Buffer.from(method)
    channel?.messages[0]?.send(Buffer.concat([Uint8Array.of(id, name.length), name, value]))
  }
}

t.test('what nobody sends is a fault', async t => {
  const cases: Record<string, (say: ReturnType<typeof speak>) => void> = {
    'an unknown method': say => say(1, 'eval', filled(1, 1)),
    'a request that wants no answer': say => say(0, 'usage', filled(1, 1)),
    'an oversize request': say => say(1, 'usage', filled(requestBytesMax('usage') + 1, 1)),
    'more than anybody waits for': say => {
      for (let id = 1; id <= ANSWERS_UNDER_WAY_MAX + 1; id++) say(id, 'usage', filled(1, 1))
    }
  }
  for (const [what, act] of Object.entries(cases)) {
    const [left, right] = await ends(t)
    open(right, never)
    act(speak(left))
    await right.connection.closed
    t.ok(right.faults > 0, what)
  }
})

t.test('an answer that fails ends the connection and not the process', async t => {
  const [left, right] = await ends(t)
  const a = open(left, echo)
  open(right, () => Promise.reject(new Error('unforeseen')))
  await t.rejects(a.ask('usage', filled(1, 1)), { code: 'BAD_ANSWER' })
})

t.test('a request under way does not hold up what came with it', async t => {
  const [left, right] = await ends(t)
  open(right, never)
  const say = speak(left)
  let isHeard = false
  const listen = Protomux.from(left.connection.stream).createChannel({
    protocol: 'other',
    messages: [{ onmessage: () => (isHeard = true) }]
  })
  const answer = Protomux.from(right.connection.stream).createChannel({
    protocol: 'other',
    messages: [{ onmessage: () => answer?.messages[0]?.send(filled(1, 1)) }]
  })
  listen?.open()
  answer?.open()
  const mux = Protomux.from(left.connection.stream) as unknown as { cork(): void; uncork(): void }
  mux.cork()
  say(1, 'usage', filled(1, 1))
  listen?.messages[0]?.send(filled(1, 1))
  mux.uncork()
  await until('an answer to the other', () => isHeard)
  t.pass()
})
