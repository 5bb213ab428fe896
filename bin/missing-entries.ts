/**
 * Which entries of operation logs are known of and not merged here, and whether they can come.
 *
 * @module
 */
import type { PeerStatus } from '../src/replication/replication.ts'
import type { LogKey } from '../src/sync/log.ts'

/** What is known of operation logs. */
export interface KnownEntries {
  /** How far each is merged here. */
  readonly merged: ReadonlyMap<LogKey, number>
  /** How many entries of a log have arrived here, without a gap. */
  readonly arrived: (log: LogKey) => number
  /** Logs that were announced here. */
  readonly announced: Iterable<LogKey>
  /** The other devices, and how far each said that it has merged. */
  readonly peers: readonly Pick<PeerStatus, 'connected' | 'heads' | 'hasToldHeads'>[]
  /** Logs that are merged no further: their next entry breaks the rules, or is of a newer format. */
  readonly quarantined: Iterable<LogKey>
}

/** How many entries are missing. */
export interface MissingEntries {
  /** Those of logs that are merged. */
  readonly missing: number
  /**
   * Of these those that no connected device has; 0 while one of them has not said what it has.
   * A holder may still bring them.
   */
  readonly unreachable: number
  /** Those of quarantined logs, which come neither now nor by waiting. */
  readonly quarantined: number
}

/** Counts what is missing. */
export function missingEntriesOf(known: KnownEntries): MissingEntries {
  const { merged, arrived, peers } = known
  const inQuarantine = new Set(known.quarantined)
  const online = peers.filter(peer => peer.connected)
  // What a connected peer has merged is known of, also when its log is not open here yet.
  const logs = new Set([...known.announced, ...online.flatMap(peer => [...peer.heads.keys()])])
  let [missing, reachable, quarantined] = [0, 0, 0]
  for (const log of logs) {
    const here = merged.get(log) ?? 0
    const count = Math.max(0, lengthAmong(peers, log, arrived(log)) - here)
    if (inQuarantine.has(log)) quarantined += count
    else {
      missing += count
      reachable += Math.max(0, lengthAmong(online, log, arrived(log)) - here)
    }
  }
  const isInformed = online.every(peer => peer.hasToldHeads)
  return { missing, unreachable: isInformed ? missing - reachable : 0, quarantined }
}

/** How long a log is as far as is known: what any of the devices said, or what has arrived here. */
export function lengthAmong(
  peers: readonly Pick<PeerStatus, 'heads'>[],
  log: LogKey,
  arrived: number
): number {
  return Math.max(arrived, ...peers.map(({ heads }) => heads.get(log) ?? 0))
}
