/** Who gets into a session and who does not, and what those learn who do not. */
import t, { type Test } from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { keyedBlake2b } from '../../src/crypto/sodium.ts'
import {
  GREETING_MS_MAX,
  MESSAGES_PER_SECOND_MAX,
  PROVING_BYTES_MAX,
  type SessionEnd
} from '../../src/replication/peer-session.ts'
import { encodeSessionMessage } from '../../src/replication/session-message.ts'
import { makePerson, state } from '../support/member-device.ts'
import { MemoryFabric, type NetworkKeyPair } from '../support/memory-peer-network.ts'
import { RawPeer } from '../support/raw-peer.ts'
import { ReplicatedDrive, type ReplicatedDevice } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

interface Stage {
  readonly drive: ReplicatedDrive
  /** The device under test, connected. */
  readonly a: ReplicatedDevice
  /** Another member, played by hand. */
  readonly b: ReplicatedDevice
  readonly fabric: MemoryFabric
  /** Connects as b, or as whoever has these keys. */
  readonly meet: (keys?: NetworkKeyPair) => Promise<RawPeer>
}

/** A device with an entry and a block, and another member's keys. */
async function stage(t: Test, clock = new VirtualClock()): Promise<Stage> {
  const drive = await ReplicatedDrive.make()
  const b = await drive.device('b')
  const a = await drive.device('a', { clock })
  const fabric = new MemoryFabric({ clock: new SystemClock(), random: new SeededRandom(7) })
  t.teardown(async () => {
    await a.close()
    await b.close()
  })
  await a.commit(Buffer.from('secret'), [Buffer.from('secret too')])
  const network = fabric.network(a.options.deviceKeys.network)
  a.connect(network)
  const meet = async (keys = b.options.deviceKeys.network): Promise<RawPeer> => {
    const other = fabric.network(keys)
    t.teardown(() => other.close())
    return RawPeer.connect(other, network.publicKey)
  }
  return { drive, a, b, fabric, meet }
}

/** What nobody may hear who is no member. */
function secretsOf(a: ReplicatedDevice): readonly [string, Buffer][] {
  const message = Buffer.from('hypercore')
  const secrets: [string, Buffer][] = [['drive', Buffer.from(a.drive.drive)]]
  for (const { operationLog, contentLog } of a.pairs.announcements) {
    for (const log of [operationLog, contentLog]) {
      const key = Buffer.from(log.key, 'hex')
      const discoveryKey = keyedBlake2b({ key, message, bytes: 32 })
      secrets.push(['log key', key], ['discovery key', Buffer.from(discoveryKey)])
      secrets.push(['public key of a log', Buffer.from(log.publicKey)])
    }
  }
  for (const { signing } of a.members.all()) secrets.push(['signing key', Buffer.from(signing)])
  return secrets
}

function hearsNothing(t: Test, a: ReplicatedDevice, peer: RawPeer): void {
  const heard = Buffer.concat(peer.frames)
  for (const [what, secret] of secretsOf(a)) t.notOk(heard.includes(secret), `no ${what}`)
  t.ok(heard.length <= MEAGRE_BYTES, `${String(heard.length)} bytes heard`)
  t.same(
    peer.messages.map(({ kind }) => kind),
    ['prove']
  )
}

/** The channel's name, a key id, a hash, and the framing around them. */
const MEAGRE_BYTES = 80

async function endsAs(t: Test, a: ReplicatedDevice, peer: RawPeer, end: SessionEnd): Promise<void> {
  await peer.connection.closed
  await until(end, () => a.replication.status.ends[end] === 1)
  t.pass(`ended: ${end}`)
  t.ok(a.replication.peers().every(({ connected }) => !connected))
}

t.test('a stranger without a drive key is refused and hears nothing', async t => {
  const { a, meet, fabric } = await stage(t)
  const peer = await meet(fabric.keyPair())
  await until('the proof', () => peer.messages.length > 0)
  peer.say({ kind: 'prove', keyId: 1, proof: new Uint8Array(32) })
  await endsAs(t, a, peer, 'stranger')
  hearsNothing(t, a, peer)
})

t.test('a stranger that says nothing is refused when its time is over', async t => {
  const clock = new VirtualClock()
  const { a, meet, fabric } = await stage(t, clock)
  const peer = await meet(fabric.keyPair())
  await until('the proof', () => peer.messages.length > 0)
  clock.advance(GREETING_MS_MAX)
  await endsAs(t, a, peer, 'stranger')
  hearsNothing(t, a, peer)
})

t.test('a proof of another key, drive or direction is none', async t => {
  for (const forge of ['key', 'drive', 'mirror', 'key id'] as const) {
    const { a, meet, drive } = await stage(t)
    const peer = await meet()
    await until('the proof', () => peer.messages.length > 0)
    const other = KeyTable.generate(new SeededRandom(99))
    const [own] = peer.messages
    if (forge === 'key') peer.say(peer.proof(other, drive.drive))
    if (forge === 'drive') peer.say(peer.proof(drive.keys, new Uint8Array(32)))
    if (forge === 'mirror' && own !== undefined) peer.say(own)
    if (forge === 'key id') peer.say({ ...peer.proof(drive.keys, drive.drive), keyId: 77 })
    await endsAs(t, a, peer, 'stranger')
    hearsNothing(t, a, peer)
  }
})

t.test('who has a drive key and is no member learns neither of logs nor of members', async t => {
  const { a, drive, meet, fabric } = await stage(t)
  for (const isPatient of [false, true]) {
    const peer = await meet(fabric.keyPair())
    peer.say(peer.proof(drive.keys, drive.drive))
    if (isPatient) await until('our greeting, in vain', () => peer.messages.length > 0)
    peer.say({ kind: 'hello', isLast: true, statements: drive.statements })
    await peer.connection.closed
    hearsNothing(t, a, peer)
  }
  await until('both', () => a.replication.status.ends['no-member'] === 2)
})

t.test('who has a drive key and is no member adds no statements by strangers', async t => {
  const { a, drive, meet, fabric } = await stage(t)
  const [junk, stranger] = [drive.newKeys(), drive.newKeys()]
  const before = a.members.refused
  const [follows] = drive.statements
  if (follows === undefined) throw new Error('no statements')
  const saying = { action: 'suspend', about: junk, after: follows } as const
  const statement = state(await makePerson(), stranger.signing, saying)
  const peer = await meet(fabric.keyPair())
  peer.say(peer.proof(drive.keys, drive.drive))
  peer.say({ kind: 'hello', isLast: true, statements: [statement] })
  await endsAs(t, a, peer, 'no-member')
  t.equal(a.members.refused, before + 1)
  t.equal(a.members.waiting, 0)
  t.equal(a.members.add(statement), 'waiting', 'it is genuine, and of this drive')
})

t.test('two members that never heard of each other meet once one has', async t => {
  const { a, drive, meet } = await stage(t)
  const newcomer = drive.newKeys()
  const peer = await meet(newcomer.network)
  peer.say(peer.proof(drive.keys, drive.drive))
  await until('the proof', () => peer.messages.length > 0)
  a.members.add(drive.state('attest', newcomer, 'newcomer'))
  peer.say({ kind: 'hello', isLast: true, statements: [] })
  await until('the logs', () => peer.messages.some(({ kind }) => kind === 'logs'))
  t.same(
    peer.messages.slice(0, 3).map(({ kind }) => kind),
    ['prove', 'hello', 'logs']
  )
})

t.test('a suspended member is refused, at once and when it was connected', async t => {
  const { a, b, drive, meet } = await stage(t)
  const peer = await meet()
  peer.say(peer.proof(drive.keys, drive.drive))
  peer.say({ kind: 'hello', isLast: true, statements: drive.statements })
  await until('the logs', () => peer.messages.some(({ kind }) => kind === 'logs'))
  a.members.add(drive.state('suspend', b.options.deviceKeys))
  await endsAs(t, a, peer, 'no-member')
})

t.test('a member that was suspended before is not even spoken to', async t => {
  const { a, b, drive, fabric } = await stage(t)
  a.members.add(drive.state('suspend', b.options.deviceKeys))
  const network = fabric.network(b.options.deviceKeys.network)
  t.teardown(() => network.close())
  network.connectTo(a.options.deviceKeys.network.publicKey)
  await until('the refusal', () => a.replication.status.refused > 0)
  t.equal(a.network[0]?.connections.length, 0)
})

t.test('a member that was not heard of is let in by its attestation', async t => {
  const { a, drive, meet } = await stage(t)
  const newcomer = drive.newKeys()
  drive.state('attest', newcomer, 'newcomer')
  const peer = await meet(newcomer.network)
  peer.say(peer.proof(drive.keys, drive.drive))
  const [first, ...rest] = drive.statements
  peer.say({ kind: 'hello', isLast: false, statements: first === undefined ? [] : [first] })
  peer.say({ kind: 'hello', isLast: true, statements: rest })
  await until('the logs', () => peer.messages.some(({ kind }) => kind === 'logs'))
  t.match(a.replication.peers().at(-1), { name: 'newcomer', connected: true })
})

t.test('what is malformed or out of turn ends the session', async t => {
  const oversize = new Uint8Array(200_000).fill(3)
  const cases: [string, (peer: RawPeer, drive: ReplicatedDrive) => void][] = [
    ['an empty message', peer => peer.sayBytes(new Uint8Array(0))],
    ['an unknown message', peer => peer.sayBytes(Uint8Array.of(99))],
    ['an oversize message', peer => peer.sayBytes(oversize)],
    ['heads before a proof', peer => peer.say({ kind: 'heads', heads: new Map() })],
    [
      'a greeting before a proof',
      peer => peer.say({ kind: 'hello', isLast: true, statements: [] })
    ],
    [
      'logs before a greeting',
      (peer, drive) => {
        peer.say(peer.proof(drive.keys, drive.drive))
        peer.say({ kind: 'logs', announcements: [] })
      }
    ],
    [
      'a second proof',
      (peer, drive) => {
        peer.say(peer.proof(drive.keys, drive.drive))
        peer.say(peer.proof(drive.keys, drive.drive))
      }
    ],
    [
      'a message with something behind it',
      (peer, drive) => {
        const proof = encodeSessionMessage(peer.proof(drive.keys, drive.drive))
        peer.sayBytes(Buffer.concat([proof, Uint8Array.of(0)]))
      }
    ]
  ]
  for (const [what, speak] of cases) {
    await t.test(what, async t => {
      const { a, drive, meet } = await stage(t)
      const peer = await meet()
      speak(peer, drive)
      await endsAs(t, a, peer, 'malformed')
    })
  }
})

t.test('a stranger cannot open channels without end', async t => {
  const { a, meet, fabric } = await stage(t)
  const { connection } = await meet(fabric.keyPair())
  for (let sent = 0, id = 2; sent <= PROVING_BYTES_MAX; id++) {
    const open = Buffer.from([0, 1, id, 1, 0x78, 0])
    connection.stream.write(open)
    sent += open.length
  }
  await connection.closed
  await until('the end', () => a.replication.status.ends.malformed === 1)
})

t.test('a member that sends more messages than it may is cut off, and stays away', async t => {
  const clock = new VirtualClock()
  const { a, b, drive, meet } = await stage(t, clock)
  const peer = await meet()
  peer.say(peer.proof(drive.keys, drive.drive))
  peer.say({ kind: 'hello', isLast: true, statements: drive.statements })
  for (let count = 2; count < MESSAGES_PER_SECOND_MAX; count++)
    peer.say({ kind: 'heads', heads: new Map() })
  await until('the logs', () => peer.messages.some(({ kind }) => kind === 'logs'))
  t.equal(a.replication.status.ends.flood, 0, 'as many as it may')
  clock.advance(1000)
  peer.say({ kind: 'heads', heads: new Map() })
  for (let count = 0; count < MESSAGES_PER_SECOND_MAX; count++)
    peer.say({ kind: 'heads', heads: new Map() })
  await endsAs(t, a, peer, 'flood')
  t.equal(a.network[0]?.mayConnect(b.options.deviceKeys.network.publicKey), false)
})
