/**
 * Statements: the one codec of every signed object, so that there is one parser to attack.
 *
 * | bytes | what |
 * |---|---|
 * | 1 | version, 1 |
 * | 1 + n | length and domain: what kind of statement it is, `a-z 0-9 / -` |
 * | 32 | signer, an Ed25519 key |
 * | 8 | sequence |
 * | 32 | hash of the signer's or list's previous statement, zeros for none |
 * | 4 + m | length and body |
 * | 64 | signature over `"grove/statement/1"` and all bytes before it |
 *
 * There is one encoding of each statement: what decodes encodes to the same bytes, so its hash
 * names it.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes } from './derive.ts'
import {
  HASH_BYTES,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  blake2b,
  equalBytes,
  sign,
  verify
} from './sodium.ts'
import type { KeyPair } from './sodium.ts'

/** The longest domain, in bytes. */
export const STATEMENT_DOMAIN_BYTES_MAX = 64
/** The longest body, in bytes. */
export const STATEMENT_BODY_BYTES_MAX = 64 * 1024
/** The `previous` of a first statement. */
export const NO_PREVIOUS: Uint8Array = new Uint8Array(HASH_BYTES)

const VERSION = 1
const LONE_SEQUENCE = 1
const SIGNED_LABEL = asciiBytes('grove/statement/1')
const DOMAIN = /^[a-z0-9/-]{1,64}$/
const FIXED_BYTES = 2 + PUBLIC_KEY_BYTES + 8 + HASH_BYTES + 4 + SIGNATURE_BYTES

/** What is stated, before it is signed. */
export interface StatementContent {
  /** What kind of statement it is, such as `member/attest`. */
  readonly domain: string
  /** Its number in its chain. */
  readonly sequence: number
  /** {@link statementHash} of the statement before it, or {@link NO_PREVIOUS}. */
  readonly previous: Uint8Array
  /** What the domain says it is; at most {@link STATEMENT_BODY_BYTES_MAX} bytes. */
  readonly body: Uint8Array
}

/** A signed statement. Having one proves nothing: see {@link verifyStatement}. */
export interface Statement extends StatementContent {
  /** Whose statement it is; Ed25519, 32 bytes. */
  readonly signer: Uint8Array
  /** 64 bytes. */
  readonly signature: Uint8Array
}

/** Signs a statement. */
export function signStatement(content: StatementContent, keyPair: KeyPair): Statement {
  const unsigned = { ...content, signer: keyPair.publicKey, signature: new Uint8Array(0) }
  return { ...unsigned, signature: sign(signedBytes(unsigned), keyPair) }
}

/** Encodes a statement; fresh bytes. */
export function encodeStatement(statement: Statement): Uint8Array {
  const size = FIXED_BYTES + statement.domain.length + statement.body.length
  const writer = new ByteWriter(new Uint8Array(size))
  writeUnsigned(writer, statement)
  return writer.put(statement.signature, SIGNATURE_BYTES).end()
}

/**
 * Parses a statement. It proves nothing: the signature is not looked at.
 *
 * @param bytes - from anyone; only read, nothing of them is kept
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`; never anything else
 */
export function decodeStatement(bytes: Uint8Array): Statement {
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `statement version ${version}`)
  if (version !== VERSION) throw new CryptoError('MALFORMED', 'a statement without a version')
  const domain = String.fromCharCode(...reader.view(checkedDomainLength(reader.u8())))
  if (!DOMAIN.test(domain)) throw new CryptoError('MALFORMED', 'no domain of a statement')
  const statement = {
    domain,
    signer: reader.copy(PUBLIC_KEY_BYTES),
    sequence: reader.u64(),
    previous: reader.copy(HASH_BYTES),
    body: reader.copy(reader.count(STATEMENT_BODY_BYTES_MAX)),
    signature: reader.copy(SIGNATURE_BYTES)
  }
  reader.end()
  return statement
}

/**
 * Proves that the signer stated this in this domain. Whether the signer had the right to is
 * for the caller to decide.
 *
 * @param expected.signer - who must have signed; anyone when absent
 * @throws {CryptoError} `FORGED` when the signature, the domain or the signer is another
 */
export function verifyStatement(
  statement: Statement,
  expected: { readonly domain: string; readonly signer?: Uint8Array }
): void {
  if (statement.domain !== expected.domain) {
    throw new CryptoError('FORGED', `a statement of domain ${statement.domain}`)
  }
  if (expected.signer !== undefined && !equalBytes(statement.signer, expected.signer)) {
    throw new CryptoError('FORGED', 'a statement signed by somebody else')
  }
  const { signature, signer } = statement
  const message = signedBytes(statement)
  if (!verify({ signature, message, publicKey: signer })) {
    throw new CryptoError('FORGED', 'the signature of a statement does not verify')
  }
}

/**
 * Parses a statement and proves that the signer stated it.
 *
 * @param bytes - from anyone
 * @param expected.signer - who must have signed; anyone when absent
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openStatement(
  bytes: Uint8Array,
  expected: { readonly domain: string; readonly signer?: Uint8Array }
): Statement {
  const statement = decodeStatement(bytes)
  verifyStatement(statement, expected)
  return statement
}

/** Signs and encodes a statement that is in no chain: sequence 1, no `previous`. */
export function signLoneStatement(
  content: Pick<StatementContent, 'domain' | 'body'>,
  keyPair: KeyPair
): Uint8Array {
  const chained = { ...content, sequence: LONE_SEQUENCE, previous: NO_PREVIOUS }
  return encodeStatement(signStatement(chained, keyPair))
}

/**
 * Opens what {@link signLoneStatement} made, as {@link openStatement} does.
 *
 * @throws {CryptoError} as {@link openStatement}; `MALFORMED` when it is in a chain
 */
export function openLoneStatement(
  bytes: Uint8Array,
  expected: { readonly domain: string; readonly signer?: Uint8Array }
): Statement {
  const statement = openStatement(bytes, expected)
  const { sequence, previous } = statement
  if (sequence !== LONE_SEQUENCE || !equalBytes(previous, NO_PREVIOUS)) {
    throw new CryptoError('MALFORMED', `a ${statement.domain} in a chain`)
  }
  return statement
}

/** Names a statement: 32 bytes, for the next one's `previous`. */
export function statementHash(statement: Statement): Uint8Array {
  return blake2b(encodeStatement(statement))
}

function signedBytes(statement: Statement): Uint8Array {
  const { domain, body } = statement
  const size = SIGNED_LABEL.length + FIXED_BYTES - SIGNATURE_BYTES + domain.length + body.length
  const writer = new ByteWriter(new Uint8Array(size)).put(SIGNED_LABEL)
  writeUnsigned(writer, statement)
  return writer.end()
}

function writeUnsigned(writer: ByteWriter, statement: Statement): void {
  const { domain, signer, sequence, previous, body } = statement
  if (!DOMAIN.test(domain)) throw new RangeError(`no domain of a statement: ${domain}`)
  if (body.length > STATEMENT_BODY_BYTES_MAX) throw new RangeError('the body is too long')
  writer.u8(VERSION).u8(domain.length).put(asciiBytes(domain))
  writer.put(signer, PUBLIC_KEY_BYTES).u64(sequence).put(previous, HASH_BYTES)
  writer.u32(body.length).put(body)
}

function checkedDomainLength(length: number): number {
  if (length > STATEMENT_DOMAIN_BYTES_MAX) {
    throw new CryptoError('MALFORMED', `a domain of ${length} bytes`)
  }
  return length
}
