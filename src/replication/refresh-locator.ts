/**
 * Keeps a drive's locator record in the hash table: puts it again while it still says what is so,
 * and a newer version when it does not.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import { LOCATOR_HOLDERS_MAX, type Locator, type LocatorRecord } from '../crypto/locator.ts'
import type { Random } from '../crypto/random.ts'
import { equalBytes } from '../crypto/sodium.ts'
import {
  signRecord,
  type DhtRecords,
  type RecordOptions,
  type SignedRecord
} from './dht-records.ts'

/** A record that names a summary older than this is replaced, in milliseconds. */
export const LOCATOR_AGE_MS_MAX = 3_600_000

/** What the record is to say, and where. */
export interface LocatorState extends RecordOptions {
  /** The keys that follow from the locator secret; only read. */
  readonly locator: Locator
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** Network keys of all holders, the ones to be named first when not all fit. */
  readonly holders: readonly Uint8Array[]
  /** When this device made its newest summary, in milliseconds since 1970; 0 for none. */
  readonly summaryMs: number
  /** The hash of that summary, 32 bytes; zeros for none. */
  readonly summaryHash: Uint8Array
  /** The hash table. */
  readonly records: DhtRecords
  /** For the seal. */
  readonly random: Random
}

/**
 * Puts the record.
 *
 * @param nowMs - milliseconds since 1970
 * @returns what is there now; undefined when there are no holders and never were
 * @throws {ReplicationError} `UNAVAILABLE`, `INTERRUPTED`
 * @throws {RangeError} when somebody used up the numbers of its versions
 */
export async function refreshLocator(
  state: LocatorState,
  nowMs: number
): Promise<SignedRecord | undefined> {
  const { locator, records, holders } = state
  const options = state.signal === undefined ? {} : { signal: state.signal }
  const found = await records.get(locator.keyPair.publicKey, options)
  if (found === undefined && holders.length === 0) return undefined
  const record =
    found !== undefined && isCurrent(found, state, nowMs) ? found : renewed(state, nowMs, found)
  await records.put(record, options)
  return record
}

function isCurrent(found: SignedRecord, state: LocatorState, nowMs: number): boolean {
  const said = opened(state.locator, found)
  if (said === undefined || !equalBytes(said.drive, state.drive)) return false
  const wanted = new Set(state.holders.map(hexOf))
  const named = new Set(said.holders.map(hexOf))
  const isComplete = named.size === Math.min(wanted.size, LOCATOR_HOLDERS_MAX)
  if (!isComplete || ![...named].every(holder => wanted.has(holder))) return false
  return said.summaryMs > nowMs - LOCATOR_AGE_MS_MAX || said.summaryMs >= state.summaryMs
}

/** Of any device's clock that is ahead the number stays ahead, until the others catch up. */
function renewed(
  state: LocatorState,
  nowMs: number,
  found: SignedRecord | undefined
): SignedRecord {
  const { locator, drive, summaryMs, summaryHash, random } = state
  const sequence = Math.max((found?.sequence ?? 0) + 1, Math.floor(nowMs / 1_000))
  if (!Number.isSafeInteger(sequence)) throw new RangeError('no version number is left')
  const holders = state.holders.slice(0, LOCATOR_HOLDERS_MAX)
  const record = { drive, summaryMs, summaryHash, holders }
  const value = locator.seal({ record, sequence, random })
  return signRecord(locator.keyPair, { sequence, value })
}

function opened(locator: Locator, { value, sequence }: SignedRecord): LocatorRecord | undefined {
  try {
    return locator.open(value, sequence)
  } catch (error) {
    if (error instanceof CryptoError) return undefined
    throw error
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
