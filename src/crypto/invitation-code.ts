/**
 * The code of an invitation, as one device shows it and another takes it.
 *
 * A code (see `code-text.ts`) of 40 characters that says:
 *
 * | bytes | what |
 * |---|---|
 * | 16 | secret, random |
 * | 4 | when it expires, seconds since 1970 |
 *
 * Whoever has the code may join in the inviter's drive until it was used or has expired.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { decodeCodeText, encodeCodeText } from './code-text.ts'
import type { CodeKind } from './code-text.ts'
import { deriveKey } from './derive.ts'

/** How many bytes the secret of an invitation has. */
export const INVITATION_SECRET_BYTES = 16

const KIND: CodeKind = {
  name: 'invitation',
  label: 'grove/invitation/1',
  bytes: INVITATION_SECRET_BYTES + 4
}

/** What a code says. */
export interface InvitationCode {
  /** What inviter and newcomer find and know each other by; {@link INVITATION_SECRET_BYTES}. */
  readonly secret: Uint8Array
  /** Until when it can be used, in milliseconds since 1970; whole seconds. */
  readonly expiresMs: number
}

/** Writes a code as text: 40 characters. */
export function encodeInvitationCode({ secret, expiresMs }: InvitationCode): string {
  const writer = new ByteWriter(new Uint8Array(KIND.bytes)).put(secret, INVITATION_SECRET_BYTES)
  return encodeCodeText(KIND, writer.u32(Math.floor(expiresMs / 1000)).end())
}

/**
 * Reads a code that a person typed, pasted or scanned. Case, spaces and hyphens do not matter.
 *
 * @throws {CryptoError} `MALFORMED`, `NEWER_FORMAT`
 */
export function decodeInvitationCode(text: string): InvitationCode {
  const reader = new ByteReader(decodeCodeText(KIND, text))
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
