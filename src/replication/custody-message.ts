/**
 * What a device and a keeper say to each other about custody: a request and its answer for each
 * method, and the refusals.
 *
 * A request is u8 version and the method's fields. An answer is u8 version, u8 outcome, then
 * either the fields or, of a refusal, a short text for people. There is one encoding of each
 * message. What is decoded was checked for its form and for nothing else: statements in it are
 * opened by whoever takes them.
 *
 * @module
 */
import { ByteReader } from '../crypto/byte-reader.ts'
import {
  CHALLENGE_BLOCKS_MAX,
  CHALLENGE_ID_BYTES,
  CHALLENGE_SENT_BLOCKS_MAX
} from '../crypto/challenge.ts'
import { CryptoError } from '../crypto/crypto-error.ts'
import { HOLDER_SECRET_BYTES } from '../crypto/holder-code.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES } from '../crypto/sodium.ts'
import { ByteWriter } from '../sync/byte-writer.ts'
import { ENTRY_BYTES_MAX } from '../sync/log.ts'
import { COPIES_MAX } from '../sync/redundancy.ts'
import {
  blobField,
  blocksField,
  bytesField,
  flagField,
  lengthsField,
  listField,
  logField,
  optionalField,
  recordField,
  u32Field,
  u64Field,
  variantField,
  type FieldCodec,
  type FieldValue
} from './field-codec.ts'
import type { KeeperRefusal } from './holder-link.ts'
import { ATTEMPT_NONCE_BYTES } from './keep-lock.ts'

/** How many statements or announcements one request has at most. */
export const REQUEST_ITEMS_MAX = 256

/** How many bytes they have together at most. */
export const REQUEST_ITEMS_BYTES_MAX = 128 * 1024

/** How many receipts one answer has at most. */
export const ANSWER_RECEIPTS_MAX = 128

/** How many logs, and how many windows of blocks, one request for durability names at most. */
export const DURABLE_PARTS_MAX = 512

/** How large what recovery needs of one device is at most, in bytes. */
export const SUMMARY_BYTES_MAX = 1024 * 1024

/** How large a record of the hash table is at most, in bytes. */
export const LOCATOR_BYTES_MAX = 1200

/** How many bytes the text of a refusal has at most. */
export const REFUSAL_TEXT_BYTES_MAX = 200

/** How many bytes the blocks of one answer have at most, together. */
export const ANSWER_BLOCKS_BYTES_MAX = 12 * 1024 * 1024

const VERSION = 1
/** Of statements that name no more than one window. */
const STATEMENT_BYTES_MAX = 1024
/** Of member statements, announcements and releases. */
const LONG_STATEMENT_BYTES_MAX = 68 * 1024

const statement = blobField(STATEMENT_BYTES_MAX)
const items = listField(
  blobField(LONG_STATEMENT_BYTES_MAX),
  REQUEST_ITEMS_MAX,
  REQUEST_ITEMS_BYTES_MAX + LONG_STATEMENT_BYTES_MAX
)
const identity = bytesField(PUBLIC_KEY_BYTES)
const attempt = bytesField(ATTEMPT_NONCE_BYTES)
const block = blobField(ENTRY_BYTES_MAX)
const nothing = recordField({})

const REQUESTS = {
  /** Says who calls; in several when there are many statements. */
  hello: recordField({
    identity,
    /** Absent: whichever the keeper knows, of who has only the words. */
    drive: optionalField(bytesField(PUBLIC_KEY_BYTES)),
    secret: optionalField(bytesField(HOLDER_SECRET_BYTES)),
    isLast: flagField,
    statements: items
  }),
  logs: recordField({ announcements: items }),
  hold: recordField({ blocks: blocksField }),
  receipts: recordField({ since: u64Field }),
  challenge: recordField({ statement }),
  usage: nothing,
  fetch: recordField({ log: logField, index: u32Field, hash: bytesField(HASH_BYTES) }),
  durable: recordField({
    logs: lengthsField(DURABLE_PARTS_MAX),
    blocks: listField(blocksField, DURABLE_PARTS_MAX)
  }),
  release: recordField({ statement: blobField(LONG_STATEMENT_BYTES_MAX) }),
  /** The first that waits after the one of this hash; zeros for the first of all. */
  releases: recordField({ after: bytesField(HASH_BYTES) }),
  mark: recordField({ blocks: blocksField }),
  unmark: recordField({ attempt }),
  lock: recordField({ blocks: blocksField, dropper: identity, attempt }),
  drop: recordField({ attempt, locks: listField(statement, COPIES_MAX) }),
  putSummary: recordField({ summary: blobField(SUMMARY_BYTES_MAX) }),
  /** Of the devices after this one, by signing key; zeros for the first. */
  summaries: recordField({ after: identity }),
  putLocator: recordField({ record: blobField(LOCATOR_BYTES_MAX) }),
  /** Says that the balance before is accepted, and asks for the next. */
  balance: recordField({ accepted: optionalField(statement) })
} as const

const ANSWERS = {
  /** Present in answer to the last part. */
  hello: optionalField(recordField({ keeper: statement, drive: bytesField(PUBLIC_KEY_BYTES) })),
  logs: nothing,
  hold: recordField({ receipt: statement }),
  receipts: recordField({
    receipts: listField(statement, ANSWER_RECEIPTS_MAX),
    isLast: flagField
  }),
  challenge: recordField({
    id: bytesField(CHALLENGE_ID_BYTES),
    answer: variantField({
      hash: recordField({ hash: bytesField(HASH_BYTES) }),
      blocks: recordField({
        blocks: listField(block, CHALLENGE_SENT_BLOCKS_MAX, ANSWER_BLOCKS_BYTES_MAX)
      }),
      missing: recordField({ indexes: listField(u32Field, CHALLENGE_BLOCKS_MAX) })
    })
  }),
  usage: recordField({
    quotaBytes: u64Field,
    usedBytes: u64Field,
    onlineSec: u64Field,
    sequence: u64Field,
    mibSeconds: u64Field
  }),
  fetch: recordField({ block: optionalField(block) }),
  durable: nothing,
  release: nothing,
  /** Absent when there are no more. */
  releases: optionalField(
    recordField({ statement: blobField(LONG_STATEMENT_BYTES_MAX), receivedMs: u64Field })
  ),
  mark: recordField({ attempt }),
  unmark: nothing,
  lock: recordField({ statement }),
  drop: recordField({ receipt: statement }),
  putSummary: nothing,
  /** Absent when there are no more. */
  summaries: optionalField(
    recordField({ device: identity, summary: blobField(SUMMARY_BYTES_MAX) })
  ),
  putLocator: nothing,
  /** With the newest that both signed, if there is one. */
  balance: recordField({
    proposal: statement,
    settled: optionalField(recordField({ balance: statement, accepted: statement }))
  })
} as const

/** What can be asked of a keeper. */
export type CustodyMethod = keyof typeof REQUESTS

/** A request. */
export type CustodyRequest<Method extends CustodyMethod> = FieldValue<(typeof REQUESTS)[Method]>

/** Its answer. */
export type CustodyAnswer<Method extends CustodyMethod> = FieldValue<(typeof ANSWERS)[Method]>

/** What came back: the answer, or why there is none. */
export type CustodyOutcome<Method extends CustodyMethod> =
  | { readonly answer: CustodyAnswer<Method> }
  | { readonly refusal: KeeperRefusal; readonly text: string }

/** All methods. */
export const CUSTODY_METHODS = Object.keys(REQUESTS) as readonly CustodyMethod[]

const REFUSALS: readonly KeeperRefusal[] = [
  'REFUSED',
  'FULL',
  'IMBALANCE',
  'UNAVAILABLE',
  'KEEP_LOCKED'
]
const refusalText = blobField(REFUSAL_TEXT_BYTES_MAX)
const UNPRINTABLE = /[^\x20-\x7e]/g

/** Whether there is such a method. */
export function isCustodyMethod(name: string): name is CustodyMethod {
  return Object.hasOwn(REQUESTS, name)
}

/** How long a request is at most, in bytes. */
export function requestBytesMax(method: CustodyMethod): number {
  return 1 + REQUESTS[method].bytesMax
}

/** Encodes a request; fresh bytes. @throws {RangeError} when it has too many parts */
export function encodeRequest<Method extends CustodyMethod>(
  method: Method,
  request: CustodyRequest<Method>
): Uint8Array {
  const codec = REQUESTS[method] as unknown as FieldCodec<CustodyRequest<Method>>
  const writer = versioned()
  codec.write(writer, request)
  return checkedSize(writer, 1 + codec.bytesMax)
}

/**
 * Decodes a request.
 *
 * @param bytes - from anyone; only read, copied where kept
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`; never anything else
 */
export function decodeRequest<Method extends CustodyMethod>(
  method: Method,
  bytes: Uint8Array
): CustodyRequest<Method> {
  const codec = REQUESTS[method] as unknown as FieldCodec<CustodyRequest<Method>>
  const reader = versionChecked(bytes, 1 + codec.bytesMax)
  const request = codec.read(reader)
  reader.end()
  return request
}

/** Encodes an answer; fresh bytes. @throws {RangeError} when it has too many parts */
export function encodeAnswer<Method extends CustodyMethod>(
  method: Method,
  answer: CustodyAnswer<Method>
): Uint8Array {
  const codec = ANSWERS[method] as unknown as FieldCodec<CustodyAnswer<Method>>
  const writer = versioned()
  writer.u8(0)
  codec.write(writer, answer)
  return checkedSize(writer, 2 + codec.bytesMax)
}

/** Encodes a refusal; fresh bytes. @param text - for people; what is too long is cut */
export function encodeRefusal(refusal: KeeperRefusal, text: string): Uint8Array {
  const writer = versioned()
  writer.u8(1 + REFUSALS.indexOf(refusal))
  const printable = text.replaceAll(UNPRINTABLE, '?').slice(0, REFUSAL_TEXT_BYTES_MAX)
  refusalText.write(writer, Buffer.from(printable, 'latin1'))
  return writer.view().slice()
}

/**
 * Decodes an answer or a refusal.
 *
 * @param bytes - from anyone; only read, copied where kept
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`; never anything else
 */
export function decodeAnswer<Method extends CustodyMethod>(
  method: Method,
  bytes: Uint8Array
): CustodyOutcome<Method> {
  const codec = ANSWERS[method] as unknown as FieldCodec<CustodyAnswer<Method>>
  const reader = versionChecked(bytes, 2 + Math.max(codec.bytesMax, refusalText.bytesMax))
  const outcome = reader.u8()
  const decoded =
    outcome === 0 ? { answer: codec.read(reader) } : readRefusal(reader, REFUSALS[outcome - 1])
  reader.end()
  return decoded
}

function readRefusal(
  reader: ByteReader,
  refusal: KeeperRefusal | undefined
): { readonly refusal: KeeperRefusal; readonly text: string } {
  if (refusal === undefined) throw new CryptoError('MALFORMED', 'no refusal')
  const text = Buffer.from(refusalText.read(reader)).toString('latin1')
  if (text.search(UNPRINTABLE) !== -1) throw new CryptoError('MALFORMED', 'an unprintable text')
  return { refusal, text }
}

function versioned(): ByteWriter {
  const writer = new ByteWriter()
  writer.u8(VERSION)
  return writer
}

function versionChecked(bytes: Uint8Array, bytesMax: number): ByteReader {
  if (bytes.length > bytesMax) throw new CryptoError('MALFORMED', `${bytes.length} bytes`)
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `custody version ${version}`)
  if (version !== VERSION) throw new CryptoError('MALFORMED', 'a message without a version')
  return reader
}

/** Lists may be bounded in bytes more tightly than their items are. */
function checkedSize(writer: ByteWriter, bytesMax: number): Uint8Array {
  if (writer.length > bytesMax) throw new RangeError(`a message of ${writer.length} bytes`)
  return writer.view().slice()
}
