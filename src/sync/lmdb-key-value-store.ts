/**
 * The key-value store on lmdb: the one home of the npm package `lmdb`.
 *
 * Reads go straight to the memory map. A batch is written in one transaction of lmdb's own
 * writer thread, which may hold several batches that were waiting. Unless a store is opened as
 * durable nothing is flushed per batch: what it wrote lies in the page cache, which survives
 * `kill -9` and not a loss of power.
 *
 * After a loss of power without {@link LmdbKeyValueStore.close} or `sync` such a file may hold new
 * pages beside old ones. The caller then has to {@link LmdbKeyValueStore.discard} the store and
 * derive it again; lmdb cannot tell.
 *
 * lmdb trusts its file. What would make it read outside the file or take a foreign file for its
 * own is checked here before it is opened, and is `DAMAGED`; pages that were overwritten in
 * place are noticed by lmdb only where its structure breaks, so the values have to be
 * authenticated by the caller. The layout of the header is that of liblmdb 1.0 (`MDB_meta` in
 * mdb.c of the package).
 *
 * @module
 */
import { mkdir, open as openFile, rm, statfs, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { open, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb'
import { KEY_BYTES_MAX, type Change, type KeyValueStore } from './key-value-store.ts'
import { SyncError } from './sync-error.ts'

const DATA_FILE = 'data.mdb'
const LOCK_FILE = 'lock.mdb'

const PAGE_BYTES_MIN = 512
const PAGE_BYTES_MAX = 65_536
const META_BYTES = 168
const META_PAGES = 2
const PAGE_FLAG_META = 0x08
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
const NO_PAGE = 0xffffffffffffffffn

/**
 * Less free space than this makes an I/O error a full disk: a write that went in half, which is
 * how a full disk often begins, is EIO in the words of lmdb.
 */
export const FREE_BYTES_MIN = 16 * 1024 * 1024

const EIO = 5
const ENOSPC = 28
const EDQUOT = 122
const MDB_MAP_FULL = -30_792
/**
 * Errors of lmdb that mean a broken structure: PAGE_NOTFOUND, CORRUPTED, PANIC,
 * VERSION_MISMATCH, INVALID, and BAD_TXN, which is what a batch says after one of those.
 */
const DAMAGE_CODES = new Set([-30_797, -30_796, -30_795, -30_794, -30_793, -30_782])

/** A {@link KeyValueStore} in a directory of its own. One process at a time. */
export class LmdbKeyValueStore implements KeyValueStore {
  readonly #database: RootDatabase<Uint8Array, Uint8Array>
  readonly #file: FileHandle
  readonly #directory: string
  readonly #underWay = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  private constructor(directory: string, file: FileHandle, isDurable: boolean) {
    this.#database = openDatabase(directory, isDurable)
    this.#file = file
    this.#directory = directory
  }

  /**
   * Opens the store, making it if it is not there (directory 0700, files 0600).
   *
   * @param options.isDurable - whether a batch that resolved survives a loss of power, as one of
   *   a whole prefix of batches; each is then synced. For what cannot be derived again
   * @throws {SyncError} `DAMAGED` when the file is not a whole store of ours: discard it;
   *   `NO_SPACE`, `IO`
   */
  static async open(options: {
    readonly directory: string
    readonly isDurable?: boolean
  }): Promise<LmdbKeyValueStore> {
    const { directory, isDurable = false } = options
    const path = join(directory, DATA_FILE)
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const file = await openFile(path, 'a+', 0o600)
      try {
        await checkFile(file)
        return new LmdbKeyValueStore(directory, file, isDurable)
      } catch (error) {
        await file.close()
        throw error
      }
    } catch (error) {
      throw syncErrorOf(error)
    }
  }

  /** Removes a store that is not open, whatever its state. @throws {SyncError} `IO` */
  static async discard(options: { readonly directory: string }): Promise<void> {
    try {
      for (const name of [DATA_FILE, LOCK_FILE]) {
        await rm(join(options.directory, name), { force: true })
      }
    } catch (error) {
      throw syncErrorOf(error)
    }
  }

  /** {@inheritDoc KeyValueStore.get} */
  get(key: Uint8Array): Uint8Array | undefined {
    this.#checkOpen()
    checkKey(key)
    try {
      // The fast buffer is overwritten by the next read. A copy costs less than a kilobyte's
      // worth of the callers' own work and saves them from thinking about it.
      const fast = this.#database.getBinaryFast(key)
      return fast && Buffer.from(fast.subarray(0, fast.length))
    } catch (error) {
      throw syncErrorOf(error)
    }
  }

  /** {@inheritDoc KeyValueStore.range} */
  *range(bounds: {
    readonly from: Uint8Array
    readonly to: Uint8Array
  }): Iterable<readonly [key: Uint8Array, value: Uint8Array]> {
    this.#checkOpen()
    if (Buffer.compare(bounds.from, bounds.to) >= 0) return
    const rows = this.#database.getRange({ start: bounds.from, end: bounds.to })
    const iterator = rows[Symbol.iterator]()
    let isOver = false
    try {
      for (let row = iterator.next(); row.done !== true; row = iterator.next()) {
        yield [row.value.key, row.value.value]
        this.#checkOpen()
      }
      isOver = true
    } catch (error) {
      throw syncErrorOf(error)
    } finally {
      // A cursor that is given back to a closed environment ends the process (seen in 3.5.6).
      if (!isOver && this.#closing === undefined) iterator.return?.()
    }
  }

  /** {@inheritDoc KeyValueStore.commit} */
  async commit(changes: readonly Change[]): Promise<void> {
    this.#checkOpen()
    for (const [key] of changes) checkKey(key)
    if (changes.length === 0) return this.#settled()

    const database = this.#database
    await this.#track(
      database.batch(() => {
        for (const [key, value] of changes) {
          if (value) void database.put(key, value)
          else void database.remove(key)
        }
      })
    )
  }

  /** {@inheritDoc KeyValueStore.clear} */
  async clear(): Promise<void> {
    this.#checkOpen()
    await this.#track(this.#database.clearAsync())
  }

  /** {@inheritDoc KeyValueStore.sync} */
  async sync(): Promise<void> {
    this.#checkOpen()
    await this.#track(this.#file.datasync())
  }

  /** {@inheritDoc KeyValueStore.close} */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** {@inheritDoc KeyValueStore.close} */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await this.#settled()
    await this.#database.close()
    await this.#file.close()
  }

  /** Waits for a call of lmdb or the disk; its failure is told in our words. */
  async #track(work: Promise<unknown>): Promise<void> {
    this.#underWay.add(work)
    try {
      await work
    } catch (error) {
      throw await this.#commitErrorOf(error)
    } finally {
      this.#underWay.delete(work)
    }
  }

  async #commitErrorOf(error: unknown): Promise<unknown> {
    const cause = await causeOf(error)
    if (codeOf(cause) === EIO) {
      const { bavail, bsize } = await statfs(this.#directory)
      if (bavail * bsize < FREE_BYTES_MIN) return noSpace(cause)
    }
    return syncErrorOf(cause)
  }

  async #settled(): Promise<void> {
    await Promise.allSettled(this.#underWay)
  }

  #checkOpen(): void {
    if (this.#closing) throw new SyncError('CLOSED', 'the key-value store is closed')
  }
}

function openDatabase(directory: string, isDurable: boolean): RootDatabase<Uint8Array, Uint8Array> {
  const options: RootDatabaseOptionsWithPath & { readonly permissionsMode: number } = {
    path: directory,
    noSubdir: false,
    permissionsMode: 0o600,
    keyEncoding: 'binary',
    encoding: 'binary',
    noSync: !isDurable,
    overlappingSync: false,
    // With it lmdb wraps the batches of a turn in one of its own, and when that fails nobody
    // hears its promise: an unhandled rejection.
    eventTurnBatching: false
  }
  return open<Uint8Array, Uint8Array>(options)
}

function checkKey(key: Uint8Array): void {
  if (key.length > 0 && key.length <= KEY_BYTES_MAX) return
  throw new RangeError(`a key of ${key.length} bytes`)
}

/** Checks that lmdb can trust the file. A new file is empty. */
async function checkFile(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  if (size === 0) return
  const first = await readMeta(file, 0)
  const pageBytes = first.readUInt32LE(META.pageBytes)
  const isPowerOfTwo = (pageBytes & (pageBytes - 1)) === 0
  if (!isPowerOfTwo || pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) {
    throw damaged('the page size is impossible')
  }
  const second = await readMeta(file, pageBytes)
  if (second.readUInt32LE(META.pageBytes) !== pageBytes) throw damaged('the page sizes differ')
  for (const meta of [first, second]) checkMeta(meta, size / pageBytes)
}

/** Offsets from the start of a meta page. */
const META = {
  flags: 18,
  magic: 24,
  version: 28,
  mapBytes: 40,
  pageBytes: 48,
  freeRoot: 88,
  mainRoot: 136,
  lastPage: 144,
  transaction: 152
} as const

async function readMeta(file: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(META_BYTES), 0, META_BYTES, position)
  if (bytesRead < META_BYTES) throw damaged('the header is cut off')
  const isMeta = (buffer.readUInt16LE(META.flags) & PAGE_FLAG_META) !== 0
  if (!isMeta || buffer.readUInt32LE(META.magic) !== MAGIC) throw damaged('it is no lmdb file')
  if (buffer.readUInt16LE(META.version) !== DATA_VERSION) throw damaged('of another lmdb')
  return buffer
}

function checkMeta(meta: Buffer, filePages: number): void {
  const lastPage = meta.readBigUInt64LE(META.lastPage)
  if (lastPage >= BigInt(Math.floor(filePages)) && lastPage >= BigInt(META_PAGES)) {
    throw damaged('the file is cut off')
  }
  for (const offset of [META.freeRoot, META.mainRoot]) {
    const root = meta.readBigUInt64LE(offset)
    if (root !== NO_PAGE && (root < META_PAGES || root > lastPage)) throw damaged('no such root')
  }
}

function damaged(message: string): SyncError {
  return new SyncError('DAMAGED', `the key-value store's file: ${message}`)
}

/** lmdb rejects a batch with an error that only promises the reason. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error
  try {
    await error.commitError
    return error
  } catch (cause) {
    return cause
  }
}

function syncErrorOf(error: unknown): unknown {
  if (error instanceof SyncError || error instanceof RangeError) return error
  const code = codeOf(error)
  if (code === ENOSPC || code === EDQUOT || code === MDB_MAP_FULL) return noSpace(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') return noSpace(error)
  if (typeof code === 'number' && DAMAGE_CODES.has(code)) {
    return new SyncError('DAMAGED', 'the key-value store is damaged', { cause: error })
  }
  return new SyncError('IO', 'the key-value store failed', { cause: error })
}

function noSpace(cause: unknown): SyncError {
  return new SyncError('NO_SPACE', 'no space for the key-value store', { cause })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
