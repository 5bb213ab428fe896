/**
 * What a keeper and a person agree that was kept for how long: balances that both sign.
 *
 * The keeper proposes what it has counted, a device accepts it, and the newest that both signed
 * is what counts in dispute. A proposal that nobody accepts is worth nothing, and is forgotten.
 *
 * @module
 */
import {
  isDoublySigned,
  openBalance,
  openBalanceAccepted,
  signBalance,
  type Balance
} from '../crypto/balance.ts'
import type { KeyPair } from '../crypto/sodium.ts'
import { NO_PREVIOUS } from '../crypto/statement.ts'
import type { Clock } from '../sync/clock.ts'
import { memberId, type Members } from '../sync/members.ts'
import type { BalanceRow, KeeperRecords } from './keeper-records.ts'
import { ReplicationError } from './replication-error.ts'
import { nowMs } from './wall-time.ts'

/** How many proposals of one person are remembered. */
export const PROPOSALS_MAX = 16

/** What balances are made of; all borrowed. */
export interface KeeperBalancesParts {
  /** Where they are kept. */
  readonly records: KeeperRecords
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** Whose devices accept. */
  readonly members: Members
  /** Signs; the keeper's. */
  readonly keyPair: KeyPair
  /** Time. */
  readonly clock: Clock
  /** What was counted so far, in MiB times seconds. */
  readonly mibSeconds: () => number
}

/** See the module. */
export class KeeperBalances {
  readonly #parts: KeeperBalancesParts
  /** By hash. */
  readonly #proposals = new Map<string, Uint8Array>()

  /** @param parts - borrowed */
  constructor(parts: KeeperBalancesParts) {
    this.#parts = parts
  }

  /** The newest balance that both signed. */
  get settled(): BalanceRow | undefined {
    return this.#parts.records.balances.get(this.#parts.identity)
  }

  /** Signs what was counted until now, as the one after the newest that both signed. */
  propose(): Uint8Array {
    const { identity, keyPair, clock, mibSeconds } = this.#parts
    const last = this.#last()
    const content = {
      sequence: (last?.sequence ?? 0) + 1,
      previous: last?.hash ?? NO_PREVIOUS,
      identity,
      mibSeconds: mibSeconds(),
      timeMs: nowMs(clock)
    }
    const bytes = signBalance(content, keyPair)
    const [oldest] = this.#proposals.keys()
    if (this.#proposals.size >= PROPOSALS_MAX && oldest !== undefined)
      this.#proposals.delete(oldest)
    this.#proposals.set(memberId(openBalance(bytes).hash), bytes)
    return bytes
  }

  /**
   * Takes a device's word for a proposal.
   *
   * @throws {ReplicationError} `REFUSED` when it is no member's, or for no proposal that follows
   *   the newest balance that both signed
   * @throws {CryptoError} when it is no acceptance
   * @throws {SyncError} of the disk
   */
  async accept(accepted: Uint8Array): Promise<void> {
    const { records, identity, members } = this.#parts
    const word = openBalanceAccepted(accepted)
    const proposal = this.#proposals.get(memberId(word.balance))
    const isMember = members.bySigning(memberId(word.signer))?.isSuspended === false
    if (proposal === undefined || !isMember) throw refused()
    const balance = openBalance(proposal)
    if (!isDoublySigned(balance, word) || balance.sequence !== (this.#last()?.sequence ?? 0) + 1)
      throw refused()
    await records.commit([records.balances.put({ balance: proposal, accepted }, identity)])
    this.#proposals.clear()
  }

  #last(): Balance | undefined {
    const { settled } = this
    return settled && openBalance(settled.balance)
  }
}

function refused(): ReplicationError {
  return new ReplicationError('REFUSED', 'no word for a balance that was proposed')
}
