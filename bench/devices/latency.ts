/**
 * What is watched with a latency client, and what it prints.
 *
 * @module
 */

/** Something in a mount that shows how far a merge has come. */
export interface Mark {
  /** The file that is there and not empty, or the directory. */
  readonly path: string
  /** How many names the directory has at least; absent for a file. */
  readonly names?: number
}

/** How a merge shows. */
export interface Marks {
  /** What the first batch brings. */
  readonly first: Mark
  /** What the last one brings. */
  readonly last: Mark
}

/** What was watched, in milliseconds. */
export interface Latency {
  /**
   * The longest that a call was held up: without what the program itself waited for a processor,
   * which is the machine's doing.
   */
  readonly held: number
  /** How long the daemon's main thread computed from before that call to after it. */
  readonly computed: number
  /** How long that thread waited for a processor meanwhile. */
  readonly queued: number
  /** How long the longest call took, with what the program waited for a processor. */
  readonly call: number
  /** How long the longest round of five calls took. */
  readonly round: number
  /** How long the merge took, from the last look that showed nothing of it; or the given time. */
  readonly took: number
}
