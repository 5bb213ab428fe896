/**
 * The drive keys that this device holds, by number.
 *
 * XChaCha20-Poly1305 does not commit to its key: a forger who knows two keys can make bytes
 * that open under both. So each key has a commitment, which travels in the clear and is checked
 * whenever a key is taken into the table.
 *
 * Encoded: u8 version, u32 count, rows ascending by key id: u32 key id, u32 scope, u32 epoch,
 * 32 B commitment, 32 B key. The encoding is secret.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes } from './derive.ts'
import { HASH_BYTES, KEY_BYTES, equalBytes, keyedBlake2b, secureCopy, wipe } from './sodium.ts'
import type { Random } from './random.ts'

/** The scope of keys that seal the whole drive. */
export const DRIVE_SCOPE = 0

/** How many keys a table takes. A key is added when a device is suspended or revoked. */
export const KEY_TABLE_ROWS_MAX = 4096

const VERSION = 1
const HEADER_BYTES = 5
const ROW_BYTES = 12 + HASH_BYTES + KEY_BYTES
const U32_MAX = 0xffffffff
const COMMITMENT_LABEL = asciiBytes('grove/commitment/1')

/** What names a drive key. */
export interface KeyName {
  /** The key's number, which every sealed envelope carries; u32, at least 1. */
  readonly keyId: number
  /** What it seals: {@link DRIVE_SCOPE}; u32. */
  readonly scope: number
  /** Which generation it is; the newest seals. u32. */
  readonly epoch: number
}

/** One drive key. */
export interface KeyRow extends KeyName {
  /** 32 bytes that fix the key without telling it. */
  readonly commitment: Uint8Array
  /** 32 secret bytes, in locked memory once it is in a table. */
  readonly key: Uint8Array
}

/** Fixes a key and its name: 32 bytes, public. */
export function keyCommitment(input: KeyName & { readonly key: Uint8Array }): Uint8Array {
  const message = new ByteWriter(new Uint8Array(COMMITMENT_LABEL.length + 12))
    .put(COMMITMENT_LABEL)
    .u32(input.keyId)
    .u32(input.scope)
    .u32(input.epoch)
    .end()
  return keyedBlake2b({ key: input.key, message, bytes: HASH_BYTES })
}

/** Drive keys by number, each checked against its commitment. */
export class KeyTable {
  readonly #rows = new Map<number, KeyRow>()
  #current: KeyRow | undefined

  /** Makes the table of a new drive: one random key, number 1 of epoch 1. */
  static generate(random: Random): KeyTable {
    const table = new KeyTable()
    table.generate(random)
    return table
  }

  /**
   * Reads what {@link KeyTable.encode} wrote.
   *
   * @param bytes - only read; the caller wipes them
   * @throws {CryptoError} `NEWER_FORMAT`, `TRUNCATED`, `MALFORMED`, `WRONG_KEY`
   */
  static decode(bytes: Uint8Array): KeyTable {
    const reader = new ByteReader(bytes)
    const version = reader.u8()
    if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `key table version ${version}`)
    if (version !== VERSION) throw new CryptoError('MALFORMED', 'key table without a version')
    const table = new KeyTable()
    const count = reader.count(KEY_TABLE_ROWS_MAX)
    let previous = 0
    for (let row = 0; row < count; row++) {
      const [keyId, scope, epoch] = [reader.u32(), reader.u32(), reader.u32()]
      if (keyId <= previous) throw new CryptoError('MALFORMED', 'key ids do not ascend')
      previous = keyId
      table.add({
        keyId,
        scope,
        epoch,
        commitment: reader.copy(HASH_BYTES),
        key: reader.view(KEY_BYTES)
      })
    }
    reader.end()
    return table
  }

  /** How many keys there are. */
  get size(): number {
    return this.#rows.size
  }

  /**
   * The number of the key that seals from now on: that of the highest epoch, of equals the
   * highest number.
   *
   * @throws {CryptoError} `UNKNOWN_KEY` when the table has no drive key
   */
  get currentKeyId(): number {
    if (this.#current === undefined) throw new CryptoError('UNKNOWN_KEY', 'no drive key')
    return this.#current.keyId
  }

  /**
   * Takes a key into the table. The same key twice is no error.
   *
   * @param row - the key is copied into locked memory; the caller wipes its own
   * @throws {CryptoError} `WRONG_KEY` when it is not the key of the commitment, or another key
   *   has this number
   */
  add(row: KeyRow): void {
    if (!Number.isInteger(row.keyId) || row.keyId < 1 || row.keyId > U32_MAX) {
      throw new RangeError('a key id is an integer from 1 to 2^32 - 1')
    }
    if (!equalBytes(keyCommitment(row), row.commitment)) {
      throw new CryptoError('WRONG_KEY', `key ${row.keyId} is not the one committed to`)
    }
    const known = this.#rows.get(row.keyId)
    if (known !== undefined) {
      if (equalBytes(known.commitment, row.commitment)) return
      throw new CryptoError('WRONG_KEY', `there is another key ${row.keyId}`)
    }
    if (this.#rows.size >= KEY_TABLE_ROWS_MAX) throw new RangeError('the key table is full')
    this.#insert(row)
  }

  /** Draws a new drive key, of the next number and epoch, which seals from now on. */
  generate(random: Random): KeyRow {
    const last = this.#current
    const name = {
      keyId: Math.max(0, ...this.#rows.keys()) + 1,
      scope: DRIVE_SCOPE,
      epoch: (last?.epoch ?? 0) + 1
    }
    const key = random.bytes(KEY_BYTES)
    this.add({ ...name, commitment: keyCommitment({ ...name, key }), key })
    wipe(key)
    return this.get(name.keyId)
  }

  /** Whether the key of this number is here. */
  has(keyId: number): boolean {
    return this.#rows.has(keyId)
  }

  /**
   * The key of a number.
   *
   * @returns its row; the key stays the table's, do not change it
   * @throws {CryptoError} `UNKNOWN_KEY` when it is not here
   */
  get(keyId: number): KeyRow {
    const row = this.#rows.get(keyId)
    if (row === undefined) throw new CryptoError('UNKNOWN_KEY', `no drive key ${keyId}`)
    return row
  }

  /** All keys, ascending by number. */
  rows(): readonly KeyRow[] {
    return [...this.#rows.values()].sort((left, right) => left.keyId - right.keyId)
  }

  /** The whole table as secret bytes, for the key file. The caller wipes them. */
  encode(): Uint8Array {
    const size = HEADER_BYTES + this.#rows.size * ROW_BYTES
    const writer = new ByteWriter(new Uint8Array(size)).u8(VERSION).u32(this.#rows.size)
    for (const row of this.rows()) {
      writer.u32(row.keyId).u32(row.scope).u32(row.epoch)
      writer.put(row.commitment, HASH_BYTES).put(row.key, KEY_BYTES)
    }
    return writer.end()
  }

  #insert({ keyId, scope, epoch, commitment, key }: KeyRow): void {
    const copies = { commitment: new Uint8Array(commitment), key: secureCopy(key) }
    const row = { keyId, scope, epoch, ...copies }
    this.#rows.set(keyId, row)
    if (scope === DRIVE_SCOPE && isNewer(row, this.#current)) this.#current = row
  }
}

function isNewer(row: KeyName, than: KeyName | undefined): boolean {
  if (than === undefined || row.epoch > than.epoch) return true
  return row.epoch === than.epoch && row.keyId > than.keyId
}
