/**
 * Opened blocks, kept in memory up to a number of bytes, least recently used out first.
 *
 * @module
 */

/** A bounded cache of opened blocks. */
export class BlockCache {
  readonly #blocks = new Map<string, Uint8Array>()
  readonly #bytesMax: number
  #bytes = 0

  /** @param bytesMax - how many bytes of blocks are kept at most */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** @returns the block, which must not be changed */
  get(key: string): Uint8Array | undefined {
    const block = this.#blocks.get(key)
    if (block === undefined) return undefined
    this.#blocks.delete(key)
    this.#blocks.set(key, block)
    return block
  }

  /** Keeps a block, which from now on must not be changed. */
  set(key: string, block: Uint8Array): void {
    const old = this.#blocks.get(key)
    if (old !== undefined) this.#drop(key, old)
    this.#blocks.set(key, block)
    this.#bytes += block.length
    for (const [oldest, bytes] of this.#blocks) {
      if (this.#bytes <= this.#bytesMax) break
      this.#drop(oldest, bytes)
    }
  }

  #drop(key: string, block: Uint8Array): void {
    this.#blocks.delete(key)
    this.#bytes -= block.length
  }
}
