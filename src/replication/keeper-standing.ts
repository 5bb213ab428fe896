/**
 * What a keeper's copies are worth, from what was seen of it: whether it is connected, how long it
 * has been away, and how it answered audits.
 *
 * | state | when | its copies count |
 * |---|---|---|
 * | held | it is connected | yes |
 * | silent | it is away for less than the grace | yes |
 * | suspect | it is away for longer | no, until it is back |
 * | gone | it is away for 30 days | no; its receipts are forgotten |
 * | failed | its audits failed too often | no, until the user takes it in anew |
 * | leaving | the user does without it | no; what it has is released |
 *
 * Absence is only known while this computer looks: after a start, and after a time in which nobody
 * at all could be reached, everyone who is missing gets the grace once more.
 *
 * @module
 */

/** How long a keeper may be away while its copies count, unless set otherwise; milliseconds. */
export const GRACE_MS_DEFAULT = 60 * 60_000
/** A keeper that was away for so long is gone, in milliseconds. */
export const GONE_MS = 30 * 24 * 60 * 60_000
/** ... provided that this computer looked for it for so long, in milliseconds. */
export const GONE_LOOKED_MS = 3 * 24 * 60 * 60_000
/** Of so many failed audits on a keeper is failed, if they are also more than a few of all. */
export const FAILED_AUDITS_MAX = 5
/** The share of audited blocks from which on failures are more than a few. */
export const FAILED_SHARE_MIN = 0.05
/** In how long what was measured of audits loses half of its weight, in milliseconds. */
export const AUDITS_HALVED_MS = 30 * 24 * 60 * 60_000
/** In how long what was measured of presence loses half of its weight, in milliseconds. */
export const PRESENCE_HALVED_MS = 10 * 24 * 60 * 60_000

/** The presence that a keeper is taken to have before anything was measured. */
const PRESENCE_AT_FIRST = 0.5

/** What a keeper's copies are worth. */
export type KeeperState = 'held' | 'silent' | 'suspect' | 'gone' | 'failed' | 'leaving'

/** What is remembered of a keeper over a restart. */
export interface StandingRecord {
  /** When it was last connected, in milliseconds since 1970. */
  readonly seenMs: number
  /** How long it was looked for since, in milliseconds. */
  readonly lookedMs: number
  /** The share of time that it was connected, from 0 to 1; older times count less. */
  readonly presence: number
  /** How many blocks it was asked to prove; older ones count less. */
  readonly auditedBlocks: number
  /** How many audits it failed; older ones count less. */
  readonly failures: number
  /** When its newest audit succeeded, in milliseconds since 1970; 0 for never. */
  readonly provenMs: number
  /** When it failed for good, in milliseconds since 1970; 0 when it has not. */
  readonly failedMs: number
}

/** What is remembered of a keeper that was just taken in. */
export function newStanding(nowMs: number): StandingRecord {
  return {
    seenMs: nowMs,
    lookedMs: 0,
    presence: PRESENCE_AT_FIRST,
    auditedBlocks: 0,
    failures: 0,
    provenMs: 0,
    failedMs: 0
  }
}

/** Follows one keeper. Times are given with each call and never fall. */
export class KeeperStanding {
  #record: StandingRecord
  #isConnected = false
  /** Up to when `#record` speaks. */
  #measuredMs: number
  /** From when on its absence is known. */
  #absentMs: number

  /** @param record - as it was left; time in which nobody looked does not count */
  constructor(record: StandingRecord, nowMs: number) {
    this.#record = record
    this.#measuredMs = nowMs
    this.#absentMs = nowMs
  }

  /** Whether it is connected. */
  get isConnected(): boolean {
    return this.#isConnected
  }

  /** When it was last connected, as far as was measured. */
  get seenMs(): number {
    return this.#record.seenMs
  }

  /** What is to be remembered. */
  recordAt(nowMs: number): StandingRecord {
    this.#measure(nowMs)
    return this.#record
  }

  /** It is connected from now on. */
  connected(nowMs: number): void {
    this.#measure(nowMs)
    this.#isConnected = true
    this.#record = { ...this.#record, seenMs: nowMs, lookedMs: 0 }
  }

  /** It is away from now on. */
  disconnected(nowMs: number): void {
    this.#measure(nowMs)
    this.#isConnected = false
    this.#absentMs = nowMs
  }

  /** Others can be reached again after a time without anyone: it gets the grace once more. */
  lookAgain(nowMs: number): void {
    if (!this.#isConnected) this.#absentMs = nowMs
  }

  /** It proved that it has blocks. */
  passed(nowMs: number, blocks: number): void {
    this.#measure(nowMs)
    const auditedBlocks = this.#record.auditedBlocks + blocks
    this.#record = { ...this.#record, auditedBlocks, provenMs: nowMs }
  }

  /** It could not prove that it has blocks: a wrong, missing or late answer. */
  failed(nowMs: number, blocks: number): void {
    this.#measure(nowMs)
    const auditedBlocks = this.#record.auditedBlocks + blocks
    const failures = this.#record.failures + 1
    const areMany = failures / auditedBlocks >= FAILED_SHARE_MIN
    // Decay takes a little off each, so that the last of several is met with half a failure left.
    const isOver = failures > FAILED_AUDITS_MAX - 0.5 && areMany
    const failedMs = this.#record.failedMs || (isOver ? nowMs : 0)
    this.#record = { ...this.#record, auditedBlocks, failures, failedMs }
  }

  /** What its copies are worth. */
  stateAt(nowMs: number, graceMs: number): Exclude<KeeperState, 'leaving'> {
    if (this.#record.failedMs > 0) return 'failed'
    if (this.#isConnected) return 'held'
    if (nowMs >= this.#goneAt()) return 'gone'
    return nowMs < this.#absentMs + graceMs ? 'silent' : 'suspect'
  }

  /** When the state changes by time alone; undefined when it does not. */
  nextChangeMs(nowMs: number, graceMs: number): number | undefined {
    switch (this.stateAt(nowMs, graceMs)) {
      case 'silent':
        return Math.min(this.#absentMs + graceMs, this.#goneAt())
      case 'suspect':
        return this.#goneAt()
      case 'held':
      case 'failed':
      case 'gone':
        return undefined
    }
  }

  /**
   * How far it can be relied on, from 0 to 1: its presence, halved for each failure. The same for
   * small differences, so that computers that saw nearly the same place blocks alike.
   */
  reliabilityAt(nowMs: number): number {
    this.#measure(nowMs)
    const { presence, failures } = this.#record
    return Math.max(1, Math.round(presence * 8)) / 8 / 2 ** Math.round(failures)
  }

  #goneAt(): number {
    const { seenMs, lookedMs } = this.#record
    return Math.max(seenMs + GONE_MS, this.#measuredMs + GONE_LOOKED_MS - lookedMs)
  }

  #measure(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#measuredMs)
    this.#measuredMs = Math.max(nowMs, this.#measuredMs)
    if (passedMs === 0) return
    const { presence, auditedBlocks, failures, seenMs, lookedMs } = this.#record
    const now = this.#isConnected ? 1 : 0
    const older = 0.5 ** (passedMs / PRESENCE_HALVED_MS)
    const olderAudits = 0.5 ** (passedMs / AUDITS_HALVED_MS)
    this.#record = {
      ...this.#record,
      presence: now + (presence - now) * older,
      auditedBlocks: auditedBlocks * olderAudits,
      failures: failures * olderAudits,
      seenMs: this.#isConnected ? nowMs : seenMs,
      lookedMs: this.#isConnected ? 0 : lookedMs + passedMs
    }
  }
}
