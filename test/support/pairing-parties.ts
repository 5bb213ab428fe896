/**
 * The sides of a pairing in one process: a device with a new drive that invites, and devices that
 * join, over a network in memory unless told otherwise.
 *
 * @module
 */
import { makeNewDrive } from '../../bin/new-drive.ts'
import { SystemClock } from '../../bin/system-clock.ts'
import { systemRandom } from '../../bin/system-random.ts'
import type { KeyFileContent } from '../../src/crypto/key-file.ts'
import { Pairing, type PairingParts } from '../../src/replication/pairing.ts'
import { receiveDrive, type ReceiveDriveOptions } from '../../src/replication/receive-drive.ts'
import { Members } from '../../src/sync/members.ts'
import type { Operation } from '../../src/sync/operation.ts'
import { MemoryFabric, type MemoryPeerNetwork } from './memory-peer-network.ts'

const TURNS_MAX = 10_000

/** A device that invites. */
export interface Inviter {
  /** What is in its key file. */
  readonly content: KeyFileContent
  /** Whom it knows. */
  readonly members: Members
  /** Its invitations. */
  readonly pairing: Pairing
  /** What it recorded in its log, one array for each call. */
  readonly recorded: (readonly Operation[])[]
  /** What it reported, with the message of the error. */
  readonly reports: string[]
}

/** A network in memory that remembers what was opened on it. */
export class PairingFabric {
  /** The networks, in the order in which they were opened. */
  readonly networks: MemoryPeerNetwork[] = []
  readonly fabric = new MemoryFabric({ clock: new SystemClock(), random: systemRandom })

  /** Opens one more, with a fresh key. */
  readonly openNetwork = (): MemoryPeerNetwork => {
    const network = this.fabric.network()
    this.networks.push(network)
    return network
  }
}

/** Makes a device with a new drive, called `desk`. */
export async function makeInviter(
  options: Pick<PairingParts, 'openNetwork'> & Partial<PairingParts>
): Promise<Inviter> {
  const clock = options.clock ?? new SystemClock()
  const owner = { uid: 1000, gid: 1000 }
  const { content } = await makeNewDrive({ deviceName: 'desk', owner, random: systemRandom, clock })
  return inviterOf(content, { ...options, clock })
}

/** A device that has a drive already. */
export function inviterOf(
  content: KeyFileContent,
  options: Pick<PairingParts, 'openNetwork'> & Partial<PairingParts>
): Inviter {
  const { identity, keys, statements } = content
  const members = new Members({ identity, keys, statements })
  const recorded: (readonly Operation[])[] = []
  const reports: string[] = []
  const pairing = new Pairing({
    keys: content,
    members,
    record: async operations => {
      recorded.push(operations)
    },
    clock: new SystemClock(),
    random: systemRandom,
    report: (message, error) => reports.push(`${message} ${textOf(error)}`.trim()),
    ...options
  })
  return { content, members, pairing, recorded, reports }
}

/** Joins as `laptop` unless told otherwise. */
export function join(
  code: string,
  options: Pick<ReceiveDriveOptions, 'openNetwork'> & Partial<ReceiveDriveOptions>
): ReturnType<typeof receiveDrive> {
  const clock = new SystemClock()
  return receiveDrive({ code, name: 'laptop', clock, random: systemRandom, ...options })
}

/** Waits until a network was closed, for a bounded number of turns of the event loop. */
export async function untilClosed(network: MemoryPeerNetwork | undefined): Promise<void> {
  for (let turns = 0; turns < TURNS_MAX; turns++) {
    if (network?.isClosed === true) return
    await new Promise(resolve => setImmediate(resolve))
  }
  throw new Error('the network was not closed')
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}
