/** Sealed names of devices: one size, bound to the device, refused when changed. */
import assert from 'node:assert/strict'
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { deriveKey } from '../../src/crypto/derive.ts'
import {
  DEVICE_NAME_BYTES_MAX,
  SEALED_NAME_BYTES,
  openDeviceName,
  sealDeviceName
} from '../../src/crypto/device-name.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { encrypt } from '../../src/crypto/sodium.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { FUZZ_INPUTS, fuzzDecoder } from '../support/fuzz-decoder.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const SEED = 20_261_130

const keys = KeyTable.generate(new SeededRandom(1))
const device = filled(32, 3)
const seal = (name: string) => sealDeviceName({ name, device, keys, random: new SeededRandom(2) })
const open = (sealed: Uint8Array) => openDeviceName({ sealed, device, keys })

t.test('openDeviceName() gives back the name; all sealed names have one size', async t => {
  t.equal(toHex(seal('laptop')), toHex(goldenVector('crypto', 'sealed device name')))
  for (const name of ['x', 'Zoë’s 💻', 'n'.repeat(DEVICE_NAME_BYTES_MAX)]) {
    t.equal(seal(name).length, SEALED_NAME_BYTES)
    t.equal(open(seal(name)), name)
  }
  t.throws(() => seal(''), RangeError)
  t.throws(() => seal('é'.repeat(32)), RangeError)
})

t.test('openDeviceName() refuses changed bytes, another device, other versions', async t => {
  const sealed = seal('laptop')
  for (let offset = 0; offset < sealed.length; offset++) {
    assert.throws(() => open(flipped(sealed, offset)), { name: 'CryptoError' }, `byte ${offset}`)
    assert.throws(() => open(sealed.subarray(0, offset)), { code: 'TRUNCATED' })
  }
  t.throws(() => openDeviceName({ sealed, device: filled(32, 4), keys }), { code: 'FORGED' })
  t.throws(() => open(replaced(sealed, 0, 2)), { code: 'NEWER_FORMAT' })
  t.throws(() => open(replaced(sealed, 1, 2)), { code: 'UNKNOWN_KEY' })
  t.throws(() => open(Buffer.concat([sealed, filled(1, 0)])), { code: 'MALFORMED' })
})

const GENUINE = seal('laptop')
const nameKey = deriveKey({ key: keys.get(1).key, purpose: 'device/name', context: device })

/** Seals what need not be a name, as a member can. */
function sealedOver(plain: Uint8Array): Uint8Array {
  const forged = new Uint8Array(GENUINE)
  const associated = Buffer.concat([Buffer.from('grove/name/1'), forged.subarray(0, 5), device])
  const nonce = forged.subarray(5, 29)
  encrypt({ plain, into: forged.subarray(29), associated, nonce, key: nameKey })
  return forged
}

t.test('openDeviceName() refuses a genuine seal over what is no name', async t => {
  for (const [length, first] of [
    [0, 0x61],
    [64, 0x61],
    [1, 0xff]
  ] as const) {
    const plain = replaced(replaced(new Uint8Array(64), 0, length), 1, first)
    t.throws(() => open(sealedOver(plain)), { code: 'MALFORMED' }, `length ${length}`)
  }
})

t.test(`openDeviceName() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  const isRefusal = (error: unknown): boolean => error instanceof CryptoError
  const forged = await fuzzDecoder({
    ...{ random, isRefusal, genuine: [GENUINE], opensKeys: true },
    reencoded: bytes => (open(bytes) === 'laptop' ? GENUINE : new Uint8Array(0))
  })
  t.same(forged.failures, [])
  const plain = replaced(new Uint8Array(64).fill(0x61), 0, 20)
  const sealed = await fuzzDecoder({
    ...{ random, isRefusal, genuine: [plain], opensKeys: true },
    reencoded: bytes => {
      const name = Buffer.from(open(sealedOver(sized(bytes))))
      return name.length > 0 && name.length <= DEVICE_NAME_BYTES_MAX ? undefined : plain
    }
  })
  t.same(sealed.failures, [])
  t.ok(sealed.taken > FUZZ_INPUTS / 100, `${sealed.taken} were names`)
})

/** Bytes cut or filled up to the size that a sealed name has inside. */
function sized(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(64).map((_, at) => bytes[at] ?? 0)
}
