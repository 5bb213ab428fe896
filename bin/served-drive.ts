/**
 * What the daemon needs of a drive. `open-drive.ts` composes the real one; the daemon's own
 * tests pass a small one.
 *
 * @module
 */
import type { Mount } from '../src/fs/fuse/mount.ts'
import type { Vfs } from '../src/fs/vfs.ts'
import type { Name } from '../src/sync/operation.ts'
import type {
  ConflictStatus,
  Damage,
  DeviceStatus,
  DriveStatus,
  InviteAnswer,
  Keep,
  SyncStatus,
  VersionStatus
} from './api.ts'
import type {
  ExplainAnswer,
  HolderAddRequest,
  HolderRemoveLine,
  HolderRemoveRequest,
  HolderStatus,
  OwnDriveAnswer,
  OwnHolderRequest,
  RedundancyAnswer,
  SurvivalStatus,
  TrimAnswer,
  TrimRequest
} from './custody-api.ts'
import type { NetworkOptions } from './network-environment.ts'
import type { JsonName } from './printable-name.ts'
import type { Progress } from './progress-bar.ts'
import type { Settings } from './settings.ts'

/** A file system over the drive, for one mount. */
export interface ServedVfs {
  /** The file system. */
  readonly vfs: Vfs
  /** How many files and directories are open. */
  readonly openFiles: number
  /** To be told when file operations were served: long work waits until files are at rest. */
  readonly onServed: () => void
  /** To be told who serves it. @param mount - borrowed until the file system is closed */
  readonly onMounted: (mount: Pick<Mount, 'isAsked'>) => void
  /** Commits what is written and lets go. Idempotent. */
  close(): Promise<void>
}

/** What {@link ServedDrive.verify} finds. */
export type VerifyEvent =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'damage'; readonly damage: Damage }

/** Where something is: the names from the drive's root to it. */
export type DrivePath = readonly Name[]

/** An open drive. */
export interface ServedDrive extends SharedDrive, KeptDrive {
  /** Says how things are. */
  status(): Promise<DriveStatus>
  /** Opens a file system over the drive. */
  openVfs(options: { readonly readOnly: boolean }): Promise<ServedVfs>
  /** Reads and authenticates every block and entry that is stored here. */
  verify(signal: AbortSignal): AsyncIterable<VerifyEvent>
  /** Takes up settings that were changed. */
  applySettings(settings: Settings): void
  /** Resolves when all that was written survives a loss of power. */
  sync(): Promise<void>
  /** Makes everything durable, leaves the mark of a clean end, lets go. Idempotent. */
  close(): Promise<void>
}

/** How a drive takes part in the network. */
export interface ConnectOptions {
  /** How to reach it. */
  readonly network: NetworkOptions
  /**
   * Told once that another device knows more of the logs of this one than it does itself: the
   * drive appends no more, and must be opened anew in a new log epoch.
   */
  readonly onOutrun: () => void
}

/** The part of a drive that other devices have to do with. */
export interface SharedDrive {
  /** Begins to look for the other devices, in the background. Idempotent. Never throws. */
  connect(options: ConnectOptions): void
  /** Makes an invitation that works once. @throws {GroveError} when there is no network */
  invite(options: { readonly minutes: number }): Promise<InviteAnswer>
  /** The devices of the drive, this one first. */
  devices(): Promise<readonly DeviceStatus[]>
  /** The conflict copies, in no particular order. */
  conflicts(): Iterable<ConflictStatus>
  /**
   * Ends a conflict.
   *
   * @param path - of the conflict copy, or of the file that it is of
   * @returns the files that are there now
   * @throws {GroveError} `NOT_FOUND` when there is no such file or it has no conflict
   */
  resolveConflict(path: DrivePath, keep: Keep): Promise<readonly JsonName[]>
  /** The versions of a file, oldest first. @throws {GroveError} `NOT_FOUND` */
  versions(path: DrivePath): Promise<readonly VersionStatus[]>
  /**
   * Reads a version of a file, in pieces, from its beginning.
   *
   * @throws {GroveError} `NOT_FOUND`; {SyncError} as reading a block does
   */
  cat(path: DrivePath, version: string, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** What is known of and not here. */
  syncStatus(): Promise<SyncStatus>
  /** The same again and again, until all of it is here that can come, or the signal is aborted. */
  catchUp(signal: AbortSignal): AsyncIterable<SyncStatus>
}

/**
 * The part of a drive that has to do with copies. Each call fails with {GroveError} `FAILED` when
 * the network is off.
 */
export interface KeptDrive {
  /** The computers that keep, or could keep, copies of the drive; this one first. */
  holders(): Promise<readonly HolderStatus[]>
  /**
   * Adds a holder that answers to a code.
   *
   * @throws {GroveError} or {ReplicationError} when nobody answers to it, or it refuses
   */
  addHolder(request: HolderAddRequest): Promise<HolderStatus>
  /**
   * Does without a holder once there are copies elsewhere. Ends early, and changes nothing, when
   * the signal is aborted.
   *
   * @throws {GroveError} `NOT_FOUND` when there is no such holder; `FAILED` when files would fall
   *   below their floor and nobody forces it
   */
  removeHolder(request: HolderRemoveRequest, signal: AbortSignal): AsyncIterable<HolderRemoveLine>
  /** Goes on with a holder that was removed. @throws {GroveError} `NOT_FOUND` */
  keepHolder(holder: string): Promise<HolderStatus>
  /**
   * Has holders forget copies that are more than wished, in a week, or takes that back.
   *
   * @throws {GroveError} `FAILED` while it cannot be known what is too much
   */
  trimHolders(request: TrimRequest): Promise<TrimAnswer>
  /**
   * Hears a holder of this person on this computer, and says what others keep for them.
   *
   * @throws {GroveError} `USAGE` when what it says is not signed by both
   */
  ownHolder(request: OwnHolderRequest): Promise<OwnDriveAnswer>
  /**
   * Says how a file or directory is kept, once its level is set if there is one to set.
   *
   * @param level - checked for its form
   * @throws {GroveError} `NOT_FOUND`
   */
  redundancy(path: DrivePath, level?: string): Promise<RedundancyAnswer>
  /** Says who keeps a file or directory, and why. @throws {GroveError} `NOT_FOUND` */
  explain(path: DrivePath): Promise<ExplainAnswer>
}

/** What answers for the copies of a drive while its network is on. */
export interface NetworkCustody extends KeptDrive {
  /** What survives the loss of what. */
  survival(): SurvivalStatus | Promise<SurvivalStatus>
}
