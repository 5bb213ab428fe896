/**
 * Holders in this process, over a private hash table on this machine, and a device that gives
 * them what recovery needs: the real protocol, network and disks.
 *
 * @module
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { DaemonLog } from '../../bin/daemon-log.ts'
import { DeviceLogs } from '../../bin/device-logs.ts'
import { DrivePeers } from '../../bin/drive-peers.ts'
import type { Home } from '../../bin/home.ts'
import { openIndexed } from '../../bin/open-index.ts'
import { SystemClock } from '../../bin/system-clock.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { signHolderStatement } from '../../src/crypto/holder-statement.ts'
import type { KeyFileContent } from '../../src/crypto/key-file.ts'
import { openCustodyChannel } from '../../src/replication/custody-channel.ts'
import { DeviceKeptLogs } from '../../src/replication/device-kept-logs.ts'
import { HolderStore } from '../../src/replication/holder-store.ts'
import type { HyperswarmNetwork } from '../../src/replication/hyperswarm-network.ts'
import { greetKeeper, KeeperLink } from '../../src/replication/keeper-link.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import { Keeper } from '../../src/replication/keeper.ts'
import type { PeerConnection } from '../../src/replication/peer-network.ts'
import { RecoveryKeeper } from '../../src/replication/recovery-keeper.ts'
import { LoopbackFabric } from './loopback-fabric.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import { until } from './until.ts'

const QUOTA_BYTES = 100_000_000

/** The device waits for so many times less than it would. */
const HASTE = 20

/** A holder: a keeper with its own disk and network. */
export class StageHolder {
  readonly keys: DeviceKeys
  readonly keeper: Keeper
  readonly network: HyperswarmNetwork
  /** The secret of its code. */
  readonly secret: Uint8Array
  /** The records of the hash table that it was given. */
  readonly locators: Uint8Array[]
  readonly #store: HolderStore

  private constructor(
    parts: Pick<StageHolder, 'keys' | 'keeper' | 'network' | 'secret' | 'locators'>,
    store: HolderStore
  ) {
    this.keys = parts.keys
    this.keeper = parts.keeper
    this.network = parts.network
    this.secret = parts.secret
    this.locators = parts.locators
    this.#store = store
  }

  /** Starts one. */
  static async open(fabric: LoopbackFabric, directory: string): Promise<StageHolder> {
    const keys = DeviceKeys.generate(systemRandom)
    const clock = new SystemClock()
    const records = new MemoryKeyValueStore()
    const locators: Uint8Array[] = []
    const report = (): void => undefined
    const store = await HolderStore.open({ directory, records, spaceBytes: 1e9, clock, report })
    const keeper = await Keeper.open({
      ...{ clock, report, random: systemRandom, keyPair: keys.signing, name: 'attic' },
      records: new KeeperRecords(records),
      machine: new Uint8Array(16),
      openLogs: person => store.person(person),
      onOpen: ({ person }, connection) =>
        void store.person(person).then(logs => logs.attach(connection)),
      onLocator: (_, record) => locators.push(record)
    })
    const secret = await keeper.invite({ quotaBytes: QUOTA_BYTES, expiresMs: 0 })
    const network = fabric.networkOf(keys.network)
    network.onConnection = connection => keeper.accept(connection)
    network.join(keys.publicKeys.network)
    return new StageHolder({ keys, keeper, network, secret, locators }, store)
  }

  /** Ends it. Idempotent. */
  async close(): Promise<void> {
    await this.keeper.close()
    await this.network.close()
    await this.#store.close()
  }
}

/** See the module. */
export class RecoveryStage {
  readonly fabric: LoopbackFabric
  readonly folder: string
  readonly holders: StageHolder[] = []

  private constructor(fabric: LoopbackFabric, folder: string) {
    this.fabric = fabric
    this.folder = folder
  }

  /** Starts the hash table and so many holders. */
  static async open(t: Test, folder: string, holders: number): Promise<RecoveryStage> {
    const stage = new RecoveryStage(await LoopbackFabric.open(), folder)
    t.teardown(async () => {
      for (const holder of stage.holders) await holder.close()
      await stage.fabric.close()
    })
    for (let count = 0; count < holders; count++)
      stage.holders.push(await StageHolder.open(stage.fabric, join(folder, `holder-${count}`)))
    return stage
  }

  /** Where commands find the network. */
  get network() {
    return { bootstrap: [this.fabric.bootstrap], listenHost: '127.0.0.1' }
  }

  /** Adds the holders to a drive and gives them what recovery needs, as its daemon would. */
  async giveAway(home: Home, keys: KeyFileContent): Promise<void> {
    const log = new DaemonLog(home.logFile)
    const clock = new SystemClock()
    const logs = await DeviceLogs.open({ home, keys, random: systemRandom, clock })
    const peers = await DrivePeers.open({ home, keys, logs, log })
    await logs.begin()
    const { replica, store } = await openIndexed({
      ...{ home, keys, log, clock, logs, remotes: peers.pairs.remotes, discardIndex: false },
      onProgress: () => undefined
    })
    for (const bytes of replica.statements()) peers.addStatement(bytes)
    for (const holder of this.holders) {
      const bytes = holderStatement(holder, keys)
      if (peers.holders.byNetwork(holder.keys.publicKeys.network) !== undefined) continue
      peers.addStatement(bytes)
      replica.execute({ type: 'statement', bytes })
    }
    await replica.sync()
    const network = this.fabric.networkOf(keys.deviceKeys.network)
    const links: KeeperLink[] = []
    const before = this.holders.map(({ locators }) => locators.length)
    const { logHome } = logs
    const { members, pairs, holders } = peers
    const recovery = new RecoveryKeeper({
      ...keys,
      ...{ members, holders, random: systemRandom, records: network.records },
      clock: { now: () => clock.now(), after: (ms, done) => clock.after(ms / HASTE, done) },
      announcements: () => pairs.announcements,
      logs: new DeviceKeptLogs({ logHome, pairs, clock, keepsAll: () => true }),
      statements: () => replica.statements(),
      links: () => links,
      report: message => log.write(message)
    })
    network.onConnection = connection => void meet(connection)
    const meet = async (connection: PeerConnection): Promise<void> => {
      const link = await this.#link(connection, keys, members.statements())
      for (const { operationLog, contentLog } of pairs.announcements)
        for (const { key } of [operationLog, contentLog])
          logHome.replicated(key)?.attach(connection.stream)
      await link.announce(pairs.announcements.map(({ bytes }) => bytes))
      links.push(link)
      recovery.linkOpened(link)
    }
    for (const holder of this.holders) network.connectTo(holder.keys.publicKeys.network)
    const { key, length } = logs.current.operationLog
    await until('all holders have it', () => links.length === this.holders.length)
    for (const link of links) await link.durable({ logs: new Map([[key, length]]), blocks: [] })
    await until('and the record, which comes after the summary', () =>
      this.holders.every(({ locators }, at) => locators.length > (before[at] ?? 0))
    )
    await recovery.close()
    await network.close()
    await replica.close()
    await store.close()
    await peers.close()
    await logs.close('clean')
    log.close()
  }

  async #link(
    connection: PeerConnection,
    keys: KeyFileContent,
    statements: readonly Uint8Array[]
  ): Promise<KeeperLink> {
    const { identity, drive, deviceKeys } = keys
    const clock = new SystemClock()
    const network = Buffer.from(connection.remotePublicKey)
    const holder = this.holders.find(each => network.equals(each.keys.publicKeys.network))
    if (holder === undefined) throw new Error('no holder of the stage')
    const rpc = openCustodyChannel({ connection, hasMux: false, onClose: () => undefined })
    const { secret } = holder
    const hello = { connection, rpc, identity, drive, statements, secret, clock }
    const { signer: keeper } = await greetKeeper(hello)
    const keyPair = deviceKeys.signing
    return new KeeperLink({ rpc, keeper, identity, drive, keyPair, clock, random: systemRandom })
  }
}

/** Removes a home, as a broken disk would. */
export async function wipe(home: Home): Promise<void> {
  await rm(home.directory, { recursive: true })
}

function holderStatement({ keys }: StageHolder, content: KeyFileContent): Uint8Array {
  const { signing: holder, network } = keys.publicKeys
  const { drive, deviceKeys } = content
  return signHolderStatement(
    {
      ...{ action: 'add', version: 1, drive, holder, network, timeMs: 0 },
      machineTag: new Uint8Array(16),
      ...{ name: 'attic', site: '', machine: '', person: '' }
    },
    deviceKeys.signing
  )
}
