/**
 * The store of this device's logs and of its copies of other devices' logs: one corestore on one
 * RocksDB in one directory.
 *
 * All logs of a home share one write-ahead log. So what a loss of power leaves is a prefix of
 * what was appended, over all logs, and one {@link LogHome.sync} covers them all.
 *
 * The directory belongs to the store alone; nothing else may be kept in it.
 *
 * @module
 */
import Corestore from 'corestore'
import HypercoreStorage, { type Database, type HypercoreStorageOptions } from 'hypercore-storage'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { countBits, indexesOf } from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import { BlobReclaimer } from './blob-reclaimer.ts'
import {
  type Core,
  CoreSlot,
  logManifest,
  logSigner,
  type LogIdentity,
  type LogSigner,
  type Manifest,
  type RemoteLogIdentity
} from './core-slot.ts'
import { endsInTime } from './ends-in-time.ts'
import { HypercoreBlockStore, type BlockStoreHome } from './hypercore-block-store.ts'
import { HypercoreLog } from './hypercore-log.ts'
import { FetchGauge, HypercoreRemoteBlocks, RemoteCore, RemoteLog } from './remote-core.ts'
import { ReplicatedCore } from './replicated-core.ts'
import { ReplicationError, type ReplicationErrorCode } from './replication-error.ts'
import { SyncError } from '../sync/sync-error.ts'
import {
  diskBytes,
  SpaceGuard,
  WRITE_BUFFER_BYTES_MAX,
  writeBufferBytes as fittingBufferBytes
} from './space-guard.ts'
import { causeCodes, toSyncError } from './storage-error.ts'
import { PUSHED_TO_HOLDER_MAX, UploadGrants, type UploadDoor } from './upload-grants.ts'
import { syncDirectory, syncFile, WalSync } from './wal-sync.ts'

/** Blocks of 4 KiB and more go to files of their own kind, of this size. */
export const BLOB_FILE_BYTES = 16 * 1024 * 1024

/** How long each of the four steps of closing a home may take, in milliseconds. */
export const CLOSE_STEP_MS_MAX = 5000

/** The file that tells hypercore-storage that a directory was copied or moved, and its lock. */
const DEVICE_FILE = 'CORESTORE'

/** The folder of the database. */
const DATABASE = 'db'

/**
 * How many blocks of a log are asked for at a time: at least so many, and more over a slow
 * connection. Hypercore's own 16 are 320 entries a second over a round trip of 50 ms. All are heard
 * in one turn of the event loop, and each wakes a thread that reads: 128 and more held file
 * operations up for 80 ms on a machine with two processors.
 */
const INFLIGHT: readonly [number, number] = [64, 512]

/** The same of content in a frugal home: what is under way is in memory several times over. */
const FRUGAL_INFLIGHT: readonly [number, number] = [32, 64]

/** The unit of `st_blocks`. */
const STAT_BLOCK_BYTES = 512

/** RocksDB's cache of blocks takes 32 MB, and can hold no index of a table when there is none. */
const WITHOUT_CACHES: HypercoreStorageOptions = {
  blockCache: false,
  tableCacheIndexAndFilterBlocks: false,
  treeCache: { maxSize: 1024 }
}

/** Who is told what happens to the logs of a home. */
export interface ReplicationListener {
  /**
   * Entries or blocks of a log arrived, and can be read in this tick.
   *
   * @param index - which block; absent when only the length is news
   */
  onArrival(log: LogKey, index?: number): void
  /** Two histories of a log were proven to exist; it is replicated no more. Told once. */
  onFrozen(log: LogKey): void
  /** A peer knew entries of a log of this device that were not appended here. Told once. */
  onOutrun(log: LogKey): void
  /** Something was refused because the disk is too full. */
  onStarved(log: LogKey): void
}

const DEAF: ReplicationListener = {
  onArrival: () => undefined,
  onFrozen: () => undefined,
  onOutrun: () => undefined,
  onStarved: () => undefined
}

/** How to open a home. */
export interface LogHomeOptions {
  /** A directory of its own; made if missing. */
  readonly directory: string
  /**
   * Opens a home that was moved or copied. Whoever asks for it must start new log epochs:
   * another copy of the home may go on with the old ones.
   */
  readonly allowMoved?: boolean
  /** The memory that is filled before a file is written; no more than fits the disk anyway. */
  readonly writeBufferBytes?: number
  /** Does without caches of its own: the system's have to do. For who reads seldom, at random. */
  readonly isFrugal?: boolean
  /** Bounds how long {@link LogHome.close} takes; without it there is no limit. */
  readonly clock?: Clock
}

/** What a log holds. */
type LogKind = 'operations' | 'content'

/** The open store of this device's logs. */
export class LogHome {
  readonly #directory: string
  readonly #clock: Clock | undefined
  readonly #store: Corestore
  readonly #database: Database
  readonly #wal: WalSync
  readonly #blocks: BlockStoreHome
  readonly #isFrugal: boolean
  /** Told what happens to the logs; set it before a log is attached to a connection. */
  listener: ReplicationListener = DEAF
  /** Fetches that somebody waits for. */
  readonly fetchGauge = new FetchGauge()
  /** Who is served which blocks of content logs. */
  readonly uploads = new UploadGrants()
  readonly #slots = new Map<LogKey, Promise<CoreSlot>>()
  readonly #remotes = new Map<LogKey, Promise<RemoteCore>>()
  readonly #replicated = new Map<LogKey, ReplicatedCore>()
  readonly #opened = new Map<LogKey, CoreSlot | RemoteCore>()
  #closing: Promise<void> | undefined

  private constructor(options: LogHomeOptions, opened: OpenedStorage, store: Corestore) {
    const { rocks, db } = opened.storage
    const { directory, clock, isFrugal = false } = options
    this.#directory = directory
    this.#clock = clock
    this.#isFrugal = isFrugal
    this.#store = store
    this.#database = db
    this.#wal = new WalSync(rocks.path, db)
    this.#blocks = {
      guard: new SpaceGuard(directory, opened.bufferBytes),
      reclaimer: new BlobReclaimer(db),
      takeCleared: () => this.#takeCleared()
    }
    this.uploads.onChange = (publicKey, blocks) =>
      this.#replicated.get(blocks.log)?.offer(publicKey, blocks)
  }

  /**
   * Opens a home. One process at a time.
   *
   * @throws {ReplicationError} `LOCKED`, `MOVED`, `NO_SPACE`, `DAMAGED`, `IO`
   */
  static async open(options: LogHomeOptions): Promise<LogHome> {
    const directory = resolve(options.directory)
    const opened = await openStorage({ ...options, directory })
    const store = new Corestore(opened.storage, { active: false })
    try {
      await store.ready()
      await syncFile(join(directory, DEVICE_FILE))
      await syncDirectory(directory)
    } catch (error) {
      await store.close().catch(() => undefined)
      throw openError(error)
    }
    return new LogHome({ ...options, directory }, opened, store)
  }

  /**
   * Opens a log, made if missing. Opened twice it gives two handles of one log.
   *
   * @throws {SyncError} `DAMAGED`, `NO_SPACE`, `IO`
   */
  async openLog(identity: LogIdentity): Promise<HypercoreLog> {
    return new HypercoreLog(await this.#slot(identity, 'operations'), () => this.sync())
  }

  /** Opens a content log; see {@link LogHome.openLog}. */
  async openBlockStore(identity: LogIdentity): Promise<HypercoreBlockStore> {
    const slot = await this.#slot(identity, 'content')
    return new HypercoreBlockStore(slot, () => this.sync(), this.#blocks)
  }

  /**
   * Opens the operation log of another device, empty if nothing of it has arrived. Opened twice
   * it gives two handles of one log.
   *
   * @throws {SyncError} `DAMAGED`, `NO_SPACE`, `IO`, `CLOSED`
   */
  async openRemoteLog(identity: RemoteLogIdentity): Promise<RemoteLog> {
    return new RemoteLog(await this.#remote(identity, 'operations'))
  }

  /** Opens the content log of another device; see {@link LogHome.openRemoteLog}. */
  async openRemoteBlocks(identity: RemoteLogIdentity): Promise<HypercoreRemoteBlocks> {
    return new HypercoreRemoteBlocks(await this.#remote(identity, 'content'), this.fetchGauge)
  }

  /**
   * The content log of an earlier epoch of this device as other devices keep it: what was lost
   * here is fetched from them.
   *
   * @param identity - of a log that is not appended to any more
   */
  async openOwnBlocksElsewhere(identity: LogIdentity): Promise<HypercoreRemoteBlocks> {
    const { key, core } = await this.#slot(identity, 'content')
    const replicated = this.#replicated.get(key)
    if (replicated === undefined) throw new RangeError('an open log has a replicating side')
    return new HypercoreRemoteBlocks(new RemoteCore(core, replicated), this.fetchGauge)
  }

  /** A log that is open, of whichever device. */
  opened(key: LogKey): CoreSlot | RemoteCore | undefined {
    return this.#opened.get(key)
  }

  /** The replicating side of a log that is open, of whichever device. */
  replicated(key: LogKey): ReplicatedCore | undefined {
    return this.#replicated.get(key)
  }

  /** Lets a limited peer have blocks of the open logs. */
  uploadDoor(publicKey: Uint8Array): UploadDoor {
    return {
      grant: blocks => this.uploads.grant(publicKey, blocks),
      withdraw: blocks => this.uploads.withdraw(publicKey, blocks),
      push: sets => {
        const count = sets.reduce((sum, { bitmap }) => sum + countBits(bitmap), 0)
        const ways = (count > PUSHED_TO_HOLDER_MAX ? [] : sets).flatMap(blocks => {
          const core = this.#replicated.get(blocks.log)
          return core?.pushGranted(publicKey, [...indexesOf(blocks)]) ?? []
        })
        const sent = Promise.all(ways.map(way => way.sent))
        return { sent, end: () => ways.forEach(way => way.end()) }
      }
    }
  }

  /** Refuses content when the disk is nearly full. */
  get guard(): SpaceGuard {
    return this.#blocks.guard
  }

  /**
   * Makes everything appended before the call durable against power loss. Concurrent calls
   * share the work.
   *
   * @throws {SyncError} `IO`, `CLOSED`
   */
  async sync(): Promise<void> {
    this.#throwIfClosed()
    try {
      await this.#wal.sync()
    } catch (error) {
      throw toSyncError(error, 'a sync')
    }
  }

  /** How many bytes the home takes on the disk. Looks at every file of it. */
  async bytesOnDisk(): Promise<number> {
    const folder = join(this.#directory, DATABASE)
    const sizes = await Promise.all(
      (await readdir(folder)).map(name => fileDiskBytes(join(folder, name)))
    )
    return sizes.reduce((sum, size) => sum + size, 0)
  }

  /**
   * Waits for what is under way, closes every log and lets the directory go. Idempotent.
   *
   * @throws {ReplicationError} `IO` when a step took longer than {@link CLOSE_STEP_MS_MAX} and was
   *   waited for no more; the others were taken. That is no clean end, and the directory may be
   *   let go only when the process ends
   */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  /** What a peer asks for can leave a read open in RocksDB, which then waits for it for ever. */
  async #close(): Promise<void> {
    const steps = [
      () => this.#wal.close(),
      () => this.#closeCores(),
      // RocksDB would leave its memory to the write-ahead log, where one flipped bit costs all
      // that follows it. It is no loss when the disk is too full: then the log has it.
      () => this.#database.flush().catch(() => undefined),
      () => this.#store.close()
    ]
    let isInTime = true
    for (const step of steps)
      isInTime = (await endsInTime(step(), CLOSE_STEP_MS_MAX, this.#clock)) && isInTime
    if (!isInTime) throw new ReplicationError('IO', 'the home could not be closed in time')
  }

  async #closeCores(): Promise<void> {
    const slots = await Promise.allSettled(this.#slots.values())
    const remotes = await Promise.allSettled(this.#remotes.values())
    for (const core of [...slots, ...remotes])
      if (core.status === 'fulfilled') await core.value.close()
  }

  /**
   * Gives back the disk of what was cleared of other devices' logs since the last call.
   *
   * @throws {SyncError} `NO_SPACE`, `IO`, `CLOSED`
   */
  async reclaim(): Promise<void> {
    this.#throwIfClosed()
    try {
      for (const log of await this.#takeCleared()) await this.#blocks.reclaimer.reclaim(log)
    } catch (error) {
      throw toSyncError(error, 'a compaction')
    }
  }

  async #takeCleared(): Promise<RemoteCore[]> {
    const cores: RemoteCore[] = []
    for (const opening of this.#remotes.values()) {
      const core = await opening.catch(() => undefined)
      if (core?.takeCleared() === true) cores.push(core)
    }
    return cores
  }

  async #slot(identity: LogIdentity, kind: LogKind): Promise<CoreSlot> {
    this.#throwIfClosed()
    const signer = logSigner(identity)
    const existing = this.#slots.get(signer.key)
    if (existing !== undefined) signer.keyPair.secretKey.fill(0)
    const opened = existing ?? this.#openSlot(signer, kind)
    this.#slots.set(signer.key, opened)
    try {
      return await opened
    } catch (error) {
      this.#slots.delete(signer.key)
      throw toSyncError(error, 'opening a log')
    }
  }

  async #openSlot(signer: LogSigner, kind: LogKind): Promise<CoreSlot> {
    const core = this.#store.get({ manifest: signer.manifest, allowFork: false })
    const slot = await CoreSlot.open(core, signer)
    slot.onOutrun = () => this.listener.onOutrun(signer.key)
    this.#replicate(core, { key: signer.key, kind, allowPush: false }, () => slot.freeze())
    this.#opened.set(signer.key, slot)
    return slot
  }

  async #remote(identity: RemoteLogIdentity, kind: LogKind): Promise<RemoteCore> {
    this.#throwIfClosed()
    const { key, manifest } = logManifest(identity)
    if (this.#slots.has(key)) throw new RangeError('a log of this device is no remote log')
    const opened = this.#remotes.get(key) ?? this.#openRemote({ key, kind, manifest })
    this.#remotes.set(key, opened)
    try {
      return await opened
    } catch (error) {
      this.#remotes.delete(key)
      throw toSyncError(error, 'opening a log', 'DAMAGED')
    }
  }

  async #openRemote(log: {
    readonly key: LogKey
    readonly kind: LogKind
    readonly manifest: Manifest
  }): Promise<RemoteCore> {
    const { key, kind, manifest } = log
    const inflightRange = this.#isFrugal && kind === 'content' ? FRUGAL_INFLIGHT : INFLIGHT
    const core = this.#store.get({ manifest, allowFork: false, inflightRange })
    await core.ready()
    const remote = new RemoteCore(core, this.#replicate(core, { key, kind, allowPush: true }))
    this.#opened.set(key, remote)
    return remote
  }

  #replicate(
    core: Core,
    options: { readonly key: LogKey; readonly kind: LogKind; readonly allowPush: boolean },
    freeze?: () => void
  ): ReplicatedCore {
    const replicated = new ReplicatedCore(core, {
      ...options,
      isInOrder: options.kind === 'operations',
      ...(options.kind === 'content' && { grants: this.uploads }),
      guard: this.#blocks.guard,
      onArrival: index => this.listener.onArrival(options.key, index),
      onStarved: () => this.listener.onStarved(options.key),
      onFrozen: () => {
        freeze?.()
        this.listener.onFrozen(options.key)
      }
    })
    this.#replicated.set(options.key, replicated)
    return replicated
  }

  #throwIfClosed(): void {
    if (this.#closing !== undefined) throw new SyncError('CLOSED', 'the home was closed')
  }
}

/** A storage whose device file is ours, and how it was made. */
interface OpenedStorage {
  readonly storage: HypercoreStorage
  readonly bufferBytes: number
}

/** Opens the storage as far as its device file, which carries the lock. */
async function openStorage(options: LogHomeOptions): Promise<OpenedStorage> {
  const { directory, allowMoved = false, writeBufferBytes = WRITE_BUFFER_BYTES_MAX } = options
  try {
    await makeDirectory(directory)
    await refuseForeignFiles(directory)
    const bufferBytes = Math.min(writeBufferBytes, fittingBufferBytes(await diskBytes(directory)))
    const storage = makeStorage(options, bufferBytes)
    const refused = await deviceFileRefusal(storage)
    if (refused === undefined) return { storage, bufferBytes }
    // A crash while the home was made leaves a device file in part, and no database yet.
    const isUnborn = !(await isThere(join(directory, DATABASE, 'CURRENT')))
    if (refused.code !== 'MOVED' || !(allowMoved || isUnborn)) throw refused
    await rm(join(directory, DEVICE_FILE))
    const renewed = makeStorage(options, bufferBytes)
    const refusedAgain = await deviceFileRefusal(renewed)
    if (refusedAgain !== undefined) throw refusedAgain
    return { storage: renewed, bufferBytes }
  } catch (error) {
    throw error instanceof ReplicationError ? error : openError(error)
  }
}

function makeStorage(
  { directory, isFrugal = false }: LogHomeOptions,
  bufferBytes: number
): HypercoreStorage {
  const storage = new HypercoreStorage(directory, {
    ...(isFrugal && WITHOUT_CACHES),
    writeBufferSize: bufferBytes,
    blobFileSize: BLOB_FILE_BYTES,
    // No garbage collection but our own: see `blob-reclaimer.ts`.
    blobGarbageCollectionAgeCutOff: 0,
    blobGarbageCollectionForceThreshold: 1
  })
  // It would delete the write-ahead logs, acknowledged entries and all, when RocksDB says that
  // they do not fit. We would rather not open.
  return Object.assign(storage, { _maybeRecoverLater: () => undefined })
}

/**
 * Why the device file cannot be had. It is opened apart from the database, so that its
 * failures can be told from the database's: the one that has no code is that of the lock.
 */
async function deviceFileRefusal(storage: HypercoreStorage): Promise<ReplicationError | undefined> {
  try {
    await storage.deviceFile.ready()
    return undefined
  } catch (cause) {
    const codes = causeCodes(cause)
    if (codes.length === 0)
      return new ReplicationError('LOCKED', 'another process has the home open', { cause })
    if (codes.includes('DEVICE_FILE'))
      return new ReplicationError('MOVED', 'the home was moved or copied', { cause })
    return openError(cause)
  }
}

function openError(cause: unknown): ReplicationError {
  const { code } = toSyncError(cause, 'opening the home', 'DAMAGED')
  const known: ReplicationErrorCode = code === 'NO_SPACE' || code === 'DAMAGED' ? code : 'IO'
  return new ReplicationError(known, 'the home cannot be opened', { cause })
}

/**
 * Refuses to make a home among files of something else: hypercore-storage takes whatever it
 * finds in a directory without a device file for an older database, and moves it.
 */
async function refuseForeignFiles(directory: string): Promise<void> {
  const names = await readdir(directory)
  if (names.includes(DEVICE_FILE) || names.every(name => name === DATABASE)) return
  throw new ReplicationError('IO', 'the directory of the home has files of something else')
}

/** Makes a directory that is there also after a loss of power. */
async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = directory; made !== dirname(first); made = dirname(made))
    await syncDirectory(dirname(made))
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false
  )
}

async function fileDiskBytes(path: string): Promise<number> {
  return stat(path).then(
    ({ blocks }) => blocks * STAT_BLOCK_BYTES,
    () => 0
  )
}
