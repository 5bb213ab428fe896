/**
 * Joins a drive: pairs with the device that invited, and makes the home of this one.
 *
 * The folder is made and locked before anything is asked, so that an invitation is not spent
 * where no home can be made; the key file comes last. When joining fails, what was made here is
 * removed again.
 *
 * @module
 */
import { encodeKeyFile } from '../src/crypto/key-file.ts'
import type { PeerNetwork } from '../src/replication/peer-network.ts'
import type { ReceivedDrive } from '../src/replication/open-received-drive.ts'
import { receiveDrive, type ReceiveStep } from '../src/replication/receive-drive.ts'
import type { Home } from './home.ts'
import type { NetworkOptions } from './network-environment.ts'
import { openPairingNetwork } from './pairing-network.ts'
import type { Progress } from './progress-bar.ts'
import { SystemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'
import { withNewHome } from './with-new-home.ts'

/** How to join. */
export interface JoinOptions {
  /** Where; nothing of it needs to exist. */
  readonly home: Home
  /** The code as the person typed it. */
  readonly code: string
  /** What to call this device; checked. */
  readonly deviceName: string
  /** Seals the key file; only read. */
  readonly passphrase: Uint8Array | undefined
  /** How to reach the network. */
  readonly network: NetworkOptions
  /** Opens another network instead, for tests. */
  readonly openNetwork?: () => PeerNetwork
  /** How long to try, in milliseconds; see `receiveDrive`. */
  readonly deadlineMs?: number
  /** Gives up when aborted. */
  readonly signal?: AbortSignal
  /** Told how many of the steps are done. */
  readonly onProgress?: (progress: Progress) => void
}

/** How many of all steps are done when one begins. */
const STEPS_DONE: Readonly<Record<ReceiveStep, number>> = { searching: 0, asking: 1, checking: 2 }
const STEPS = 4

/**
 * Joins; the home is durable when this resolves, and can be mounted.
 *
 * @returns what is now in the key file, and who invited
 * @throws {ReplicationError} `BAD_CODE`, `NEWER_FORMAT`, `EXPIRED`, `USED`, `NO_ANSWER`,
 *   `REFUSED`, `BAD_ANSWER`, `INTERRUPTED`
 * @throws {GroveError} `ALREADY_INITIALISED`, `LOCKED`, `NEWER_FORMAT`, `FAILED`
 */
export async function joinDrive(options: JoinOptions): Promise<ReceivedDrive> {
  return withNewHome(options.home, 'join', () => joinLocked(options))
}

async function joinLocked(options: JoinOptions): Promise<ReceivedDrive> {
  const { home, code, deviceName, network, passphrase, deadlineMs, signal, onProgress } = options
  const tell = (done: number) => onProgress?.({ done, total: STEPS })
  const received = await receiveDrive({
    code,
    name: deviceName,
    openNetwork: options.openNetwork ?? (() => openPairingNetwork(network, () => undefined)),
    clock: new SystemClock(),
    random: systemRandom,
    ...(deadlineMs !== undefined && { deadlineMs }),
    ...(signal !== undefined && { signal }),
    onProgress: step => tell(STEPS_DONE[step])
  })
  tell(STEPS - 1)
  const bytes = await encodeKeyFile(received.content, {
    random: systemRandom,
    ...(passphrase !== undefined && { passphrase })
  })
  await home.createKeyFile(bytes)
  bytes.fill(0)
  tell(STEPS)
  return received
}
