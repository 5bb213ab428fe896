/** Who is served by a keeper and who is not, and what those learn who are not. */
import Protomux from 'protomux'
import t, { type Test } from 'tap'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { encodeRequest, type CustodyMethod } from '../../src/replication/custody-message.ts'
import { ANSWERS_UNDER_WAY_MAX, type CustodyRpc } from '../../src/replication/custody-rpc.ts'
import { greetKeeper, type HelloParts } from '../../src/replication/keeper-link.ts'
import {
  CALLS_PER_SECOND_MAX,
  HELLO_MS_MAX,
  HELLO_PARTS_MAX,
  HELLO_STATEMENTS_MAX,
  type KeeperSessionEnd
} from '../../src/replication/keeper-session.ts'
import type { PeerConnection } from '../../src/replication/peer-network.ts'
import { blocksOf, logOf, makeBlocks } from '../suites/holder-link-suite.ts'
import { filled } from '../support/bytes.ts'
import { CustodyStage, type CustodyStageOptions } from '../support/custody-stage.ts'
import { makePerson } from '../support/member-device.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

async function stage(t: Test, options: CustodyStageOptions = {}): Promise<CustodyStage> {
  const made = await CustodyStage.open(options)
  t.teardown(() => made.close())
  return made
}

interface Caller {
  readonly connection: PeerConnection
  readonly rpc: CustodyRpc
  readonly frames: Buffer[]
}

async function call(made: CustodyStage, device = made.device): Promise<Caller> {
  const { connection, rpc } = await made.call(device.network)
  const frames: Buffer[] = []
  connection.stream.on('data', data => frames.push(Buffer.from(data)))
  return { connection, rpc, frames }
}

async function endsAs(
  t: Test,
  made: CustodyStage,
  { connection }: Pick<Caller, 'connection'>,
  end: KeeperSessionEnd
): Promise<void> {
  // The machine's timers do not keep the process alive.
  await until(end, () => made.keeper.ends[end] === 1)
  await connection.closed
  t.pass(end)
}

/** All that whoever is refused hears. */
const MEAGRE_BYTES = 80

function hearsNothing(t: Test, made: CustodyStage, { frames }: Caller): void {
  const heard = Buffer.concat(frames)
  t.ok(heard.length <= MEAGRE_BYTES, `${heard.length} bytes heard`)
  for (const secret of [made.keys.signing.publicKey, made.drive.identity, made.drive.drive])
    t.notOk(heard.includes(Buffer.from(secret)))
}

function hello(made: CustodyStage, caller: Caller, change: Partial<HelloParts> = {}): HelloParts {
  const { identity, drive, statements } = made.drive
  return { ...caller, identity, drive, statements, clock: made.clock, ...change }
}

t.test('a stranger is refused, hears nothing, and is cut off', async t => {
  const made = await stage(t)
  const secret = await made.invite()
  await made.link(made.device, { secret })
  const other = await makePerson(1)
  const identity = other.identity.signing.publicKey
  const newcomer = made.drive.newKeys()
  const cases: [string, DeviceKeys, Partial<HelloParts>][] = [
    ['an unknown person', newcomer, { identity }],
    ['an unknown person with a wrong secret', newcomer, { identity, secret: filled(16, 1) }],
    ['an unknown person with the secret of another', newcomer, { identity, secret }],
    ['a person with another drive', made.device, { drive: filled(32, 1) }],
    ['a device that is no member', newcomer, {}],
    ['a device that is no member, with the secret', newcomer, { secret }],
    ['a device without statements', newcomer, { statements: [] }]
  ]
  for (const [what, device, change] of cases) {
    const caller = await call(made, device)
    const before = made.keeper.ends.refused
    await t.rejects(greetKeeper(hello(made, caller, change)), { code: 'REFUSED' }, what)
    hearsNothing(t, made, caller)
    await ask(caller.rpc, 'usage', encodeRequest('usage', {}))
    await until('the end', () => made.keeper.ends.refused === before + 1)
    await t.rejects(caller.rpc.ask('usage', encodeRequest('usage', {})), { code: 'CLOSED' })
  }
  t.equal(made.keeper.persons().length, 1)
})

t.test('nothing is answered before a greeting', async t => {
  const requests: [CustodyMethod, Uint8Array][] = [
    ['usage', encodeRequest('usage', {})],
    ['hold', encodeRequest('hold', { blocks: blocksOf(logOf('a'), 0, 1) })],
    ['summaries', encodeRequest('summaries', { after: filled(32, 0) })],
    ['receipts', encodeRequest('receipts', { since: 0 })]
  ]
  for (const [method, request] of requests) {
    const made = await stage(t)
    await made.admit()
    const caller = await call(made)
    const answer = await caller.rpc.ask(method, request)
    t.ok(Buffer.from(answer).includes('refused'), method)
    hearsNothing(t, made, caller)
    await endsAs(t, made, caller, 'refused')
  }
})

t.test('who says nothing is cut off when the time is over', async t => {
  const clock = new VirtualClock()
  const made = await stage(t, { clock })
  const caller = await call(made)
  clock.advance(HELLO_MS_MAX - 1)
  t.equal(made.keeper.ends.refused, 0)
  clock.advance(1)
  await endsAs(t, made, caller, 'refused')
})

t.test('a greeting has an end', async t => {
  const made = await stage(t)
  await made.admit()
  const caller = await call(made)
  const { identity, drive } = made.drive
  const part = encodeRequest('hello', {
    ...{ identity, drive, secret: undefined, isLast: false },
    statements: [filled(10, 1)]
  })
  for (let count = 0; count < HELLO_PARTS_MAX; count++) await caller.rpc.ask('hello', part)
  const answer = await caller.rpc.ask('hello', part)
  t.ok(Buffer.from(answer).includes('refused'))
  await endsAs(t, made, caller, 'refused')
})

t.test('a greeting brings no more statements than so many', async t => {
  const made = await stage(t)
  await made.admit()
  const caller = await call(made)
  const statements = Array.from({ length: HELLO_STATEMENTS_MAX + 1 }, () => filled(1, 1))
  const parts = hello(made, caller, { statements })
  await t.rejects(greetKeeper(parts), { code: 'REFUSED' })
  await endsAs(t, made, caller, 'refused')
})

t.test('a second greeting on one connection is refused', async t => {
  const made = await stage(t)
  const { rpc, connection } = await made.admit()
  await t.rejects(greetKeeper(hello(made, { rpc, connection, frames: [] })), { code: 'REFUSED' })
  await endsAs(t, made, { connection }, 'refused')
})

t.test('a suspended device is refused, whatever list it brings', async t => {
  const made = await stage(t)
  await made.admit()
  const thief = made.drive.newKeys()
  made.drive.state('attest', thief, 'stolen')
  const older = [...made.drive.statements]
  const { connection } = await made.link(thief)
  made.drive.state('suspend', thief)
  await made.link()
  await connection.closed
  t.pass('its connection ends when the keeper hears of it')
  for (const statements of [made.drive.statements, older]) {
    const caller = await call(made, thief)
    await t.rejects(greetKeeper(hello(made, caller, { statements })), { code: 'REFUSED' })
  }
  const again = await made.reopen()
  t.teardown(() => again.close())
  const caller = await call(again, thief)
  const brought = hello(again, caller, { statements: older })
  await t.rejects(greetKeeper(brought), { code: 'REFUSED' }, 'the list survives a restart')
})

t.test('a device that the keeper never heard of is let in by its attestation', async t => {
  const made = await stage(t)
  const { greeted } = await made.admit()
  const second = made.drive.newKeys()
  made.drive.state('attest', second, 'second')
  const { greeted: later } = await made.link(second)
  t.same([greeted.listVersion, later.listVersion], [1, 2])
  const { greeted: older } = await made.link(made.device, {
    statements: made.drive.statements.slice(0, 1)
  })
  t.equal(older.listVersion, 2, 'an older list changes nothing')
})

t.test('after the loss of all devices the words are enough', async t => {
  const made = await stage(t)
  await made.admit()
  const lone = await ReplicatedDrive.make()
  const found = DeviceKeys.generate(new SeededRandom(99))
  const statements = [lone.state('attest', found, 'new')]
  const { connection, rpc } = await made.call(found.network)
  const { identity } = made.drive
  const greeted = await greetKeeper({ connection, rpc, identity, statements, clock: made.clock })
  t.same(greeted.drive, made.drive.drive, 'it says which drive it was')
})

t.test('what is malformed, oversize or unknown is cut off and counted', async t => {
  const cases: [string, (caller: Caller) => void][] = [
    ['a request that does not parse', ({ rpc }) => void ask(rpc, 'hold', filled(9, 1))],
    ['a newer version', ({ rpc }) => void ask(rpc, 'usage', Uint8Array.of(2))],
    ['something behind a request', ({ rpc }) => void ask(rpc, 'usage', Uint8Array.of(1, 0))],
    ['an oversize request', ({ rpc }) => void ask(rpc, 'usage', filled(5000, 1))],
    [
      'frames that are none',
      ({ connection }) => connection.stream.write(Buffer.from([0, 1, 99, 1, 0x78, 0]))
    ]
  ]
  for (const [what, act] of cases) {
    const made = await stage(t)
    const { connection, rpc } = await made.admit()
    act({ connection, rpc, frames: [] })
    await connection.closed
    await until(what, () => made.keeper.ends.malformed === 1)
    t.pass(what)
  }
})

t.test('a malformed greeting is cut off', async t => {
  const made = await stage(t)
  const caller = await call(made)
  void ask(caller.rpc, 'hello', filled(40, 1))
  await endsAs(t, made, caller, 'malformed')
  hearsNothing(t, made, caller)
})

t.test('a stranger cannot fill the memory with frames', async t => {
  const made = await stage(t)
  const connection = await made.dial()
  const mux = Protomux.from(connection.stream)
  for (let count = 0; count < 40_000 && !connection.stream.destroying; count++)
    mux.createChannel({ protocol: `x${count}`, messages: [] })?.open()
  await endsAs(t, made, { connection }, 'malformed')
})

t.test('who asks too fast waits for the next second', async t => {
  const clock = new VirtualClock()
  const made = await stage(t, { clock })
  const { rpc } = await made.admit()
  const usage = encodeRequest('usage', {})
  for (let count = 0; count < CALLS_PER_SECOND_MAX; count++) await rpc.ask('usage', usage)
  let isAnswered = false
  const late = rpc.ask('usage', usage).then(() => (isAnswered = true))
  await new Promise(resolve => setTimeout(resolve, 50))
  t.notOk(isAnswered)
  clock.advance(1000)
  await late
  t.equal(made.keeper.ends.malformed, 0)
})

t.test('a flood ends the connection', async t => {
  const made = await stage(t)
  const { connection, rpc } = await made.admit()
  made.source.add(logOf('a'), makeBlocks(9))
  made.source.whenReady = () => new Promise(() => undefined)
  rpc.close()
  const caller = await call(made)
  await greetKeeper(hello(made, caller))
  const request = encodeRequest('hold', { blocks: blocksOf(logOf('a'), 0, 1) })
  const channel = Protomux.from(caller.connection.stream) as unknown as OpenChannels
  const [custody] = [...channel].filter(({ protocol }) => protocol === 'grove/custody/1')
  for (let id = 1; id <= ANSWERS_UNDER_WAY_MAX + 1; id++)
    custody?.messages[0]?.send({ id: 100 + id, method: 'hold', value: request })
  await endsAs(t, made, caller, 'malformed')
  await connection.closed
})

type OpenChannels = Iterable<{
  readonly protocol: string
  readonly messages: readonly { send(request: object): void }[]
}>

function ask(rpc: CustodyRpc, method: CustodyMethod, bytes: Uint8Array): Promise<unknown> {
  return rpc.ask(method, bytes).catch(() => undefined)
}
