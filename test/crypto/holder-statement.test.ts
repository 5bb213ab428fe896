/** Statements about holders: bytes, texts, forgeries, hostile bodies. */
import assert from 'node:assert/strict'
import t from 'tap'
import { openHolderStatement, signHolderStatement } from '../../src/crypto/holder-statement.ts'
import type { HolderContent } from '../../src/crypto/holder-statement.ts'
import { MACHINE_TAG_BYTES } from '../../src/crypto/receipt.ts'
import { blake2b, signingKeyPair } from '../../src/crypto/sodium.ts'
import {
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
/** Where the texts begin in the body. */
const TEXTS_OFFSET = 3 * 32 + 16 + 8

const device = signingKeyPair(filled(32, 1))
const content: HolderContent = {
  action: 'add',
  version: 3,
  drive: filled(32, 2),
  holder: filled(32, 3),
  network: filled(32, 4),
  machineTag: filled(MACHINE_TAG_BYTES, 5),
  timeMs: 1_790_000_000_000,
  name: 'attic',
  site: 'home',
  machine: '',
  person: 'Zoë'
}
const bytes = signHolderStatement(content, device)

t.test('openHolderStatement() gives back what was signed, in fixed bytes', async t => {
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'holder added')))
  const signer = device.publicKey
  const opened = openHolderStatement(bytes)
  t.same(opened, { ...content, signer, hash: blake2b(bytes) })
  t.equal(toHex(opened.hash), toHex(statementHash(decodeStatement(bytes))))
  const removal: HolderContent = { ...content, action: 'remove', version: 4, name: '' }
  const removed = signHolderStatement(removal, device)
  t.equal(toHex(removed), toHex(goldenVector('crypto', 'holder removed')))
  t.same(openHolderStatement(removed), { ...removal, signer, hash: blake2b(removed) })
})

t.test('openHolderStatement() refuses every changed byte', async () => {
  for (let offset = 0; offset < bytes.length; offset++) {
    const open = () => openHolderStatement(flipped(bytes, offset))
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset}`)
  }
})

t.test('openHolderStatement() refuses other domains, versions, chains and bodies', async t => {
  const genuine = decodeStatement(bytes)
  const opening = (change: Partial<typeof genuine>) => () =>
    openHolderStatement(encodeStatement(signStatement({ ...genuine, ...change }, device)))
  const malformed = { code: 'MALFORMED' }
  t.doesNotThrow(opening({}))
  t.throws(opening({ domain: 'holder/lend' }), malformed)
  t.throws(opening({ sequence: 0 }), malformed)
  t.throws(opening({ previous: filled(32, 1) }), malformed)
  const future = goldenVector('crypto', 'holder added, future version')
  t.throws(() => openHolderStatement(future), { code: 'NEWER_FORMAT' })
  const { body } = genuine
  t.throws(opening({ body: Buffer.concat([body, filled(1, 0)]) }), malformed)
  const texts = Buffer.from('\u0001\u001b\u0000\u0000\u0000')
  t.throws(opening({ body: Buffer.concat([body.subarray(0, TEXTS_OFFSET), texts]) }), malformed)
  const cutTo = (size: number) => opening({ body: body.subarray(0, size) })
  for (let size = 0; size < body.length; size++) {
    assert.throws(cutTo(size), { code: 'TRUNCATED' }, `${size} bytes`)
  }
})

t.test('signHolderStatement() keeps the limits', async t => {
  const sign = (change: Partial<HolderContent>) => () =>
    signHolderStatement({ ...content, ...change }, device)
  t.doesNotThrow(sign({ person: 'p'.repeat(63) }))
  t.throws(sign({ person: 'p'.repeat(64) }), RangeError)
  t.throws(sign({ name: 'two\nlines' }), RangeError)
  t.throws(sign({ machineTag: filled(17, 1) }), RangeError)
  t.throws(sign({ version: 0 }), RangeError)
})

t.test(`openHolderStatement() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: bytes,
    keyPair: device,
    reopened: input => signHolderStatement(openHolderStatement(input), device)
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})
