/**
 * One person at a keeper: everything that is kept for them, behind one object.
 *
 * @module
 */
import { hashBlock } from '../crypto/block-hash.ts'
import type { Random } from '../crypto/random.ts'
import { equalBytes, type KeyPair } from '../crypto/sodium.ts'
import {
  emptyBitmap,
  indexesOf,
  isEmptyBitmap,
  isSubset,
  setBit,
  type BlockSet
} from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import type { Members } from '../sync/members.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { CustodyAnswer, CustodyRequest } from './custody-message.ts'
import { KeepLocks } from './keep-lock.ts'
import { KeeperBalances } from './keeper-balances.ts'
import { acceptsMore, type ImbalanceBound } from './keeper-imbalance.ts'
import { KeeperAudits } from './keeper-audits.ts'
import { KeeperDrops } from './keeper-drops.ts'
import { BRING_IDLE_MS, isUnreadable, KeeperHolds } from './keeper-holds.ts'
import type { KeeperRecords, WindowPlace } from './keeper-records.ts'
import { KeeperReleases } from './keeper-releases.ts'
import { KeeperSpace } from './keeper-space.ts'
import { KeeperSummaries } from './keeper-summaries.ts'
import type { KeptLogs } from './kept-logs.ts'
import { ReceiptBook } from './receipt-book.ts'
import { ReplicationError } from './replication-error.ts'

/** How long a device may wait until something is on this disk, in milliseconds. */
export const DURABLE_MS_MAX = 30_000

const BYTES_PER_MIB = 1024 * 1024

/** What a keeper is, to all persons. */
export interface KeeperSelf {
  /** Signs; the keeper's name is its public half. */
  readonly keyPair: KeyPair
  /** Which machine it runs on; `MACHINE_TAG_BYTES`. */
  readonly machine: Uint8Array
  /** Time. */
  readonly clock: Clock
  /** Dice. */
  readonly random: Random
  /** How long the keeper has been online in all, in seconds. */
  readonly onlineSec: () => number
  /** What its owner accepts of those who give less than they get; anything when absent. */
  readonly imbalance?: ImbalanceBound
  /** How much more is kept for everybody together, in bytes; without a bound when absent. */
  readonly freeForAll?: () => number
}

/** Whom something is kept for. */
export interface KeeperPersonParts {
  /** The keeper; borrowed. */
  readonly self: KeeperSelf
  /** The keeper's records; borrowed. */
  readonly records: KeeperRecords
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The person's devices; borrowed. */
  readonly members: Members
  /** The person's logs; borrowed. */
  readonly logs: KeptLogs
  /** How much is kept at most, in bytes. */
  readonly quotaBytes: number
}

/** See the module. */
export class KeeperPerson {
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The person's devices. */
  readonly members: Members
  /** What is counted, and the quota. */
  readonly space: KeeperSpace
  /** What is under receipt. */
  readonly book: ReceiptBook
  /** What brings blocks. */
  readonly holds: KeeperHolds
  /** What answers challenges. */
  readonly audits: KeeperAudits
  /** What drops blocks and grants locks. */
  readonly drops: KeeperDrops
  /** What may be dropped. */
  readonly releases: KeeperReleases
  /** What recovery needs. */
  readonly summaries: KeeperSummaries
  /** What both agree on. */
  readonly balances: KeeperBalances
  readonly #parts: KeeperPersonParts
  #contactSec: number
  #mibSeconds: number
  /** Of work that is less than a MiB times a second, in bytes times seconds. */
  #restByteSeconds = 0

  /** @throws {SyncError} `DAMAGED` */
  constructor(parts: KeeperPersonParts) {
    const { self, records, identity, drive, members, logs, quotaBytes } = parts
    this.#parts = parts
    this.identity = identity
    this.drive = drive
    this.members = members
    this.book = new ReceiptBook({ ...self, records, logs, identity, drive })
    const { freeForAll } = self
    const bound = freeForAll === undefined ? {} : { freeForAll }
    this.space = new KeeperSpace({ records, logs, book: this.book, identity, ...bound }, quotaBytes)
    const { book, space } = this
    this.holds = new KeeperHolds({
      ...{ records, logs, book, space, identity },
      acceptsMore: () => acceptsMore(self.imbalance, identity, this.#mibSeconds)
    })
    const keeper = self.keyPair.publicKey
    const { clock } = self
    this.releases = new KeeperReleases({ records, identity, drive, members, keeper, clock })
    this.audits = new KeeperAudits({ logs, holds: this.holds, members, keeper, clock })
    const { holds, releases } = this
    const locks = new KeepLocks(self)
    this.drops = new KeeperDrops({ ...self, logs, book, holds, releases, locks })
    this.summaries = new KeeperSummaries({ records, identity, space })
    const mibSeconds = (): number => this.#mibSeconds
    this.balances = new KeeperBalances({ ...self, records, identity, members, mibSeconds })
    const activity = records.activity.get(identity)
    this.#contactSec = activity?.contactSec ?? self.onlineSec()
    this.#mibSeconds = activity?.mibSeconds ?? 0
  }

  /** How long the keeper had been online in all when a device was last here, in seconds. */
  get contactSec(): number {
    return this.#contactSec
  }

  /** How much is and was kept. */
  get usage(): CustodyAnswer<'usage'> {
    const { quotaBytes, usedBytes } = this.space
    const onlineSec = this.#parts.self.onlineSec()
    const [sequence, mibSeconds] = [this.book.sequence, this.#mibSeconds]
    return { quotaBytes, usedBytes, onlineSec, sequence, mibSeconds }
  }

  /** Says that a device is here. */
  touch(): void {
    this.#contactSec = this.#parts.self.onlineSec()
  }

  /** Counts what is kept for as long as the keeper is online. */
  passTime(seconds: number): void {
    this.#restByteSeconds += this.space.usedBytes * seconds
    const whole = Math.floor(this.#restByteSeconds / BYTES_PER_MIB)
    this.#mibSeconds += whole
    this.#restByteSeconds -= whole * BYTES_PER_MIB
  }

  /** The change that records when the person was here and what was kept. */
  activityRow(): ReturnType<KeeperRecords['activity']['put']> {
    const row = { contactSec: this.#contactSec, mibSeconds: this.#mibSeconds }
    return this.#parts.records.activity.put(row, this.identity)
  }

  /** Learns of logs. @throws {SyncError} */
  learn(announcements: readonly Uint8Array[]): Promise<void> {
    return this.#parts.logs.learn(announcements)
  }

  /** Reads one block, if it is here and is the one that is meant. @throws {SyncError} */
  async fetch({ log, index, hash }: CustodyRequest<'fetch'>): Promise<Uint8Array | undefined> {
    const { logs } = this.#parts
    if (!logs.isKnown(log)) return undefined
    try {
      const block = await logs.read(log, index)
      return equalBytes(hashBlock(block), hash) ? block : undefined
    } catch (error) {
      if (isUnreadable(error)) return undefined
      throw error
    }
  }

  /**
   * Keeps blocks; see {@link KeeperHolds.hold}. Nothing of them is garbage from then on.
   *
   * @returns a fresh receipt for all that is kept of the window
   * @throws {ReplicationError} `FULL`, `IMBALANCE`, `UNAVAILABLE`; what came until then is kept
   * @throws {SyncError} of the disk
   */
  async hold(blocks: BlockSet, signal: AbortSignal): Promise<Uint8Array> {
    await this.releases.takeBackGarbage(blocks)
    return this.holds.hold(blocks, signal)
  }

  /**
   * Resolves when operation logs are here up to a length and blocks are under receipt, all of it
   * on the disk.
   *
   * @throws {ReplicationError} as a hold
   * @throws {SyncError} `TIMED_OUT`, `INTERRUPTED` and of the disk
   */
  async durable(
    { logs: lengths, blocks }: CustodyRequest<'durable'>,
    signal: AbortSignal
  ): Promise<void> {
    const { logs } = this.#parts
    for (const log of lengths.keys()) this.#checkKnown(log)
    const options = { signal, idleMs: BRING_IDLE_MS }
    const arriving = [...lengths].map(([log, length]) => logs.arrived(log, length, options))
    // What is held is synced before it is signed for.
    await Promise.all([
      Promise.all(arriving).then(() => logs.sync()),
      ...blocks.map(one => this.#holdMissing(one, signal))
    ])
  }

  /** Does what is due: deletes garbage, forgets what is too old to matter. @throws {SyncError} */
  async carryOut(): Promise<void> {
    await this.drops.dropGarbage()
    await this.releases.forgetOld()
    this.space.forgetAdmitted()
  }

  /**
   * Reads everything of a window that is under receipt, and gives up what cannot be read.
   *
   * @param pace - told how much was read; resolves when to go on, with false to stop
   * @throws {SyncError} of the disk
   */
  async scrub(
    { log, window }: WindowPlace,
    pace: (bytes: number) => Promise<boolean>
  ): Promise<void> {
    const lost = emptyBitmap()
    let failure: Error | undefined
    for (const index of indexesOf({ window, bitmap: this.book.kept({ log, window }) })) {
      let bytes: number | undefined
      try {
        bytes = await this.#readable(log, index)
        if (bytes === undefined) setBit(lost, index)
      } catch (error) {
        if (!(error instanceof SyncError) || error.code === 'CLOSED') throw error
        // The disk may fail at one place: the rest is looked at all the same.
        failure = error
      }
      if (!(await pace(bytes ?? 0))) break
    }
    if (!isEmptyBitmap(lost)) await this.holds.giveUpDamaged({ log, window, bitmap: lost })
    if (failure !== undefined) throw failure
  }

  /** Keeps nothing any more: nobody has come for very long. @throws {SyncError} */
  async forgetAll(): Promise<void> {
    for (const place of [...this.book.windows()])
      await this.holds.inTurn(place, async () => {
        const bitmap = this.book.kept(place)
        if (!isEmptyBitmap(bitmap)) await this.holds.drop({ ...place, bitmap })
      })
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.holds.close()
    await this.book.close()
  }

  async #readable(log: LogKey, index: number): Promise<number | undefined> {
    try {
      return (await this.#parts.logs.read(log, index)).length
    } catch (error) {
      if (isUnreadable(error)) return undefined
      throw error
    }
  }

  async #holdMissing(blocks: BlockSet, signal: AbortSignal): Promise<void> {
    await this.releases.takeBackGarbage(blocks)
    const kept = this.book.kept(blocks)
    if (!isSubset(blocks.bitmap, kept)) await this.holds.hold(blocks, signal)
  }

  #checkKnown(log: LogKey): void {
    if (!this.#parts.logs.isKnown(log))
      throw new ReplicationError('UNAVAILABLE', 'the log is not known here')
  }
}
