/** Log summaries: fixed bytes, padding, bounds, forgeries, hostile bytes. */
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { asciiBytes } from '../../src/crypto/derive.ts'
import { DRIVE_KEY_ENVELOPE_BYTES } from '../../src/crypto/drive-key-envelope.ts'
import {
  LOG_SUMMARY_BYTES_MAX,
  fitsLogSummary,
  logSummaryDigest,
  openLogSummary,
  sealLogSummary,
  type LogSummaryContent
} from '../../src/crypto/log-summary.ts'
import {
  NONCE_BYTES,
  TAG_BYTES,
  blake2b,
  decrypt,
  encrypt,
  signingKeyPair
} from '../../src/crypto/sodium.ts'
import { NO_PREVIOUS, encodeStatement, signStatement } from '../../src/crypto/statement.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 20_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

const key = filled(32, 1)
const signing = signingKeyPair(filled(32, 2))
const log = (length: number) => ({ length, treeHash: filled(32, length) })
const content: LogSummaryContent = {
  sequence: 7,
  drive: filled(32, 3),
  listVersion: 4,
  timeMs: 1_790_000_000_000,
  members: [filled(300, 5), filled(310, 6)],
  pairs: [
    { announcement: filled(700, 7), operationLog: log(8), contentLog: log(9) },
    { announcement: filled(701, 8), operationLog: log(0), contentLog: log(2 ** 26) }
  ],
  envelopes: [filled(DRIVE_KEY_ENVELOPE_BYTES, 10)],
  holders: [filled(200, 11)]
}
const seal = (more: Partial<LogSummaryContent> = {}) =>
  sealLogSummary({ content: { ...content, ...more }, key, signing, random: new SeededRandom(1) })
const bytes = seal()
const open = (input: Uint8Array) => () => openLogSummary(input, key)

t.test('openLogSummary() gives back what was sealed, in fixed bytes', async t => {
  t.same(openLogSummary(bytes, key), { ...content, signer: signing.publicKey })
  t.equal(toHex(blake2b(bytes)), toHex(goldenVector('recovery', 'log summary, hash')))
  const empty = { members: [], pairs: [], envelopes: [], holders: [] }
  const small = seal(empty)
  t.same(openLogSummary(small, key), { ...content, ...empty, signer: signing.publicKey })
  t.equal(toHex(small), toHex(goldenVector('recovery', 'log summary')))
  t.throws(open(goldenVector('recovery', 'log summary, future version')), { code: 'NEWER_FORMAT' })
})

t.test('the size tells only roughly how much there is', async t => {
  const sizes = new Set<number>()
  for (let length = 300; length < 340; length++)
    sizes.add(seal({ members: [filled(length, 1)] }).length)
  t.ok(sizes.size <= 2, [...sizes].join())
})

t.test('logSummaryDigest() is of what is said, not of when', async t => {
  const digest = toHex(logSummaryDigest(content))
  const later = { ...content, timeMs: 1, sequence: 1 }
  t.equal(toHex(logSummaryDigest(later)), digest)
  t.not(toHex(logSummaryDigest({ ...content, listVersion: 5 })), digest)
  t.not(toHex(logSummaryDigest({ ...content, holders: [] })), digest)
})

t.test('a summary has a largest size', async t => {
  const with_ = (count: number) => ({
    ...content,
    envelopes: Array.from({ length: count }, () => content.envelopes[0] ?? filled(1, 0))
  })
  let most = Math.floor(LOG_SUMMARY_BYTES_MAX / DRIVE_KEY_ENVELOPE_BYTES)
  while (!fitsLogSummary(with_(most))) most--
  const largest = seal(with_(most))
  t.ok(largest.length <= LOG_SUMMARY_BYTES_MAX)
  t.ok(largest.length > 0.9 * LOG_SUMMARY_BYTES_MAX)
  t.equal(openLogSummary(largest, key).envelopes.length, most)
  t.throws(() => seal(with_(most + 1)), RangeError)
  t.throws(open(new Uint8Array(LOG_SUMMARY_BYTES_MAX + 1)), { code: 'MALFORMED' })
})

t.test('openLogSummary() refuses other keys, versions, ends and every changed byte', async t => {
  t.throws(() => openLogSummary(bytes, filled(32, 9)), { code: 'FORGED' })
  t.throws(open(replaced(bytes, 0, 2)), { code: 'NEWER_FORMAT' })
  t.throws(open(replaced(bytes, 0, 0)), { code: 'MALFORMED' })
  t.throws(open(Buffer.concat([bytes, filled(1, 0)])), { code: 'FORGED' })
  for (let size = 0; size < bytes.length; size += 37)
    t.throws(open(bytes.subarray(0, size)), { name: 'CryptoError' })
  const unnoticed: number[] = []
  for (let offset = 0; offset < bytes.length; offset++) {
    try {
      openLogSummary(flipped(bytes, offset), key)
      unnoticed.push(offset)
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error
    }
  }
  t.same(unnoticed, [])
})

/** Little of each, so that much is tried in little time. */
const short = seal({
  members: [filled(20, 5)],
  pairs: [{ announcement: filled(20, 7), operationLog: log(8), contentLog: log(9) }],
  holders: [filled(20, 11)]
})
const associated = Buffer.concat([
  asciiBytes('grove/summary/1'),
  signing.publicKey,
  Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0)
])

/** Sealed and signed by a device that has all it takes. */
function sealPlain(plain: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(NONCE_BYTES + plain.length + TAG_BYTES)
  const into = sealed.subarray(NONCE_BYTES)
  encrypt({ plain, into, associated, nonce: sealed.subarray(0, NONCE_BYTES), key })
  const signed = { domain: 'recovery/summary', sequence: 7, previous: NO_PREVIOUS }
  const body = blake2b(sealed)
  const statement = encodeStatement(signStatement({ ...signed, body }, signing))
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, statement.length, true)
  return Buffer.concat([Uint8Array.of(1), length, statement, sealed])
}

t.test(`openLogSummary() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  const sealed = short.subarray(5 + Buffer.from(short).readUInt32LE(1))
  const plain = new Uint8Array(sealed.length - NONCE_BYTES - TAG_BYTES)
  const [nonce, ciphertext] = [sealed.subarray(0, NONCE_BYTES), sealed.subarray(NONCE_BYTES)]
  t.ok(decrypt({ sealed: ciphertext, into: plain, associated, nonce, key }))
  let opened = 0
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    const signed = random.integer(2) === 0
    const hostile = hostileBytes(random, [signed ? plain : short])
    const input = signed ? sealPlain(hostile) : hostile
    try {
      const summary = openLogSummary(input, key)
      if (signed) opened++
      else if (Buffer.compare(hostile, short) !== 0) t.fail(`a forgery: ${toHex(hostile)}`)
      const again = seal(summary)
      if (again.length !== input.length) t.fail(`a second encoding: ${toHex(input)}`)
    } catch (error) {
      if (!(error instanceof CryptoError)) t.fail(`${String(error)}: ${toHex(input)}`)
    }
  }
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed summaries were opened`)
})
