/**
 * What is watched with a latency client, and what it prints.
 *
 * @module
 */

/** Something that shows in a mount how far a merge has come. */
export interface Sight {
  /** The file that is there and not empty, or the directory. */
  readonly path: string
  /** How many names the directory has at least; absent for a file. */
  readonly names?: number
}

/** When a merge begins and when it is over. */
export interface Sights {
  /** Shows what the first batch brings. */
  readonly first: Sight
  /** Shows what the last one brings. */
  readonly last: Sight
}

/** What was watched, in milliseconds. */
export interface Latency {
  /** How long the longest call was held up: without what the program waited for a processor. */
  readonly held: number
  /** How long the daemon's main thread computed meanwhile. */
  readonly computed: number
  /** How long that thread waited for a processor. */
  readonly queued: number
  /** How long the longest call took, with what the program waited for a processor. */
  readonly call: number
  /** How long the longest round of five calls took. */
  readonly round: number
  /** How long all of it took. */
  readonly merge: number
}
