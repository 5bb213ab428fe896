/**
 * Receipts: a keeper's signed promise that it has blocks of a log on its disk. Only these make
 * a copy count; what peers announce besides is a claim.
 *
 * Domain `custody/receipt`, signed by the keeper. Its receipts for one person are a chain: the
 * sequence counts them and `previous` is {@link receiptHash} of the one before, so a keeper that
 * tells two devices different things is found out. As body:
 *
 * | bytes | what |
 * |---|---|
 * | 32 + 32 | identity of the person, drive |
 * | 16 | machine tag: keepers that run on one machine state the same |
 * | 32 + 8 + 32 | log, the length of it that the keeper knows, tree hash at that length |
 * | 4 + 128 | window and bitmap of the blocks it has (see `log-window.ts`) |
 * | 8 | bytes of these blocks |
 * | 8 + 8 | keeper's time, milliseconds since 1970; seconds that it has been online in all |
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { WINDOW_BITMAP_BYTES } from './log-window.ts'
import type { LogWindow } from './log-window.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES, blake2b } from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import { encodeStatement, openStatement, signStatement } from './statement.ts'

/** The size of a machine tag, in bytes. */
export const MACHINE_TAG_BYTES = 16

const DOMAIN = 'custody/receipt'
const BODY_BYTES =
  3 * PUBLIC_KEY_BYTES + MACHINE_TAG_BYTES + HASH_BYTES + WINDOW_BITMAP_BYTES + 4 * 8 + 4

/** What a receipt says. It replaces the keeper's older receipts of the same log and window. */
export interface ReceiptContent extends LogWindow {
  /** Its number among the keeper's receipts for this person. */
  readonly sequence: number
  /** {@link receiptHash} of the receipt before it, or `NO_PREVIOUS`. */
  readonly previous: Uint8Array
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** Which machine the keeper says it runs on; {@link MACHINE_TAG_BYTES}. */
  readonly machine: Uint8Array
  /** How much of the log the keeper knows, in blocks. */
  readonly length: number
  /** The log's tree hash at that length, 32 bytes. */
  readonly treeHash: Uint8Array
  /** How many bytes the blocks in the bitmap have. */
  readonly bytes: number
  /** The keeper's time, in milliseconds since 1970. */
  readonly timeMs: number
  /** How many seconds the keeper has been online in all; never falls. */
  readonly onlineSec: number
}

/** A receipt whose signature was verified. */
export interface Receipt extends ReceiptContent {
  /** The keeper's signing key. Whether it is one of ours is for the caller to check. */
  readonly signer: Uint8Array
  /** The receipt as it was signed, to be kept and passed on; a copy. */
  readonly statement: Uint8Array
}

/** Signs a receipt and encodes it. */
export function signReceipt(content: ReceiptContent, keyPair: KeyPair): Uint8Array {
  const { sequence, previous } = content
  const writer = new ByteWriter(new Uint8Array(BODY_BYTES))
  writer.put(content.identity, PUBLIC_KEY_BYTES).put(content.drive, PUBLIC_KEY_BYTES)
  writer.put(content.machine, MACHINE_TAG_BYTES).put(content.log, PUBLIC_KEY_BYTES)
  writer.u64(content.length).put(content.treeHash, HASH_BYTES)
  writer.u32(content.window).put(content.bitmap, WINDOW_BITMAP_BYTES)
  writer.u64(content.bytes).u64(content.timeMs).u64(content.onlineSec)
  return encodeStatement(
    signStatement({ domain: DOMAIN, sequence, previous, body: writer.end() }, keyPair)
  )
}

/**
 * Opens a receipt and verifies its signature.
 *
 * @param bytes - from anyone
 * @param expected.signer - the keeper that must have signed; anyone when absent
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openReceipt(
  bytes: Uint8Array,
  expected: { readonly signer?: Uint8Array } = {}
): Receipt {
  const { sequence, previous, signer, body } = openStatement(bytes, { ...expected, domain: DOMAIN })
  const reader = new ByteReader(body)
  const receipt = {
    sequence,
    previous,
    signer,
    identity: reader.copy(PUBLIC_KEY_BYTES),
    drive: reader.copy(PUBLIC_KEY_BYTES),
    machine: reader.copy(MACHINE_TAG_BYTES),
    log: reader.copy(PUBLIC_KEY_BYTES),
    length: reader.u64(),
    treeHash: reader.copy(HASH_BYTES),
    window: reader.u32(),
    bitmap: reader.copy(WINDOW_BITMAP_BYTES),
    bytes: reader.u64(),
    timeMs: reader.u64(),
    onlineSec: reader.u64(),
    statement: new Uint8Array(bytes)
  }
  reader.end()
  return receipt
}

/** Names an encoded receipt: 32 bytes, for the next one's `previous`. */
export function receiptHash(bytes: Uint8Array): Uint8Array {
  return blake2b(bytes)
}
