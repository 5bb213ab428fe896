/**
 * Sizes as people write them.
 *
 * @module
 */
import { GroveError } from './grove-error.ts'

/** The largest size that is taken, in bytes: a petabyte, which numbers hold exactly. */
export const SIZE_BYTES_MAX = 10 ** 15

const UNIT_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 10 ** 3,
  mb: 10 ** 6,
  gb: 10 ** 9,
  tb: 10 ** 12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40
}

/**
 * Parses a size: `0`, or a number and one of B, kB, MB, GB, TB (powers of 1,000) or KiB, MiB, GiB,
 * TiB (powers of 1,024), in capitals or not.
 *
 * @returns whole bytes, at most {@link SIZE_BYTES_MAX}
 * @throws {GroveError} `USAGE`
 */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d{1,18}(?:\.\d{1,18})?) ?([kmgt]?i?b)?$/i.exec(text) ?? []
  const number = digits === undefined ? Number.NaN : Number(digits)
  if (number === 0) return 0
  const bytes = Math.floor(number * (UNIT_BYTES[unit?.toLowerCase() ?? ''] ?? Number.NaN))
  if (bytes >= 0 && bytes <= SIZE_BYTES_MAX) return bytes
  throw new GroveError(
    'USAGE',
    `"${text}" is no size; write a number and a unit, as in 50GB, 1.5TB or 500MiB`
  )
}
