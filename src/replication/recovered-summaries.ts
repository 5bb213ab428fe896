/**
 * What log summaries say together, to somebody who has nothing but the words.
 *
 * Whoever hands a summary over may keep back newer ones, and a device that was suspended may have
 * signed what is not so. So of each device the newest counts; members are those that the identity
 * vouches for; lengths of logs are taken from those that are not suspended; and where two
 * summaries name different keys by one number, that of a device that is not suspended counts.
 * Announcements, statements and keys prove themselves.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import { openDriveKey } from '../crypto/drive-key-envelope.ts'
import { KeyTable } from '../crypto/key-table.ts'
import { openLogSummary, type LogSummary, type SummarizedLog } from '../crypto/log-summary.ts'
import { blake2b, equalBytes, wipe, type KeyPair } from '../crypto/sodium.ts'
import type { LogKey } from '../sync/log.ts'
import { MEMBERS_MAX } from '../sync/member-list.ts'
import { Members, memberId } from '../sync/members.ts'
import { KnownHolders } from './known-holders.ts'
import { openAnnouncement, type Announcement } from './log-announcement.ts'
import { LOG_LENGTH_MAX } from './replicated-core.ts'
import { SUMMARY_KEYS_MAX } from './summarize-drive.ts'

/** How many bytes of summaries are taken at most. */
export const RECOVERED_BYTES_MAX = 64 * 1024 * 1024

/** What a summary must be of to be taken. */
export interface RecoveredFrom {
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** What a summary may be sealed under; the first that fits counts. */
  readonly summaryKeys: readonly Uint8Array[]
}

/** A log that has at least so many entries. */
export interface ExpectedLog extends SummarizedLog {
  /** Its name. */
  readonly key: LogKey
}

/** What follows from the summaries. */
export interface Recovered {
  /** Who belongs to the drive. */
  readonly members: Members
  /** Its holders. */
  readonly holders: KnownHolders
  /** The drive keys. */
  readonly keys: KeyTable
  /** The log pairs of all members. */
  readonly announcements: readonly Announcement[]
  /** How long the operation logs were at least. */
  readonly operationLogs: readonly ExpectedLog[]
}

interface Taken {
  readonly summary: LogSummary
  readonly bytes: number
}

/** See the module. */
export class RecoveredSummaries {
  readonly #from: RecoveredFrom
  readonly #taken = new Map<string, Taken>()
  readonly #hashes = new Set<string>()
  #bytes = 0

  /** @param from - borrowed */
  constructor(from: RecoveredFrom) {
    this.#from = from
  }

  /** How many summaries there are, one of each device. */
  get count(): number {
    return this.#taken.size
  }

  /** When the newest summary was made, by its device's clock, in milliseconds; 0 for none. */
  get newestMs(): number {
    return Math.max(0, ...[...this.#taken.values()].map(({ summary }) => summary.timeMs))
  }

  /** Whether a summary was handed over, by the hash of its bytes. */
  has(hash: Uint8Array): boolean {
    return this.#hashes.has(memberId(hash))
  }

  /**
   * Takes a summary if it is genuine and the newest of its device.
   *
   * @param bytes - from anyone
   * @returns whether it is genuine
   */
  add(bytes: Uint8Array): boolean {
    const summary = this.#opened(bytes)
    if (summary === undefined) return false
    const signer = memberId(summary.signer)
    const known = this.#taken.get(signer)
    const total = this.#bytes - (known?.bytes ?? 0) + bytes.length
    const hasRoom = known !== undefined || this.#taken.size < MEMBERS_MAX
    if (!hasRoom || total > RECOVERED_BYTES_MAX) return false
    this.#hashes.add(memberId(blake2b(bytes)))
    if (known !== undefined && known.summary.sequence >= summary.sequence) return true
    this.#taken.set(signer, { summary, bytes: bytes.length })
    this.#bytes = total
    return true
  }

  /**
   * Puts together what they say.
   *
   * @param recovery - opens the drive keys; without it there are none
   */
  combine(recovery?: KeyPair): Recovered {
    const { identity, drive } = this.#from
    const keys = new KeyTable()
    const all = [...this.#taken.values()].map(({ summary }) => summary)
    const statements = all.flatMap(({ members }) => members)
    // Names are sealed, and the keys that open them are not there yet.
    const listed = new Members({ identity, keys, statements })
    const said = rank(all, listed)
    if (recovery !== undefined)
      for (const { envelopes } of said) addKeys(keys, { envelopes, drive, recovery })
    const members = new Members({ identity, keys, statements: listed.statements() })
    const holders = new KnownHolders({ drive, members })
    for (const summary of said) for (const bytes of summary.holders) holders.add(bytes)
    const announcements = new Map<LogKey, Announcement>()
    const lengths = new Map<LogKey, SummarizedLog>()
    for (const summary of said) {
      const isTrusted = members.bySigning(memberId(summary.signer))?.isSuspended === false
      for (const pair of summary.pairs) {
        const announcement = announced(pair.announcement, drive)
        if (announcement === undefined) continue
        if (members.bySigning(announcement.device) === undefined) continue
        const { key } = announcement.operationLog
        announcements.set(key, announcement)
        const { length } = pair.operationLog
        const isLonger = length > (lengths.get(key)?.length ?? 0) && length <= LOG_LENGTH_MAX
        if (isTrusted && isLonger) lengths.set(key, pair.operationLog)
      }
    }
    const operationLogs = [...lengths].map(([key, log]) => ({ key, ...log }))
    return { members, holders, keys, announcements: [...announcements.values()], operationLogs }
  }

  #opened(bytes: Uint8Array): LogSummary | undefined {
    for (const key of this.#from.summaryKeys) {
      try {
        const summary = openLogSummary(bytes, key)
        return equalBytes(summary.drive, this.#from.drive) ? summary : undefined
      } catch (error) {
        if (!(error instanceof CryptoError)) throw error
      }
    }
    return undefined
  }
}

/** Those of members; of devices that are not suspended first, then the newest. */
function rank(summaries: readonly LogSummary[], members: Members): readonly LogSummary[] {
  const trust = ({ signer }: LogSummary): number => {
    const member = members.bySigning(memberId(signer))
    return member === undefined ? 0 : member.isSuspended ? 1 : 2
  }
  return summaries
    .filter(summary => trust(summary) > 0)
    .toSorted((left, right) => {
      const byTrust = trust(right) - trust(left)
      return byTrust || right.listVersion - left.listVersion || right.timeMs - left.timeMs
    })
}

function addKeys(
  keys: KeyTable,
  from: {
    readonly envelopes: readonly Uint8Array[]
    readonly drive: Uint8Array
    readonly recovery: KeyPair
  }
): void {
  for (const envelope of from.envelopes) {
    if (keys.size >= SUMMARY_KEYS_MAX) return
    try {
      const row = openDriveKey({ envelope, drive: from.drive, keyPair: from.recovery })
      keys.add(row)
      wipe(row.key)
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error
    }
  }
}

function announced(bytes: Uint8Array, drive: Uint8Array): Announcement | undefined {
  try {
    return openAnnouncement(bytes, drive)
  } catch (error) {
    if (error instanceof CryptoError) return undefined
    throw error
  }
}
