/**
 * What the daemon needs of a drive. `open-drive.ts` composes the real one; the daemon's own
 * tests pass a small one.
 *
 * @module
 */
import type { Vfs } from '../src/fs/vfs.ts'
import type { Damage, DriveStatus } from './api.ts'
import type { Progress } from './progress-bar.ts'
import type { Settings } from './settings.ts'

/** A file system over the drive, for one mount. */
export interface ServedVfs {
  /** The file system. */
  readonly vfs: Vfs
  /** How many files and directories are open. */
  readonly openFiles: number
  /** Commits what is written and lets go. Idempotent. */
  close(): Promise<void>
}

/** What {@link ServedDrive.verify} finds. */
export type VerifyEvent =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'damage'; readonly damage: Damage }

/** An open drive. */
export interface ServedDrive {
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
