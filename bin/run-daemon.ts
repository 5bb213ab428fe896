/**
 * The life of a daemon's process: lock, drive, socket, mount, and an end that is always the
 * same, whether a signal, a request, a foreign `umount` or a fault brings it.
 *
 * @module
 */
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import type { EpochReason } from '../src/replication/log-epoch.ts'
import type { MountRequest, MountedStatus } from './api.ts'
import { Daemon, END_MS_MAX } from './daemon.ts'
import { DaemonLog } from './daemon-log.ts'
import { exitWhenInterrupted } from './exit-when-interrupted.ts'
import type { Environment, Home } from './home.ts'
import { HomeLock } from './home-lock.ts'
import type { MountTools } from './mounts.ts'
import { readNetworkOptions } from './network-environment.ts'
import type { Progress } from './progress-bar.ts'
import type { ServedDrive } from './served-drive.ts'
import { chooseSocketPath } from './socket-path.ts'

/** How to open the drive; it reports to the log. */
export type OpenDrive = (options: {
  readonly home: Home
  readonly keys: KeyFileContent
  readonly log: DaemonLog
  readonly onProgress: (progress: Progress) => void
  readonly startAnew?: EpochReason
}) => Promise<ServedDrive>

/** What to run. */
export interface RunOptions {
  /** The home to serve; checked. */
  readonly home: Home
  /** Its keys. */
  readonly keys: KeyFileContent
  /** What to mount first. */
  readonly request: MountRequest
  /** Environment variables. */
  readonly environment: Environment
  /** How to open the drive. */
  readonly openDrive: OpenDrive
  /** How to mount. */
  readonly tools: MountTools
  /** Ends the daemon when aborted. */
  readonly signal: AbortSignal
  /** Whether the daemon also ends when its folder is unmounted by somebody else. */
  readonly endsWithMount: boolean
  /** Told each line of the log, if given. */
  readonly echo?: (line: string) => void
  /** Told how far a long start has got. */
  readonly onProgress: (progress: Progress) => void
  /** Told when the folder answers. */
  readonly onMounted: (mounted: MountedStatus) => void | Promise<void>
}

/**
 * Runs a daemon to its end.
 *
 * @returns the exit code of the process
 * @throws {GroveError} `LOCKED`, and whatever opening or mounting met; then all is undone
 */
export async function runDaemon(options: RunOptions): Promise<number> {
  // The process keeps no folder busy, least of all the one it is about to mount on.
  process.chdir('/')
  const { home } = options
  const lock = await HomeLock.acquire(home.lockFile, { pid: process.pid, command: 'mount' })
  try {
    await home.makePrivate()
    const log = new DaemonLog(home.logFile, options.echo)
    log.write('starting')
    try {
      return await serve(options, lock, log)
    } catch (error) {
      log.write('could not start', error)
      throw error
    }
  } finally {
    await lock.release()
  }
}

async function serve(options: RunOptions, lock: HomeLock, log: DaemonLog): Promise<number> {
  const { home, keys, tools, signal, onProgress } = options
  const network = readNetworkOptions(options.environment)
  const drive = await exitWhenInterrupted({
    signal,
    say: () => log.write('interrupted while opening the drive'),
    work: () => options.openDrive({ home, keys, log, onProgress })
  })
  const renewDrive = () =>
    options.openDrive({ home, keys, log, onProgress: () => undefined, startAnew: 'outrun' })
  const daemon = new Daemon({ home, drive, renewDrive, tools, log })
  const unwatch = watchFaults(daemon, log)
  const endOnSignal = (): void => void endInTime(daemon, log, 'a signal')
  signal.addEventListener('abort', endOnSignal, { once: true })
  try {
    const socket = await chooseSocketPath(home, options.environment)
    await daemon.listen(socket)
    await lock.describe({ pid: process.pid, command: 'mount', socket })
    if (options.endsWithMount)
      daemon.mounts.onUnmountedElsewhere = () => void endInTime(daemon, log, 'unmounted')
    await options.onMounted(await daemon.mount(options.request))
    daemon.connect(network)
    if (signal.aborted) endOnSignal()
  } catch (error) {
    await daemon.end('the start failed')
    throw error
  }
  const problem = await daemon.ended
  unwatch()
  signal.removeEventListener('abort', endOnSignal)
  return problem === undefined ? 0 : 1
}

/** Ends the daemon; a disk or a kernel that never answers must not keep the process. */
async function endInTime(daemon: Daemon, log: DaemonLog, why: string): Promise<void> {
  const timer = setTimeout(() => {
    log.write('the end takes too long; giving up')
    process.exit(1)
  }, END_MS_MAX)
  await daemon.end(why)
  clearTimeout(timer)
}

/**
 * A fault that nobody caught leaves the process in a state that nobody foresaw: what was written
 * is saved, the folder is unmounted, and no mark of a clean end is left.
 */
function watchFaults(daemon: Daemon, log: DaemonLog): () => void {
  const fault = (error: unknown): void => {
    log.write('fault', error)
    setTimeout(() => process.exit(1), END_MS_MAX)
    void daemon.abandon().finally(() => process.exit(1))
  }
  process.on('uncaughtException', fault)
  process.on('unhandledRejection', fault)
  return () => {
    process.off('uncaughtException', fault)
    process.off('unhandledRejection', fault)
  }
}
