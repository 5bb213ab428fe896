/** Locator records: keys and bytes that are fixed, one size, forgeries, hostile bytes. */
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import {
  LOCATOR_HOLDERS_MAX,
  LOCATOR_RECORD_BYTES,
  Locator,
  type LocatorRecord
} from '../../src/crypto/locator.ts'
import { NONCE_BYTES, encrypt } from '../../src/crypto/sodium.ts'
import { deriveKey } from '../../src/crypto/derive.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

const secret = filled(32, 1)
const locator = new Locator(secret)
const record: LocatorRecord = {
  drive: filled(32, 2),
  summaryMs: 1_790_000_000_000,
  summaryHash: filled(32, 3),
  holders: [filled(32, 4), filled(32, 5)]
}
const SEQUENCE = 1_790_000_000
const seal = (more: Partial<LocatorRecord> = {}, sequence = SEQUENCE) =>
  locator.seal({ record: { ...record, ...more }, sequence, random: new SeededRandom(1) })
const sealed = seal()

t.test('keys and record are fixed by the secret', async t => {
  t.equal(toHex(locator.keyPair.publicKey), toHex(goldenVector('recovery', 'locator public key')))
  t.equal(toHex(locator.summaryKey), toHex(goldenVector('recovery', 'summary key')))
  t.equal(toHex(sealed), toHex(goldenVector('recovery', 'locator record')))
  t.same(new Locator(secret).open(sealed, SEQUENCE), record)
  const other = new Locator(filled(32, 9))
  t.not(toHex(other.keyPair.publicKey), toHex(locator.keyPair.publicKey))
  t.not(toHex(other.summaryKey), toHex(locator.summaryKey))
})

t.test('all records have one size, which fits the hash table', async t => {
  t.ok(LOCATOR_RECORD_BYTES <= 1000)
  t.ok(LOCATOR_HOLDERS_MAX >= 16)
  for (const count of [0, 1, LOCATOR_HOLDERS_MAX]) {
    const holders = Array.from({ length: count }, (_, at) => filled(32, at))
    const bytes = seal({ holders })
    t.equal(bytes.length, LOCATOR_RECORD_BYTES)
    t.same(locator.open(bytes, SEQUENCE).holders, holders)
  }
  const holders = Array.from({ length: LOCATOR_HOLDERS_MAX + 1 }, () => filled(32, 1))
  t.throws(() => seal({ holders }), RangeError)
})

t.test(
  'open() refuses other secrets, sequences, versions, sizes and every changed byte',
  async t => {
    const open =
      (bytes: Uint8Array, sequence = SEQUENCE) =>
      () =>
        locator.open(bytes, sequence)
    t.throws(() => new Locator(filled(32, 9)).open(sealed, SEQUENCE), { code: 'FORGED' })
    t.throws(open(sealed, SEQUENCE + 1), { code: 'FORGED' })
    t.throws(open(replaced(sealed, 0, 2)), { code: 'NEWER_FORMAT' })
    t.throws(open(replaced(sealed, 0, 0)), { code: 'MALFORMED' })
    t.throws(open(sealed.subarray(1)), { name: 'CryptoError' })
    t.throws(open(sealed.subarray(0, sealed.length - 1)), { code: 'TRUNCATED' })
    t.throws(open(Buffer.concat([sealed, filled(1, 0)])), { code: 'MALFORMED' })
    for (let offset = 1; offset < sealed.length; offset++) {
      const bytes = flipped(sealed, offset)
      if (!throwsForged(bytes)) t.fail(`byte ${offset}`)
    }
  }
)

const throwsForged = (bytes: Uint8Array): boolean => {
  try {
    locator.open(bytes, SEQUENCE)
    return false
  } catch (error) {
    return error instanceof CryptoError && error.code === 'FORGED'
  }
}

const key = deriveKey({ key: secret, purpose: 'recovery/record' })

/** Sealed under the genuine key, as a hostile device could. */
function sealPlain(plain: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LOCATOR_RECORD_BYTES)
  bytes[0] = 1
  const associated = Buffer.from('grove/locator/1\u0001\0\0\0\0\0\0\0\0')
  associated.writeBigUInt64LE(BigInt(SEQUENCE), associated.length - 8)
  const into = bytes.subarray(1 + NONCE_BYTES)
  encrypt({ plain, into, associated, nonce: bytes.subarray(1, 1 + NONCE_BYTES), key })
  return bytes
}

t.test(`open() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  const plainBytes = LOCATOR_RECORD_BYTES - 1 - NONCE_BYTES - 16
  let opened = 0
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    const signed = random.integer(2) === 0
    const hostile = hostileBytes(random, [signed ? filled(plainBytes, 0) : sealed])
    const plain = new Uint8Array(plainBytes)
    plain.set(hostile.subarray(0, plainBytes))
    try {
      const { holders } = locator.open(signed ? sealPlain(plain) : hostile, SEQUENCE)
      if (holders.length > LOCATOR_HOLDERS_MAX) t.fail(toHex(hostile))
      if (signed) opened++
      else if (Buffer.compare(hostile, sealed) !== 0) t.fail(`a forgery opens: ${toHex(hostile)}`)
    } catch (error) {
      if (!(error instanceof CryptoError)) t.fail(`${String(error)}: ${toHex(hostile)}`)
    }
  }
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed records were opened`)
})

t.test('clear() wipes the secrets', async t => {
  const cleared = new Locator(secret)
  cleared.clear()
  cleared.clear()
  t.same(cleared.summaryKey, filled(32, 0))
  t.throws(() => cleared.open(sealed, SEQUENCE), { code: 'FORGED' })
})
