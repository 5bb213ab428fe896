/**
 * A hash table in memory, as its nodes see it.
 *
 * @module
 */
import {
  RECORD_VALUE_BYTES_MAX,
  type DhtRecords,
  type RecordOptions,
  type SignedRecord
} from '../../src/replication/dht-records.ts'
import { isGenuineRecord } from '../../src/replication/dht-node.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { toHex } from './bytes.ts'

/** See the module. */
export class MemoryHashTable implements DhtRecords {
  /** Whether any node answers. */
  isReachable = true
  /** How many records were put. */
  putCount = 0
  readonly #records = new Map<string, SignedRecord>()

  async put(record: SignedRecord, options: RecordOptions = {}): Promise<void> {
    if (record.value.length > RECORD_VALUE_BYTES_MAX || !isGenuineRecord(record))
      throw new RangeError('no genuine record')
    await this.#answer(options)
    this.putCount++
    const id = toHex(record.publicKey)
    const known = this.#records.get(id)
    if (known === undefined || known.sequence < record.sequence) this.#records.set(id, record)
  }

  async get(publicKey: Uint8Array, options: RecordOptions = {}): Promise<SignedRecord | undefined> {
    await this.#answer(options)
    return this.#records.get(toHex(publicKey))
  }

  /** Forgets all records, as nodes do in time. */
  forget(): void {
    this.#records.clear()
  }

  async #answer({ signal }: RecordOptions): Promise<void> {
    await Promise.resolve()
    if (signal?.aborted === true) throw new ReplicationError('INTERRUPTED', 'given up')
    if (!this.isReachable) throw new ReplicationError('UNAVAILABLE', 'no node answers')
  }
}
