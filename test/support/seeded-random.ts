/**
 * Random bytes that a test can replay: the same seed gives the same bytes on every machine.
 *
 * The generator is sfc32 (C. Doty-Humphrey, PractRand), small and fast with a period long
 * enough for any test. It is not for secrets.
 *
 * @module
 */
import type { Random } from '../../src/crypto/random.ts'

/** How many outputs are thrown away so that similar seeds give unlike streams. */
const WARM_UP_ROUNDS = 12

/** A {@link Random} whose whole future follows from a 32-bit seed. */
export class SeededRandom implements Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** @param seed - any integer; its low 32 bits count */
  constructor(seed: number) {
    this.#a = seed | 0
    this.#b = 0x9e3779b9 | 0
    this.#c = 0x243f6a88 | 0
    for (let round = 0; round < WARM_UP_ROUNDS; round++) this.#next()
  }

  /** Draws `count` bytes. */
  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count)
    let word = 0
    for (let index = 0; index < count; index++) {
      word = index % 4 === 0 ? this.#next() : word >>> 8
      bytes[index] = word
    }
    return bytes
  }

  /** Draws an integer of at least 0 and less than `max`, with `max` from 1 to 2^32. */
  integer(max: number): number {
    return Math.floor((this.#next() / 2 ** 32) * max)
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }
}
