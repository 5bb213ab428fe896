/** What we call of hypercore-crypto, which publishes no types. */
declare module 'hypercore-crypto' {
  /** An Ed25519 key pair. */
  export interface KeyPair {
    readonly publicKey: Buffer
    readonly secretKey: Buffer
  }

  const crypto: {
    /** Derives the key pair of a 32-byte seed. */
    keyPair(seed: Uint8Array): KeyPair
    /** Hash of a leaf of the merkle tree; hypercore calls it through this object. */
    data(block: Uint8Array): Uint8Array
  }
  export default crypto
}
