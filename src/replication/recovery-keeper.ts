/**
 * What a device does, as it goes, so that its person can come back with nothing but the words:
 * every holder is given the newest log summary, the hash table the list of holders, and every
 * holder that record too, to put it again while all devices are off.
 *
 * @module
 */
import type { DeviceKeys } from '../crypto/device-keys.ts'
import { Locator } from '../crypto/locator.ts'
import { newestLocator } from '../crypto/locator-statement.ts'
import { logSummaryDigest, sealLogSummary } from '../crypto/log-summary.ts'
import { HASH_BYTES, blake2b, equalBytes, wipe } from '../crypto/sodium.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import { encodeSignedRecord, type DhtRecords, type SignedRecord } from './dht-records.ts'
import { endsInTime } from './ends-in-time.ts'
import type { HolderLink } from './holder-link.ts'
import { PacedTask } from './paced-task.ts'
import { ReplicationError } from './replication-error.ts'
import { refreshLocator } from './refresh-locator.ts'
import { DriveSummarizer, type Summarized, type SummarizedDrive } from './summarize-drive.ts'

/** How long after a change the holders are given a summary, in milliseconds. */
export const SUMMARY_DELAY_MS = 3_000

/** How often summary and record are renewed when nothing changes, in milliseconds. */
export const RECOVERY_INTERVAL_MS = 3_600_000

/** How long the last summary and record may take at the end, in milliseconds. */
export const LAST_GIFTS_MS_MAX = 4_000

/** How long after a failure the record is put again, in milliseconds. */
export const LOCATOR_RETRY_MS = 60_000

/** What is needed; all of it is borrowed. */
export interface RecoveryKeeperParts extends SummarizedDrive {
  /** This device's keys. */
  readonly deviceKeys: DeviceKeys
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** All statements that were merged, of any kind. */
  readonly statements: () => Iterable<Uint8Array>
  /** The keepers that are connected. */
  readonly links: () => readonly HolderLink[]
  /** The hash table. */
  readonly records: DhtRecords
  /** Time. */
  readonly clock: Clock
  /** Told what went wrong, for the log: no names, no keys. */
  readonly report: (message: string, cause?: unknown) => void
}

/** Something that every keeper is to have. */
interface Gift {
  readonly give: (link: HolderLink) => Promise<void>
}

interface Summary extends Gift {
  readonly timeMs: number
  readonly hash: Uint8Array
}

interface Receiver {
  /** What it was given over this connection. */
  readonly had: Set<Gift>
  isBusy: boolean
}

/** See the module. */
export class RecoveryKeeper {
  readonly #parts: RecoveryKeeperParts
  readonly #summarizer: DriveSummarizer
  readonly #summaries: PacedTask
  readonly #records: PacedTask
  readonly #stop = new AbortController()
  readonly #receivers = new WeakMap<HolderLink, Receiver>()
  readonly #giving = new Set<Promise<void>>()
  #summary: Summary | undefined
  #record: (Gift & { readonly bytes: Uint8Array }) | undefined
  #said: Uint8Array = new Uint8Array(0)
  /** What the record was last put for. */
  #named: string | undefined
  #sequence = 0
  #timer: Timer | undefined
  #retry: Timer | undefined
  #lastProblem: string | undefined

  /** @param parts - borrowed */
  constructor(parts: RecoveryKeeperParts) {
    this.#parts = parts
    this.#summarizer = new DriveSummarizer(parts)
    const { clock } = parts
    this.#summaries = new PacedTask({
      clock,
      delayMs: SUMMARY_DELAY_MS,
      work: () => this.#summarize(),
      report: cause => this.#problem('no log summary could be made', cause)
    })
    this.#records = new PacedTask({
      clock,
      delayMs: SUMMARY_DELAY_MS,
      work: () => this.#putRecord(),
      report: cause => this.#failed(cause)
    })
    this.#renew()
  }

  /** Says that logs, members, holders or keys changed. */
  changed(): void {
    this.#summaries.changed()
  }

  /** Says that a keeper is connected; it is given what it lacks. */
  linkOpened(link: HolderLink): void {
    this.#giveAll(link)
  }

  /**
   * Gives what is news to whoever is connected, for {@link LAST_GIFTS_MS_MAX} at most, and ends what
   * is under way: a computer that is switched off a moment after a holder was added is found again.
   * Idempotent.
   */
  async close(): Promise<void> {
    if (!this.#stop.signal.aborted) await this.#giveLast()
    this.#stop.abort()
    this.#timer?.cancel()
    this.#retry?.cancel()
    await Promise.all([this.#summaries.close(), this.#records.close()])
    await Promise.all(this.#giving)
  }

  async #giveLast(): Promise<void> {
    const given = async (): Promise<void> => {
      await this.#summaries.flush()
      await this.#records.flush()
      await Promise.all(this.#giving)
    }
    await endsInTime(given(), LAST_GIFTS_MS_MAX, this.#parts.clock)
  }

  /** Once an hour: nodes of the hash table forget, and a keeper may have lost what it was given. */
  #renew(): void {
    this.#said = new Uint8Array(0)
    this.#named = undefined
    this.changed()
    this.#timer = this.#parts.clock.after(RECOVERY_INTERVAL_MS, () => this.#renew())
  }

  async #summarize(): Promise<void> {
    const locator = this.#locator()
    if (locator === undefined)
      return this.#problem('this drive is older than recovery by words alone')
    try {
      const summarized = await this.#summarizer.summarize()
      if (this.#stop.signal.aborted || !this.#isNews(summarized)) return
      if (summarized.pairsLeftOut > 0)
        this.#problem(`${summarized.pairsLeftOut} log pairs have no room in the log summary`)
      this.#summary = this.#sealed(summarized, locator)
      this.#lookAtRecord(locator)
    } finally {
      locator.clear()
    }
    for (const link of this.#parts.links()) this.#giveAll(link)
  }

  /** The hash table is asked for little: when the record is another, and once an hour. */
  #lookAtRecord({ keyPair }: Locator): void {
    const keys = [keyPair.publicKey, ...this.#holders()]
    const named = keys.map(key => Buffer.from(key).toString('hex')).join()
    if (named === this.#named) return
    this.#named = named
    this.#records.changed()
  }

  #isNews({ content }: Summarized): boolean {
    const digest = logSummaryDigest(content)
    if (equalBytes(digest, this.#said)) return false
    this.#said = digest
    return true
  }

  #sealed({ content }: Summarized, locator: Locator): Summary {
    const { deviceKeys, random } = this.#parts
    const timeMs = this.#nowMs()
    this.#sequence = Math.max(this.#sequence + 1, timeMs)
    const bytes = sealLogSummary({
      content: { ...content, sequence: this.#sequence, timeMs },
      key: locator.summaryKey,
      signing: deviceKeys.signing,
      random
    })
    const give = (link: HolderLink) => link.putSummary(bytes, { signal: this.#stop.signal })
    return { give, timeMs, hash: blake2b(bytes) }
  }

  async #putRecord(): Promise<void> {
    this.#retry?.cancel()
    const locator = this.#locator()
    if (locator === undefined) return
    try {
      const { drive, records, random } = this.#parts
      const record = await refreshLocator(
        {
          ...{ locator, drive, records, random, signal: this.#stop.signal },
          holders: this.#holders(),
          summaryMs: this.#summary?.timeMs ?? 0,
          summaryHash: this.#summary?.hash ?? new Uint8Array(HASH_BYTES)
        },
        this.#nowMs()
      )
      this.#lastProblem = undefined
      if (record !== undefined) this.#spread(record)
    } finally {
      locator.clear()
    }
  }

  #spread(record: SignedRecord): void {
    const bytes = encodeSignedRecord(record)
    const give = (link: HolderLink) => link.putLocator(bytes, { signal: this.#stop.signal })
    const isNews = this.#record === undefined || !equalBytes(this.#record.bytes, bytes)
    if (isNews) this.#record = { bytes, give }
    for (const link of this.#parts.links()) this.#giveAll(link)
  }

  /** Gives a keeper the newest of each, one after the other, unless it has them. */
  #giveAll(link: HolderLink): void {
    const receiver = this.#receivers.get(link) ?? { had: new Set<Gift>(), isBusy: false }
    this.#receivers.set(link, receiver)
    if (receiver.isBusy || this.#stop.signal.aborted) return
    receiver.isBusy = true
    const giving = this.#giveNewest(link, receiver).finally(() => this.#giving.delete(giving))
    this.#giving.add(giving)
  }

  async #giveNewest(link: HolderLink, receiver: Receiver): Promise<void> {
    for (;;) {
      const newest = this.#gifts()
      const gift = newest.find(each => !receiver.had.has(each))
      for (const had of receiver.had) if (!newest.includes(had)) receiver.had.delete(had)
      if (gift === undefined || this.#stop.signal.aborted) {
        receiver.isBusy = false
        return
      }
      // One that does not take it is tried again with the next summary.
      receiver.had.add(gift)
      await gift.give(link).catch((cause: unknown) => this.#refused(cause))
    }
  }

  #gifts(): readonly Gift[] {
    return [...(this.#summary ? [this.#summary] : []), ...(this.#record ? [this.#record] : [])]
  }

  #refused(cause: unknown): void {
    const isGone = cause instanceof ReplicationError && cause.code === 'CLOSED'
    if (!isGone && !this.#stop.signal.aborted)
      this.#parts.report('a keeper did not take what recovery needs', cause)
  }

  #failed(cause: unknown): void {
    if (this.#stop.signal.aborted) return
    this.#problem('the locator record could not be put into the hash table', cause)
    this.#retry = this.#parts.clock.after(LOCATOR_RETRY_MS, () => this.#records.changed())
  }

  /** Once for each change. */
  #problem(message: string, cause?: unknown): void {
    if (this.#lastProblem === message) return
    this.#lastProblem = message
    this.#parts.report(message, cause)
  }

  #holders(): readonly Uint8Array[] {
    return this.#parts.holders.all().map(({ statement }) => statement.network)
  }

  #locator(): Locator | undefined {
    const { statements, identity } = this.#parts
    const newest = newestLocator(statements(), identity)
    if (newest === undefined) return undefined
    const locator = new Locator(newest.secret)
    wipe(newest.secret)
    return locator
  }

  #nowMs(): number {
    const { sec, nsec } = this.#parts.clock.now()
    return sec * 1_000 + Math.floor(nsec / 1_000_000)
  }
}
