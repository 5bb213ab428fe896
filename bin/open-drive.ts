/**
 * The composition of a drive: logs, index, replica, collector and file system, opened in the
 * order in which they need each other and closed in the reverse.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { access, readdir, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CryptoError } from '../src/crypto/crypto-error.ts'
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import { DriveVfs } from '../src/fs/drive-vfs.ts'
import { Collector } from '../src/replication/collector.ts'
import type { EpochReason } from '../src/replication/log-epoch.ts'
import type { Clock } from '../src/sync/clock.ts'
import { LmdbKeyValueStore } from '../src/sync/lmdb-key-value-store.ts'
import type { Operation } from '../src/sync/operation.ts'
import { Replica } from '../src/sync/replica.ts'
import { SyncError } from '../src/sync/sync-error.ts'
import type { DriveStatus, LogStatus } from './api.ts'
import { FILE_MODE } from './atomic-file.ts'
import type { DaemonLog } from './daemon-log.ts'
import { DeviceLogs, epochStatements } from './device-logs.ts'
import { diskStatus } from './disk-status.ts'
import { EventQueue } from './event-queue.ts'
import type { Home } from './home.ts'
import { IndexSeal } from './index-seal.ts'
import { jsonName } from './printable-name.ts'
import type { Progress } from './progress-bar.ts'
import type { ServedDrive, ServedVfs, VerifyEvent } from './served-drive.ts'
import { parseDuration, readSettings, type Settings } from './settings.ts'
import { SystemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'
import { publicParts } from './unlock-keys.ts'

/** The unit of `st_blocks`. */
const STAT_BLOCK_BYTES = 512

/** How often the progress of a verification is told at most, in milliseconds. */
export const PROGRESS_MS_MIN = 100

/** What a person is told when the logs are shorter than they were. */
const LOST_ENTRIES =
  'the disk lost the newest entries of the logs (damage of the write-ahead log); compare with a backup'

/** How to open a drive. */
export interface OpenDriveOptions {
  /** The home; the caller holds its lock. */
  readonly home: Home
  /** Its keys. */
  readonly keys: KeyFileContent
  /** Where faults and notable events go. */
  readonly log: DaemonLog
  /** Told how far reading the logs has got, when the index is behind. */
  readonly onProgress: (progress: Progress) => void
  /** Throws the index away first. */
  readonly rebuildIndex?: boolean
}

/**
 * Opens the drive of a home.
 *
 * @throws {SyncError} `NEWER_FORMAT`, `IO`, `NO_SPACE`; {ReplicationError} `LOCKED`, `DAMAGED`;
 *   {GroveError} `DAMAGED`. Then everything is closed again.
 */
export async function openDrive(options: OpenDriveOptions): Promise<OpenedDrive> {
  try {
    return await openEpochs(options)
  } catch (error) {
    if (!(error instanceof SyncError) || error.code !== 'DIVERGED') throw error
    // Going on in logs that lost entries would write others in their place.
    options.log.write('the logs have lost entries that the index knew; going on in new logs', error)
    return await openEpochs({ ...options, startAnew: 'shorter' })
  }
}

async function openEpochs(
  options: OpenDriveOptions & { readonly startAnew?: EpochReason }
): Promise<OpenedDrive> {
  const { home, log, keys, startAnew } = options
  const settings = await readSettings(home.settingsFile)
  const anew = startAnew === undefined ? {} : { startAnew }
  const logs = await DeviceLogs.open({ home, keys, random: systemRandom, ...anew })
  if (logs.reason !== false) log.write(`new log epoch ${logs.current.epoch.number}: ${logs.reason}`)
  try {
    await logs.begin()
    const discardIndex = options.rebuildIndex === true || logs.reason !== false
    const { replica, store } = await openIndexed({ ...options, logs, discardIndex })
    if (logs.current.operationLog.length === 0)
      for (const bytes of epochStatements(keys, logs.current.epoch))
        replica.execute({ type: 'statement', bytes })
    return new OpenedDrive({
      ...options,
      logs,
      replica,
      store,
      settings,
      lostEntries: startAnew !== undefined
    })
  } catch (error) {
    await logs.close('unchanged')
    throw error
  }
}

/**
 * Makes the logs of a new drive, before it has a key file.
 *
 * @param operations - the first of the drive; durable when this resolves
 */
export async function recordNewDrive(
  options: Omit<OpenDriveOptions, 'onProgress'>,
  operations: readonly Operation[]
): Promise<void> {
  await options.home.clearUnfinished()
  const drive = await openDrive({ ...options, onProgress: () => undefined })
  drive.record(operations)
  await drive.close()
}

interface IndexedOptions extends OpenDriveOptions {
  readonly logs: DeviceLogs
  readonly discardIndex: boolean
}

interface Indexed {
  readonly replica: Replica
  readonly store: LmdbKeyValueStore
}

/** The index is a cache of the logs: one that cannot be used is made anew. */
async function openIndexed(options: IndexedOptions): Promise<Indexed> {
  const { home, log } = options
  const directory = home.indexDirectory
  // lmdb maps its file into memory: where that is damaged it may end the process. Then the mark
  // that is set here is still there at the next start, and the index is not trusted again.
  const crashed = await isThere(home.indexMarkFile)
  if (crashed) log.write('the last start ended while it opened the index, which is made anew')
  const isAltered = !(await new IndexSeal(home).take())
  if (isAltered) log.write('the index is not as it was left, and is made anew')
  const discard = options.discardIndex || crashed || isAltered
  await writeFile(home.indexMarkFile, '', { mode: FILE_MODE })
  try {
    if (discard) await LmdbKeyValueStore.discard({ directory })
    return await openOrRemake({ ...options, discardIndex: discard })
  } finally {
    await unlink(home.indexMarkFile)
  }
}

async function openOrRemake(options: IndexedOptions): Promise<Indexed> {
  const { home, log, discardIndex } = options
  try {
    return await openReplica(options)
  } catch (error) {
    if (discardIndex || !isDamage(error)) throw error
    log.write('the index is damaged and made anew', error)
    await LmdbKeyValueStore.discard({ directory: home.indexDirectory })
    return openReplica(options)
  }
}

async function openReplica({
  home,
  log,
  logs,
  keys,
  onProgress
}: IndexedOptions): Promise<Indexed> {
  const store = await LmdbKeyValueStore.open({ directory: home.indexDirectory })
  try {
    const { operationLog, contentLog } = logs.current
    const replica = await Replica.open({
      store,
      operationLog,
      contentLog,
      earlier: logs.earlier,
      drive: keys.drive,
      keys: keys.keys,
      indexKey: keys.indexKey,
      clock: systemClock,
      random: systemRandom,
      refuseRollBack: true,
      onIndexDamage: () => distrust(home, log),
      onProgress: (done, total) => onProgress({ done, total })
    })
    return { replica, store }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Leaves the mark that makes the next start make the index anew. */
function distrust(home: Home, log: DaemonLog): void {
  if (existsSync(home.indexMarkFile)) return
  log.write('the index is damaged; the next start makes it anew')
  writeFile(home.indexMarkFile, '', { mode: FILE_MODE }).catch((error: unknown) =>
    log.write('the mark for that could not be left; run grove rebuild-index', error)
  )
}

function isDamage(error: unknown): boolean {
  if (error instanceof CryptoError) return error.code !== 'NEWER_FORMAT'
  return error instanceof SyncError && (error.code === 'DAMAGED' || error.code === 'MALFORMED')
}

/** One clock for everything, so that times are in order. */
const systemClock: Clock = new SystemClock()

interface OpenedParts extends OpenDriveOptions, Indexed {
  readonly logs: DeviceLogs
  /** Whether this start found that the logs had lost entries. */
  readonly lostEntries: boolean
}

/** An open drive; made by {@link openDrive}. */
export class OpenedDrive implements ServedDrive {
  readonly #parts: OpenedParts
  readonly #collector: Collector
  readonly #open = new Set<DriveVfs>()
  #keepMs: number
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(parts: OpenedParts & { readonly settings: Settings }) {
    this.#parts = parts
    this.#keepMs = parseDuration(parts.settings['history.keep'])
    const { replica, logs, log } = parts
    this.#collector = new Collector({
      replica,
      clock: systemClock,
      keepSec: () => this.#keepMs / 1_000,
      wasUnclean: logs.wasUnclean || replica.wasRebuilt,
      report: (message, cause) => log.write(message, cause)
    })
    this.#collector.start()
  }

  /** Adds operations that are no changes of files, for whoever makes the drive. */
  record(operations: readonly Operation[]): void {
    for (const operation of operations) this.#parts.replica.execute(operation)
  }

  async status(): Promise<DriveStatus> {
    const { keys, logs, replica, home } = this.#parts
    const { unflushedBytes, damagedEntries, failure } = replica.status
    const inFiles = [...this.#open].reduce((sum, vfs) => sum + vfs.unflushedBytes, 0)
    return {
      ...publicParts(keys),
      logs: logs.all.flatMap(epoch => logStatus(epoch, epoch === logs.current)),
      bytes: (await logs.bytesOnDisk()) + (await bytesIn(home.indexDirectory)),
      unflushedBytes: unflushedBytes + inFiles,
      damagedEntries,
      ...(failure !== undefined && { problem: failure }),
      ...(this.#parts.lostEntries && { problem: LOST_ENTRIES })
    }
  }

  openVfs({ readOnly }: { readonly readOnly: boolean }): Promise<ServedVfs> {
    const { replica, home } = this.#parts
    const statfs = () => diskStatus(home.directory)
    const vfs = new DriveVfs({ replica, clock: systemClock, readOnly, statfs })
    this.#open.add(vfs)
    const close = async (): Promise<void> => {
      if (!this.#open.delete(vfs)) return
      vfs.close()
      await replica.sync()
    }
    return Promise.resolve({
      vfs,
      get openFiles() {
        return vfs.openFiles
      },
      close
    })
  }

  async *verify(signal: AbortSignal): AsyncGenerator<VerifyEvent> {
    const left = new AbortController()
    const queue = new EventQueue<VerifyEvent>()
    const work = this.#verifyInto(queue, AbortSignal.any([signal, left.signal]))
    try {
      yield* queue
    } finally {
      left.abort()
      await work
    }
  }

  async #verifyInto(queue: EventQueue<VerifyEvent>, signal: AbortSignal): Promise<void> {
    let toldMs = Number.NEGATIVE_INFINITY
    const onProgress = (done: number, total: number): void => {
      if (performance.now() - toldMs < PROGRESS_MS_MIN) return
      toldMs = performance.now()
      queue.offer({ kind: 'progress', progress: { done, total } })
    }
    try {
      if (this.#parts.lostEntries)
        await queue.put({ kind: 'damage', damage: { ...jsonName('(log)'), reason: LOST_ENTRIES } })
      for await (const { path, reason } of this.#parts.replica.verify({ signal, onProgress }))
        await queue.put({ kind: 'damage', damage: { ...jsonName(path), reason } })
      queue.end()
    } catch (error) {
      queue.end(error instanceof Error ? error : new Error('unexpected', { cause: error }))
    }
  }

  applySettings(settings: Settings): void {
    this.#keepMs = parseDuration(settings['history.keep'])
    this.#collector.collect().catch((error: unknown) => {
      this.#parts.log.write('collecting failed', error)
    })
  }

  sync(): Promise<void> {
    return this.#parts.replica.sync()
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  /** Only an end in which every step succeeded is clean. */
  async #close(): Promise<void> {
    const { replica, store, logs } = this.#parts
    let end: 'clean' | 'broken' = 'broken'
    try {
      await this.#collector.close()
      await replica.close()
      end = 'clean'
    } finally {
      await store.close()
      if (end === 'clean') await new IndexSeal(this.#parts.home).leave()
      await logs.close(end)
    }
  }
}

function logStatus(epoch: DeviceLogs['current'], writable: boolean): readonly LogStatus[] {
  const { operationLog, contentLog } = epoch
  return [
    { role: 'operations', key: operationLog.key, length: operationLog.length, writable },
    { role: 'content', key: contentLog.key, length: contentLog.length, writable }
  ]
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}

async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory)
  const sizes = await Promise.all(
    names.map(async name => (await stat(join(directory, name))).blocks * STAT_BLOCK_BYTES)
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
