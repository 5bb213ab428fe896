/**
 * The logs that a holder keeps for one person, as ciphertext: it has no key that opens them.
 *
 * Operation logs are followed: every entry is kept, and taken unasked. Of content logs it stores
 * what it was asked to keep and nothing else; what is sent unasked waits a moment for being asked
 * for. What is here is served to every device of the person that is connected.
 *
 * What announced the logs is recorded, so that they are known again after a restart.
 *
 * @module
 */
import { difference, indexesOf, type BlockSet } from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import type { KeyValueStore } from '../sync/key-value-store.ts'
import type { LogKey } from '../sync/log.ts'
import type { Members } from '../sync/members.ts'
import type { Range } from './blob-reclaimer.ts'
import type { BringOptions, KeptLogs } from './kept-logs.ts'
import { KnownPairs, type KnownPair } from './known-pairs.ts'
import { awaitEntries, bringBlocks } from './log-arrival.ts'
import type { LogHome } from './log-home.ts'
import { OpenedLogs } from './opened-logs.ts'
import { ParkedPushes } from './parked-pushes.ts'
import type { PeerConnection } from './peer-network.ts'

/** The first byte of the rows in which announcements are recorded. */
export const ANNOUNCEMENT_ROWS = 0x67

/** What the logs of a person are kept with. */
export interface HolderLogsParts {
  /** Where they are; borrowed. */
  readonly logHome: LogHome
  /** Where announcements are recorded; borrowed. */
  readonly records: KeyValueStore
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The person's drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The person's devices; borrowed. */
  readonly members: Members
  /** Asked before an entry of an operation log is stored; each is unless given. */
  readonly admitsOperation?: (bytes: number) => boolean
  /** Time. */
  readonly clock: Clock
  /** Told when blocks were forgotten: their disk is to be given back. */
  readonly onForgotten: (blocks: number) => void
}

/** See the module. */
export class HolderLogs implements KeptLogs {
  readonly #parts: HolderLogsParts
  readonly #pairs: KnownPairs
  readonly #logs: OpenedLogs
  readonly #known = new Set<LogKey>()
  readonly #connections = new Set<PeerConnection>()
  readonly #parked: ParkedPushes

  private constructor(parts: HolderLogsParts) {
    this.#parts = parts
    this.#parked = new ParkedPushes(parts.clock)
    this.#pairs = new KnownPairs(parts)
    this.#pairs.onAdded = pair => this.#added(pair)
    this.#logs = new OpenedLogs(parts.logHome, log => this.#known.has(log))
  }

  /**
   * Opens the logs that were announced in earlier runs.
   *
   * @param parts - borrowed
   * @throws {SyncError} when one cannot be opened
   */
  static async open(parts: HolderLogsParts): Promise<HolderLogs> {
    const logs = new HolderLogs(parts)
    const recorded = [...parts.records.range(logs.#rows())].map(([, bytes]) => bytes.slice())
    for (const bytes of recorded) await logs.#pairs.add(bytes)
    return logs
  }

  async learn(announcements: readonly Uint8Array[]): Promise<void> {
    for (const bytes of announcements) {
      if ((await this.#pairs.add(bytes)) !== 'added') continue
      const announced = this.#pairs.announcements.find(({ bytes: known }) => isSame(known, bytes))
      const key = announced?.operationLog.key
      if (key !== undefined) await this.#parts.records.commit([[this.#row(key), bytes]])
    }
  }

  /** What announced the logs. */
  get announcements(): readonly Uint8Array[] {
    return this.#pairs.announcements.map(({ bytes }) => bytes)
  }

  /**
   * Replicates all logs over a connection to a device of the person, also those that are learned
   * later, until it is closed. Idempotent.
   */
  attach(connection: PeerConnection): void {
    if (this.#connections.has(connection)) return
    this.#connections.add(connection)
    void connection.closed.then(() => this.#connections.delete(connection))
    for (const log of this.#known) this.#logs.core(log).attach(connection.stream)
  }

  /** Closes the connections: the devices call again, and every conversation begins anew. */
  hangUp(): void {
    for (const connection of this.#connections) void connection.close()
  }

  operationLogs(): readonly LogKey[] {
    return this.#pairs.remotes.map(pair => pair.operationLog.key)
  }

  isKnown(log: LogKey): boolean {
    return this.#known.has(log)
  }

  length(log: LogKey): number {
    return this.#logs.length(log)
  }

  contiguousLength(log: LogKey): number {
    return this.#logs.contiguousLength(log)
  }

  treeHash(log: LogKey, length: number): Promise<Uint8Array> {
    return this.#logs.treeHash(log, length)
  }

  stored(log: LogKey, window: number): Uint8Array {
    return this.#logs.stored(log, window)
  }

  read(log: LogKey, index: number): Promise<Uint8Array> {
    return this.#logs.read(log, index)
  }

  async bring(blocks: BlockSet, options: BringOptions): Promise<ReadonlyMap<number, number>> {
    const { log, window, bitmap } = blocks
    const missing = { window, bitmap: difference(bitmap, this.stored(log, window)) }
    const { clock } = this.#parts
    const core = this.#logs.core(log)
    return bringBlocks(core, [...indexesOf(missing)], { ...options, clock })
  }

  async arrived(log: LogKey, length: number, options: BringOptions): Promise<void> {
    await awaitEntries(this.#logs.core(log), length, { ...options, clock: this.#parts.clock })
  }

  async forget(blocks: BlockSet): Promise<void> {
    const opened = this.isKnown(blocks.log) ? this.#parts.logHome.opened(blocks.log) : undefined
    if (opened === undefined) return
    const indexes = [...indexesOf(blocks)]
    for (const range of rangesOf(indexes)) await opened.clear(range)
    this.#parts.onForgotten(indexes.length)
  }

  async sync(): Promise<void> {
    await this.#parts.logHome.sync()
  }

  #added({ operationLog, contentLog }: KnownPair): void {
    const [operations, content] = [operationLog, contentLog].map(({ key }) => {
      this.#known.add(key)
      return this.#logs.core(key)
    })
    const { admitsOperation } = this.#parts
    if (admitsOperation !== undefined && operations !== undefined)
      operations.admitsBlock = admitsOperation
    operations?.follow()
    content?.parkPushes(this.#parked)
    for (const { stream } of this.#connections) {
      operations?.attach(stream)
      content?.attach(stream)
    }
  }

  #row(log: LogKey): Uint8Array {
    const { identity, drive } = this.#parts
    return Buffer.concat([
      Uint8Array.of(ANNOUNCEMENT_ROWS),
      identity,
      drive,
      Buffer.from(log, 'hex')
    ])
  }

  #rows(): { readonly from: Uint8Array; readonly to: Uint8Array } {
    const { identity, drive } = this.#parts
    const from = Buffer.concat([Uint8Array.of(ANNOUNCEMENT_ROWS), identity, drive])
    return { from, to: Buffer.concat([from, Buffer.alloc(33, 0xff)]) }
  }
}

/** Consecutive numbers as ranges. @param indexes - ascending */
function rangesOf(indexes: readonly number[]): readonly Range[] {
  const ranges: { from: number; to: number }[] = []
  for (const index of indexes) {
    const last = ranges.at(-1)
    if (last?.to === index) last.to++
    else ranges.push({ from: index, to: index + 1 })
  }
  return ranges
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}
