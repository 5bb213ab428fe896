/**
 * What a keeper has to remember: whom it keeps for, what it signed, what it was told.
 *
 * Rows of a {@link KeyValueStore}, one table for each kind. Whatever belongs together is one
 * batch, and a batch is durable when it resolves: what a keeper signs is signed into its records
 * first. The store has to survive a loss of power as a whole prefix of its batches.
 *
 * @module
 */
import { ByteReader } from '../crypto/byte-reader.ts'
import { SHORT_TEXT_BYTES_MAX } from '../crypto/short-text.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES } from '../crypto/sodium.ts'
import { BITMAP_BYTES, WINDOW_BLOCKS } from '../sync/block-bitmap.ts'
import { ByteWriter } from '../sync/byte-writer.ts'
import type { Change, KeyValueStore } from '../sync/key-value-store.ts'
import type { LogKey } from '../sync/log.ts'
import { SyncError } from '../sync/sync-error.ts'
import { LOCATOR_BYTES_MAX, SUMMARY_BYTES_MAX } from './custody-message.ts'
import {
  blobField,
  bytesField,
  flagField,
  listField,
  logField,
  recordField,
  u32Field,
  u64Field,
  type FieldCodec,
  type FieldValue
} from './field-codec.ts'

const STATEMENT_BYTES_MAX = 68 * 1024
const key32 = bytesField(PUBLIC_KEY_BYTES)
const hash = bytesField(HASH_BYTES)

/** Of the keeper itself. */
const LIFE = recordField({ onlineSec: u64Field })
/** By hash of its secret. */
const INVITATION = recordField({ quotaBytes: u64Field, expiresMs: u64Field })
/** By identity. */
const PERSON = recordField({ drive: key32, quotaBytes: u64Field })
/** By identity: the newest receipt's number and hash. */
const CHAIN = recordField({ sequence: u64Field, previous: hash })
/** By identity. */
const ACTIVITY = recordField({ contactSec: u64Field, mibSeconds: u64Field })
/**
 * By identity and place: the newest receipt, its blocks, and how large each is, ascending; and
 * whether they are counted as content, not as operations.
 */
const WINDOW = recordField({
  sequence: u64Field,
  isContent: flagField,
  receipt: blobField(1024),
  bitmap: bytesField(BITMAP_BYTES),
  sizes: listField(u32Field, WINDOW_BLOCKS)
})
/** By identity and sequence: which window's receipt it is. */
const PLACE = recordField({ log: logField, window: u32Field })
/** By identity and place: what may be stored without being under receipt. */
const PENDING = recordField({ bitmap: bytesField(BITMAP_BYTES) })
/** By identity and log: how many entries were counted, and their bytes. */
const OPERATIONS = recordField({ length: u64Field, bytes: u64Field })
/** By identity and hash of the statement. */
const RELEASE = recordField({
  statement: blobField(STATEMENT_BYTES_MAX),
  receivedMs: u64Field,
  isCancelled: flagField
})

/** By identity, or by hash of the secret of an invitation: a short text, as it is encoded. */
const NAME = blobField(1 + SHORT_TEXT_BYTES_MAX)

/** By identity: the newest balance that both signed. */
const BALANCE = recordField({ balance: blobField(1024), accepted: blobField(1024) })

/** An invitation that a keeper gave out. */
export type InvitationRow = FieldValue<typeof INVITATION>
/** Somebody that a keeper keeps for. */
export type PersonRow = FieldValue<typeof PERSON>
/** The newest of a chain of receipts. */
export type ChainRow = FieldValue<typeof CHAIN>
/** When a person was last heard of, and what was done for them. */
export type ActivityRow = FieldValue<typeof ACTIVITY>
/** A receipt that stands. */
export type WindowRow = FieldValue<typeof WINDOW>
/** How much of an operation log was counted. */
export type OperationsRow = FieldValue<typeof OPERATIONS>
/** A release that was handed over. */
export type ReleaseRow = FieldValue<typeof RELEASE>

/** A balance that both signed. */
export type BalanceRow = FieldValue<typeof BALANCE>

/** A window of a person's log. */
export interface WindowPlace {
  /** The log. */
  readonly log: LogKey
  /** The window's number. */
  readonly window: number
}

/** One kind of rows. */
export class RecordTable<Row> {
  readonly #store: KeyValueStore
  readonly #prefix: number
  readonly #codec: FieldCodec<Row>

  /** @param prefix - the first byte of its keys */
  constructor(store: KeyValueStore, prefix: string, codec: FieldCodec<Row>) {
    this.#store = store
    this.#prefix = prefix.charCodeAt(0)
    this.#codec = codec
  }

  /** Reads a row. @throws {SyncError} `DAMAGED` */
  get(...key: readonly Uint8Array[]): Row | undefined {
    const bytes = this.#store.get(this.#key(key))
    return bytes === undefined ? undefined : this.#decode(bytes)
  }

  /** The change that writes a row. */
  put(row: Row, ...key: readonly Uint8Array[]): Change {
    const writer = new ByteWriter()
    this.#codec.write(writer, row)
    return [this.#key(key), writer.view().slice()]
  }

  /** The change that deletes a row. */
  remove(...key: readonly Uint8Array[]): Change {
    return [this.#key(key), undefined]
  }

  /**
   * Rows in the order of their keys, with what follows the given beginning in the key; none of
   * them may be changed while this iterates.
   *
   * @param after - rows up to and with this rest of a key are left out
   * @throws {SyncError} `DAMAGED`
   */
  *rows(
    beginning: readonly Uint8Array[],
    after?: Uint8Array
  ): Iterable<{ readonly rest: Uint8Array; readonly row: Row }> {
    const first = this.#key(beginning)
    // Of the keys above `after` the least is the one with a zero appended.
    const from = after === undefined ? first : this.#key([...beginning, after, Uint8Array.of(0)])
    for (const [key, value] of this.#store.range({ from, to: successor(first) }))
      yield { rest: key.slice(first.length), row: this.#decode(value) }
  }

  #key(parts: readonly Uint8Array[]): Uint8Array {
    return Buffer.concat([Uint8Array.of(this.#prefix), ...parts])
  }

  #decode(bytes: Uint8Array): Row {
    try {
      const reader = new ByteReader(bytes)
      const row = this.#codec.read(reader)
      reader.end()
      return row
    } catch (cause) {
      throw new SyncError('DAMAGED', "a row of the keeper's records cannot be read", { cause })
    }
  }
}

/** See the module. */
export class KeeperRecords {
  /** Of the keeper itself; no key. */
  readonly life: RecordTable<FieldValue<typeof LIFE>>
  /** By hash of the secret. */
  readonly invitations: RecordTable<InvitationRow>
  /** By identity. */
  readonly persons: RecordTable<PersonRow>
  /** Member statements, by identity and hash. */
  readonly statements: RecordTable<Uint8Array>
  /** By identity. */
  readonly chains: RecordTable<ChainRow>
  /** By identity. */
  readonly activity: RecordTable<ActivityRow>
  /** By identity and {@link placeKey}. */
  readonly windows: RecordTable<WindowRow>
  /** By identity and {@link sequenceKey}. */
  readonly sequences: RecordTable<FieldValue<typeof PLACE>>
  /** By identity and {@link placeKey}. */
  readonly pending: RecordTable<FieldValue<typeof PENDING>>
  /** By identity and log. */
  readonly operations: RecordTable<OperationsRow>
  /** By identity and device. */
  readonly summaries: RecordTable<Uint8Array>
  /** By identity. */
  readonly locators: RecordTable<Uint8Array>
  /** By identity and hash. */
  readonly releases: RecordTable<ReleaseRow>
  /** By identity. */
  readonly balances: RecordTable<BalanceRow>
  /** What the owner calls persons: by identity, or by hash of the secret of an invitation. */
  readonly names: RecordTable<Uint8Array>
  readonly #store: KeyValueStore

  /** @param store - borrowed; nothing else uses it */
  constructor(store: KeyValueStore) {
    this.#store = store
    this.life = new RecordTable(store, 'k', LIFE)
    this.invitations = new RecordTable(store, 'i', INVITATION)
    this.persons = new RecordTable(store, 'p', PERSON)
    this.statements = new RecordTable(store, 'm', blobField(STATEMENT_BYTES_MAX))
    this.chains = new RecordTable(store, 'c', CHAIN)
    this.activity = new RecordTable(store, 'a', ACTIVITY)
    this.windows = new RecordTable(store, 'w', WINDOW)
    this.sequences = new RecordTable(store, 'n', PLACE)
    this.pending = new RecordTable(store, 'h', PENDING)
    this.operations = new RecordTable(store, 'o', OPERATIONS)
    this.summaries = new RecordTable(store, 's', blobField(SUMMARY_BYTES_MAX))
    this.locators = new RecordTable(store, 'l', blobField(LOCATOR_BYTES_MAX))
    this.releases = new RecordTable(store, 'r', RELEASE)
    this.balances = new RecordTable(store, 'b', BALANCE)
    this.names = new RecordTable(store, 't', NAME)
  }

  /** Applies changes, all or none, durably. @throws {SyncError} `NO_SPACE`, `IO`, `CLOSED` */
  async commit(changes: readonly Change[]): Promise<void> {
    await this.#store.commit(changes)
    await this.#store.sync()
  }
}

/** The key of a window among those of a person. */
export function placeKey({ log, window }: WindowPlace): Uint8Array {
  const key = Buffer.alloc(LOG_KEY_HEX / 2 + 4)
  key.write(log, 'hex')
  key.writeUInt32BE(window, LOG_KEY_HEX / 2)
  return key
}

/** The key of a sequence, in the order of the numbers. */
export function sequenceKey(sequence: number): Uint8Array {
  const key = Buffer.alloc(8)
  key.writeBigUInt64BE(BigInt(sequence))
  return key
}

/** The number of a {@link sequenceKey}. */
export function sequenceOfKey(key: Uint8Array): number {
  return Number(Buffer.from(key).readBigUInt64BE())
}

/** The bytes of a log's name. */
export function logBytes(log: LogKey): Uint8Array {
  return Buffer.from(log, 'hex')
}

const LOG_KEY_HEX = 64

/** The least key above all that begin so. */
function successor(beginning: Uint8Array): Uint8Array {
  const next = Uint8Array.from(beginning)
  for (let at = next.length - 1; at >= 0; at--) {
    const byte = next[at] ?? 0
    if (byte < 0xff) {
      next[at] = byte + 1
      return next.subarray(0, at + 1)
    }
  }
  throw new RangeError('no key is above')
}
