/**
 * Unpredictable bytes from the operating system.
 *
 * @module
 */
import { randomFillSync } from 'node:crypto'
import type { Random } from '../src/crypto/random.ts'

/** {@link Random} of this machine. */
export const systemRandom: Random = { bytes: count => randomFillSync(new Uint8Array(count)) }
