/**
 * Waiting, but not for ever.
 *
 * @module
 */
import type { Clock, Timer } from '../sync/clock.ts'

/**
 * Waits for something, no longer than so many milliseconds. It goes on after that.
 *
 * @param clock - without one there is no limit
 * @returns false when it was not over by then
 * @throws what it throws until then
 */
export async function endsInTime(
  step: Promise<unknown>,
  ms: number,
  clock: Clock | undefined
): Promise<boolean> {
  let timer: Timer | undefined
  const late = new Promise<boolean>(resolve => {
    timer = clock?.after(ms, () => resolve(false))
  })
  try {
    return await Promise.race([step.then(() => true), late])
  } finally {
    timer?.cancel()
  }
}
