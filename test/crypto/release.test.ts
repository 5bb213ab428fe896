/** Releases and their cancelling: bytes, limits, forgeries, hostile bodies. */
import assert from 'node:assert/strict'
import t from 'tap'
import { WINDOW_BITMAP_BYTES } from '../../src/crypto/log-window.ts'
import type { LogWindow } from '../../src/crypto/log-window.ts'
import {
  RELEASE_DELAY_MS,
  RELEASE_WINDOWS_MAX,
  openCancel,
  openRelease,
  releaseHash,
  signCancel,
  signRelease
} from '../../src/crypto/release.ts'
import type { ReleaseContent } from '../../src/crypto/release.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { decodeStatement, signLoneStatement, statementHash } from '../../src/crypto/statement.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { fuzzStatement } from '../support/fuzz-statement.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)
const TIME_MS = 1_790_000_000_000
/** Where the kind and the count of windows lie in a release's body. */
const KIND_OFFSET = 2 * 32
const COUNT_OFFSET = KIND_OFFSET + 1 + 1 + 8

const device = signingKeyPair(filled(32, 1))
const signer = device.publicKey
const window = (fill: number): LogWindow => ({
  log: filled(32, fill),
  window: fill,
  bitmap: filled(WINDOW_BITMAP_BYTES, fill)
})
const content: ReleaseContent = {
  drive: filled(32, 2),
  keeper: filled(32, 3),
  kind: 'excess',
  floor: 2,
  issuedMs: TIME_MS,
  windows: [window(4), window(5)]
}
const release = signRelease(content, device)
const cancel = signCancel({ release: releaseHash(release), issuedMs: TIME_MS + 1 }, device)

t.test('openRelease() gives back what was signed, in fixed bytes', async t => {
  t.equal(toHex(release), toHex(goldenVector('crypto', 'release')))
  const hash = statementHash(decodeStatement(release))
  t.same(openRelease(release), { ...content, signer, hash })
  t.same(openRelease(release, { signer }).hash, releaseHash(release))
  const garbage: ReleaseContent = { ...content, kind: 'garbage', floor: 0 }
  t.same(openRelease(signRelease(garbage, device)).kind, 'garbage')
  t.equal(RELEASE_DELAY_MS, 604_800_000)
})

t.test('openCancel() gives back what was signed, in fixed bytes', async t => {
  t.equal(toHex(cancel), toHex(goldenVector('crypto', 'cancel')))
  t.same(openCancel(cancel), { release: releaseHash(release), issuedMs: TIME_MS + 1, signer })
})

t.test('another signer, another domain and every changed byte are refused', async t => {
  const stranger = { signer: filled(32, 9) }
  t.throws(() => openRelease(release, stranger), { code: 'FORGED' })
  t.throws(() => openCancel(cancel, stranger), { code: 'FORGED' })
  t.throws(() => openRelease(cancel), { code: 'FORGED' })
  t.throws(() => openCancel(release), { code: 'FORGED' })
  for (let offset = 0; offset < release.length; offset++) {
    const open = () => openRelease(flipped(release, offset))
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset} of the release`)
  }
  for (let offset = 0; offset < cancel.length; offset++) {
    const open = () => openCancel(flipped(cancel, offset))
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset} of the cancelling`)
  }
})

t.test('openRelease() refuses other versions, kinds, counts and bodies', async t => {
  const { domain, body } = decodeStatement(release)
  const opening = (changed: Uint8Array) => () =>
    openRelease(signLoneStatement({ domain, body: changed }, device))
  const future = goldenVector('crypto', 'release, future version')
  t.throws(() => openRelease(future), { code: 'NEWER_FORMAT' })
  t.throws(opening(replaced(body, KIND_OFFSET, 2)), { code: 'NEWER_FORMAT' })
  t.throws(opening(Buffer.concat([body, filled(1, 0)])), { code: 'MALFORMED' })
  const none = replaced(body, COUNT_OFFSET, 0).subarray(0, COUNT_OFFSET + 2)
  t.throws(opening(none), { code: 'MALFORMED' }, 'no window')
  const most = Buffer.concat([none, Buffer.alloc((RELEASE_WINDOWS_MAX + 1) * 164)])
  most.writeUInt16LE(RELEASE_WINDOWS_MAX + 1, COUNT_OFFSET)
  t.throws(opening(most), { code: 'MALFORMED' }, 'too many windows')
  for (let size = 0; size < body.length; size += 3) {
    assert.throws(opening(body.subarray(0, size)), { code: 'TRUNCATED' }, `${size} bytes`)
  }
})

t.test('openCancel() refuses other versions and bodies', async t => {
  const { domain, body } = decodeStatement(cancel)
  const opening = (changed: Uint8Array) => () =>
    openCancel(signLoneStatement({ domain, body: changed }, device))
  const future = goldenVector('crypto', 'cancel, future version')
  t.throws(() => openCancel(future), { code: 'NEWER_FORMAT' })
  t.throws(opening(Buffer.concat([body, filled(1, 0)])), { code: 'MALFORMED' })
  for (let size = 0; size < body.length; size++) {
    assert.throws(opening(body.subarray(0, size)), { code: 'TRUNCATED' }, `${size} bytes`)
  }
})

t.test('signRelease() keeps the limits', async t => {
  const sign = (change: Partial<ReleaseContent>) => signRelease({ ...content, ...change }, device)
  const windows = Array.from({ length: RELEASE_WINDOWS_MAX }, () => window(7))
  t.same(openRelease(sign({ windows })).windows, windows)
  t.throws(() => sign({ windows: [...windows, window(7)] }), RangeError)
  t.throws(() => sign({ windows: [] }), RangeError)
  t.throws(() => sign({ floor: 256 }), RangeError)
  t.throws(() => signCancel({ release: filled(31, 1), issuedMs: 0 }, device), RangeError)
})

t.test(`openRelease() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: release,
    keyPair: device,
    reopened: input => signRelease(openRelease(input), device)
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})

t.test(`openCancel() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: cancel,
    keyPair: device,
    reopened: input => signCancel(openCancel(input), device)
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})
