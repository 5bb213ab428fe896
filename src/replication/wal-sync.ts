/**
 * Durability against loss of power, which neither hypercore nor our binding of RocksDB offer:
 * `fdatasync` of the write-ahead log from outside, shared by all who wait (group commit).
 *
 * Every write of RocksDB is a `write(2)` to the newest log file before it is acknowledged.
 * When its memory table is full it goes on in a new file and keeps the old one until the table
 * is in a synced file of its own. So what must be synced is every log file since the last
 * sync, and the directory once for each new one.
 *
 * @module
 */
import { open, readdir, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

/** What {@link WalSync} needs to know of the database. */
export interface WalDatabase {
  /** The log file that takes the next write. */
  currentWalFile(): Promise<{ readonly number: number }>
  /** Writes everything to files that the database syncs itself. */
  flush(): Promise<void>
}

/** Syncs the write-ahead log of one database. */
export class WalSync {
  readonly #directory: string
  readonly #database: WalDatabase
  #file: FileHandle | undefined
  #syncedNumber = 0
  #distrusted = false
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  /** @param directory - where the database's files are */
  constructor(directory: string, database: WalDatabase) {
    this.#directory = directory
    this.#database = database
  }

  /**
   * Makes every write acknowledged before the call durable. One sync runs at a time; the calls
   * made meanwhile share the next.
   *
   * @throws the error of the disk; then nothing is promised, and the next call tries again
   */
  sync(): Promise<void> {
    if (this.#running === undefined) return this.#start()
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.#start()
      })
    return this.#next
  }

  /** Waits for the syncs asked for and closes the file. */
  async close(): Promise<void> {
    while (this.#running !== undefined || this.#next !== undefined)
      await Promise.allSettled([this.#running, this.#next])
    await this.#closeFile()
  }

  #start(): Promise<void> {
    this.#running = this.#syncOnce().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #syncOnce(): Promise<void> {
    const { number } = await this.#database.currentWalFile()
    if (this.#distrusted) await this.#flush()
    else await this.#syncFiles(number)
    this.#syncedNumber = number
  }

  /**
   * After a failed sync the kernel may have dropped the unwritten pages and call the file
   * clean, so its word counts no more: the database writes its memory out to new files.
   */
  async #flush(): Promise<void> {
    await this.#closeFile()
    await this.#database.flush()
    this.#distrusted = false
  }

  async #syncFiles(newest: number): Promise<void> {
    this.#distrusted = true
    await this.#file?.datasync()
    if (this.#file === undefined || newest !== this.#syncedNumber) {
      await this.#closeFile()
      await this.#syncNewFiles(newest)
    }
    this.#distrusted = false
  }

  async #syncNewFiles(newest: number): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      const number = walNumber(name)
      if (number === undefined || number < this.#syncedNumber || number >= newest) continue
      const file = await openIfThere(join(this.#directory, name))
      if (file !== undefined) await closeAfter(file, () => file.datasync())
    }
    this.#file = await openIfThere(join(this.#directory, walName(newest)))
    await this.#file?.datasync()
    await syncDirectory(this.#directory)
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }
}

/** The number of a log file, or undefined for any other file of the database. */
export function walNumber(name: string): number | undefined {
  const digits = /^(\d+)\.log$/.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** The name of a log file. */
export function walName(number: number): string {
  return `${String(number).padStart(6, '0')}.log`
}

/** Makes the names in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  await syncFile(directory)
}

/** Makes a file durable, whoever wrote it. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r')
  await closeAfter(file, () => file.sync())
}

async function closeAfter(file: FileHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } finally {
    await file.close()
  }
}

/** The database deletes a log file once its contents are elsewhere, and synced. */
async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
