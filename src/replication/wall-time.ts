/**
 * Wall time as statements carry it.
 *
 * @module
 */
import type { Clock } from '../sync/clock.ts'

/** What time it is, in whole milliseconds since 1970. */
export function nowMs(clock: Pick<Clock, 'now'>): number {
  const { sec, nsec } = clock.now()
  return sec * 1000 + Math.floor(nsec / 1_000_000)
}
