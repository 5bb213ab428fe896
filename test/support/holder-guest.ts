/**
 * A device that talks to a real holder over the real network, for tests of the process: its logs
 * are real, it grants what it has the holder keep, and nobody looks after its copies.
 *
 * @module
 */
import { SystemClock } from '../../bin/system-clock.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { decodeHolderCode } from '../../src/crypto/holder-code.ts'
import type { Receipt } from '../../src/crypto/receipt.ts'
import { openCustodyChannel } from '../../src/replication/custody-channel.ts'
import type { NodeAddress } from '../../src/replication/dht-node.ts'
import { HyperswarmNetwork } from '../../src/replication/hyperswarm-network.ts'
import { greetKeeper, KeeperLink } from '../../src/replication/keeper-link.ts'
import type { PeerConnection } from '../../src/replication/peer-network.ts'
import { blockSetsOf, type BlockSet } from '../../src/sync/block-bitmap.ts'
import { ReplicatedDrive, type ReplicatedDevice } from './replicated-drive.ts'
import { until } from './until.ts'

/** How to find a holder. */
export interface GuestOptions {
  /** A node of the hash table. */
  readonly bootstrap: NodeAddress
  /** A code of the holder. */
  readonly code: string
}

/** See the module. */
export class HolderGuest {
  readonly device: ReplicatedDevice
  readonly network: HyperswarmNetwork
  readonly #holder: Uint8Array
  readonly #secret: Uint8Array
  #connection: PeerConnection | undefined

  private constructor(device: ReplicatedDevice, { bootstrap, code }: GuestOptions) {
    const { network, secret } = decodeHolderCode(code)
    this.device = device
    this.#holder = network
    this.#secret = secret
    this.network = new HyperswarmNetwork({
      bootstrap: [bootstrap],
      listenHost: bootstrap.host,
      keyPair: device.options.deviceKeys.network,
      clock: new SystemClock(),
      random: systemRandom,
      report: () => undefined
    })
    device.logHome.uploads.limit(network)
    this.network.onConnection = connection => {
      this.#connection = connection
    }
  }

  /** Makes a device of a drive; a drive of its own unless given. */
  static async make(options: GuestOptions, drive?: ReplicatedDrive): Promise<HolderGuest> {
    const own = drive ?? (await ReplicatedDrive.make())
    return new HolderGuest(await own.device('guest'), options)
  }

  /** Calls the holder, is let in and tells it of its logs. */
  async link(): Promise<KeeperLink> {
    const { device } = this
    const connection = await this.#connect()
    const rpc = openCustodyChannel({ connection, hasMux: false, onClose: () => undefined })
    const { identity, drive, statements } = device.drive
    const { clock, pairs, logHome } = device
    const parts = { connection, rpc, identity, drive, statements, clock, secret: this.#secret }
    const { signer } = await greetKeeper(parts)
    for (const { operationLog, contentLog } of pairs.announcements)
      for (const { key } of [operationLog, contentLog])
        logHome.replicated(key)?.attach(connection.stream)
    const link = new KeeperLink({
      rpc,
      keeper: signer,
      identity,
      drive,
      keyPair: device.options.deviceKeys.signing,
      clock,
      random: systemRandom,
      uploads: logHome.uploadDoor(this.#holder)
    })
    await link.announce(pairs.announcements.map(({ bytes }) => bytes))
    return link
  }

  /** Connects anew: nobody has spoken on the connection yet. */
  async #connect(): Promise<PeerConnection> {
    await this.#connection?.close()
    this.network.connectTo(this.#holder)
    await until('a connection', () => this.#connection?.stream.destroying === false)
    if (this.#connection === undefined) throw new Error('no connection')
    return this.#connection
  }

  /** Blocks of the content log. */
  blocks(from: number, to: number): readonly BlockSet[] {
    const indexes = Array.from({ length: to - from }, (_, at) => from + at)
    return blockSetsOf(this.device.contentLog.key, indexes)
  }

  /** Has the holder keep blocks, a window at a time. */
  async hold(link: KeeperLink, from: number, to: number): Promise<readonly Receipt[]> {
    const receipts: Receipt[] = []
    for (const blocks of this.blocks(from, to)) receipts.push(await link.hold(blocks))
    return receipts
  }

  /** Ends the connection and the device. */
  async close(): Promise<void> {
    await this.network.close()
    await this.device.close()
  }
}
