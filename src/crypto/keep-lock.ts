/**
 * Keep-locks: a computer that has verified copies of blocks promises another, the dropper, not to
 * drop them while that one drops its own. Enough of them, and the dropper may.
 *
 * Domain `custody/lock`, in no chain, signed by the one who keeps. As body:
 *
 * | bytes | what |
 * |---|---|
 * | 32 | dropper's signing key |
 * | 16 | attempt, random: a lock counts in one attempt to drop only |
 * | 164 | window of a log (see `log-window.ts`): the blocks that it has and keeps |
 * | 8 + 8 | granted and expiry, milliseconds since 1970 |
 *
 * The expiry only frees a locker whose dropper is gone: that locks end does not make a drop safe,
 * that a dropper grants none does.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { LOG_WINDOW_BYTES, readLogWindow, writeLogWindow } from './log-window.ts'
import type { LogWindow } from './log-window.ts'
import { PUBLIC_KEY_BYTES } from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import { openLoneStatement, signLoneStatement } from './statement.ts'

/** The size of what names an attempt to drop, in bytes. */
export const DROP_ATTEMPT_BYTES = 16

const DOMAIN = 'custody/lock'
const BODY_BYTES = PUBLIC_KEY_BYTES + DROP_ATTEMPT_BYTES + LOG_WINDOW_BYTES + 2 * 8

/** What a keep-lock says. */
export interface KeepLockContent extends LogWindow {
  /** Who wants to drop, by signing key; 32 bytes. */
  readonly dropper: Uint8Array
  /** Its attempt; {@link DROP_ATTEMPT_BYTES}. */
  readonly attempt: Uint8Array
  /** When it was granted, in milliseconds since 1970. */
  readonly grantedMs: number
  /** When the locker takes itself to be free, in milliseconds since 1970. */
  readonly expiresMs: number
}

/** A keep-lock whose signature was verified. */
export interface KeepLock extends KeepLockContent {
  /** Who keeps. Whether its copies count is for the caller to check. */
  readonly signer: Uint8Array
}

/** Signs a keep-lock and encodes it. */
export function signKeepLock(content: KeepLockContent, keyPair: KeyPair): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(BODY_BYTES)).put(content.dropper, PUBLIC_KEY_BYTES)
  writer.put(content.attempt, DROP_ATTEMPT_BYTES)
  writeLogWindow(writer, content)
  writer.u64(content.grantedMs).u64(content.expiresMs)
  return signLoneStatement({ domain: DOMAIN, body: writer.end() }, keyPair)
}

/**
 * Opens a keep-lock and verifies its signature. Whether it is of our attempt is for the caller to
 * check.
 *
 * @param bytes - from anyone
 * @param expected.signer - who must have signed; anyone when absent
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openKeepLock(
  bytes: Uint8Array,
  expected: { readonly signer?: Uint8Array } = {}
): KeepLock {
  const { signer, body } = openLoneStatement(bytes, { ...expected, domain: DOMAIN })
  const reader = new ByteReader(body)
  const lock = {
    dropper: reader.copy(PUBLIC_KEY_BYTES),
    attempt: reader.copy(DROP_ATTEMPT_BYTES),
    ...readLogWindow(reader),
    grantedMs: reader.u64(),
    expiresMs: reader.u64(),
    signer
  }
  reader.end()
  return lock
}
