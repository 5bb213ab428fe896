/**
 * Starts a daemon in the background and waits until its folder answers. The opened keys go to its
 * standard input.
 *
 * @module
 */
import type { MountRequest, MountedStatus } from './api.ts'
import type { Environment, Home } from './home.ts'
import { launchProcess } from './launch-process.ts'
import type { Progress } from './progress-bar.ts'

/**
 * One thread beside the main one makes code faster and collects garbage: four of them, which is
 * node's default, took a third of a machine with two processors from the merges of two devices. The
 * main thread collects young objects alone, in small portions: it must not wait for a helper that
 * waits for a processor (110 ms, of which it computed 1). In a daemon that has just started the
 * helper compiled for half of a merge's time what had run a few times; what is not compiled until
 * it has run five times as often leaves the processor to the merge. With `--foreground` node is
 * started by whoever starts Grove, and has its usual flags.
 */
const NODE_FLAGS = [
  '--v8-pool-size=1',
  '--no-parallel-scavenge',
  '--max-semi-space-size=8',
  '--interrupt-budget=350000'
]

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
  const { home, request, keys, environment, signal, onProgress } = options
  const flags = [
    ...(request.readOnly ? ['--read-only'] : []),
    ...(request.allowOther ? ['--allow-other'] : [])
  ]
  return launchProcess({
    home,
    nodeFlags: NODE_FLAGS,
    words: ['mount', '--launched', '--driver', request.driver, ...flags, '--', request.directory],
    input: keys,
    environment,
    signal,
    onMessage: message => {
      if (message.kind === 'progress') onProgress(message.progress)
      return message.kind === 'mounted' ? message.mounted : undefined
    }
  })
}
