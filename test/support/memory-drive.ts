/**
 * A whole drive over stores in memory: the real replica and file system, a fake disk under them.
 *
 * @module
 */
import { KeyTable } from '../../src/crypto/key-table.ts'
import { Sealer } from '../../src/crypto/sealer.ts'
import { DriveVfs } from '../../src/fs/drive-vfs.ts'
import type { FileSystemStatus } from '../../src/fs/vfs.ts'
import type { Entry } from '../../src/sync/entry.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { readEntry } from '../../src/sync/replay.ts'
import { Replica } from '../../src/sync/replica.ts'
import { filled, fromHex } from './bytes.ts'
import { MemoryBlockStore } from './memory-block-store.ts'
import { MemoryHome } from './memory-home.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import { MemoryLog } from './memory-log.ts'
import { SeededRandom } from './seeded-random.ts'
import { VirtualClock } from './virtual-clock.ts'

const GIB = 2 ** 30
const DRIVE_ID = filled(32, 7)

/** A drive that can be closed, killed and opened again. */
export class MemoryDrive {
  /** The disk under the logs. */
  readonly home = new MemoryHome()
  /** The current operation log's name. */
  operationKey = this.home.newKey()
  /** The current content log's name. */
  contentKey = this.home.newKey()
  /** Names of the logs of earlier epochs, oldest first. */
  readonly earlierKeys: { readonly operationKey: LogKey; readonly contentKey: LogKey }[] = []
  /** Time. */
  readonly clock: VirtualClock
  /** Free bytes of the disk, for the file system to look at. */
  freeBytes = 100 * GIB
  /** The index's store. */
  store = new MemoryKeyValueStore()
  readonly #random = new SeededRandom(1)
  readonly #keys = KeyTable.generate(this.#random)
  #replica: Replica | undefined
  #contentLog: MemoryBlockStore | undefined
  #vfs: DriveVfs | undefined

  /** @param clock - time, if it is shared with others */
  private constructor(clock: VirtualClock) {
    this.clock = clock
  }

  /** Makes an empty drive and opens it. */
  static async create(clock = new VirtualClock()): Promise<MemoryDrive> {
    const drive = new MemoryDrive(clock)
    await drive.open()
    return drive
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
    this.#replica = await Replica.open({
      store: this.store,
      ...pair,
      earlier: this.earlierKeys.map(keys => this.#pair(keys)),
      drive: DRIVE_ID,
      keys: this.#keys,
      indexKey: new Uint8Array(32).fill(9),
      clock: this.clock,
      random: this.#random
    })
    this.#vfs = new DriveVfs({
      replica: this.#replica,
      clock: this.clock,
      readOnly: false,
      statfs: () => this.#statfs()
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
      ...{ keys: this.#keys, purpose: 'entry', drive: DRIVE_ID, random: this.#random },
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

  #pair(keys: { readonly operationKey: LogKey; readonly contentKey: LogKey }) {
    return {
      operationLog: new MemoryLog({ home: this.home, key: keys.operationKey }),
      contentLog: new MemoryBlockStore({ home: this.home, key: keys.contentKey })
    }
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
