/**
 * Seals the entries and blocks of one log: the version-1 envelope.
 *
 * | bytes | what |
 * |---|---|
 * | 1 | version, 1 |
 * | 1 | suite, 1 = XChaCha20-Poly1305 (IETF) with keys of BLAKE2b |
 * | 2 | flags, all critical, none known |
 * | 4 | key id |
 * | 24 | nonce, random |
 * | n | ciphertext of the frame |
 * | 16 | tag |
 *
 * The frame is u8 kind (1 entry, 2 block), u8 codec (0 raw), u32 length of the content, the
 * content, zeros. Integers are little-endian. Associated data: `"grove/seal/1"`, the first 8
 * bytes, the purpose, the drive (32 B), the log (32 B), u64 index: what was sealed for one place
 * opens at no other.
 *
 * The content is padded by Padmé: of a length only its high bits show, at a cost of at most
 * 12 % and of nothing for a power of two, so that full blocks stay full blocks.
 * Source: K. Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication
 * with PURBs", PoPETs 2019(4), section 4.
 *
 * @module
 */
import { CryptoError } from './crypto-error.ts'
import { asciiBytes, deriveKey } from './derive.ts'
import { NONCE_BYTES, TAG_BYTES, decrypt, encrypt, rawBytes } from './sodium.ts'
import type { KeyTable } from './key-table.ts'
import type { Random } from './random.ts'

/** What the envelope adds to a frame, in bytes. */
export const ENVELOPE_OVERHEAD_BYTES = 8 + NONCE_BYTES + TAG_BYTES
/** What sealing adds to content before padding, in bytes: envelope and frame header. */
export const SEAL_OVERHEAD_BYTES = ENVELOPE_OVERHEAD_BYTES + 6
/** The size no sealed entry is below, so that small commits look alike. */
export const SEALED_ENTRY_BYTES_MIN = 256
/** The largest sealed entry or block, in bytes. */
export const SEALED_BYTES_MAX = 8 * 1024 * 1024
/** The most content that fits {@link SEALED_BYTES_MAX} whatever its padding, in bytes. */
export const CONTENT_BYTES_MAX = SEALED_BYTES_MAX - 128 * 1024

const VERSION = 1
const SUITE = 1
const CODEC_RAW = 0
const HEADER_BYTES = 8
const FRAME_START = HEADER_BYTES + NONCE_BYTES
const FRAME_HEADER_BYTES = 6
const AREA_BYTES = 32
const LABEL = asciiBytes('grove/seal/1')

/** What a sealer seals. */
export type SealPurpose = 'entry' | 'block'

const KINDS: Readonly<Record<SealPurpose, number>> = { entry: 1, block: 2 }

/** Pads a length of less than 2^32 by Padmé: the next one that few high bits can tell. */
export function padme(length: number): number {
  if (length < 2) return length
  const exponent = 31 - Math.clz32(length)
  const kept = 32 - Math.clz32(exponent)
  const granule = 2 ** Math.max(0, exponent - kept)
  return Math.ceil(length / granule) * granule
}

/** How many bytes `contentBytes` of content have when sealed. */
export function sealedSize(purpose: SealPurpose, contentBytes: number): number {
  const size = SEAL_OVERHEAD_BYTES + padme(contentBytes)
  return purpose === 'entry' ? Math.max(size, SEALED_ENTRY_BYTES_MIN) : size
}

/** Seals and opens what lies in one log. */
export class Sealer {
  readonly #keys: KeyTable
  readonly #purpose: SealPurpose
  readonly #log: Uint8Array
  readonly #random: Random
  readonly #sealingKeys = new Map<number, Uint8Array>()
  readonly #associated: Uint8Array
  readonly #indexView: DataView

  /**
   * @param options.keys - the drive's keys; read at each call, so later keys are found
   * @param options.drive - the drive's id, 32 bytes
   * @param options.log - the log's key, 32 bytes
   */
  constructor(options: {
    readonly keys: KeyTable
    readonly purpose: SealPurpose
    readonly drive: Uint8Array
    readonly log: Uint8Array
    readonly random: Random
  }) {
    const { drive, log, purpose } = options
    if (drive.length !== AREA_BYTES) throw new RangeError('a drive id has 32 bytes')
    if (log.length !== AREA_BYTES) throw new RangeError('a log key has 32 bytes')
    this.#keys = options.keys
    this.#purpose = purpose
    this.#log = new Uint8Array(log)
    this.#random = options.random
    const label = asciiBytes(purpose)
    const prefix = LABEL.length + HEADER_BYTES + label.length
    this.#associated = new Uint8Array(prefix + 2 * AREA_BYTES + 8)
    this.#associated.set(LABEL)
    this.#associated.set(label, LABEL.length + HEADER_BYTES)
    this.#associated.set(drive, prefix)
    this.#associated.set(log, prefix + AREA_BYTES)
    this.#indexView = new DataView(this.#associated.buffer, prefix + 2 * AREA_BYTES)
  }

  /**
   * Seals content for one place in the log, under the current drive key.
   *
   * @param content - at most {@link CONTENT_BYTES_MAX} bytes; only read
   * @param index - where in the log it will lie
   * @returns {@link sealedSize} bytes, fresh, the caller's
   * @throws {CryptoError} `UNKNOWN_KEY` when there is no drive key
   */
  seal(content: Uint8Array, index: number): Uint8Array {
    if (content.length > CONTENT_BYTES_MAX) throw new RangeError('too much content to seal')
    const keyId = this.#keys.currentKeyId
    const sealed = rawBytes(sealedSize(this.#purpose, content.length))
    const view = new DataView(sealed.buffer, sealed.byteOffset)
    view.setUint8(0, VERSION)
    view.setUint8(1, SUITE)
    view.setUint16(2, 0, true)
    view.setUint32(4, keyId, true)
    const nonce = this.#random.bytes(NONCE_BYTES)
    sealed.set(nonce, HEADER_BYTES)
    view.setUint8(FRAME_START, KINDS[this.#purpose])
    view.setUint8(FRAME_START + 1, CODEC_RAW)
    view.setUint32(FRAME_START + 2, content.length, true)
    sealed.set(content, FRAME_START + FRAME_HEADER_BYTES)
    sealed.fill(0, FRAME_START + FRAME_HEADER_BYTES + content.length)
    // The frame lies where its ciphertext will: the content is copied once, never twice.
    encrypt({
      plain: sealed.subarray(FRAME_START, sealed.length - TAG_BYTES),
      into: sealed.subarray(FRAME_START),
      associated: this.#place(sealed, index),
      nonce,
      key: this.#sealingKey(keyId)
    })
    return sealed
  }

  /**
   * Opens what was sealed for this place and proves that it is that.
   *
   * @param sealed - only read
   * @param index - where in the log it lies
   * @returns the content: a view of a fresh buffer, the caller's
   * @throws {CryptoError} `TRUNCATED`, `NEWER_FORMAT`, `UNKNOWN_KEY`, `FORGED` when bytes were
   *   changed or lie at another place, `MALFORMED`. Nothing of the content is released then.
   */
  open(sealed: Uint8Array, index: number): Uint8Array {
    const keyId = checkHeader(sealed)
    const key = this.#sealingKey(keyId)
    const frame = rawBytes(sealed.length - ENVELOPE_OVERHEAD_BYTES)
    const genuine = decrypt({
      sealed: sealed.subarray(FRAME_START),
      into: frame,
      associated: this.#place(sealed, index),
      nonce: sealed.subarray(HEADER_BYTES, FRAME_START),
      key
    })
    if (!genuine) throw new CryptoError('FORGED', `${this.#purpose} ${index} does not verify`)
    return contentOf(frame, KINDS[this.#purpose])
  }

  /** Fills in the associated data: the 8 header bytes and the index; the rest is fixed. */
  #place(sealed: Uint8Array, index: number): Uint8Array {
    if (!Number.isSafeInteger(index) || index < 0) throw new RangeError(`no index: ${index}`)
    const associated = this.#associated
    for (let byte = 0; byte < HEADER_BYTES; byte++) {
      associated[LABEL.length + byte] = sealed[byte] ?? 0
    }
    this.#indexView.setUint32(0, index >>> 0, true)
    this.#indexView.setUint32(4, Math.floor(index / 2 ** 32), true)
    return associated
  }

  #sealingKey(keyId: number): Uint8Array {
    const cached = this.#sealingKeys.get(keyId)
    if (cached !== undefined) return cached
    const { key } = this.#keys.get(keyId)
    const derived = deriveKey({ key, purpose: this.#purpose, context: this.#log })
    this.#sealingKeys.set(keyId, derived)
    return derived
  }
}

/** Checks version, suite and flags and returns the key id. */
function checkHeader(sealed: Uint8Array): number {
  if (sealed.length < SEAL_OVERHEAD_BYTES) {
    throw new CryptoError('TRUNCATED', `${sealed.length} bytes are too few for sealed content`)
  }
  const view = new DataView(sealed.buffer, sealed.byteOffset)
  const [version, suite, flags] = [view.getUint8(0), view.getUint8(1), view.getUint16(2, true)]
  if (version === 0 || suite === 0) throw new CryptoError('MALFORMED', 'no sealed content')
  if (version !== VERSION) throw new CryptoError('NEWER_FORMAT', `sealed by version ${version}`)
  if (suite !== SUITE) throw new CryptoError('NEWER_FORMAT', `sealed with suite ${suite}`)
  if (flags !== 0) throw new CryptoError('NEWER_FORMAT', `sealed with unknown flags ${flags}`)
  return view.getUint32(4, true)
}

/** Checks the frame and returns the content in it. */
function contentOf(frame: Uint8Array, kind: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  if (view.getUint8(0) !== kind) throw new CryptoError('MALFORMED', 'another kind of content')
  const codec = view.getUint8(1)
  if (codec !== CODEC_RAW) throw new CryptoError('NEWER_FORMAT', `content of codec ${codec}`)
  const end = FRAME_HEADER_BYTES + view.getUint32(2, true)
  if (end > frame.length) throw new CryptoError('MALFORMED', 'content longer than its frame')
  for (let index = end; index < frame.length; index++) {
    if (frame[index] !== 0) throw new CryptoError('MALFORMED', 'padding that is not zeros')
  }
  return frame.subarray(FRAME_HEADER_BYTES, end)
}
