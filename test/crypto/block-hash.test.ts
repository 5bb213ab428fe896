/** A block's hash is hypercore's leaf hash, taken once for each buffer. */
import t from 'tap'
import { hashBlock, knownBlockHash } from '../../src/crypto/block-hash.ts'
import { blake2b } from '../../src/crypto/sodium.ts'

t.test('hashBlock() is BLAKE2b-256 over 0, the length and the bytes', async t => {
  const block = new Uint8Array(300).fill(7)
  const plain = Uint8Array.from([0, 44, 1, 0, 0, 0, 0, 0, 0, ...block])
  t.same(Buffer.from(hashBlock(block)), Buffer.from(blake2b(plain)))
})

t.test('knownBlockHash() knows a buffer, not its bytes', async t => {
  const block = new Uint8Array(50).fill(3)
  t.equal(knownBlockHash(block), undefined)
  const hash = hashBlock(block)
  t.equal(knownBlockHash(block), hash)
  t.equal(hashBlock(block), hash)
  t.equal(knownBlockHash(block.slice()), undefined)
})
