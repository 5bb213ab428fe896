/**
 * Challenges: a device asks a keeper to prove that it still has blocks it gave a receipt for.
 *
 * Domain `custody/challenge`, in no chain, signed by the device. As body:
 *
 * | bytes | what |
 * |---|---|
 * | 16 | id, random |
 * | 32 + 32 | keeper's signing key, log |
 * | 32 | nonce, random: the key of the hash that answers |
 * | 1 | mode: 0 the hash of the blocks, 1 the blocks themselves |
 * | 8 | deadline, milliseconds since 1970 |
 * | 2 + n * 4 | count, from 1, and indexes of the blocks, ascending |
 *
 * The hash is BLAKE2b-256 keyed with the nonce, over `"grove/audit/1"`, keeper, log, and of each
 * block u64 index, u32 length and its sealed bytes. The nonce makes it worthless to have hashed
 * the blocks before, the keeper in it to pass the challenge on to another.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes } from './derive.ts'
import { KeyedBlake2b, PUBLIC_KEY_BYTES } from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import { openLoneStatement, signLoneStatement } from './statement.ts'

/** The size of a challenge's id, in bytes. */
export const CHALLENGE_ID_BYTES = 16
/** The size of a challenge's nonce, in bytes. */
export const CHALLENGE_NONCE_BYTES = 32
/** How many blocks a challenge names at most. */
export const CHALLENGE_BLOCKS_MAX = 64
/** How many blocks a challenge of mode `blocks` names at most: they all travel. */
export const CHALLENGE_SENT_BLOCKS_MAX = 4

/** What answers a challenge: the hash of its blocks, or the blocks. */
export type ChallengeMode = 'hash' | 'blocks'

const DOMAIN = 'custody/challenge'
const AUDIT_LABEL = asciiBytes('grove/audit/1')
const MODES: readonly ChallengeMode[] = ['hash', 'blocks']
const BLOCKS_MAX: Readonly<Record<ChallengeMode, number>> = {
  hash: CHALLENGE_BLOCKS_MAX,
  blocks: CHALLENGE_SENT_BLOCKS_MAX
}
const FIXED_BYTES = CHALLENGE_ID_BYTES + 2 * PUBLIC_KEY_BYTES + CHALLENGE_NONCE_BYTES + 1 + 8 + 2

/** What a challenge asks. */
export interface ChallengeContent {
  /** Tells this challenge from others; {@link CHALLENGE_ID_BYTES}. */
  readonly id: Uint8Array
  /** Who is asked, by signing key; it answers no other's challenges. */
  readonly keeper: Uint8Array
  /** The log's key, 32 bytes. */
  readonly log: Uint8Array
  /** Key of the hash; {@link CHALLENGE_NONCE_BYTES}, random and never used twice. */
  readonly nonce: Uint8Array
  /** What answers. */
  readonly mode: ChallengeMode
  /** Until when an answer counts, in milliseconds since 1970. */
  readonly deadlineMs: number
  /**
   * Which blocks, ascending; u32 each, from 1 to {@link CHALLENGE_BLOCKS_MAX} of them, of mode
   * `blocks` to {@link CHALLENGE_SENT_BLOCKS_MAX}.
   */
  readonly indexes: readonly number[]
}

/** A challenge whose signature was verified. */
export interface Challenge extends ChallengeContent {
  /** The device that asks. Whether it may is for the caller to check. */
  readonly signer: Uint8Array
}

/** Signs a challenge and encodes it. @throws {RangeError} when the blocks are none or too many */
export function signChallenge(content: ChallengeContent, keyPair: KeyPair): Uint8Array {
  const { mode, indexes } = content
  if (!areInOrder(indexes)) throw new RangeError('the indexes of a challenge ascend')
  if (indexes.length === 0 || indexes.length > BLOCKS_MAX[mode]) {
    throw new RangeError(`a challenge of ${indexes.length} blocks`)
  }
  const writer = new ByteWriter(new Uint8Array(FIXED_BYTES + indexes.length * 4))
  writer.put(content.id, CHALLENGE_ID_BYTES).put(content.keeper, PUBLIC_KEY_BYTES)
  writer.put(content.log, PUBLIC_KEY_BYTES).put(content.nonce, CHALLENGE_NONCE_BYTES)
  writer.u8(MODES.indexOf(mode)).u64(content.deadlineMs).u16(indexes.length)
  for (const index of indexes) writer.u32(index)
  return signLoneStatement({ domain: DOMAIN, body: writer.end() }, keyPair)
}

/**
 * Opens a challenge and verifies its signature. Whether it names us is for the caller to check.
 *
 * @param bytes - from anyone
 * @param expected.signer - the device that must have signed; anyone when absent
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openChallenge(
  bytes: Uint8Array,
  expected: { readonly signer?: Uint8Array } = {}
): Challenge {
  const { signer, body } = openLoneStatement(bytes, { ...expected, domain: DOMAIN })
  const reader = new ByteReader(body)
  const id = reader.copy(CHALLENGE_ID_BYTES)
  const keeper = reader.copy(PUBLIC_KEY_BYTES)
  const log = reader.copy(PUBLIC_KEY_BYTES)
  const nonce = reader.copy(CHALLENGE_NONCE_BYTES)
  const mode = decodeMode(reader.u8())
  const deadlineMs = reader.u64()
  const count = reader.u16()
  if (count === 0 || count > BLOCKS_MAX[mode]) {
    throw new CryptoError('MALFORMED', `a challenge of ${count} blocks`)
  }
  const indexes = Array.from({ length: count }, () => reader.u32())
  if (!areInOrder(indexes)) throw new CryptoError('MALFORMED', 'indexes that do not ascend')
  reader.end()
  return { id, keeper, log, nonce, mode, deadlineMs, indexes, signer }
}

/** What an answer's hash is about. */
export interface AuditSubject {
  /** The challenge's nonce. */
  readonly nonce: Uint8Array
  /** The keeper's signing key, 32 bytes. */
  readonly keeper: Uint8Array
  /** The log's key, 32 bytes. */
  readonly log: Uint8Array
}

/** The hash that answers a challenge, made of one block after the other. */
export class AuditHash {
  readonly #hash: KeyedBlake2b

  /** @param subject - of the challenge */
  constructor({ nonce, keeper, log }: AuditSubject) {
    if (nonce.length !== CHALLENGE_NONCE_BYTES) throw new RangeError('no nonce of a challenge')
    const size = AUDIT_LABEL.length + 2 * PUBLIC_KEY_BYTES
    const writer = new ByteWriter(new Uint8Array(size)).put(AUDIT_LABEL)
    writer.put(keeper, PUBLIC_KEY_BYTES).put(log, PUBLIC_KEY_BYTES)
    this.#hash = new KeyedBlake2b(nonce).add(writer.end())
  }

  /** Goes on with the next block, in the challenge's order; only read. */
  add({ index, bytes }: AuditedBlock): this {
    const header = new ByteWriter(new Uint8Array(12)).u64(index).u32(bytes.length)
    this.#hash.add(header.end()).add(bytes)
    return this
  }

  /** Gives the hash; 32 bytes, fresh. The last call. */
  end(): Uint8Array {
    return this.#hash.end()
  }
}

/** A block as it goes into the hash. */
export interface AuditedBlock {
  /** Its index in the log. */
  readonly index: number
  /** Its sealed bytes. */
  readonly bytes: Uint8Array
}

/** The hash that answers a challenge; 32 bytes, fresh. */
export function auditHash(
  input: AuditSubject & { readonly blocks: Iterable<AuditedBlock> }
): Uint8Array {
  const hash = new AuditHash(input)
  for (const block of input.blocks) hash.add(block)
  return hash.end()
}

function areInOrder(indexes: readonly number[]): boolean {
  return indexes.every((index, at) => at === 0 || index > (indexes[at - 1] ?? index))
}

function decodeMode(value: number): ChallengeMode {
  const mode = MODES[value]
  if (mode === undefined) throw new CryptoError('NEWER_FORMAT', `a challenge of mode ${value}`)
  return mode
}
