/**
 * Waiting for the end of a process that was told to end.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { GroveError } from './grove-error.ts'
import { isProcessAlive } from './process-alive.ts'

/** How long a process that has saved everything may take to end, in milliseconds. */
export const GONE_MS_MAX = 10_000

const LOOK_MS = 20

/** Waits until a process is gone. @throws {GroveError} `NO_ANSWER` when it does not end */
export async function waitUntilGone(pid: number): Promise<void> {
  const deadlineMs = performance.now() + GONE_MS_MAX
  while (isProcessAlive(pid)) {
    if (performance.now() > deadlineMs)
      throw new GroveError(
        'NO_ANSWER',
        `process ${pid} has saved everything but does not end; end it with: kill ${pid}`
      )
    await delay(LOOK_MS)
  }
}
