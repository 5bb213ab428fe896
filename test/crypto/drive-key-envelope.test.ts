/** Drive keys sealed to devices and to the recovery key. */
import assert from 'node:assert/strict'
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import {
  DRIVE_KEY_ENVELOPE_BYTES,
  envelopeHeader,
  openDriveKey,
  sealDriveKey
} from '../../src/crypto/drive-key-envelope.ts'
import { Identity } from '../../src/crypto/identity.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { FUZZ_INPUTS, fuzzDecoder } from '../support/fuzz-decoder.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const SEED = 20_261_130

const row = KeyTable.generate(new SeededRandom(1)).get(1)
const drive = filled(32, 0xd)
const device = DeviceKeys.generate(new SeededRandom(2))
const recipient = device.box.publicKey
const seal = () => sealDriveKey({ row, drive, recipient, random: new SeededRandom(3) })
const open = (envelope: Uint8Array) => openDriveKey({ envelope, drive, keyPair: device.box })

t.test('openDriveKey() gives the recipient the key, from fixed bytes', async t => {
  const envelope = seal()
  t.equal(envelope.length, DRIVE_KEY_ENVELOPE_BYTES)
  t.equal(toHex(envelope), toHex(goldenVector('crypto', 'drive key envelope')))
  const { recipient: to, ...header } = envelopeHeader(envelope)
  t.equal(toHex(to), toHex(recipient))
  t.same(header, { keyId: 1, scope: 0, epoch: 1, commitment: row.commitment })
  const opened = open(envelope)
  t.equal(toHex(opened.key), toHex(row.key))
  const table = new KeyTable()
  table.add(opened)
  t.equal(table.currentKeyId, 1)
})

t.test('words alone open what was sealed to the recovery key', async t => {
  const identity = await Identity.fromWords(`${'abandon '.repeat(23)}art`)
  const { recovery } = identity
  const envelope = sealDriveKey({
    row,
    drive,
    recipient: recovery.publicKey,
    random: new SeededRandom(4)
  })
  t.equal(toHex(openDriveKey({ envelope, drive, keyPair: recovery }).key), toHex(row.key))
  t.throws(() => open(envelope), { code: 'FORGED' })
})

t.test('openDriveKey() refuses every changed byte and another drive', async t => {
  const envelope = seal()
  for (let offset = 0; offset < envelope.length; offset++) {
    assert.throws(() => open(flipped(envelope, offset)), { name: 'CryptoError' }, `byte ${offset}`)
    assert.throws(() => open(envelope.subarray(0, offset)), { code: 'TRUNCATED' })
  }
  t.throws(() => open(Buffer.concat([envelope, filled(1, 0)])), { code: 'MALFORMED' })
  const elsewhere = { envelope, drive: filled(32, 0xe), keyPair: device.box }
  t.throws(() => openDriveKey(elsewhere), { code: 'FORGED' }, 'another drive')
})

t.test('envelopeHeader() refuses newer versions, suites and flags', async t => {
  const envelope = seal()
  t.throws(() => envelopeHeader(replaced(envelope, 0, 2)), { code: 'NEWER_FORMAT' })
  t.throws(() => envelopeHeader(replaced(envelope, 1, 2)), { code: 'NEWER_FORMAT' })
  t.throws(() => envelopeHeader(replaced(envelope, 2, 1)), { code: 'NEWER_FORMAT' })
  t.throws(() => envelopeHeader(replaced(envelope, 3, 0x80)), { code: 'NEWER_FORMAT' })
  t.throws(() => envelopeHeader(replaced(envelope, 0, 0)), { code: 'MALFORMED' })
  t.throws(() => envelopeHeader(replaced(envelope, 4, 0)), { code: 'MALFORMED' }, 'key id 0')
})

t.test('openDriveKey() refuses a key that is not the one committed to', async t => {
  const lying = { ...row, key: filled(32, 5) }
  const envelope = sealDriveKey({ row: lying, drive, recipient, random: new SeededRandom(3) })
  t.throws(() => open(envelope), { code: 'WRONG_KEY' })
})

t.test(`envelopes survive ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const envelope = seal()
  const { failures } = await fuzzDecoder({
    random: new SeededRandom(SEED),
    genuine: [envelope],
    opensKeys: true,
    reencoded: bytes => {
      envelopeHeader(bytes)
      return toHex(open(bytes).key) === toHex(row.key) ? envelope : new Uint8Array(0)
    },
    isRefusal: error => error instanceof CryptoError
  })
  t.same(failures, [])
})
