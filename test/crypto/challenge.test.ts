/** Challenges and the hash that answers them: bytes, limits, forgeries, hostile bodies. */
import assert from 'node:assert/strict'
import t from 'tap'
import {
  AuditHash,
  CHALLENGE_BLOCKS_MAX,
  CHALLENGE_ID_BYTES,
  CHALLENGE_NONCE_BYTES,
  CHALLENGE_SENT_BLOCKS_MAX,
  auditHash,
  openChallenge,
  signChallenge
} from '../../src/crypto/challenge.ts'
import type { ChallengeContent } from '../../src/crypto/challenge.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { decodeStatement, signLoneStatement } from '../../src/crypto/statement.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { fuzzStatement } from '../support/fuzz-statement.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)
/** Where the mode lies in the body. */
const MODE_OFFSET = 16 + 32 + 32 + 32
const COUNT_OFFSET = MODE_OFFSET + 1 + 8

const device = signingKeyPair(filled(32, 1))
const content: ChallengeContent = {
  id: filled(CHALLENGE_ID_BYTES, 2),
  keeper: filled(32, 3),
  log: filled(32, 4),
  nonce: filled(CHALLENGE_NONCE_BYTES, 5),
  mode: 'hash',
  deadlineMs: 1_790_000_000_000,
  indexes: [0, 7, 2 ** 32 - 1]
}
const bytes = signChallenge(content, device)
const { domain, body } = decodeStatement(bytes)
const resigned = (change: { body?: Uint8Array; domain?: string }) =>
  signLoneStatement({ domain, body, ...change }, device)

t.test('openChallenge() gives back what was signed, in fixed bytes', async t => {
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'challenge')))
  const signer = device.publicKey
  t.same(openChallenge(bytes), { ...content, signer })
  const full: ChallengeContent = { ...content, mode: 'blocks', indexes: [1, 2, 3, 4] }
  t.same(openChallenge(signChallenge(full, device), { signer }), { ...full, signer })
})

t.test('openChallenge() refuses another signer and every changed byte', async t => {
  t.throws(() => openChallenge(bytes, { signer: filled(32, 9) }), { code: 'FORGED' })
  for (let offset = 0; offset < bytes.length; offset++) {
    const open = () => openChallenge(flipped(bytes, offset))
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset}`)
  }
})

t.test('openChallenge() refuses other domains, versions, modes and bodies', async t => {
  const opening = (change: Parameters<typeof resigned>[0]) => () => openChallenge(resigned(change))
  t.throws(opening({ domain: 'custody/challenges' }), { code: 'FORGED' })
  const future = goldenVector('crypto', 'challenge, future version')
  t.throws(() => openChallenge(future), { code: 'NEWER_FORMAT' })
  t.throws(opening({ body: replaced(body, MODE_OFFSET, 2) }), { code: 'NEWER_FORMAT' })
  t.throws(opening({ body: Buffer.concat([body, filled(1, 0)]) }), { code: 'MALFORMED' })
  const cutTo = (size: number) => opening({ body: body.subarray(0, size) })
  for (let size = 0; size < body.length; size++) {
    assert.throws(cutTo(size), { code: 'TRUNCATED' }, `${size} bytes`)
  }
})

t.test(
  'openChallenge() refuses blocks that are none, too many, doubled or out of order',
  async t => {
    const head = body.subarray(0, COUNT_OFFSET)
    const opening = (indexes: readonly number[], mode = 0) => {
      const numbers = Buffer.alloc(2 + 4 * indexes.length)
      numbers.writeUInt16LE(indexes.length)
      for (const [at, index] of indexes.entries()) numbers.writeUInt32LE(index, 2 + 4 * at)
      const changed = Buffer.concat([replaced(head, MODE_OFFSET, mode), numbers])
      return () => openChallenge(resigned({ body: changed }))
    }
    const first = (count: number) => Array.from({ length: count }, (_, at) => at)
    t.same(opening(first(CHALLENGE_BLOCKS_MAX))().indexes, first(CHALLENGE_BLOCKS_MAX))
    t.same(opening(first(CHALLENGE_SENT_BLOCKS_MAX), 1)().mode, 'blocks')
    const refused = { code: 'MALFORMED' }
    t.throws(opening([]), refused)
    t.throws(opening([2, 2]), refused)
    t.throws(opening([2, 1]), refused)
    t.throws(opening(first(CHALLENGE_BLOCKS_MAX + 1)), refused)
    t.throws(opening(first(CHALLENGE_SENT_BLOCKS_MAX + 1), 1), refused)
  }
)

t.test('signChallenge() keeps the limits', async t => {
  const sign = (change: Partial<ChallengeContent>) => () =>
    signChallenge({ ...content, ...change }, device)
  const first = (count: number) => Array.from({ length: count }, (_, at) => at)
  t.doesNotThrow(sign({ indexes: first(CHALLENGE_BLOCKS_MAX) }))
  t.throws(sign({ indexes: first(CHALLENGE_BLOCKS_MAX + 1) }), RangeError)
  t.throws(sign({ mode: 'blocks', indexes: first(CHALLENGE_SENT_BLOCKS_MAX + 1) }), RangeError)
  t.throws(sign({ indexes: [] }), RangeError)
  t.throws(sign({ indexes: [1, 1] }), RangeError)
  t.throws(sign({ indexes: [2 ** 32] }), RangeError)
  t.throws(sign({ nonce: filled(31, 1) }), RangeError)
})

t.test('auditHash() is fixed, and another for every change', async t => {
  const { nonce, keeper, log } = content
  const blocks = [
    { index: 7, bytes: Buffer.from('sealed') },
    { index: 2 ** 40, bytes: new Uint8Array(0) }
  ]
  const hash = toHex(auditHash({ nonce, keeper, log, blocks }))
  t.equal(hash, toHex(goldenVector('crypto', 'audit hash')))
  const streamed = new AuditHash({ nonce, keeper, log })
  for (const block of blocks) streamed.add(block)
  t.equal(toHex(streamed.end()), hash)

  const [one, two] = blocks
  const others = [
    auditHash({ nonce: filled(32, 6), keeper, log, blocks }),
    auditHash({ nonce, keeper: log, log: keeper, blocks }),
    auditHash({ nonce, keeper, log, blocks: [] }),
    auditHash({ nonce, keeper, log, blocks: blocks.slice(0, 1) }),
    auditHash({ nonce, keeper, log, blocks: blocks.toReversed() }),
    auditHash({ nonce, keeper, log, blocks: [{ ...one!, index: 8 }, two!] }),
    auditHash({ nonce, keeper, log, blocks: [{ ...one!, bytes: Buffer.from('sealee') }, two!] })
  ]
  t.equal(new Set([hash, ...others.map(toHex)]).size, 1 + others.length)
  t.throws(() => auditHash({ nonce: filled(16, 1), keeper, log, blocks }), RangeError)
})

t.test(`openChallenge() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: bytes,
    keyPair: device,
    reopened: input => signChallenge(openChallenge(input), device)
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})
