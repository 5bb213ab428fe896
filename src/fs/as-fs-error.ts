/**
 * Turns the errors of the rooms below into those of a file system call.
 *
 * @module
 */
import { SyncError, type SyncErrorCode } from '../sync/sync-error.ts'
import { FsError, type FsErrorCode } from './fs-error.ts'

const CODES: Readonly<Record<SyncErrorCode, FsErrorCode>> = {
  MISSING: 'EIO',
  DAMAGED: 'EIO',
  NO_SPACE: 'ENOSPC',
  NEWER_FORMAT: 'EIO',
  MALFORMED: 'EIO',
  DIVERGED: 'EIO',
  UNREACHABLE: 'EHOSTUNREACH',
  TIMED_OUT: 'ETIMEDOUT',
  INTERRUPTED: 'EINTR',
  CLOSED: 'EIO',
  IO: 'EIO'
}

/** @returns the error itself if it is an {@link FsError}, else one with the fitting code */
export function asFsError(error: unknown, operation: string): FsError {
  if (error instanceof FsError) return error
  const code = error instanceof SyncError ? CODES[error.code] : 'EIO'
  return new FsError(code, operation, { cause: error })
}
