/**
 * The person: the keys that 24 words stand for; the one home of keet-identity-key.
 *
 * An identity exists for moments: at `init` and at recovery it is made from the words, attests
 * or signs, and is cleared. Devices keep only its public keys.
 *
 * A proof says that an identity, or a device it vouches for, vouches for a device. It is
 * keet-identity-key's: u8 version, u64 seconds, 32 B identity, a chain of {32 B device, 64 B
 * signature by the one before}.
 *
 * @module
 */
import IdentityKey from 'keet-identity-key'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes, deriveKey } from './derive.ts'
import { seedOfWords } from './recovery-words.ts'
import { blake2b, boxKeyPair, secureCopy, wipe } from './sodium.ts'
import type { KeyPair } from './sodium.ts'

/** The longest proof, in bytes: a chain of some 40 devices. */
export const PROOF_BYTES_MAX = 4096

const PROOF_VERSION = 1
const RECOVERY_LABEL = blake2b(asciiBytes('grove/1/recovery'))
const LOCATOR_LABEL = blake2b(asciiBytes('grove/1/locator'))

/** The root keys of a person, in memory for as long as they are needed. */
export class Identity {
  /** Signs attestations, revocations and recoveries; Ed25519. */
  readonly signing: KeyPair
  /** What drive keys are sealed to, so that words alone open the drive; X25519. */
  readonly recovery: KeyPair
  readonly #locator: Uint8Array

  private constructor(keys: {
    readonly signing: KeyPair
    readonly recovery: KeyPair
    readonly locator: Uint8Array
  }) {
    this.signing = keys.signing
    this.recovery = keys.recovery
    this.#locator = keys.locator
  }

  /**
   * Makes the identity that the words stand for: always the same for the same words.
   *
   * @param words - 24 words; not kept
   * @throws {CryptoError} `BAD_WORDS`
   */
  static async fromWords(words: string): Promise<Identity> {
    const seed = await seedOfWords(words)
    const root = await IdentityKey.from({ seed })
    const { publicKey, secretKey } = root.identityKeyPair
    const recoverySeed = root.getEncryptionKey(RECOVERY_LABEL)
    const locator = root.getEncryptionKey(LOCATOR_LABEL)
    const identity = new Identity({
      signing: { publicKey: new Uint8Array(publicKey), secretKey: secureCopy(secretKey) },
      recovery: boxKeyPair(recoverySeed),
      locator: secureCopy(locator)
    })
    root.clear()
    for (const secret of [seed, recoverySeed, locator]) wipe(secret)
    return identity
  }

  /**
   * The secret that finds the person's recovery record.
   *
   * @param number - which one, from 0; the next is taken when one has become known
   * @returns 32 bytes in locked memory
   */
  locatorSecret(number: number): Uint8Array {
    const context = new Uint8Array(4)
    new DataView(context.buffer).setUint32(0, number, true)
    return deriveKey({ key: this.#locator, purpose: 'locator', context })
  }

  /** Wipes the secrets; the identity is of no use afterwards. Idempotent. */
  clear(): void {
    wipe(this.signing.secretKey)
    wipe(this.recovery.secretKey)
    wipe(this.#locator)
  }
}

/**
 * Vouches for a device.
 *
 * @param input.device - its signing key, 32 bytes
 * @param input.parent - the identity's signing pair, or that of a device vouched for
 * @param input.parentProof - the parent's own proof when it is a device
 * @param input.timeMs - when, in milliseconds since 1970; only for a proof without a parent's
 * @returns the proof; it lies in the open in statements
 */
export function proveDevice(input: {
  readonly device: Uint8Array
  readonly parent: KeyPair
  readonly parentProof?: Uint8Array
  readonly timeMs: number
}): Uint8Array {
  const { device, parent, parentProof, timeMs } = input
  // A proof object of our own: the package would otherwise read the clock itself.
  const root = { version: PROOF_VERSION, epoch: timeMs, identity: parent.publicKey, chain: [] }
  return new Uint8Array(IdentityKey.attestDevice(device, parent, parentProof ?? root))
}

/**
 * Checks a proof.
 *
 * @param input.proof - bytes from anyone
 * @param input.identity - the identity that must be its root, 32 bytes
 * @param input.device - the device that must be its last link, 32 bytes
 * @throws {CryptoError} `FORGED` when it does not prove that, `NEWER_FORMAT`, `MALFORMED`
 */
export function checkDeviceProof(input: {
  readonly proof: Uint8Array
  readonly identity: Uint8Array
  readonly device: Uint8Array
}): void {
  const { proof, identity, device } = input
  if (proof.length === 0 || proof.length > PROOF_BYTES_MAX) {
    throw new CryptoError('MALFORMED', `a proof of ${proof.length} bytes`)
  }
  if ((proof[0] ?? 0) > PROOF_VERSION) {
    throw new CryptoError('NEWER_FORMAT', `a proof of version ${proof[0]}`)
  }
  const expected = { expectedIdentity: identity, expectedDevice: device }
  try {
    if (IdentityKey.verify(proof, null, expected) !== null) return
  } catch (cause) {
    throw new CryptoError('MALFORMED', 'a proof that does not parse', { cause })
  }
  throw new CryptoError('FORGED', 'the identity does not vouch for the device')
}
