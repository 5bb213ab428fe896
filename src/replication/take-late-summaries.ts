/**
 * What a holder knows that did not answer while a drive was recovered: taken when it is there
 * again, so that history that only it has is not given up for want of asking.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import { openLocatorStatement } from '../crypto/locator-statement.ts'
import { Locator } from '../crypto/locator.ts'
import { wipe } from '../crypto/sodium.ts'
import type { Members } from '../sync/members.ts'
import type { HolderLink } from './holder-link.ts'
import type { BringOptions, KeptLogs } from './kept-logs.ts'
import type { KnownPairs } from './known-pairs.ts'
import { RecoveredSummaries, type Recovered } from './recovered-summaries.ts'
import { ReplicationError } from './replication-error.ts'

/** How long nothing of a log may come before the holder is asked again another time, in milliseconds. */
export const LATE_IDLE_MS_MAX = 60_000

/** What the device knows; all of it is borrowed. */
export interface LateSummariesParts {
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** All statements that were merged, of any kind. */
  readonly statements: () => Iterable<Uint8Array>
  /** Who belongs to the drive. */
  readonly members: Members
  /** The log pairs; those that are new are added, and their operation logs are to be followed. */
  readonly pairs: KnownPairs
  /** Waits for the operation logs. */
  readonly logs: Pick<KeptLogs, 'arrived'>
}

/**
 * Takes all that a holder has. When this resolves, every entry that it tells of is here.
 *
 * @throws {ReplicationError} of the link; `BAD_ANSWER` when what it hands over is not genuine
 * @throws {SyncError} when entries do not come
 */
export async function takeLateSummaries(
  link: Pick<HolderLink, 'summaries'>,
  parts: LateSummariesParts,
  options: Pick<BringOptions, 'signal'> = {}
): Promise<void> {
  const { members, pairs, logs } = parts
  const { announcements, operationLogs, members: theirs } = await summariesOf(link, parts, options)
  for (const statement of theirs.statements()) members.addVouched(statement)
  for (const { bytes } of announcements) await pairs.add(bytes)
  const idle = { ...options, idleMs: LATE_IDLE_MS_MAX }
  const known = operationLogs.filter(({ key }) => pairs.has(key))
  await Promise.all(known.map(({ key, length }) => logs.arrived(key, length, idle)))
}

async function summariesOf(
  link: Pick<HolderLink, 'summaries'>,
  parts: LateSummariesParts,
  options: Pick<BringOptions, 'signal'>
): Promise<Recovered> {
  const { identity, drive } = parts
  const locators = locatorsOf(parts)
  try {
    const summaryKeys = locators.map(({ summaryKey }) => summaryKey)
    const summaries = new RecoveredSummaries({ identity, drive, summaryKeys })
    for (const bytes of await link.summaries(options))
      if (!summaries.add(bytes)) throw new ReplicationError('BAD_ANSWER', 'no genuine summary')
    return summaries.combine()
  } finally {
    for (const locator of locators) locator.clear()
  }
}

/** Of all locator secrets there ever were: its summaries may be older than the last one. */
function locatorsOf({ statements, identity }: LateSummariesParts): readonly Locator[] {
  const locators: Locator[] = []
  for (const bytes of statements()) {
    try {
      const { secret } = openLocatorStatement(bytes, identity)
      locators.push(new Locator(secret))
      wipe(secret)
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error
    }
  }
  return locators.toReversed()
}
