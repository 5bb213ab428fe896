/**
 * Builds a byte string from numbers, bytes and names, growing as needed.
 *
 * Integers of a fixed width are little-endian. A `varint` is 7 bits a byte, least significant
 * first, the top bit set on all but the last byte (LEB128), for integers of 0 to 2^53-1.
 *
 * A value that does not fit its field is the mistake of the caller: a `RangeError`.
 *
 * @module
 */

/** The longest varint, in bytes. */
export const VARINT_BYTES_MAX = 8

const U32_VALUES = 2 ** 32

/** An append-only byte string. */
export class ByteWriter {
  #bytes: Uint8Array
  #length = 0

  /** @param capacity - bytes to start with; it grows when they are used up */
  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity)
  }

  /** How many bytes have been written. */
  get length(): number {
    return this.#length
  }

  /** Appends a byte. */
  u8(value: number): void {
    this.#check(value, 0, 0xff)
    const at = this.#grow(1)
    this.#bytes[at] = value
  }

  /** Appends 2 bytes. */
  u16(value: number): void {
    this.#check(value, 0, 0xffff)
    const at = this.#grow(2)
    this.#bytes[at] = value
    this.#bytes[at + 1] = value >>> 8
  }

  /** Appends 4 bytes. */
  u32(value: number): void {
    this.#check(value, 0, U32_VALUES - 1)
    this.#putU32(this.#grow(4), value)
  }

  /** Appends 8 bytes, in two's complement; the value is a safe integer. */
  i64(value: number): void {
    this.#check(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    const high = Math.floor(value / U32_VALUES)
    const at = this.#grow(8)
    this.#putU32(at, value - high * U32_VALUES)
    this.#putU32(at + 4, high)
  }

  /** Appends 1 to {@link VARINT_BYTES_MAX} bytes. */
  varint(value: number): void {
    this.#check(value, 0, Number.MAX_SAFE_INTEGER)
    let at = this.#grow(VARINT_BYTES_MAX)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[at++] = rest
    this.#length = at
  }

  /** Appends bytes as they are. */
  bytes(value: Uint8Array): void {
    const at = this.#grow(value.length)
    this.#bytes.set(value, at)
  }

  /** Appends a string of one character (code 0 to 255) per byte. */
  latin1(value: string): void {
    const at = this.#grow(value.length)
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      this.#check(code, 0, 0xff)
      this.#bytes[at + i] = code
    }
  }

  /** Overwrites 4 bytes written earlier with {@link ByteWriter.u32}. */
  patchU32(at: number, value: number): void {
    this.#check(at, 0, this.#length - 4)
    this.#check(value, 0, U32_VALUES - 1)
    this.#putU32(at, value)
  }

  /** Takes back all but the first `length` bytes. */
  truncate(length: number): void {
    this.#check(length, 0, this.#length)
    this.#length = length
  }

  /** @returns a view of what has been written, valid until the next write */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #check(value: number, min: number, max: number): void {
    if (Number.isInteger(value) && value >= min && value <= max) return
    throw new RangeError(`${value} is not an integer of ${min} to ${max}`)
  }

  #putU32(at: number, value: number): void {
    this.#bytes[at] = value
    this.#bytes[at + 1] = value >>> 8
    this.#bytes[at + 2] = value >>> 16
    this.#bytes[at + 3] = value >>> 24
  }

  /** Makes room for `count` bytes and counts them as written; @returns where they start. */
  #grow(count: number): number {
    const at = this.#length
    const needed = at + count
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
      larger.set(this.#bytes.subarray(0, at))
      this.#bytes = larger
    }
    this.#length = needed
    return at
  }
}
