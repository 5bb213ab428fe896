/** The one codec of signed objects: its bytes, forgeries, and a parser under attack. */
import assert from 'node:assert/strict'
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import {
  NO_PREVIOUS,
  STATEMENT_BODY_BYTES_MAX,
  STATEMENT_DOMAIN_BYTES_MAX,
  decodeStatement,
  encodeStatement,
  openLoneStatement,
  openStatement,
  signLoneStatement,
  signStatement,
  statementHash,
  verifyStatement
} from '../../src/crypto/statement.ts'
import type { StatementContent } from '../../src/crypto/statement.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const keyPair = signingKeyPair(filled(32, 1))
const content: StatementContent = {
  domain: 'member/attest',
  sequence: 7,
  previous: filled(32, 2),
  body: Buffer.from('the body')
}
const statement = signStatement(content, keyPair)
const bytes = encodeStatement(statement)

t.test('encodeStatement() gives fixed bytes and decodeStatement() the statement', async t => {
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'statement')))
  const decoded = decodeStatement(bytes)
  t.equal(decoded.domain, content.domain)
  t.equal(decoded.sequence, 7)
  t.equal(toHex(decoded.previous), toHex(content.previous))
  t.equal(toHex(decoded.body), toHex(content.body))
  t.equal(toHex(encodeStatement(decoded)), toHex(bytes))
  t.equal(toHex(statementHash(decoded)), toHex(goldenVector('crypto', 'statement hash')))
  verifyStatement(decoded, { domain: 'member/attest' })
  verifyStatement(decoded, { domain: 'member/attest', signer: keyPair.publicKey })
})

t.test('verifyStatement() refuses another domain, signer or content', async t => {
  const { domain } = content
  const signer = signingKeyPair(filled(32, 9)).publicKey
  const refused = { code: 'FORGED' }
  t.throws(() => verifyStatement(statement, { domain: 'member/revoke' }), refused, 'domain')
  t.throws(() => verifyStatement(statement, { domain, signer }), refused, 'signer')
  t.throws(() => verifyStatement({ ...statement, signer }, { domain }), refused)
  t.throws(() => verifyStatement({ ...statement, sequence: 8 }, { domain }), refused)
  t.throws(() => verifyStatement({ ...statement, previous: NO_PREVIOUS }, { domain }), refused)
  t.throws(() => verifyStatement({ ...statement, body: filled(8, 1) }, { domain }), refused)
  const renamed = { ...statement, domain: 'member/revoke' }
  t.throws(() => verifyStatement(renamed, { domain: 'member/revoke' }), refused)
})

t.test('openStatement() parses and proves', async t => {
  const { domain } = content
  t.equal(toHex(openStatement(bytes, { domain }).body), toHex(content.body))
  openStatement(bytes, { domain, signer: keyPair.publicKey })
  t.throws(() => openStatement(bytes, { domain: 'member/revoke' }), { code: 'FORGED' })
  const signer = signingKeyPair(filled(32, 9)).publicKey
  t.throws(() => openStatement(bytes, { domain, signer }), { code: 'FORGED' })
  t.throws(() => openStatement(flipped(bytes, bytes.length - 1), { domain }), { code: 'FORGED' })
})

t.test('openLoneStatement() takes only what stands alone', async t => {
  const { domain, body } = content
  const lone = signLoneStatement({ domain, body }, keyPair)
  t.equal(toHex(openLoneStatement(lone, { domain }).body), toHex(body))
  t.throws(() => openLoneStatement(lone, { domain: 'member/revoke' }), { code: 'FORGED' })
  for (const change of [{ sequence: 2 }, { sequence: 0 }, { previous: filled(32, 1) }]) {
    const alone = { domain, body, sequence: 1, previous: NO_PREVIOUS }
    const chained = encodeStatement(signStatement({ ...alone, ...change }, keyPair))
    t.throws(() => openLoneStatement(chained, { domain }), { code: 'MALFORMED' })
  }
})

t.test('every changed byte is refused by decodeStatement() or verifyStatement()', async () => {
  for (let offset = 0; offset < bytes.length; offset++) {
    const open = () => {
      const decoded = decodeStatement(flipped(bytes, offset))
      verifyStatement(decoded, { domain: content.domain })
    }
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset}`)
  }
})

t.test('decodeStatement() refuses what is too short, too long or newer', async t => {
  for (let size = 0; size < bytes.length; size++) {
    assert.throws(() => decodeStatement(bytes.subarray(0, size)), { code: 'TRUNCATED' }, `${size}`)
  }
  const longer = Buffer.concat([bytes, filled(1, 0)])
  t.throws(() => decodeStatement(longer), { code: 'MALFORMED' })
  t.throws(() => decodeStatement(replaced(bytes, 0, 0)), { code: 'MALFORMED' })
  const future = goldenVector('crypto', 'statement, future version')
  t.throws(() => decodeStatement(future), { code: 'NEWER_FORMAT' })
  t.throws(() => decodeStatement(replaced(bytes, 1, 0)), { code: 'MALFORMED' }, 'no domain')
  t.throws(() => decodeStatement(replaced(bytes, 1, 65)), { code: 'MALFORMED' }, 'long domain')
  t.throws(() => decodeStatement(replaced(bytes, 2, 0x41)), { code: 'MALFORMED' }, 'capitals')
})

t.test('limits hold on both sides', async t => {
  const domain = 'd'.repeat(STATEMENT_DOMAIN_BYTES_MAX)
  const body = new Uint8Array(STATEMENT_BODY_BYTES_MAX)
  const largest = signStatement({ ...content, domain, body }, keyPair)
  verifyStatement(decodeStatement(encodeStatement(largest)), { domain })

  const sign = (change: Partial<StatementContent>) => () =>
    signStatement({ ...content, ...change }, keyPair)
  t.throws(sign({ domain: `${domain}d` }), RangeError)
  t.throws(sign({ domain: '' }), RangeError)
  t.throws(sign({ domain: 'Two Words' }), RangeError)
  t.throws(sign({ body: new Uint8Array(body.length + 1) }), RangeError)
  t.throws(sign({ sequence: 2 ** 53 }), RangeError)
  t.throws(sign({ previous: filled(31, 0) }), RangeError)

  const tooLong = encodeStatement(signStatement({ ...content, body: filled(8, 0) }, keyPair))
  const lengthAt = tooLong.length - 64 - 8 - 4
  t.throws(() => decodeStatement(replaced(tooLong, lengthAt + 3, 0xff)), { code: 'MALFORMED' })
})

t.test(`decodeStatement() survives ${FUZZ_INPUTS} hostile inputs`, async t => {
  const random = new SeededRandom(20_261_101)
  let parsed = 0
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    const input = hostile(random)
    try {
      const decoded = decodeStatement(input)
      parsed++
      if (toHex(encodeStatement(decoded)) !== toHex(input)) {
        t.fail(`a second encoding of one statement: ${toHex(input)}`)
      }
      if (toHex(input) === toHex(bytes)) continue
      verifyStatement(decoded, { domain: decoded.domain })
      t.fail(`a forgery verifies: ${toHex(input)}`)
    } catch (error) {
      if (!(error instanceof CryptoError)) t.fail(`${String(error)}: ${toHex(input)}`)
    }
  }
  t.ok(parsed > FUZZ_INPUTS / 10, `${parsed} of the inputs parsed, so that both ways were taken`)
})

/** A genuine statement with a few bytes changed, cut or doubled; or noise. */
function hostile(random: SeededRandom): Uint8Array {
  if (random.integer(4) === 0) {
    const noise = random.bytes(random.integer(200))
    if (random.integer(2) === 0 && noise.length > 1) noise.set([1, random.integer(70)])
    return noise
  }
  let input = new Uint8Array(bytes)
  for (let change = random.integer(3) + 1; change > 0; change--) {
    const offset = random.integer(input.length + 1)
    const kind = random.integer(8)
    if (kind === 0) input = input.slice(0, offset)
    else if (kind === 1) input = new Uint8Array(Buffer.concat([input, input.subarray(offset)]))
    else if (offset < input.length) input[offset] = random.integer(256)
  }
  return input
}
