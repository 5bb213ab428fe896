/** The bytes of the key file: round trips, passphrases, damage, hostile costs. */
import assert from 'node:assert/strict'
import t from 'tap'
import type { Test } from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import {
  KEY_FILE_BYTES_MAX,
  PASSPHRASE_MEMORY_BYTES,
  PASSPHRASE_MEMORY_BYTES_MAX,
  PASSPHRASE_OPERATIONS,
  PASSPHRASE_OPERATIONS_MAX,
  decodeKeyFile,
  encodeKeyFile,
  keyFileIsSealed
} from '../../src/crypto/key-file.ts'
import type { KeyFileContent } from '../../src/crypto/key-file.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { blake2b } from '../../src/crypto/sodium.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { collectGarbage } from '../support/collect-garbage.ts'
import { FUZZ_INPUTS } from '../support/fuzz-decoder.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const SEED = 20_261_130
/** How many files are tried before what they held is given back. */
const COLLECT_EVERY = 5000

const passphrase = Buffer.from('correct horse')
/** Cheap, so that the tests are; what is real is the same code. */
const cost = { operations: 1, memoryBytes: 64 * 1024 }
const content: KeyFileContent = {
  deviceKeys: DeviceKeys.generate(new SeededRandom(1)),
  drive: filled(32, 2),
  identity: filled(32, 3),
  recoveryKey: filled(32, 4),
  keys: KeyTable.generate(new SeededRandom(5)),
  indexKey: filled(32, 6),
  logSeed: filled(32, 7),
  statements: [Buffer.from('first'), new Uint8Array(0), Buffer.from('third')]
}
const encode = () => encodeKeyFile(content, { random: new SeededRandom(8) })
const encodeSealed = () => encodeKeyFile(content, { passphrase, random: new SeededRandom(8), cost })

/** The file with the checksum that fits it, as somebody who writes to the disk can make it. */
function rehashed(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy.set(blake2b(copy.subarray(0, -32)), copy.length - 32)
  return copy
}

function sameContent(t: Test, actual: KeyFileContent): void {
  t.equal(toHex(actual.deviceKeys.encode()), toHex(content.deviceKeys.encode()))
  t.equal(toHex(actual.keys.encode()), toHex(content.keys.encode()))
  for (const name of ['drive', 'identity', 'recoveryKey', 'indexKey', 'logSeed'] as const) {
    t.equal(toHex(actual[name]), toHex(content[name]), name)
  }
  t.same(actual.statements.map(toHex), content.statements.map(toHex))
}

t.test('decodeKeyFile() gives back what was encoded, from fixed bytes', async t => {
  const bytes = await encode()
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'key file')))
  t.equal(keyFileIsSealed(bytes), false)
  sameContent(t, await decodeKeyFile(bytes))
  sameContent(t, await decodeKeyFile(bytes, { passphrase }))
  sameContent(t, await decodeKeyFile(Buffer.from(bytes)))
})

t.test('a passphrase seals the file', async t => {
  const bytes = await encodeSealed()
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'key file, sealed')))
  t.equal(keyFileIsSealed(bytes), true)
  sameContent(t, await decodeKeyFile(bytes, { passphrase }))
  const haystack = Buffer.from(bytes)
  for (const secret of [content.indexKey, content.logSeed, content.keys.get(1).key]) {
    t.equal(haystack.includes(Buffer.from(secret)), false, 'no secret lies open')
  }
  const wrong = { code: 'WRONG_PASSPHRASE' }
  await t.rejects(decodeKeyFile(bytes, { passphrase: Buffer.from('correct horsf') }), wrong)
  await t.rejects(decodeKeyFile(bytes, { passphrase: new Uint8Array(0) }), wrong)
  await t.rejects(decodeKeyFile(bytes), wrong, 'missing')
  const empty = { passphrase: new Uint8Array(0), random: new SeededRandom(8), cost }
  await t.rejects(encodeKeyFile(content, empty), RangeError)
})

t.test('every changed byte and every shorter file is found', async () => {
  for (const bytes of [await encode(), await encodeSealed()]) {
    for (let offset = 0; offset < bytes.length; offset++) {
      const damaged = decodeKeyFile(flipped(bytes, offset), { passphrase })
      const code = offset >= 8 && offset < 12 ? /NEWER_FORMAT|MALFORMED/ : 'MALFORMED'
      await assert.rejects(damaged, { name: 'CryptoError', code }, `byte ${offset}`)
    }
    for (let size = 0; size < bytes.length; size += 5) {
      const cut = decodeKeyFile(bytes.subarray(0, size), { passphrase })
      await assert.rejects(cut, { code: 'MALFORMED' }, `${size} bytes`)
    }
  }
})

t.test('a newer version, protection or flag is refused', async t => {
  const bytes = await encode()
  const newer = { code: 'NEWER_FORMAT' }
  for (const [offset, value] of [
    [8, 2],
    [9, 2],
    [10, 1],
    [11, 0x80]
  ] as const) {
    const changed = rehashed(replaced(bytes, offset, value))
    await t.rejects(decodeKeyFile(changed), newer, `byte ${offset}`)
    t.throws(() => keyFileIsSealed(changed), newer)
  }
  for (const name of ['future version', 'unknown critical flag']) {
    await t.rejects(decodeKeyFile(goldenVector('crypto', `key file, ${name}`)), newer, name)
  }
  await t.rejects(decodeKeyFile(rehashed(replaced(bytes, 8, 0))), { code: 'MALFORMED' })
  await t.rejects(decodeKeyFile(rehashed(replaced(bytes, 12, 2))), newer, 'newer device keys')
})

t.test('a hostile file cannot ask for much work or memory', async t => {
  const bytes = await encodeSealed()
  const operations = replaced(bytes, 12, PASSPHRASE_OPERATIONS_MAX + 1)
  const memory = replaced(bytes, 19, 0x40)
  const none = replaced(bytes, 12, 0)
  for (const hostile of [operations, memory, none]) {
    const opened = decodeKeyFile(rehashed(hostile), { passphrase })
    await t.rejects(opened, { code: 'MALFORMED' })
  }
  for (const bad of [
    { operations: 0, memoryBytes: cost.memoryBytes },
    { operations: 1.5, memoryBytes: cost.memoryBytes },
    { operations: 1, memoryBytes: 1024 },
    { operations: 1, memoryBytes: 65_537 },
    { operations: 1, memoryBytes: PASSPHRASE_MEMORY_BYTES_MAX + 1024 }
  ]) {
    const encoding = encodeKeyFile(content, { passphrase, random: new SeededRandom(8), cost: bad })
    await t.rejects(encoding, RangeError)
  }
})

t.test('the header is bound to the sealed content', async t => {
  const bytes = await encodeSealed()
  const salt = rehashed(flipped(bytes, 20))
  const nonce = rehashed(flipped(bytes, 36))
  const ciphertext = rehashed(flipped(bytes, 100))
  for (const changed of [salt, nonce, ciphertext]) {
    await t.rejects(decodeKeyFile(changed, { passphrase }), { code: 'WRONG_PASSPHRASE' })
  }
})

t.test('content that does not parse is refused', async t => {
  const bytes = await encode()
  const short = rehashed(bytes.subarray(0, bytes.length - 1))
  await t.rejects(decodeKeyFile(short), { code: 'MALFORMED' })
  const longer = rehashed(Buffer.concat([bytes, filled(1, 0)]))
  await t.rejects(decodeKeyFile(longer), { code: 'MALFORMED' })
  const large = new Uint8Array(KEY_FILE_BYTES_MAX + 1)
  await t.rejects(decodeKeyFile(large), { code: 'MALFORMED' })
})

t.test('by default a passphrase costs what libsodium calls moderate', async t => {
  const bytes = await encodeKeyFile(content, { passphrase, random: new SeededRandom(8) })
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  t.equal(view.getUint32(12, true), PASSPHRASE_OPERATIONS)
  t.equal(view.getUint32(16, true) * 1024, PASSPHRASE_MEMORY_BYTES)
  sameContent(t, await decodeKeyFile(bytes, { passphrase }))
})

t.test(`decodeKeyFile() survives ${FUZZ_INPUTS} hostile files (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  const [open, sealed] = [await encode(), await encodeSealed()]
  let decoded = 0
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    if (count % COLLECT_EVERY === 0) await collectGarbage()
    const changed = hostileBytes(random, count % 400 === 0 ? [sealed] : [open])
    const bytes = count % 20 === 0 && changed.length > 32 ? rehashed(changed) : changed
    try {
      const { keys, statements } = await decodeKeyFile(bytes, { passphrase })
      decoded++
      if (keys.size === 0 || statements.length > bytes.length) t.fail(toHex(bytes))
    } catch (error) {
      if (!(error instanceof CryptoError)) t.fail(`${String(error)}: ${toHex(bytes)}`)
    }
  }
  t.ok(decoded > FUZZ_INPUTS / 200, `${decoded} were read`)
})
