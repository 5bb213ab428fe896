/**
 * Releases: leave for a keeper to delete blocks that it promised to keep; and their cancelling.
 *
 * A release takes effect at once when the identity signed it, and {@link RELEASE_DELAY_MS} after
 * it came when a device did; until then any other member can cancel it. So a stolen laptop cannot
 * order deletion. Domain `custody/release`, in no chain, and as body:
 *
 * | bytes | what |
 * |---|---|
 * | 32 + 32 | drive, keeper's signing key |
 * | 1 | kind: 0 garbage, no version needs these blocks; 1 excess, more copies than wished |
 * | 1 | floor: how many other copies there must stay |
 * | 8 | issued, milliseconds since 1970 |
 * | 2 + n * 164 | count, from 1, and windows (see `log-window.ts`) |
 *
 * Domain `custody/cancel`, in no chain, and as body:
 *
 * | bytes | what |
 * |---|---|
 * | 32 | {@link releaseHash} of the release that it cancels |
 * | 8 | issued, milliseconds since 1970 |
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { LOG_WINDOW_BYTES, readLogWindow, writeLogWindow } from './log-window.ts'
import type { LogWindow } from './log-window.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES, blake2b } from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import { openLoneStatement, signLoneStatement } from './statement.ts'

/** How many windows a release names at most. */
export const RELEASE_WINDOWS_MAX = 256
/** How long a release that a device signed waits before it takes effect: 7 days. */
export const RELEASE_DELAY_MS: number = 7 * 24 * 60 * 60 * 1000

/** Why blocks may go. */
export type ReleaseKind = 'garbage' | 'excess'

const RELEASE_DOMAIN = 'custody/release'
const CANCEL_DOMAIN = 'custody/cancel'
const KINDS: readonly ReleaseKind[] = ['garbage', 'excess']
const RELEASE_FIXED_BYTES = 2 * PUBLIC_KEY_BYTES + 1 + 1 + 8 + 2
const CANCEL_BYTES = HASH_BYTES + 8

/** What a release says. */
export interface ReleaseContent {
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** Who may delete, by signing key; 32 bytes. */
  readonly keeper: Uint8Array
  /** Why. */
  readonly kind: ReleaseKind
  /** How many other copies there must stay; u8. */
  readonly floor: number
  /** When it was signed, in milliseconds since 1970. */
  readonly issuedMs: number
  /** Which blocks; from 1 to {@link RELEASE_WINDOWS_MAX} windows. */
  readonly windows: readonly LogWindow[]
}

/** A release whose signature was verified. */
export interface Release extends ReleaseContent {
  /** Who signed: the identity, or a device whose right to do so the caller checks. */
  readonly signer: Uint8Array
  /** {@link releaseHash}, 32 bytes. */
  readonly hash: Uint8Array
}

/** Signs a release and encodes it. @throws {RangeError} when windows are none or too many */
export function signRelease(content: ReleaseContent, keyPair: KeyPair): Uint8Array {
  const { windows } = content
  if (windows.length === 0 || windows.length > RELEASE_WINDOWS_MAX) {
    throw new RangeError(`a release of ${windows.length} windows`)
  }
  const size = RELEASE_FIXED_BYTES + windows.length * LOG_WINDOW_BYTES
  const writer = new ByteWriter(new Uint8Array(size)).put(content.drive, PUBLIC_KEY_BYTES)
  writer.put(content.keeper, PUBLIC_KEY_BYTES).u8(KINDS.indexOf(content.kind))
  writer.u8(content.floor).u64(content.issuedMs).u16(windows.length)
  for (const window of windows) writeLogWindow(writer, window)
  return signLoneStatement({ domain: RELEASE_DOMAIN, body: writer.end() }, keyPair)
}

/**
 * Opens a release and verifies its signature. Whether it is for us, and its signer a member, is
 * for the caller to check.
 *
 * @param bytes - from anyone
 * @param expected.signer - who must have signed; anyone when absent
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openRelease(
  bytes: Uint8Array,
  expected: { readonly signer?: Uint8Array } = {}
): Release {
  const { signer, body } = openLoneStatement(bytes, { ...expected, domain: RELEASE_DOMAIN })
  const reader = new ByteReader(body)
  const drive = reader.copy(PUBLIC_KEY_BYTES)
  const keeper = reader.copy(PUBLIC_KEY_BYTES)
  const kind = decodeKind(reader.u8())
  const floor = reader.u8()
  const issuedMs = reader.u64()
  const count = reader.u16()
  if (count === 0 || count > RELEASE_WINDOWS_MAX) {
    throw new CryptoError('MALFORMED', `a release of ${count} windows`)
  }
  const windows = Array.from({ length: count }, () => readLogWindow(reader))
  reader.end()
  return { drive, keeper, kind, floor, issuedMs, windows, signer, hash: releaseHash(bytes) }
}

/** Names an encoded release, 32 bytes: what a {@link Cancel} says that it cancels. */
export function releaseHash(bytes: Uint8Array): Uint8Array {
  return blake2b(bytes)
}

/** What the cancelling of a release says. */
export interface CancelContent {
  /** {@link releaseHash} of the release. */
  readonly release: Uint8Array
  /** When it was signed, in milliseconds since 1970. */
  readonly issuedMs: number
}

/** The cancelling of a release, its signature verified. */
export interface Cancel extends CancelContent {
  /** Who signed: the identity, or a device that the caller checks is another than released. */
  readonly signer: Uint8Array
}

/** Signs the cancelling of a release and encodes it. */
export function signCancel({ release, issuedMs }: CancelContent, keyPair: KeyPair): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(CANCEL_BYTES)).put(release, HASH_BYTES)
  return signLoneStatement({ domain: CANCEL_DOMAIN, body: writer.u64(issuedMs).end() }, keyPair)
}

/**
 * Opens the cancelling of a release and verifies its signature.
 *
 * @param bytes - from anyone
 * @param expected.signer - who must have signed; anyone when absent
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openCancel(
  bytes: Uint8Array,
  expected: { readonly signer?: Uint8Array } = {}
): Cancel {
  const { signer, body } = openLoneStatement(bytes, { ...expected, domain: CANCEL_DOMAIN })
  const reader = new ByteReader(body)
  const cancel = { release: reader.copy(HASH_BYTES), issuedMs: reader.u64(), signer }
  reader.end()
  return cancel
}

function decodeKind(value: number): ReleaseKind {
  const kind = KINDS[value]
  if (kind === undefined) throw new CryptoError('NEWER_FORMAT', `a release of kind ${value}`)
  return kind
}
