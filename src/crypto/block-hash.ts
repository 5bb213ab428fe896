/**
 * The hash that names a sealed block, in an extent and in the merkle tree of its log.
 *
 * It is the leaf hash of hypercore: BLAKE2b-256(0x00 || u64 little-endian length || bytes). So
 * an extent's hash can be checked against a log's merkle proof without the block, and a block is
 * hashed once: what was computed when it was sealed is remembered for as long as its buffer.
 *
 * @module
 */
import { blake2bOfParts } from './sodium.ts'

const LEAF = Uint8Array.of(0)
const known = new WeakMap<Uint8Array, Uint8Array>()

/**
 * Hashes a sealed block, and remembers it.
 *
 * @param block - must not be changed afterwards
 * @returns 32 bytes
 */
export function hashBlock(block: Uint8Array): Uint8Array {
  const remembered = known.get(block)
  if (remembered) return remembered
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(block.length), true)
  const hash = blake2bOfParts([LEAF, length, block])
  known.set(block, hash)
  return hash
}

/** @returns the hash of this very buffer, if {@link hashBlock} has taken it */
export function knownBlockHash(block: Uint8Array): Uint8Array | undefined {
  return known.get(block)
}
