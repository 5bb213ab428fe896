/**
 * Names of files for people and for JSON. A name on a drive is bytes and may hold anything,
 * also what moves the cursor of a terminal.
 *
 * @module
 */

/**
 * Makes a path fit for one line of a terminal: UTF-8 where it is valid, everything else and all
 * control characters as `\xNN`.
 *
 * @param bytes - the path, one character per byte (latin1)
 */
export function printableName(bytes: string): string {
  const text = utf8(bytes)
  const escaped = (text ?? bytes).replaceAll('\\', '\\\\').replace(CONTROL, hex)
  return text === undefined ? escaped.replace(/[\u0080-\u00FF]/g, hex) : escaped
}

/** Makes a text that others wrote fit for one line of a terminal; see {@link printableName}. */
export function printableText(text: string): string {
  return printableName(Buffer.from(text).toString('latin1'))
}

/** Makes a path from JSON fit for one line of a terminal; see {@link printableName}. */
export function printableJsonName({ path, pathHex }: JsonName): string {
  const bytes = pathHex === undefined ? Buffer.from(path) : Buffer.from(pathHex, 'hex')
  return printableName(bytes.toString('latin1'))
}

/** A path as JSON carries it: readable, and exact where it is not UTF-8. */
export interface JsonName {
  /** The path; for people only when `pathHex` is there. */
  readonly path: string
  /** The path's bytes, when they are no UTF-8. */
  readonly pathHex?: string
}

/** Makes a path fit for JSON. @param bytes - the path, one character per byte (latin1) */
export function jsonName(bytes: string): JsonName {
  const text = utf8(bytes)
  if (text !== undefined) return { path: text }
  const buffer = Buffer.from(bytes, 'latin1')
  return { path: buffer.toString('utf8'), pathHex: buffer.toString('hex') }
}

/** What moves the cursor, and the marks that reorder text. */
const CONTROL = /[\p{Cc}\p{Bidi_Control}]/gu

function hex(character: string): string {
  const code = character.codePointAt(0) ?? 0
  return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
}

function utf8(bytes: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(bytes, 'latin1')
    )
  } catch {
    return undefined
  }
}
