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
  readonly peers: readonly Pick<PeerStatus, 'connected' | 'heads'>[]
  /** Logs that are merged no further because their next entry breaks the rules. */
  readonly quarantined: Iterable<LogKey>
}

/** How many entries are missing. */
export interface MissingEntries {
  /** Those that come when a device brings them. */
  readonly missing: number
  /** Of these those that no connected device has. */
  readonly away: number
  /** Others, which are never merged: an entry before them breaks the rules. */
  readonly refused: number
}

/** Counts what is missing. */
export function missingEntriesOf(known: KnownEntries): MissingEntries {
  const { merged, arrived, peers } = known
  const quarantined = new Set(known.quarantined)
  const online = peers.filter(peer => peer.connected)
  // What a connected peer has merged is known of, also when its log is not open here yet.
  const logs = new Set([...known.announced, ...online.flatMap(peer => [...peer.heads.keys()])])
  let [missing, away, refused] = [0, 0, 0]
  for (const log of logs) {
    const here = merged.get(log) ?? 0
    const count = Math.max(0, lengthAmong(peers, log, arrived(log)) - here)
    if (quarantined.has(log)) refused += count
    else {
      missing += count
      away += count - Math.max(0, lengthAmong(online, log, arrived(log)) - here)
    }
  }
  return { missing, away, refused }
}

/** As far as any of some devices said that a log goes, or as has arrived here. */
export function lengthAmong(
  peers: readonly Pick<PeerStatus, 'heads'>[],
  log: LogKey,
  arrived: number
): number {
  return Math.max(arrived, ...peers.map(({ heads }) => heads.get(log) ?? 0))
}
