/** What a newcomer believes of a hostile inviter that has a genuine code: nothing but the truth. */
import t from 'tap'
import { systemRandom } from '../../bin/system-random.ts'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import type { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { sealDeviceName } from '../../src/crypto/device-name.ts'
import { sealDriveKey } from '../../src/crypto/drive-key-envelope.ts'
import { keyCommitment } from '../../src/crypto/key-table.ts'
import type { MemberContent } from '../../src/crypto/member-statement.ts'
import { signPairingAnswer, type PairingAnswer } from '../../src/crypto/pairing-answer.ts'
import { invitationName, signPairingRequest } from '../../src/crypto/pairing-request.ts'
import { blake2bOfParts, type KeyPair } from '../../src/crypto/sodium.ts'
import { openReceivedDrive } from '../../src/replication/open-received-drive.ts'
import { filled, flipped, toHex } from '../support/bytes.ts'
import { collectGarbage } from '../support/collect-garbage.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { deviceOf, makePerson, state } from '../support/member-device.ts'
import { SeededRandom } from '../support/seeded-random.ts'

/** Each is verified as far as it is genuine; what it is made of is fuzzed in full elsewhere. */
const FUZZ_INPUTS = Math.ceil(Number(process.env['GROVE_FUZZ'] ?? 20_000) / 20)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

const person = await makePerson()
const other = await makePerson(1)
const [desk, laptop, stranger, phone] = [deviceOf(1), deviceOf(2), deviceOf(3), deviceOf(4)]
const drive = filled(32, 4)
const request = signPairingRequest({
  deviceKeys: laptop,
  name: 'laptop',
  invitation: invitationName(filled(16, 7))
})
const ofDesk = state(person, person.identity.signing, { about: desk, name: 'desk' })
const nobody = new Uint8Array(0)

interface Lie {
  readonly envelopes?: readonly Uint8Array[]
  readonly attestation?: Uint8Array
  readonly content?: Partial<MemberContent>
  readonly about?: DeviceKeys
  readonly name?: string
  readonly answer?: Partial<PairingAnswer>
  readonly inviter?: KeyPair
}

const envelopeOf = (recipient = laptop.box.publicKey, of = drive, keys = person.keys) =>
  sealDriveKey({ row: keys.get(1), drive: of, recipient, random: systemRandom })

/** An answer that is as it should be but for the lie, and signed all the same. */
function answerWith(lie: Lie = {}): Uint8Array {
  const envelopes = lie.envelopes ?? [envelopeOf()]
  const attestation =
    lie.attestation ??
    state(person, desk.signing, {
      about: lie.about ?? laptop,
      after: ofDesk,
      own: ofDesk,
      name: lie.name ?? 'laptop',
      content: { envelopesHash: blake2bOfParts(envelopes), ...lie.content }
    })
  const recoveryKey = person.identity.recovery.publicKey
  const statements = [ofDesk]
  return signPairingAnswer({
    answer: { drive, recoveryKey, envelopes, statements, attestation, ...lie.answer },
    request,
    inviter: lie.inviter ?? desk.signing
  })
}

const open = (answer: Uint8Array) =>
  openReceivedDrive({ answer, request, deviceKeys: laptop, name: 'laptop', random: systemRandom })

t.test('the truth is believed', async t => {
  const { content, inviter } = open(answerWith())
  t.equal(inviter.name, 'desk')
  t.same(content.drive, drive)
  t.same(content.identity, person.identity.signing.publicKey)
  t.same(content.recoveryKey, person.identity.recovery.publicKey)
  t.same(content.keys.rows(), person.keys.rows())
  t.same(content.statements[0], ofDesk)
  t.equal(content.statements.length, 2)
  t.equal(content.deviceKeys, laptop)
  t.not(toHex(content.indexKey), toHex(content.logSeed))
})

const suspended = state(person, person.identity.signing, {
  action: 'suspend',
  about: desk,
  after: ofDesk
})
const ofStranger = state(other, other.identity.signing, { about: stranger, name: 'desk' })
const notInviting = state(person, person.identity.signing, {
  about: desk,
  name: 'desk',
  content: { rights: ['write'] }
})

const ofPhone = state(person, person.identity.signing, { about: phone, after: ofDesk })
const attested = (lie: Pick<Lie, 'content'>) =>
  state(person, desk.signing, {
    about: laptop,
    after: ofDesk,
    own: ofDesk,
    name: 'laptop',
    ...lie
  })
/** One attestation and what came after it, handed over in one answer. */
const followedBy = (about: DeviceKeys, action: 'suspend' | 'attest'): Lie => {
  const envelopes = [envelopeOf()]
  const attestation = attested({ content: { envelopesHash: blake2bOfParts(envelopes) } })
  const name = action === 'attest' ? { name: 'laptop' } : {}
  const later = state(person, person.identity.signing, {
    action,
    about,
    after: attestation,
    ...name
  })
  return { envelopes, attestation, answer: { statements: [ofDesk, later] } }
}
const ofOtherScope = () => {
  const { key } = person.keys.get(1)
  const name = { keyId: 1, scope: 1, epoch: 1 }
  const row = { ...name, key, commitment: keyCommitment({ ...name, key }) }
  return sealDriveKey({ row, drive, recipient: laptop.box.publicKey, random: systemRandom })
}

const LIES: Readonly<Record<string, () => Lie>> = {
  'an attestation of another device': () => ({ about: stranger }),
  'another box key': () => ({
    content: { subject: { ...laptop.publicKeys, box: stranger.box.publicKey } }
  }),
  'another network key': () => ({
    content: { subject: { ...laptop.publicKeys, network: stranger.network.publicKey } }
  }),
  'another name': () => ({ name: 'toaster' }),
  'no name': () => ({ content: { sealedName: nobody } }),
  'a name sealed for another device': () => ({
    content: {
      sealedName: sealDeviceName({
        name: 'laptop',
        device: stranger.signing.publicKey,
        keys: person.keys,
        random: systemRandom
      })
    }
  }),
  'no right to write': () => ({ content: { rights: ['audit'] } }),
  'a suspension for an attestation': () => ({
    attestation: state(person, desk.signing, { action: 'suspend', about: laptop, after: ofDesk })
  }),
  'an answer signed by another device': () => ({ inviter: stranger.signing }),
  'an answer signed by another member': () => ({
    inviter: phone.signing,
    answer: { statements: [ofDesk, ofPhone] }
  }),
  'an inviter that was suspended since': () => followedBy(desk, 'suspend'),
  'a newcomer that was suspended since': () => followedBy(laptop, 'suspend'),
  'a newcomer that the words attest otherwise': () => followedBy(laptop, 'attest'),
  'no key of the whole drive': () => ({ envelopes: [ofOtherScope()] }),
  'an inviter that is not attested': () => ({ answer: { statements: [] } }),
  'an inviter that is suspended': () => ({ answer: { statements: [ofDesk, suspended] } }),
  'an inviter that may not invite': () => ({ answer: { statements: [notInviting] } }),
  'an inviter of another person': () => ({
    inviter: stranger.signing,
    answer: { statements: [ofStranger] },
    attestation: state(person, stranger.signing, {
      about: laptop,
      name: 'laptop',
      after: ofStranger,
      own: ofStranger
    })
  }),
  'a signature that was changed': () => ({
    attestation: flipped(
      state(person, desk.signing, { about: laptop, after: ofDesk, own: ofDesk }),
      99
    )
  }),
  'no drive key': () => ({ envelopes: [] }),
  'a drive key of another drive': () => ({ envelopes: [envelopeOf(undefined, filled(32, 9))] }),
  'a drive key for another device': () => ({ envelopes: [envelopeOf(stranger.box.publicKey)] }),
  'two drive keys of one number': () => ({
    envelopes: [envelopeOf(), envelopeOf(undefined, drive, other.keys)]
  }),
  'another drive key than the attestation says': () => ({
    content: { envelopesHash: filled(32, 1) }
  }),
  'another drive than that of the keys': () => ({ answer: { drive: filled(32, 9) } })
}

for (const [name, lie] of Object.entries(LIES)) {
  t.test(`${name} is not believed`, async t => {
    t.throws(() => open(answerWith(lie())), { name: 'CryptoError' })
  })
}

t.test('an answer to another request is not believed', async t => {
  const answer = answerWith()
  const again = signPairingRequest({
    deviceKeys: laptop,
    name: 'laptop',
    invitation: invitationName(filled(16, 8))
  })
  const input = { answer, request: again, deviceKeys: laptop, name: 'laptop' }
  t.throws(() => openReceivedDrive({ ...input, random: systemRandom }), { code: 'FORGED' })
})

t.test(`${FUZZ_INPUTS} lies of hostile bytes make no harm (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  const truth = answerWith()
  const envelope = envelopeOf()
  const attestation = state(person, desk.signing, {
    about: laptop,
    after: ofDesk,
    own: ofDesk,
    name: 'laptop',
    content: { envelopesHash: blake2bOfParts([envelope]) }
  })
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    if (count % 500 === 0) await collectGarbage()
    const hostile = (genuine: Uint8Array) =>
      random.integer(3) === 0 ? hostileBytes(random, [genuine]) : genuine
    const sized = (bytes: Uint8Array) => new Uint8Array(192).map((_, at) => bytes[at] ?? 0)
    const answer =
      random.integer(2) === 0
        ? hostileBytes(random, [truth])
        : answerWith({
            envelopes: [sized(hostile(envelope))],
            attestation: hostile(attestation),
            answer: { statements: [hostile(ofDesk)] }
          })
    try {
      const { content } = open(answer)
      if (toHex(content.drive) !== toHex(drive)) t.fail('another drive')
      if (toHex(content.keys.get(1).key) !== toHex(person.keys.get(1).key)) t.fail('another key')
    } catch (error) {
      if (!(error instanceof CryptoError)) t.fail(`input ${count}: ${String(error)}`)
    }
  }
})
