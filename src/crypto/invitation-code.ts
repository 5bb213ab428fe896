/**
 * The code of an invitation, as one device shows it and another takes it; the one home of z32.
 *
 * | bytes | what |
 * |---|---|
 * | 1 | version, 1 |
 * | 16 | secret, random |
 * | 4 | when it expires, seconds since 1970 |
 * | 4 | beginning of BLAKE2b-256 of `"grove/invitation/1"` and the bytes before: finds typing errors |
 *
 * As text these are 40 characters of z-base-32, which has no letters that look alike. Whoever
 * has the code may join in the inviter's drive until it was used or has expired.
 *
 * @module
 */
import z32 from 'z32'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes, deriveKey } from './derive.ts'
import { blake2bOfParts, equalBytes } from './sodium.ts'

/** How many bytes the secret of an invitation has. */
export const INVITATION_SECRET_BYTES = 16
/** How many characters a code has. */
export const INVITATION_CODE_CHARACTERS = 40
/** The longest text that is looked at as a code: room for spaces, line breaks and hyphens. */
export const INVITATION_TEXT_CHARACTERS_MAX = 200

const VERSION = 1
const CHECK_BYTES = 4
const CODE_BYTES = 1 + INVITATION_SECRET_BYTES + 4 + CHECK_BYTES
const LABEL = asciiBytes('grove/invitation/1')

/** What a code says. */
export interface InvitationCode {
  /** What inviter and newcomer find and know each other by; {@link INVITATION_SECRET_BYTES}. */
  readonly secret: Uint8Array
  /** Until when it can be used, in milliseconds since 1970; whole seconds. */
  readonly expiresMs: number
}

/** Writes a code as text: {@link INVITATION_CODE_CHARACTERS} characters. */
export function encodeInvitationCode({ secret, expiresMs }: InvitationCode): string {
  const writer = new ByteWriter(new Uint8Array(CODE_BYTES)).u8(VERSION)
  writer.put(secret, INVITATION_SECRET_BYTES).u32(Math.floor(expiresMs / 1000))
  const checked = writer.bytes.subarray(0, CODE_BYTES - CHECK_BYTES)
  return z32.encode(writer.put(checkOf(checked)).end())
}

/**
 * Reads a code that a person typed, pasted or scanned. Case, spaces and hyphens do not matter.
 *
 * @throws {CryptoError} `MALFORMED`, `NEWER_FORMAT`
 */
export function decodeInvitationCode(text: string): InvitationCode {
  if (text.length > INVITATION_TEXT_CHARACTERS_MAX) throw notACode()
  const characters = text.replaceAll(/[\s-]/g, '').toLowerCase()
  if (characters.length !== INVITATION_CODE_CHARACTERS) throw notACode()
  const bytes = bytesOf(characters)
  const checked = bytes.subarray(0, CODE_BYTES - CHECK_BYTES)
  if (!equalBytes(checkOf(checked), bytes.subarray(checked.length))) throw notACode()
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `an invitation ${version}`)
  if (version !== VERSION) throw notACode()
  return { secret: reader.copy(INVITATION_SECRET_BYTES), expiresMs: reader.u32() * 1000 }
}

/** What a pairing works with; all of it follows from the secret alone, none from the drive. */
export interface PairingKeys {
  /** The key pair that only who has the code knows is made from it; 32 secret bytes. */
  readonly seed: Uint8Array
  /** Its hash is the topic under which inviter and newcomer meet; 32 secret bytes. */
  readonly topic: Uint8Array
}

/** Derives what a pairing works with from an invitation's secret. */
export function pairingKeys(secret: Uint8Array): PairingKeys {
  return {
    seed: deriveKey({ key: secret, purpose: 'pairing/seed' }),
    topic: deriveKey({ key: secret, purpose: 'pairing/topic' })
  }
}

function checkOf(bytes: Uint8Array): Uint8Array {
  return blake2bOfParts([LABEL, bytes]).subarray(0, CHECK_BYTES)
}

function bytesOf(characters: string): Uint8Array {
  try {
    return new Uint8Array(z32.decode(characters))
  } catch (cause) {
    throw new CryptoError('MALFORMED', 'no code of an invitation', { cause })
  }
}

function notACode(): CryptoError {
  return new CryptoError('MALFORMED', 'no code of an invitation')
}
