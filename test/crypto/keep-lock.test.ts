/** Keep-locks: bytes, forgeries, hostile bodies. */
import assert from 'node:assert/strict'
import t from 'tap'
import { DROP_ATTEMPT_BYTES, openKeepLock, signKeepLock } from '../../src/crypto/keep-lock.ts'
import type { KeepLockContent } from '../../src/crypto/keep-lock.ts'
import { WINDOW_BITMAP_BYTES } from '../../src/crypto/log-window.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { decodeStatement, signLoneStatement } from '../../src/crypto/statement.ts'
import { filled, flipped, toHex } from '../support/bytes.ts'
import { fuzzStatement } from '../support/fuzz-statement.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)
const TIME_MS = 1_790_000_000_000

const locker = signingKeyPair(filled(32, 1))
const content: KeepLockContent = {
  dropper: filled(32, 2),
  attempt: filled(DROP_ATTEMPT_BYTES, 3),
  log: filled(32, 4),
  window: 5,
  bitmap: filled(WINDOW_BITMAP_BYTES, 6),
  grantedMs: TIME_MS,
  expiresMs: TIME_MS + 60_000
}
const bytes = signKeepLock(content, locker)

t.test('openKeepLock() gives back what was signed, in fixed bytes', async t => {
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'keep-lock')))
  const signer = locker.publicKey
  t.same(openKeepLock(bytes), { ...content, signer })
  t.same(openKeepLock(bytes, { signer }), { ...content, signer })
})

t.test('openKeepLock() refuses another signer and every changed byte', async t => {
  t.throws(() => openKeepLock(bytes, { signer: filled(32, 9) }), { code: 'FORGED' })
  for (let offset = 0; offset < bytes.length; offset++) {
    const open = () => openKeepLock(flipped(bytes, offset))
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset}`)
  }
})

t.test('openKeepLock() refuses other domains, versions and bodies', async t => {
  const { domain, body } = decodeStatement(bytes)
  const opening = (change: { body?: Uint8Array; domain?: string }) => () =>
    openKeepLock(signLoneStatement({ domain, body, ...change }, locker))
  t.throws(opening({ domain: 'custody/unlock' }), { code: 'FORGED' })
  const future = goldenVector('crypto', 'keep-lock, future version')
  t.throws(() => openKeepLock(future), { code: 'NEWER_FORMAT' })
  t.throws(opening({ body: Buffer.concat([body, filled(1, 0)]) }), { code: 'MALFORMED' })
  const cutTo = (size: number) => opening({ body: body.subarray(0, size) })
  for (let size = 0; size < body.length; size++) {
    assert.throws(cutTo(size), { code: 'TRUNCATED' }, `${size} bytes`)
  }
})

t.test('signKeepLock() refuses what does not fit', async t => {
  const sign = (change: Partial<KeepLockContent>) => () =>
    signKeepLock({ ...content, ...change }, locker)
  t.throws(sign({ attempt: filled(15, 1) }), RangeError)
  t.throws(sign({ bitmap: filled(129, 1) }), RangeError)
  t.throws(sign({ expiresMs: -1 }), RangeError)
})

t.test(`openKeepLock() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: bytes,
    keyPair: locker,
    reopened: input => signKeepLock(openKeepLock(input), locker)
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})
