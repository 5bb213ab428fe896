/**
 * What a device remembers of custody over a restart: the receipts, what each keeper's copies are
 * worth, and the releases that were handed over.
 *
 * Keys are one byte for the table and then:
 *
 * | table | key | value |
 * |---|---|---|
 * | `r` | keeper, log, window | sequence, bytes, since, proven, bitmaps, the signed receipt |
 * | `k` | keeper | its standing, its machine tag, how far its receipts and the sweep of audits are known |
 * | `x` | keeper, hash of the release | since when, the signed release |
 *
 * Each value begins with a hash of key and value, so that a damaged row is noticed. It is dropped
 * and its keeper is asked for all of its receipts again: nothing here is the only copy.
 *
 * Writes are collected and written together by {@link CustodyStore.flush}, in the order made.
 *
 * @module
 */
import { blake2bOfParts, equalBytes } from '../crypto/sodium.ts'
import { BITMAP_BYTES } from '../sync/block-bitmap.ts'
import { ByteReader } from '../sync/byte-reader.ts'
import { ByteWriter } from '../sync/byte-writer.ts'
import type { Change, KeyValueStore } from '../sync/key-value-store.ts'
import { LOG_KEY_BYTES, logKey } from '../sync/log.ts'
import type { KeptWindow, LedgerRow } from './custody-ledger.ts'
import type { KeeperId } from './holder-link.ts'
import type { StandingRecord } from './keeper-standing.ts'

/** How many rows of receipts are read at a start; of more, the keepers are asked again. */
export const RECEIPT_ROWS_MAX = 1_000_000
/** The longest receipt that is kept, in bytes. */
export const KEPT_RECEIPT_BYTES_MAX = 4096
/** The longest release that is kept, in bytes. */
export const KEPT_RELEASE_BYTES_MAX = 64 * 1024

const VERSION = 1
const CHECK_BYTES = 16
const KEEPER_BYTES = 32
const TABLES = { receipts: 0x72, keepers: 0x6b, releases: 0x78 } as const
/** Small numbers with a fraction are kept as integers. */
const FRACTIONS = 1_000_000

/** Where the sweep of a keeper's blocks is. */
export interface SweepPosition {
  /** When this round through its blocks began, in milliseconds since 1970. */
  readonly startedMs: number
  /** How many blocks were asked for in this round. */
  readonly asked: number
  /** The next block's place; empty at the beginning. */
  readonly next: string
}

/** What is remembered of a keeper. */
export interface KeeperRecord {
  /** What its copies are worth. */
  readonly standing: StandingRecord
  /** The machine that it says it runs on, hexadecimal; empty when it never said. */
  readonly machineTag: string
  /** All its receipts up to this one are known. */
  readonly synced: number
  /** Where the sweep is. */
  readonly sweep: SweepPosition
}

/** A release that was handed over and has not been carried out. */
export interface ReleaseRecord {
  /** To whom. */
  readonly keeper: KeeperId
  /** Its hash, hexadecimal: what a cancellation names. */
  readonly hash: string
  /** When, in milliseconds since 1970. */
  readonly sentMs: number
  /** As it was signed. */
  readonly statement: Uint8Array
}

/** What was found at a start. */
export interface RememberedCustody {
  /** What each keeper keeps. */
  readonly rows: readonly LedgerRow[]
  /** By keeper. */
  readonly keepers: ReadonlyMap<KeeperId, KeeperRecord>
  /** What was handed over. */
  readonly releases: readonly ReleaseRecord[]
  /** Keepers of whom a row was damaged: to be asked for everything. */
  readonly damaged: ReadonlySet<KeeperId>
}

/** Custody on disk. */
export class CustodyStore {
  readonly #rows: KeyValueStore
  #changes = new Map<string, Change>()
  #writing: Promise<void> = Promise.resolve()

  /** @param rows - this store's own; closed by its owner */
  constructor(rows: KeyValueStore) {
    this.#rows = rows
  }

  /** Whether something waits to be written. */
  get isDirty(): boolean {
    return this.#changes.size > 0
  }

  /** Reads everything; damaged rows are dropped. @throws {SyncError} `IO`, `CLOSED` */
  load(): RememberedCustody {
    const rows: LedgerRow[] = []
    const keepers = new Map<KeeperId, KeeperRecord>()
    const releases: ReleaseRecord[] = []
    const damaged = new Set<KeeperId>()
    for (const [key, value] of this.#rows.range({ from: Uint8Array.of(0), to: LAST_KEY })) {
      try {
        const reader = openRow(key, value)
        if (key[0] === TABLES.keepers) keepers.set(keeperOf(key), readKeeper(reader))
        else if (key[0] === TABLES.releases) releases.push(readRelease(key, reader))
        else if (rows.length < RECEIPT_ROWS_MAX) rows.push(readReceipt(placeOf(key), reader))
        else damaged.add(keeperOf(key))
      } catch {
        if (key.length > KEEPER_BYTES) damaged.add(keeperOf(key))
        this.#change(key.slice(), undefined)
      }
    }
    return { rows, keepers, releases, damaged }
  }

  /** The newest receipt of a window as it was signed; undefined when there is none. */
  receiptOf(place: KeptWindow): Uint8Array | undefined {
    const key = placeKey(TABLES.receipts, place)
    const changed = this.#changes.get(latin1(key))
    const value = changed === undefined ? this.#rows.get(key) : changed[1]
    if (value === undefined) return undefined
    try {
      const reader = openRow(key, value)
      readReceipt(place, reader)
      return reader.bytes(reader.remaining).slice()
    } catch {
      return undefined
    }
  }

  /**
   * Remembers a receipt in place of an older one of the window.
   *
   * @param statement - as it was signed; that of the older one when absent
   */
  putReceipt(row: LedgerRow, statement?: Uint8Array): void {
    const signed = statement ?? this.receiptOf(row) ?? new Uint8Array(0)
    if (signed.length > KEPT_RECEIPT_BYTES_MAX) throw new RangeError('no receipt is so long')
    const key = placeKey(TABLES.receipts, row)
    const writer = newRow()
    writer.i64(row.sequence)
    writer.i64(row.bytes)
    writer.i64(row.sinceMs)
    writer.i64(row.provenMs)
    writer.bytes(row.bitmap)
    writer.u8(row.doubted === undefined ? 0 : 1)
    if (row.doubted !== undefined) writer.bytes(row.doubted)
    writer.bytes(signed)
    this.#put(key, writer)
  }

  /** Forgets the receipt of a window. */
  removeReceipt(place: KeptWindow): void {
    this.#change(placeKey(TABLES.receipts, place), undefined)
  }

  /** Remembers what a keeper's copies are worth. */
  putKeeper(keeper: KeeperId, { standing, machineTag, synced, sweep }: KeeperRecord): void {
    const writer = newRow()
    writer.i64(Math.round(standing.seenMs))
    writer.i64(Math.round(standing.lookedMs))
    writer.i64(Math.round(standing.presence * FRACTIONS))
    writer.i64(Math.round(standing.auditedBlocks * FRACTIONS))
    writer.i64(Math.round(standing.failures * FRACTIONS))
    writer.i64(standing.provenMs)
    writer.i64(standing.failedMs)
    writer.i64(synced)
    writer.i64(sweep.startedMs)
    writer.i64(sweep.asked)
    for (const text of [sweep.next, machineTag]) {
      writer.u8(text.length)
      writer.latin1(text)
    }
    this.#put(keeperKey(keeper), writer)
  }

  /** Forgets a keeper; its receipts and releases are removed apart. */
  removeKeeper(keeper: KeeperId): void {
    this.#change(keeperKey(keeper), undefined)
  }

  /** Remembers a release that was handed over. */
  putRelease(release: ReleaseRecord): void {
    const { sentMs, statement } = release
    if (statement.length > KEPT_RELEASE_BYTES_MAX) throw new RangeError('no release is so long')
    const writer = newRow()
    writer.i64(sentMs)
    writer.bytes(statement)
    this.#put(releaseKey(release), writer)
  }

  /** Forgets a release: it was carried out or cancelled. */
  removeRelease(release: Pick<ReleaseRecord, 'keeper' | 'hash'>): void {
    this.#change(releaseKey(release), undefined)
  }

  /** Writes what was changed. @throws {SyncError} `NO_SPACE`, `IO`, `CLOSED`; it is tried again */
  flush(): Promise<void> {
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#flush())
    return this.#writing
  }

  async #flush(): Promise<void> {
    if (this.#changes.size === 0) return
    const changes = this.#changes
    this.#changes = new Map()
    try {
      await this.#rows.commit([...changes.values()])
    } catch (error) {
      // What was changed since is newer.
      this.#changes = new Map([...changes, ...this.#changes])
      throw error
    }
  }

  #put(key: Uint8Array, writer: ByteWriter): void {
    const row = writer.view().slice()
    row.set(checkOf(key, row.subarray(CHECK_BYTES)))
    this.#change(key, row)
  }

  #change(key: Uint8Array, value: Uint8Array | undefined): void {
    this.#changes.set(latin1(key), [key, value])
  }
}

const LAST_KEY = Uint8Array.of(0xff)

function newRow(): ByteWriter {
  const writer = new ByteWriter(1024)
  writer.bytes(new Uint8Array(CHECK_BYTES))
  writer.u8(VERSION)
  return writer
}

/** Checks a row. @throws {SyncError | RangeError} when it is damaged */
function openRow(key: Uint8Array, value: Uint8Array): ByteReader {
  const reader = new ByteReader(value)
  const check = reader.bytes(CHECK_BYTES)
  if (!equalBytes(check, checkOf(key, value.subarray(CHECK_BYTES))))
    throw new RangeError('a damaged row')
  if (reader.u8() !== VERSION) throw new RangeError('a row of another version')
  return reader
}

function checkOf(key: Uint8Array, row: Uint8Array): Uint8Array {
  return blake2bOfParts([key, row]).subarray(0, CHECK_BYTES)
}

function readReceipt(place: KeptWindow, reader: ByteReader): LedgerRow {
  const sequence = reader.i64()
  const bytes = reader.i64()
  const sinceMs = reader.i64()
  const provenMs = reader.i64()
  const bitmap = reader.bytes(BITMAP_BYTES).slice()
  const doubted = reader.u8() === 0 ? undefined : reader.bytes(BITMAP_BYTES).slice()
  return { ...place, sequence, bytes, sinceMs, provenMs, bitmap, doubted }
}

function readKeeper(reader: ByteReader): KeeperRecord {
  const standing = {
    seenMs: reader.i64(),
    lookedMs: reader.i64(),
    presence: reader.i64() / FRACTIONS,
    auditedBlocks: reader.i64() / FRACTIONS,
    failures: reader.i64() / FRACTIONS,
    provenMs: reader.i64(),
    failedMs: reader.i64()
  }
  const synced = reader.i64()
  const startedMs = reader.i64()
  const asked = reader.i64()
  const next = reader.latin1(reader.u8())
  const machineTag = reader.latin1(reader.u8())
  return { standing, machineTag, synced, sweep: { startedMs, asked, next } }
}

function readRelease(key: Uint8Array, reader: ByteReader): ReleaseRecord {
  const sentMs = reader.i64()
  const hash = hex(key.subarray(1 + KEEPER_BYTES))
  return { keeper: keeperOf(key), hash, sentMs, statement: reader.bytes(reader.remaining).slice() }
}

function releaseKey({ keeper, hash }: Pick<ReleaseRecord, 'keeper' | 'hash'>): Uint8Array {
  return Uint8Array.from([TABLES.releases, ...bytesOf(keeper), ...bytesOf(hash)])
}

function keeperKey(keeper: KeeperId): Uint8Array {
  return Uint8Array.from([TABLES.keepers, ...bytesOf(keeper)])
}

function placeKey(table: number, { keeper, log, window }: KeptWindow): Uint8Array {
  const number = [24, 16, 8, 0].map(shift => (window >>> shift) & 0xff)
  return Uint8Array.from([table, ...bytesOf(keeper), ...bytesOf(log), ...number])
}

function keeperOf(key: Uint8Array): KeeperId {
  return hex(key.subarray(1, 1 + KEEPER_BYTES))
}

function placeOf(key: Uint8Array): KeptWindow {
  const at = 1 + KEEPER_BYTES
  const window = new DataView(key.buffer, key.byteOffset).getUint32(at + LOG_KEY_BYTES)
  return { keeper: keeperOf(key), log: logKey(hex(key.subarray(at, at + LOG_KEY_BYTES))), window }
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function latin1(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1')
}
