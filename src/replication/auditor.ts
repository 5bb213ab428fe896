/**
 * Has keepers prove that they have what they gave receipts for: continually, a few blocks at a
 * time, within a budget of challenges and bytes.
 *
 * Blocks that are here are proven by a keyed hash over them, others by the block itself. What a
 * keeper cannot prove stops counting at once; who fails is asked more soon, and who fails several
 * times is not relied on for anything any more.
 *
 * @module
 */
import { setMaxListeners } from 'node:events'
import { CHALLENGE_BLOCKS_MAX, CHALLENGE_SENT_BLOCKS_MAX, auditHash } from '../crypto/challenge.ts'
import { equalBytes } from '../crypto/sodium.ts'
import { blockSetsOf, hasBit, intersection, isEmptyBitmap, windowOf } from '../sync/block-bitmap.ts'
import type { BlockSet } from '../sync/block-bitmap.ts'
import type { Timer } from '../sync/clock.ts'
import { drawBlocks, drawInteger, RANDOM_SHARE, sweepBlocks, sweepDue } from './audit-selection.ts'
import type { SelectedBlocks } from './audit-selection.ts'
import type { CustodianParts } from './custodian-parts.ts'
import type { CustodyBook } from './custody-book.ts'
import { rowBlocks } from './custody-ledger.ts'
import type { AuditAnswer, AuditRequest, HolderLink } from './holder-link.ts'
import { KEEPERS_MAX } from './keeper-roster.ts'
import type { RosterEntry } from './keeper-roster.ts'
import { ReplicationError } from './replication-error.ts'
import { nowMs } from './wall-time.ts'

/** How soon a keeper that failed is asked again, in milliseconds. */
export const FOLLOW_UP_MS = 2000
/** How often it is asked so soon after each failure. */
export const FOLLOW_UPS = 8
/** How many bytes of blocks travel in one answer, about. */
export const SENT_BYTES_MAX = 256 * 1024

const HOUR_MS = 3_600_000
/** Codes that say nothing of the keeper: we went away, or it did. */
const OF_NOBODY: ReadonlySet<string> = new Set(['CLOSED', 'INTERRUPTED'])

/** What an auditor works with; all borrowed. */
export interface AuditorParts extends Pick<
  CustodianParts,
  'clock' | 'random' | 'own' | 'settings' | 'report'
> {
  /** What is known. */
  readonly book: CustodyBook
  /** Told when a keeper was found to have failed for good. */
  readonly onFailed: (entry: RosterEntry) => void
}

/** A keeper that is being audited. */
interface Audited {
  timer: Timer | undefined
  running: Promise<void> | undefined
  followUps: number
  hourMs: number
  bytes: number
}

/** See the module. */
export class Auditor {
  readonly #parts: AuditorParts
  readonly #audited = new Map<HolderLink, Audited>()
  readonly #abort = new AbortController()

  /** @param parts - borrowed */
  constructor(parts: AuditorParts) {
    this.#parts = parts
    setMaxListeners(KEEPERS_MAX, this.#abort.signal)
  }

  /** Audits a keeper from now on. */
  follow(link: HolderLink): void {
    if (this.#abort.signal.aborted || this.#audited.has(link)) return
    const audited = { timer: undefined, running: undefined, followUps: 0, hourMs: 0, bytes: 0 }
    this.#audited.set(link, audited)
    this.#schedule(link, audited)
  }

  /** Audits a keeper no more. */
  leave(link: HolderLink): void {
    this.#audited.get(link)?.timer?.cancel()
    this.#audited.delete(link)
  }

  /**
   * A keeper cannot have blocks that it gave a receipt for: they stop counting, and it failed.
   *
   * @param asked - how many blocks it was asked to prove
   */
  failed(entry: RosterEntry, wrong: readonly BlockSet[], asked: number): void {
    const { book, clock, report, onFailed } = this.#parts
    const keeper = entry.info.id
    const before = book.roster.stateOf(keeper)
    entry.standing.failed(nowMs(clock), asked)
    for (const { log, window, bitmap } of wrong) book.doubt({ keeper, log, window }, bitmap)
    book.roster.remember(entry)
    report(`${entry.info.name} could not prove that it has what it keeps`)
    if (before !== 'failed' && book.roster.stateOf(keeper) === 'failed') onFailed(entry)
    const audited = entry.link && this.#audited.get(entry.link)
    if (entry.link === undefined || audited === undefined) return
    audited.followUps = FOLLOW_UPS
    if (audited.running === undefined) this.#schedule(entry.link, audited)
  }

  /** Stops and waits for what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#abort.abort()
    const running = [...this.#audited.values()].map(audited => audited.running)
    for (const link of [...this.#audited.keys()]) this.leave(link)
    await Promise.all(running)
  }

  #schedule(link: HolderLink, audited: Audited): void {
    const { settings, random, clock } = this.#parts
    const { challengesPerHour } = settings().audits
    audited.timer?.cancel()
    if (challengesPerHour <= 0) return
    // Half of it by chance, so that nobody knows when.
    const meanMs = HOUR_MS / challengesPerHour
    const pauseMs = meanMs * (0.5 + drawInteger(random, 1000) / 1000)
    const isFollowUp = audited.followUps > 0
    if (isFollowUp) audited.followUps--
    audited.timer = clock.after(isFollowUp ? Math.min(FOLLOW_UP_MS, pauseMs) : pauseMs, () => {
      audited.timer = undefined
      audited.running = this.#audit(link, audited)
        .catch((error: unknown) => this.#parts.report('an audit failed', error))
        .finally(() => {
          audited.running = undefined
          if (this.#audited.get(link) === audited) this.#schedule(link, audited)
        })
    })
  }

  async #audit(link: HolderLink, audited: Audited): Promise<void> {
    const { book } = this.#parts
    const entry = book.roster.get(link.id)
    if (entry?.link !== link || !entry.isReady || book.roster.stateOf(link.id) !== 'held') return
    const blocks = this.#select(entry)
    if (blocks === undefined || !this.#takeBudget(audited, entry, blocks)) return
    const request = this.#requestFor(entry, blocks)
    const wrong = await this.#ask(link, request)
    if (wrong === undefined || entry.link !== link || this.#abort.signal.aborted) return
    if (wrong.length === 0) {
      this.#passed(entry, request)
      return
    }
    const doubtful = blockSetsOf(request.log, wrong).filter(set => this.#isKept(entry, set))
    if (doubtful.length > 0) this.failed(entry, doubtful, request.indexes.length)
  }

  /** @returns the blocks that were not proven; undefined when that says nothing of the keeper */
  async #ask(link: HolderLink, request: AuditRequest): Promise<readonly number[] | undefined> {
    const expected = request.mode === 'hash' ? await this.#readOwn(request) : []
    if (expected === undefined) return undefined
    try {
      const answer = await link.challenge(request, { signal: this.#abort.signal })
      return await this.#wrongIn(answer, { link, request, expected })
    } catch (error) {
      if (!(error instanceof ReplicationError)) throw error
      return OF_NOBODY.has(error.code) ? undefined : request.indexes
    }
  }

  /** What was released or given up meanwhile need not be proven. */
  #isKept(entry: RosterEntry, { log, window, bitmap }: BlockSet): boolean {
    const valid = this.#parts.book.validAt({ keeper: entry.info.id, log, window })
    return valid !== undefined && !isEmptyBitmap(intersection(valid, bitmap))
  }

  /** What a keeper is to prove next. */
  #select(entry: RosterEntry): SelectedBlocks | undefined {
    const { book, settings, random, clock } = this.#parts
    const { blocksPerChallenge, sweepMs } = settings().audits
    const countMax = Math.max(1, Math.min(CHALLENGE_BLOCKS_MAX, blocksPerChallenge))
    const kept = [...book.ledger.rowsOf(entry.info.id)]
      .map(row => this.#needed(rowBlocks(row)))
      .filter(({ bitmap }) => !isEmptyBitmap(bitmap))
    const now = nowMs(clock)
    if (entry.sweep.startedMs === 0) entry.sweep = { startedMs: now, asked: 0, next: '' }
    const { blocks } = book.totalOf(entry.info.id)
    const isBehind = sweepDue(entry.sweep, { blocks, nowMs: now, sweepMs }) >= entry.sweep.asked + 1
    if (!isBehind || drawInteger(random, RANDOM_SHARE) === 0)
      return drawBlocks(random, kept, countMax)
    const { blocks: next, next: place } = sweepBlocks(kept, entry.sweep, countMax)
    entry.sweep =
      next === undefined
        ? { startedMs: now, asked: 0, next: '' }
        : { ...entry.sweep, asked: entry.sweep.asked + next.indexes.length, next: place }
    return next ?? drawBlocks(random, kept, countMax)
  }

  /** What nobody needs is not worth a proof. */
  #needed(blocks: BlockSet): BlockSet {
    const { needs } = this.#parts.book
    if (needs.isOperations(blocks.log)) return blocks
    const bitmap = new Uint8Array(blocks.bitmap.length)
    for (const wanted of needs.contentAt(blocks))
      for (const [at, byte] of intersection(wanted.bitmap, blocks.bitmap).entries())
        bitmap[at] = (bitmap[at] ?? 0) | byte
    return { ...blocks, bitmap }
  }

  #takeBudget(audited: Audited, entry: RosterEntry, { indexes }: SelectedBlocks): boolean {
    const now = nowMs(this.#parts.clock)
    if (now - audited.hourMs >= HOUR_MS) {
      audited.hourMs = now
      audited.bytes = 0
    }
    const bytes = this.#blockBytes(entry) * indexes.length
    const { bytesPerHour } = this.#parts.settings().audits
    // A block larger than the budget is asked for all the same, once in an hour.
    if (audited.bytes > 0 && audited.bytes + bytes > bytesPerHour) return false
    audited.bytes += bytes
    return true
  }

  #blockBytes(entry: RosterEntry): number {
    const { blocks, bytes } = this.#parts.book.totalOf(entry.info.id)
    return blocks === 0 ? 0 : bytes / blocks
  }

  /** A hash over those that are here, or those that are not, themselves. */
  #requestFor(entry: RosterEntry, { log, indexes }: SelectedBlocks): AuditRequest {
    const { own, book, random } = this.#parts
    if (book.needs.isOperations(log)) return { log, indexes, mode: 'hash' }
    const here = indexes.filter(index => hasBit(own.stored(log, windowOf(index)), index))
    const isHash = drawInteger(random, indexes.length) < here.length
    if (isHash) return { log, indexes: here, mode: 'hash' }
    const elsewhere = indexes.filter(index => !here.includes(index))
    const fitting = Math.floor(SENT_BYTES_MAX / Math.max(1, this.#blockBytes(entry)))
    const count = Math.max(1, Math.min(CHALLENGE_SENT_BLOCKS_MAX, fitting))
    return { log, indexes: elsewhere.slice(0, count), mode: 'blocks' }
  }

  /** @returns undefined when one of them cannot be read here: nothing is known then */
  async #readOwn(request: AuditRequest): Promise<readonly Uint8Array[] | undefined> {
    const { own, report } = this.#parts
    try {
      return await Promise.all(request.indexes.map(index => own.read(request.log, index)))
    } catch (error) {
      report('own blocks could not be read to compare them', error)
      return undefined
    }
  }

  /** Compares an answer. @returns the blocks that it does not prove; undefined: nobody can tell */
  async #wrongIn(
    answer: AuditAnswer,
    input: {
      readonly link: HolderLink
      readonly request: AuditRequest
      readonly expected: readonly Uint8Array[]
    }
  ): Promise<readonly number[] | undefined> {
    const { log, indexes, mode } = input.request
    if (answer.kind === 'missing') {
      const missing = indexes.filter(index => answer.indexes.includes(index))
      return missing.length > 0 ? missing : indexes
    }
    if (answer.kind !== mode) return indexes
    if (answer.kind === 'hash') {
      const blocks = indexes.map((index, at) => ({ index, bytes: input.expected[at] ?? NOTHING }))
      const keeper = bytesOf(input.link.id)
      const hash = auditHash({ nonce: answer.nonce, keeper, log: bytesOf(log), blocks })
      return equalBytes(hash, answer.hash) ? [] : indexes
    }
    const wrong: number[] = []
    let isTold = true
    for (const [at, index] of indexes.entries()) {
      const bytes = answer.blocks[at]
      const isRight =
        bytes === undefined ? false : await this.#parts.own.isGenuine({ log, index, bytes })
      if (isRight === false) wrong.push(index)
      isTold &&= isRight !== undefined
    }
    return wrong.length > 0 || isTold ? wrong : undefined
  }

  #passed(entry: RosterEntry, { log, indexes }: AuditRequest): void {
    const { book, clock } = this.#parts
    entry.standing.passed(nowMs(clock), indexes.length)
    for (const { window } of blockSetsOf(log, indexes))
      book.prove({ keeper: entry.info.id, log, window })
  }
}

const NOTHING = new Uint8Array(0)

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
