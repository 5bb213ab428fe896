/**
 * The keys of one computer: made on it, never leaving it.
 *
 * Three pairs with one use each: signing (statements, log attestations), box (drive keys are
 * sealed to it) and network (connections; apart, so that it can be replaced and tells an
 * observer of the network nothing of the rest).
 *
 * Encoded: u8 version, three seeds of 32 B. The encoding is secret.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { SEED_BYTES, boxKeyPair, secureBytes, secureCopy, signingKeyPair, wipe } from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import type { Random } from './random.ts'

const VERSION = 1

/** How many bytes {@link DeviceKeys.encode} gives. */
export const DEVICE_KEYS_BYTES = 1 + 3 * SEED_BYTES

/** What others know of a device. */
export interface DevicePublicKeys {
  /** Verifies its statements: the device's name; Ed25519, 32 bytes. */
  readonly signing: Uint8Array
  /** Seals to it; X25519, 32 bytes. */
  readonly box: Uint8Array
  /** Finds it on the network; Ed25519, 32 bytes. */
  readonly network: Uint8Array
}

/** The key pairs of this device. */
export class DeviceKeys {
  /** Signs statements; Ed25519. */
  readonly signing: KeyPair
  /** Opens what is sealed to the device; X25519. */
  readonly box: KeyPair
  /** Authenticates connections; Ed25519. */
  readonly network: KeyPair
  /** The three seeds, one after another. */
  readonly #seeds: Uint8Array

  private constructor(seeds: Uint8Array) {
    const seed = (number: number) => seeds.subarray(number * SEED_BYTES, (number + 1) * SEED_BYTES)
    this.#seeds = seeds
    this.signing = signingKeyPair(seed(0))
    this.box = boxKeyPair(seed(1))
    this.network = signingKeyPair(seed(2))
  }

  /** Makes the keys of a new device. */
  static generate(random: Random): DeviceKeys {
    const drawn = random.bytes(3 * SEED_BYTES)
    const keys = new DeviceKeys(secureCopy(drawn))
    wipe(drawn)
    return keys
  }

  /**
   * Reads what {@link DeviceKeys.encode} wrote.
   *
   * @param bytes - only read; the caller wipes them
   * @throws {CryptoError} `NEWER_FORMAT`, `TRUNCATED`, `MALFORMED`
   */
  static decode(bytes: Uint8Array): DeviceKeys {
    const reader = new ByteReader(bytes)
    const version = reader.u8()
    if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `device keys ${version}`)
    if (version !== VERSION) throw new CryptoError('MALFORMED', 'device keys without a version')
    const seeds = secureCopy(reader.view(3 * SEED_BYTES))
    reader.end()
    return new DeviceKeys(seeds)
  }

  /** What others may know. */
  get publicKeys(): DevicePublicKeys {
    const { signing, box, network } = this
    return { signing: signing.publicKey, box: box.publicKey, network: network.publicKey }
  }

  /** The seeds as secret bytes in locked memory, for the key file. The caller wipes them. */
  encode(): Uint8Array {
    return new ByteWriter(secureBytes(DEVICE_KEYS_BYTES)).u8(VERSION).put(this.#seeds).end()
  }
}
