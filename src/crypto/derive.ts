/**
 * Keys made of keys: one for each purpose, so that no key ever serves two.
 *
 * A derived key is BLAKE2b-256 under the parent key of `"grove/1/" || purpose || context`. A
 * purpose is one of the names below, none of which is the beginning of another.
 *
 * @module
 */
import { HASH_BYTES, secureBlake2b, signingKeyPair, wipe } from './sodium.ts'
import type { KeyPair } from './sodium.ts'

/** What a derived key is for. */
export type Purpose =
  | 'entry'
  | 'block'
  | 'index/seal'
  | 'index/name'
  | 'log/operation'
  | 'log/content'
  | 'locator'
  | 'device/name'
  | 'peer/proof'
  | 'peer/topic'
  | 'pairing/seed'
  | 'pairing/topic'
  | 'recovery/signing'
  | 'recovery/record'
  | 'recovery/summary'

const PREFIX = 'grove/1/'
const NO_CONTEXT = new Uint8Array(0)

/** The bytes of a text of ASCII characters. */
export function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, character => {
    const code = character.charCodeAt(0)
    if (code > 0x7f) throw new RangeError('not an ASCII text')
    return code
  })
}

/**
 * Derives the key for one purpose.
 *
 * @param input.key - the parent key, 32 bytes
 * @param input.context - what else the key is bound to, such as a log's key (32 bytes)
 * @returns 32 bytes in locked memory
 */
export function deriveKey(input: {
  readonly key: Uint8Array
  readonly purpose: Purpose
  readonly context?: Uint8Array
}): Uint8Array {
  const label = asciiBytes(PREFIX + input.purpose)
  const context = input.context ?? NO_CONTEXT
  const message = new Uint8Array(label.length + context.length)
  message.set(label)
  message.set(context, label.length)
  return secureBlake2b({ key: input.key, message })
}

/**
 * Derives the key pair that signs one of the device's logs.
 *
 * @param input.seed - the device's log seed, 32 bytes
 * @param input.drive - the drive, 32 bytes
 * @param input.epoch - the log epoch; each has its own pair, so that a rolled-back log is
 *   never appended to under its old key
 */
export function logKeyPair(input: {
  readonly seed: Uint8Array
  readonly role: 'operation' | 'content'
  readonly drive: Uint8Array
  readonly epoch: number
}): KeyPair {
  const context = new Uint8Array(HASH_BYTES + 4)
  context.set(input.drive)
  new DataView(context.buffer).setUint32(HASH_BYTES, input.epoch, true)
  const seed = deriveKey({ key: input.seed, purpose: `log/${input.role}`, context })
  const keyPair = signingKeyPair(seed)
  wipe(seed)
  return keyPair
}
