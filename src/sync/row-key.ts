/**
 * Numbers as parts of row keys: byte strings (latin1) that sort as the numbers do.
 *
 * @module
 */

/** @returns a sub key that sorts as the number, which is below 2^48 */
export function numberSub(number: number): string {
  const high = Math.floor(number / 2 ** 32)
  return String.fromCharCode(
    (high >>> 8) & 0xff,
    high & 0xff,
    (number >>> 24) & 0xff,
    (number >>> 16) & 0xff,
    (number >>> 8) & 0xff,
    number & 0xff
  )
}

/** @returns the sub key of an operation among those of its index: log number, then number */
export function operationSub(log: number, number: number): string {
  return String.fromCharCode(
    log >> 8,
    log & 0xff,
    (number >>> 24) & 0xff,
    (number >>> 16) & 0xff,
    (number >>> 8) & 0xff,
    number & 0xff
  )
}
