/**
 * Answering challenges: what a keeper does to prove that it still has what it signed for.
 *
 * Only a member with the right to audit may ask, with a signed challenge that names this keeper.
 * A block that cannot be read is missing, and what is missing and was under receipt is so no
 * more: it is brought again when it is asked for.
 *
 * @module
 */
import { AuditHash, openChallenge, type Challenge } from '../crypto/challenge.ts'
import { blockSetsOf } from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import { logKey, type LogKey } from '../sync/log.ts'
import { memberId, type Members } from '../sync/members.ts'
import { ANSWER_BLOCKS_BYTES_MAX, type CustodyAnswer } from './custody-message.ts'
import { isUnreadable, type KeeperHolds } from './keeper-holds.ts'
import type { KeptLogs } from './kept-logs.ts'
import { ReplicationError } from './replication-error.ts'
import { SerialTurns } from './serial-turns.ts'

/** How many challenges of one person are answered at a time. */
export const AUDITS_MAX = 2

/** How far a challenge's deadline may be over by our clock, which may be wrong; milliseconds. */
export const AUDIT_LATE_MS_MAX = 24 * 60 * 60 * 1000

/** What answers challenges; all borrowed. */
export interface KeeperAuditsParts {
  /** The person's logs. */
  readonly logs: KeptLogs
  /** Gives up what cannot be read. */
  readonly holds: KeeperHolds
  /** Who may ask. */
  readonly members: Members
  /** The keeper's signing key, 32 bytes. */
  readonly keeper: Uint8Array
  /** Time. */
  readonly clock: Clock
}

/** An answer. */
export type AuditReply = CustodyAnswer<'challenge'>

/** See the module. */
export class KeeperAudits {
  readonly #parts: KeeperAuditsParts
  readonly #turns = new SerialTurns(AUDITS_MAX)
  #count = 0

  /** @param parts - borrowed */
  constructor(parts: KeeperAuditsParts) {
    this.#parts = parts
  }

  /**
   * Answers.
   *
   * @param bytes - the challenge, from anyone
   * @throws {ReplicationError} `REFUSED` when it is not for us or not a member's, `UNAVAILABLE`
   *   when it is over or its blocks are too large for an answer
   * @throws {CryptoError} when it is no challenge
   * @throws {SyncError} of the disk
   */
  async answer(bytes: Uint8Array): Promise<AuditReply> {
    const challenge = openChallenge(bytes)
    this.#check(challenge)
    return this.#turns.run(String(this.#count++), () => this.#answer(challenge))
  }

  #check({ signer, keeper, deadlineMs }: Challenge): void {
    const { members, clock } = this.#parts
    const member = members.bySigning(memberId(signer))
    const mayAsk = member?.isSuspended === false && member.rights.includes('audit')
    if (!mayAsk || Buffer.compare(keeper, this.#parts.keeper) !== 0)
      throw new ReplicationError('REFUSED', 'no challenge for this keeper')
    if (clock.now().sec * 1000 > deadlineMs + AUDIT_LATE_MS_MAX)
      throw new ReplicationError('UNAVAILABLE', 'the challenge is over')
  }

  async #answer(challenge: Challenge): Promise<AuditReply> {
    const { id, indexes, nonce, keeper } = challenge
    const log = logKey(Buffer.from(challenge.log).toString('hex'))
    const hash = new AuditHash({ nonce, keeper, log: challenge.log })
    const blocks: Uint8Array[] = []
    const missing: number[] = []
    let size = 0
    for (const index of indexes) {
      const bytes = await this.#read(log, index)
      if (bytes === undefined) missing.push(index)
      else if (challenge.mode === 'hash') hash.add({ index, bytes })
      else {
        size += bytes.length
        if (size > ANSWER_BLOCKS_BYTES_MAX)
          throw new ReplicationError('UNAVAILABLE', 'the blocks are too large for one answer')
        blocks.push(bytes)
      }
    }
    if (missing.length > 0) {
      await this.#giveUp(log, missing)
      return { id, answer: { kind: 'missing', indexes: missing } }
    }
    if (challenge.mode === 'blocks') return { id, answer: { kind: 'blocks', blocks } }
    return { id, answer: { kind: 'hash', hash: hash.end() } }
  }

  async #read(log: LogKey, index: number): Promise<Uint8Array | undefined> {
    const { logs } = this.#parts
    if (!logs.isKnown(log)) return undefined
    try {
      return await logs.read(log, index)
    } catch (error) {
      if (isUnreadable(error)) return undefined
      throw error
    }
  }

  async #giveUp(log: LogKey, indexes: readonly number[]): Promise<void> {
    if (!this.#parts.logs.isKnown(log)) return
    for (const blocks of blockSetsOf(log, indexes)) await this.#parts.holds.giveUpDamaged(blocks)
  }
}
