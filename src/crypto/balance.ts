/**
 * Balances: how much a keeper has kept for a person in all, said by the keeper and accepted by a
 * device of the person. In dispute the last that both signed counts.
 *
 * Domain `custody/balance`, signed by the keeper. Its balances with one person are a chain: the
 * sequence counts them and `previous` is {@link balanceHash} of the one before. As body:
 *
 * | bytes | what |
 * |---|---|
 * | 32 + 32 | identity of the person, keeper's signing key |
 * | 8 | MiB times seconds kept since the beginning |
 * | 8 | keeper's time, milliseconds since 1970 |
 *
 * Domain `custody/balance-accepted`, in no chain, signed by a device; its body is the
 * {@link balanceHash} that it accepts (32 B).
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES, blake2b, equalBytes } from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import {
  encodeStatement,
  openLoneStatement,
  openStatement,
  signLoneStatement,
  signStatement
} from './statement.ts'

const BALANCE_DOMAIN = 'custody/balance'
const ACCEPTED_DOMAIN = 'custody/balance-accepted'
const BALANCE_BYTES = 2 * PUBLIC_KEY_BYTES + 2 * 8

/** What a balance says; the keeper is who signs. */
export interface BalanceContent {
  /** Its number among the keeper's balances with this person. */
  readonly sequence: number
  /** {@link balanceHash} of the balance before it, or `NO_PREVIOUS`. */
  readonly previous: Uint8Array
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** MiB times seconds kept since the beginning. */
  readonly mibSeconds: number
  /** The keeper's time, in milliseconds since 1970. */
  readonly timeMs: number
}

/** A balance that its keeper signed. */
export interface Balance extends BalanceContent {
  /** Who kept and signed, by signing key; 32 bytes. */
  readonly keeper: Uint8Array
  /** {@link balanceHash}, 32 bytes. */
  readonly hash: Uint8Array
}

/** Signs a balance and encodes it. */
export function signBalance(content: BalanceContent, keeper: KeyPair): Uint8Array {
  const { sequence, previous, identity, mibSeconds, timeMs } = content
  const writer = new ByteWriter(new Uint8Array(BALANCE_BYTES)).put(identity, PUBLIC_KEY_BYTES)
  writer.put(keeper.publicKey, PUBLIC_KEY_BYTES).u64(mibSeconds).u64(timeMs)
  return encodeStatement(
    signStatement({ domain: BALANCE_DOMAIN, sequence, previous, body: writer.end() }, keeper)
  )
}

/**
 * Opens a balance and verifies that the keeper it names signed it.
 *
 * @param bytes - from anyone
 * @param expected.signer - the keeper that must have signed; anyone when absent
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openBalance(
  bytes: Uint8Array,
  expected: { readonly signer?: Uint8Array } = {}
): Balance {
  const statement = openStatement(bytes, { ...expected, domain: BALANCE_DOMAIN })
  const { sequence, previous, signer, body } = statement
  const reader = new ByteReader(body)
  const identity = reader.copy(PUBLIC_KEY_BYTES)
  const keeper = reader.copy(PUBLIC_KEY_BYTES)
  const mibSeconds = reader.u64()
  const timeMs = reader.u64()
  reader.end()
  if (!equalBytes(keeper, signer)) {
    throw new CryptoError('FORGED', 'a balance signed by another than its keeper')
  }
  return { sequence, previous, identity, keeper, mibSeconds, timeMs, hash: balanceHash(bytes) }
}

/** Names an encoded balance: 32 bytes. */
export function balanceHash(bytes: Uint8Array): Uint8Array {
  return blake2b(bytes)
}

/** That a device accepts a balance, its signature verified. */
export interface BalanceAccepted {
  /** {@link balanceHash} of the balance. */
  readonly balance: Uint8Array
  /** The device that signed. Whether it is one of the person's is for the caller to check. */
  readonly signer: Uint8Array
}

/**
 * Signs that a device accepts a balance and encodes it.
 *
 * @param balance - {@link balanceHash} of the balance
 */
export function signBalanceAccepted(balance: Uint8Array, device: KeyPair): Uint8Array {
  const body = new ByteWriter(new Uint8Array(HASH_BYTES)).put(balance, HASH_BYTES).end()
  return signLoneStatement({ domain: ACCEPTED_DOMAIN, body }, device)
}

/**
 * Opens that a device accepts a balance and verifies its signature.
 *
 * @param bytes - from anyone
 * @param expected.signer - the device that must have signed; anyone when absent
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openBalanceAccepted(
  bytes: Uint8Array,
  expected: { readonly signer?: Uint8Array } = {}
): BalanceAccepted {
  const { signer, body } = openLoneStatement(bytes, { ...expected, domain: ACCEPTED_DOMAIN })
  const reader = new ByteReader(body)
  const balance = reader.copy(HASH_BYTES)
  reader.end()
  return { balance, signer }
}

/** Whether this is the acceptance of that balance, by another than its keeper. */
export function isDoublySigned(balance: Balance, accepted: BalanceAccepted): boolean {
  return equalBytes(accepted.balance, balance.hash) && !equalBytes(accepted.signer, balance.keeper)
}
