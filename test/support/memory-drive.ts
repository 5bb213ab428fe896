/**
 * A whole drive over stores in memory: the real replica and file system, a fake disk under them.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { Sealer } from '../../src/crypto/sealer.ts'
import { DriveVfs } from '../../src/fs/drive-vfs.ts'
import type { FileSystemStatus } from '../../src/fs/vfs.ts'
import type { Entry } from '../../src/sync/entry.ts'
import { ALONE, type CustodyView } from '../../src/sync/custody-view.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { readEntry } from '../../src/sync/log-pair.ts'
import type { RemoteLogPair } from '../../src/sync/remote-logs.ts'
import { Replica } from '../../src/sync/replica.ts'
import { filled, fromHex } from './bytes.ts'
import { MemoryBlockStore } from './memory-block-store.ts'
import { MemoryHome } from './memory-home.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import { MemoryLog } from './memory-log.ts'
import { MemoryRemoteBlocks, MemoryRemoteLog } from './memory-remote-logs.ts'
import { SeededRandom } from './seeded-random.ts'
import { VirtualClock } from './virtual-clock.ts'

const GIB = 2 ** 30
/** The id of every drive in memory. */
export const MEMORY_DRIVE_ID = filled(32, 7)

/** Which logs one epoch of a device has. */
export interface PairKeys {
  /** The operation log. */
  readonly operationKey: LogKey
  /** The content log. */
  readonly contentKey: LogKey
}

/** An epoch of some device. */
export interface DevicePair extends PairKeys {
  /** The device's name. */
  readonly device: string
}

/** Whoever has logs that can be copied. */
export interface LogSource {
  /** The disk that they are on. */
  readonly home: MemoryHome
  /** Which ones. */
  readonly pairs: readonly DevicePair[]
}

/** Which device a drive is opened on. */
export interface MemoryDriveOptions {
  /** Time, if it is shared with others. */
  readonly clock?: VirtualClock
  /** The device's name. */
  readonly device?: string
}

/** A drive that can be closed, killed and opened again; several of them exchange logs. */
export class MemoryDrive implements LogSource {
  /** The device's name. */
  readonly device: string
  /** The disk under the logs. */
  readonly home: MemoryHome
  /** The current operation log's name. */
  operationKey: LogKey
  /** The current content log's name. */
  contentKey: LogKey
  /** Names of the logs of earlier epochs, oldest first. */
  readonly earlierKeys: PairKeys[] = []
  /** Devices whose blocks can be fetched. */
  readonly connected = new Set<LogSource>()
  /** Whether connected devices keep their blocks to themselves. */
  isStuck = false
  /** Called whenever a merge gives the event loop back. */
  onYield: () => void = () => undefined
  /** Whether somebody waits for a batch of a merge to be over. */
  isAwaited: () => boolean = () => false
  /** Time. */
  readonly clock: VirtualClock
  /** Free bytes of the disk, for the file system to look at. */
  freeBytes = 100 * GIB
  /** The copies that others keep. */
  custody: CustodyView = ALONE
  /** The index's store. */
  store = new MemoryKeyValueStore()
  readonly #random = new SeededRandom(1)
  readonly #keys = KeyTable.generate(this.#random)
  readonly #known: DevicePair[] = []
  readonly #remotes = new Map<LogKey, MemoryRemoteLog>()
  #replica: Replica | undefined
  #contentLog: MemoryBlockStore | undefined
  #vfs: DriveVfs | undefined

  private constructor({ clock, device }: Required<MemoryDriveOptions>) {
    this.clock = clock
    this.device = device
    this.home = new MemoryHome(device)
    this.operationKey = this.home.newKey()
    this.contentKey = this.home.newKey()
  }

  /** Makes an empty drive and opens it. */
  static async create(options: MemoryDriveOptions = {}): Promise<MemoryDrive> {
    const { clock = new VirtualClock(), device = 'home' } = options
    const drive = new MemoryDrive({ clock, device })
    await drive.open()
    return drive
  }

  /**
   * Copies what another device has of every operation log, its own included, and merges it.
   *
   * @param entriesMax - of each log so many entries at most
   */
  async receiveFrom(other: LogSource, entriesMax = Infinity): Promise<void> {
    for (const pair of other.pairs) {
      const { operationKey: key } = pair
      const [from, to] = [this.home.lengthOf(key), other.home.lengthOf(key)]
      const entries: Uint8Array[] = []
      for (let at = from; at < to && entries.length < entriesMax; at++) {
        entries.push(other.home.block(key, at))
      }
      await this.receive(pair, entries)
    }
  }

  /** Every pair of logs that is known here, this device's own first. */
  get pairs(): readonly DevicePair[] {
    const { operationKey, contentKey, device } = this
    const own = [{ operationKey, contentKey }, ...this.earlierKeys]
    return [...own.map(keys => ({ ...keys, device })), ...this.#known]
  }

  /**
   * Adds entries that arrived to what is here of an operation log, and merges them. Of this
   * device's own logs only those of earlier epochs take any: a tail that was lost here.
   */
  async receive(pair: DevicePair, entries: readonly Uint8Array[]): Promise<void> {
    const { operationKey: key } = pair
    if (key === this.operationKey) return
    if (this.#isOwn(key)) await this.#restore(key, entries)
    else {
      this.#learn(pair)
      this.#remotes.get(key)?.receive(entries)
    }
    this.#replica?.wake(key)
  }

  /** Commits, receives from each of the others what it has, and merges it. */
  async catchUpWith(...others: readonly MemoryDrive[]): Promise<void> {
    for (const other of others) {
      await other.replica.commit()
      await this.receiveFrom(other)
    }
    await this.replica.settled()
  }

  /** Receives what each of them has, one after another, and merges it. */
  async catchUpWithAll(sources: readonly LogSource[]): Promise<void> {
    for (const source of sources) await this.receiveFrom(source)
    await this.replica.settled()
  }

  /** The replica. */
  get replica(): Replica {
    if (this.#replica === undefined) throw new Error('the drive is closed')
    return this.#replica
  }

  /** The current content log, as the replica has it: for faults. */
  get contentLog(): MemoryBlockStore {
    if (this.#contentLog === undefined) throw new Error('the drive is closed')
    return this.#contentLog
  }

  /** The file system. */
  get vfs(): DriveVfs {
    if (this.#vfs === undefined) throw new Error('the drive is closed')
    return this.#vfs
  }

  /** Opens the drive from what the disk has. */
  async open(): Promise<void> {
    const pair = this.#pair(this)
    this.#contentLog = pair.contentLog
    this.#remotes.clear()
    this.#replica = await Replica.open({
      store: this.store,
      ...pair,
      earlier: this.earlierKeys.map(keys => ({
        ...this.#pair(keys),
        elsewhere: this.#remoteBlocks(keys.contentKey)
      })),
      device: this.device,
      remotes: this.#known.map(keys => this.#remotePair(keys)),
      yieldToEventLoop: () => this.#yieldToEventLoop(),
      isAwaited: () => this.isAwaited(),
      drive: MEMORY_DRIVE_ID,
      keys: this.#keys,
      indexKey: new Uint8Array(32).fill(9),
      clock: this.clock,
      random: this.#random
    })
    this.#vfs = new DriveVfs({
      replica: this.#replica,
      clock: this.clock,
      readOnly: false,
      statfs: () => this.#statfs(),
      custody: {
        copiesOf: (blocks, redundancy) => this.custody.copiesOf(blocks, redundancy),
        copiesOfDrive: () => this.custody.copiesOfDrive(),
        whenDurable: request => this.custody.whenDurable(request)
      },
      yieldToEventLoop: () => this.#yieldToEventLoop()
    })
  }

  /** Closes the drive cleanly. */
  async close(): Promise<void> {
    this.#vfs?.close()
    await this.#replica?.close()
    this.#vfs = undefined
    this.#replica = undefined
  }

  /** The process dies and is started again, or the power is lost with so many writes kept. */
  async crash(power: { readonly kept: number } | undefined): Promise<void> {
    if (power) this.home.losePower(power)
    else this.home.kill()
    this.abandon()
    await this.open()
  }

  /** Goes on in a new pair of logs, as after a power loss that may have cost a tail. */
  async startEpoch(): Promise<void> {
    await this.close()
    const { operationKey, contentKey } = this
    this.earlierKeys.push({ operationKey, contentKey })
    this.operationKey = this.home.newKey()
    this.contentKey = this.home.newKey()
    await this.open()
  }

  /** The entries that an operation log has, by default the current one. */
  async entries(key = this.operationKey): Promise<readonly Entry[]> {
    const log = new MemoryLog({ home: this.home, key })
    const sealer = new Sealer({
      ...{ keys: this.#keys, purpose: 'entry', drive: MEMORY_DRIVE_ID, random: this.#random },
      log: fromHex(log.key)
    })
    const entries: Entry[] = []
    for (let index = 0; index < log.length; index++) {
      const entry = await readEntry(log, index, sealer)
      if (entry) entries.push(entry)
    }
    await log.close()
    return entries
  }

  /** How many blocks the content log still stores. */
  storedBlocks(): number {
    return this.home.storedCount(this.contentKey)
  }

  /** Appends a block that no operation names, as a process does that dies in between. */
  async appendStrayBlock(): Promise<void> {
    const log = new MemoryBlockStore({ home: this.home, key: this.contentKey })
    await log.append([new Uint8Array(1000)], log.length)
    await log.close()
  }

  /** Forgets the open drive, as the death of its process does. */
  abandon(): void {
    this.#vfs = undefined
    this.#replica = undefined
  }

  /** Closes and opens it, with the index made anew from the logs if `rebuild`. */
  async reopen(options: { readonly rebuild: boolean }): Promise<void> {
    await this.close()
    if (options.rebuild) this.store = new MemoryKeyValueStore()
    await this.open()
  }

  #yieldToEventLoop(): Promise<void> {
    this.onYield()
    return setImmediate()
  }

  #pair(keys: { readonly operationKey: LogKey; readonly contentKey: LogKey }) {
    return {
      operationLog: new MemoryLog({ home: this.home, key: keys.operationKey }),
      contentLog: new MemoryBlockStore({ home: this.home, key: keys.contentKey })
    }
  }

  #isOwn(key: LogKey): boolean {
    return [this, ...this.earlierKeys].some(({ operationKey }) => operationKey === key)
  }

  async #restore(key: LogKey, entries: readonly Uint8Array[]): Promise<void> {
    const log = new MemoryRemoteLog({ home: this.home, key })
    log.receive(entries)
    await log.close()
  }

  #learn(pair: DevicePair): void {
    if (this.#known.some(({ operationKey }) => operationKey === pair.operationKey)) return
    this.#known.push(pair)
    this.replica.addRemote(this.#remotePair(pair))
  }

  #remotePair({ operationKey, contentKey, device }: DevicePair): RemoteLogPair {
    const { home } = this
    const operationLog = new MemoryRemoteLog({ home, key: operationKey })
    this.#remotes.set(operationKey, operationLog)
    const contentLog = this.#remoteBlocks(contentKey)
    return { operationLog, contentLog, device, deviceId: device }
  }

  #remoteBlocks(key: LogKey): MemoryRemoteBlocks {
    const { home, clock } = this
    const homes = () => [...this.connected].map(other => other.home)
    return new MemoryRemoteBlocks({
      home,
      key,
      peers: { homes, isStuck: () => this.isStuck, clock }
    })
  }

  #statfs(): FileSystemStatus {
    const blocks = Math.floor(this.freeBytes / 4096)
    const [inodes, inodesFree] = [2 ** 24, 2 ** 23]
    return {
      blockBytes: 4096,
      blocks: blocks * 2,
      blocksFree: blocks,
      blocksAvailable: blocks,
      inodes,
      inodesFree
    }
  }
}
