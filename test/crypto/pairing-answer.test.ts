/** Answers to requests: one inviter, one request, nothing put together anew, hostile bytes. */
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { DRIVE_KEY_ENVELOPE_BYTES } from '../../src/crypto/drive-key-envelope.ts'
import {
  PAIRING_ANSWER_BYTES_MAX,
  PAIRING_ENVELOPES_MAX,
  PAIRING_STATEMENTS_MAX,
  openPairingAnswer,
  signPairingAnswer
} from '../../src/crypto/pairing-answer.ts'
import { blake2b } from '../../src/crypto/sodium.ts'
import { encodeStatement, signStatement } from '../../src/crypto/statement.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

const inviter = DeviceKeys.generate(new SeededRandom(1)).signing
const request = filled(300, 1)
const content = {
  drive: filled(32, 2),
  recoveryKey: filled(32, 3),
  envelopes: [filled(DRIVE_KEY_ENVELOPE_BYTES, 4), filled(DRIVE_KEY_ENVELOPE_BYTES, 5)],
  statements: [filled(70, 6), filled(80, 7)],
  attestation: filled(90, 8)
}
const answer = signPairingAnswer({ answer: content, request, inviter })
const opening = (bytes: Uint8Array) => () => openPairingAnswer(bytes, request)

t.test('openPairingAnswer() gives back what was signed, in fixed bytes', async t => {
  t.same(openPairingAnswer(answer, request), { ...content, inviter: inviter.publicKey })
  t.equal(toHex(answer), toHex(goldenVector('crypto', 'pairing answer')))
  const bare = { ...content, envelopes: [], statements: [] }
  const small = signPairingAnswer({ answer: bare, request, inviter })
  t.same(openPairingAnswer(small, request), { ...bare, inviter: inviter.publicKey })
})

t.test('an answer is to one request', async t => {
  t.throws(() => openPairingAnswer(answer, filled(300, 9)), { code: 'FORGED' })
})

t.test('drive, recovery key and attestation are as the inviter signed them', async t => {
  for (const part of ['drive', 'recoveryKey'] as const) {
    const at = Buffer.from(answer).indexOf(content[part])
    t.ok(at > 0)
    t.throws(opening(flipped(answer, at)), { code: 'FORGED' }, part)
  }
  t.throws(opening(flipped(answer, answer.length - 1)), { code: 'FORGED' })
  const body = Buffer.concat([content.drive, content.recoveryKey, blake2b(content.attestation)])
  const signed = { domain: 'pairing/answer', sequence: 1, previous: blake2b(request), body }
  const withStatement = (change: object) => {
    const own = encodeStatement(signStatement({ ...signed, ...change }, inviter))
    const length = new Uint8Array(4)
    new DataView(length.buffer).setUint32(0, own.length, true)
    const rest = [0, 0, 0, 0, 1, 0, 0, 0, 90, 0, 0, 0, ...content.attestation]
    return Buffer.concat([Uint8Array.of(1), length, own, Uint8Array.from(rest)])
  }
  t.same(openPairingAnswer(withStatement({}), request).attestation, content.attestation)
  t.throws(opening(withStatement({ domain: 'pairing/request' })), { code: 'FORGED' })
  t.throws(opening(withStatement({ sequence: 2 })), { code: 'FORGED' })
  t.throws(opening(withStatement({ body: body.subarray(1) })), { code: 'TRUNCATED' })
  t.throws(opening(withStatement({ body: Buffer.concat([body, body]) })), { code: 'MALFORMED' })
})

t.test('other versions, sizes and counts are refused', async t => {
  t.throws(opening(replaced(answer, 0, 2)), { code: 'NEWER_FORMAT' })
  t.throws(opening(replaced(answer, 0, 0)), { code: 'MALFORMED' })
  t.throws(opening(answer.subarray(0, answer.length - 1)), { code: 'TRUNCATED' })
  t.throws(opening(Buffer.concat([answer, filled(1, 0)])), { code: 'MALFORMED' })
  t.throws(opening(new Uint8Array(PAIRING_ANSWER_BYTES_MAX + 1)), { code: 'MALFORMED' })
  t.throws(opening(replaced(answer, 4, 0xff)), { code: 'MALFORMED' }, 'a length of 4 GiB')
  const nobody = Buffer.from(answer)
  const countAt = answer.length - 90 - 4 - 80 - 4 - 70 - 4 - 4
  t.equal(nobody.readUInt32LE(countAt), 3)
  nobody.writeUInt32LE(0, countAt)
  t.throws(opening(nobody.subarray(0, countAt + 4)), { code: 'MALFORMED' })
  nobody.writeUInt32LE(PAIRING_STATEMENTS_MAX + 1, countAt)
  t.throws(opening(nobody), { code: 'MALFORMED' })

  const tooMany = Array.from({ length: PAIRING_STATEMENTS_MAX }, () => filled(1, 1))
  const tooLarge = Array.from({ length: 100 }, () => filled(PAIRING_ANSWER_BYTES_MAX / 100, 1))
  const envelopes = Array.from({ length: PAIRING_ENVELOPES_MAX + 1 }, () => filled(192, 1))
  const tooManyKeys = { ...content, envelopes }
  t.throws(() => signPairingAnswer({ answer: tooManyKeys, request, inviter }), RangeError)
  for (const statements of [tooMany, tooLarge]) {
    const made = () => signPairingAnswer({ answer: { ...content, statements }, request, inviter })
    t.throws(made, RangeError)
  }
})

t.test(`openPairingAnswer() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  let opened = 0
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    const bytes = hostileBytes(random, [answer])
    try {
      const { drive, recoveryKey, attestation } = openPairingAnswer(bytes, request)
      opened++
      const signed = Buffer.concat([drive, recoveryKey, attestation])
      const { drive: id, recoveryKey: key, attestation: statement } = content
      if (signed.compare(Buffer.concat([id, key, statement])) !== 0) t.fail(toHex(bytes))
    } catch (error) {
      if (!(error instanceof CryptoError)) t.fail(`${String(error)}: ${toHex(bytes)}`)
    }
  }
  t.ok(opened > 0, 'envelopes and statements prove themselves elsewhere')
})
