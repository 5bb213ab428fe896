/**
 * What a device that wants to join says of itself: a statement by its signing key.
 *
 * Domain `pairing/request`, sequence 1, `previous` the invitation it answers
 * ({@link invitationName}), and as body:
 *
 * | bytes | what |
 * |---|---|
 * | 32 + 32 | its box and network keys |
 * | 64 | signature by the network key over `"grove/pairing/1"`, invitation, signing and box key |
 * | 1 + 63 | length and name in UTF-8, zeros |
 *
 * The signatures prove that the sender has the secret halves of the signing and network keys. Of
 * the box key no proof is needed: who names another's cannot open what is sealed to it.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes } from './derive.ts'
import { DEVICE_NAME_BYTES_MAX } from './device-name.ts'
import type { DeviceKeys, DevicePublicKeys } from './device-keys.ts'
import {
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  blake2bOfParts,
  equalBytes,
  sign,
  verify
} from './sodium.ts'
import { decodeStatement, encodeStatement, signStatement, verifyStatement } from './statement.ts'

/** The longest request that is looked at, in bytes. */
export const PAIRING_REQUEST_BYTES_MAX = 1024

const DOMAIN = 'pairing/request'
const SEQUENCE = 1
const PROOF_LABEL = asciiBytes('grove/pairing/1')
const NAME_LABEL = asciiBytes('grove/invitation-name/1')
const BODY_BYTES = 2 * PUBLIC_KEY_BYTES + SIGNATURE_BYTES + 1 + DEVICE_NAME_BYTES_MAX

/** A request whose signatures were verified. */
export interface PairingRequest {
  /** The newcomer's keys; it has the secrets of `signing` and `network`. */
  readonly device: DevicePublicKeys
  /** What its owner calls it; it may hold any character. */
  readonly name: string
}

/** What names an invitation in statements without telling its secret: 32 bytes. */
export function invitationName(secret: Uint8Array): Uint8Array {
  return blake2bOfParts([NAME_LABEL, secret])
}

/**
 * Makes the request of a device.
 *
 * @param input.name - 1 to {@link DEVICE_NAME_BYTES_MAX} bytes in UTF-8
 * @param input.invitation - {@link invitationName} of the invitation it answers
 * @throws {RangeError} when the name is empty or too long
 */
export function signPairingRequest(input: {
  readonly deviceKeys: DeviceKeys
  readonly name: string
  readonly invitation: Uint8Array
}): Uint8Array {
  const { deviceKeys, invitation } = input
  const { box, network, signing } = deviceKeys
  const name = new TextEncoder().encode(input.name)
  if (name.length === 0 || name.length > DEVICE_NAME_BYTES_MAX) {
    throw new RangeError(`a device's name has 1 to ${DEVICE_NAME_BYTES_MAX} bytes`)
  }
  const message = networkProof({ invitation, device: deviceKeys.publicKeys })
  const writer = new ByteWriter(new Uint8Array(BODY_BYTES))
  writer.put(box.publicKey).put(network.publicKey).put(sign(message, network))
  writer.u8(name.length).put(name)
  const content = { domain: DOMAIN, sequence: SEQUENCE, previous: invitation, body: writer.bytes }
  return encodeStatement(signStatement(content, signing))
}

/**
 * Opens a request and verifies that it answers this invitation.
 *
 * @param bytes - from anyone
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openPairingRequest(bytes: Uint8Array, invitation: Uint8Array): PairingRequest {
  if (bytes.length > PAIRING_REQUEST_BYTES_MAX) {
    throw new CryptoError('MALFORMED', `a request of ${bytes.length} bytes`)
  }
  const statement = decodeStatement(bytes)
  verifyStatement(statement, { domain: DOMAIN })
  if (statement.sequence !== SEQUENCE || !equalBytes(statement.previous, invitation)) {
    throw new CryptoError('FORGED', 'a request of another invitation')
  }
  const reader = new ByteReader(statement.body)
  const device = {
    signing: statement.signer,
    box: reader.copy(PUBLIC_KEY_BYTES),
    network: reader.copy(PUBLIC_KEY_BYTES)
  }
  const signature = reader.copy(SIGNATURE_BYTES)
  const name = nameOf(reader.u8(), reader.copy(DEVICE_NAME_BYTES_MAX))
  reader.end()
  const message = networkProof({ invitation, device })
  if (!verify({ signature, message, publicKey: device.network })) {
    throw new CryptoError('FORGED', 'a network key whose secret the newcomer did not prove')
  }
  return { device, name }
}

function networkProof(input: {
  readonly invitation: Uint8Array
  readonly device: DevicePublicKeys
}): Uint8Array {
  const { signing, box } = input.device
  return blake2bOfParts([PROOF_LABEL, input.invitation, signing, box])
}

function nameOf(length: number, padded: Uint8Array): string {
  if (length === 0 || length > padded.length || padded.subarray(length).some(byte => byte !== 0)) {
    throw new CryptoError('MALFORMED', `a device's name of ${length} bytes`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(padded.subarray(0, length))
  } catch (cause) {
    throw new CryptoError('MALFORMED', "a device's name that is no text", { cause })
  }
}
