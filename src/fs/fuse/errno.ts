/**
 * The one place that decides the number of a failure. The type makes it exhaustive: a code that
 * `node:os` does not know does not compile.
 *
 * @module
 */
import { constants } from 'node:os'
import { FsError, type FsErrorCode } from '../fs-error.ts'

/** Told of a failure that no one foresaw. */
export type ReportFault = (message: string, cause: unknown) => void

/** The errno of a code, positive, as this system numbers it. */
export function errnoOfCode(code: FsErrorCode): number {
  return constants.errno[code]
}

/**
 * The errno of whatever a file system call threw, positive.
 *
 * @param error - an {@link FsError} has its own number; everything else is a fault of ours, is
 *   reported and becomes EIO
 * @param operation - names the call in the report
 */
export function errnoOf(error: unknown, operation: string, report: ReportFault): number {
  if (error instanceof FsError) return errnoOfCode(error.code)
  report(`${operation}: answered with EIO`, error)
  return constants.errno.EIO
}
