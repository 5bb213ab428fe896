/**
 * Learns what keepers have receipts for: all of them when one connects, and from time to time
 * those that other devices caused, or that shrank.
 *
 * @module
 */
import { setMaxListeners } from 'node:events'
import type { Timer } from '../sync/clock.ts'
import { memberId } from '../sync/members.ts'
import type { CustodianParts } from './custodian-parts.ts'
import type { CustodyBook } from './custody-book.ts'
import type { HolderLink } from './holder-link.ts'
import { KEEPERS_MAX } from './keeper-roster.ts'
import type { RosterEntry } from './keeper-roster.ts'
import { ReplicationError } from './replication-error.ts'

/** How long after a refusal a keeper is asked again what it has, in milliseconds. */
export const AFTER_REFUSAL_MS = 1000

/** What a reader works with; all borrowed. */
export interface ReceiptReaderParts extends Pick<CustodianParts, 'clock' | 'settings' | 'report'> {
  /** What is known. */
  readonly book: CustodyBook
  /** Told when a keeper can be asked to keep something, or has other room than before. */
  readonly onReady: (entry: RosterEntry) => void
}

/** See the module. */
export class ReceiptReader {
  readonly #parts: ReceiptReaderParts
  readonly #timers = new Map<HolderLink, Timer>()
  readonly #running = new Map<HolderLink, Promise<void>>()
  readonly #abort = new AbortController()

  /** @param parts - borrowed */
  constructor(parts: ReceiptReaderParts) {
    this.#parts = parts
    setMaxListeners(KEEPERS_MAX, this.#abort.signal)
  }

  /** Asks a keeper that is connected what it has, now or soon, and from then on. */
  follow(link: HolderLink, delayMs = 0): void {
    if (this.#abort.signal.aborted) return
    this.#timers.get(link)?.cancel()
    const timer = this.#parts.clock.after(delayMs, () => {
      this.#timers.delete(link)
      this.#run(link)
    })
    this.#timers.set(link, timer)
  }

  /** Asks a keeper no more. */
  leave(link: HolderLink): void {
    this.#timers.get(link)?.cancel()
    this.#timers.delete(link)
  }

  /** Stops and waits for what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#abort.abort()
    for (const link of [...this.#timers.keys()]) this.leave(link)
    await Promise.all(this.#running.values())
  }

  #run(link: HolderLink): void {
    if (this.#running.has(link)) {
      this.follow(link, AFTER_REFUSAL_MS)
      return
    }
    const run = this.#read(link).finally(() => this.#running.delete(link))
    this.#running.set(link, run)
  }

  async #read(link: HolderLink): Promise<void> {
    const { book, settings, report, onReady } = this.#parts
    const entry = book.roster.get(link.id)
    if (entry?.link !== link) return
    try {
      await this.#learn(entry, link)
      if (book.roster.get(link.id)?.link !== link) return
      entry.isReady = true
      onReady(entry)
      this.follow(link, settings().pollMs)
    } catch (error) {
      const code = error instanceof ReplicationError ? error.code : 'IO'
      if (this.#abort.signal.aborted || code === 'CLOSED') return
      book.roster.pause(entry, error)
      if (entry.pauses === 0) report(`${entry.info.name} does not say what it keeps`, error)
      if (book.roster.get(link.id)?.link === link) {
        const { pollMs } = settings()
        this.follow(
          link,
          Math.max(AFTER_REFUSAL_MS, Math.min(pollMs, AFTER_REFUSAL_MS * 2 ** entry.pauses))
        )
      }
    }
  }

  async #learn(entry: RosterEntry, link: HolderLink): Promise<void> {
    const { book } = this.#parts
    const options = { signal: this.#abort.signal }
    const usage = await link.usage(options)
    entry.usage = usage
    // A keeper that is behind its own receipts lost its records: what it says now is all it has.
    const isAnew = usage.sequence < entry.synced || entry.synced === 0
    if (!isAnew && usage.sequence === entry.synced) return
    const receipts = await link.receipts(isAnew ? 0 : entry.synced, options)
    const kept = new Set(receipts.map(({ log, window }) => `${memberId(log)}/${window}`))
    if (isAnew) {
      entry.synced = 0
      book.forgetOthers(link.id, ({ log, window }) => kept.has(`${log}/${window}`))
    }
    let newest = entry.synced
    for (const receipt of receipts) {
      if (!book.takeReceipt(entry, receipt, { isAnew })) continue
      newest = Math.max(newest, receipt.sequence)
    }
    entry.synced = Math.max(newest, entry.synced)
  }
}
