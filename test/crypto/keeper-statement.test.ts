/** What keepers say of themselves: bytes, forgeries, hostile bodies. */
import assert from 'node:assert/strict'
import t from 'tap'
import { openKeeperStatement, signKeeperStatement } from '../../src/crypto/keeper-statement.ts'
import type { KeeperContent } from '../../src/crypto/keeper-statement.ts'
import { MACHINE_TAG_BYTES } from '../../src/crypto/receipt.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { decodeStatement, signLoneStatement } from '../../src/crypto/statement.ts'
import { filled, flipped, toHex } from '../support/bytes.ts'
import { fuzzStatement } from '../support/fuzz-statement.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

const keeper = signingKeyPair(filled(32, 1))
const content: KeeperContent = {
  identity: filled(32, 2),
  nonce: filled(32, 3),
  machine: filled(MACHINE_TAG_BYTES, 4),
  quotaBytes: 2 ** 40,
  usedBytes: 2 ** 33 + 1,
  timeMs: 1_790_000_000_000,
  onlineSec: 86_400,
  listVersion: 5,
  name: 'attic'
}
const bytes = signKeeperStatement(content, keeper)

t.test('openKeeperStatement() gives back what was signed, in fixed bytes', async t => {
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'keeper')))
  const signer = keeper.publicKey
  t.same(openKeeperStatement(bytes), { ...content, signer })
  t.same(openKeeperStatement(bytes, { signer }), { ...content, signer })
})

t.test('openKeeperStatement() refuses another signer and every changed byte', async t => {
  t.throws(() => openKeeperStatement(bytes, { signer: filled(32, 9) }), { code: 'FORGED' })
  for (let offset = 0; offset < bytes.length; offset++) {
    const open = () => openKeeperStatement(flipped(bytes, offset))
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset}`)
  }
})

t.test('openKeeperStatement() refuses other domains, versions and bodies', async t => {
  const { domain, body } = decodeStatement(bytes)
  const opening = (change: { body?: Uint8Array; domain?: string }) => () =>
    openKeeperStatement(signLoneStatement({ domain, body, ...change }, keeper))
  t.throws(opening({ domain: 'custody/holder' }), { code: 'FORGED' })
  const future = goldenVector('crypto', 'keeper, future version')
  t.throws(() => openKeeperStatement(future), { code: 'NEWER_FORMAT' })
  t.throws(opening({ body: Buffer.concat([body, filled(1, 0)]) }), { code: 'MALFORMED' })
  t.throws(opening({ body: flipped(body, body.length - 1, 0x80) }), { code: 'MALFORMED' }, 'UTF-8')
  const cutTo = (size: number) => opening({ body: body.subarray(0, size) })
  for (let size = 0; size < body.length; size++) {
    assert.throws(cutTo(size), { code: 'TRUNCATED' }, `${size} bytes`)
  }
})

t.test('signKeeperStatement() keeps the limits', async t => {
  const sign = (change: Partial<KeeperContent>) => () =>
    signKeeperStatement({ ...content, ...change }, keeper)
  t.doesNotThrow(sign({ name: 'n'.repeat(63) }))
  t.throws(sign({ name: 'n'.repeat(64) }), RangeError)
  t.throws(sign({ nonce: filled(31, 1) }), RangeError)
  t.throws(sign({ quotaBytes: Number.POSITIVE_INFINITY }), RangeError)
})

t.test(`openKeeperStatement() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: bytes,
    keyPair: keeper,
    reopened: input => signKeeperStatement(openKeeperStatement(input), keeper)
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})
