/**
 * Reads the room's byte formats: little-endian integers and runs of bytes. Every read is
 * checked, so that a parser built of them cannot run past the end.
 *
 * @module
 */
import { CryptoError } from './crypto-error.ts'

/** A cursor over bytes that somebody else may have made. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  /** @param bytes - borrowed; runs that {@link ByteReader.view} returns share its memory */
  constructor(bytes: Uint8Array) {
    // A Buffer's own `slice` does not copy: from here on there are only plain arrays.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  /** Reads one byte. @throws {CryptoError} `TRUNCATED` */
  u8(): number {
    return this.#view.getUint8(this.#advance(1))
  }

  /** Reads two bytes. @throws {CryptoError} `TRUNCATED` */
  u16(): number {
    return this.#view.getUint16(this.#advance(2), true)
  }

  /** Reads four bytes. @throws {CryptoError} `TRUNCATED` */
  u32(): number {
    return this.#view.getUint32(this.#advance(4), true)
  }

  /** Reads eight bytes. @throws {CryptoError} `TRUNCATED`, `MALFORMED` above 2^53 - 1 */
  u64(): number {
    const value = this.#view.getBigUint64(this.#advance(8), true)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new CryptoError('MALFORMED', 'a number is larger than 2^53 - 1')
    }
    return Number(value)
  }

  /** Reads a run without copying it. @throws {CryptoError} `TRUNCATED` */
  view(count: number): Uint8Array {
    const start = this.#advance(count)
    return this.#bytes.subarray(start, start + count)
  }

  /** Reads a run into a fresh array. @throws {CryptoError} `TRUNCATED` */
  copy(count: number): Uint8Array {
    return this.view(count).slice()
  }

  /**
   * Reads a u32 and takes it for a count or a size.
   *
   * @throws {CryptoError} `TRUNCATED`, `MALFORMED` when it is above `max`
   */
  count(max: number): number {
    const count = this.u32()
    if (count > max) throw new CryptoError('MALFORMED', `a count of ${count} is above ${max}`)
    return count
  }

  /** Checks that all was read. @throws {CryptoError} `MALFORMED` when bytes are left over */
  end(): void {
    if (this.remaining > 0) throw new CryptoError('MALFORMED', `${this.remaining} bytes too many`)
  }

  #advance(count: number): number {
    const start = this.#offset
    if (count > this.#bytes.length - start) {
      throw new CryptoError('TRUNCATED', `ends after ${this.#bytes.length} bytes`)
    }
    this.#offset = start + count
    return start
  }
}
