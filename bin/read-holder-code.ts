/**
 * The code that `grove host` shows, as a person pasted it.
 *
 * @module
 */
import { CryptoError } from '../src/crypto/crypto-error.ts'
import { decodeHolderCode, type HolderCode } from '../src/crypto/holder-code.ts'
import { GroveError } from './grove-error.ts'

/**
 * Reads a code.
 *
 * @param nowMs - since 1970
 * @throws {GroveError} `INVITATION` when it is none or has expired; `NEWER_FORMAT`
 */
export function readHolderCode(text: string, nowMs: number): HolderCode {
  const code = decode(text)
  if (code.expiresMs === 0 || code.expiresMs > nowMs) return code
  throw new GroveError('INVITATION', 'this code has expired; have `grove host` show a new one')
}

function decode(text: string): HolderCode {
  try {
    return decodeHolderCode(text)
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error
    if (error.code === 'NEWER_FORMAT')
      throw new GroveError('NEWER_FORMAT', 'this code is of a newer grove; update grove', {
        cause: error
      })
    throw new GroveError(
      'INVITATION',
      'this is no code of a holder, or it has a typing error; copy all that `grove host` shows',
      { cause: error }
    )
  }
}
