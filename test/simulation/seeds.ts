/**
 * Seeds that once showed a bug, and are run again each time.
 *
 * @module
 */

/** The seeds, each with a comment on what it showed. */
export const KEPT_SEEDS: readonly number[] = []
