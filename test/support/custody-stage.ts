/**
 * A keeper and the devices of a person on a network in memory: the real protocol over real Noise
 * streams, with logs and records in memory.
 *
 * @module
 */
import { SystemClock } from '../../bin/system-clock.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { openCustodyChannel } from '../../src/replication/custody-channel.ts'
import type { CustodyRpc } from '../../src/replication/custody-rpc.ts'
import {
  greetKeeper,
  KeeperLink,
  type GreetedKeeper,
  type HelloParts
} from '../../src/replication/keeper-link.ts'
import type { ImbalanceBound } from '../../src/replication/keeper-imbalance.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import { Keeper, type KeeperParts } from '../../src/replication/keeper.ts'
import type { PeerConnection } from '../../src/replication/peer-network.ts'
import type { Clock } from '../../src/sync/clock.ts'
import type { KeyValueStore } from '../../src/sync/key-value-store.ts'
import { toHex } from './bytes.ts'
import { MemoryKeptLogs, MemorySource } from './memory-kept-logs.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import { MemoryFabric, type MemoryPeerNetwork, type NetworkKeyPair } from './memory-peer-network.ts'
import { ReplicatedDrive } from './replicated-drive.ts'
import { SeededRandom } from './seeded-random.ts'
import { until } from './until.ts'

/** How much a person of the stage may have kept, in bytes. */
export const STAGE_QUOTA_BYTES = 100_000_000

/** What a stage is made of. */
export interface CustodyStageOptions {
  /** The keeper's time; the machine's if absent. */
  readonly clock?: Clock
  /** The keeper's records, from an earlier run. */
  readonly store?: KeyValueStore
  /** The blocks on the keeper's disk, from an earlier run, by identity. */
  readonly disks?: Map<string, Map<string, Uint8Array>>
  readonly drive?: ReplicatedDrive
  readonly source?: MemorySource
  readonly imbalance?: ImbalanceBound
  /** Why logs cannot be opened at first. */
  readonly openFailure?: Error
}

/** A device that was let in. */
export interface StageLink {
  readonly connection: PeerConnection
  readonly rpc: CustodyRpc
  readonly greeted: GreetedKeeper
  readonly link: KeeperLink
}

/** See the module. */
export class CustodyStage {
  readonly keys = DeviceKeys.generate(new SeededRandom(77))
  readonly fabric: MemoryFabric
  readonly clock: Clock
  readonly drive: ReplicatedDrive
  readonly device: DeviceKeys
  readonly source: MemorySource
  readonly store: KeyValueStore
  readonly disks: Map<string, Map<string, Uint8Array>>
  /** The logs of each person at the keeper, by identity. */
  readonly logs = new Map<string, MemoryKeptLogs>()
  readonly locators: Uint8Array[] = []
  readonly reports: string[] = []
  readonly opened: PeerConnection[] = []
  /** Why logs cannot be opened now. */
  openFailure: Error | undefined
  readonly #dialled = new Map<string, PeerConnection>()
  readonly #imbalance: ImbalanceBound | undefined
  #keeper: Keeper | undefined
  #network: MemoryPeerNetwork | undefined

  private constructor(drive: ReplicatedDrive, device: DeviceKeys, options: CustodyStageOptions) {
    this.drive = drive
    this.device = device
    this.#imbalance = options.imbalance
    this.clock = options.clock ?? new SystemClock()
    this.store = options.store ?? new MemoryKeyValueStore()
    this.source = options.source ?? new MemorySource()
    this.disks = options.disks ?? new Map<string, Map<string, Uint8Array>>()
    const random = new SeededRandom(7)
    this.fabric = new MemoryFabric({ clock: new SystemClock(), random })
  }

  /** Opens a keeper, and attests a first device unless the drive has some. */
  static async open(options: CustodyStageOptions = {}): Promise<CustodyStage> {
    const drive = options.drive ?? (await ReplicatedDrive.make())
    const device = DeviceKeys.generate(new SeededRandom(31))
    if (drive.statements.length === 0) drive.state('attest', device, 'laptop')
    const stage = new CustodyStage(drive, device, options)
    await stage.#open()
    return stage
  }

  get keeper(): Keeper {
    if (this.#keeper === undefined) throw new Error('not open')
    return this.#keeper
  }

  /** The logs of the stage's person at the keeper. */
  get kept(): MemoryKeptLogs {
    const logs = this.logs.get(toHex(this.drive.identity))
    if (logs === undefined) throw new Error('the person was not admitted')
    return logs
  }

  /** Connects as somebody, without a word. */
  async dial(keys: NetworkKeyPair = this.device.network): Promise<PeerConnection> {
    const name = toHex(keys.publicKey)
    // Two computers share at most one connection: an earlier one goes.
    await this.#dialled.get(name)?.close()
    const network = this.fabric.network(keys)
    let connection: PeerConnection | undefined
    network.onConnection = one => {
      connection ??= one
      network.disconnectFrom(this.keys.network.publicKey)
    }
    network.connectTo(this.keys.network.publicKey)
    await until('a connection', () => connection !== undefined)
    if (connection === undefined) throw new Error('no connection')
    this.#dialled.set(name, connection)
    return connection
  }

  /** Connects and opens the channel. */
  async call(
    keys?: NetworkKeyPair
  ): Promise<{ readonly connection: PeerConnection; readonly rpc: CustodyRpc }> {
    const connection = await this.dial(keys)
    const rpc = openCustodyChannel({ connection, hasMux: false, onClose: () => undefined })
    return { connection, rpc }
  }

  /** Makes an invitation. */
  invite(quotaBytes = STAGE_QUOTA_BYTES, expiresMs = 0): Promise<Uint8Array> {
    return this.keeper.invite({ quotaBytes, expiresMs })
  }

  /** Calls as a device and greets; with an invitation unless told otherwise. */
  async link(
    device: DeviceKeys = this.device,
    hello: Partial<HelloParts> = {}
  ): Promise<StageLink> {
    const { connection, rpc } = await this.call(device.network)
    const { identity, drive, statements } = this.drive
    const parts = { connection, rpc, identity, drive, statements, clock: this.clock, ...hello }
    const greeted = await greetKeeper(parts)
    const link = new KeeperLink({
      rpc,
      keeper: greeted.signer,
      identity: parts.identity,
      drive: parts.drive,
      keyPair: device.signing,
      clock: this.clock,
      random: new SeededRandom(9)
    })
    return { connection, rpc, greeted, link }
  }

  /** Admits the stage's person and links its device. */
  async admit(quotaBytes?: number): Promise<StageLink> {
    return this.link(this.device, { secret: await this.invite(quotaBytes) })
  }

  /** Ends the keeper; its records and disks stay. */
  async close(): Promise<void> {
    await this.keeper.close()
    await this.#network?.close()
  }

  /** Opens the keeper again on what is left of its records and disks. */
  async reopen(options: CustodyStageOptions = {}): Promise<CustodyStage> {
    await this.close()
    const { drive, source, store, disks, clock } = this
    const stage = new CustodyStage(drive, this.device, {
      ...{ drive, source, store, disks, clock },
      ...options
    })
    stage.openFailure = options.openFailure
    await stage.#open()
    return stage
  }

  async #open(): Promise<void> {
    this.#keeper = await Keeper.open(this.#parts())
    const network = this.fabric.network(this.keys.network)
    network.onConnection = connection => this.keeper.accept(connection)
    network.join(new Uint8Array(32))
    this.#network = network
  }

  #parts(): KeeperParts {
    return {
      records: new KeeperRecords(this.store),
      keyPair: this.keys.signing,
      machine: new Uint8Array(16).fill(5),
      name: 'attic',
      openLogs: ({ identity }) => {
        if (this.openFailure !== undefined) return Promise.reject(this.openFailure)
        const id = toHex(identity)
        const disk = this.disks.get(id) ?? new Map<string, Uint8Array>()
        this.disks.set(id, disk)
        const logs = new MemoryKeptLogs(this.source, disk)
        this.logs.set(id, logs)
        return Promise.resolve(logs)
      },
      clock: this.clock,
      random: new SeededRandom(8),
      onOpen: (_, connection) => this.opened.push(connection),
      onLocator: (_, record) => this.locators.push(record),
      report: message => this.reports.push(message),
      ...(this.#imbalance !== undefined && { imbalance: this.#imbalance })
    }
  }
}
