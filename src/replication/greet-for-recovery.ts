/**
 * Says to a holder who we are, of whom it has never heard: a device that the person's identity
 * vouches for, and that has nothing but that.
 *
 * @module
 */
import type { Random } from '../crypto/random.ts'
import type { KeyPair } from '../crypto/sodium.ts'
import type { Clock } from '../sync/clock.ts'
import type { RecoverySource } from './ask-holders.ts'
import { openCustodyChannel } from './custody-channel.ts'
import { greetKeeper, KeeperLink } from './keeper-link.ts'
import type { PeerConnection } from './peer-network.ts'

/** Who greets whom. */
export interface RecoveryGreeting {
  /** The connection, which has no multiplexer yet. */
  readonly connection: PeerConnection
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The identity's attestation of this device. */
  readonly hello: Uint8Array
  /** This device's signing keys. */
  readonly keyPair: KeyPair
  /** Time. */
  readonly clock: Clock
  /** Dice. */
  readonly random: Random
}

/**
 * Greets.
 *
 * @throws {ReplicationError} `REFUSED`, `NO_ANSWER`, `BAD_ANSWER`, `CLOSED`
 */
export async function greetForRecovery(greeting: RecoveryGreeting): Promise<RecoverySource> {
  const { connection, identity, drive, hello, keyPair, clock, random } = greeting
  const rpc = openCustodyChannel({ connection, hasMux: false, onClose: () => undefined })
  const statements = [hello]
  const keeper = await greetKeeper({ connection, rpc, identity, drive, statements, clock })
  return new KeeperLink({ rpc, keeper: keeper.signer, identity, drive, keyPair, clock, random })
}
