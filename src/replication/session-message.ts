/**
 * What two devices say to each other besides the logs themselves: the messages of a session.
 *
 * | first byte | message | then |
 * |---|---|---|
 * | 1 | prove | u32 key id, 32 B proof |
 * | 2 | hello | u8 1 if it is the last, statements |
 * | 3 | logs | announcements |
 * | 4 | heads | u32 count, of each log 32 B key and u64 length |
 *
 * Statements and announcements: u32 count, of each u32 length and bytes. There is one encoding of
 * each message. What is decoded was checked for its form and for nothing else.
 *
 * @module
 */
import { ByteReader } from '../crypto/byte-reader.ts'
import { ByteWriter } from '../crypto/byte-writer.ts'
import { CryptoError } from '../crypto/crypto-error.ts'
import { HASH_BYTES } from '../crypto/sodium.ts'
import { LOG_KEY_BYTES, logKey, type LogKey } from '../sync/log.ts'

/** The longest message, in bytes. */
export const SESSION_MESSAGE_BYTES_MAX = 128 * 1024

/** How many statements or announcements one message has at most. */
export const MESSAGE_ITEMS_MAX = 256

/** How many heads one message has at most. */
export const MESSAGE_HEADS_MAX = 1024

/** So many bytes of items begin a new message. */
const MESSAGE_BYTES_TARGET = 48 * 1024

const ITEM_BYTES_MAX = 68 * 1024
const HEAD_BYTES = LOG_KEY_BYTES + 8

/** The sender has a drive key. */
export interface ProveMessage {
  /** Which message it is. */
  readonly kind: 'prove'
  /** The number of the drive key. */
  readonly keyId: number
  /** Keyed hash of the connection and its direction, 32 bytes. */
  readonly proof: Uint8Array
}

/** Who the sender is: member statements. */
export interface HelloMessage {
  /** Which message it is. */
  readonly kind: 'hello'
  /** Whether all have been sent. */
  readonly isLast: boolean
  /** Member statements, each after those that it rests on. */
  readonly statements: readonly Uint8Array[]
}

/** Which logs there are. */
export interface LogsMessage {
  /** Which message it is. */
  readonly kind: 'logs'
  /** See `log-announcement.ts`. */
  readonly announcements: readonly Uint8Array[]
}

/** How far the sender has merged. */
export interface HeadsMessage {
  /** Which message it is. */
  readonly kind: 'heads'
  /** Lengths of operation logs, those that changed. */
  readonly heads: ReadonlyMap<LogKey, number>
}

/** A message of a session. */
export type SessionMessage = ProveMessage | HelloMessage | LogsMessage | HeadsMessage

const CODES = { prove: 1, hello: 2, logs: 3, heads: 4 } as const

/** Encodes a message; fresh bytes. @throws {RangeError} when it has too many parts */
export function encodeSessionMessage(message: SessionMessage): Uint8Array {
  const writer = (size: number): ByteWriter =>
    new ByteWriter(new Uint8Array(1 + size)).u8(CODES[message.kind])
  switch (message.kind) {
    case 'prove':
      return writer(4 + HASH_BYTES)
        .u32(message.keyId)
        .put(message.proof, HASH_BYTES)
        .end()
    case 'hello': {
      const { statements, isLast } = message
      const size = 1 + itemsSize(statements)
      return putItems(writer(size).u8(isLast ? 1 : 0), statements).end()
    }
    case 'logs':
      return putItems(writer(itemsSize(message.announcements)), message.announcements).end()
    case 'heads': {
      const { heads } = message
      if (heads.size > MESSAGE_HEADS_MAX) throw new RangeError('too many heads')
      const bytes = writer(4 + heads.size * HEAD_BYTES).u32(heads.size)
      for (const [log, length] of [...heads].sort(byLog))
        bytes.put(Buffer.from(log, 'hex')).u64(length)
      return bytes.end()
    }
  }
}

/**
 * Decodes a message.
 *
 * @param bytes - from anyone; only read, copied where kept
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`; never anything else
 */
export function decodeSessionMessage(bytes: Uint8Array): SessionMessage {
  if (bytes.length > SESSION_MESSAGE_BYTES_MAX)
    throw new CryptoError('MALFORMED', `a message of ${bytes.length} bytes`)
  const reader = new ByteReader(bytes)
  const message = readMessage(reader)
  reader.end()
  return message
}

/** Splits items over as many messages as they need; at least one, which may be empty. */
export function splitItems(items: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const groups: Uint8Array[][] = []
  let group: Uint8Array[] = []
  let bytes = 0
  for (const item of items) {
    if (group.length >= MESSAGE_ITEMS_MAX || bytes > MESSAGE_BYTES_TARGET) {
      groups.push(group)
      ;[group, bytes] = [[], 0]
    }
    group.push(item)
    bytes += item.length
  }
  groups.push(group)
  return groups
}

function readMessage(reader: ByteReader): SessionMessage {
  const code = reader.u8()
  switch (code) {
    case CODES.prove:
      return { kind: 'prove', keyId: reader.u32(), proof: reader.copy(HASH_BYTES) }
    case CODES.hello:
      return { kind: 'hello', isLast: readFlag(reader), statements: readItems(reader) }
    case CODES.logs:
      return { kind: 'logs', announcements: readItems(reader) }
    case CODES.heads:
      return { kind: 'heads', heads: readHeads(reader) }
    default:
      throw new CryptoError('MALFORMED', `no message of a session: ${code}`)
  }
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8()
  if (flag > 1) throw new CryptoError('MALFORMED', `no flag: ${flag}`)
  return flag === 1
}

function readItems(reader: ByteReader): Uint8Array[] {
  const items: Uint8Array[] = []
  for (let count = reader.count(MESSAGE_ITEMS_MAX); count > 0; count--)
    items.push(reader.copy(reader.count(ITEM_BYTES_MAX)))
  return items
}

function readHeads(reader: ByteReader): ReadonlyMap<LogKey, number> {
  const heads = new Map<LogKey, number>()
  let previous = ''
  for (let count = reader.count(MESSAGE_HEADS_MAX); count > 0; count--) {
    const log = logKey(Buffer.from(reader.view(LOG_KEY_BYTES)).toString('hex'))
    if (log <= previous) throw new CryptoError('MALFORMED', 'heads do not ascend')
    previous = log
    heads.set(log, reader.u64())
  }
  return heads
}

function byLog([left]: [LogKey, number], [right]: [LogKey, number]): number {
  return left < right ? -1 : 1
}

function itemsSize(items: readonly Uint8Array[]): number {
  if (items.length > MESSAGE_ITEMS_MAX) throw new RangeError('too many items')
  return items.reduce((sum, item) => sum + 4 + item.length, 4)
}

function putItems(writer: ByteWriter, items: readonly Uint8Array[]): ByteWriter {
  writer.u32(items.length)
  for (const item of items) writer.u32(item.length).put(item)
  return writer
}
