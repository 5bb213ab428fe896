/**
 * What an inviter hands a new device, so that it can open the drive and find the others.
 *
 * | bytes | what |
 * |---|---|
 * | 1 | version, 1 |
 * | 4 + n | length and the inviter's statement, see below |
 * | 4 + n * 192 | count and drive key envelopes, sealed to the new device |
 * | 4 | count of members' statements, each after what it follows |
 * | 4 + n | of each length and bytes; the new device's attestation is the last |
 *
 * The inviter's statement has domain `pairing/answer`, sequence 1, `previous` the hash of the
 * request, and as body drive (32 B), the person's recovery key (32 B) and the hash of the
 * attestation (32 B), which in turn carries the hash of the envelopes. So nobody but the inviter
 * can put an answer together, and none of another request or drive.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { DRIVE_KEY_ENVELOPE_BYTES } from './drive-key-envelope.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES, blake2b, equalBytes } from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import {
  STATEMENT_BODY_BYTES_MAX,
  decodeStatement,
  encodeStatement,
  signStatement,
  verifyStatement
} from './statement.ts'

/** The longest answer that is made or looked at, in bytes. */
export const PAIRING_ANSWER_BYTES_MAX = 4 * 1024 * 1024
/**
 * How many drive keys an answer carries at most. Each takes locked memory of its own, of which
 * the system gives a process tens of thousands of pieces.
 */
export const PAIRING_ENVELOPES_MAX = 1024
/** How many members' statements an answer carries at most. */
export const PAIRING_STATEMENTS_MAX = 2048

const VERSION = 1
const DOMAIN = 'pairing/answer'
const SEQUENCE = 1
const STATEMENT_BYTES_MAX = STATEMENT_BODY_BYTES_MAX + 1024
const BODY_BYTES = 2 * PUBLIC_KEY_BYTES + HASH_BYTES

/** What an inviter hands over. */
export interface PairingAnswer {
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** What new drive keys are sealed to besides the devices; X25519, 32 bytes. */
  readonly recoveryKey: Uint8Array
  /** All drive keys, sealed to the new device; at least one. */
  readonly envelopes: readonly Uint8Array[]
  /** Members' statements, each after what it follows, without the attestation. */
  readonly statements: readonly Uint8Array[]
  /** The new device's attestation. */
  readonly attestation: Uint8Array
}

/** An answer that its inviter signed. Whether that one is a member is for the caller to check. */
export interface OpenedPairingAnswer extends PairingAnswer {
  /** Who signed: the inviter's signing key. */
  readonly inviter: Uint8Array
}

/**
 * Signs and encodes an answer.
 *
 * @param input.request - the request that it answers, encoded
 * @throws {RangeError} when it is more than an answer may carry
 */
export function signPairingAnswer(input: {
  readonly answer: PairingAnswer
  readonly request: Uint8Array
  readonly inviter: KeyPair
}): Uint8Array {
  const { answer, request, inviter } = input
  const { drive, recoveryKey, envelopes, attestation } = answer
  const body = new ByteWriter(new Uint8Array(BODY_BYTES))
  body.put(drive, PUBLIC_KEY_BYTES).put(recoveryKey, PUBLIC_KEY_BYTES).put(blake2b(attestation))
  const previous = blake2b(request)
  const content = { domain: DOMAIN, sequence: SEQUENCE, previous, body: body.end() }
  const signed = encodeStatement(signStatement(content, inviter))
  const statements = [...answer.statements, attestation]
  if (statements.length > PAIRING_STATEMENTS_MAX) throw new RangeError('too many statements')
  if (envelopes.length > PAIRING_ENVELOPES_MAX) throw new RangeError('too many drive keys')
  const sizes = statements.reduce((sum, { length }) => sum + 4 + length, 0)
  const size = 13 + signed.length + envelopes.length * DRIVE_KEY_ENVELOPE_BYTES + sizes
  if (size > PAIRING_ANSWER_BYTES_MAX) throw new RangeError('the answer is too large')
  const writer = new ByteWriter(new Uint8Array(size)).u8(VERSION).u32(signed.length).put(signed)
  writer.u32(envelopes.length)
  for (const envelope of envelopes) writer.put(envelope, DRIVE_KEY_ENVELOPE_BYTES)
  writer.u32(statements.length)
  for (const statement of statements) writer.u32(statement.length).put(statement)
  return writer.end()
}

/**
 * Opens an answer and verifies that it answers this request and is as its inviter signed it.
 * Statements and envelopes are not opened here.
 *
 * @param bytes - from anyone
 * @param request - our request, encoded
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openPairingAnswer(bytes: Uint8Array, request: Uint8Array): OpenedPairingAnswer {
  if (bytes.length > PAIRING_ANSWER_BYTES_MAX) {
    throw new CryptoError('MALFORMED', `an answer of ${bytes.length} bytes`)
  }
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `an answer of version ${version}`)
  if (version !== VERSION) throw new CryptoError('MALFORMED', 'an answer without a version')
  const run = () => reader.copy(reader.count(STATEMENT_BYTES_MAX))
  const signed = run()
  const envelopes = listOf(reader.count(PAIRING_ENVELOPES_MAX), () =>
    reader.copy(DRIVE_KEY_ENVELOPE_BYTES)
  )
  const statements = listOf(reader.count(PAIRING_STATEMENTS_MAX), run)
  reader.end()
  const attestation = statements.pop()
  if (attestation === undefined) throw new CryptoError('MALFORMED', 'an answer that attests nobody')
  return { ...openSigned(signed, { request, attestation }), envelopes, statements, attestation }
}

function openSigned(
  signed: Uint8Array,
  expected: { readonly request: Uint8Array; readonly attestation: Uint8Array }
): Pick<OpenedPairingAnswer, 'drive' | 'recoveryKey' | 'inviter'> {
  const statement = decodeStatement(signed)
  verifyStatement(statement, { domain: DOMAIN })
  const isOurs = equalBytes(statement.previous, blake2b(expected.request))
  if (statement.sequence !== SEQUENCE || !isOurs) {
    throw new CryptoError('FORGED', 'an answer to another request')
  }
  const body = new ByteReader(statement.body)
  const drive = body.copy(PUBLIC_KEY_BYTES)
  const recoveryKey = body.copy(PUBLIC_KEY_BYTES)
  const attested = body.copy(HASH_BYTES)
  body.end()
  if (!equalBytes(attested, blake2b(expected.attestation))) {
    throw new CryptoError('FORGED', 'an answer with another attestation')
  }
  return { drive, recoveryKey, inviter: statement.signer }
}

function listOf(count: number, read: () => Uint8Array): Uint8Array[] {
  return Array.from({ length: count }, read)
}
