/** Balances and their acceptance: bytes, chain, both signatures, hostile bodies. */
import assert from 'node:assert/strict'
import t from 'tap'
import {
  balanceHash,
  isDoublySigned,
  openBalance,
  openBalanceAccepted,
  signBalance,
  signBalanceAccepted
} from '../../src/crypto/balance.ts'
import type { BalanceContent } from '../../src/crypto/balance.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import {
  NO_PREVIOUS,
  decodeStatement,
  encodeStatement,
  signLoneStatement,
  signStatement,
  statementHash
} from '../../src/crypto/statement.ts'
import { filled, flipped, toHex } from '../support/bytes.ts'
import { fuzzStatement } from '../support/fuzz-statement.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

const keeper = signingKeyPair(filled(32, 1))
const device = signingKeyPair(filled(32, 2))
const content: BalanceContent = {
  sequence: 1,
  previous: NO_PREVIOUS,
  identity: filled(32, 3),
  mibSeconds: 2 ** 50 + 1,
  timeMs: 1_790_000_000_000
}
const balance = signBalance(content, keeper)
const accepted = signBalanceAccepted(balanceHash(balance), device)

t.test('openBalance() gives back what was signed, in fixed bytes', async t => {
  t.equal(toHex(balance), toHex(goldenVector('crypto', 'balance')))
  const hash = statementHash(decodeStatement(balance))
  const signer = keeper.publicKey
  t.same(openBalance(balance), { ...content, keeper: signer, hash })
  t.same(balanceHash(balance), hash)
  const next = signBalance({ ...content, sequence: 2, previous: hash }, keeper)
  t.same(openBalance(next, { signer }).previous, hash)
  t.equal(openBalance(next).sequence, 2)
})

t.test('openBalanceAccepted() gives back what was signed, in fixed bytes', async t => {
  t.equal(toHex(accepted), toHex(goldenVector('crypto', 'balance accepted')))
  const signer = device.publicKey
  t.same(openBalanceAccepted(accepted), { balance: balanceHash(balance), signer })
  t.same(openBalanceAccepted(accepted, { signer }).signer, signer)
})

t.test('isDoublySigned() tells the acceptance of a balance, by another, from others', async t => {
  const opened = openBalance(balance)
  t.equal(isDoublySigned(opened, openBalanceAccepted(accepted)), true)
  const later = openBalance(signBalance({ ...content, sequence: 2 }, keeper))
  t.equal(isDoublySigned(later, openBalanceAccepted(accepted)), false)
  const own = openBalanceAccepted(signBalanceAccepted(balanceHash(balance), keeper))
  t.equal(isDoublySigned(opened, own), false, 'a keeper that accepts its own')
})

t.test('other signers, domains and every changed byte are refused', async t => {
  const stranger = { signer: filled(32, 9) }
  t.throws(() => openBalance(balance, stranger), { code: 'FORGED' })
  t.throws(() => openBalanceAccepted(accepted, stranger), { code: 'FORGED' })
  t.throws(() => openBalance(accepted), { code: 'FORGED' })
  t.throws(() => openBalanceAccepted(balance), { code: 'FORGED' })
  const impostor = encodeStatement(signStatement(decodeStatement(balance), device))
  t.throws(() => openBalance(impostor), { code: 'FORGED' }, 'signed for another keeper')
  for (let offset = 0; offset < balance.length; offset++) {
    const open = () => openBalance(flipped(balance, offset))
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset} of the balance`)
  }
  for (let offset = 0; offset < accepted.length; offset++) {
    const open = () => openBalanceAccepted(flipped(accepted, offset))
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset} of the acceptance`)
  }
})

t.test('other versions and bodies are refused', async t => {
  const newer = { code: 'NEWER_FORMAT' }
  t.throws(() => openBalance(goldenVector('crypto', 'balance, future version')), newer)
  const future = goldenVector('crypto', 'balance accepted, future version')
  t.throws(() => openBalanceAccepted(future), newer)
  for (const [bytes, open, keyPair] of [
    [balance, openBalance, keeper],
    [accepted, openBalanceAccepted, device]
  ] as const) {
    const { domain, body } = decodeStatement(bytes)
    const opening = (changed: Uint8Array) => () =>
      open(signLoneStatement({ domain, body: changed }, keyPair))
    t.throws(opening(Buffer.concat([body, filled(1, 0)])), { code: 'MALFORMED' })
    for (let size = 0; size < body.length; size++) {
      assert.throws(opening(body.subarray(0, size)), { code: 'TRUNCATED' }, `${size} bytes`)
    }
  }
})

t.test('what does not fit is not signed', async t => {
  t.throws(() => signBalance({ ...content, mibSeconds: 2 ** 53 }, keeper), RangeError)
  t.throws(() => signBalance({ ...content, mibSeconds: 0.5 }, keeper), RangeError)
  t.throws(() => signBalance({ ...content, identity: filled(31, 1) }, keeper), RangeError)
  t.throws(() => signBalanceAccepted(filled(31, 1), device), RangeError)
})

t.test(`openBalance() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: balance,
    keyPair: keeper,
    reopened: input => signBalance(openBalance(input), keeper)
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})

t.test(`openBalanceAccepted() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: accepted,
    keyPair: device,
    reopened: input => signBalanceAccepted(openBalanceAccepted(input).balance, device)
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})
