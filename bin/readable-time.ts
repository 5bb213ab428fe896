/**
 * Times for people.
 *
 * @module
 */

/** A time to the second, in UTC. @param ms - since 1970 */
export function readableTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
