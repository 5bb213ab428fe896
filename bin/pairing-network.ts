/**
 * Networks for pairing: opened for one invitation, with a key that nothing else has, so that
 * those who watch cannot tell which device pairs.
 *
 * @module
 */
import { SEED_BYTES, signingKeyPair, wipe } from '../src/crypto/sodium.ts'
import { HyperswarmNetwork } from '../src/replication/hyperswarm-network.ts'
import type { PeerNetwork } from '../src/replication/peer-network.ts'
import type { NetworkOptions } from './network-environment.ts'
import { SystemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'

/**
 * Opens a network with a fresh key; the caller closes it.
 *
 * @param options - how to reach the network
 * @param report - told that there is no network, or again one
 */
export function openPairingNetwork(
  options: NetworkOptions,
  report: (message: string) => void
): PeerNetwork {
  const seed = systemRandom.bytes(SEED_BYTES)
  const keyPair = signingKeyPair(seed)
  wipe(seed)
  const clock = new SystemClock()
  return new HyperswarmNetwork({ ...options, keyPair, clock, random: systemRandom, report })
}
