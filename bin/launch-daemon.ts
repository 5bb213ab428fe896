/**
 * Starts a daemon in the background and waits until its folder answers.
 *
 * The daemon is this same program in the foreground, in a session of its own, with `/` as its
 * directory. The opened keys go to its standard input; what happens comes back as
 * {@link LaunchMessage}s.
 *
 * @module
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { MountRequest, MountedStatus } from './api.ts'
import { FILE_MODE } from './atomic-file.ts'
import { GroveError } from './grove-error.ts'
import type { Environment, Home } from './home.ts'
import { SILENCE_MS_MAX, type LaunchMessage } from './launch-message.ts'
import type { Progress } from './progress-bar.ts'

/** The program as it is installed, beside this file. */
const PROGRAM = fileURLToPath(new URL('grove.js', import.meta.url))

/** What to start, and whom to tell. */
export interface LaunchOptions {
  /** The home to serve. */
  readonly home: Home
  /** What to mount. */
  readonly request: MountRequest
  /** The opened keys, as `packKeys` makes them; only read, until the promise settles. */
  readonly keys: Uint8Array
  /** Passed on to the daemon. */
  readonly environment: Environment
  /** Gives up and ends the daemon when aborted. */
  readonly signal: AbortSignal
  /** Told how far a long start has got. */
  readonly onProgress: (progress: Progress) => void
}

/**
 * Starts a daemon; it outlives this process.
 *
 * @returns once the folder answers
 * @throws {GroveError} what the daemon said, or `NO_ANSWER` when it ended or got stuck without
 *   a word
 */
export async function launchDaemon(options: LaunchOptions): Promise<MountedStatus> {
  const child = start(options)
  try {
    const mounted = await outcome(child, options)
    child.disconnect()
    child.unref()
    return mounted
  } catch (error) {
    child.kill('SIGTERM')
    if (child.connected) child.disconnect()
    child.unref()
    throw error
  }
}

function start(options: LaunchOptions): ChildProcess {
  const { home, request, keys, environment } = options
  const log = openSync(home.logFile, 'a', FILE_MODE)
  try {
    const flags = [
      ...(request.readOnly ? ['--read-only'] : []),
      ...(request.allowOther ? ['--allow-other'] : [])
    ]
    const child = spawn(
      process.execPath,
      [
        PROGRAM,
        'mount',
        '--launched',
        '--driver',
        request.driver,
        ...flags,
        '--',
        request.directory
      ],
      {
        cwd: '/',
        detached: true,
        stdio: ['pipe', log, log, 'ipc'],
        env: { ...environment, GROVE_HOME: home.directory }
      }
    )
    // A child that ends before it has read is noticed by its exit.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(keys)
    return child
  } finally {
    closeSync(log)
  }
}

function outcome(child: ChildProcess, options: LaunchOptions): Promise<MountedStatus> {
  const { home, signal, onProgress } = options
  return new Promise((resolve, reject) => {
    let silence: NodeJS.Timeout
    const heard = (): void => {
      clearTimeout(silence)
      silence = setTimeout(() => fail('gives no sign of life'), SILENCE_MS_MAX)
    }
    const settle = (): void => {
      clearTimeout(silence)
      signal.removeEventListener('abort', aborted)
      child.removeAllListeners()
    }
    const fail = (what: string): void => {
      settle()
      reject(new GroveError('NO_ANSWER', `the daemon ${what}; see ${home.logFile}`))
    }
    const aborted = (): void => {
      settle()
      reject(new GroveError('FAILED', 'interrupted; the daemon was told to end'))
    }
    heard()
    signal.addEventListener('abort', aborted, { once: true })
    child.once('error', error => fail(`cannot be started (${error.message})`))
    child.once('exit', (code, signalName) => fail(`ended at once (${signalName ?? code ?? '?'})`))
    child.on('message', value => {
      const message = value as LaunchMessage
      heard()
      if (message.kind === 'progress') onProgress(message.progress)
      if (message.kind === 'mounted') {
        settle()
        resolve(message.mounted)
      }
      if (message.kind === 'failed') {
        settle()
        reject(new GroveError(message.code, message.message))
      }
    })
  })
}
