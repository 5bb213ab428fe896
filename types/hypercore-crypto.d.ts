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
  }
  export default crypto
}
