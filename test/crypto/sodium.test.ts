/** The primitives against published vectors, and the laws that the room relies on. */
import sodium from 'sodium-native'
import t from 'tap'
import {
  BOX_OVERHEAD_BYTES,
  KeyedBlake2b,
  argon2id,
  blake2b,
  boxKeyPair,
  decrypt,
  encrypt,
  equalBytes,
  keyedBlake2b,
  openBox,
  rawBytes,
  sealBox,
  secureBytes,
  secureCopy,
  sign,
  signingKeyPair,
  verify,
  wipe
} from '../../src/crypto/sodium.ts'
import { filled, flipped, fromHex, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'

const ascii = (text: string) => new TextEncoder().encode(text)
const counting = (from: number, count: number) =>
  Uint8Array.from({ length: count }, (_, index) => from + index)

t.test('encrypt() gives the published XChaCha20-Poly1305 vector', async t => {
  // draft-irtf-cfrg-xchacha-03, appendix A.3.1
  const plain = ascii(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the " +
      'future, sunscreen would be it.'
  )
  const place = {
    associated: fromHex('50515253c0c1c2c3c4c5c6c7'),
    nonce: counting(0x40, 24),
    key: counting(0x80, 32)
  }
  const into = new Uint8Array(plain.length + 16)
  encrypt({ plain, into, ...place })
  t.equal(
    toHex(into),
    'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f' +
      '4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f' +
      '76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49'
  )
  const opened = new Uint8Array(plain.length)
  t.equal(decrypt({ sealed: into, into: opened, ...place }), true)
  t.equal(toHex(opened), toHex(plain))

  const inPlace = new Uint8Array(into.length)
  inPlace.set(plain)
  encrypt({ plain: inPlace.subarray(0, plain.length), into: inPlace, ...place })
  t.equal(toHex(inPlace), toHex(into), 'in place the same')

  const other = { ...place, associated: new Uint8Array(0) }
  t.equal(decrypt({ sealed: into, into: opened, ...other }), false, 'other associated data')
  t.throws(() => decrypt({ sealed: into, into: new Uint8Array(3), ...place }), RangeError)
})

t.test('blake2b() and keyedBlake2b() give the published vectors', async t => {
  t.equal(
    toHex(blake2b(ascii('abc'))),
    'bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319'
  )
  // blake2b-kat: the empty message under the key 00 01 .. 3f
  const keyed = keyedBlake2b({ key: counting(0, 64), message: new Uint8Array(0), bytes: 64 })
  t.equal(
    toHex(keyed),
    '10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786' +
      'b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568'
  )
})

t.test('KeyedBlake2b gives keyedBlake2b() of the parts, however they are cut', async t => {
  const key = counting(0, 32)
  const message = counting(1, 200)
  const whole = toHex(keyedBlake2b({ key, message, bytes: 32 }))
  for (const cut of [0, 1, 128, 200]) {
    const hash = new KeyedBlake2b(key).add(message.subarray(0, cut)).add(message.subarray(cut))
    t.equal(toHex(hash.end()), whole)
  }
  t.equal(
    toHex(new KeyedBlake2b(key).end()),
    toHex(keyedBlake2b({ key, message: new Uint8Array(0), bytes: 32 }))
  )
})

t.test('sign() gives the published Ed25519 vector and verify() tells it from others', async t => {
  // RFC 8032, 7.1, test 2
  const seed = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb')
  const keyPair = signingKeyPair(seed)
  const message = Uint8Array.of(0x72)
  const signature = sign(message, keyPair)
  t.equal(
    toHex(keyPair.publicKey),
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
  )
  t.equal(
    toHex(signature),
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
      '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'
  )
  const { publicKey } = keyPair
  t.equal(verify({ signature, message, publicKey }), true)
  t.equal(verify({ signature: flipped(signature, 3), message, publicKey }), false)
  t.equal(verify({ signature, message: Uint8Array.of(0x73), publicKey }), false)
  const zeros = new Uint8Array(32)
  t.equal(verify({ signature, message, publicKey: zeros }), false, 'a key of low order')
})

t.test('sealBox() is crypto_box_seal with an ephemeral key of our own', async t => {
  const keyPair = boxKeyPair(filled(32, 7))
  const plain = ascii('a drive key')
  const sealed = sealBox({ plain, publicKey: keyPair.publicKey, seed: filled(32, 9) })
  t.equal(sealed.length, plain.length + BOX_OVERHEAD_BYTES)
  t.equal(toHex(sealed), toHex(goldenVector('crypto', 'sealed box')))

  const theirs = new Uint8Array(plain.length)
  t.ok(sodium.crypto_box_seal_open(theirs, sealed, keyPair.publicKey, keyPair.secretKey))
  t.equal(toHex(theirs), toHex(plain), 'libsodium opens what we sealed')
  t.equal(toHex(openBox({ sealed, keyPair }) ?? new Uint8Array(0)), toHex(plain))
  t.equal(openBox({ sealed: flipped(sealed, 40), keyPair }), undefined)
  t.equal(openBox({ sealed, keyPair: boxKeyPair(filled(32, 8)) }), undefined)
})

t.test('argon2id() gives the same key for the same passphrase, salt and cost only', async t => {
  const input = { salt: filled(16, 1), operations: 1, memoryBytes: 64 * 1024 }
  const key = await argon2id({ ...input, passphrase: ascii('open sesame') })
  t.equal(toHex(key), toHex(goldenVector('crypto', 'argon2id key')))
  const other = await argon2id({ ...input, passphrase: ascii('open sesamf') })
  t.not(toHex(other), toHex(key))
})

t.test('secrets are copied, compared and wiped', async t => {
  const secret = filled(32, 5)
  const copy = secureCopy(secret)
  t.equal(equalBytes(copy, secret), true)
  t.equal(equalBytes(copy, flipped(secret, 31)), false)
  t.equal(equalBytes(copy, secret.subarray(1)), false, 'of another length')
  wipe(secret)
  t.equal(toHex(secret), '00'.repeat(32))
  t.equal(toHex(copy), '05'.repeat(32), 'the copy is its own')
  t.equal(secureBytes(4).length, 4)
  t.equal(secureBytes(12 * 1024 * 1024).length, 12 * 1024 * 1024, 'beyond the limit of mlock')
  for (const size of [0, 100, 5000]) t.equal(rawBytes(size).length, size)
})
