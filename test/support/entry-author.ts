/**
 * A device that is played by the test: it writes whatever entries the test wants, good or bad,
 * into logs that others copy.
 *
 * @module
 */
import { KeyTable } from '../../src/crypto/key-table.ts'
import { hashBlock } from '../../src/crypto/block-hash.ts'
import { Sealer, type SealPurpose } from '../../src/crypto/sealer.ts'
import { encodeEntry } from '../../src/sync/entry-codec.ts'
import type { Entry, Head } from '../../src/sync/entry.ts'
import type { LogKey } from '../../src/sync/log.ts'
import type { BlockPiece, Operation, OperationId } from '../../src/sync/operation.ts'
import { fromHex } from './bytes.ts'
import { MEMORY_DRIVE_ID, type DevicePair, type LogSource } from './memory-drive.ts'
import { MemoryHome } from './memory-home.ts'
import { MemoryLog } from './memory-log.ts'
import { SeededRandom } from './seeded-random.ts'

/** Writes entries. */
export class EntryAuthor implements LogSource {
  /** The disk that others copy from. */
  readonly home: MemoryHome
  /** Its logs. */
  readonly pair: DevicePair
  readonly #random = new SeededRandom(1)
  readonly #keys = KeyTable.generate(this.#random)
  readonly #log: MemoryLog
  readonly #blocks: MemoryLog
  readonly #seen = new Map<LogKey, { readonly length: number; readonly lamport: number }>()
  readonly #sealers = new Map<LogKey, Sealer>()
  #news: Head[] = []
  /** What its newest entry had seen. */
  #written: ReadonlyMap<LogKey, { readonly length: number; readonly lamport: number }> = new Map()
  /** Lamport of its newest entry. */
  lamport = 0

  /** @param device - its name, from which the keys of its logs follow */
  constructor(device: string) {
    this.home = new MemoryHome(device)
    this.pair = { operationKey: this.home.newKey(), contentKey: this.home.newKey(), device }
    this.#log = new MemoryLog({ home: this.home, key: this.pair.operationKey })
    this.#blocks = new MemoryLog({ home: this.home, key: this.pair.contentKey })
  }

  /** Its operation log. */
  get key(): LogKey {
    return this.pair.operationKey
  }

  /** How many entries it wrote. */
  get length(): number {
    return this.#log.length
  }

  get pairs(): readonly DevicePair[] {
    return [this.pair]
  }

  /** The tree hash of its operation log. */
  treeHash(length: number): Promise<Uint8Array> {
    return this.#log.treeHash(length)
  }

  /** Identity of an operation. */
  id(index: number, number = 0): OperationId {
    return { log: this.key, index, number }
  }

  /** Has merged all that another wrote, and what that one had seen. */
  async saw(other: EntryAuthor): Promise<void> {
    const { key: log, length, lamport } = other
    await this.sawLog(other.home, { log, length, lamport })
    for (const [log, theirs] of other.#written) {
      if (log !== this.key && theirs.length > (this.#seen.get(log)?.length ?? 0)) {
        this.#seen.set(log, theirs)
      }
    }
  }

  /** Has merged a log that is on some disk up to an entry of that lamport. */
  async sawLog(
    home: MemoryHome,
    { log, length, lamport }: { log: LogKey; length: number; lamport: number }
  ): Promise<void> {
    if (length <= (this.#seen.get(log)?.length ?? 0)) return
    const reader = new MemoryLog({ home, key: log })
    this.#seen.set(log, { length, lamport })
    this.#news = this.#news.filter(head => head.log !== log)
    this.#news.push({ log, length, treeHash: await reader.treeHash(length) })
    await reader.close()
  }

  /** Writes an entry, of which some things may be forged. */
  async write(operations: readonly Operation[], forged: Partial<Entry> = {}): Promise<void> {
    const lamports = [...this.#seen.values()].map(({ lamport }) => lamport)
    const lamport = forged.lamport ?? 1 + Math.max(this.lamport, ...lamports)
    const entry: Entry = {
      ...{ lamport, time: { sec: 1000 + this.length, nsec: 0 }, listVersion: 0 },
      ...{ heads: this.#news, contentHead: undefined, operations, ...forged }
    }
    await this.writePlain(encodeEntry(entry, { log: this.key, index: this.length }))
    this.#news = []
    this.#written = new Map(this.#seen)
    this.lamport = lamport
  }

  /** Seals some bytes as an entry. */
  async writePlain(plain: Uint8Array): Promise<void> {
    await this.writeSealed(this.#sealer('entry', this.key).seal(plain, this.length))
  }

  /** Appends some bytes that may not even be sealed. */
  async writeSealed(sealed: Uint8Array): Promise<void> {
    await this.#log.append([sealed], this.length)
  }

  /** Appends a block of content. @returns a piece that is all of it */
  async addBlock(content: Uint8Array): Promise<BlockPiece> {
    const { contentKey: log } = this.pair
    const index = this.#blocks.length
    const sealed = this.#sealer('block', log).seal(content, index)
    await this.#blocks.append([sealed], index)
    const hash = hashBlock(sealed)
    return { kind: 'block', offset: 0, length: content.length, log, index, hash, blockOffset: 0 }
  }

  #sealer(purpose: SealPurpose, log: LogKey): Sealer {
    let sealer = this.#sealers.get(log)
    if (sealer === undefined) {
      const parts = { keys: this.#keys, purpose, drive: MEMORY_DRIVE_ID, random: this.#random }
      sealer = new Sealer({ ...parts, log: fromHex(log) })
      this.#sealers.set(log, sealer)
    }
    return sealer
  }
}
