/** The part of sodium-native 5.1 that `src/crypto/sodium.ts` calls. */
declare module 'sodium-native' {
  const sodium: {
    readonly crypto_pwhash_ALG_ARGON2ID13: number
    sodium_malloc(size: number): Uint8Array
    sodium_memzero(bytes: Uint8Array): void
    sodium_memcmp(left: Uint8Array, right: Uint8Array): boolean
    crypto_generichash(out: Uint8Array, message: Uint8Array, key?: Uint8Array): void
    readonly crypto_generichash_STATEBYTES: number
    crypto_generichash_init(state: Uint8Array, key: Uint8Array, size: number): void
    crypto_generichash_update(state: Uint8Array, message: Uint8Array): void
    crypto_generichash_final(state: Uint8Array, out: Uint8Array): void
    crypto_generichash_batch(out: Uint8Array, messages: readonly Uint8Array[]): void
    crypto_aead_xchacha20poly1305_ietf_encrypt(
      out: Uint8Array,
      plain: Uint8Array,
      associated: Uint8Array,
      secretNonce: null,
      nonce: Uint8Array,
      key: Uint8Array
    ): number
    crypto_aead_xchacha20poly1305_ietf_decrypt(
      out: Uint8Array,
      secretNonce: null,
      sealed: Uint8Array,
      associated: Uint8Array,
      nonce: Uint8Array,
      key: Uint8Array
    ): number
    crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
    crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void
    crypto_sign_verify_detached(
      signature: Uint8Array,
      message: Uint8Array,
      publicKey: Uint8Array
    ): boolean
    crypto_box_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
    crypto_box_easy(
      out: Uint8Array,
      plain: Uint8Array,
      nonce: Uint8Array,
      publicKey: Uint8Array,
      secretKey: Uint8Array
    ): void
    crypto_box_seal_open(
      out: Uint8Array,
      sealed: Uint8Array,
      publicKey: Uint8Array,
      secretKey: Uint8Array
    ): boolean
    crypto_pwhash_async(
      out: Uint8Array,
      passphrase: Uint8Array,
      salt: Uint8Array,
      operations: number,
      memoryBytes: number,
      algorithm: number
    ): Promise<void>
  }
  export default sodium
}
