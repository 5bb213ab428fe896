/**
 * Drive keys on their way: sealed to a device's box key or to the recovery key.
 *
 * | bytes | what |
 * |---|---|
 * | 1 | version, 1 |
 * | 1 | suite, 1 = X25519 sealed box (XSalsa20-Poly1305) |
 * | 2 | flags, all critical, none known |
 * | 4 + 4 + 4 | key id, scope, epoch |
 * | 32 | commitment of the key |
 * | 32 | recipient, an X25519 key |
 * | 112 | sealed box of {BLAKE2b-256 of `"grove/envelope/1"`, drive, the bytes before; key} |
 *
 * A sealed box is anonymous: an envelope proves nothing about who made it. That is why the
 * statement that it goes with carries the hash of all its envelopes.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes } from './derive.ts'
import { keyCommitment } from './key-table.ts'
import {
  BOX_OVERHEAD_BYTES,
  HASH_BYTES,
  KEY_BYTES,
  PUBLIC_KEY_BYTES,
  SEED_BYTES,
  blake2b,
  equalBytes,
  openBox,
  sealBox,
  secureBytes,
  secureCopy,
  wipe
} from './sodium.ts'
import type { KeyName, KeyRow } from './key-table.ts'
import type { KeyPair } from './sodium.ts'
import type { Random } from './random.ts'

const VERSION = 1
const SUITE = 1
const HEADER_BYTES = 16 + HASH_BYTES + PUBLIC_KEY_BYTES
const PLAIN_BYTES = HASH_BYTES + KEY_BYTES
const LABEL = asciiBytes('grove/envelope/1')

/** The size of an envelope, in bytes. */
export const DRIVE_KEY_ENVELOPE_BYTES = HEADER_BYTES + BOX_OVERHEAD_BYTES + PLAIN_BYTES

/** What an envelope says on the outside. */
export interface EnvelopeHeader extends KeyName {
  /** Commitment of the key, 32 bytes. */
  readonly commitment: Uint8Array
  /** Whom it is for; X25519, 32 bytes. */
  readonly recipient: Uint8Array
}

/**
 * Seals a drive key to one recipient.
 *
 * @param input.drive - the drive, 32 bytes
 * @param input.recipient - X25519 public key
 * @returns {@link DRIVE_KEY_ENVELOPE_BYTES} bytes
 */
export function sealDriveKey(input: {
  readonly row: KeyRow
  readonly drive: Uint8Array
  readonly recipient: Uint8Array
  readonly random: Random
}): Uint8Array {
  const { row, drive, recipient, random } = input
  const writer = new ByteWriter(new Uint8Array(DRIVE_KEY_ENVELOPE_BYTES))
  writer.u8(VERSION).u8(SUITE).u16(0).u32(row.keyId).u32(row.scope).u32(row.epoch)
  writer.put(row.commitment, HASH_BYTES).put(recipient, PUBLIC_KEY_BYTES)
  const plain = secureBytes(PLAIN_BYTES)
  plain.set(headerHash(writer.bytes, drive))
  plain.set(row.key, HASH_BYTES)
  const seed = random.bytes(SEED_BYTES)
  writer.put(sealBox({ plain, publicKey: recipient, seed }))
  wipe(plain)
  wipe(seed)
  return writer.end()
}

/**
 * Reads the outside of an envelope, to find the one for us.
 *
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`
 */
export function envelopeHeader(envelope: Uint8Array): EnvelopeHeader {
  const reader = new ByteReader(envelope)
  const [version, suite, flags] = [reader.u8(), reader.u8(), reader.u16()]
  if (version === 0 || suite === 0) throw new CryptoError('MALFORMED', 'no key envelope')
  if (version !== VERSION) throw new CryptoError('NEWER_FORMAT', `key envelope ${version}`)
  if (suite !== SUITE) throw new CryptoError('NEWER_FORMAT', `key envelope of suite ${suite}`)
  if (flags !== 0) throw new CryptoError('NEWER_FORMAT', `key envelope with flags ${flags}`)
  const header = {
    keyId: reader.u32(),
    scope: reader.u32(),
    epoch: reader.u32(),
    commitment: reader.copy(HASH_BYTES),
    recipient: reader.copy(PUBLIC_KEY_BYTES)
  }
  reader.view(BOX_OVERHEAD_BYTES + PLAIN_BYTES)
  reader.end()
  if (header.keyId === 0) throw new CryptoError('MALFORMED', 'a key envelope without a key id')
  return header
}

/**
 * Opens an envelope.
 *
 * @param input.keyPair - the recipient's box keys
 * @returns a row that a `KeyTable` takes; the key is in locked memory, the caller's
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`; `FORGED` when it is not for
 *   this key pair or drive or was changed; `WRONG_KEY` when the key is not the one committed to
 */
export function openDriveKey(input: {
  readonly envelope: Uint8Array
  readonly drive: Uint8Array
  readonly keyPair: KeyPair
}): KeyRow {
  const { envelope, drive, keyPair } = input
  const { keyId, scope, epoch, commitment } = envelopeHeader(envelope)
  const plain = openBox({ sealed: envelope.subarray(HEADER_BYTES), keyPair })
  if (plain === undefined) throw new CryptoError('FORGED', 'a key envelope that is not for us')
  const genuine = equalBytes(plain.subarray(0, HASH_BYTES), headerHash(envelope, drive))
  const key = secureCopy(plain.subarray(HASH_BYTES))
  wipe(plain)
  if (!genuine) throw new CryptoError('FORGED', 'a key envelope of another drive or key')
  if (!equalBytes(keyCommitment({ keyId, scope, epoch, key }), commitment)) {
    throw new CryptoError('WRONG_KEY', `key ${keyId} is not the one committed to`)
  }
  return { keyId, scope, epoch, commitment, key }
}

function headerHash(envelope: Uint8Array, drive: Uint8Array): Uint8Array {
  const header = envelope.subarray(0, HEADER_BYTES)
  const size = LABEL.length + HASH_BYTES + HEADER_BYTES
  const writer = new ByteWriter(new Uint8Array(size))
  return blake2b(writer.put(LABEL).put(drive, HASH_BYTES).put(header).end())
}
