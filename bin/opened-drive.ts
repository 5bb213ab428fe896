/**
 * An open drive: what the daemon serves, and what offline commands work on.
 *
 * @module
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import { DriveVfs } from '../src/fs/drive-vfs.ts'
import { Collector } from '../src/replication/collector.ts'
import { DeviceKeptLogs } from '../src/replication/device-kept-logs.ts'
import type { Clock } from '../src/sync/clock.ts'
import { ALONE as NOT_KEPT, type CustodyView } from '../src/sync/custody-view.ts'
import { memberId } from '../src/sync/members.ts'
import type { Operation } from '../src/sync/operation.ts'
import type {
  ConflictStatus,
  DeviceStatus,
  DriveStatus,
  InviteAnswer,
  Keep,
  LogStatus,
  NetworkStatus,
  SyncStatus,
  VersionStatus
} from './api.ts'
import type {
  ExplainAnswer,
  HolderAddRequest,
  HolderRemoveLine,
  HolderRemoveRequest,
  HolderStatus,
  OwnDriveAnswer,
  OwnHolderRequest,
  RedundancyAnswer,
  TrimAnswer,
  TrimRequest
} from './custody-api.ts'
import type { CustodyStores } from './custody-stores.ts'
import type { DaemonLog } from './daemon-log.ts'
import type { DeviceLogs } from './device-logs.ts'
import { diskStatus } from './disk-status.ts'
import { DriveFiles } from './drive-files.ts'
import type { DriveNetwork } from './drive-network.ts'
import type { DrivePeers } from './drive-peers.ts'
import { EventQueue } from './event-queue.ts'
import { explainAddition } from './explain-error.ts'
import { GroveError } from './grove-error.ts'
import type { Home } from './home.ts'
import { IndexSeal } from './index-seal.ts'
import type { Indexed } from './open-index.ts'
import { machineTag } from './machine-tag.ts'
import type { PendingRecovery } from './pending-recovery.ts'
import { jsonName, type JsonName } from './printable-name.ts'
import { ProcessorShare } from './processor-share.ts'
import type { Progress } from './progress-bar.ts'
import type {
  ConnectOptions,
  DrivePath,
  NetworkCustody,
  ServedDrive,
  ServedVfs,
  VerifyEvent
} from './served-drive.ts'
import { parseDuration, type Settings } from './settings.ts'
import { publicParts } from './unlock-keys.ts'

/** The unit of `st_blocks`. */
const STAT_BLOCK_BYTES = 512

/** How often the progress of a verification is told at most, in milliseconds. */
export const PROGRESS_MS_MIN = 100

/** How often waiting tells how far it is, in milliseconds. */
export const SYNC_TELL_MS = 200

/** How long waiting gives the other devices to be found, in milliseconds. */
export const CONNECT_GRACE_MS = 10_000

const ALONE: SyncStatus = {
  ...{ missingEntries: 0, unreachableEntries: 0, waitingEntries: 0, quarantinedEntries: 0 },
  ...{ missingBytes: 0, online: 0, devices: 0 }
}

const NETWORK_OFF = 'the network is off; see daemon.log in the home'

/** What a person is told when the logs are shorter than they were. */
const LOST_ENTRIES =
  'the disk lost the newest entries of the logs (damage of the write-ahead log); compare with a backup'

function waitingText(count: number): string {
  return `the recovery waits for ${count} holder${count === 1 ? '' : 's'}, and no copy is given up until then; \`grove recover --accept-incomplete\` goes on without`
}

/** What an open drive is made of; it owns all of it. */
export interface OpenedParts extends Indexed {
  /** The home; its lock is the caller's. */
  readonly home: Home
  /** Its keys. */
  readonly keys: KeyFileContent
  /** Where faults and notable events go. */
  readonly log: DaemonLog
  /** Time. */
  readonly clock: Clock
  /** This device's logs, begun. */
  readonly logs: DeviceLogs
  /** Who belongs to the drive. */
  readonly peers: DrivePeers
  /** The holders that a recovery still waits for. */
  readonly recovery: PendingRecovery
  /** The settings. */
  readonly settings: Settings
  /** Whether this start found that the logs had lost entries. */
  readonly lostEntries: boolean
}

/** An open drive; made by `openDrive`. */
export class OpenedDrive implements ServedDrive {
  readonly #parts: OpenedParts
  readonly #collector: Collector
  readonly #files: DriveFiles
  readonly #open = new Set<DriveVfs>()
  #settings: Settings
  #network: DriveNetwork | undefined
  #stores: CustodyStores | undefined
  #connecting: Promise<void> | undefined
  #share: ProcessorShare | undefined
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(parts: OpenedParts) {
    this.#parts = parts
    this.#settings = parts.settings
    const { replica, logs, log, peers, clock } = parts
    this.#files = new DriveFiles({ replica, mounted: () => [...this.#open][0] })
    for (const bytes of replica.statements()) peers.addStatement(bytes)
    replica.onStatement = bytes => peers.addStatement(bytes)
    this.#collector = new Collector({
      replica,
      clock,
      keepSec: () => parseDuration(this.#settings['history.keep']) / 1_000,
      wasUnclean: logs.wasUnclean || replica.wasRebuilt,
      mayClear: () => !parts.recovery.isIncomplete && (this.#network?.mayClear ?? true),
      report: (message, cause) => log.write(message, cause)
    })
    this.#collector.start()
  }

  /** Adds operations that are no changes of files, for whoever makes the drive. */
  record(operations: readonly Operation[]): void {
    for (const operation of operations) this.#parts.replica.execute(operation)
  }

  /**
   * Resolves when all entries of other devices that are here are merged.
   *
   * @param onProgress - told how many are, now and then
   */
  async settled(onProgress: (progress: Progress) => void): Promise<void> {
    const { replica, peers } = this.#parts
    const logs = peers.pairs.remotes.map(({ operationLog }) => operationLog)
    const total = logs.reduce((sum, { length }) => sum + length, 0)
    const settled = replica.settled().then(() => true)
    const isSettled = async (): Promise<boolean> =>
      Promise.race([settled, delay(PROGRESS_MS_MIN, false)])
    while (!(await isSettled())) {
      const done = logs.reduce((sum, { key }) => sum + (replica.heads.get(key) ?? 0), 0)
      onProgress({ done, total })
    }
  }

  connect(options: ConnectOptions): void {
    this.#connecting ??= this.#connect(options).catch((error: unknown) =>
      this.#parts.log.write('the network cannot be opened', error)
    )
  }

  /** Only a process that serves a drive loads the network. */
  async #connect(options: ConnectOptions): Promise<void> {
    const { DriveNetwork } = await import('./drive-network.ts')
    const { CustodyStores } = await import('./custody-stores.ts')
    if (this.#closing !== undefined) return
    const { home, keys, logs, peers, clock, log } = this.#parts
    const machine = await machineTag({ GROVE_MACHINE: options.network.machine }, keys.indexKey)
    const kept = new DeviceKeptLogs({
      logHome: logs.logHome,
      pairs: peers.pairs,
      keepsAll: () => this.#settings.content === 'all',
      clock
    })
    const { members } = peers
    const stored = { home, keys, machine, logs: kept, members, clock, log }
    this.#stores = await CustodyStores.open(stored)
    if (this.#closing !== undefined) return
    this.#network = new DriveNetwork({
      ...this.#parts,
      ...options,
      machine,
      kept,
      stores: this.#stores,
      files: this.#files,
      settings: () => this.#settings
    })
    this.#share = ProcessorShare.ofThisSession(clock)
    if (this.#share !== undefined) this.#parts.longWork.onStep = this.#share.stepped
  }

  async status(): Promise<DriveStatus> {
    const { keys, logs, replica, home, recovery } = this.#parts
    const { unflushedBytes, damagedEntries, failure } = replica.status
    const survival = await this.#network?.custody?.survival()
    const inFiles = [...this.#open].reduce((sum, vfs) => sum + vfs.unflushedBytes, 0)
    return {
      ...publicParts(keys),
      logs: logs.all.flatMap(epoch => logStatus(epoch, epoch === logs.current)),
      bytes: (await logs.bytesOnDisk()) + (await bytesIn(home.indexDirectory)),
      unflushedBytes: unflushedBytes + inFiles,
      damagedEntries,
      network: this.#networkStatus(),
      ...(survival !== undefined && { survival }),
      ...(recovery.isIncomplete && { problem: waitingText(recovery.count) }),
      ...(failure !== undefined && { problem: failure }),
      ...(this.#parts.lostEntries && { problem: LOST_ENTRIES })
    }
  }

  openVfs({ readOnly }: { readonly readOnly: boolean }): Promise<ServedVfs> {
    const { replica, home, clock, longWork } = this.#parts
    const { yieldToEventLoop } = longWork
    const statfs = () => diskStatus(home.directory)
    const custody = this.#custodyView
    const vfs = new DriveVfs({ replica, clock, readOnly, statfs, custody, yieldToEventLoop })
    this.#open.add(vfs)
    const close = async (): Promise<void> => {
      if (!this.#open.delete(vfs)) return
      longWork.isAsked = () => false
      vfs.close()
      await replica.sync()
    }
    return Promise.resolve({
      vfs,
      onServed: () => {
        longWork.filesUsed()
        this.#share?.used()
      },
      onMounted: ({ isAsked = () => false }) => {
        longWork.isAsked = isAsked
      },
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
    this.#settings = settings
    this.#network?.settingsChanged()
    this.#collector.collect().catch((error: unknown) => {
      this.#parts.log.write('collecting failed', error)
    })
  }

  async invite(options: { readonly minutes: number }): Promise<InviteAnswer> {
    await this.#connecting
    if (this.#network !== undefined) return this.#network.invite(options)
    throw new GroveError('FAILED', NETWORK_OFF)
  }

  async holders(): Promise<readonly HolderStatus[]> {
    return (await this.#custody()).holders()
  }

  async addHolder(request: HolderAddRequest): Promise<HolderStatus> {
    const custody = await this.#custody()
    try {
      return await custody.addHolder(request)
    } catch (error) {
      throw explainAddition(error)
    }
  }

  async *removeHolder(
    request: HolderRemoveRequest,
    signal: AbortSignal
  ): AsyncGenerator<HolderRemoveLine> {
    yield* (await this.#custody()).removeHolder(request, signal)
  }

  async keepHolder(holder: string): Promise<HolderStatus> {
    return (await this.#custody()).keepHolder(holder)
  }

  async trimHolders(request: TrimRequest): Promise<TrimAnswer> {
    return (await this.#custody()).trimHolders(request)
  }

  async ownHolder(request: OwnHolderRequest): Promise<OwnDriveAnswer> {
    return (await this.#custody()).ownHolder(request)
  }

  async redundancy(path: DrivePath, level?: string): Promise<RedundancyAnswer> {
    return (await this.#custody()).redundancy(path, level)
  }

  async explain(path: DrivePath): Promise<ExplainAnswer> {
    return (await this.#custody()).explain(path)
  }

  async devices(): Promise<readonly DeviceStatus[]> {
    await this.#connecting
    const { keys, peers } = this.#parts
    const network = this.#network
    if (network === undefined) return []
    const own = memberId(keys.deviceKeys.signing.publicKey)
    const members = peers.members.all()
    const ordered = [
      ...members.filter(each => each.id === own),
      ...members.filter(each => each.id !== own)
    ]
    return ordered.map(member => network.deviceStatus(member))
  }

  conflicts(): Iterable<ConflictStatus> {
    return this.#files.conflicts()
  }

  resolveConflict(path: DrivePath, keep: Keep): Promise<readonly JsonName[]> {
    return this.#files.resolveConflict(path, keep)
  }

  versions(path: DrivePath): Promise<readonly VersionStatus[]> {
    return this.#files.versions(path)
  }

  cat(path: DrivePath, version: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#files.cat(path, version, signal)
  }

  async syncStatus(): Promise<SyncStatus> {
    await this.#connecting
    return this.#network?.syncStatus ?? ALONE
  }

  async *catchUp(signal: AbortSignal): AsyncGenerator<SyncStatus> {
    await this.#connecting
    const network = this.#network
    if (network === undefined) return
    network.hurry()
    const graceMs = performance.now() + CONNECT_GRACE_MS
    for (;;) {
      this.#share?.used()
      yield network.syncStatus
      const isAlone = network.syncStatus.devices === 0 || performance.now() > graceMs
      if (network.isComplete && (network.isInformed || isAlone)) return
      if (signal.aborted || this.#closing !== undefined) return
      await delay(SYNC_TELL_MS)
    }
  }

  sync(): Promise<void> {
    return this.#parts.replica.sync()
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  /** What is known of copies; nothing while the network is off. */
  get #custodyView(): CustodyView {
    const view = (): CustodyView => this.#network?.custodyView ?? NOT_KEPT
    return {
      copiesOf: (blocks, redundancy) => view().copiesOf(blocks, redundancy),
      copiesOfDrive: () => view().copiesOfDrive(),
      whenDurable: request => view().whenDurable(request)
    }
  }

  async #custody(): Promise<NetworkCustody> {
    await this.#connecting
    const custody = this.#network?.custody
    if (custody !== undefined) return custody
    throw new GroveError('FAILED', NETWORK_OFF)
  }

  #networkStatus(): NetworkStatus {
    const { peers, replica, keys } = this.#parts
    const { quarantined, waiting } = replica.status
    const own = memberId(keys.deviceKeys.signing.publicKey)
    const others = peers.members.all().filter(({ id, isSuspended }) => id !== own && !isSuspended)
    const network = this.#network
    return {
      state: network === undefined ? 'off' : 'on',
      devices: others.length,
      online: network?.syncStatus.online ?? 0,
      missingBytes: network?.syncStatus.missingBytes ?? 0,
      waitingEntries: waiting,
      quarantined,
      refusedPeers: network?.refusedPeers ?? 0,
      ...(network?.problem !== undefined && { problem: network.problem })
    }
  }

  /** Only an end in which every step succeeded is clean. */
  async #close(): Promise<void> {
    const { replica, store, logs, peers } = this.#parts
    let end: 'clean' | 'broken' = 'broken'
    try {
      await this.#closeNetwork()
      await this.#collector.close()
      await replica.close()
      await peers.close()
      end = 'clean'
    } finally {
      await store.close()
      if (end === 'clean') await new IndexSeal(this.#parts.home).leave()
      await logs.close(end)
    }
  }

  async #closeNetwork(): Promise<void> {
    try {
      await this.#connecting
      this.#share?.close()
      await this.#parts.recovery.close()
      await this.#network?.close()
    } finally {
      await this.#stores?.close()
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

async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory)
  const sizes = await Promise.all(
    names.map(async name => (await stat(join(directory, name))).blocks * STAT_BLOCK_BYTES)
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
