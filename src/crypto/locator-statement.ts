/**
 * The statement that tells a person's devices the locator secret, so that they can keep the
 * record that 24 words are looked up by. It travels in operation entries, which are sealed: who
 * reads it may find and replace the record, no more.
 *
 * Domain `recovery/locator`, signed by the identity: only the words can tell which secret is
 * genuine, and a device that turned hostile must not be able to send the others to another one.
 * Sequence: the number of the secret and 1. Body: the secret, 32 bytes. The highest number
 * counts; the next is taken when a device that knows the last one was stolen.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { CryptoError } from './crypto-error.ts'
import type { Identity } from './identity.ts'
import { KEY_BYTES, wipe } from './sodium.ts'
import { NO_PREVIOUS, encodeStatement, openStatement, signStatement } from './statement.ts'

const DOMAIN = 'recovery/locator'

/** How many locator secrets are tried by whoever has nothing but words. */
export const LOCATOR_NUMBERS_MAX = 16

/** A locator secret that the identity vouches for. */
export interface LocatorSecret {
  /** Which one; less than {@link LOCATOR_NUMBERS_MAX}. */
  readonly number: number
  /** 32 bytes; whoever has them wipes them. */
  readonly secret: Uint8Array
}

/**
 * Signs and encodes the statement about one of a person's locator secrets.
 *
 * @returns secret bytes
 */
export function signLocatorStatement(identity: Identity, number: number): Uint8Array {
  if (!isNumber(number)) throw new RangeError(`no number of a locator secret: ${number}`)
  const body = identity.locatorSecret(number)
  const content = { domain: DOMAIN, sequence: number + 1, previous: NO_PREVIOUS, body }
  const statement = encodeStatement(signStatement(content, identity.signing))
  wipe(body)
  return statement
}

/**
 * Opens such a statement and verifies that the identity made it.
 *
 * @param bytes - from anyone
 * @param identity - the person's signing key, 32 bytes
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openLocatorStatement(bytes: Uint8Array, identity: Uint8Array): LocatorSecret {
  const { sequence, body } = openStatement(bytes, { domain: DOMAIN, signer: identity })
  const reader = new ByteReader(body)
  const secret = reader.copy(KEY_BYTES)
  reader.end()
  const number = sequence - 1
  if (!isNumber(number)) throw new CryptoError('MALFORMED', `locator secret ${number}`)
  return { number, secret }
}

/**
 * The locator secret that counts.
 *
 * @param statements - of any kind, from anyone
 * @param identity - the person's signing key, 32 bytes
 * @returns undefined when there is none: the drive is older than locators
 */
export function newestLocator(
  statements: Iterable<Uint8Array>,
  identity: Uint8Array
): LocatorSecret | undefined {
  let newest: LocatorSecret | undefined
  for (const bytes of statements) {
    const opened = openedOrNone(bytes, identity)
    if (opened === undefined) continue
    const isNewer = newest === undefined || opened.number > newest.number
    wipe((isNewer ? newest : opened)?.secret ?? new Uint8Array(0))
    if (isNewer) newest = opened
  }
  return newest
}

function openedOrNone(bytes: Uint8Array, identity: Uint8Array): LocatorSecret | undefined {
  try {
    return openLocatorStatement(bytes, identity)
  } catch (error) {
    if (error instanceof CryptoError) return undefined
    throw error
  }
}

function isNumber(number: number): boolean {
  return Number.isInteger(number) && number >= 0 && number < LOCATOR_NUMBERS_MAX
}
