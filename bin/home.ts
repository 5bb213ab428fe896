/**
 * The home: the one folder that holds everything a device keeps of its drive.
 *
 * ```
 * format         "grove home 1": which grove may open it
 * key            the key file (bytes of src/crypto), sealed if the person chose a passphrase
 * settings.json  what `grove config` sets
 * lock           locked by the one process that works here; says which and where it listens
 * daemon.sock    the daemon's API, unless the path is too long for a socket
 * daemon.log     what the daemon has to say; no names, no keys
 * epochs.json    which log epochs there are
 * known-logs.json  the other devices and their logs (bin/known-logs.ts)
 * recovery.json  which holders a recovery still waits for (bin/recovery-state.ts)
 * last-run.json  whether the last run ended cleanly (src/replication/clean-mark.ts)
 * logs/          the signed logs
 * index-opening  there while the index is being opened
 * index/         the index, rebuilt from the logs whenever it is lost
 * ```
 *
 * The folder is 0700 and its files are 0600. A home is initialised when it has a key file,
 * which is made last.
 *
 * @module
 */
import { chmod, mkdir, readFile, readdir, rm, unlink } from 'node:fs/promises'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { FILE_MODE, createFile, replaceFile } from './atomic-file.ts'
import { GroveError } from './grove-error.ts'
import { resolveOutsideMounts } from './resolve-outside-mounts.ts'

/** The version of the home's layout that this grove writes and the newest it opens. */
export const HOME_VERSION = 1

/** The largest key file that is read, in bytes; at least what src/crypto writes. */
export const HOME_KEY_BYTES_MAX = 16 * 1024 * 1024

/** Permission bits of every folder in a home. */
export const DIRECTORY_MODE = 0o700

/** What of the environment decides where things are. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The folder of one device; see the module comment for what is in it. */
export class Home {
  /** Absolute path, without symbolic links. */
  readonly directory: string

  private constructor(directory: string) {
    this.directory = directory
  }

  /**
   * Finds the home without making anything: `GROVE_HOME`, else `grove` in the XDG data folder.
   *
   * @throws {GroveError} `HOME_IN_MOUNT` when it lies inside a mounted drive, which the daemon
   *   would then need in order to serve it
   */
  static async locate(environment: Environment): Promise<Home> {
    return new Home(await locateHome(environment, 'grove'))
  }

  /** The key file. */
  get keyFile(): string {
    return join(this.directory, 'key')
  }
  /** The settings of `grove config`. */
  get settingsFile(): string {
    return join(this.directory, 'settings.json')
  }
  /** The file that the one process working here holds locked. */
  get lockFile(): string {
    return join(this.directory, 'lock')
  }
  /** Where the daemon writes what happened. */
  get logFile(): string {
    return join(this.directory, 'daemon.log')
  }
  /** The folder of the signed logs. */
  get logsDirectory(): string {
    return join(this.directory, 'logs')
  }
  /** The folder of the index. */
  get indexDirectory(): string {
    return join(this.directory, 'index')
  }
  /** Hash of the index as a clean end left it. */
  get indexSealFile(): string {
    return join(this.directory, 'index-seal')
  }
  /** There while the index is being opened. */
  get indexMarkFile(): string {
    return join(this.directory, 'index-opening')
  }
  /** Which log epochs there are. */
  get epochsFile(): string {
    return join(this.directory, 'epochs.json')
  }
  /** What was learned of the other devices and their logs. */
  get knownLogsFile(): string {
    return join(this.directory, 'known-logs.json')
  }
  /** Which holders a recovery still waits for. */
  get recoveryFile(): string {
    return join(this.directory, 'recovery.json')
  }
  get #formatFile(): string {
    return join(this.directory, 'format')
  }

  /**
   * Checks that a drive can be made here. Writes nothing.
   *
   * @throws {GroveError} `ALREADY_INITIALISED`, `NEWER_FORMAT`, `DAMAGED`, or `FAILED` when the
   *   folder is used for something else
   */
  async checkUnused(): Promise<void> {
    const names = await this.#names()
    if (names.includes('format')) await this.#checkFormat()
    if (names.includes('key'))
      throw new GroveError(
        'ALREADY_INITIALISED',
        `${this.directory} already holds a drive; run \`grove mount\`, or choose another home with GROVE_HOME`
      )
    if (names.length > 0 && !names.includes('format'))
      throw new GroveError(
        'FAILED',
        `${this.directory} is not empty and no home of grove; choose another with GROVE_HOME`
      )
  }

  /**
   * Makes the folder and says which format it has, but no key file yet.
   *
   * @throws {GroveError} as {@link Home.checkUnused}, or `FAILED` when it cannot be made
   */
  async prepare(): Promise<void> {
    await this.checkUnused()
    try {
      await mkdir(this.directory, { recursive: true, mode: DIRECTORY_MODE })
      await this.makePrivate()
      await replaceFile(this.#formatFile, Buffer.from(`grove home ${HOME_VERSION}\n`))
    } catch (error) {
      throw new GroveError('FAILED', `cannot make the home ${this.directory}: ${reason(error)}`, {
        cause: error
      })
    }
  }

  /**
   * Checks that there is a drive here that this grove can open. Writes nothing.
   *
   * @throws {GroveError} `NOT_INITIALISED`, `NEWER_FORMAT`, `DAMAGED`
   */
  async check(): Promise<void> {
    const names = await this.#names()
    if (names.includes('format')) await this.#checkFormat()
    if (!names.includes('key'))
      throw new GroveError(
        'NOT_INITIALISED',
        `there is no drive in ${this.directory}; run \`grove init\` first, or set GROVE_HOME to its home`
      )
    if (!names.includes('format'))
      throw new GroveError(
        'DAMAGED',
        `${this.directory} has lost its file "format"; restore it from a backup`
      )
  }

  /**
   * Makes the key file; it is durable when this resolves.
   *
   * @throws {GroveError} `ALREADY_INITIALISED` when there is one: keys are never overwritten
   */
  async createKeyFile(bytes: Uint8Array): Promise<void> {
    try {
      await createFile(this.keyFile, bytes)
    } catch (error) {
      if (errorCode(error) === 'EEXIST')
        throw new GroveError('ALREADY_INITIALISED', `${this.directory} already holds a drive`)
      throw new GroveError('FAILED', `cannot write the key file: ${reason(error)}`, {
        cause: error
      })
    }
  }

  /**
   * Removes logs and index of an `init` that did not get as far as its key file; nobody can read
   * them any more.
   */
  async clearUnfinished(): Promise<void> {
    if ((await this.#names()).includes('key'))
      throw new GroveError('ALREADY_INITIALISED', `${this.directory} already holds a drive`)
    const unfinished = [
      this.epochsFile,
      this.knownLogsFile,
      this.recoveryFile,
      this.logsDirectory,
      this.indexDirectory
    ]
    for (const path of unfinished) await rm(path, { recursive: true, force: true })
  }

  /** Takes back {@link Home.createKeyFile}, for an `init` that could not show the words. */
  async removeKeyFile(): Promise<void> {
    await unlink(this.keyFile)
  }

  /** Reads the key file. @throws {GroveError} `DAMAGED` when it cannot be read */
  async readKeyFile(): Promise<Uint8Array> {
    try {
      const bytes = await readFile(this.keyFile)
      if (bytes.length <= HOME_KEY_BYTES_MAX) return bytes
    } catch (error) {
      throw new GroveError(
        'DAMAGED',
        `cannot read the key file ${this.keyFile}: ${reason(error)}`,
        {
          cause: error
        }
      )
    }
    throw new GroveError(
      'DAMAGED',
      `the key file ${this.keyFile} is damaged; restore it from a backup`
    )
  }

  /** Takes the folder and the key file away from everyone but the owner. */
  async makePrivate(): Promise<void> {
    await chmod(this.directory, DIRECTORY_MODE)
    await chmod(this.keyFile, FILE_MODE).catch(() => undefined)
  }

  async #checkFormat(): Promise<void> {
    const text = await readFile(this.#formatFile, 'latin1').catch(() => '')
    if (text.startsWith('grove holder '))
      throw new GroveError(
        'FAILED',
        `${this.directory} is the home of a holder (grove host) and has no drive; set GROVE_HOME to another folder`
      )
    const version = Number(/^grove home (\d{1,9})\n/.exec(text)?.[1] ?? Number.NaN)
    if (version > HOME_VERSION)
      throw new GroveError(
        'NEWER_FORMAT',
        `${this.directory} was made by a newer grove (format ${version}, this one knows ${HOME_VERSION}); update grove`
      )
    if (version !== HOME_VERSION)
      throw new GroveError(
        'DAMAGED',
        `the file "format" in ${this.directory} is damaged; restore it from a backup`
      )
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await readdir(this.directory)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw new GroveError('FAILED', `cannot open the home ${this.directory}: ${reason(error)}`, {
        cause: error
      })
    }
  }
}

/**
 * Finds where a home is or would be: `GROVE_HOME`, else a folder of this name in the XDG data
 * folder.
 *
 * @throws {GroveError} `HOME_IN_MOUNT` when it lies inside a mounted drive
 */
export async function locateHome(environment: Environment, name: string): Promise<string> {
  const asked = askedDirectory(environment, name)
  const { path, insideMount } = await resolveOutsideMounts(asked)
  if (insideMount === undefined) return path
  throw new GroveError(
    'HOME_IN_MOUNT',
    `the home ${asked} lies inside the drive mounted at ${insideMount}; set GROVE_HOME to a folder outside of it`
  )
}

function askedDirectory(environment: Environment, name: string): string {
  const home = environment['GROVE_HOME']
  if (home !== undefined && home !== '') return home
  const data = environment['XDG_DATA_HOME']
  // The XDG specification says that a relative path is to be ignored.
  if (data !== undefined && isAbsolute(data)) return join(data, name)
  return join(environment['HOME'] ?? homedir(), '.local', 'share', name)
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/** What the system said, in its own short words. */
function reason(error: unknown): string {
  return errorCode(error) ?? String(error)
}
