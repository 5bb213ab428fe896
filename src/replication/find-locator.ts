/**
 * The beginning of recovery: from the words to the record that names the holders.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import type { Identity } from '../crypto/identity.ts'
import { LOCATOR_NUMBERS_MAX } from '../crypto/locator-statement.ts'
import { Locator, type LocatorRecord } from '../crypto/locator.ts'
import { wipe } from '../crypto/sodium.ts'
import type { DhtRecords, RecordOptions } from './dht-records.ts'
import { ReplicationError } from './replication-error.ts'

/** How many records are looked up at a time. */
export const LOOKUPS_MAX = 8

/** What stands under the words. */
export interface FoundLocator {
  /** Which of the person's locator secrets counts now. */
  readonly number: number
  /** What its record says. */
  readonly record: LocatorRecord
  /** Keys that log summaries may be sealed under, that of this secret first. */
  readonly summaryKeys: readonly Uint8Array[]
}

/**
 * Looks up the person's record. Of several the one of the highest number counts: whoever stole a
 * device knows the secrets before it.
 *
 * @param identity - only read
 * @throws {ReplicationError} `NOT_FOUND` when there is none, `UNAVAILABLE` when no node of the
 *   hash table answers, `NEWER_FORMAT`, `INTERRUPTED`
 */
export async function findLocator(
  identity: Identity,
  records: DhtRecords,
  options: RecordOptions = {}
): Promise<FoundLocator> {
  const locators = Array.from({ length: LOCATOR_NUMBERS_MAX }, (_, number) => {
    const secret = identity.locatorSecret(number)
    const locator = new Locator(secret)
    wipe(secret)
    return locator
  })
  const looked: PromiseSettledResult<LocatorRecord | undefined>[] = []
  for (let at = 0; at < locators.length; at += LOOKUPS_MAX) {
    const some = locators.slice(at, at + LOOKUPS_MAX)
    const looking = some.map(locator => lookUp(locator, records, options))
    looked.push(...(await Promise.allSettled(looking)))
  }
  const number = looked.findLastIndex(each => each.status === 'fulfilled' && each.value)
  const found = looked[number]
  if (found?.status === 'fulfilled' && found.value !== undefined) {
    const newestFirst = [...locators.slice(0, number + 1).reverse(), ...locators.slice(number + 1)]
    const summaryKeys = newestFirst.map(({ summaryKey }) => summaryKey)
    return { number, record: found.value, summaryKeys }
  }
  const failed = looked.find(each => each.status === 'rejected')
  throw failed === undefined ? notFound() : failed.reason
}

async function lookUp(
  locator: Locator,
  records: DhtRecords,
  options: RecordOptions
): Promise<LocatorRecord | undefined> {
  const found = await records.get(locator.keyPair.publicKey, options)
  if (found === undefined) return undefined
  try {
    return locator.open(found.value, found.sequence)
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause
    if (cause.code !== 'NEWER_FORMAT') return undefined
    const text = 'the record under these words was made by a newer grove; update grove'
    throw new ReplicationError('NEWER_FORMAT', text, { cause })
  }
}

function notFound(): ReplicationError {
  return new ReplicationError(
    'NOT_FOUND',
    'nothing is found under these words: the words are of another drive, or it never had a holder, or none of its holders has been on for two days, or it was made by a grove without recovery'
  )
}
