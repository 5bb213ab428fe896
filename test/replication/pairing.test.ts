/** Inviting and joining: one device, once, in time, and only what is genuine. */
import t from 'tap'
import { systemRandom } from '../../bin/system-random.ts'
import { openDeviceName } from '../../src/crypto/device-name.ts'
import { envelopeHeader } from '../../src/crypto/drive-key-envelope.ts'
import { NO_PREVIOUS } from '../../src/crypto/statement.ts'
import type { KeyFileContent } from '../../src/crypto/key-file.ts'
import { openMemberStatement, signMemberStatement } from '../../src/crypto/member-statement.ts'
import { Sealer } from '../../src/crypto/sealer.ts'
import {
  INVITATIONS_MAX,
  INVITATION_LINGER_MS,
  INVITATION_MINUTES,
  INVITATION_MINUTES_MAX
} from '../../src/replication/pairing.ts'
import { memberId } from '../../src/sync/members.ts'
import { toHex } from '../support/bytes.ts'
import {
  PairingFabric,
  inviterOf,
  join,
  makeInviter,
  untilClosed
} from '../support/pairing-parties.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

/** Long enough that only a fault waits for it. */
const NEVER_MS = 20_000
/** For answers that must not come. */
const BRIEFLY_MS = 300

t.test('a device joins with a code, and a third with one of the second', async t => {
  const { openNetwork } = new PairingFabric()
  const desk = await makeInviter({ openNetwork })
  t.teardown(() => desk.pairing.close())
  const steps: string[] = []
  const { code, expiresMs } = desk.pairing.createInvitation()
  t.ok(Math.abs(expiresMs - Date.now() - INVITATION_MINUTES * 60_000) < 5_000)
  const { content, inviter } = await join(code, {
    openNetwork,
    onProgress: step => steps.push(step)
  })
  t.same(steps, ['searching', 'asking', 'checking'])
  t.equal(inviter.name, 'desk')
  t.same(inviter.network, desk.content.deviceKeys.network.publicKey)
  for (const part of ['drive', 'identity', 'recoveryKey'] as const) {
    t.same(content[part], desk.content[part], part)
  }
  t.same(content.keys.rows(), desk.content.keys.rows())
  for (const part of ['indexKey', 'logSeed'] as const) {
    t.not(toHex(content[part]), toHex(desk.content[part]), part)
  }

  const laptop = inviterOf(content, { openNetwork })
  t.teardown(() => laptop.pairing.close())
  const third = await join(laptop.pairing.createInvitation().code, { openNetwork, name: 'phone' })
  t.equal(third.inviter.name, 'laptop')
  const phone = inviterOf(third.content, { openNetwork })
  desk.members.add(third.content.statements.at(-1) ?? new Uint8Array(0))
  for (const { members } of [desk, laptop, phone]) {
    t.same(
      members.all().map(({ name, rights }) => [name, rights.length]),
      [
        ['desk', 4],
        ['laptop', 4],
        ['phone', 4]
      ]
    )
  }
})

t.test('what one device seals the other opens', async t => {
  const { openNetwork } = new PairingFabric()
  const desk = await makeInviter({ openNetwork })
  t.teardown(() => desk.pairing.close())
  desk.content.keys.generate(systemRandom)
  const { content } = await join(desk.pairing.createInvitation().code, { openNetwork })
  t.equal(content.keys.size, 2)
  const log = systemRandom.bytes(32)
  const sealerOf = ({ keys, drive }: KeyFileContent) =>
    new Sealer({ keys, drive, purpose: 'entry', log, random: systemRandom })
  const sealed = sealerOf(desk.content).seal(Buffer.from('an entry'), 3)
  t.equal(Buffer.from(sealerOf(content).open(sealed, 3)).toString(), 'an entry')
})

t.test('the new member is recorded durably before it hears', async t => {
  const { openNetwork } = new PairingFabric()
  let finish: () => void = () => undefined
  const recording = new Promise<void>(resolve => (finish = resolve))
  let begun: () => void = () => undefined
  const asked = new Promise<void>(resolve => (begun = resolve))
  const desk = await makeInviter({
    openNetwork,
    record: async operations => {
      t.equal(operations[0]?.type, 'statement')
      const [statement, ...envelopes] = operations.map(operation =>
        'bytes' in operation ? operation.bytes : new Uint8Array(0)
      )
      const { subject, sealedName, signer } = openMemberStatement(statement ?? new Uint8Array(0))
      t.same(signer, desk.content.deviceKeys.signing.publicKey)
      const device = subject.signing
      t.equal(openDeviceName({ sealed: sealedName, device, keys: desk.content.keys }), 'laptop')
      t.equal(envelopes.length, 1)
      t.same(envelopeHeader(envelopes[0] ?? new Uint8Array(0)).recipient, subject.box)
      begun()
      await recording
    }
  })
  t.teardown(() => desk.pairing.close())
  let joined = false
  const joining = join(desk.pairing.createInvitation().code, { openNetwork }).then(received => {
    joined = true
    return received
  })
  await asked
  await new Promise(resolve => setTimeout(resolve, 50))
  t.notOk(joined)
  t.equal(desk.members.all().length, 1)
  finish()
  const { content } = await joining
  t.ok(desk.members.bySigning(memberId(content.deviceKeys.signing.publicKey)))
})

t.test('what cannot be recorded makes no member', async t => {
  const { openNetwork } = new PairingFabric()
  const desk = await makeInviter({
    openNetwork,
    record: () => Promise.reject(new Error('the disk is full'))
  })
  t.teardown(() => desk.pairing.close())
  const { code } = desk.pairing.createInvitation()
  await t.rejects(join(code, { openNetwork }), { code: 'REFUSED' })
  t.equal(desk.members.all().length, 1)
  t.match(desk.reports, [/the disk is full/])
})

t.test('a code works once', async t => {
  const { openNetwork } = new PairingFabric()
  const desk = await makeInviter({ openNetwork })
  t.teardown(() => desk.pairing.close())
  const { code } = desk.pairing.createInvitation()
  const outcomes = await Promise.allSettled(
    ['laptop', 'phone', 'tablet'].map(name => join(code, { openNetwork, name }))
  )
  const joined = outcomes.filter(({ status }) => status === 'fulfilled')
  t.equal(joined.length, 1)
  t.match(
    outcomes.filter(({ status }) => status === 'rejected'),
    [{ reason: { code: 'USED' } }, { reason: { code: 'USED' } }]
  )
  t.equal(desk.members.all().length, 2)
  t.equal(desk.recorded.length, 1)
})

t.test('a code expires, says so for a while, and then is silent', async t => {
  const { openNetwork, networks } = new PairingFabric()
  const clock = new VirtualClock(Math.floor(Date.now() / 1_000))
  const desk = await makeInviter({ openNetwork, clock })
  t.teardown(() => desk.pairing.close())
  const { code } = desk.pairing.createInvitation({ minutes: 1 })
  clock.advance(61_000)
  await t.rejects(join(code, { openNetwork }), { code: 'EXPIRED' })
  t.equal(desk.recorded.length, 0)
  clock.advance(INVITATION_LINGER_MS)
  await untilClosed(networks[0])
  const late = new VirtualClock(Math.floor(Date.now() / 1_000) + 61)
  const asking = join(code, { openNetwork, clock: late })
  late.advance(60_000)
  await t.rejects(asking, { code: 'EXPIRED' }, 'by the clock of the newcomer')
})

t.test('a connection that breaks while the answer is made is made anew', async t => {
  const { openNetwork, networks, fabric } = new PairingFabric()
  let records = 0
  const desk = await makeInviter({
    openNetwork,
    record: async () => {
      records++
      const [inviter, newcomer] = networks
      if (inviter !== undefined && newcomer !== undefined) fabric.dropConnection(inviter, newcomer)
    }
  })
  t.teardown(() => desk.pairing.close())
  const { code } = desk.pairing.createInvitation()
  const { content } = await join(code, { openNetwork, deadlineMs: NEVER_MS })
  t.equal(records, 1, 'the second time it is given what was made the first time')
  t.equal(desk.members.all().length, 2)
  t.same(content.drive, desk.content.drive)
})

t.test('who may not invite cannot', async t => {
  const { openNetwork } = new PairingFabric()
  const desk = await makeInviter({ openNetwork })
  t.teardown(() => desk.pairing.close())
  const { content } = await join(desk.pairing.createInvitation().code, { openNetwork })
  const stranger = inviterOf({ ...desk.content, statements: [] }, { openNetwork })
  t.throws(() => stranger.pairing.createInvitation(), { code: 'REFUSED' })
  const { code } = desk.pairing.createInvitation()
  const { deviceKeys, identity } = content
  const suspension = signMemberStatement(
    {
      action: 'suspend',
      ...desk.members.head,
      identity,
      subject: desk.content.deviceKeys.publicKeys,
      rights: [],
      issuedMs: Date.now(),
      envelopesHash: NO_PREVIOUS,
      cuts: [],
      sealedName: new Uint8Array(0),
      proof: new Uint8Array(0)
    },
    deviceKeys.signing
  )
  t.equal(desk.members.add(suspension), 'added')
  await t.rejects(join(code, { openNetwork }), { code: 'REFUSED' }, 'suspended meanwhile')
  t.match(desk.reports.at(-1), /may not invite/)
  t.throws(() => desk.pairing.createInvitation(), { code: 'REFUSED' })
})

t.test('a device that is a member already is not taken in again', async t => {
  const { openNetwork } = new PairingFabric()
  const desk = await makeInviter({ openNetwork })
  t.teardown(() => desk.pairing.close())
  const again = () => {
    const { code } = desk.pairing.createInvitation()
    return join(code, { openNetwork, random: new SeededRandom(7) })
  }
  await again()
  await t.rejects(again(), { code: 'REFUSED' })
  t.match(desk.reports.at(-1), /a member already/)
  t.equal(desk.recorded.length, 1)
})

t.test('invitations are bounded in time and number', async t => {
  const { openNetwork, networks } = new PairingFabric()
  const desk = await makeInviter({ openNetwork })
  t.teardown(() => desk.pairing.close())
  for (const minutes of [0, -1, Number.NaN, INVITATION_MINUTES_MAX + 1]) {
    t.throws(() => desk.pairing.createInvitation({ minutes }), RangeError)
  }
  const codes = Array.from({ length: INVITATIONS_MAX + 1 }, () => {
    return desk.pairing.createInvitation({ minutes: INVITATION_MINUTES_MAX }).code
  })
  t.equal(new Set(codes).size, codes.length)
  await untilClosed(networks[0])
  t.same(
    networks.map(({ isClosed }) => isClosed),
    codes.map((_, at) => at === 0),
    'the oldest has ended'
  )
  await join(codes.at(-1) ?? '', { openNetwork })
})

t.test('close() ends invitations, once', async t => {
  const { openNetwork, networks } = new PairingFabric()
  const desk = await makeInviter({ openNetwork })
  const { code } = desk.pairing.createInvitation()
  await Promise.all([desk.pairing.close(), desk.pairing.close()])
  t.equal(networks[0]?.isClosed, true)
  t.throws(() => desk.pairing.createInvitation(), { code: 'CLOSED' })
  await t.rejects(join(code, { openNetwork, deadlineMs: BRIEFLY_MS }), { code: 'NO_ANSWER' })
})
