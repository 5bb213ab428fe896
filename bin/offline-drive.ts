/**
 * A drive opened by a command itself, while no daemon serves the home.
 *
 * @module
 */
import type { Context } from './command.ts'
import { DaemonLog } from './daemon-log.ts'
import { exitWhenInterrupted } from './exit-when-interrupted.ts'
import type { Home } from './home.ts'
import { HomeLock } from './home-lock.ts'
import { openDrive } from './open-drive.ts'
import { ProgressBar } from './progress-bar.ts'
import type { ServedDrive } from './served-drive.ts'
import { unlockKeys } from './unlock-keys.ts'

/** Which drive, and for whom. */
export interface OfflineOptions {
  /** Whom to ask for the passphrase and to show progress. */
  readonly context: Context
  /** The home; checked. */
  readonly home: Home
  /** The name of the command, for whoever finds the home locked. */
  readonly command: string
  /** Throws the index away first. */
  readonly rebuildIndex?: boolean
}

/**
 * Opens the drive, works with it, and closes it whatever happens.
 *
 * @throws {GroveError} `LOCKED` when another process works on the home; and as `openDrive` does
 */
export async function withOfflineDrive<T>(
  options: OfflineOptions,
  work: (drive: ServedDrive) => Promise<T>
): Promise<T> {
  const { context, home, command, rebuildIndex = false } = options
  const keys = await unlockKeys(home, context)
  const lock = await HomeLock.acquire(home.lockFile, { pid: process.pid, command })
  const bar = new ProgressBar(context.stderr, 'Reading the logs')
  try {
    const log = new DaemonLog(home.logFile)
    log.write(`grove ${command}`)
    const onProgress = bar.update.bind(bar)
    const drive = await exitWhenInterrupted({
      signal: context.signal,
      say: () => context.stderr.write('grove: interrupted\n'),
      work: () => openDrive({ home, keys, log, onProgress, rebuildIndex })
    })
    bar.end()
    try {
      return await work(drive)
    } finally {
      await drive.close()
    }
  } finally {
    bar.end()
    await lock.release()
  }
}
