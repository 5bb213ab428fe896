/**
 * What the daemon answers over its socket: JSON over HTTP/1.1, version 1.
 *
 * | request | body | answer |
 * |---|---|---|
 * | `GET /v1/status` | | {@link DaemonStatus} |
 * | `POST /v1/mount` | {@link MountRequest} | {@link MountedStatus} |
 * | `POST /v1/unmount` | {@link UnmountRequest} | {@link UnmountAnswer} |
 * | `POST /v1/verify` | | lines of {@link VerifyLine}, as they come |
 * | `POST /v1/setting` | {@link SettingRequest} | all settings |
 * | `POST /v1/invite` | {@link InviteRequest} | {@link InviteAnswer} |
 * | `GET /v1/devices` | | {@link DevicesAnswer} |
 * | `GET /v1/conflicts` | | {@link ConflictsAnswer} |
 * | `POST /v1/resolve` | {@link ResolveRequest} | {@link ResolveAnswer} |
 * | `POST /v1/versions` | {@link VersionsRequest} | {@link VersionsAnswer} |
 * | `POST /v1/cat` | {@link CatRequest} | the bytes; {@link ERROR_TRAILER} when they break off |
 * | `POST /v1/sync` | {@link SyncRequest} | lines of {@link SyncLine}, as they come |
 * | `POST /v1/stop` | | {@link StopAnswer}, once everything is safe; then the daemon ends |
 *
 * What concerns copies is in `custody-api.ts`. A request that fails is answered with a status of 400 or more and an {@link ApiError}.
 *
 * @module
 */
import type { ApiError } from './api-error.ts'
import type { SurvivalStatus } from './custody-api.ts'
import type { JsonName } from './printable-name.ts'
import type { Progress } from './progress-bar.ts'

/** The largest body of a request, in bytes. */
export const REQUEST_BYTES_MAX = 64 * 1024

/** The trailer that says why an answer of bytes broke off: an error's JSON, percent-encoded. */
export const ERROR_TRAILER = 'grove-error'

/** How many conflicts one answer lists at most; what lies beyond is only counted. */
export const CONFLICTS_LISTED_MAX = 5_000

/** How many versions of a file one answer lists at most: the newest. */
export const VERSIONS_LISTED_MAX = 5_000

/** How long an invitation may be valid at most, in minutes: a day. */
export const INVITATION_MINUTES_MAX = 24 * 60

/** Which mount driver to use: `auto` is linux where it works, else fuse-native. */
export type DriverChoice = 'auto' | 'linux' | 'fuse-native'

/** All {@link DriverChoice}s. */
export const DRIVER_CHOICES: readonly DriverChoice[] = ['auto', 'linux', 'fuse-native']

/** One log of the drive. */
export interface LogStatus {
  /** What it holds. */
  readonly role: 'operations' | 'content'
  /** The log's public name. */
  readonly key: string
  /** How many entries. */
  readonly length: number
  /** Whether this device appends to it; older epochs are only read. */
  readonly writable: boolean
}

/** A log that is not merged beyond an entry, since that entry breaks the rules. */
export interface QuarantineStatus {
  /** The log's public name. */
  readonly log: string
  /** The entry. */
  readonly index: number
  /** What is wrong with it. */
  readonly reason: string
}

/** How the drive and its other devices stand. */
export interface NetworkStatus {
  /** `off` before the network was opened, or when it cannot be. */
  readonly state: 'off' | 'on'
  /** How many other devices belong to the drive. */
  readonly devices: number
  /** How many of them are connected. */
  readonly online: number
  /** Bytes of content that are wanted here and have not arrived. */
  readonly missingBytes: number
  /** Entries of other devices that wait for others which they build on. */
  readonly waitingEntries: number
  /** Logs that are merged no further. */
  readonly quarantined: readonly QuarantineStatus[]
  /** Peers that were refused since the daemon started: strangers and those who broke the rules. */
  readonly refusedPeers: number
  /** What is wrong with the network, if something is. */
  readonly problem?: string
}

/** The state of the drive on this device. */
export interface DriveStatus {
  /** The drive's identifier, hexadecimal. */
  readonly drive: string
  /** This device. */
  readonly device: { readonly name: string; readonly key: string }
  /** Its logs. */
  readonly logs: readonly LogStatus[]
  /** Disk space that the home takes, in bytes. */
  readonly bytes: number
  /** Bytes written by programs that are not yet in a log. */
  readonly unflushedBytes: number
  /** What is wrong with the disk, if the last attempt to record something failed. */
  readonly problem?: string
  /** Entries that could not be read when the drive was opened; `grove verify` names files. */
  readonly damagedEntries: number
  /** The other devices. */
  readonly network: NetworkStatus
  /** What survives the loss of what; absent while the network is off. */
  readonly survival?: SurvivalStatus
}

/** What to mount where. */
export interface MountRequest {
  /** Absolute path. */
  readonly directory: string
  /** How. */
  readonly driver: DriverChoice
  /** Whether writes are refused. */
  readonly readOnly: boolean
  /** Whether other users may enter. */
  readonly allowOther: boolean
}

/** A folder that is mounted. */
export interface MountedStatus {
  /** Absolute path. */
  readonly directory: string
  /** The driver that serves it. */
  readonly driver: 'linux' | 'fuse-native'
  /** Whether writes are refused. */
  readonly readOnly: boolean
  /** Something the person should know, once. */
  readonly notice?: string
  /** Whether it was mounted before this request. */
  readonly already?: boolean
}

/** What to unmount. */
export interface UnmountRequest {
  /** Absolute path; absent for whatever is mounted. */
  readonly directory?: string
  /** Whether to detach a folder that is in use. */
  readonly lazy: boolean
}

/** What was unmounted. */
export interface UnmountAnswer {
  /** Absolute paths. */
  readonly directories: readonly string[]
}

/** The state of the daemon. */
export interface DaemonStatus extends DriveStatus {
  /** Always true: a daemon answered. */
  readonly running: true
  /** The daemon's process. */
  readonly pid: number
  /** The home it serves. */
  readonly home: string
  /** What is mounted. */
  readonly mounts: readonly MountedStatus[]
  /** Files and directories that programs have open on the drive. */
  readonly openFiles: number
}

/** One thing that is damaged. */
export interface Damage extends JsonName {
  /** What is wrong with it, in a few words. */
  readonly reason: string
}

/** A line of the answer to a verify request; the last one is `end` or `error`. */
export type VerifyLine =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'damage'; readonly damage: Damage }
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly error: ApiError['error'] }

/** A change of a setting. */
export interface SettingRequest {
  /** Its name. */
  readonly name: string
  /** Its new value. */
  readonly value: string
}

/** A request for an invitation. */
export interface InviteRequest {
  /** How long the code is to work, in minutes; 1 to {@link INVITATION_MINUTES_MAX}. */
  readonly minutes: number
}

/** An invitation. */
export interface InviteAnswer {
  /** For `grove join`; works once. */
  readonly code: string
  /** Until when, in milliseconds since 1970. */
  readonly expiresMs: number
}

/** How much of what one device wrote another has merged, in entries of operation logs. */
export interface MergedStatus {
  /** Merged. */
  readonly merged: number
  /** Written, as far as is known. */
  readonly known: number
}

/** A device of the drive. */
export interface DeviceStatus {
  /** What it is called. */
  readonly name: string
  /** Its public key, hexadecimal. */
  readonly key: string
  /** Whether it is the one that answers. */
  readonly isThis: boolean
  /** Whether it is connected. Of this device: whether its network is open. */
  readonly online: boolean
  /** When it was connected last, in milliseconds since 1970; absent when that is not known. */
  readonly lastSeenMs?: number
  /** How much of what it wrote is merged here. */
  readonly here: MergedStatus
  /** How much of what this device wrote is merged there, as far as it has said. */
  readonly there: MergedStatus
  /** Whether it was suspended: nothing it writes now counts. */
  readonly isSuspended: boolean
}

/** The devices of the drive, this one first. */
export interface DevicesAnswer {
  /** All of them. */
  readonly devices: readonly DeviceStatus[]
}

/** A version of a file that has no name of its own. */
export interface ConflictStatus extends JsonName {
  /** The name that both wanted. */
  readonly original: JsonName
  /** The device that wrote the other version. */
  readonly device: string
}

/** The conflict copies of the drive. */
export interface ConflictsAnswer {
  /** The folder that the drive is mounted at, if it is: paths begin there. */
  readonly directory?: string
  /** How many there are. */
  readonly count: number
  /** The first {@link CONFLICTS_LISTED_MAX} of them; paths begin with a slash at the drive's root. */
  readonly conflicts: readonly ConflictStatus[]
}

/** Which version stays under the plain name: that of this device, the other one, or each has a name. */
export type Keep = 'mine' | 'theirs' | 'both'

/** All {@link Keep}s. */
export const KEEP_CHOICES: readonly Keep[] = ['mine', 'theirs', 'both']

/** How to end a conflict. */
export interface ResolveRequest {
  /** Absolute path, in the mounted folder, of the conflict copy or of the file it is of. */
  readonly path: string
  /** What to keep. */
  readonly keep: Keep
}

/** What became of a conflict. */
export interface ResolveAnswer {
  /** The files that are there now, from the drive's root. */
  readonly kept: readonly JsonName[]
}

/** Whose versions. */
export interface VersionsRequest {
  /** Absolute path of a file in the mounted folder. */
  readonly path: string
}

/** One version of a file. */
export interface VersionStatus {
  /** What `grove cat PATH@VERSION` calls it. */
  readonly version: string
  /** When it was written, by the clock of its device, in milliseconds since 1970. */
  readonly timeMs: number
  /** Bytes. */
  readonly size: number
  /** Who wrote it. */
  readonly device: string
}

/** The versions of a file. */
export interface VersionsAnswer {
  /** How many there are. */
  readonly count: number
  /** The newest {@link VERSIONS_LISTED_MAX}, oldest first; the last one is the current one. */
  readonly versions: readonly VersionStatus[]
}

/** Which bytes. */
export interface CatRequest extends VersionsRequest {
  /** A version, as {@link VersionStatus.version} names it. */
  readonly version: string
}

/** Whether to wait. */
export interface SyncRequest {
  /** Answer until all that is known of is here, but for what is in quarantine; otherwise once. */
  readonly wait: boolean
}

/** What is known of and not here. */
export interface SyncStatus {
  /** Entries of operation logs, but for those in quarantine. */
  readonly missingEntries: number
  /** How many of them no device has that is online. */
  readonly unreachableEntries: number
  /** How many of them are here and wait for others that are not, or cannot be read. */
  readonly waitingEntries: number
  /** Others, of logs that are not taken any further: waiting does not bring them. */
  readonly quarantinedEntries: number
  /** Bytes of content. */
  readonly missingBytes: number
  /** How many other devices are connected. */
  readonly online: number
  /** How many other devices there are. */
  readonly devices: number
  /** Why nothing is merged or saved, if so. */
  readonly problem?: string
}

/** A line of the answer to a sync request; the last one is `end` or `error`. */
export type SyncLine =
  | { readonly kind: 'progress'; readonly status: SyncStatus }
  | { readonly kind: 'end'; readonly status: SyncStatus }
  | { readonly kind: 'error'; readonly error: ApiError['error'] }

/** The end of the daemon. */
export interface StopAnswer {
  /** The process that is about to end. */
  readonly pid: number
  /** What could not be done, if anything. */
  readonly problem?: string
}
