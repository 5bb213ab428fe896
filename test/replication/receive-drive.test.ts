/** Joining: one clear error for each thing that goes wrong, and nothing left of it. */
import t from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { decodeInvitationCode, encodeInvitationCode } from '../../src/crypto/invitation-code.ts'
import { offerPairing, type PairingReply } from '../../src/replication/pairing-carrier.ts'
import { RECEIVE_DEADLINE_MS } from '../../src/replication/receive-drive.ts'
import { filled } from '../support/bytes.ts'
import { PairingFabric, join, makeInviter } from '../support/pairing-parties.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

/** For answers that must not come. */
const BRIEFLY_MS = 300

/** Somebody with a genuine code who answers as told. */
function impostor(openNetwork: PairingFabric['openNetwork'], reply: PairingReply) {
  const secret = systemRandom.bytes(16)
  const offer = offerPairing({
    network: openNetwork(),
    secret,
    clock: new SystemClock(),
    onRequest: () => Promise.resolve(reply)
  })
  return { offer, code: encodeInvitationCode({ secret, expiresMs: Date.now() + 60_000 }) }
}

t.test('a wrong code finds nobody, a mistyped one is not even tried', async t => {
  const { openNetwork, networks } = new PairingFabric()
  const desk = await makeInviter({ openNetwork })
  t.teardown(() => desk.pairing.close())
  const { code } = desk.pairing.createInvitation()
  await t.rejects(join(code.slice(1), { openNetwork }), { code: 'BAD_CODE' })
  await t.rejects(join(`${code.slice(0, -1)}0`, { openNetwork }), { code: 'BAD_CODE' })
  t.equal(networks.length, 1)
  const { secret, expiresMs } = decodeInvitationCode(code)
  secret.set([(secret[0] ?? 0) ^ 1])
  const wrong = join(encodeInvitationCode({ secret, expiresMs }), {
    openNetwork,
    deadlineMs: BRIEFLY_MS
  })
  await t.rejects(wrong, { code: 'NO_ANSWER', message: /nobody answers/ })
  t.equal(networks[1]?.isClosed, true)
  t.equal(desk.recorded.length, 0)
})

t.test('joining can be given up', async t => {
  const { openNetwork, networks } = new PairingFabric()
  const code = encodeInvitationCode({
    secret: systemRandom.bytes(16),
    expiresMs: Date.now() + 60_000
  })
  await t.rejects(join(code, { openNetwork, signal: AbortSignal.abort() }), { code: 'INTERRUPTED' })
  t.equal(networks.length, 0)
  const controller = new AbortController()
  const joining = join(code, { openNetwork, signal: controller.signal })
  controller.abort()
  await t.rejects(joining, { code: 'INTERRUPTED' })
  t.equal(networks[0]?.isClosed, true)
})

t.test('a network that does not come back is a clean failure', async t => {
  const { openNetwork, networks, fabric } = new PairingFabric()
  const desk = await makeInviter({
    openNetwork,
    record: async () => {
      const [inviter, newcomer] = networks
      if (inviter === undefined || newcomer === undefined) return
      fabric.partition(inviter, newcomer)
      fabric.dropConnection(inviter, newcomer)
    }
  })
  t.teardown(() => desk.pairing.close())
  const { code } = desk.pairing.createInvitation()
  const joining = join(code, { openNetwork, deadlineMs: BRIEFLY_MS })
  await t.rejects(joining, { code: 'NO_ANSWER', message: /connection broke/ })
  t.equal(networks[1]?.isClosed, true)
  t.equal(desk.members.all().length, 2, 'the member that nobody is')
  const again = desk.pairing.createInvitation()
  const { content } = await join(again.code, { openNetwork })
  t.same(content.drive, desk.content.drive, 'joins with a new code')
})

t.test('an answer that is not genuine is not believed', async t => {
  const { openNetwork, networks } = new PairingFabric()
  for (const [answer, code] of [
    [filled(1, 1), 'BAD_ANSWER'],
    [filled(400, 1), 'BAD_ANSWER'],
    [filled(400, 2), 'NEWER_FORMAT']
  ] as const) {
    const { offer, code: invitation } = impostor(openNetwork, { answer })
    await t.rejects(join(invitation, { openNetwork }), { name: 'ReplicationError', code })
    await offer.close()
  }
  t.ok(networks.every(({ isClosed }) => isClosed))
})

t.test('each refusal has its code', async t => {
  const { openNetwork } = new PairingFabric()
  for (const [refusal, code] of [
    ['refused', 'REFUSED'],
    ['used', 'USED'],
    ['expired', 'EXPIRED']
  ] as const) {
    const { offer, code: invitation } = impostor(openNetwork, { refusal })
    await t.rejects(join(invitation, { openNetwork }), { name: 'ReplicationError', code })
    await offer.close()
  }
})

t.test('a name that no device can have is a mistake of the caller', async t => {
  const { openNetwork, networks } = new PairingFabric()
  const code = encodeInvitationCode({ secret: filled(16, 1), expiresMs: Date.now() + 60_000 })
  for (const name of ['', 'n'.repeat(64)]) {
    await t.rejects(join(code, { openNetwork, name }), RangeError)
  }
  t.equal(networks.length, 0)
})

t.test('an answer is waited for so long and no longer', async t => {
  const { openNetwork } = new PairingFabric()
  const clock = new VirtualClock(Math.floor(Date.now() / 1_000))
  const code = encodeInvitationCode({ secret: filled(16, 1), expiresMs: Date.now() + 600_000 })
  let isOver = false
  const joining = join(code, { openNetwork, clock }).finally(() => (isOver = true))
  clock.advance(RECEIVE_DEADLINE_MS - 1)
  await new Promise(resolve => setImmediate(resolve))
  t.notOk(isOver)
  clock.advance(1)
  await t.rejects(joining, { code: 'NO_ANSWER' })
  t.equal(clock.pendingTimers, 0)
})
