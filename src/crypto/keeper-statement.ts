/**
 * What a keeper says of itself when it and a device have met: who it is, what room it has.
 *
 * Domain `custody/keeper`, in no chain, signed by the keeper. As body:
 *
 * | bytes | what |
 * |---|---|
 * | 32 | identity of the person it is said to |
 * | 32 | nonce: hash of the connection's handshake, so that it is worth nothing on another |
 * | 16 | machine tag: keepers that run on one machine state the same |
 * | 8 + 8 | bytes it grants this person, bytes of them in use |
 * | 8 + 8 | keeper's time, milliseconds since 1970; seconds that it has been online in all |
 * | 8 | version of the person's list of members that it knows, 0 for none |
 * | 1 + n | its name (see `short-text.ts`) |
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { MACHINE_TAG_BYTES } from './receipt.ts'
import { encodeShortText, readShortText } from './short-text.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES } from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import { openLoneStatement, signLoneStatement } from './statement.ts'

const DOMAIN = 'custody/keeper'
const FIXED_BYTES = PUBLIC_KEY_BYTES + HASH_BYTES + MACHINE_TAG_BYTES + 5 * 8

/** What a keeper says of itself. */
export interface KeeperContent {
  /** The person it is said to, by signing key; 32 bytes. */
  readonly identity: Uint8Array
  /** Hash of the connection's handshake, 32 bytes. */
  readonly nonce: Uint8Array
  /** Which machine it runs on; `MACHINE_TAG_BYTES`. */
  readonly machine: Uint8Array
  /** How many bytes it keeps for this person at most. */
  readonly quotaBytes: number
  /** How many it keeps now. */
  readonly usedBytes: number
  /** Its time, in milliseconds since 1970. */
  readonly timeMs: number
  /** How many seconds it has been online in all; never falls. */
  readonly onlineSec: number
  /** Which version of the list of members it knows; 0 for none. */
  readonly listVersion: number
  /** What it calls itself. */
  readonly name: string
}

/** A keeper's statement whose signature was verified. */
export interface KeeperStatement extends KeeperContent {
  /** The keeper's signing key. */
  readonly signer: Uint8Array
}

/**
 * Signs what a keeper says of itself and encodes it.
 *
 * @throws {RangeError} when the name is too long or holds characters that cannot be shown
 */
export function signKeeperStatement(content: KeeperContent, keyPair: KeyPair): Uint8Array {
  const name = encodeShortText(content.name)
  const writer = new ByteWriter(new Uint8Array(FIXED_BYTES + name.length))
  writer.put(content.identity, PUBLIC_KEY_BYTES).put(content.nonce, HASH_BYTES)
  writer.put(content.machine, MACHINE_TAG_BYTES).u64(content.quotaBytes).u64(content.usedBytes)
  writer.u64(content.timeMs).u64(content.onlineSec).u64(content.listVersion)
  return signLoneStatement({ domain: DOMAIN, body: writer.put(name).end() }, keyPair)
}

/**
 * Opens what a keeper says of itself and verifies its signature. Whether identity and nonce are
 * ours is for the caller to check.
 *
 * @param bytes - from anyone
 * @param expected.signer - the keeper that must have signed; anyone when absent
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openKeeperStatement(
  bytes: Uint8Array,
  expected: { readonly signer?: Uint8Array } = {}
): KeeperStatement {
  const { signer, body } = openLoneStatement(bytes, { ...expected, domain: DOMAIN })
  const reader = new ByteReader(body)
  const keeper = {
    identity: reader.copy(PUBLIC_KEY_BYTES),
    nonce: reader.copy(HASH_BYTES),
    machine: reader.copy(MACHINE_TAG_BYTES),
    quotaBytes: reader.u64(),
    usedBytes: reader.u64(),
    timeMs: reader.u64(),
    onlineSec: reader.u64(),
    listVersion: reader.u64(),
    name: readShortText(reader),
    signer
  }
  reader.end()
  return keeper
}
