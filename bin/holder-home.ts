/**
 * The home of a holder: the one folder that holds everything it keeps for others. It has no drive
 * and no key that opens what it keeps.
 *
 * ```
 * format        "grove holder 1": which grove may open it
 * key           the keys of this holder (bytes of src/crypto/device-keys.ts)
 * holder.json   what `grove host` was told: space, name, site, labels, bound
 * returned.json what the owner's drive on this computer said: whose it is, what others keep for them
 * lock          locked by the one process that works here; says which and where it listens
 * daemon.sock   its API, unless the path is too long for a socket
 * holder.log    what it has to say; no names, no keys
 * records/      whom it keeps for and what it signed
 * logs/         the logs, as ciphertext
 * ```
 *
 * The folder is 0700 and its files are 0600. The key file is made last: without it there is no
 * holder yet.
 *
 * @module
 */
import { chmod, mkdir, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DEVICE_KEYS_BYTES, DeviceKeys } from '../src/crypto/device-keys.ts'
import type { Random } from '../src/crypto/random.ts'
import { createFile, replaceFile } from './atomic-file.ts'
import { GroveError } from './grove-error.ts'
import { DIRECTORY_MODE, locateHome, type Environment } from './home.ts'

/** The version of the layout that this grove writes and the newest it opens. */
export const HOLDER_HOME_VERSION = 1

/** The folder of one holder; see the module comment for what is in it. */
export class HolderHome {
  /** Absolute path, without symbolic links. */
  readonly directory: string

  private constructor(directory: string) {
    this.directory = directory
  }

  /**
   * Finds the home without making anything: `GROVE_HOME`, else `grove-host` in the XDG data folder.
   *
   * @throws {GroveError} `HOME_IN_MOUNT`
   */
  static async locate(environment: Environment): Promise<HolderHome> {
    return new HolderHome(await locateHome(environment, 'grove-host'))
  }

  /** What `grove host` was told. */
  get settingsFile(): string {
    return join(this.directory, 'holder.json')
  }
  /** What the owner's drive on this computer said. */
  get returnedFile(): string {
    return join(this.directory, 'returned.json')
  }
  /** The file that the one process working here holds locked. */
  get lockFile(): string {
    return join(this.directory, 'lock')
  }
  /** Where the holder writes what happened. */
  get logFile(): string {
    return join(this.directory, 'holder.log')
  }
  /** The folder of what it remembers. */
  get recordsDirectory(): string {
    return join(this.directory, 'records')
  }
  /** The folder of the logs. */
  get logsDirectory(): string {
    return join(this.directory, 'logs')
  }
  get #formatFile(): string {
    return join(this.directory, 'format')
  }
  get #keyFile(): string {
    return join(this.directory, 'key')
  }

  /** Whether there is a holder here. @throws {GroveError} `NEWER_FORMAT`, `DAMAGED`, `FAILED` */
  async exists(): Promise<boolean> {
    const names = await this.#names()
    if (names.length === 0) return false
    if (!names.includes('format'))
      throw new GroveError(
        'FAILED',
        `${this.directory} is not empty and no home of a holder; choose another with GROVE_HOME`
      )
    await this.#checkFormat()
    return names.includes('key')
  }

  /** Makes the folder, and says which format it has. Idempotent. @throws {GroveError} */
  async prepare(): Promise<void> {
    await this.exists()
    try {
      await mkdir(this.directory, { recursive: true, mode: DIRECTORY_MODE })
      await chmod(this.directory, DIRECTORY_MODE)
      await replaceFile(this.#formatFile, Buffer.from(`grove holder ${HOLDER_HOME_VERSION}\n`))
    } catch (error) {
      throw new GroveError('FAILED', `cannot make the home ${this.directory}: ${reason(error)}`, {
        cause: error
      })
    }
  }

  /**
   * Reads the holder's keys; makes them if there are none. The caller has the lock.
   *
   * @throws {GroveError} `DAMAGED`, `FAILED`
   */
  async openKeys(random: Random): Promise<DeviceKeys> {
    const bytes = await this.#readKeys()
    if (bytes === undefined) return this.#makeKeys(random)
    try {
      return DeviceKeys.decode(bytes)
    } catch (cause) {
      throw this.#damaged({ cause })
    } finally {
      bytes.fill(0)
    }
  }

  async #readKeys(): Promise<Uint8Array | undefined> {
    let bytes: Uint8Array
    try {
      bytes = await readFile(this.#keyFile)
    } catch (cause) {
      if (errorCode(cause) === 'ENOENT') return undefined
      throw this.#damaged({ cause })
    }
    if (bytes.length === DEVICE_KEYS_BYTES) return bytes
    throw this.#damaged()
  }

  async #makeKeys(random: Random): Promise<DeviceKeys> {
    const keys = DeviceKeys.generate(random)
    const encoded = keys.encode()
    try {
      await createFile(this.#keyFile, encoded)
      return keys
    } catch (cause) {
      throw new GroveError('FAILED', `cannot write the key file: ${reason(cause)}`, { cause })
    } finally {
      encoded.fill(0)
    }
  }

  async #checkFormat(): Promise<void> {
    const text = await readFile(this.#formatFile, 'latin1').catch(() => '')
    if (text.startsWith('grove home '))
      throw new GroveError(
        'FAILED',
        `${this.directory} holds a drive; a holder needs a home of its own: set GROVE_HOME to another folder`
      )
    const version = Number(/^grove holder (\d{1,9})\n/.exec(text)?.[1] ?? Number.NaN)
    if (version > HOLDER_HOME_VERSION)
      throw new GroveError(
        'NEWER_FORMAT',
        `${this.directory} was made by a newer grove (format ${version}, this one knows ${HOLDER_HOME_VERSION}); update grove`
      )
    if (version !== HOLDER_HOME_VERSION)
      throw new GroveError(
        'DAMAGED',
        `the file "format" in ${this.directory} is damaged; write "grove holder ${HOLDER_HOME_VERSION}" into it`
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

  #damaged(options?: { readonly cause: unknown }): GroveError {
    return new GroveError(
      'DAMAGED',
      `the key file in ${this.directory} cannot be read; restore it from a backup, or begin anew in an empty home`,
      options
    )
  }
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/** What the system said, in its own short words. */
function reason(error: unknown): string {
  return errorCode(error) ?? String(error)
}
