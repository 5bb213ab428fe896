/**
 * What the `grove` command and the daemon can fail with, and the exit code that goes with it.
 *
 * @module
 */

/**
 * Codes are contract (they appear in `--json` output), messages are free:
 * - `USAGE`: the command line makes no sense.
 * - `NOT_INITIALISED`, `ALREADY_INITIALISED`: there is no drive in the home, or there is one.
 * - `HOME_IN_MOUNT`: the home lies inside a mounted drive.
 * - `NEWER_FORMAT`: the home was made by a newer grove; nothing was written.
 * - `DAMAGED`: a file of the home cannot be read.
 * - `LOCKED`: another process works on this home.
 * - `PASSPHRASE`: none was given, or it is wrong.
 * - `NOT_RUNNING`, `NO_ANSWER`: there is no daemon, or it does not answer.
 * - `BAD_DIRECTORY`: the folder cannot be a mount point.
 * - `BUSY`: the folder is in use.
 * - `DAMAGE_FOUND`: `grove verify` found damage.
 * - `NO_SPACE`: the disk is full.
 * - `MOUNT`: the system refused to mount.
 * - `INVITATION`: the code is wrong, was used or has expired, or nobody answered it.
 * - `NOT_FOUND`: there is no such file, version or conflict, or nothing under the words.
 * - `UNREACHABLE`: no device that has the content answers.
 * - `FAILED`: anything else; see the message.
 */
export type GroveErrorCode =
  | 'USAGE'
  | 'NOT_INITIALISED'
  | 'ALREADY_INITIALISED'
  | 'HOME_IN_MOUNT'
  | 'NEWER_FORMAT'
  | 'DAMAGED'
  | 'LOCKED'
  | 'PASSPHRASE'
  | 'NOT_RUNNING'
  | 'NO_ANSWER'
  | 'BAD_DIRECTORY'
  | 'BUSY'
  | 'DAMAGE_FOUND'
  | 'NO_SPACE'
  | 'MOUNT'
  | 'INVITATION'
  | 'NOT_FOUND'
  | 'UNREACHABLE'
  | 'FAILED'

/** An error to show to the person: its message is one line that says what to do. */
export class GroveError extends Error {
  override readonly name = 'GroveError'
  /** The stable code. */
  readonly code: GroveErrorCode

  /** @param code - the stable code; @param message - one line that says what to do */
  constructor(code: GroveErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }

  /** What the process exits with: 2 for a wrong command line, 1 for everything else. */
  get exitCode(): 1 | 2 {
    return this.code === 'USAGE' ? 2 : 1
  }
}
