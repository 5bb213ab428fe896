/** Derived keys: fixed by golden vectors, and different wherever anything differs. */
import t from 'tap'
import { asciiBytes, deriveKey, logKeyPair } from '../../src/crypto/derive.ts'
import type { Purpose } from '../../src/crypto/derive.ts'
import { filled, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'

const PURPOSES: readonly Purpose[] = [
  'entry',
  'block',
  'index/seal',
  'index/name',
  'log/operation',
  'log/content',
  'locator',
  'device/name',
  'recovery/signing',
  'recovery/record',
  'recovery/summary'
]
const key = filled(32, 1)

t.test('deriveKey() is fixed', async t => {
  const derived = deriveKey({ key, purpose: 'block', context: filled(32, 2) })
  t.equal(toHex(derived), toHex(goldenVector('crypto', 'derived block key')))
})

t.test('deriveKey() gives another key for another purpose, context or parent', async t => {
  const derived = new Set<string>()
  for (const purpose of PURPOSES) {
    derived.add(toHex(deriveKey({ key, purpose })))
    derived.add(toHex(deriveKey({ key, purpose, context: filled(32, 2) })))
    derived.add(toHex(deriveKey({ key: filled(32, 3), purpose })))
  }
  t.equal(derived.size, 3 * PURPOSES.length)
})

t.test('no purpose is the beginning of another', async t => {
  for (const purpose of PURPOSES) {
    const longer = PURPOSES.filter(other => other !== purpose && other.startsWith(purpose))
    t.same(longer, [], purpose)
  }
})

t.test('logKeyPair() gives each log of each drive and epoch its own keys', async t => {
  const seed = filled(32, 4)
  const drive = filled(32, 5)
  const first = logKeyPair({ seed, role: 'operation', drive, epoch: 1 })
  t.equal(toHex(first.publicKey), toHex(goldenVector('crypto', 'operation log public key')))
  t.equal(first.secretKey.length, 64)
  const keys = new Set([
    toHex(first.publicKey),
    toHex(logKeyPair({ seed, role: 'content', drive, epoch: 1 }).publicKey),
    toHex(logKeyPair({ seed, role: 'operation', drive, epoch: 2 }).publicKey),
    toHex(logKeyPair({ seed, role: 'operation', drive: filled(32, 6), epoch: 1 }).publicKey)
  ])
  t.equal(keys.size, 4)
})

t.test('asciiBytes() refuses what is not ASCII', async t => {
  t.equal(toHex(asciiBytes('a/1')), '612f31')
  t.throws(() => asciiBytes('é'), RangeError)
})
