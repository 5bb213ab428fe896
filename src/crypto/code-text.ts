/**
 * Codes that one person reads out and another types: bytes with a check against typing errors,
 * as text; the one home of z32.
 *
 * | bytes | what |
 * |---|---|
 * | 1 | version, 1 |
 * | n | what the kind of code says it is |
 * | 4 | beginning of BLAKE2b-256 of the kind's label and the bytes before: finds typing errors |
 *
 * The text is z-base-32, which has no letters that look alike, five bits a character; bits beyond
 * the last byte are zeros.
 *
 * @module
 */
import z32 from 'z32'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes } from './derive.ts'
import { blake2bOfParts, equalBytes } from './sodium.ts'

/** The longest text that is looked at as a code: room for spaces, line breaks and hyphens. */
export const CODE_TEXT_CHARACTERS_MAX = 200

const VERSION = 1
const CHECK_BYTES = 4

/** A kind of code. */
export interface CodeKind {
  /** What it is, for people: `invitation`. */
  readonly name: string
  /** Goes into the check, so that no kind is taken for another: `grove/invitation/1`. */
  readonly label: string
  /** How many bytes it says, besides version and check. */
  readonly bytes: number
}

/** How many characters a code of this kind has. */
export function codeTextCharacters({ bytes }: CodeKind): number {
  return Math.ceil(((1 + bytes + CHECK_BYTES) * 8) / 5)
}

/**
 * Writes a code as text.
 *
 * @param content - `kind.bytes` bytes; only read
 */
export function encodeCodeText(kind: CodeKind, content: Uint8Array): string {
  if (content.length !== kind.bytes) throw new RangeError(`no content of a code: ${kind.name}`)
  const bytes = new Uint8Array(1 + kind.bytes + CHECK_BYTES)
  bytes[0] = VERSION
  bytes.set(content, 1)
  bytes.set(checkOf(kind, bytes.subarray(0, 1 + kind.bytes)), 1 + kind.bytes)
  return z32.encode(bytes)
}

/**
 * Reads a code that a person typed, pasted or scanned. Case, spaces and hyphens do not matter.
 *
 * @returns what {@link encodeCodeText} was given, fresh
 * @throws {CryptoError} `MALFORMED`, `NEWER_FORMAT`
 */
export function decodeCodeText(kind: CodeKind, text: string): Uint8Array {
  if (text.length > CODE_TEXT_CHARACTERS_MAX) throw notACode(kind)
  const characters = text.replaceAll(/[\s-]/g, '').toLowerCase()
  if (characters.length !== codeTextCharacters(kind)) throw notACode(kind)
  const bytes = bytesOf(kind, characters)
  const checked = bytes.subarray(0, 1 + kind.bytes)
  if (!equalBytes(checkOf(kind, checked), bytes.subarray(checked.length))) throw notACode(kind)
  // Else bits after the last byte could be anything, and one code have several texts.
  if (z32.encode(bytes) !== characters) throw notACode(kind)
  const version = bytes[0] ?? 0
  if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `${kind.name} code ${version}`)
  if (version !== VERSION) throw notACode(kind)
  return checked.slice(1)
}

function checkOf({ label }: CodeKind, bytes: Uint8Array): Uint8Array {
  return blake2bOfParts([asciiBytes(label), bytes]).subarray(0, CHECK_BYTES)
}

function bytesOf(kind: CodeKind, characters: string): Uint8Array {
  try {
    return new Uint8Array(z32.decode(characters))
  } catch (cause) {
    throw new CryptoError('MALFORMED', `no ${kind.name} code`, { cause })
  }
}

function notACode({ name }: CodeKind): CryptoError {
  return new CryptoError('MALFORMED', `no ${name} code`)
}
