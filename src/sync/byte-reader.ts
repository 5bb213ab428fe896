/**
 * Takes a byte string apart that {@link ByteWriter} (or an attacker) put together.
 *
 * Every method throws a {@link SyncError} `MALFORMED` when the bytes end too early or hold a
 * value that no writer writes; nothing is allocated on the word of a length that the bytes
 * themselves do not bear out.
 *
 * @module
 */
import { VARINT_BYTES_MAX } from './byte-writer.ts'
import { SyncError } from './sync-error.ts'

const U32_VALUES = 2 ** 32

/** A position in a byte string. */
export class ByteReader {
  readonly #bytes: Uint8Array
  #at = 0

  /** @param bytes - read where it is, so it must not change meanwhile */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  /** Takes a byte. */
  u8(): number {
    return this.#byte(this.#take(1))
  }

  /** Takes 2 bytes. */
  u16(): number {
    const at = this.#take(2)
    return this.#byte(at) | (this.#byte(at + 1) << 8)
  }

  /** Takes 4 bytes. */
  u32(): number {
    return this.#u32At(this.#take(4))
  }

  /** Takes 8 bytes in two's complement; refuses what is no safe integer. */
  i64(): number {
    const at = this.#take(8)
    const value = (this.#u32At(at + 4) | 0) * U32_VALUES + this.#u32At(at)
    if (!Number.isSafeInteger(value)) throw malformed('an integer is out of range')
    return value
  }

  /** Takes an integer of 0 to `max`, in its shortest form. */
  varint(max = Number.MAX_SAFE_INTEGER): number {
    let value = 0
    let factor = 1
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) {
        if (byte === 0 && i > 0) throw malformed('an integer is longer than it need be')
        if (value > max) throw malformed('an integer is out of range')
        return value
      }
      factor *= 0x80
    }
    throw malformed('an integer is too long')
  }

  /**
   * Takes a count of things that follow.
   *
   * @param bytesMin - how many bytes each of them takes at least; at least 1
   */
  count(bytesMin: number): number {
    const count = this.varint()
    if (count * bytesMin > this.remaining) throw malformed('a count exceeds the bytes')
    return count
  }

  /** Takes `length` bytes. @returns a view of them, not a copy */
  bytes(length: number): Uint8Array {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  /** Takes `length` bytes as a string of one character per byte. */
  latin1(length: number): string {
    const at = this.#take(length)
    let value = ''
    for (let i = at; i < at + length; i++) value += String.fromCharCode(this.#byte(i))
    return value
  }

  /** Checks that nothing is left. */
  end(): void {
    if (this.remaining > 0) throw malformed('bytes are left over')
  }

  #take(count: number): number {
    const at = this.#at
    if (count > this.#bytes.length - at) throw malformed('the bytes end too early')
    this.#at = at + count
    return at
  }

  #byte(at: number): number {
    return this.#bytes[at] ?? 0
  }

  #u32At(at: number): number {
    const low = this.#byte(at) | (this.#byte(at + 1) << 8) | (this.#byte(at + 2) << 16)
    return low + this.#byte(at + 3) * 0x1000000
  }
}

/** @returns the error for bytes that no version of grove writes */
export function malformed(message: string): SyncError {
  return new SyncError('MALFORMED', message)
}
