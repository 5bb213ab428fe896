/**
 * Short texts inside statements, such as names: u8 length, then UTF-8.
 *
 * They are shown to people, so control characters and those that turn the direction of writing
 * are refused on both sides: a name cannot move a terminal's cursor nor pass for another name.
 *
 * @module
 */
import type { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'

/** The longest text, in bytes of UTF-8. */
export const SHORT_TEXT_BYTES_MAX = 63

// A byte order mark is a character like others here, or one text had two encodings.
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const REFUSED = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

/**
 * Encodes a text, with its length before it.
 *
 * @throws {RangeError} when it is longer than {@link SHORT_TEXT_BYTES_MAX} or holds what is
 *   refused
 */
export function encodeShortText(text: string): Uint8Array {
  const utf8 = new TextEncoder().encode(text)
  if (utf8.length > SHORT_TEXT_BYTES_MAX) throw new RangeError(`a text of ${utf8.length} bytes`)
  // Half of a pair of code units would silently become another character.
  if (textOf(utf8) !== text || REFUSED.test(text)) {
    throw new RangeError('a text with characters that cannot be shown')
  }
  return new ByteWriter(new Uint8Array(1 + utf8.length)).u8(utf8.length).put(utf8).end()
}

/** Reads what {@link encodeShortText} made. @throws {CryptoError} `TRUNCATED`, `MALFORMED` */
export function readShortText(reader: ByteReader): string {
  const length = reader.u8()
  if (length > SHORT_TEXT_BYTES_MAX) {
    throw new CryptoError('MALFORMED', `a text of ${length} bytes`)
  }
  const text = textOf(reader.view(length))
  if (text === undefined || REFUSED.test(text)) {
    throw new CryptoError('MALFORMED', 'a text that cannot be shown')
  }
  return text
}

/** Decodes UTF-8; `undefined` when it is none. */
function textOf(utf8: Uint8Array): string | undefined {
  try {
    return DECODER.decode(utf8)
  } catch {
    return undefined
  }
}
