/**
 * What a mount driver is: it takes a {@link Vfs} and makes the kernel serve it as a folder.
 *
 * @module
 */
import type { Vfs } from '../vfs.ts'

/**
 * Why a folder could not be mounted or unmounted. The message is one line that says what to do.
 * - `NO_DEVICE`: /dev/fuse is missing or may not be opened.
 * - `NO_HELPER`: not root, and fusermount3 is missing.
 * - `NO_ADDON`: the driver's native part is not there.
 * - `NOT_A_DIRECTORY`: the mount point is missing or no directory.
 * - `BUSY`: the folder is in use (unmount) or already a mount point (mount).
 * - `FAILED`: the system refused for another reason; see the message.
 */
export type MountErrorCode =
  'NO_DEVICE' | 'NO_HELPER' | 'NO_ADDON' | 'NOT_A_DIRECTORY' | 'BUSY' | 'FAILED'

/** An operating error of mounting. */
export class MountError extends Error {
  override readonly name = 'MountError'
  /** The stable code. */
  readonly code: MountErrorCode

  /** @param code - the stable code; @param message - one line that says what to do */
  constructor(code: MountErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** What to mount and where. */
export interface MountOptions {
  /** The file system to serve. */
  readonly vfs: Vfs
  /** Absolute path of an existing directory. */
  readonly directory: string
  /** Ask the kernel to refuse writes. */
  readonly readOnly: boolean
  /** Let other users in. */
  readonly allowOther: boolean
  /** Told of faults that a user cannot see: a handler that threw, a reply the kernel refused. */
  readonly report: (message: string, cause: unknown) => void
  /** Told when file operations were served; the driver fuse-native tells nobody. */
  readonly onServed?: () => void
}

/** A mounted folder. */
export interface Mount {
  /** Where. */
  readonly directory: string
  /** Resolves when the kernel has let go of the mount, for whatever reason. */
  readonly ended: Promise<void>
  /** Whether a program waits for an answer; the driver fuse-native cannot tell. */
  readonly isAsked?: () => boolean
  /**
   * Unmounts and waits until requests under way are answered. Idempotent.
   *
   * @param options - `lazy` detaches at once even if files are open
   * @throws {MountError} `BUSY` when files are open and it is not lazy; the mount goes on
   */
  unmount(options: { readonly lazy: boolean }): Promise<void>
}

/** Mounts. Resolves when the folder answers. @throws {MountError} */
export type MountDriver = (options: MountOptions) => Promise<Mount>
