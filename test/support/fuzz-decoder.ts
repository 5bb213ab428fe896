/**
 * Attacks a decoder with changed bytes: what it takes must be what its encoder writes, what it
 * refuses it must refuse in its own words.
 *
 * @module
 */
import { toHex } from './bytes.ts'
import { collectGarbage } from './collect-garbage.ts'
import { hostileBytes } from './hostile-bytes.ts'
import type { SeededRandom } from './seeded-random.ts'

/** How many inputs each decoder is given; `GROVE_FUZZ` sets another number. */
export const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)

/** How many inputs are decoded before the keys that some decoders open are given back. */
const COLLECT_EVERY = 5000

/** What came of an attack. */
export interface DecoderOutcome {
  /** How many inputs were taken, so that both ways were gone. */
  readonly taken: number
  /** Foreign errors and second encodings. */
  readonly failures: readonly string[]
}

/**
 * Decodes {@link FUZZ_INPUTS} hostile inputs.
 *
 * @param input.reencoded - decodes, and encodes again what that gave; absent bytes are not compared
 * @param input.opensKeys - whether it keeps keys in locked memory, which must be given back
 * @param input.isRefusal - whether an error is one that the decoder may throw
 */
export async function fuzzDecoder(input: {
  readonly random: SeededRandom
  readonly genuine: readonly Uint8Array[]
  readonly reencoded: (bytes: Uint8Array) => Uint8Array | undefined
  readonly opensKeys?: boolean
  readonly isRefusal: (error: unknown) => boolean
}): Promise<DecoderOutcome> {
  const { random, genuine, reencoded, isRefusal } = input
  const failures: string[] = []
  let taken = 0
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    if (input.opensKeys === true && count % COLLECT_EVERY === 0) await collectGarbage()
    const bytes = hostileBytes(random, genuine)
    try {
      const again = reencoded(bytes)
      taken++
      if (again && Buffer.compare(again, bytes) !== 0) failures.push(`twice: ${toHex(bytes)}`)
    } catch (error) {
      if (!isRefusal(error)) failures.push(`${String(error)}: ${toHex(bytes)}`)
    }
  }
  return { taken, failures }
}
