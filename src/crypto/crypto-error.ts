/**
 * What can go wrong with sealed, signed and derived things.
 *
 * @module
 */

/**
 * Codes are contract, messages are free:
 * - `FORGED`: a tag or signature does not verify: changed bytes, or the wrong key or place.
 * - `TRUNCATED`: fewer bytes than the format needs.
 * - `NEWER_FORMAT`: made by a newer grove (version, suite, codec or an unknown flag).
 * - `WRONG_PASSPHRASE`: the passphrase does not open the key file, or is needed and missing.
 * - `MALFORMED`: bytes that no version of grove writes, or a damaged key file.
 * - `WRONG_KEY`: a drive key that is not the one its commitment names.
 * - `BAD_WORDS`: not 24 words of the list, or their checksum does not fit.
 * - `UNKNOWN_KEY`: sealed with a drive key that this device does not hold.
 */
export type CryptoErrorCode =
  | 'FORGED'
  | 'TRUNCATED'
  | 'NEWER_FORMAT'
  | 'WRONG_PASSPHRASE'
  | 'MALFORMED'
  | 'WRONG_KEY'
  | 'BAD_WORDS'
  | 'UNKNOWN_KEY'

/** An operating error of the cryptographic ground. It never carries secrets. */
export class CryptoError extends Error {
  /** Tells this class from other errors, also across copies of the module. */
  override readonly name = 'CryptoError'
  /** The stable code. */
  readonly code: CryptoErrorCode

  /** @param code - the stable code; @param message - for people; no names, no keys. */
  constructor(code: CryptoErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
