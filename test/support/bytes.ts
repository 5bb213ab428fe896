/**
 * Bytes as tests write and compare them.
 *
 * @module
 */

/** Bytes of hexadecimal digits. */
export function fromHex(digits: string): Uint8Array {
  return new Uint8Array(Buffer.from(digits, 'hex'))
}

/** Hexadecimal digits of bytes: unlike arrays they compare by value and print in one line. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** A copy with the bits of `mask` flipped in one byte. */
export function flipped(bytes: Uint8Array, offset: number, mask = 1): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[offset] = (copy[offset] ?? 0) ^ mask
  return copy
}

/** A copy with one byte replaced. */
export function replaced(bytes: Uint8Array, offset: number, value: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[offset] = value
  return copy
}

/** `count` bytes, each `value`. */
export function filled(count: number, value: number): Uint8Array {
  return new Uint8Array(count).fill(value)
}
