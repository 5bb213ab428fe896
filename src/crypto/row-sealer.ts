/**
 * Seals the rows of this device's index, under a key that never leaves the device.
 *
 * A row is u8 version, 24 B nonce, ciphertext, 16 B tag; the row's key, which begins with the
 * number of its table, is the associated data, so that a row moved to another key does not open.
 * Names are looked up by a keyed hash, whose key is derived apart from the sealing key.
 *
 * This runs several times in each file-system request, so nothing is allocated that need not be:
 * nonces are drawn in bulk, results are cut from slabs, views of what is used again are kept.
 *
 * @module
 */
import { CryptoError } from './crypto-error.ts'
import { deriveKey } from './derive.ts'
import type { Random } from './random.ts'
import { Scratch, Slab } from './slab.ts'
import { NONCE_BYTES, TAG_BYTES, decrypt, encrypt, keyedBlake2bInto } from './sodium.ts'

/** What sealing adds to a row, in bytes. */
export const ROW_OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES
/** The size of a name's hash, in bytes. */
export const NAME_HASH_BYTES = 16
/** The longest name that can be hashed, in bytes. */
export const HASHED_NAME_BYTES_MAX = 255

const VERSION = 1
const CIPHERTEXT_START = 1 + NONCE_BYTES
/** Randomness drawn at a time: a call into the source costs more than the bytes. */
const NONCE_POOL_BYTES = 170 * NONCE_BYTES
/** The ciphertext of rows up to this size is made in memory that is used again. */
const SCRATCH_BYTES = 1024
const PARENT_BYTES = 8

/** Seals and opens index rows. */
export class RowSealer {
  readonly #random: Random
  readonly #key: Uint8Array
  readonly #nameKey: Uint8Array
  readonly #nonce = new Uint8Array(NONCE_BYTES)
  #noncePool = new Uint8Array(0)
  #noncePoolUsed = 0
  readonly #slab = new Slab()
  readonly #ciphertext = new Scratch(SCRATCH_BYTES + TAG_BYTES)
  readonly #hashed = new Scratch(PARENT_BYTES + HASHED_NAME_BYTES_MAX)
  readonly #hashedParent = new DataView(this.#hashed.bytes.buffer)
  readonly #hash = new Uint8Array(new ArrayBuffer(NAME_HASH_BYTES))

  /** @param options.key - the device's index key, 32 bytes; not kept */
  constructor(options: { readonly key: Uint8Array; readonly random: Random }) {
    this.#random = options.random
    this.#key = deriveKey({ key: options.key, purpose: 'index/seal' })
    this.#nameKey = deriveKey({ key: options.key, purpose: 'index/name' })
  }

  /**
   * Seals a row.
   *
   * @param rowKey - the key it will be stored under, table number included; only read
   * @param content - only read
   * @returns `content.length + ROW_OVERHEAD_BYTES` bytes, the caller's; they may share their
   *   `buffer` with other results
   */
  seal(rowKey: Uint8Array, content: Uint8Array): Uint8Array {
    const { length } = content
    const sealed = this.#slab.cut(length + ROW_OVERHEAD_BYTES)
    const nonce = this.#nextNonce()
    sealed[0] = VERSION
    sealed.set(nonce, 1)
    const isSmall = length <= SCRATCH_BYTES
    const into = isSmall
      ? this.#ciphertext.first(length + TAG_BYTES)
      : sealed.subarray(CIPHERTEXT_START)
    encrypt({ plain: content, into, associated: rowKey, nonce, key: this.#key })
    if (isSmall) sealed.set(into, CIPHERTEXT_START)
    return sealed
  }

  /**
   * Opens a row.
   *
   * @param rowKey - the key it was found under
   * @param sealed - only read
   * @returns the content, the caller's; it may share its `buffer` with other results
   * @throws {CryptoError} `TRUNCATED`, `NEWER_FORMAT`, `MALFORMED`, `FORGED`
   */
  open(rowKey: Uint8Array, sealed: Uint8Array): Uint8Array {
    const size = sealed.length - ROW_OVERHEAD_BYTES
    if (size < 0) throw new CryptoError('TRUNCATED', 'too few bytes for an index row')
    const version = sealed[0]
    if (version !== VERSION) {
      if (version === 0) throw new CryptoError('MALFORMED', 'no index row')
      throw new CryptoError('NEWER_FORMAT', `index row of version ${version}`)
    }
    const content = this.#slab.cut(size)
    const genuine = decrypt({
      sealed: new Uint8Array(sealed.buffer, sealed.byteOffset + CIPHERTEXT_START, size + TAG_BYTES),
      into: content,
      associated: rowKey,
      nonce: this.#nonceOf(sealed),
      key: this.#key
    })
    if (!genuine) throw new CryptoError('FORGED', 'an index row does not verify')
    return content
  }

  /**
   * Hashes a name in a directory, so that it can be looked up without being told.
   *
   * @param parent - the directory's number in the index
   * @param name - at most {@link HASHED_NAME_BYTES_MAX} bytes, or as many latin1 characters
   * @returns {@link NAME_HASH_BYTES} bytes, valid until the next call
   */
  hashName(parent: number, name: Uint8Array | string): Uint8Array {
    const { length } = name
    if (length > HASHED_NAME_BYTES_MAX) throw new RangeError('the name is too long to hash')
    if (!Number.isSafeInteger(parent) || parent < 0) throw new RangeError(`no inode: ${parent}`)
    this.#hashedParent.setUint32(0, parent >>> 0, true)
    this.#hashedParent.setUint32(4, Math.floor(parent / 2 ** 32), true)
    if (typeof name === 'string') writeLatin1(this.#hashed.bytes, name)
    else this.#hashed.bytes.set(name, PARENT_BYTES)
    const message = this.#hashed.first(PARENT_BYTES + length)
    keyedBlake2bInto({ key: this.#nameKey, message, into: this.#hash })
    return this.#hash
  }

  #nextNonce(): Uint8Array {
    if (this.#noncePoolUsed >= this.#noncePool.length) {
      this.#noncePool = new Uint8Array(this.#random.bytes(NONCE_POOL_BYTES))
      this.#noncePoolUsed = 0
    }
    const nonce = this.#nonce
    for (let byte = 0; byte < NONCE_BYTES; byte++) {
      nonce[byte] = this.#noncePool[this.#noncePoolUsed + byte] ?? 0
    }
    this.#noncePoolUsed += NONCE_BYTES
    return nonce
  }

  #nonceOf(sealed: Uint8Array): Uint8Array {
    const nonce = this.#nonce
    for (let byte = 0; byte < NONCE_BYTES; byte++) nonce[byte] = sealed[byte + 1] ?? 0
    return nonce
  }
}

function writeLatin1(into: Uint8Array, name: string): void {
  for (let index = 0; index < name.length; index++) {
    const code = name.charCodeAt(index)
    if (code > 0xff) throw new RangeError('a name has one character per byte')
    into[PARENT_BYTES + index] = code
  }
}
