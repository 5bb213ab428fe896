/**
 * How much more a keeper keeps for a person than that person keeps for its owner, and when it is
 * too much.
 *
 * Work is what was kept times for how long. Without a bound a keeper takes whatever fits the
 * quota. With one it refuses further blocks from whoever is too far behind, the sooner the less
 * room is left: an almost empty disk lends freely, a full one to those who give as much.
 *
 * @module
 */

/** What an owner accepts. */
export interface ImbalanceBound {
  /** By how much a person may be behind while the disk is empty, in MiB times seconds. */
  readonly mibSecondsMax: number
  /** How much of the keeper's space is free, from 0 to 1. */
  readonly freeShare: () => number
  /** How much a person has kept for the owner, in MiB times seconds. */
  readonly receivedMibSeconds: (identity: Uint8Array) => number
}

/**
 * Whether more is kept for a person.
 *
 * @param givenMibSeconds - how much was kept for them
 */
export function acceptsMore(
  bound: ImbalanceBound | undefined,
  identity: Uint8Array,
  givenMibSeconds: number
): boolean {
  if (bound === undefined) return true
  const share = Math.min(1, Math.max(0, bound.freeShare()))
  return givenMibSeconds - bound.receivedMibSeconds(identity) <= bound.mibSecondsMax * share
}
