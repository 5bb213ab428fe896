/**
 * Turns whatever was thrown into one line that says what happened and what to do.
 *
 * @module
 */
import { CryptoError } from '../src/crypto/crypto-error.ts'
import { FsError } from '../src/fs/fs-error.ts'
import { MountError } from '../src/fs/fuse/mount.ts'
import { ReplicationError } from '../src/replication/replication-error.ts'
import { SyncError } from '../src/sync/sync-error.ts'
import { GroveError } from './grove-error.ts'

/** An error that may be shown: a {@link GroveError} as it is, any other one translated. */
export function explainError(error: unknown): GroveError {
  if (error instanceof GroveError) return error
  if (error instanceof MountError) return explainMount(error)
  if (error instanceof CryptoError) return explainCrypto(error)
  if (error instanceof SyncError) return explainSync(error)
  if (error instanceof ReplicationError) return explainReplication(error)
  if (error instanceof FsError) return explainFs(error)
  return explainOther(error)
}

function explainMount(error: MountError): GroveError {
  switch (error.code) {
    case 'NOT_A_DIRECTORY':
      return new GroveError('BAD_DIRECTORY', error.message, { cause: error })
    case 'BUSY':
      return new GroveError('BUSY', error.message, { cause: error })
    case 'NO_DEVICE':
    case 'NO_HELPER':
    case 'NO_ADDON':
    case 'FAILED':
      return new GroveError('MOUNT', error.message, { cause: error })
  }
}

function explainCrypto(error: CryptoError): GroveError {
  const options = { cause: error }
  switch (error.code) {
    case 'NEWER_FORMAT':
      return new GroveError('NEWER_FORMAT', MADE_BY_NEWER, options)
    case 'WRONG_PASSPHRASE':
      return new GroveError('PASSPHRASE', 'the passphrase is wrong; nothing was changed', options)
    case 'BAD_WORDS':
      return new GroveError(
        'FAILED',
        'these are not the 24 words of a drive; check their spelling and order',
        options
      )
    case 'FORGED':
    case 'TRUNCATED':
    case 'MALFORMED':
    case 'WRONG_KEY':
    case 'UNKNOWN_KEY':
      return new GroveError(
        'DAMAGED',
        `a key or sealed record is damaged: ${error.message}`,
        options
      )
  }
}

function explainSync(error: SyncError): GroveError {
  const options = { cause: error }
  switch (error.code) {
    case 'NEWER_FORMAT':
      return new GroveError('NEWER_FORMAT', MADE_BY_NEWER, options)
    case 'NO_SPACE':
      return new GroveError('NO_SPACE', NO_SPACE, options)
    case 'MISSING':
    case 'DAMAGED':
    case 'MALFORMED':
    case 'DIVERGED':
      return new GroveError(
        'DAMAGED',
        `the drive's records are damaged (${error.message}); run \`grove verify\` to see what is affected`,
        options
      )
    case 'UNREACHABLE':
    case 'TIMED_OUT':
      return new GroveError('UNREACHABLE', UNREACHABLE, options)
    case 'INTERRUPTED':
      return new GroveError('FAILED', 'interrupted', options)
    case 'CLOSED':
    case 'IO':
      return new GroveError('FAILED', `the disk failed: ${error.message}`, options)
  }
}

function explainReplication(error: ReplicationError): GroveError {
  const options = { cause: error }
  switch (error.code) {
    case 'LOCKED':
      return new GroveError(
        'LOCKED',
        'another process has the logs of this home open; end it first',
        options
      )
    case 'NO_SPACE':
      return new GroveError('NO_SPACE', NO_SPACE, options)
    case 'DAMAGED':
      return new GroveError(
        'DAMAGED',
        'the logs of this home are damaged and were left as they are; restore the home from a backup',
        options
      )
    case 'BAD_CODE':
    case 'EXPIRED':
    case 'USED':
    case 'NO_ANSWER':
    case 'REFUSED':
    case 'BAD_ANSWER':
      return new GroveError('INVITATION', error.message, options)
    case 'NOT_FOUND':
      return new GroveError('NOT_FOUND', error.message, options)
    case 'NEWER_FORMAT':
      return new GroveError('NEWER_FORMAT', error.message, options)
    case 'INTERRUPTED':
      return new GroveError('FAILED', 'interrupted', options)
    case 'FULL':
    case 'IMBALANCE':
    case 'UNAVAILABLE':
    case 'KEEP_LOCKED':
      return new GroveError('FAILED', KEEPER_WORDS[error.code](error.message), options)
    case 'MOVED':
    case 'CLOSED':
    case 'IO':
      return new GroveError('FAILED', `the logs cannot be opened: ${error.message}`, options)
  }
}

/** What to do when a computer that keeps copies does not do what it was asked. */
const KEEPER_WORDS: Readonly<
  Record<'FULL' | 'IMBALANCE' | 'UNAVAILABLE' | 'KEEP_LOCKED', (why: string) => string>
> = {
  FULL: why => `the holder has no room: ${why}; make room there, or add another: grove holders add`,
  IMBALANCE: why =>
    `the holder keeps too much for you: ${why}; keep something for its person too: grove host`,
  UNAVAILABLE: why => `not possible now: ${why}; try again in a moment`,
  KEEP_LOCKED: why => `copies are needed where they are: ${why}; try again later`
}

/**
 * Why a holder could not be added: as {@link explainError}, but whoever does not answer or
 * refuses is known.
 */
export function explainAddition(error: unknown): GroveError {
  if (!(error instanceof ReplicationError)) return explainError(error)
  const options = { cause: error }
  switch (error.code) {
    case 'NO_ANSWER':
    case 'CLOSED':
      return new GroveError('INVITATION', NOBODY_ANSWERS, options)
    case 'REFUSED':
    case 'USED':
      return new GroveError('INVITATION', CODE_REFUSED, options)
    case 'BAD_ANSWER':
      return new GroveError('INVITATION', NO_HOLDER, options)
    default:
      return explainError(error)
  }
}

/** What a command asked of the file system itself. */
function explainFs(error: FsError): GroveError {
  const options = { cause: error }
  if (error.cause instanceof SyncError) return explainSync(error.cause)
  switch (error.code) {
    case 'ENOENT':
      return new GroveError('NOT_FOUND', 'there is no such file or version any more', options)
    case 'EHOSTUNREACH':
    case 'ETIMEDOUT':
      return new GroveError('UNREACHABLE', UNREACHABLE, options)
    case 'EINTR':
      return new GroveError('FAILED', 'interrupted', options)
    case 'ENOSPC':
      return new GroveError('NO_SPACE', NO_SPACE, options)
    default:
      return new GroveError('FAILED', `the drive refused: ${error.code}`, options)
  }
}

function explainOther(error: unknown): GroveError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const options = { cause: error }
  if (code === 'ENOSPC' || code === 'EDQUOT') return new GroveError('NO_SPACE', NO_SPACE, options)
  const message = error instanceof Error ? error.message : String(error)
  return new GroveError('FAILED', `unexpected: ${firstLine(message)}`, options)
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}

const MADE_BY_NEWER = 'this drive was made by a newer grove; update grove. Nothing was written'
const NO_SPACE = 'the disk that holds the home is full; make room and try again'
const UNREACHABLE = 'no device that has this content answers now'
const NOBODY_ANSWERS =
  'nobody answers to this code; see that `grove host` runs there and both are connected, then try again'
const CODE_REFUSED =
  'the holder does not take this code: it was used or withdrawn; have `grove host` show a new one'
const NO_HOLDER =
  'what answers to this code is no holder that this grove understands; update grove on both computers'
