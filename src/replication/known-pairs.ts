/**
 * Every log pair of the drive that this device has heard of: its own and those of the others.
 *
 * A pair is taken only when a member announced it as its own; its two logs are opened then, and
 * stay open. Suspended members keep their pairs: what they wrote before belongs to the drive.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import type { LogKey, ReadableLog } from '../sync/log.ts'
import type { Members } from '../sync/members.ts'
import type { RemoteLogPair } from '../sync/remote-logs.ts'
import { openAnnouncement, type Announcement } from './log-announcement.ts'
import type { LogHome } from './log-home.ts'
import type { HypercoreRemoteBlocks } from './remote-core.ts'

/** How many pairs of one device are taken; each keeps two logs open. */
export const PAIRS_PER_DEVICE_MAX = 256

/** How many pairs are taken in all. */
export const PAIRS_MAX = 4096

/** A pair of another device, open. */
export interface KnownPair extends RemoteLogPair {
  readonly operationLog: ReadableLog
  readonly contentLog: HypercoreRemoteBlocks
  readonly deviceId: string
  /** What announced it; keep it, and it is known at the next start. */
  readonly announcement: Announcement
}

/** What the pairs of a drive rest on. */
export interface KnownPairsParts {
  /** Where the logs are; borrowed. */
  readonly logHome: LogHome
  /** Who belongs to the drive; borrowed. */
  readonly members: Members
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
}

/** What became of an announcement; `waiting`: no member is known that signed it. */
export type PairOutcome = 'added' | 'known' | 'waiting' | 'refused'

/** The log pairs of a drive. */
export class KnownPairs {
  /** Told of each new pair of another device, once its logs are open. */
  onAdded: (pair: KnownPair) => void = () => undefined
  readonly #parts: KnownPairsParts
  readonly #own = new Map<LogKey, Announcement>()
  readonly #remote = new Map<LogKey, Promise<KnownPair>>()
  readonly #opened: KnownPair[] = []
  readonly #perDevice = new Map<string, number>()

  /** @param parts - borrowed */
  constructor(parts: KnownPairsParts) {
    this.#parts = parts
  }

  /** The announcements of all pairs, this device's own first. */
  get announcements(): readonly Announcement[] {
    return [...this.#own.values(), ...this.#opened.map(pair => pair.announcement)]
  }

  /** The pair of this device that was taken last: the one that is appended to. */
  get current(): Announcement | undefined {
    return [...this.#own.values()].at(-1)
  }

  /** The pairs of other devices, in the order in which they were learned. */
  get remotes(): readonly KnownPair[] {
    return this.#opened
  }

  /**
   * Takes a pair of this device, whose logs are open.
   *
   * @param bytes - what `signAnnouncement` gave
   * @throws {CryptoError}
   */
  addOwn(bytes: Uint8Array): Announcement {
    const announcement = openAnnouncement(bytes, this.#parts.drive)
    this.#own.set(announcement.operationLog.key, announcement)
    return announcement
  }

  /** Whether an operation or content log is one of this device's that it appends to or did. */
  isOwn(log: LogKey): boolean {
    for (const announcement of this.#own.values()) if (isOf(announcement, log)) return true
    return false
  }

  /** Whether an operation or content log belongs to a pair, of this device or of another. */
  has(log: LogKey): boolean {
    return this.isOwn(log) || this.#opened.some(pair => isOf(pair.announcement, log))
  }

  /**
   * Takes a pair of another device, after verifying who announced it.
   *
   * @param bytes - an announcement, from anyone
   * @throws {SyncError} when its logs cannot be opened
   */
  async add(bytes: Uint8Array): Promise<PairOutcome> {
    const announcement = this.#opens(bytes)
    if (announcement === undefined) return 'refused'
    const { device, operationLog, contentLog } = announcement
    if (this.#own.has(operationLog.key)) return 'known'
    const known = this.#remote.get(operationLog.key)
    if (known !== undefined) return known.then(() => 'known')
    if (this.#parts.members.bySigning(device) === undefined) return 'waiting'
    if (this.isOwn(contentLog.key) || !this.#hasRoom(device)) return 'refused'
    const opening = this.#open(announcement)
    this.#remote.set(operationLog.key, opening)
    this.#count(device, 1)
    try {
      const pair = await opening
      this.#opened.push(pair)
      this.onAdded(pair)
      return 'added'
    } catch (error) {
      this.#remote.delete(operationLog.key)
      this.#count(device, -1)
      throw error
    }
  }

  async #open(announcement: Announcement): Promise<KnownPair> {
    const { logHome, members } = this.#parts
    const { device } = announcement
    const operationLog = await logHome.openRemoteLog(announcement.operationLog)
    const contentLog = await logHome.openRemoteBlocks(announcement.contentLog)
    return {
      operationLog,
      contentLog,
      announcement,
      deviceId: device,
      get device() {
        return members.bySigning(device)?.name ?? device.slice(0, NAME_DIGITS)
      }
    }
  }

  #hasRoom(device: string): boolean {
    const count = this.#perDevice.get(device) ?? 0
    return count < PAIRS_PER_DEVICE_MAX && this.#remote.size < PAIRS_MAX
  }

  /** Those that are being opened count, so that many at a time are not too many. */
  #count(device: string, change: 1 | -1): void {
    this.#perDevice.set(device, (this.#perDevice.get(device) ?? 0) + change)
  }

  #opens(bytes: Uint8Array): Announcement | undefined {
    try {
      return openAnnouncement(bytes, this.#parts.drive)
    } catch (error) {
      if (error instanceof CryptoError) return undefined
      throw error
    }
  }
}

function isOf({ operationLog, contentLog }: Announcement, log: LogKey): boolean {
  return operationLog.key === log || contentLog.key === log
}

/** How much of a device's key stands for a name that is not known. */
const NAME_DIGITS = 8
