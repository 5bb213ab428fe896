/**
 * Devices of one drive for tests of replication: real logs in temporary folders, members attested
 * by one identity, connected by a network that the test brings. There is no index and no merge:
 * what a device does with entries is written down.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { epochLog, nextEpoch, type LogEpoch } from '../../bin/log-epochs.ts'
import { SystemClock } from '../../bin/system-clock.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { sealDeviceName } from '../../src/crypto/device-name.ts'
import { Identity, proveDevice } from '../../src/crypto/identity.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { signMemberStatement, type MemberAction } from '../../src/crypto/member-statement.ts'
import type { KeyPair } from '../../src/crypto/sodium.ts'
import { decodeStatement, NO_PREVIOUS, statementHash } from '../../src/crypto/statement.ts'
import { KnownPairs, type KnownPair } from '../../src/replication/known-pairs.ts'
import { signAnnouncement } from '../../src/replication/log-announcement.ts'
import { LogHome } from '../../src/replication/log-home.ts'
import type { PeerConnection, PeerNetwork } from '../../src/replication/peer-network.ts'
import { Replication, type ConnectedDevice } from '../../src/replication/replication.ts'
import type { BlockStore } from '../../src/sync/block-store.ts'
import type { Clock } from '../../src/sync/clock.ts'
import type { Log, LogKey } from '../../src/sync/log.ts'
import { Members } from '../../src/sync/members.ts'
import { SeededRandom } from './seeded-random.ts'

const TIME_MS = 1_790_000_000_000

/** A drive and its members; devices are made of it. */
export class ReplicatedDrive {
  /** All statements about members, oldest first. */
  readonly statements: Uint8Array[] = []
  readonly drive: Uint8Array
  readonly keys: KeyTable
  readonly #identity: Identity
  readonly #random: SeededRandom

  private constructor(identity: Identity, seed: number) {
    this.#identity = identity
    this.#random = new SeededRandom(seed)
    this.drive = this.#random.bytes(32)
    this.keys = KeyTable.generate(this.#random)
  }

  /** Makes a drive; another seed makes another drive of the same person. */
  static async make(seed = 1): Promise<ReplicatedDrive> {
    return new ReplicatedDrive(await Identity.fromWords(`${'abandon '.repeat(23)}art`), seed)
  }

  /** The person. */
  get identity(): Uint8Array {
    return this.#identity.signing.publicKey
  }

  /** What signs as the person. */
  get identityKeys(): KeyPair {
    return this.#identity.signing
  }

  /** Keys of a new device that is no member yet. */
  newKeys(): DeviceKeys {
    return DeviceKeys.generate(this.#random)
  }

  /** States something about a device, after all that was stated before. */
  state(action: MemberAction, deviceKeys: DeviceKeys, name = 'device'): Uint8Array {
    const { signing } = this.#identity
    const device = deviceKeys.publicKeys.signing
    const last = this.statements.at(-1)
    const statement = signMemberStatement(
      {
        action,
        listVersion: this.statements.length + 1,
        previous: last === undefined ? NO_PREVIOUS : statementHash(decodeStatement(last)),
        identity: signing.publicKey,
        subject: deviceKeys.publicKeys,
        rights: action === 'attest' ? ['write', 'invite', 'release', 'audit'] : [],
        issuedMs: TIME_MS,
        envelopesHash: new Uint8Array(32),
        cuts: [],
        sealedName: sealDeviceName({ name, device, keys: this.keys, random: this.#random }),
        proof:
          action === 'attest'
            ? proveDevice({ device, parent: signing, timeMs: TIME_MS })
            : new Uint8Array(0)
      },
      signing
    )
    this.statements.push(statement)
    return statement
  }

  /** Attests a new device and opens it. */
  async device(name: string, options: Partial<DeviceOptions> = {}): Promise<ReplicatedDevice> {
    const deviceKeys = options.deviceKeys ?? this.newKeys()
    if (options.deviceKeys === undefined) this.state('attest', deviceKeys, name)
    return ReplicatedDevice.open(this, { ...options, name, deviceKeys })
  }
}

/** How a device is opened. */
export interface DeviceOptions {
  readonly name: string
  readonly deviceKeys: DeviceKeys
  /** Its folder; a temporary one if absent, which `close` removes. */
  readonly directory?: string
  readonly epoch?: LogEpoch
  /** What it knows of members; all that was stated so far if absent. */
  readonly statements?: readonly Uint8Array[]
  /** Announcements it learned in an earlier run. */
  readonly announcements?: readonly Uint8Array[]
  readonly takesContent?: boolean
  readonly clock?: Clock
  readonly keys?: KeyTable
}

interface OpenedParts {
  readonly directory: string
  readonly logHome: LogHome
  readonly members: Members
  readonly pairs: KnownPairs
  readonly operationLog: Log
  readonly contentLog: BlockStore
}

/** A device: logs, and replication once it has a network. */
export class ReplicatedDevice {
  readonly events: string[] = []
  readonly reports: string[] = []
  /** Called when entries of a log arrived. */
  onEntries: (log: LogKey) => void = () => undefined
  onBlock: (log: LogKey, index: number) => void = () => undefined
  onPeers: () => void = () => undefined
  takesConnection: (connection: PeerConnection) => boolean = () => false
  /** Called when a conversation with another device has begun. */
  onDevice: (device: ConnectedDevice) => void = () => undefined
  /** Devices that a conversation was begun with, by name. */
  readonly met: string[] = []
  readonly network: PeerNetwork[] = []
  #replication: Replication | undefined

  readonly drive: ReplicatedDrive
  readonly options: DeviceOptions
  readonly directory: string
  readonly logHome: LogHome
  readonly members: Members
  readonly pairs: KnownPairs
  readonly operationLog: Log
  readonly contentLog: BlockStore
  readonly clock: Clock

  private constructor(drive: ReplicatedDrive, options: DeviceOptions, opened: OpenedParts) {
    this.drive = drive
    this.options = options
    this.directory = opened.directory
    this.logHome = opened.logHome
    this.members = opened.members
    this.pairs = opened.pairs
    this.operationLog = opened.operationLog
    this.contentLog = opened.contentLog
    this.clock = options.clock ?? new SystemClock()
  }

  static async open(drive: ReplicatedDrive, options: DeviceOptions): Promise<ReplicatedDevice> {
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'grove-device-')))
    const isCopy = options.directory !== undefined
    const logHome = await LogHome.open({ directory, allowMoved: isCopy })
    const { deviceKeys } = options
    const members = new Members({
      identity: drive.identity,
      keys: drive.keys,
      statements: options.statements ?? drive.statements
    })
    const random = new SeededRandom(Buffer.from(options.name).readUInt8(0))
    const epoch = options.epoch ?? nextEpoch(undefined, random)
    const epochKeys = { deviceKeys, drive: drive.drive, logSeed: deviceKeys.encode().slice(1, 33) }
    const operation = epochLog(epochKeys, epoch, 'operation')
    const content = epochLog(epochKeys, epoch, 'content')
    const operationLog = await logHome.openLog(operation)
    const contentLog = await logHome.openBlockStore(content)
    const pairs = new KnownPairs({ logHome, members, drive: drive.drive })
    pairs.addOwn(
      signAnnouncement(
        { drive: drive.drive, epoch: epoch.number, operationLog: operation, contentLog: content },
        deviceKeys.signing
      )
    )
    for (const announcement of options.announcements ?? []) await pairs.add(announcement)
    const opened = { directory, logHome, members, pairs, operationLog, contentLog }
    return new ReplicatedDevice(drive, options, opened)
  }

  get id(): string {
    return Buffer.from(this.options.deviceKeys.publicKeys.signing).toString('hex')
  }

  get replication(): Replication {
    if (this.#replication === undefined) throw new Error('not connected')
    return this.#replication
  }

  /** Begins to replicate over a network, which is closed with the device. */
  connect(network: PeerNetwork): Replication {
    this.network.push(network)
    const replication = new Replication({
      network,
      logHome: this.logHome,
      pairs: this.pairs,
      keys: this.options.keys ?? this.drive.keys,
      drive: this.drive.drive,
      members: this.members,
      device: this.id,
      heads: () => this.heads(),
      takesContent: this.options.takesContent ?? true,
      clock: this.clock,
      onPair: pair => this.events.push(`pair of ${pair.device}`),
      onEntries: log => this.onEntries(log),
      onBlock: (log, index) => this.onBlock(log, index),
      onPeers: () => this.onPeers(),
      onDevice: device => {
        this.met.push(device.member.name)
        this.onDevice(device)
      },
      takesConnection: connection => this.takesConnection(connection),
      onOutrun: () => this.events.push('outrun'),
      report: message => this.reports.push(message)
    })
    this.#replication = replication
    this.members.onChange = () => replication.membersChanged()
    replication.start()
    return replication
  }

  heads(): ReadonlyMap<LogKey, number> {
    const logs = [this.operationLog, ...this.pairs.remotes.map(pair => pair.operationLog)]
    return new Map(logs.map(log => [log.key, log.length]))
  }

  /** This device's copy of another's pair. */
  pairOf(other: ReplicatedDevice): KnownPair | undefined {
    return this.pairs.remotes.find(pair => pair.announcement.device === other.id)
  }

  /** Commits blocks and an entry, and pushes them. */
  async commit(entry: Uint8Array, blocks: readonly Uint8Array[] = []): Promise<void> {
    if (blocks.length > 0) await this.contentLog.append(blocks, this.contentLog.length)
    await this.operationLog.append([entry], this.operationLog.length)
    this.#replication?.pushCommitted({
      operationLog: this.operationLog.length,
      contentLog: this.contentLog.length
    })
    this.#replication?.headsChanged()
  }

  async close(keepsDirectory = false): Promise<void> {
    await this.#replication?.close()
    for (const network of this.network) await network.close()
    await this.logHome.close()
    if (!keepsDirectory) await rm(this.directory, { recursive: true, force: true })
  }
}
