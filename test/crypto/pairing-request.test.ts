/** Requests to join: proofs of possession, one invitation each, hostile bytes. */
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import {
  PAIRING_REQUEST_BYTES_MAX,
  invitationName,
  openPairingRequest,
  signPairingRequest
} from '../../src/crypto/pairing-request.ts'
import { decodeStatement, encodeStatement, signStatement } from '../../src/crypto/statement.ts'
import { filled, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)
/** Where things lie in the body. */
const [NETWORK_AT, LENGTH_AT, NAME_AT] = [32, 128, 129]

const deviceKeys = DeviceKeys.generate(new SeededRandom(1))
const stranger = DeviceKeys.generate(new SeededRandom(2))
const invitation = invitationName(filled(16, 7))
const request = signPairingRequest({ deviceKeys, name: 'laptop', invitation })

/** The request with another body, signed anew by the device. */
function withBody(change: (body: Uint8Array) => Uint8Array): Uint8Array {
  const statement = decodeStatement(request)
  const body = change(new Uint8Array(statement.body))
  return encodeStatement(signStatement({ ...statement, body }, deviceKeys.signing))
}

const opening = (bytes: Uint8Array) => () => openPairingRequest(bytes, invitation)

t.test('openPairingRequest() gives back what was signed, in fixed bytes', async t => {
  t.same(openPairingRequest(request, invitation), {
    device: deviceKeys.publicKeys,
    name: 'laptop'
  })
  t.equal(toHex(request), toHex(goldenVector('crypto', 'pairing request')))
  for (const name of ['x', 'Zoë’s 💻', 'n'.repeat(63)]) {
    const other = signPairingRequest({ deviceKeys, name, invitation })
    t.equal(openPairingRequest(other, invitation).name, name)
    t.equal(other.length, request.length, 'the size does not tell the name')
  }
  for (const name of ['', 'n'.repeat(64)]) {
    t.throws(() => signPairingRequest({ deviceKeys, name, invitation }), RangeError)
  }
})

t.test('a request is of one invitation', async t => {
  const other = invitationName(filled(16, 8))
  t.throws(() => openPairingRequest(request, other), { code: 'FORGED' })
  const statement = decodeStatement(request)
  const mixed = encodeStatement(
    signStatement({ ...statement, previous: other }, deviceKeys.signing)
  )
  t.throws(opening(mixed), { code: 'FORGED' })
  const moved = encodeStatement(
    signStatement({ ...statement, previous: other }, deviceKeys.signing)
  )
  t.throws(() => openPairingRequest(moved, other), { code: 'FORGED' }, 'nor can its parts be moved')
})

t.test('keys whose secrets the sender has not are refused', async t => {
  const stolen = withBody(body => {
    body.set(stranger.network.publicKey, NETWORK_AT)
    return body
  })
  t.throws(opening(stolen), { code: 'FORGED' })
  const statement = decodeStatement(request)
  const signed = encodeStatement(signStatement(statement, stranger.signing))
  t.throws(opening(signed), { code: 'FORGED' }, "another's network proof under one's own key")
  const boxed = withBody(body => {
    body.set(stranger.box.publicKey)
    return body
  })
  t.throws(opening(boxed), { code: 'FORGED' })
})

t.test('what is no request is refused', async t => {
  const statement = decodeStatement(request)
  const resigned = (change: object) =>
    encodeStatement(signStatement({ ...statement, ...change }, deviceKeys.signing))
  t.throws(opening(resigned({ domain: 'pairing/answer' })), { code: 'FORGED' })
  t.throws(opening(resigned({ sequence: 2 })), { code: 'FORGED' })
  t.throws(opening(new Uint8Array(PAIRING_REQUEST_BYTES_MAX + 1)), { code: 'MALFORMED' })
  t.throws(opening(withBody(body => body.subarray(1))), { code: 'TRUNCATED' })
  t.throws(opening(withBody(body => Buffer.concat([body, filled(1, 0)]))), { code: 'MALFORMED' })
  for (const [at, value] of [
    [LENGTH_AT, 0],
    [LENGTH_AT, 64],
    [LENGTH_AT, 5],
    [NAME_AT, 0xff],
    [NAME_AT + 62, 1]
  ] as const) {
    const changed = withBody(body => replaced(body, at, value))
    t.throws(opening(changed), { code: 'MALFORMED' }, `${value} at ${at}`)
  }
})

t.test(`openPairingRequest() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    const bytes = hostileBytes(random, [request])
    try {
      openPairingRequest(bytes, invitation)
      if (toHex(bytes) !== toHex(request)) t.fail(`taken: ${toHex(bytes)}`)
    } catch (error) {
      if (!(error instanceof CryptoError)) t.fail(`${String(error)}: ${toHex(bytes)}`)
    }
  }
})
