/**
 * One process per home. The lock is the operating system's and ends with the process that holds
 * it, however that ends, so there is no stale lock to clear and no reused pid to be fooled by.
 *
 * The locked file says who holds it and where it listens. That text outlives its writer and is
 * only a hint: whether anybody holds the lock is decided by the lock.
 *
 * @module
 */
import { constants } from 'node:fs'
import { open, readFile, type FileHandle } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { tryLock } from 'fs-native-extensions'
import { FILE_MODE } from './atomic-file.ts'
import { GroveError } from './grove-error.ts'
import { isProcessAlive } from './process-alive.ts'

/** How long a taker waits for a holder to say who it is, in milliseconds. */
export const LOCK_WAIT_MS_MAX = 1_000
const LOCK_RETRY_MS = 20

/** Who holds the lock. */
export interface LockHolder {
  /** The process. */
  readonly pid: number
  /** What it does: the name of the `grove` command. */
  readonly command: string
  /** Where it listens, if it does. */
  readonly socket?: string
}

/** The held lock of a home. */
export class HomeLock {
  readonly #file: FileHandle
  #released = false

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /**
   * Takes the lock, or fails at once if another process has it.
   *
   * @param path - the lock file; made if missing
   * @param holder - what others are told while it is held
   * @throws {GroveError} `LOCKED`, naming the pid of the holder
   */
  static async acquire(path: string, holder: LockHolder): Promise<HomeLock> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, FILE_MODE)
    try {
      const deadlineMs = performance.now() + LOCK_WAIT_MS_MAX
      while (!tryLock(file.fd)) {
        const other = await HomeLock.lastHolder(path)
        const named = other !== undefined && isProcessAlive(other.pid)
        if (named || performance.now() > deadlineMs) throw lockedError(named ? other : undefined)
        await delay(LOCK_RETRY_MS)
      }
      const lock = new HomeLock(file)
      await lock.describe(holder)
      return lock
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Who held the lock last, or holds it; undefined when nobody says so. */
  static async lastHolder(path: string): Promise<LockHolder | undefined> {
    try {
      return parseHolder(await readFile(path, 'utf8'))
    } catch {
      return undefined
    }
  }

  /** Tells others something new about the holder. */
  async describe(holder: LockHolder): Promise<void> {
    const text = Buffer.from(JSON.stringify(holder))
    await this.#file.write(text, 0, text.length, 0)
    await this.#file.truncate(text.length)
  }

  /** Lets go. Idempotent. */
  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    await this.#file.truncate(0).catch(() => undefined)
    await this.#file.close()
  }
}

function parseHolder(text: string): LockHolder | undefined {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) return undefined
  const { pid, command, socket } = value as Partial<Record<keyof LockHolder, unknown>>
  if (!Number.isSafeInteger(pid) || (pid as number) < 1 || typeof command !== 'string')
    return undefined
  return { pid: pid as number, command, ...(typeof socket === 'string' && { socket }) }
}

function lockedError(holder: LockHolder | undefined): GroveError {
  if (holder === undefined)
    return new GroveError('LOCKED', 'another process is working on this home; wait until it ends')
  const { pid, command } = holder
  const remedy = REMEDIES[command] ?? `wait until \`grove ${command}\` ends`
  return new GroveError(
    'LOCKED',
    `this home is already in use by process ${pid} (grove ${command}); ${remedy}`
  )
}

/** What ends a process that does not end by itself. */
const REMEDIES: Readonly<Record<string, string>> = {
  mount: 'run `grove stop` first',
  host: 'run `grove host stop` first'
}
