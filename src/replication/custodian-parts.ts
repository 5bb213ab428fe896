/**
 * What a custodian works with: who keeps, what is here, what is wanted, and its settings.
 *
 * @module
 */
import type { Random } from '../crypto/random.ts'
import type { BlockSet } from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import type { LogBlock } from '../sync/content-needs.ts'
import type { LogKey } from '../sync/log.ts'
import type { CustodyStore } from './custody-store.ts'
import type { GrantedLock, HolderLink, KeeperId } from './holder-link.ts'
import { GRACE_MS_DEFAULT } from './keeper-standing.ts'
import { SHARE_MAX_DEFAULT } from './placement.ts'

/** A block as a keeper answered with it. */
export interface AnsweredBlock extends LogBlock {
  /** What it sent. */
  readonly bytes: Uint8Array
}

/** The blocks on this device. */
export interface OwnBlocks {
  /** Whether they are kept, so that they count as copies: the content policy is `all`. */
  readonly counts: boolean
  /** Which blocks of a window of a content log are stored here. */
  stored(log: LogKey, window: number): Uint8Array
  /** Reads a stored block, of an operation log too. @throws {SyncError} */
  read(log: LogKey, index: number): Promise<Uint8Array>
  /**
   * Brings a block of a content log here, so that it can be handed on.
   *
   * @param links - who has a verified copy; the first is to be asked first
   * @throws {SyncError | ReplicationError} when nobody delivered it
   */
  obtain(block: LogBlock, links: readonly HolderLink[]): Promise<void>
  /**
   * Whether bytes are what a block must be, by the hash that the drive's operations give it;
   * undefined when the hash is not known here, which proves nothing either way.
   */
  isGenuine(block: AnsweredBlock): Promise<boolean | undefined>
}

/** A computer that keeps blocks for the drive. */
export interface KeeperInfo {
  /** Who it is. */
  readonly id: KeeperId
  /** A holder, or another device of the person that keeps all content. */
  readonly kind: 'holder' | 'device'
  /** What the owner calls it. */
  readonly name: string
  /** Which machine it runs on, as the owner says; its own word counts when absent. */
  readonly machine?: string | undefined
  /** Where it is, as the owner says. */
  readonly site?: string | undefined
  /** Whose it is, as the owner says. */
  readonly person?: string | undefined
  /** The tag of its machine that it stated when it was added, hexadecimal. */
  readonly machineTag?: string | undefined
  /**
   * That the user does without it: its copies do not count. While they are made elsewhere it is
   * only `asked`; once it is `removed` what it keeps is released.
   */
  readonly leaving?: 'asked' | 'removed' | undefined
  /** When it was taken in, in milliseconds since 1970; anew when the user takes it in again. */
  readonly addedMs: number
}

/** This device, where it keeps a copy. */
export interface OwnDevice {
  /** Its signing key as 64 hexadecimal digits. */
  readonly id: KeeperId
  /** What the owner calls it. */
  readonly name: string
  /** Which machine it runs on, as the owner says. */
  readonly machine?: string | undefined
  /** The tag that keepers on this machine state, hexadecimal. */
  readonly machineTag?: string | undefined
  /** Where it is, as the owner says. */
  readonly site?: string | undefined
}

/** How much is audited. */
export interface AuditSettings {
  /** How many challenges each keeper gets in an hour. */
  readonly challengesPerHour: number
  /** How many blocks a challenge names at most. */
  readonly blocksPerChallenge: number
  /** How many bytes one keeper is asked to prove in an hour at most. */
  readonly bytesPerHour: number
  /** In how long every block of a keeper is asked for once, in milliseconds. */
  readonly sweepMs: number
}

/** What the user may set. Read anew each time. */
export interface CustodySettings {
  /** How long a keeper may be away while its copies count, in milliseconds. */
  readonly graceMs: number
  /** How many bytes a second are copied to repair; 0 for no limit. */
  readonly repairBytesPerSec: number
  /** Whether the limit holds for first copies too. */
  readonly areFirstCopiesLimited: boolean
  /** The share of the drive that one keeper gets at most, while others have room. */
  readonly shareMax: number
  /** How much is audited. */
  readonly audits: AuditSettings
  /** How often keepers are asked for receipts that others caused, in milliseconds. */
  readonly pollMs: number
  /**
   * Whether keepers are told which blocks nobody needs any more. False while this device may not
   * know all of the drive, as after a recovery.
   */
  readonly mayRelease: boolean
}

/** What holds unless set otherwise. */
export const CUSTODY_SETTINGS_DEFAULT: CustodySettings = {
  graceMs: GRACE_MS_DEFAULT,
  repairBytesPerSec: 0,
  areFirstCopiesLimited: false,
  shareMax: SHARE_MAX_DEFAULT,
  audits: {
    challengesPerHour: 64,
    blocksPerChallenge: 8,
    bytesPerHour: 64 * 1024 * 1024,
    sweepMs: 80 * 24 * 60 * 60_000
  },
  pollMs: 60_000,
  mayRelease: true
}

/** What the custodian has signed; made where the device's keys are. */
export interface CustodySigner {
  /** A release of blocks, with how many other copies must stay. */
  release(input: {
    readonly keeper: KeeperId
    readonly kind: 'garbage' | 'excess'
    readonly floor: number
    readonly blocks: readonly BlockSet[]
  }): Uint8Array
  /** The cancelling of a release. */
  cancel(release: Uint8Array): Uint8Array
  /**
   * This device's own lock on blocks that it keeps.
   *
   * @throws {ReplicationError} `KEEP_LOCKED`, `UNAVAILABLE`
   */
  lock(blocks: BlockSet & { readonly dropper: KeeperId; readonly attempt: Uint8Array }): GrantedLock
}

/** What a custodian works with; all borrowed. */
export interface CustodianParts {
  /** Time. */
  readonly clock: Clock
  /** Dice: which blocks are audited, and when. */
  readonly random: Random
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The person, 32 bytes. */
  readonly identity: Uint8Array
  /** This device. */
  readonly device: OwnDevice
  /** Whether a key is the person's or that of a device that belongs to them and may release. */
  readonly mayRelease: (signer: Uint8Array) => boolean
  /** Where it remembers; flushed, but not closed. */
  readonly store: CustodyStore
  /** What is here. */
  readonly own: OwnBlocks
  /** Signs for this device. */
  readonly signer: CustodySigner
  /** Who keeps; say `keepersChanged()` when it changes. */
  readonly keepers: () => readonly KeeperInfo[]
  /** The person's devices that are online, this one among them, by id. */
  readonly onlineDevices: () => readonly KeeperId[]
  /** All operation logs that are known, with how many entries are merged here. */
  readonly operationLogs: () => ReadonlyMap<LogKey, number>
  /**
   * How much of a content log the merged operations spoke of, in blocks, long enough before it was
   * begun to look for what is needed: what lies below and is not needed is garbage, what lies above
   * is not known. See `SpokenLengths`.
   */
  readonly contentLength: (log: LogKey) => number
  /**
   * Whether the device that writes a log still belongs to the person: it may have blocks of it
   * that nobody gave a receipt for, so that they are not lost.
   */
  readonly isAuthorAround: (log: LogKey) => boolean
  /** What the user set. */
  readonly settings: () => CustodySettings
  /** Told of a keeper that the user does without, once it has no content any more. */
  readonly onLeft?: (keeper: KeeperId) => void
  /** Told what went wrong, for the log. */
  readonly report: (message: string, cause?: unknown) => void
}
