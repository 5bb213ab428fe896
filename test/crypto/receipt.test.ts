/** Receipts: bytes, chain, forgeries, hostile bodies. */
import assert from 'node:assert/strict'
import t from 'tap'
import { WINDOW_BITMAP_BYTES } from '../../src/crypto/log-window.ts'
import {
  MACHINE_TAG_BYTES,
  openReceipt,
  receiptHash,
  signReceipt
} from '../../src/crypto/receipt.ts'
import type { ReceiptContent } from '../../src/crypto/receipt.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import {
  NO_PREVIOUS,
  decodeStatement,
  encodeStatement,
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
const content: ReceiptContent = {
  sequence: 1,
  previous: NO_PREVIOUS,
  identity: filled(32, 2),
  drive: filled(32, 3),
  machine: filled(MACHINE_TAG_BYTES, 4),
  log: filled(32, 5),
  length: 2 ** 40 + 7,
  treeHash: filled(32, 6),
  window: 2 ** 30,
  bitmap: filled(WINDOW_BITMAP_BYTES, 0x81),
  bytes: 2 ** 45 + 1,
  timeMs: 1_790_000_000_000,
  onlineSec: 86_400
}
const bytes = signReceipt(content, keeper)

t.test('openReceipt() gives back what was signed, in fixed bytes', async t => {
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'receipt')))
  const signer = keeper.publicKey
  t.same(openReceipt(bytes), { ...content, signer, statement: bytes })
  t.same(openReceipt(Buffer.from(bytes), { signer }).statement, bytes)
})

t.test('receiptHash() is the hash of the statement and chains the next', async t => {
  t.equal(toHex(receiptHash(bytes)), toHex(statementHash(decodeStatement(bytes))))
  const next = signReceipt({ ...content, sequence: 2, previous: receiptHash(bytes) }, keeper)
  t.same(openReceipt(next).previous, receiptHash(bytes))
  t.equal(openReceipt(next).sequence, 2)
})

t.test('openReceipt() refuses another signer and every changed byte', async t => {
  const signer = filled(32, 9)
  t.throws(() => openReceipt(bytes, { signer }), { code: 'FORGED' })
  for (let offset = 0; offset < bytes.length; offset++) {
    const open = () => openReceipt(flipped(bytes, offset))
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset}`)
  }
})

t.test('openReceipt() refuses other domains, versions and bodies', async t => {
  const { domain, sequence, previous, body } = decodeStatement(bytes)
  const resigned = (change: { body?: Uint8Array; domain?: string }) =>
    encodeStatement(signStatement({ domain, sequence, previous, body, ...change }, keeper))
  t.throws(() => openReceipt(resigned({ domain: 'custody/receipts' })), { code: 'FORGED' })
  t.throws(() => openReceipt(goldenVector('crypto', 'receipt, future version')), {
    code: 'NEWER_FORMAT'
  })
  t.throws(() => openReceipt(resigned({ body: Buffer.concat([body, filled(1, 0)]) })), {
    code: 'MALFORMED'
  })
  for (let size = 0; size < body.length; size += 7) {
    const shorter = resigned({ body: body.subarray(0, size) })
    assert.throws(() => openReceipt(shorter), { code: 'TRUNCATED' }, `${size} bytes`)
  }
})

t.test('signReceipt() refuses what does not fit', async t => {
  const sign = (change: Partial<ReceiptContent>) => () =>
    signReceipt({ ...content, ...change }, keeper)
  t.throws(sign({ machine: filled(15, 1) }), RangeError)
  t.throws(sign({ bitmap: filled(127, 1) }), RangeError)
  t.throws(sign({ window: 2 ** 32 }), RangeError)
  t.throws(sign({ bytes: -1 }), RangeError)
})

t.test(`openReceipt() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: bytes,
    keyPair: keeper,
    reopened: input => signReceipt(openReceipt(input), keeper)
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})
