/**
 * Log summaries: what a device gives every holder, so that whoever has nothing but the words can
 * open the drive: who belongs to it, which logs there are and how long, the drive keys, the
 * holders.
 *
 * | bytes | what |
 * |---|---|
 * | 1 | version, 1 |
 * | 4 + n | length and the device's statement: domain `recovery/summary`, sequence, body: BLAKE2b-256 of all that follows |
 * | 24 | nonce |
 * | m | ciphertext |
 * | 16 | tag |
 *
 * It is sealed under a key that follows from the locator secret, with `"grove/summary/1"`, the
 * signer and the u64 sequence as associated data. The plain text is padded by Padmé, so that
 * holders learn little of what is in it:
 *
 * | bytes | what |
 * |---|---|
 * | 32 + 8 + 8 | drive, version of the list of members, time in milliseconds since 1970 |
 * | 4 + (4 + n) * | members' statements, each after what it follows |
 * | 4 + (4 + n + 2 * 40) * | announcements of log pairs, each with u64 length and tree hash (32 B, zeros when not known) of its two logs |
 * | 4 + 192 * | drive keys, sealed to the recovery key |
 * | 4 + (4 + n) * | statements about holders |
 * | * | zeros |
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes } from './derive.ts'
import { DRIVE_KEY_ENVELOPE_BYTES } from './drive-key-envelope.ts'
import { padme } from './sealer.ts'
import {
  HASH_BYTES,
  NONCE_BYTES,
  PUBLIC_KEY_BYTES,
  TAG_BYTES,
  blake2b,
  decrypt,
  encrypt,
  equalBytes
} from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import type { Random } from './random.ts'
import { NO_PREVIOUS, encodeStatement, openStatement, signStatement } from './statement.ts'

/** The longest summary, in bytes. */
export const LOG_SUMMARY_BYTES_MAX = 1024 * 1024

const VERSION = 1
const DOMAIN = 'recovery/summary'
const LABEL = asciiBytes('grove/summary/1')
const STATEMENT_BYTES_MAX = 512
const LOG_STATE_BYTES = 8 + HASH_BYTES
const FIXED_BYTES = PUBLIC_KEY_BYTES + 8 + 8 + 4 * 4
const OVERHEAD_BYTES = 5 + STATEMENT_BYTES_MAX + NONCE_BYTES + TAG_BYTES

/** How long a log was. */
export interface SummarizedLog {
  /** How many entries it had. */
  readonly length: number
  /** Its tree hash at that length, 32 bytes; zeros when the device did not know it. */
  readonly treeHash: Uint8Array
}

/** A pair of logs of a device. */
export interface SummarizedPair {
  /** What announced it. */
  readonly announcement: Uint8Array
  /** Its operations. */
  readonly operationLog: SummarizedLog
  /** Its content. */
  readonly contentLog: SummarizedLog
}

/** What a summary says. */
export interface LogSummaryContent {
  /** Its number among the device's summaries; the highest counts. */
  readonly sequence: number
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The version of the list of members. */
  readonly listVersion: number
  /** When it was made, in milliseconds since 1970. */
  readonly timeMs: number
  /** Members' statements, each after what it follows. */
  readonly members: readonly Uint8Array[]
  /** The log pairs that the device knew. */
  readonly pairs: readonly SummarizedPair[]
  /** Drive keys, sealed to the recovery key. */
  readonly envelopes: readonly Uint8Array[]
  /** Statements about holders. */
  readonly holders: readonly Uint8Array[]
}

/** A summary whose signature was verified. */
export interface LogSummary extends LogSummaryContent {
  /** The device's signing key. Whether it is a member is for the caller to check. */
  readonly signer: Uint8Array
}

/** Whether a summary of this content is short enough. */
export function fitsLogSummary(content: LogSummaryContent): boolean {
  return OVERHEAD_BYTES + padme(plainBytes(content)) <= LOG_SUMMARY_BYTES_MAX
}

/** Tells whether two summaries say the same, whenever they were made; 32 bytes. */
export function logSummaryDigest(
  content: Omit<LogSummaryContent, 'sequence' | 'timeMs'>
): Uint8Array {
  return blake2b(encodeContent({ ...content, sequence: 0, timeMs: 0 }))
}

/**
 * Seals, signs and encodes a summary.
 *
 * @param input.key - `Locator.summaryKey`
 * @param input.signing - the device's signing keys
 * @throws {RangeError} when it does not fit; see {@link fitsLogSummary}
 */
export function sealLogSummary(input: {
  readonly content: LogSummaryContent
  readonly key: Uint8Array
  readonly signing: KeyPair
  readonly random: Random
}): Uint8Array {
  const { content, key, signing, random } = input
  if (!fitsLogSummary(content)) throw new RangeError('the summary is too large')
  const plain = encodeContent(content)
  const sealed = new Uint8Array(NONCE_BYTES + plain.length + TAG_BYTES)
  const nonce = random.bytes(NONCE_BYTES)
  sealed.set(nonce)
  const { sequence } = content
  const associated = placeOf(signing.publicKey, sequence)
  encrypt({ plain, into: sealed.subarray(NONCE_BYTES), associated, nonce, key })
  const signed = { domain: DOMAIN, sequence, previous: NO_PREVIOUS, body: blake2b(sealed) }
  const statement = encodeStatement(signStatement(signed, signing))
  const writer = new ByteWriter(new Uint8Array(5 + statement.length + sealed.length)).u8(VERSION)
  return writer.u32(statement.length).put(statement).put(sealed).end()
}

/**
 * Opens a summary and verifies that its signer made it. The statements, announcements and
 * envelopes in it are not opened here.
 *
 * @param bytes - from anyone
 * @param key - `Locator.summaryKey`
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openLogSummary(bytes: Uint8Array, key: Uint8Array): LogSummary {
  if (bytes.length > LOG_SUMMARY_BYTES_MAX)
    throw new CryptoError('MALFORMED', `a summary of ${bytes.length} bytes`)
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `a summary of version ${version}`)
  if (version !== VERSION) throw new CryptoError('MALFORMED', 'a summary without a version')
  const signed = reader.view(reader.count(STATEMENT_BYTES_MAX))
  const { signer, sequence, body } = openStatement(signed, { domain: DOMAIN })
  const sealed = reader.view(reader.remaining)
  if (!equalBytes(body, blake2b(sealed)))
    throw new CryptoError('FORGED', 'a summary that its statement does not name')
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new CryptoError('TRUNCATED', 'no summary')
  const into = new Uint8Array(sealed.length - NONCE_BYTES - TAG_BYTES)
  const nonce = sealed.subarray(0, NONCE_BYTES)
  const ciphertext = sealed.subarray(NONCE_BYTES)
  const associated = placeOf(signer, sequence)
  if (!decrypt({ sealed: ciphertext, into, associated, nonce, key }))
    throw new CryptoError('FORGED', 'a summary does not verify')
  return { signer, sequence, ...decodeContent(into) }
}

function placeOf(signer: Uint8Array, sequence: number): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(LABEL.length + PUBLIC_KEY_BYTES + 8)).put(LABEL)
  return writer.put(signer, PUBLIC_KEY_BYTES).u64(sequence).end()
}

function plainBytes({ members, pairs, envelopes, holders }: LogSummaryContent): number {
  let size = FIXED_BYTES + envelopes.length * DRIVE_KEY_ENVELOPE_BYTES
  for (const statement of [...members, ...holders]) size += 4 + statement.length
  for (const { announcement } of pairs) size += 4 + announcement.length + 2 * LOG_STATE_BYTES
  return size
}

function encodeContent(content: LogSummaryContent): Uint8Array {
  const { drive, listVersion, timeMs, members, pairs, envelopes, holders } = content
  const plain = new Uint8Array(padme(plainBytes(content)))
  const writer = new ByteWriter(plain).put(drive, PUBLIC_KEY_BYTES).u64(listVersion).u64(timeMs)
  putRuns(writer, members)
  writer.u32(pairs.length)
  for (const { announcement, operationLog, contentLog } of pairs) {
    writer.u32(announcement.length).put(announcement)
    for (const { length, treeHash } of [operationLog, contentLog])
      writer.u64(length).put(treeHash, HASH_BYTES)
  }
  writer.u32(envelopes.length)
  for (const envelope of envelopes) writer.put(envelope, DRIVE_KEY_ENVELOPE_BYTES)
  putRuns(writer, holders)
  return plain
}

function putRuns(writer: ByteWriter, runs: readonly Uint8Array[]): void {
  writer.u32(runs.length)
  for (const run of runs) writer.u32(run.length).put(run)
}

function decodeContent(plain: Uint8Array): Omit<LogSummaryContent, 'sequence'> {
  const reader = new ByteReader(plain)
  const drive = reader.copy(PUBLIC_KEY_BYTES)
  const [listVersion, timeMs] = [reader.u64(), reader.u64()]
  const run = () => reader.copy(reader.count(plain.length))
  const log = () => ({ length: reader.u64(), treeHash: reader.copy(HASH_BYTES) })
  const pair = () => ({ announcement: run(), operationLog: log(), contentLog: log() })
  const members = listOf(reader, 4, run)
  const pairs = listOf(reader, 4 + 2 * LOG_STATE_BYTES, pair)
  const size = DRIVE_KEY_ENVELOPE_BYTES
  const envelopes = listOf(reader, size, () => reader.copy(size))
  const holders = listOf(reader, 4, run)
  if (padme(plain.length - reader.remaining) !== plain.length)
    throw new CryptoError('MALFORMED', 'a summary that is padded in another way')
  if (reader.view(reader.remaining).some(byte => byte !== 0))
    throw new CryptoError('MALFORMED', 'a summary with padding that is not zeros')
  return { drive, listVersion, timeMs, members, pairs, envelopes, holders }
}

/** @param itemBytes - what each takes at least, so that a count promises no more than is there */
function listOf<Item>(reader: ByteReader, itemBytes: number, read: () => Item): Item[] {
  const count = reader.u32()
  if (count * itemBytes > reader.remaining) throw new CryptoError('TRUNCATED', 'ends in a list')
  return Array.from({ length: count }, read)
}
