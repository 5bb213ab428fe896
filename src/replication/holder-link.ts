/**
 * A keeper as the custodian of a drive sees it: a connected computer that keeps blocks it cannot
 * read, or another device of the person, that answers the custody protocol.
 *
 * Every call may be given up with a signal, and fails with a {@link ReplicationError} of one of
 * the codes of {@link KeeperRefusal} or `CLOSED` when the connection is gone, `NO_ANSWER` after its
 * deadline, `BAD_ANSWER` when what came is not genuine. What resolves was verified: signatures,
 * signer, that it answers what was asked.
 *
 * @module
 */
import type { Receipt } from '../crypto/receipt.ts'
import type { BlockSet } from '../sync/block-bitmap.ts'
import type { LogKey } from '../sync/log.ts'

/** A keeper's signing key as 64 lowercase hexadecimal digits. */
export type KeeperId = string

/** Why a keeper refuses. */
export type KeeperRefusal =
  /** It would be more than the person's quota, or its disk is full. */
  | 'FULL'
  /** It keeps more for this person than it accepts in return. */
  | 'IMBALANCE'
  /** It does not know the log, or the blocks did not come in time. */
  | 'UNAVAILABLE'
  /** It does not know the person, or the device is no member. */
  | 'REFUSED'
  /** A keep-lock stands against it. */
  | 'KEEP_LOCKED'

/** What a keeper says about its space for this person. */
export interface KeeperUsage {
  /** How much it keeps for the person at most, in bytes. */
  readonly quotaBytes: number
  /** How much it keeps, in bytes. */
  readonly usedBytes: number
  /** How long it has been running in all its life, in seconds. */
  readonly onlineSec: number
  /** Sequence of its newest receipt for this person. */
  readonly sequence: number
  /** How much it kept for how long, in MiB times seconds, since the person was admitted. */
  readonly mibSeconds: number
}

/** An audit. */
export interface AuditRequest {
  /** The content or operation log. */
  readonly log: LogKey
  /** Which blocks; ascending. */
  readonly indexes: readonly number[]
  /**
   * `hash`: a keyed hash over all of them, for whoever has them; `blocks`: themselves, checked by
   * whoever asks.
   */
  readonly mode: 'hash' | 'blocks'
}

/** How a keeper answered an audit. Nothing is proven until the asker compares it. */
export type AuditAnswer =
  | {
      readonly kind: 'hash'
      /** See `auditHash`. */
      readonly hash: Uint8Array
      /** What keyed it; drawn for this challenge. */
      readonly nonce: Uint8Array
    }
  | { readonly kind: 'blocks'; readonly blocks: readonly Uint8Array[] }
  | { readonly kind: 'missing'; readonly indexes: readonly number[] }

/** What is to be on a keeper's disk. */
export interface DurablePart {
  /** Operation logs and how long they must be. */
  readonly logs: ReadonlyMap<LogKey, number>
  /** Blocks. */
  readonly blocks: readonly BlockSet[]
  /** Those of them that it has not signed for, as far as is known: they are sent ahead. */
  readonly unsigned?: readonly BlockSet[]
}

/** How long a call may take. */
export interface LinkOptions {
  /** Gives up when aborted. */
  readonly signal?: AbortSignal
  /** Gives up after so long, in milliseconds; the link has a default for each call. */
  readonly deadlineMs?: number
}

/** A keep-lock, as its keeper signed it. */
export interface GrantedLock {
  /** See `src/crypto/keep-lock.ts`. */
  readonly statement: Uint8Array
}

/** A release that waits at a keeper. */
export interface HeldRelease {
  /** As it was signed; the signature was verified, but not who signed. */
  readonly statement: Uint8Array
  /** When it came there, by the keeper's clock, in milliseconds since 1970. */
  readonly receivedMs: number
}

/** A connected keeper. */
export interface HolderLink {
  /** Who it is. */
  readonly id: KeeperId
  /**
   * Asks it to keep blocks, besides those of the window that it keeps already. It fetches what it
   * lacks over this connection and signs when its disk is synced.
   *
   * @returns its receipt for all that it keeps of the window
   */
  hold(blocks: BlockSet, options?: LinkOptions): Promise<Receipt>
  /** All its receipts newer than a sequence, oldest first; 0 for all. */
  receipts(since: number, options?: LinkOptions): Promise<readonly Receipt[]>
  /** Asks for proof. */
  challenge(audit: AuditRequest, options?: LinkOptions): Promise<AuditAnswer>
  /** How much it keeps. */
  usage(options?: LinkOptions): Promise<KeeperUsage>
  /** Reads one sealed block; undefined when it does not have it. The hash was compared. */
  fetch(
    block: {
      readonly log: LogKey
      readonly index: number
      readonly hash: Uint8Array
    },
    options?: LinkOptions
  ): Promise<Uint8Array | undefined>
  /** Resolves when all of it is on its disk. */
  durable(part: DurablePart, options?: LinkOptions): Promise<void>
  /** Hands over a release or its cancellation; it takes effect as `src/crypto/release.ts` says. */
  release(statement: Uint8Array, options?: LinkOptions): Promise<void>
  /** What it was handed and has neither carried out nor seen cancelled, by whichever device. */
  releases(options?: LinkOptions): Promise<readonly HeldRelease[]>
  /**
   * Asks it to mark blocks as about to be dropped: from then on it grants no locks on them.
   *
   * @returns the nonce of the attempt
   */
  mark(blocks: BlockSet, options?: LinkOptions): Promise<Uint8Array>
  /** Ends an attempt without dropping. */
  unmark(attempt: Uint8Array, options?: LinkOptions): Promise<void>
  /** Asks it to keep blocks for as long as the other keeper's attempt may last. */
  lock(
    blocks: BlockSet & {
      readonly dropper: KeeperId
      readonly attempt: Uint8Array
    },
    options?: LinkOptions
  ): Promise<GrantedLock>
  /**
   * Tells it to drop the marked blocks, with the locks of enough others.
   *
   * @returns its receipt for what it keeps of the window from now on
   */
  drop(attempt: Uint8Array, locks: readonly GrantedLock[], options?: LinkOptions): Promise<Receipt>
  /** Gives it what recovery needs of this device; it keeps the newest of each device. */
  putSummary(summary: Uint8Array, options?: LinkOptions): Promise<void>
  /** What the person's devices gave it, in no order. Opaque to the keeper, and to be verified. */
  summaries(options?: LinkOptions): Promise<readonly Uint8Array[]>
  /** Gives it the person's signed record of the hash table, to be put again as time goes on. */
  putLocator(record: Uint8Array, options?: LinkOptions): Promise<void>
}
