/**
 * Writes the room's byte formats: little-endian integers and runs of bytes. The size is known
 * before, so that secrets are never left behind in a buffer that grew.
 *
 * @module
 */

/** A cursor over a buffer of known size. */
export class ByteWriter {
  /** The buffer that is being filled. */
  readonly bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  /** @param bytes - the buffer to fill, from its first byte on */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Writes one byte. */
  u8(value: number): this {
    this.#view.setUint8(this.#advance(1), checked(value, 0xff))
    return this
  }

  /** Writes two bytes. */
  u16(value: number): this {
    this.#view.setUint16(this.#advance(2), checked(value, 0xffff), true)
    return this
  }

  /** Writes four bytes. */
  u32(value: number): this {
    this.#view.setUint32(this.#advance(4), checked(value, 0xffffffff), true)
    return this
  }

  /** Writes eight bytes; `value` is at most 2^53 - 1. */
  u64(value: number): this {
    const whole = BigInt(checked(value, Number.MAX_SAFE_INTEGER))
    this.#view.setBigUint64(this.#advance(8), whole, true)
    return this
  }

  /** Writes a run; of a given length where the format fixes one. */
  put(run: Uint8Array, length = run.length): this {
    if (run.length !== length) throw new RangeError(`${run.length} bytes instead of ${length}`)
    this.bytes.set(run, this.#advance(length))
    return this
  }

  /** Checks that the buffer is full and returns it. */
  end(): Uint8Array {
    if (this.#offset !== this.bytes.length) {
      throw new RangeError(`wrote ${this.#offset} of ${this.bytes.length} bytes`)
    }
    return this.bytes
  }

  #advance(count: number): number {
    const start = this.#offset
    if (count > this.bytes.length - start) throw new RangeError('the buffer is full')
    this.#offset = start + count
    return start
  }
}

function checked(value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${value} is not an integer from 0 to ${max}`)
  }
  return value
}
