/**
 * Bytes as an attacker would send them: genuine ones with a few changes, or noise.
 *
 * @module
 */
import type { SeededRandom } from './seeded-random.ts'

/** How long noise is at most, in bytes. */
const NOISE_BYTES_MAX = 300

/** Draws one input; it may by chance be the genuine bytes. */
export function hostileBytes(random: SeededRandom, genuine: readonly Uint8Array[]): Uint8Array {
  const base = genuine[random.integer(genuine.length)]
  if (base === undefined || random.integer(8) === 0) {
    const noise = random.bytes(random.integer(NOISE_BYTES_MAX))
    // Else nearly all noise ends at the version.
    if (noise.length > 0 && random.integer(2) === 0) noise[0] = 1
    return noise
  }
  const at = random.integer(base.length)
  switch (random.integer(5)) {
    case 0:
      return base.subarray(0, at)
    case 1:
      return Buffer.concat([base, random.bytes(1 + random.integer(40))])
    case 2:
      return Buffer.concat([base.subarray(0, at), base.subarray(random.integer(base.length))])
    default: {
      const changed = new Uint8Array(base)
      for (let count = 1 + random.integer(4); count > 0; count--) {
        changed.set(random.bytes(1), random.integer(base.length))
      }
      return changed
    }
  }
}
