/**
 * Releases that were handed over to a keeper: kept until they take effect or are cancelled.
 *
 * A release by a device takes effect {@link RELEASE_DELAY_MS} after it came here, by this
 * computer's clock, whatever it says itself; one by the identity at once. Until then every member
 * may cancel it, and so may a cancelling that comes first. When the device that signed is
 * suspended meanwhile it has no effect.
 *
 * @module
 */
import { logWindowName } from '../crypto/log-window.ts'
import { RELEASE_DELAY_MS, openCancel, openRelease, type Release } from '../crypto/release.ts'
import { equalBytes } from '../crypto/sodium.ts'
import { decodeStatement } from '../crypto/statement.ts'
import {
  emptyBitmap,
  intersection,
  isEmptyBitmap,
  union,
  type BlockSet
} from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import { logKey } from '../sync/log.ts'
import { memberId, type Members } from '../sync/members.ts'
import type { KeeperRecords, ReleaseRow, WindowPlace } from './keeper-records.ts'
import { ReplicationError } from './replication-error.ts'
import { nowMs } from './wall-time.ts'

/** How many releases and cancellings of one person are kept at most. */
export const RELEASES_MAX = 256

/** How long ago a release may have been signed when it comes, and how long it is kept then. */
export const RELEASE_AGE_MS_MAX: number = 30 * 24 * 60 * 60 * 1000

const CANCEL_DOMAIN = 'custody/cancel'
const NO_STATEMENT = new Uint8Array(0)

/** What releases are judged by; all borrowed. */
export interface KeeperReleasesParts {
  /** Where they are kept. */
  readonly records: KeeperRecords
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** Who may release. */
  readonly members: Members
  /** The keeper's signing key, 32 bytes. */
  readonly keeper: Uint8Array
  /** Time. */
  readonly clock: Clock
}

/** What may be dropped of a window, with the locks of others. */
export interface ExcessLeave {
  /** Which blocks. */
  readonly bitmap: Uint8Array
  /** Locks of how many others it takes. */
  readonly floor: number
}

/** A release that has taken effect, or will. */
interface KnownRelease {
  readonly key: Uint8Array
  readonly row: ReleaseRow
  readonly release: Release
}

/** See the module. */
export class KeeperReleases {
  readonly #parts: KeeperReleasesParts

  /** @param parts - borrowed */
  constructor(parts: KeeperReleasesParts) {
    this.#parts = parts
  }

  /**
   * Takes a release or a cancelling.
   *
   * @param bytes - from anyone
   * @throws {CryptoError} when it is neither
   * @throws {ReplicationError} `REFUSED`, `FULL`
   * @throws {SyncError} of the disk
   */
  async add(bytes: Uint8Array): Promise<void> {
    const isCancel = decodeStatement(bytes).domain === CANCEL_DOMAIN
    await (isCancel ? this.#cancel(bytes) : this.#release(bytes))
  }

  /**
   * The first release that waits after another, in the order of their hashes: every device may see
   * what any of them ordered, and cancel it.
   *
   * @param after - a hash; zeros for the first
   */
  next(
    after: Uint8Array
  ): { readonly statement: Uint8Array; readonly receivedMs: number } | undefined {
    const { records, identity } = this.#parts
    for (const { row } of records.releases.rows([identity], after))
      if (row.statement.length > 0) return { statement: row.statement, receivedMs: row.receivedMs }
    return undefined
  }

  /** The blocks of garbage whose release has taken effect; say {@link KeeperReleases.done} when they are gone. */
  *dueGarbage(): Iterable<{ readonly key: Uint8Array; readonly blocks: readonly BlockSet[] }> {
    for (const { key, release } of this.#effective())
      if (release.kind === 'garbage') yield { key, blocks: release.windows.map(blockSetOf) }
  }

  /** Whether a release still waits: nobody took it back, and it was not carried out. */
  isWaiting(key: Uint8Array): boolean {
    return (this.#row(key)?.statement.length ?? 0) > 0
  }

  /**
   * Somebody asks for blocks to be kept: those that were released as garbage are none, whoever said
   * so. Their releases are forgotten whole: what else they name can be released anew, and waits as
   * long as if it had never been.
   *
   * @throws {SyncError} of the disk
   */
  async takeBackGarbage({ log, window, bitmap }: BlockSet): Promise<void> {
    const { records, identity } = this.#parts
    // Every hold and many an fsync come here: only what is about the window is opened.
    const name = Buffer.from(logWindowName({ log: Buffer.from(log, 'hex'), window }))
    const isAsked = ({ kind, windows }: Release): boolean =>
      kind === 'garbage' &&
      windows
        .map(blockSetOf)
        .some(set => set.log === log && set.window === window && overlaps(set.bitmap, bitmap))
    const asked = [...records.releases.rows([identity])].filter(
      ({ row: { statement } }) =>
        Buffer.from(statement.buffer, statement.byteOffset, statement.length).includes(name) &&
        isAsked(openRelease(statement))
    )
    if (asked.length === 0) return
    await records.commit(asked.map(({ rest }) => records.releases.remove(identity, rest)))
  }

  /** What may be dropped of a window in excess. */
  excess({ log, window }: WindowPlace): ExcessLeave {
    let leave: ExcessLeave = { bitmap: emptyBitmap(), floor: 1 }
    for (const { release } of this.#effective()) {
      if (release.kind !== 'excess') continue
      for (const blocks of release.windows.map(blockSetOf)) {
        if (blocks.log !== log || blocks.window !== window) continue
        const bitmap = union(leave.bitmap, blocks.bitmap)
        leave = { bitmap, floor: Math.max(leave.floor, release.floor) }
      }
    }
    return leave
  }

  /** Forgets a release that was carried out. @throws {SyncError} */
  async done(key: Uint8Array): Promise<void> {
    const { records, identity } = this.#parts
    await records.commit([records.releases.remove(identity, key)])
  }

  /** Forgets what is too old to matter. @throws {SyncError} */
  async forgetOld(): Promise<void> {
    const { records, identity, clock } = this.#parts
    const before = nowMs(clock) - RELEASE_AGE_MS_MAX
    const old = [...records.releases.rows([identity])].filter(({ row }) => row.receivedMs < before)
    if (old.length === 0) return
    await records.commit(old.map(({ rest }) => records.releases.remove(identity, rest)))
  }

  async #release(bytes: Uint8Array): Promise<void> {
    const release = openRelease(bytes)
    const { drive, keeper, clock } = this.#parts
    const isForUs = equalBytes(release.drive, drive) && equalBytes(release.keeper, keeper)
    if (!isForUs || !this.#parts.members.hasRight(release.signer, 'release')) throw refused()
    if (release.issuedMs < nowMs(clock) - RELEASE_AGE_MS_MAX) throw refused()
    const known = this.#row(release.hash)
    if (known !== undefined && (known.isCancelled || known.statement.length > 0)) return
    await this.#keep(release.hash, {
      statement: bytes,
      receivedMs: nowMs(clock),
      isCancelled: false
    })
  }

  async #cancel(bytes: Uint8Array): Promise<void> {
    const { release, signer } = openCancel(bytes)
    if (!this.#isMember(signer)) throw refused()
    const known = this.#row(release)
    const receivedMs = known?.receivedMs ?? nowMs(this.#parts.clock)
    await this.#keep(release, { statement: NO_STATEMENT, receivedMs, isCancelled: true })
  }

  async #keep(hash: Uint8Array, row: ReleaseRow): Promise<void> {
    const { records, identity } = this.#parts
    const isNew = this.#row(hash) === undefined
    if (isNew && [...records.releases.rows([identity])].length >= RELEASES_MAX)
      throw new ReplicationError('FULL', 'too many releases wait')
    await records.commit([records.releases.put(row, identity, hash)])
  }

  #row(hash: Uint8Array): ReleaseRow | undefined {
    return this.#parts.records.releases.get(this.#parts.identity, hash)
  }

  #all(): readonly KnownRelease[] {
    const { records, identity } = this.#parts
    return [...records.releases.rows([identity])]
      .filter(({ row }) => row.statement.length > 0)
      .map(({ rest, row }) => ({ key: rest, row, release: openRelease(row.statement) }))
  }

  #effective(): readonly KnownRelease[] {
    const { clock, members } = this.#parts
    const now = nowMs(clock)
    return this.#all().filter(({ row, release }) => {
      if (row.isCancelled || !members.hasRight(release.signer, 'release')) return false
      return this.#isIdentity(release.signer) || row.receivedMs + RELEASE_DELAY_MS <= now
    })
  }

  #isIdentity(signer: Uint8Array): boolean {
    return equalBytes(signer, this.#parts.identity)
  }

  #isMember(signer: Uint8Array): boolean {
    if (this.#isIdentity(signer)) return true
    return this.#parts.members.bySigning(memberId(signer))?.isSuspended === false
  }
}

function blockSetOf(window: Release['windows'][number]): BlockSet {
  return { ...window, log: logKey(Buffer.from(window.log).toString('hex')) }
}

function overlaps(left: Uint8Array, right: Uint8Array): boolean {
  return !isEmptyBitmap(intersection(left, right))
}

function refused(): ReplicationError {
  return new ReplicationError('REFUSED', 'no release of this keeper and person')
}
