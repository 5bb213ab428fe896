/**
 * Byte strings cut from larger buffers. A typed array of its own costs more than the bytes in it:
 * a buffer for each is made, and made again when native code asks for its bytes.
 *
 * @module
 */

/** How large the buffers are from which results that soon go are cut, in bytes. */
export const SLAB_BYTES = 16 * 1024
/**
 * The same for what is kept: a single one of them keeps its buffer, which must not be much more
 * than itself.
 */
export const KEPT_SLAB_BYTES = 2 * 1024
/** A byte string of more than this part of a buffer gets one of its own. */
export const SLAB_SHARE_MAX = 1 / 16

/** No bytes; cannot be changed. */
export const NO_BYTES = new Uint8Array(0)

/** See the module. */
export class Slab {
  readonly #size: number
  #buffer: ArrayBuffer
  #used = 0

  /** @param size - of each buffer, in bytes; a byte string keeps all of the buffer it is cut from */
  constructor(size = SLAB_BYTES) {
    this.#size = size
    this.#buffer = new ArrayBuffer(size)
  }

  /** @returns `size` bytes, zeros, the caller's; they may share their `buffer` with others */
  cut(size: number): Uint8Array {
    if (size > this.#size * SLAB_SHARE_MAX) return new Uint8Array(size)
    if (this.#used + size > this.#size) {
      this.#buffer = new ArrayBuffer(this.#size)
      this.#used = 0
    }
    const bytes = new Uint8Array(this.#buffer, this.#used, size)
    this.#used += size
    return bytes
  }

  /** @returns a copy of bytes, the caller's; it may share its `buffer` with others */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0) return NO_BYTES
    const copied = this.cut(bytes.length)
    copied.set(bytes)
    return copied
  }
}

/** Views of the first bytes of one buffer, by their length: making one costs as much as a hash. */
export class Scratch {
  /** The whole of it. */
  readonly bytes: Uint8Array
  readonly #views: (Uint8Array | undefined)[] = []

  /** @param size - in bytes */
  constructor(size: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(size))
  }

  /**
   * @returns its first bytes, which whoever uses it next overwrites
   * @throws {RangeError} when it has fewer
   */
  first(size: number): Uint8Array {
    const view = (this.#views[size] ??= this.bytes.subarray(0, size))
    if (view.length !== size) throw new RangeError(`no ${size} bytes of ${this.bytes.length}`)
    return view
  }
}
