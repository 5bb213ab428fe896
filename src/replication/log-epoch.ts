/**
 * When a device must go on in new logs.
 *
 * A log that lost its tail and is appended to again contradicts what peers have seen, and they
 * freeze it for good. So whenever the tail may be lost, or another copy of the home may be
 * appending too, the device starts a new epoch: a new pair of logs. And only then, for every
 * log that ever was stays in the heads of the drive.
 *
 * @module
 */
import type { LogKey } from '../sync/log.ts'

/** What tells a home from a copy of it. */
export interface HomeIdentity {
  /** Number of the device it is on. Some file systems give another at each mount. */
  readonly device: string
  /** Number of its inode. A copy has another. */
  readonly inode: string
  /** When the inode was made, in nanoseconds; not every file system knows. */
  readonly born: string
}

/** What a home remembers of its last run. */
export interface RunMark {
  /** Whether the run ended with everything synced, and so wrote this mark. */
  readonly clean: boolean
  /** The boot of the machine in which it ran; another one after every start of the machine. */
  readonly bootId: string
  /** Where the home was. */
  readonly home: HomeIdentity
  /** How long its logs were at least: at its end if clean, else at its start. */
  readonly lengths: ReadonlyMap<LogKey, number>
}

/** What {@link epochNeeded} judges. */
export interface EpochEvidence {
  /** What the last run left; undefined when there is no mark or it cannot be read. */
  readonly mark: RunMark | undefined
  /** The boot of the machine in which we run. */
  readonly bootId: string
  /** Where the home is now. */
  readonly home: HomeIdentity
  /** How long this device's logs are now. */
  readonly lengths: ReadonlyMap<LogKey, number>
}

/**
 * Why a new epoch is needed:
 * - `unmarked`: there are logs and no mark, as in a home restored in part.
 * - `moved`: the home was moved or copied; a copy of it may be in use.
 * - `shorter`: a log is not as long as it was; its tail is lost.
 * - `power-lost`: the machine started anew and the last run did not end cleanly; the tail may
 *   be lost.
 * - `outrun`: another device knows entries of a log that are not here; found out while running.
 */
export type EpochReason = 'unmarked' | 'moved' | 'shorter' | 'power-lost' | 'outrun'

/**
 * Decides whether this device must start new logs before it appends. A `kill -9` alone is no
 * reason: what was appended is in the hands of the kernel.
 *
 * @returns the reason, or false when the old logs may go on
 */
export function epochNeeded({ mark, bootId, home, lengths }: EpochEvidence): EpochReason | false {
  if (mark === undefined) return lengths.size > 0 ? 'unmarked' : false
  if (!isSameHome(mark.home, home)) return 'moved'
  for (const [key, length] of mark.lengths) if ((lengths.get(key) ?? 0) < length) return 'shorter'
  if (!mark.clean && mark.bootId !== bootId) return 'power-lost'
  return false
}

/**
 * Whether two identities are of one place. The inode must be the same. The time of its making
 * tells equal inode numbers of two disks apart; where the file system does not keep it, the
 * device number does.
 */
export function isSameHome(left: HomeIdentity, right: HomeIdentity): boolean {
  if (left.inode !== right.inode) return false
  return left.born === right.born || left.device === right.device
}
