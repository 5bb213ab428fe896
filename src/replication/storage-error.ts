/**
 * What the errors of hypercore and RocksDB mean to the model. The one place that knows.
 *
 * @module
 */
import { SyncError, type SyncErrorCode } from '../sync/sync-error.ts'

/** How deep a chain of causes is followed. */
const CAUSES_MAX = 5

/**
 * Names an error of the store.
 *
 * @param error - what hypercore, RocksDB or `node:fs` threw; a {@link SyncError} is kept
 * @param what - what was being done, for people: no names, no keys
 * @param eio - what `EIO` means: when reading, that the disk or a checksum refuses these very
 *   bytes (RocksDB gives both that code), which is damage
 */
export function toSyncError(error: unknown, what: string, eio: 'DAMAGED' | 'IO' = 'IO'): SyncError {
  if (error instanceof SyncError) return error
  return new SyncError(codeOf(error, eio), `${what} failed`, { cause: error })
}

function codeOf(error: unknown, eio: 'DAMAGED' | 'IO'): SyncErrorCode {
  for (const code of causeCodes(error)) {
    if (code === 'EIO') return eio
    if (code === 'ENOSPC' || code === 'EDQUOT') return 'NO_SPACE'
    if (code === 'SESSION_CLOSED') return 'CLOSED'
    if (code === 'INVALID_OPERATION') return 'DAMAGED'
  }
  return 'IO'
}

/** The codes of an error, of what it wraps and of what that wraps. */
export function causeCodes(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > CAUSES_MAX) return []
  const own = 'code' in error && typeof error.code === 'string' ? [error.code] : []
  return [...own, ...causeCodes(error.cause, depth + 1)]
}
