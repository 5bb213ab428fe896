/** The device's keys: made from randomness, kept as bytes. */
import t from 'tap'
import { DEVICE_KEYS_BYTES, DeviceKeys } from '../../src/crypto/device-keys.ts'
import { filled, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

t.test('encode() gives fixed bytes and decode() the same keys', async t => {
  const keys = DeviceKeys.generate(new SeededRandom(1))
  const bytes = keys.encode()
  t.equal(bytes.length, DEVICE_KEYS_BYTES)
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'device keys')))
  const decoded = DeviceKeys.decode(bytes)
  for (const use of ['signing', 'box', 'network'] as const) {
    t.equal(toHex(decoded[use].secretKey), toHex(keys[use].secretKey), use)
    t.equal(toHex(decoded.publicKeys[use]), toHex(keys[use].publicKey), use)
  }
  const { signing, box, network } = keys.publicKeys
  t.equal(toHex(signing), toHex(goldenVector('crypto', 'device signing key')))
  t.equal(toHex(box), toHex(goldenVector('crypto', 'device box key')))
  t.equal(toHex(network), toHex(goldenVector('crypto', 'device network key')))
})

t.test('generate() makes three unlike pairs, other ones each time', async t => {
  const random = new SeededRandom(2)
  const keys = new Set<string>()
  for (let count = 0; count < 2; count++) {
    const { signing, box, network } = DeviceKeys.generate(random).publicKeys
    for (const key of [signing, box, network]) keys.add(toHex(key))
  }
  t.equal(keys.size, 6)
})

t.test('decode() copies and refuses what is not device keys', async t => {
  const bytes = DeviceKeys.generate(new SeededRandom(1)).encode()
  const mine = new Uint8Array(bytes)
  const decoded = DeviceKeys.decode(mine)
  mine.fill(0)
  t.equal(toHex(decoded.encode()), toHex(bytes))
  t.throws(() => DeviceKeys.decode(replaced(bytes, 0, 2)), { code: 'NEWER_FORMAT' })
  t.throws(() => DeviceKeys.decode(replaced(bytes, 0, 0)), { code: 'MALFORMED' })
  t.throws(() => DeviceKeys.decode(bytes.subarray(1)), { name: 'CryptoError' })
  t.throws(() => DeviceKeys.decode(bytes.subarray(0, 96)), { code: 'TRUNCATED' })
  t.throws(() => DeviceKeys.decode(new Uint8Array(0)), { code: 'TRUNCATED' })
  t.throws(() => DeviceKeys.decode(Buffer.concat([bytes, filled(1, 0)])), { code: 'MALFORMED' })
})
