/**
 * The one home of sodium-native: the primitives that the rest of the room is built of.
 *
 * Nothing here draws randomness: nonces, seeds and ephemeral keys come from the caller's
 * `Random`, so that a simulation can replay them. Wrong sizes are programmer errors and throw
 * what sodium-native throws; only `decrypt`, `verify` and `openBox` have an operating failure,
 * which they return.
 *
 * @module
 */
import sodium from 'sodium-native'

/** Size of every symmetric key, in bytes. */
export const KEY_BYTES = 32
/** Size of a BLAKE2b-256 hash, in bytes. */
export const HASH_BYTES = 32
/** Size of an XChaCha20-Poly1305 nonce, in bytes. */
export const NONCE_BYTES = 24
/** Size of a Poly1305 tag, in bytes. */
export const TAG_BYTES = 16
/** Size of an Ed25519 or X25519 public key, in bytes. */
export const PUBLIC_KEY_BYTES = 32
/** Size of the seed a key pair is made from, in bytes. */
export const SEED_BYTES = 32
/** Size of an Ed25519 signature, in bytes. */
export const SIGNATURE_BYTES = 64
/** What a sealed box adds to its content: an ephemeral public key and a tag. */
export const BOX_OVERHEAD_BYTES = PUBLIC_KEY_BYTES + TAG_BYTES
/** Size of an Argon2id salt, in bytes. */
export const SALT_BYTES = 16

/** From this size on, not zeroing a new buffer is worth a call. */
const ZEROING_MATTERS_BYTES = 4096
const SIGN_SECRET_KEY_BYTES = 64

/** A public key and its secret; the secret lies in locked memory. */
export interface KeyPair {
  /** May be shown to anyone. */
  readonly publicKey: Uint8Array
  /** 64 bytes for signing (seed and public key), 32 for boxes; in `sodium_malloc` memory. */
  readonly secretKey: Uint8Array
}

/**
 * Memory for a secret: locked, kept out of core dumps, between guard pages, wiped when freed.
 * What it holds before it is written is undefined.
 */
export function secureBytes(size: number): Uint8Array {
  return sodium.sodium_malloc(size)
}

/** Copies a secret into locked memory. The caller wipes the original. */
export function secureCopy(secret: Uint8Array): Uint8Array {
  const copy = secureBytes(secret.length)
  copy.set(secret)
  return copy
}

/** Overwrites a secret with zeros. */
export function wipe(secret: Uint8Array): void {
  sodium.sodium_memzero(secret)
}

/**
 * A new buffer whose every byte the caller is about to write. What it holds before is
 * undefined: zeroing 128 KiB costs an eighth of sealing it.
 */
export function rawBytes(size: number): Uint8Array {
  if (size < ZEROING_MATTERS_BYTES) return new Uint8Array(size)
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer)
}

/** Compares secrets or hashes of one length in constant time. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && sodium.sodium_memcmp(left, right)
}

/** BLAKE2b-256 of `bytes`; 32 bytes, fresh. */
export function blake2b(bytes: Uint8Array): Uint8Array {
  const hash = new Uint8Array(HASH_BYTES)
  sodium.crypto_generichash(hash, bytes)
  return hash
}

/** BLAKE2b-256 of `parts` one after another; 32 bytes, fresh. */
export function blake2bOfParts(parts: readonly Uint8Array[]): Uint8Array {
  const hash = new Uint8Array(HASH_BYTES)
  sodium.crypto_generichash_batch(hash, parts)
  return hash
}

/**
 * Keyed BLAKE2b.
 *
 * @param input.key - 16 to 64 bytes
 * @param input.bytes - the size of the hash, 16 to 64
 * @returns a fresh hash
 */
export function keyedBlake2b(input: {
  readonly key: Uint8Array
  readonly message: Uint8Array
  readonly bytes: number
}): Uint8Array {
  const into = new Uint8Array(input.bytes)
  keyedBlake2bInto({ ...input, into })
  return into
}

/**
 * As {@link keyedBlake2b}, into memory of the caller's.
 *
 * @param input.into - receives the hash, whose size is its own
 */
export function keyedBlake2bInto(input: {
  readonly key: Uint8Array
  readonly message: Uint8Array
  readonly into: Uint8Array
}): void {
  sodium.crypto_generichash(input.into, input.message, input.key)
}

/** Keyed BLAKE2b-256 of a message that comes in parts. */
export class KeyedBlake2b {
  readonly #state = new Uint8Array(sodium.crypto_generichash_STATEBYTES)

  /** @param key - 16 to 64 bytes */
  constructor(key: Uint8Array) {
    sodium.crypto_generichash_init(this.#state, key, HASH_BYTES)
  }

  /** Goes on with the next part of the message; only read. */
  add(part: Uint8Array): this {
    sodium.crypto_generichash_update(this.#state, part)
    return this
  }

  /** Gives the hash of all parts; 32 bytes, fresh. The last call. */
  end(): Uint8Array {
    const hash = new Uint8Array(HASH_BYTES)
    sodium.crypto_generichash_final(this.#state, hash)
    return hash
  }
}

/** Derives a 32-byte key into locked memory: BLAKE2b-256 of `message` under `key`. */
export function secureBlake2b(input: {
  readonly key: Uint8Array
  readonly message: Uint8Array
}): Uint8Array {
  const derived = secureBytes(KEY_BYTES)
  sodium.crypto_generichash(derived, input.message, input.key)
  return derived
}

/**
 * XChaCha20-Poly1305 (IETF). Source: draft-irtf-cfrg-xchacha-03, section 2.
 *
 * @param input.into - `plain.length + TAG_BYTES` bytes, receives ciphertext and tag; may start
 *   at the same byte as `plain`, which is then overwritten
 * @param input.nonce - 24 bytes, never used twice with one key
 */
export function encrypt(input: {
  readonly plain: Uint8Array
  readonly into: Uint8Array
  readonly associated: Uint8Array
  readonly nonce: Uint8Array
  readonly key: Uint8Array
}): void {
  sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
    input.into,
    input.plain,
    input.associated,
    null,
    input.nonce,
    input.key
  )
}

/**
 * Inverse of {@link encrypt}.
 *
 * @param input.sealed - ciphertext and tag, at least `TAG_BYTES`
 * @param input.into - `sealed.length - TAG_BYTES` bytes
 * @returns whether the tag verified; if not, `into` holds nothing of use
 */
export function decrypt(input: {
  readonly sealed: Uint8Array
  readonly into: Uint8Array
  readonly associated: Uint8Array
  readonly nonce: Uint8Array
  readonly key: Uint8Array
}): boolean {
  if (input.sealed.length !== input.into.length + TAG_BYTES) {
    throw new RangeError('the opened bytes are not sealed bytes less the tag')
  }
  try {
    sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
      input.into,
      null,
      input.sealed,
      input.associated,
      input.nonce,
      input.key
    )
    return true
  } catch {
    // Sizes are checked above and by the types, so what is left to throw is a bad tag.
    return false
  }
}

/** Makes an Ed25519 key pair from a 32-byte seed. */
export function signingKeyPair(seed: Uint8Array): KeyPair {
  const publicKey = new Uint8Array(PUBLIC_KEY_BYTES)
  const secretKey = secureBytes(SIGN_SECRET_KEY_BYTES)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
  return { publicKey, secretKey }
}

/** Signs with Ed25519; 64 bytes, deterministic. */
export function sign(message: Uint8Array, keyPair: KeyPair): Uint8Array {
  const signature = new Uint8Array(SIGNATURE_BYTES)
  sodium.crypto_sign_detached(signature, message, keyPair.secretKey)
  return signature
}

/** Whether `signature` (64 bytes) is one over `message` by the owner of `publicKey`. */
export function verify(input: {
  readonly signature: Uint8Array
  readonly message: Uint8Array
  readonly publicKey: Uint8Array
}): boolean {
  return sodium.crypto_sign_verify_detached(input.signature, input.message, input.publicKey)
}

/** Makes an X25519 key pair from a 32-byte seed. */
export function boxKeyPair(seed: Uint8Array): KeyPair {
  const publicKey = new Uint8Array(PUBLIC_KEY_BYTES)
  const secretKey = secureBytes(KEY_BYTES)
  sodium.crypto_box_seed_keypair(publicKey, secretKey, seed)
  return { publicKey, secretKey }
}

/**
 * Seals to a public key, anonymously: what libsodium's `crypto_box_seal` makes, but with the
 * ephemeral key drawn from the caller's randomness instead of the library's own.
 *
 * Source: libsodium, `crypto_box_seal`: `ephemeral public key || box`, the nonce being
 * BLAKE2b-192 of both public keys.
 *
 * @param input.seed - 32 fresh random bytes for the ephemeral key pair
 * @returns `plain.length + BOX_OVERHEAD_BYTES` bytes
 */
export function sealBox(input: {
  readonly plain: Uint8Array
  readonly publicKey: Uint8Array
  readonly seed: Uint8Array
}): Uint8Array {
  const ephemeral = boxKeyPair(input.seed)
  const sealed = new Uint8Array(input.plain.length + BOX_OVERHEAD_BYTES)
  sealed.set(ephemeral.publicKey)
  sodium.crypto_box_easy(
    sealed.subarray(PUBLIC_KEY_BYTES),
    input.plain,
    boxNonce(ephemeral.publicKey, input.publicKey),
    input.publicKey,
    ephemeral.secretKey
  )
  wipe(ephemeral.secretKey)
  return sealed
}

function boxNonce(ephemeral: Uint8Array, recipient: Uint8Array): Uint8Array {
  const message = new Uint8Array(2 * PUBLIC_KEY_BYTES)
  message.set(ephemeral)
  message.set(recipient, PUBLIC_KEY_BYTES)
  const nonce = new Uint8Array(NONCE_BYTES)
  sodium.crypto_generichash(nonce, message)
  return nonce
}

/**
 * Opens a sealed box.
 *
 * @param input.sealed - at least `BOX_OVERHEAD_BYTES`
 * @returns the content in locked memory, or `undefined` when it was not sealed to this key
 */
export function openBox(input: {
  readonly sealed: Uint8Array
  readonly keyPair: KeyPair
}): Uint8Array | undefined {
  const plain = secureBytes(input.sealed.length - BOX_OVERHEAD_BYTES)
  const { publicKey, secretKey } = input.keyPair
  return sodium.crypto_box_seal_open(plain, input.sealed, publicKey, secretKey) ? plain : undefined
}

/**
 * Argon2id (version 1.3, one lane), in the thread pool: makes a key of a passphrase.
 *
 * @param input.salt - 16 random bytes
 * @param input.operations - passes over the memory, at least 1
 * @param input.memoryBytes - at least 8 KiB
 * @returns 32 bytes in locked memory
 */
export async function argon2id(input: {
  readonly passphrase: Uint8Array
  readonly salt: Uint8Array
  readonly operations: number
  readonly memoryBytes: number
}): Promise<Uint8Array> {
  const key = secureBytes(KEY_BYTES)
  await sodium.crypto_pwhash_async(
    key,
    input.passphrase,
    input.salt,
    input.operations,
    input.memoryBytes,
    sodium.crypto_pwhash_ALG_ARGON2ID13
  )
  return key
}
