/**
 * Puts other people's records into the hash table again and again, as they were signed: its nodes
 * forget a record after two days, and whoever signed it may be off for longer.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import type { Random } from '../crypto/random.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import { decodeSignedRecord, type DhtRecords, type SignedRecord } from './dht-records.ts'

/** How often each record is put again, in milliseconds: every four hours. */
export const RECORD_INTERVAL_MS = 4 * 3_600_000

/** How soon a record that could not be put is tried again, in milliseconds. */
export const RECORD_RETRY_MS = 600_000

/** How many records are kept; more are refused. */
export const RECORDS_MAX = 1024

/** What records are kept with. */
export interface RecordKeeperParts {
  /** The hash table; borrowed. */
  readonly records: DhtRecords
  /** Time. */
  readonly clock: Clock
  /** Spreads the times, so that not all come at once. */
  readonly random: Random
}

/** A record that is kept, and when it is put again. */
interface KeptRecord {
  record: SignedRecord
  timer: Timer | undefined
}

/** See the module. */
export class RecordKeeper {
  readonly #parts: RecordKeeperParts
  readonly #kept = new Map<string, KeptRecord>()
  readonly #stop = new AbortController()
  /** Records are put one after another. */
  #putting: Promise<void> = Promise.resolve()

  /** @param parts - borrowed */
  constructor(parts: RecordKeeperParts) {
    this.#parts = parts
  }

  /** How many records are kept. */
  get size(): number {
    return this.#kept.size
  }

  /**
   * Puts a record from now on, instead of the one of the same owner before.
   *
   * @param owner - the person's signing key; each has one record
   * @param bytes - see `encodeSignedRecord`; from anyone
   * @returns whether it is a record
   */
  keep(owner: Uint8Array, bytes: Uint8Array): boolean {
    if (this.#stop.signal.aborted) return false
    const record = recordOf(bytes)
    const id = Buffer.from(owner).toString('hex')
    const kept = this.#kept.get(id)
    if (record === undefined || (kept === undefined && this.#kept.size === RECORDS_MAX))
      return false
    if (kept === undefined) this.#kept.set(id, { record, timer: undefined })
    else kept.record = record
    this.#put(id)
    return true
  }

  /** Puts nothing any more, and waits. Idempotent. */
  async close(): Promise<void> {
    this.#stop.abort()
    for (const { timer } of this.#kept.values()) timer?.cancel()
    await this.#putting
  }

  #put(id: string): void {
    this.#putting = this.#putting.then(() => this.#putNow(id))
  }

  async #putNow(id: string): Promise<void> {
    const kept = this.#kept.get(id)
    const { signal } = this.#stop
    if (kept === undefined || signal.aborted) return
    kept.timer?.cancel()
    const isPut = await this.#parts.records.put(kept.record, { signal }).then(
      () => true,
      () => false
    )
    if (signal.aborted) return
    const delayMs = this.#spread(isPut ? RECORD_INTERVAL_MS : RECORD_RETRY_MS)
    kept.timer = this.#parts.clock.after(delayMs, () => this.#put(id))
  }

  /** Three quarters of it to all of it. */
  #spread(ms: number): number {
    const [byte = 0] = this.#parts.random.bytes(1)
    return Math.floor((ms * (3 + byte / 255)) / 4)
  }
}

function recordOf(bytes: Uint8Array): SignedRecord | undefined {
  try {
    return decodeSignedRecord(bytes)
  } catch (error) {
    if (error instanceof CryptoError) return undefined
    throw error
  }
}
