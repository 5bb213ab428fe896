/**
 * What a file system call can fail with. The codes are those of errno(3); their numbers are
 * decided in one place, beside the FUSE adapters.
 *
 * @module
 */

/** The closed set of codes a {@link Vfs} throws. */
export type FsErrorCode =
  | 'E2BIG'
  | 'EBADF'
  | 'EBUSY'
  | 'EEXIST'
  | 'EFBIG'
  | 'EHOSTUNREACH'
  | 'EILSEQ'
  | 'EINTR'
  | 'EINVAL'
  | 'EIO'
  | 'EISDIR'
  | 'ELOOP'
  | 'EMFILE'
  | 'EMLINK'
  | 'ENAMETOOLONG'
  | 'ENODATA'
  | 'ENOENT'
  | 'ENOSPC'
  | 'ENOSYS'
  | 'ENOTDIR'
  | 'ENOTEMPTY'
  | 'ENXIO'
  | 'EOPNOTSUPP'
  | 'EPERM'
  | 'ERANGE'
  | 'EROFS'
  | 'ESTALE'
  | 'ETIMEDOUT'
  | 'EXDEV'

/** An operating error of a file system call. Carries no names: it may be logged. */
export class FsError extends Error {
  override readonly name = 'FsError'
  /** The errno name. */
  readonly code: FsErrorCode

  /** @param code - the errno name; @param operation - the call that failed */
  constructor(code: FsErrorCode, operation: string, options?: { readonly cause?: unknown }) {
    super(`${code}: ${operation}`, options)
    this.code = code
  }
}

const absences = new Map<string, FsError>()

/**
 * The error of a name that is not there, one object for each operation: every file that is made
 * was looked for first, and capturing a stack took longer than looking.
 */
export function absence(operation: string): FsError {
  let error = absences.get(operation)
  if (error === undefined) absences.set(operation, (error = new FsError('ENOENT', operation)))
  return error
}
