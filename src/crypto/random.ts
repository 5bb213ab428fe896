/**
 * Where unpredictable bytes come from. Passed in, so that a simulation can replay a run.
 *
 * @module
 */

/** A source of random bytes. */
export interface Random {
  /**
   * Draws fresh random bytes.
   *
   * @param count - how many bytes, at least 0
   * @returns a new array that the caller owns
   */
  bytes(count: number): Uint8Array
}
