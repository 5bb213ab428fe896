/**
 * Starts this same program in the background, in a session of its own, with `/` as its directory,
 * and waits until it says that it is ready. What happens comes back as {@link LaunchMessage}s.
 *
 * @module
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { FILE_MODE } from './atomic-file.ts'
import { GroveError } from './grove-error.ts'
import type { Environment } from './home.ts'
import { SILENCE_MS_MAX, type LaunchMessage } from './launch-message.ts'

/** The program as it is installed, beside this file. */
const PROGRAM = fileURLToPath(new URL('grove.js', import.meta.url))

/** What to start, and whom to tell. */
export interface ProcessLaunch<Ready> {
  /** The home it works in, and where it writes. */
  readonly home: { readonly directory: string; readonly logFile: string }
  /** Flags of node. */
  readonly nodeFlags?: readonly string[]
  /** The command line. */
  readonly words: readonly string[]
  /** Given to its standard input; only read, until the promise settles. */
  readonly input?: Uint8Array
  /** Passed on. */
  readonly environment: Environment
  /** Gives up and ends the process when aborted. */
  readonly signal: AbortSignal
  /** Told of each message. @returns what the process said when it is ready */
  readonly onMessage: (message: LaunchMessage) => Ready | undefined
}

/**
 * Starts a process; it outlives this one.
 *
 * @returns once it is ready
 * @throws {GroveError} what it said, or `NO_ANSWER` when it ended or got stuck without a word
 */
export async function launchProcess<Ready>(launch: ProcessLaunch<Ready>): Promise<Ready> {
  const child = start(launch)
  try {
    const ready = await outcome(child, launch)
    child.disconnect()
    child.unref()
    return ready
  } catch (error) {
    child.kill('SIGTERM')
    if (child.connected) child.disconnect()
    child.unref()
    throw error
  }
}

function start<Ready>(launch: ProcessLaunch<Ready>): ChildProcess {
  const { home, nodeFlags = [], words, input, environment } = launch
  const log = openSync(home.logFile, 'a', FILE_MODE)
  try {
    const child = spawn(process.execPath, [...nodeFlags, PROGRAM, ...words], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', log, log, 'ipc'],
      env: { ...environment, GROVE_HOME: home.directory }
    })
    // A child that ends before it has read is noticed by its exit.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
    return child
  } finally {
    closeSync(log)
  }
}

function outcome<Ready>(child: ChildProcess, launch: ProcessLaunch<Ready>): Promise<Ready> {
  const { home, signal, onMessage } = launch
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
      if (message.kind === 'failed') {
        settle()
        return reject(new GroveError(message.code, message.message))
      }
      const ready = onMessage(message)
      if (ready === undefined) return
      settle()
      resolve(ready)
    })
  })
}
