/**
 * Byte strings cut from larger buffers. A typed array of its own costs more than the bytes in it:
 * a buffer for each is made, and made again when native code asks for its bytes.
 *
 * @module
 */

/** Byte strings are cut from buffers of this size; one lives as long as any string cut from it. */
const SLAB_BYTES = 16 * 1024
/** A longer byte string gets a buffer of its own. */
const SLAB_SHARE_BYTES_MAX = 1024

/** See the module. */
export class Slab {
  #buffer = new ArrayBuffer(SLAB_BYTES)
  #used = 0

  /** @returns `size` bytes, zeros, the caller's; they may share their `buffer` with others */
  cut(size: number): Uint8Array {
    if (size > SLAB_SHARE_BYTES_MAX) return new Uint8Array(size)
    if (this.#used + size > SLAB_BYTES) {
      this.#buffer = new ArrayBuffer(SLAB_BYTES)
      this.#used = 0
    }
    const bytes = new Uint8Array(this.#buffer, this.#used, size)
    this.#used += size
    return bytes
  }

  /** @returns a copy of bytes, the caller's; it may share its `buffer` with others */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0) return EMPTY
    const copied = this.cut(bytes.length)
    copied.set(bytes)
    return copied
  }
}

const EMPTY = new Uint8Array(0)

/** Views of the first bytes of one buffer, by their length: making one costs as much as a hash. */
export class Scratch {
  /** The whole of it. */
  readonly bytes: Uint8Array
  readonly #views: (Uint8Array | undefined)[] = []

  /** @param size - in bytes */
  constructor(size: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(size))
  }

  /** @returns its first bytes, which whoever uses it next overwrites */
  first(size: number): Uint8Array {
    return (this.#views[size] ??= this.bytes.subarray(0, size))
  }
}
