/**
 * What a device knows of its drive, put together for a log summary.
 *
 * @module
 */
import { sealDriveKey } from '../crypto/drive-key-envelope.ts'
import type { KeyTable } from '../crypto/key-table.ts'
import {
  fitsLogSummary,
  type LogSummaryContent,
  type SummarizedLog,
  type SummarizedPair
} from '../crypto/log-summary.ts'
import type { Random } from '../crypto/random.ts'
import { HASH_BYTES } from '../crypto/sodium.ts'
import type { LogKey } from '../sync/log.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { Members } from '../sync/members.ts'
import type { KeptLogs } from './kept-logs.ts'
import type { KnownHolders } from './known-holders.ts'
import type { Announcement } from './log-announcement.ts'

/** How many drive keys a summary has at most: the newest. */
export const SUMMARY_KEYS_MAX = 1024

/** What a summary is made of; all of it is borrowed. */
export interface SummarizedDrive {
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** What drive keys are sealed to; X25519, 32 bytes. */
  readonly recoveryKey: Uint8Array
  /** The drive keys. */
  readonly keys: KeyTable
  /** Who belongs to the drive. */
  readonly members: Members
  /** The holders of the drive. */
  readonly holders: KnownHolders
  /** The announcements of all log pairs, those of this device too. */
  readonly announcements: () => readonly Announcement[]
  /** The logs, as far as they are known here. */
  readonly logs: Pick<KeptLogs, 'length' | 'treeHash'>
  /** For the envelopes. */
  readonly random: Random
}

/** A summary's content without its number and time, and what had no room in it. */
export interface Summarized {
  /** The content. */
  readonly content: Omit<LogSummaryContent, 'sequence' | 'timeMs'>
  /** How many log pairs were left out. */
  readonly pairsLeftOut: number
}

/** Puts summaries of one drive together. A drive key is sealed once. */
export class DriveSummarizer {
  readonly #drive: SummarizedDrive
  readonly #envelopes = new Map<number, Uint8Array>()

  /** @param drive - borrowed */
  constructor(drive: SummarizedDrive) {
    this.#drive = drive
  }

  /**
   * Says what is known now. Where it is more than fits, the pairs that were learned last are left
   * out: those of the oldest epochs of every device were first.
   */
  async summarize(): Promise<Summarized> {
    const { drive, members, holders } = this.#drive
    const announcements = this.#drive.announcements()
    const pairs: SummarizedPair[] = []
    for (const announcement of announcements) pairs.push(await this.#pair(announcement))
    const whole = {
      drive,
      listVersion: members.head.listVersion - 1,
      members: members.statements(),
      envelopes: this.#sealedKeys(),
      holders: holders.all().map(({ bytes }) => bytes)
    }
    const fits = (count: number): boolean =>
      fitsLogSummary({ ...whole, sequence: 0, timeMs: 0, pairs: pairs.slice(0, count) })
    let [least, most] = [0, pairs.length]
    while (least < most) {
      const middle = Math.ceil((least + most) / 2)
      if (fits(middle)) least = middle
      else most = middle - 1
    }
    const content = { ...whole, pairs: pairs.slice(0, least) }
    return { content, pairsLeftOut: pairs.length - least }
  }

  async #pair({ bytes, operationLog, contentLog }: Announcement): Promise<SummarizedPair> {
    return {
      announcement: bytes,
      operationLog: await this.#log(operationLog.key),
      contentLog: await this.#log(contentLog.key)
    }
  }

  async #log(key: LogKey): Promise<SummarizedLog> {
    const { logs } = this.#drive
    const length = logs.length(key)
    try {
      return { length, treeHash: await logs.treeHash(key, length) }
    } catch (error) {
      // Not all of the tree is here, or it is damaged: the length is of use all the same.
      if (error instanceof SyncError) return { length, treeHash: new Uint8Array(HASH_BYTES) }
      throw error
    }
  }

  #sealedKeys(): readonly Uint8Array[] {
    const { keys, drive, recoveryKey: recipient, random } = this.#drive
    return keys
      .rows()
      .slice(-SUMMARY_KEYS_MAX)
      .map(row => {
        const known = this.#envelopes.get(row.keyId)
        const envelope = known ?? sealDriveKey({ row, drive, recipient, random })
        this.#envelopes.set(row.keyId, envelope)
        return envelope
      })
  }
}
