/**
 * The disk of a holder: the logs of all persons that it keeps blocks for, in one home.
 *
 * @module
 */
import type { Clock, Timer } from '../sync/clock.ts'
import type { KeyValueStore } from '../sync/key-value-store.ts'
import type { Members } from '../sync/members.ts'
import { SyncError } from '../sync/sync-error.ts'
import { HolderLogs } from './holder-logs.ts'
import { LogHome } from './log-home.ts'
import { SPACE_RETRY_BYTES, SPACE_RETRY_MS, type SpaceGuard } from './space-guard.ts'

/** The disk of so many forgotten blocks is given back soon. */
export const RECLAIM_BLOCKS = 128

/** How soon that is, in milliseconds: many windows at a time are one compaction. */
export const RECLAIM_SOON_MS = 1000

/** How long fewer blocks wait, in milliseconds. */
export const RECLAIM_LATER_MS = 600_000

/** The write buffer of a holder with little space. */
export const HOLDER_BUFFER_BYTES_MIN = 4 * 1024 * 1024

/** The write buffer of a holder with much space. */
export const HOLDER_BUFFER_BYTES_MAX = 16 * 1024 * 1024

/** Each fill of the buffer becomes a file: so many times as much space has a larger one. */
const SPACE_PER_BUFFER = 4096

/** How to open a holder's disk. */
export interface HolderStoreOptions {
  /** A directory of its own; made if missing. */
  readonly directory: string
  /** Where it is recorded which logs there are; borrowed. */
  readonly records: KeyValueStore
  /** How much is kept, in bytes: decides how much memory is used. */
  readonly spaceBytes: number
  /** Time. */
  readonly clock: Clock
  /** Told what went wrong, for the log: no names, no keys. */
  readonly report: (message: string, cause?: unknown) => void
}

/** Whose logs to open. */
export interface KeptPerson {
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The person's drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The person's devices; borrowed. */
  readonly members: Members
  /** Asked before an entry of an operation log is stored; each is unless given. */
  readonly admitsOperation?: (bytes: number) => boolean
}

/** See the module. */
export class HolderStore {
  readonly #options: HolderStoreOptions
  readonly #logHome: LogHome
  readonly #persons = new Map<string, Promise<HolderLogs>>()
  readonly #members: Members[] = []
  #forgotten = 0
  #reclaimTimer: Timer | undefined
  #reclaiming: Promise<void> | undefined
  #spaceTimer: Timer | undefined
  #isClosed = false

  private constructor(options: HolderStoreOptions, logHome: LogHome) {
    this.#options = options
    this.#logHome = logHome
    logHome.listener = {
      onArrival: () => undefined,
      onFrozen: () => options.report('two histories of one log exist; it is replicated no more'),
      onOutrun: () => undefined,
      onStarved: () => this.#starve()
    }
  }

  /**
   * Opens the disk. One process at a time.
   *
   * @throws {ReplicationError} `LOCKED`, `MOVED`, `NO_SPACE`, `DAMAGED`, `IO`
   */
  static async open(options: HolderStoreOptions): Promise<HolderStore> {
    const { directory, clock, spaceBytes } = options
    const writeBufferBytes = holderBufferBytes(spaceBytes)
    // A copy of a holder appends to no log, so it harms nobody.
    const logHome = await LogHome.open({
      ...{ directory, clock, writeBufferBytes },
      isFrugal: true,
      allowMoved: true
    })
    return new HolderStore(options, logHome)
  }

  /**
   * The logs of a person; the same for the same person and drive.
   *
   * @throws {SyncError} when they cannot be opened
   */
  async person(person: KeptPerson): Promise<HolderLogs> {
    const { identity, drive, members } = person
    if (this.#isClosed) throw new SyncError('CLOSED', 'the disk was closed')
    const id = Buffer.concat([identity, drive]).toString('hex')
    const { records, clock } = this.#options
    const known = this.#persons.get(id)
    if (known !== undefined) return known
    const opening = HolderLogs.open({
      logHome: this.#logHome,
      records,
      ...person,
      clock,
      onForgotten: blocks => this.#reclaimIn(blocks)
    })
    this.#persons.set(id, opening)
    this.#members.push(members)
    opening.catch(() => this.#persons.delete(id))
    return opening
  }

  /** Whether a network key is that of a device of a person whose logs are open. */
  isDevice(publicKey: Uint8Array): boolean {
    return this.#members.some(members => members.byNetwork(publicKey)?.isSuspended === false)
  }

  /** Refuses what would use up the disk. */
  get guard(): SpaceGuard {
    return this.#logHome.guard
  }

  /** Whether there was too little room for what a person sent, and there still is. */
  get isStarved(): boolean {
    return this.#spaceTimer !== undefined
  }

  /** How many bytes the logs take on the disk. Looks at every file of them. */
  async bytesOnDisk(): Promise<number> {
    return this.#logHome.bytesOnDisk()
  }

  /** Closes all logs. Idempotent. @throws {ReplicationError} see `LogHome.close` */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#reclaimTimer?.cancel()
    this.#spaceTimer?.cancel()
    await this.#reclaiming
    await this.#logHome.close()
  }

  #reclaimIn(blocks: number): void {
    this.#forgotten += blocks
    if (this.#isClosed || (this.#reclaimTimer !== undefined && this.#forgotten < RECLAIM_BLOCKS))
      return
    this.#reclaimTimer?.cancel()
    const delayMs = this.#forgotten < RECLAIM_BLOCKS ? RECLAIM_LATER_MS : RECLAIM_SOON_MS
    this.#reclaimTimer = this.#options.clock.after(delayMs, () => {
      this.#reclaimTimer = undefined
      this.#reclaiming = this.#reclaim()
    })
  }

  async #reclaim(): Promise<void> {
    const blocks = this.#forgotten
    this.#forgotten = 0
    try {
      await this.#reclaiming
      await this.#logHome.reclaim()
    } catch (error) {
      this.#options.report('giving back disk space failed', error)
      this.#forgotten += blocks
    }
  }

  #starve(): void {
    if (this.#isClosed) return
    this.#spaceTimer ??= this.#options.clock.after(SPACE_RETRY_MS, () => void this.#retrySpace())
  }

  /** Hypercore asks a peer for nothing more after a refusal, so every conversation begins anew. */
  async #retrySpace(): Promise<void> {
    this.#spaceTimer = undefined
    const hasSpace = await this.#logHome.guard.admit(SPACE_RETRY_BYTES).then(
      () => true,
      () => false
    )
    if (!hasSpace) return this.#starve()
    for (const opening of this.#persons.values()) (await opening).hangUp()
  }
}

/** How large the write buffer of a holder is that keeps so much. */
export function holderBufferBytes(spaceBytes: number): number {
  const share = Math.ceil(spaceBytes / SPACE_PER_BUFFER)
  return Math.min(HOLDER_BUFFER_BYTES_MAX, Math.max(HOLDER_BUFFER_BYTES_MIN, share))
}
