/**
 * The logs of this device, opened: every epoch, oldest first, the last one to be appended to.
 *
 * Here is decided whether the device may go on in its old logs (`log-epoch.ts` says when not),
 * and the mark of a clean end is read, withdrawn and left.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import type { Random } from '../src/crypto/random.ts'
import { CleanMark, homeIdentity } from '../src/replication/clean-mark.ts'
import { epochNeeded, type EpochReason, type RunMark } from '../src/replication/log-epoch.ts'
import { LogHome } from '../src/replication/log-home.ts'
import type { HypercoreRemoteBlocks } from '../src/replication/remote-core.ts'
import { ReplicationError } from '../src/replication/replication-error.ts'
import type { BlockStore } from '../src/sync/block-store.ts'
import type { Clock } from '../src/sync/clock.ts'
import type { Log, LogKey } from '../src/sync/log.ts'
import type { Home } from './home.ts'
import {
  epochLog,
  nextEpoch,
  readEpochs,
  writeEpochs,
  type LogEpoch,
  type LogRole
} from './log-epochs.ts'

/** The two logs of an epoch. */
export interface EpochLogs {
  /** Which. */
  readonly epoch: LogEpoch
  /** Its operations. */
  readonly operationLog: Log
  /** Its content. */
  readonly contentLog: BlockStore
}

/** The two logs of an epoch that is not appended to any more. */
export interface EarlierLogs extends EpochLogs {
  /** Its content as other devices keep it: what was lost here is fetched from them. */
  readonly elsewhere: HypercoreRemoteBlocks
}

/** What is needed to open them. */
export interface DeviceLogsOptions {
  /** The home; the caller holds its lock. */
  readonly home: Home
  /** Its keys. */
  readonly keys: KeyFileContent
  /** For new epochs. */
  readonly random: Random
  /** Bounds how long closing takes. */
  readonly clock: Clock
  /** Starts a new epoch whatever the marks say: the logs were found to have lost entries. */
  readonly startAnew?: EpochReason
}

/** The open logs of this device. */
export class DeviceLogs {
  /** Every epoch before the current one; they are only read. */
  readonly earlier: readonly EarlierLogs[]
  /** The epoch that is appended to. */
  readonly current: EpochLogs
  /** Why a new epoch was started; false when the last one goes on, or is the first. */
  readonly reason: EpochReason | false
  /** Whether the last run ended without leaving its mark. */
  readonly wasUnclean: boolean
  /** Where all logs are, those of other devices too; closed with this. */
  readonly logHome: LogHome
  readonly #keeper: CleanMark
  readonly #mark: RunMark | undefined
  #closing: Promise<void> | undefined

  private constructor(opened: {
    readonly logHome: LogHome
    readonly earlier: readonly EarlierLogs[]
    readonly current: EpochLogs
    readonly reason: EpochReason | false
    readonly keeper: CleanMark
    readonly mark: RunMark | undefined
  }) {
    this.logHome = opened.logHome
    this.earlier = opened.earlier
    this.current = opened.current
    this.reason = opened.reason
    this.#keeper = opened.keeper
    this.#mark = opened.mark
    this.wasUnclean = opened.mark === undefined ? opened.reason !== false : !opened.mark.clean
  }

  /**
   * Opens the logs, with a new epoch if one is needed. Until {@link DeviceLogs.begin} nothing is
   * changed that a later start would miss.
   *
   * @throws {ReplicationError} `LOCKED`, `NO_SPACE`, `DAMAGED`, `IO`; {SyncError}; {GroveError}
   */
  static async open(options: DeviceLogsOptions): Promise<DeviceLogs> {
    const { home } = options
    const bootId = await readBootId()
    const { keeper, mark } = await CleanMark.take(home.directory, bootId)
    const known = await readEpochs(home.epochsFile)
    const { logHome, moved } = await openLogHome(home.logsDirectory, options.clock)
    try {
      const epochs: EpochLogs[] = []
      for (const epoch of known) epochs.push(await openEpoch(logHome, options, epoch))
      const lengths = lengthsOf(epochs)
      const identity = await homeIdentity(home.directory)
      const needed = moved ? 'moved' : epochNeeded({ mark, bootId, home: identity, lengths })
      const reason = needed === false ? (options.startAnew ?? false) : needed
      const last = reason === false ? epochs.pop() : undefined
      const current = last ?? (await startEpoch(logHome, options, epochs))
      const earlier: EarlierLogs[] = []
      for (const epoch of epochs) earlier.push(await withElsewhere(logHome, options, epoch))
      return new DeviceLogs({ logHome, earlier, current, reason, keeper, mark })
    } catch (error) {
      await logHome.close()
      throw error
    }
  }

  /** All epochs, the current one last. */
  get all(): readonly EpochLogs[] {
    return [...this.earlier, this.current]
  }

  /** Says that a run begins; before the first append, and before the index is changed. */
  async begin(): Promise<void> {
    await this.#keeper.begin(lengthsOf(this.all))
  }

  /** How many bytes the logs take on the disk. */
  bytesOnDisk(): Promise<number> {
    return this.logHome.bytesOnDisk()
  }

  /**
   * Closes the logs. Idempotent.
   *
   * @param end - `clean` when everything is synced: leaves the mark of a clean end; `unchanged`
   *   when nothing was appended: leaves the mark that was found; else `broken`
   * @throws {ReplicationError} `IO` when closing was cut short: then no mark is left
   */
  async close(end: 'clean' | 'unchanged' | 'broken'): Promise<void> {
    this.#closing ??= this.#close(end)
    await this.#closing
  }

  async #close(end: 'clean' | 'unchanged' | 'broken'): Promise<void> {
    const lengths = lengthsOf(this.all)
    if (end === 'clean') await this.logHome.sync()
    await this.logHome.close()
    const isClean = end === 'clean' || (end === 'unchanged' && this.#mark?.clean === true)
    if (isClean) await this.#keeper.leave(lengths)
  }
}

/** The statements that prove whose logs the epoch's are, for its first entry. */
export function epochStatements(keys: KeyFileContent, epoch: LogEpoch): readonly Uint8Array[] {
  const roles: readonly LogRole[] = ['operation', 'content']
  return roles.map(role => epochLog(keys, epoch, role).statement)
}

async function openLogHome(
  directory: string,
  clock: Clock
): Promise<{ readonly logHome: LogHome; readonly moved: boolean }> {
  try {
    return { logHome: await LogHome.open({ directory, clock }), moved: false }
  } catch (error) {
    if (!(error instanceof ReplicationError) || error.code !== 'MOVED') throw error
    return { logHome: await LogHome.open({ directory, allowMoved: true, clock }), moved: true }
  }
}

/**
 * Starts a new epoch. One at the end that was never written to is dropped, so that starts that
 * fail again and again leave no trace.
 *
 * @param epochs - those known; what is dropped is removed from it
 */
async function startEpoch(
  logHome: LogHome,
  options: DeviceLogsOptions,
  epochs: EpochLogs[]
): Promise<EpochLogs> {
  const epoch = nextEpoch(epochs.at(-1)?.epoch, options.random)
  while (isEmpty(epochs.at(-1))) epochs.pop()
  await writeEpochs(options.home.epochsFile, [...epochs.map(each => each.epoch), epoch])
  return openEpoch(logHome, options, epoch)
}

async function openEpoch(
  logHome: LogHome,
  { keys }: DeviceLogsOptions,
  epoch: LogEpoch
): Promise<EpochLogs> {
  return {
    epoch,
    operationLog: await logHome.openLog(epochLog(keys, epoch, 'operation')),
    contentLog: await logHome.openBlockStore(epochLog(keys, epoch, 'content'))
  }
}

async function withElsewhere(
  logHome: LogHome,
  { keys }: DeviceLogsOptions,
  logs: EpochLogs
): Promise<EarlierLogs> {
  const identity = epochLog(keys, logs.epoch, 'content')
  return { ...logs, elsewhere: await logHome.openOwnBlocksElsewhere(identity) }
}

function isEmpty(logs: EpochLogs | undefined): boolean {
  return logs !== undefined && logs.operationLog.length === 0 && logs.contentLog.length === 0
}

function lengthsOf(epochs: readonly EpochLogs[]): ReadonlyMap<LogKey, number> {
  const logs = epochs.flatMap(({ operationLog, contentLog }) => [operationLog, contentLog])
  return new Map(logs.map(log => [log.key, log.length]))
}

/** Where the system has no boot id, every start counts as one after a boot: the safe way. */
async function readBootId(): Promise<string> {
  return readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    text => text.trim(),
    () => randomUUID()
  )
}
