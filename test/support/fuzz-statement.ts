/**
 * Attacks the opener of one kind of statement: with changed statements, none of which may open,
 * and with changed bodies that are signed again, as a hostile member or keeper could.
 *
 * @module
 */
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import type { KeyPair } from '../../src/crypto/sodium.ts'
import { decodeStatement, encodeStatement, signStatement } from '../../src/crypto/statement.ts'
import { toHex } from './bytes.ts'
import { hostileBytes } from './hostile-bytes.ts'
import type { SeededRandom } from './seeded-random.ts'

/** What came of an attack. */
export interface FuzzOutcome {
  /** How many changed bodies were opened, so that both ways were taken. */
  readonly opened: number
  /** What should not have been: openings of forgeries, second encodings, foreign errors. */
  readonly failures: readonly string[]
}

/**
 * Opens `inputs` hostile statements.
 *
 * @param input.genuine - signed by `keyPair`
 * @param input.reopened - opens a statement, encodes and signs what it said again
 */
export function fuzzStatement(input: {
  readonly random: SeededRandom
  readonly inputs: number
  readonly genuine: Uint8Array
  readonly keyPair: KeyPair
  readonly reopened: (bytes: Uint8Array) => Uint8Array
}): FuzzOutcome {
  const { random, genuine, keyPair, reopened } = input
  const { domain, sequence, previous, body } = decodeStatement(genuine)
  const genuineHex = toHex(genuine)
  const failures: string[] = []
  let opened = 0
  for (let count = 0; count < input.inputs; count++) {
    const signed = random.integer(4) === 0
    const changed = hostileBytes(random, [signed ? body : genuine])
    const bytes = signed
      ? encodeStatement(signStatement({ domain, sequence, previous, body: changed }, keyPair))
      : changed
    try {
      const again = toHex(reopened(bytes))
      if (again !== toHex(bytes)) failures.push(`a second encoding: ${toHex(bytes)}`)
      if (signed) opened++
      else if (again !== genuineHex) failures.push(`a forgery opens: ${toHex(bytes)}`)
    } catch (error) {
      if (!(error instanceof CryptoError)) failures.push(`${String(error)}: ${toHex(bytes)}`)
    }
  }
  return { opened, failures }
}
