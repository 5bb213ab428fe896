/**
 * Dropping blocks at a keeper, and promising others not to.
 *
 * Blocks in excess go with the locks of as many others as their release says, garbage goes by
 * itself once its release has taken effect. Whether those who signed the locks are keepers of the
 * person is known to the device that collected them, and to nobody here; without a release that
 * has stood for its time all of their locks drop nothing.
 *
 * @module
 */
import { openKeepLock, signKeepLock } from '../crypto/keep-lock.ts'
import { equalBytes, type KeyPair } from '../crypto/sodium.ts'
import { intersection, isEmptyBitmap, isSubset, type BlockSet } from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import { logKey, type LogKey } from '../sync/log.ts'
import { memberId } from '../sync/members.ts'
import type { KeepLocks, ShownLock } from './keep-lock.ts'
import type { KeeperHolds } from './keeper-holds.ts'
import { logBytes } from './keeper-records.ts'
import type { KeeperReleases } from './keeper-releases.ts'
import type { KeptLogs } from './kept-logs.ts'
import type { ReceiptBook } from './receipt-book.ts'
import { ReplicationError } from './replication-error.ts'
import { nowMs } from './wall-time.ts'

/** What drops work with; all borrowed. */
export interface KeeperDropsParts {
  /** The person's logs. */
  readonly logs: Pick<KeptLogs, 'operationLogs' | 'isKnown'>
  /** What is under receipt. */
  readonly book: ReceiptBook
  /** Takes blocks out of it. */
  readonly holds: KeeperHolds
  /** What may go. */
  readonly releases: KeeperReleases
  /** The rules. */
  readonly locks: KeepLocks
  /** The keeper's signing key pair. */
  readonly keyPair: KeyPair
  /** Time. */
  readonly clock: Clock
}

/** What locks are asked for. */
export interface LockRequest {
  /** Which blocks. */
  readonly blocks: BlockSet
  /** Who wants to drop them, by signing key; 32 bytes. */
  readonly dropper: Uint8Array
  /** The nonce of its attempt. */
  readonly attempt: Uint8Array
}

/** See the module. */
export class KeeperDrops {
  readonly #parts: KeeperDropsParts

  /** @param parts - borrowed */
  constructor(parts: KeeperDropsParts) {
    this.#parts = parts
  }

  /**
   * Begins an attempt to drop blocks.
   *
   * @returns its nonce
   * @throws {ReplicationError} `KEEP_LOCKED`, `UNAVAILABLE` when some are not kept
   */
  mark(blocks: BlockSet): Promise<Uint8Array> {
    return this.#parts.holds.inTurn(blocks, async () => {
      this.#checkKept(blocks)
      return Promise.resolve(this.#parts.locks.mark(blocks))
    })
  }

  /** Ends an attempt without dropping. */
  unmark(attempt: Uint8Array): void {
    this.#parts.locks.unmark(attempt)
  }

  /**
   * Promises to keep blocks while another drops them.
   *
   * @returns the signed lock
   * @throws {ReplicationError} `KEEP_LOCKED`, `UNAVAILABLE` when some are not kept
   */
  lock({ blocks, dropper, attempt }: LockRequest): Promise<Uint8Array> {
    const { holds, locks, book, keyPair, clock } = this.#parts
    return holds.inTurn(blocks, async () => {
      this.#checkKept(blocks)
      const expiresMs = locks.grant({ blocks, attempt, held: book.kept(blocks) })
      const { log, window, bitmap } = blocks
      const content = { dropper, attempt, log: logBytes(log), window, bitmap, expiresMs }
      return Promise.resolve(signKeepLock({ ...content, grantedMs: nowMs(clock) }, keyPair))
    })
  }

  /**
   * Drops the blocks of an attempt.
   *
   * @param statements - the locks of others
   * @returns the receipt for what is kept of the window from now on
   * @throws {ReplicationError} `KEEP_LOCKED` when the release, the attempt or the locks do not
   *   permit it
   * @throws {CryptoError} when a lock is none
   * @throws {SyncError} of the disk; the attempt then goes on
   */
  async drop(attempt: Uint8Array, statements: readonly Uint8Array[]): Promise<Uint8Array> {
    const { holds, locks, releases, book, keyPair } = this.#parts
    const shown = statements.map(bytes => this.#shown(bytes))
    const self = memberId(keyPair.publicKey)
    const place = locks.checkDrop({ attempt, locks: shown, floor: 1, self })
    return holds.inTurn(place, async () => {
      const { bitmap, floor } = releases.excess(place)
      const blocks = locks.checkDrop({ attempt, locks: shown, floor, self })
      if (!isSubset(blocks.bitmap, bitmap))
        throw new ReplicationError('KEEP_LOCKED', 'no release of these blocks has taken effect')
      const kept = intersection(blocks.bitmap, book.kept(blocks))
      const receipt = await holds.drop({ ...blocks, bitmap: kept })
      locks.unmark(attempt)
      return receipt
    })
  }

  /** Deletes the garbage whose release has taken effect. @throws {SyncError} */
  async dropGarbage(): Promise<void> {
    const { releases, holds, book } = this.#parts
    for (const { key, blocks } of [...releases.dueGarbage()]) {
      for (const one of blocks) {
        if (!this.#isContent(one.log)) continue
        await holds.inTurn(one, async () => {
          // Somebody may have asked for them since.
          if (!releases.isWaiting(key)) return
          const bitmap = intersection(one.bitmap, book.kept(one))
          if (!isEmptyBitmap(bitmap)) await holds.drop({ ...one, bitmap })
        })
      }
      if (releases.isWaiting(key)) await releases.done(key)
    }
  }

  #checkKept(blocks: BlockSet): void {
    const isKept = isSubset(blocks.bitmap, this.#parts.book.kept(blocks))
    if (!isKept || isEmptyBitmap(blocks.bitmap) || !this.#isContent(blocks.log))
      throw new ReplicationError('UNAVAILABLE', 'these blocks are not under receipt here')
  }

  /** Operation logs are kept whole. */
  #isContent(log: LogKey): boolean {
    return this.#parts.logs.isKnown(log) && !this.#parts.logs.operationLogs().includes(log)
  }

  #shown(bytes: Uint8Array): ShownLock {
    const { log, window, bitmap, attempt, dropper, signer } = openKeepLock(bytes)
    if (!equalBytes(dropper, this.#parts.keyPair.publicKey))
      throw new ReplicationError('KEEP_LOCKED', "a lock of another's attempt")
    const hex = (name: Uint8Array): string => Buffer.from(name).toString('hex')
    return { log: logKey(hex(log)), window, bitmap, locker: hex(signer), attempt: hex(attempt) }
  }
}
