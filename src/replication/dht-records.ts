/**
 * Small signed records in the hash table: whoever knows a record's public key finds its newest
 * version, and whoever has the record as it was signed can put it again without the secret key.
 *
 * Nodes of the hash table forget a record after two days, so it is put again and again. What they
 * answer is verified; they may hide a record, or an old version may be all they know.
 *
 * @module
 */
import { ByteReader } from '../crypto/byte-reader.ts'
import { ByteWriter } from '../crypto/byte-writer.ts'
import { CryptoError } from '../crypto/crypto-error.ts'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../crypto/sodium.ts'
import type { Clock } from '../sync/clock.ts'
import { answersQueries, getRecord, isGenuineRecord, putRecord } from './dht-node.ts'
import type { Dht, SignedRecord } from './dht-node.ts'
import { ReplicationError } from './replication-error.ts'

export { signRecord } from './dht-node.ts'
export type { SignedRecord } from './dht-node.ts'

/** The longest value of a record, in bytes: more may not fit one packet. */
export const RECORD_VALUE_BYTES_MAX = 1000

/** The longest encoded record, in bytes. */
export const SIGNED_RECORD_BYTES_MAX = 1200

/** How long the hash table is waited for, in milliseconds. */
export const RECORD_DEADLINE_MS = 20_000

const VERSION = 1
const FIXED_BYTES = 1 + PUBLIC_KEY_BYTES + 8 + 4 + SIGNATURE_BYTES

/** How to wait for the hash table. */
export interface RecordOptions {
  /** Gives up when aborted. */
  readonly signal?: AbortSignal
}

/** The records of the hash table. */
export interface DhtRecords {
  /**
   * Puts a record where it is looked for. A newer version that is there already stays.
   *
   * @param record - genuine
   * @throws {ReplicationError} `UNAVAILABLE` when no node takes it, `INTERRUPTED`
   */
  put(record: SignedRecord, options?: RecordOptions): Promise<void>
  /**
   * Looks up the newest version of a record that the nodes know.
   *
   * @returns undefined when those that answer know none
   * @throws {ReplicationError} `UNAVAILABLE` when no node answers, `INTERRUPTED`
   */
  get(publicKey: Uint8Array, options?: RecordOptions): Promise<SignedRecord | undefined>
}

/** Encodes a record as it was signed, for whoever is to put it again. */
export function encodeSignedRecord(record: SignedRecord): Uint8Array {
  const { publicKey, sequence, value, signature } = record
  if (value.length > RECORD_VALUE_BYTES_MAX) throw new RangeError('the value is too long')
  const writer = new ByteWriter(new Uint8Array(FIXED_BYTES + value.length)).u8(VERSION)
  writer.put(publicKey, PUBLIC_KEY_BYTES).u64(sequence).u32(value.length).put(value)
  return writer.put(signature, SIGNATURE_BYTES).end()
}

/**
 * Decodes a record and verifies its signature. Whose public key it is is for the caller to check.
 *
 * @param bytes - from anyone; copied
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function decodeSignedRecord(bytes: Uint8Array): SignedRecord {
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `a signed record ${version}`)
  if (version !== VERSION) throw new CryptoError('MALFORMED', 'no signed record')
  const record = {
    publicKey: reader.copy(PUBLIC_KEY_BYTES),
    sequence: reader.u64(),
    value: reader.copy(reader.count(RECORD_VALUE_BYTES_MAX)),
    signature: reader.copy(SIGNATURE_BYTES)
  }
  reader.end()
  if (!isGenuineRecord(record)) throw new CryptoError('FORGED', 'a record does not verify')
  return record
}

/** The records as a node of the hash table sees them. */
export class NodeRecords implements DhtRecords {
  readonly #node: () => Promise<Dht | undefined>
  readonly #clock: Clock

  /** @param parts.node - the node, undefined while there is none; borrowed */
  constructor(parts: { readonly node: () => Promise<Dht | undefined>; readonly clock: Clock }) {
    this.#node = parts.node
    this.#clock = parts.clock
  }

  async put(record: SignedRecord, options: RecordOptions = {}): Promise<void> {
    if (record.value.length > RECORD_VALUE_BYTES_MAX || !isGenuineRecord(record))
      throw new RangeError('no genuine record')
    await this.#inTime(options, node => putRecord(node, record))
  }

  get(publicKey: Uint8Array, options: RecordOptions = {}): Promise<SignedRecord | undefined> {
    return this.#inTime(options, async node => {
      const record = await getRecord(node, publicKey)
      if (record !== undefined && record.value.length <= RECORD_VALUE_BYTES_MAX) return record
      if (await answersQueries(node, publicKey)) return undefined
      throw unavailable()
    })
  }

  async #inTime<T>({ signal }: RecordOptions, work: (node: Dht) => Promise<T>): Promise<T> {
    if (signal?.aborted === true) throw interrupted()
    let giveUp: (error: ReplicationError) => void = () => undefined
    const givenUp = new Promise<never>((_, reject) => {
      giveUp = reject
    })
    const onAbort = (): void => giveUp(interrupted())
    signal?.addEventListener('abort', onAbort, { once: true })
    const timer = this.#clock.after(RECORD_DEADLINE_MS, () => giveUp(unavailable()))
    try {
      return await Promise.race([this.#work(work), givenUp])
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async #work<T>(work: (node: Dht) => Promise<T>): Promise<T> {
    const node = await this.#node()
    if (node === undefined) throw unavailable()
    try {
      return await work(node)
    } catch (error) {
      throw error instanceof ReplicationError ? error : unavailable(error)
    }
  }
}

function unavailable(cause?: unknown): ReplicationError {
  return new ReplicationError('UNAVAILABLE', 'no node of the hash table answers', { cause })
}

function interrupted(): ReplicationError {
  return new ReplicationError('INTERRUPTED', 'whoever asked the hash table gave up')
}
