/**
 * The code that a holder shows: who has it may ask the holder to keep blocks.
 *
 * A code (see `code-text.ts`) of 92 characters that says:
 *
 * | bytes | what |
 * |---|---|
 * | 32 | the holder's network key: where to find it |
 * | 16 | secret, random: that it expects whoever calls |
 * | 4 | when it expires, seconds since 1970; 0 is never |
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { decodeCodeText, encodeCodeText } from './code-text.ts'
import type { CodeKind } from './code-text.ts'
import { PUBLIC_KEY_BYTES } from './sodium.ts'

/** How many bytes the secret of a holder's code has. */
export const HOLDER_SECRET_BYTES = 16

const KIND: CodeKind = {
  name: 'holder',
  label: 'grove/holder/1',
  bytes: PUBLIC_KEY_BYTES + HOLDER_SECRET_BYTES + 4
}

/** What a holder's code says. */
export interface HolderCode {
  /** The holder's network key, 32 bytes. */
  readonly network: Uint8Array
  /** What the holder knows its guests by at first; {@link HOLDER_SECRET_BYTES}. */
  readonly secret: Uint8Array
  /** Until when it can be used, in milliseconds since 1970; whole seconds, 0 for ever. */
  readonly expiresMs: number
}

/**
 * Writes a code as text: 92 characters.
 *
 * @throws {RangeError} when it expires in the first second of 1970, which would read as never
 */
export function encodeHolderCode({ network, secret, expiresMs }: HolderCode): string {
  const expiresSec = Math.floor(expiresMs / 1000)
  if (expiresSec === 0 && expiresMs !== 0) throw new RangeError('a code that expired in 1970')
  const writer = new ByteWriter(new Uint8Array(KIND.bytes)).put(network, PUBLIC_KEY_BYTES)
  return encodeCodeText(KIND, writer.put(secret, HOLDER_SECRET_BYTES).u32(expiresSec).end())
}

/**
 * Reads a code that a person typed, pasted or scanned. Case, spaces and hyphens do not matter.
 *
 * @throws {CryptoError} `MALFORMED`, `NEWER_FORMAT`
 */
export function decodeHolderCode(text: string): HolderCode {
  const reader = new ByteReader(decodeCodeText(KIND, text))
  const network = reader.copy(PUBLIC_KEY_BYTES)
  const secret = reader.copy(HOLDER_SECRET_BYTES)
  return { network, secret, expiresMs: reader.u32() * 1000 }
}
