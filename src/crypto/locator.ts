/**
 * The record by which 24 words find the person's holders, in the hash table that everyone shares.
 *
 * All of it follows from one locator secret (`Identity.locatorSecret`): the key pair that the
 * record stands under and is signed with, and the key that seals it. So who has the secret can
 * find and replace the record, and who stores it can read nothing of it.
 *
 * | bytes | what |
 * |---|---|
 * | 1 | version, 1 |
 * | 24 | nonce |
 * | n | ciphertext of drive (32 B), u64 time and hash (32 B) of the newest log summary, u8 count and network keys of holders (32 B each), zeros |
 * | 16 | tag |
 *
 * Associated data: `"grove/locator/1"`, the version, u64 sequence. All records have one size,
 * whatever the number of holders.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes, deriveKey } from './derive.ts'
import {
  HASH_BYTES,
  NONCE_BYTES,
  PUBLIC_KEY_BYTES,
  TAG_BYTES,
  decrypt,
  encrypt,
  signingKeyPair,
  wipe
} from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import type { Random } from './random.ts'

/** How many holders a record names at most; log summaries name the others. */
export const LOCATOR_HOLDERS_MAX = 24

const VERSION = 1
const LABEL = asciiBytes('grove/locator/1')
const START = 1 + NONCE_BYTES
const PLAIN_BYTES = PUBLIC_KEY_BYTES + 8 + HASH_BYTES + 1 + LOCATOR_HOLDERS_MAX * PUBLIC_KEY_BYTES

/** The size of every sealed record, in bytes. */
export const LOCATOR_RECORD_BYTES = START + PLAIN_BYTES + TAG_BYTES

/** What a record says. */
export interface LocatorRecord {
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** When the newest log summary was made that the writer knew, in milliseconds; 0: none. */
  readonly summaryMs: number
  /** The hash of its bytes, 32 bytes; zeros: none. */
  readonly summaryHash: Uint8Array
  /** Network keys of holders, 32 bytes each; at most {@link LOCATOR_HOLDERS_MAX}. */
  readonly holders: readonly Uint8Array[]
}

/** The keys that follow from a locator secret. */
export class Locator {
  /** The record stands under its public half and is signed with its secret half; Ed25519. */
  readonly keyPair: KeyPair
  /** Seals log summaries (see `log-summary.ts`); 32 bytes in locked memory. */
  readonly summaryKey: Uint8Array
  readonly #recordKey: Uint8Array

  /** @param secret - 32 bytes; only read, the caller wipes them */
  constructor(secret: Uint8Array) {
    const seed = deriveKey({ key: secret, purpose: 'recovery/signing' })
    this.keyPair = signingKeyPair(seed)
    wipe(seed)
    this.summaryKey = deriveKey({ key: secret, purpose: 'recovery/summary' })
    this.#recordKey = deriveKey({ key: secret, purpose: 'recovery/record' })
  }

  /**
   * Seals a record.
   *
   * @param input.sequence - what it is signed with in the hash table
   * @returns {@link LOCATOR_RECORD_BYTES} bytes
   * @throws {RangeError} when there are too many holders
   */
  seal(input: {
    readonly record: LocatorRecord
    readonly sequence: number
    readonly random: Random
  }): Uint8Array {
    const { record, sequence, random } = input
    const { drive, summaryMs, summaryHash, holders } = record
    if (holders.length > LOCATOR_HOLDERS_MAX) throw new RangeError('too many holders')
    const plain = new Uint8Array(PLAIN_BYTES)
    const writer = new ByteWriter(plain).put(drive, PUBLIC_KEY_BYTES).u64(summaryMs)
    writer.put(summaryHash, HASH_BYTES).u8(holders.length)
    for (const holder of holders) writer.put(holder, PUBLIC_KEY_BYTES)
    const nonce = random.bytes(NONCE_BYTES)
    const sealed = new Uint8Array(LOCATOR_RECORD_BYTES)
    new ByteWriter(sealed).u8(VERSION).put(nonce)
    const into = sealed.subarray(START)
    encrypt({ plain, into, associated: placeOf(sequence), nonce, key: this.#recordKey })
    return sealed
  }

  /**
   * Opens a record.
   *
   * @param sealed - from anyone
   * @param sequence - what it was signed with
   * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
   */
  open(sealed: Uint8Array, sequence: number): LocatorRecord {
    const reader = new ByteReader(sealed)
    const version = reader.u8()
    if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `locator record ${version}`)
    if (version !== VERSION) throw new CryptoError('MALFORMED', 'no locator record')
    const nonce = reader.view(NONCE_BYTES)
    const ciphertext = reader.view(PLAIN_BYTES + TAG_BYTES)
    reader.end()
    const into = new Uint8Array(PLAIN_BYTES)
    const associated = placeOf(sequence)
    if (!decrypt({ sealed: ciphertext, into, associated, nonce, key: this.#recordKey }))
      throw new CryptoError('FORGED', 'a locator record does not verify')
    return recordOf(into)
  }

  /** Wipes the secrets; the locator is of no use afterwards. Idempotent. */
  clear(): void {
    for (const secret of [this.keyPair.secretKey, this.summaryKey, this.#recordKey]) wipe(secret)
  }
}

function placeOf(sequence: number): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(LABEL.length + 9)).put(LABEL)
  return writer.u8(VERSION).u64(sequence).end()
}

function recordOf(plain: Uint8Array): LocatorRecord {
  const reader = new ByteReader(plain)
  const drive = reader.copy(PUBLIC_KEY_BYTES)
  const summaryMs = reader.u64()
  const summaryHash = reader.copy(HASH_BYTES)
  const count = reader.u8()
  if (count > LOCATOR_HOLDERS_MAX) throw new CryptoError('MALFORMED', `${count} holders`)
  const holders = Array.from({ length: count }, () => reader.copy(PUBLIC_KEY_BYTES))
  if (reader.view(reader.remaining).some(byte => byte !== 0))
    throw new CryptoError('MALFORMED', 'a locator record with more than holders')
  return { drive, summaryMs, summaryHash, holders }
}
