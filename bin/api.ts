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
 * | `POST /v1/stop` | | {@link StopAnswer}, once everything is safe; then the daemon ends |
 *
 * A request that fails is answered with a status of 400 or more and an {@link ApiError}.
 *
 * @module
 */
import type { GroveErrorCode } from './grove-error.ts'
import type { JsonName } from './printable-name.ts'
import type { Progress } from './progress-bar.ts'

/** The largest body of a request, in bytes. */
export const REQUEST_BYTES_MAX = 64 * 1024

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

/** The end of the daemon. */
export interface StopAnswer {
  /** The process that is about to end. */
  readonly pid: number
  /** What could not be done, if anything. */
  readonly problem?: string
}

/** A refusal. */
export interface ApiError {
  /** Why. */
  readonly error: { readonly code: GroveErrorCode; readonly message: string }
}
