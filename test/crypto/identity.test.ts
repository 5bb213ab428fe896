/** The person's keys from words, and proofs for devices. */
import assert from 'node:assert/strict'
import t from 'tap'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import {
  Identity,
  PROOF_BYTES_MAX,
  checkDeviceProof,
  proveDevice
} from '../../src/crypto/identity.ts'
import { generateWords } from '../../src/crypto/recovery-words.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const ABANDON = `${'abandon '.repeat(23)}art`
const TIME_MS = 1_790_000_000_000
const device = (seed: number) => DeviceKeys.generate(new SeededRandom(seed))

t.test('fromWords() gives the same keys for the same words, for ever', async t => {
  const identity = await Identity.fromWords(ABANDON)
  const keys: readonly [string, Uint8Array][] = [
    ['identity signing key', identity.signing.publicKey],
    ['identity recovery key', identity.recovery.publicKey],
    ['locator secret 0', identity.locatorSecret(0)],
    ['locator secret 1', identity.locatorSecret(1)]
  ]
  for (const [name, key] of keys) t.equal(toHex(key), toHex(goldenVector('crypto', name)), name)
  t.equal(new Set(keys.map(([, key]) => toHex(key))).size, 4)

  const again = await Identity.fromWords(ABANDON)
  t.equal(toHex(again.signing.secretKey), toHex(identity.signing.secretKey))
  const other = await Identity.fromWords(generateWords(new SeededRandom(1)))
  t.not(toHex(other.signing.publicKey), toHex(identity.signing.publicKey))
})

t.test('fromWords() refuses bad words', async t => {
  await t.rejects(Identity.fromWords(ABANDON.replace('art', 'zoo')), { code: 'BAD_WORDS' })
})

t.test('clear() wipes the secrets', async t => {
  const identity = await Identity.fromWords(ABANDON)
  identity.clear()
  identity.clear()
  t.equal(toHex(identity.signing.secretKey), '00'.repeat(64))
  t.equal(toHex(identity.recovery.secretKey), '00'.repeat(32))
})

t.test('proveDevice() proves a device, directly and through another', async t => {
  const { signing } = await Identity.fromWords(ABANDON)
  const [laptop, phone] = [device(1), device(2)]
  const proof = proveDevice({ device: laptop.signing.publicKey, parent: signing, timeMs: TIME_MS })
  t.equal(toHex(proof), toHex(goldenVector('crypto', 'device proof')))
  checkDeviceProof({ proof, identity: signing.publicKey, device: laptop.signing.publicKey })

  const chained = proveDevice({
    device: phone.signing.publicKey,
    parent: laptop.signing,
    parentProof: proof,
    timeMs: TIME_MS
  })
  checkDeviceProof({ proof: chained, identity: signing.publicKey, device: phone.signing.publicKey })
})

t.test('checkDeviceProof() refuses every other identity, device and changed byte', async t => {
  const { signing } = await Identity.fromWords(ABANDON)
  const { publicKey } = device(1).signing
  const proof = proveDevice({ device: publicKey, parent: signing, timeMs: TIME_MS })
  const genuine = { proof, identity: signing.publicKey, device: publicKey }
  t.throws(() => checkDeviceProof({ ...genuine, identity: publicKey }), { code: 'FORGED' })
  t.throws(() => checkDeviceProof({ ...genuine, device: signing.publicKey }), { code: 'FORGED' })
  for (let offset = 0; offset < proof.length - 1; offset++) {
    const changed = flipped(proof, offset)
    assert.throws(() => checkDeviceProof({ ...genuine, proof: changed }), { name: 'CryptoError' })
  }
  for (let size = 0; size < proof.length; size++) {
    const cut = proof.subarray(0, size)
    assert.throws(() => checkDeviceProof({ ...genuine, proof: cut }), { name: 'CryptoError' })
  }
  t.throws(() => checkDeviceProof({ ...genuine, proof: replaced(proof, 0, 2) }), {
    code: 'NEWER_FORMAT'
  })
  const large = filled(PROOF_BYTES_MAX + 1, 1)
  t.throws(() => checkDeviceProof({ ...genuine, proof: large }), { code: 'MALFORMED' })
})

t.test('checkDeviceProof() refuses a device that vouches for itself', async t => {
  const { signing } = await Identity.fromWords(ABANDON)
  const thief = device(3).signing
  const proof = proveDevice({ device: thief.publicKey, parent: thief, timeMs: TIME_MS })
  const identity = signing.publicKey
  t.throws(() => checkDeviceProof({ proof, identity, device: thief.publicKey }), { code: 'FORGED' })
})
