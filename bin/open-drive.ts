/**
 * The composition of a drive: logs, peers, index, replica, opened in the order in which they need
 * each other and closed in the reverse. The network comes later, with `OpenedDrive.connect`.
 *
 * @module
 */
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import type { EpochReason } from '../src/replication/log-epoch.ts'
import type { Clock } from '../src/sync/clock.ts'
import type { Operation } from '../src/sync/operation.ts'
import { SyncError } from '../src/sync/sync-error.ts'
import type { DaemonLog } from './daemon-log.ts'
import { DeviceLogs, epochStatements } from './device-logs.ts'
import { DrivePeers } from './drive-peers.ts'
import type { Home } from './home.ts'
import { openIndexed } from './open-index.ts'
import { OpenedDrive } from './opened-drive.ts'
import { PendingRecovery } from './pending-recovery.ts'
import type { Progress } from './progress-bar.ts'
import { readSettings } from './settings.ts'
import { SystemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'

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
  /** Starts a new log epoch, for this reason, whatever the logs look like. */
  readonly startAnew?: EpochReason
}

/** One clock for everything, so that times are in order. */
const clock: Clock = new SystemClock()

/**
 * Opens the drive of a home.
 *
 * @throws {SyncError} `NEWER_FORMAT`, `IO`, `NO_SPACE`; {ReplicationError} `LOCKED`, `DAMAGED`;
 *   {GroveError} `DAMAGED`. Then everything is closed again.
 */
export async function openDrive(options: OpenDriveOptions): Promise<OpenedDrive> {
  try {
    return await openEpochs(options, false)
  } catch (error) {
    if (!(error instanceof SyncError) || error.code !== 'DIVERGED') throw error
    // Going on in logs that lost entries would write others in their place.
    options.log.write('the logs have lost entries that the index knew; going on in new logs', error)
    return await openEpochs({ ...options, startAnew: 'shorter' }, true)
  }
}

/** @param lostEntries - whether this start found that the logs had lost entries */
async function openEpochs(options: OpenDriveOptions, lostEntries: boolean): Promise<OpenedDrive> {
  const { home, log, keys, startAnew, onProgress } = options
  const settings = await readSettings(home.settingsFile)
  const anew = startAnew === undefined ? {} : { startAnew }
  const recovery = await PendingRecovery.open({ home, clock, log })
  const logs = await DeviceLogs.open({ home, keys, random: systemRandom, clock, ...anew })
  if (logs.reason !== false) log.write(`new log epoch ${logs.current.epoch.number}: ${logs.reason}`)
  try {
    const peers = await DrivePeers.open({ home, keys, logs, log })
    await logs.begin()
    const discardIndex = options.rebuildIndex === true || logs.reason !== false
    const remotes = peers.pairs.remotes
    const indexed = await openIndexed({
      ...{ home, keys, log, clock, logs, remotes },
      discardIndex,
      onProgress
    })
    if (logs.current.operationLog.length === 0)
      for (const bytes of epochStatements(keys, logs.current.epoch))
        indexed.replica.execute({ type: 'statement', bytes })
    return new OpenedDrive({
      recovery,
      home,
      keys,
      log,
      clock,
      logs,
      peers,
      settings,
      lostEntries,
      ...indexed
    })
  } catch (error) {
    await recovery.close()
    await logs.close('unchanged')
    throw error
  }
}

/**
 * Makes the logs of a new drive, or of a new device of one, before the home has a key file.
 *
 * @param operations - the first of the log; durable when this resolves
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
