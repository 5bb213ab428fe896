/**
 * A device and a holder's disk, connected as custody connects them, without its protocol: the
 * device grants and the holder is told.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { GuardedMux } from '../../src/replication/guarded-mux.ts'
import type { HolderLogs } from '../../src/replication/holder-logs.ts'
import { HolderStore, type KeptPerson } from '../../src/replication/holder-store.ts'
import { blockSetsOf } from '../../src/sync/block-bitmap.ts'
import type { Clock } from '../../src/sync/clock.ts'
import { Members } from '../../src/sync/members.ts'
import { MemoryFabric, type MemoryPeerNetwork } from './memory-peer-network.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import { ReplicatedDrive, type ReplicatedDevice } from './replicated-drive.ts'
import { SeededRandom } from './seeded-random.ts'
import { until } from './until.ts'

/** See the module. */
export class HolderStage {
  /** What the holder had to say. */
  readonly reports: string[]
  readonly drive: ReplicatedDrive
  readonly device: ReplicatedDevice
  readonly fabric: MemoryFabric
  readonly networks: readonly [device: MemoryPeerNetwork, holder: MemoryPeerNetwork]
  readonly records: MemoryKeyValueStore
  readonly directory: string
  store: HolderStore
  logs: HolderLogs

  private constructor(
    device: ReplicatedDevice,
    parts: Pick<HolderStage, 'directory' | 'records' | 'reports' | 'store' | 'logs'>
  ) {
    this.drive = device.drive
    this.device = device
    this.directory = parts.directory
    this.records = parts.records
    this.reports = parts.reports
    this.store = parts.store
    this.logs = parts.logs
    this.fabric = new MemoryFabric({ clock: new SystemClock(), random: new SeededRandom(7) })
    this.networks = [this.fabric.network(device.options.deviceKeys.network), this.fabric.network()]
  }

  /** Makes both; nothing is connected yet. */
  static async open(t: Test, clock: Clock = new SystemClock()): Promise<HolderStage> {
    const drive = await ReplicatedDrive.make()
    const device = await drive.device('device')
    const directory = await mkdtemp(join(tmpdir(), 'grove-holder-'))
    const parts = { directory, records: new MemoryKeyValueStore(), reports: [] }
    const opened = await openStore(drive, { ...parts, clock })
    const stage = new HolderStage(device, { ...parts, ...opened })
    // The timers of the system's clock do not keep a process that has no sockets.
    const alive = setInterval(() => undefined, 1000)
    t.teardown(async () => {
      clearInterval(alive)
      for (const network of stage.networks) await network.close()
      await stage.store.close()
      await device.close()
      await rm(directory, { recursive: true, force: true })
    })
    return stage
  }

  /** Opens the holder's disk again after it was closed. */
  async reopen(admitsOperation?: (bytes: number) => boolean): Promise<void> {
    const { directory, records, reports } = this
    const parts = { directory, records, reports, clock: new SystemClock() }
    Object.assign(
      this,
      await openStore(this.drive, { ...parts, ...(admitsOperation && { admitsOperation }) })
    )
  }

  /** The person as the holder knows it. */
  person(): KeptPerson {
    return personOf(this.drive)
  }

  /** Connects them; the holder hears of the device's logs. */
  async connect(): Promise<void> {
    const { device, networks } = this
    const [ofDevice, ofHolder] = networks
    device.logHome.uploads.limit(ofHolder.publicKey)
    ofDevice.onConnection = ({ stream }) => {
      GuardedMux.install(stream, { admits: () => true, onFault: () => this.reports.push('fault') })
      for (const { operationLog, contentLog } of device.pairs.announcements)
        for (const { key } of [operationLog, contentLog])
          device.logHome.replicated(key)?.attach(stream)
    }
    ofHolder.onConnection = connection => {
      GuardedMux.install(connection.stream, {
        admits: () => true,
        onFault: () => this.reports.push('fault at the holder')
      })
      this.logs.attach(connection)
    }
    await this.logs.learn(device.pairs.announcements.map(({ bytes }) => bytes))
    // A network is silent until it looks for somebody.
    ofHolder.join(Buffer.alloc(32))
    ofDevice.connectTo(ofHolder.publicKey)
    await until('a connection', () => ofHolder.connections.length === 1)
  }

  /** Lets the holder have blocks. */
  grant(indexes: readonly number[]): void {
    for (const blocks of blockSetsOf(this.device.contentLog.key, indexes))
      this.device.logHome.uploads.grant(this.networks[1].publicKey, blocks)
  }

  /** Brings blocks to the holder. @returns the sizes of those that came */
  async bring(indexes: readonly number[], idleMs = 5000): Promise<ReadonlyMap<number, number>> {
    const sizes = new Map<number, number>()
    for (const blocks of blockSetsOf(this.device.contentLog.key, indexes))
      for (const [index, bytes] of await this.logs.bring(blocks, { idleMs }))
        sizes.set(index, bytes)
    return sizes
  }
}

async function openStore(
  drive: ReplicatedDrive,
  parts: Pick<HolderStage, 'directory' | 'records' | 'reports'> &
    Pick<KeptPerson, 'admitsOperation'> & { readonly clock: Clock }
): Promise<Pick<HolderStage, 'store' | 'logs'>> {
  const { directory, records, reports, clock, admitsOperation } = parts
  const report = (message: string): number => reports.push(message)
  const store = await HolderStore.open({
    directory: join(directory, 'logs'),
    spaceBytes: 1e9,
    records,
    clock,
    report
  })
  const person = { ...personOf(drive), ...(admitsOperation && { admitsOperation }) }
  return { store, logs: await store.person(person) }
}

/** Without any key. */
function personOf({ identity, drive, statements }: ReplicatedDrive): KeptPerson {
  return { identity, drive, members: new Members({ identity, keys: new KeyTable(), statements }) }
}
