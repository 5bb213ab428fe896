/**
 * A device's name, sealed under the drive key so that it can ride in an attestation that
 * holders see. All sealed names have one size.
 *
 * Sealed: u8 version, u32 key id, 24 B nonce, ciphertext of {u8 length, name in UTF-8, zeros to
 * 64 B}, 16 B tag. Associated data: `"grove/name/1"`, the first 5 bytes, the device's signing key.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes, deriveKey } from './derive.ts'
import { NONCE_BYTES, TAG_BYTES, decrypt, encrypt } from './sodium.ts'
import type { KeyTable } from './key-table.ts'
import type { Random } from './random.ts'

/** The longest name of a device, in bytes of UTF-8. */
export const DEVICE_NAME_BYTES_MAX = 63

const VERSION = 1
const HEADER_BYTES = 5
const PLAIN_BYTES = DEVICE_NAME_BYTES_MAX + 1
const LABEL = asciiBytes('grove/name/1')

/** The size of every sealed name, in bytes. */
export const SEALED_NAME_BYTES = HEADER_BYTES + NONCE_BYTES + PLAIN_BYTES + TAG_BYTES

/**
 * Seals a device's name.
 *
 * @param input.name - 1 to {@link DEVICE_NAME_BYTES_MAX} bytes in UTF-8
 * @param input.device - the device's signing key, 32 bytes
 * @throws {RangeError} when the name is empty or too long
 */
export function sealDeviceName(input: {
  readonly name: string
  readonly device: Uint8Array
  readonly keys: KeyTable
  readonly random: Random
}): Uint8Array {
  const name = new TextEncoder().encode(input.name)
  if (name.length === 0 || name.length > DEVICE_NAME_BYTES_MAX) {
    throw new RangeError(`a device's name has 1 to ${DEVICE_NAME_BYTES_MAX} bytes`)
  }
  const plain = new Uint8Array(PLAIN_BYTES)
  plain[0] = name.length
  plain.set(name, 1)
  const { keyId, key } = input.keys.get(input.keys.currentKeyId)
  const nonce = input.random.bytes(NONCE_BYTES)
  const sealed = new Uint8Array(SEALED_NAME_BYTES)
  new ByteWriter(sealed).u8(VERSION).u32(keyId).put(nonce)
  encrypt({
    plain,
    into: sealed.subarray(HEADER_BYTES + NONCE_BYTES),
    associated: associated(sealed, input.device),
    nonce,
    key: deriveKey({ key, purpose: 'device/name', context: input.device })
  })
  return sealed
}

/**
 * Opens a device's name.
 *
 * @throws {CryptoError} `TRUNCATED`, `NEWER_FORMAT`, `UNKNOWN_KEY`, `FORGED`, `MALFORMED`
 */
export function openDeviceName(input: {
  readonly sealed: Uint8Array
  readonly device: Uint8Array
  readonly keys: KeyTable
}): string {
  const reader = new ByteReader(input.sealed)
  const version = reader.u8()
  if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `device name ${version}`)
  if (version !== VERSION) throw new CryptoError('MALFORMED', 'no device name')
  const { key } = input.keys.get(reader.u32())
  const nonce = reader.view(NONCE_BYTES)
  const ciphertext = reader.view(PLAIN_BYTES + TAG_BYTES)
  reader.end()
  const plain = new Uint8Array(PLAIN_BYTES)
  const genuine = decrypt({
    sealed: ciphertext,
    into: plain,
    associated: associated(input.sealed, input.device),
    nonce,
    key: deriveKey({ key, purpose: 'device/name', context: input.device })
  })
  if (!genuine) throw new CryptoError('FORGED', "a device's name does not verify")
  return nameOf(plain)
}

function associated(sealed: Uint8Array, device: Uint8Array): Uint8Array {
  const size = LABEL.length + HEADER_BYTES + device.length
  const header = sealed.subarray(0, HEADER_BYTES)
  return new ByteWriter(new Uint8Array(size)).put(LABEL).put(header).put(device).end()
}

function nameOf(plain: Uint8Array): string {
  const length = plain[0] ?? 0
  if (length === 0 || length > DEVICE_NAME_BYTES_MAX) {
    throw new CryptoError('MALFORMED', `a device's name of ${length} bytes`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(plain.subarray(1, 1 + length))
  } catch (cause) {
    throw new CryptoError('MALFORMED', "a device's name that is no text", { cause })
  }
}
