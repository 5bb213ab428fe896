/**
 * A drive, its keepers and its owner's devices in one process and one time, for trying custodians:
 * the custodians are real, all else is simulated.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { signCancel, signRelease, releaseHash } from '../../src/crypto/release.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { Custodian } from '../../src/replication/custodian.ts'
import { CUSTODY_SETTINGS_DEFAULT } from '../../src/replication/custodian-parts.ts'
import type {
  CustodianParts,
  CustodySettings,
  KeeperInfo,
  OwnBlocks
} from '../../src/replication/custodian-parts.ts'
import type { NeededBlocks } from '../../src/sync/content-needs.ts'
import { CustodyStore } from '../../src/replication/custody-store.ts'
import { KeepLocks } from '../../src/replication/keep-lock.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { blockSetsOf, emptyBitmap, hasBit, setBit, windowOf } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'
import type { LogKey } from '../../src/sync/log.ts'
import type { Redundancy } from '../../src/sync/redundancy.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { MemoryKeyValueStore } from './memory-key-value-store.ts'
import { SeededRandom } from './seeded-random.ts'
import { SimulatedKeeper, shownLock } from './simulated-keeper.ts'
import type { SimulatedLink } from './simulated-keeper.ts'
import { SteppedClock } from './stepped-clock.ts'

/** The content log of the tests. */
export const CONTENT = logKey('c0'.repeat(32))
/** The operation log of the tests. */
export const OPERATIONS = logKey('0b'.repeat(32))

/** Files that are to have one level. */
export interface WorldFiles {
  /** How many blocks. */
  readonly blocks: number
  /** Their level. */
  readonly redundancy: Redundancy
}

/** A drive and everyone who has to do with it. */
export class CustodyWorld {
  /** One time for all. */
  readonly clock = new SteppedClock()
  /** One seed for all. */
  readonly random: SeededRandom
  /** By id. */
  readonly keepers = new Map<string, SimulatedKeeper>()
  /** What the owner says of keepers; changed with {@link CustodyWorld.name}. */
  readonly infos = new Map<string, KeeperInfo>()
  /** The owner's devices. */
  readonly devices: OwnerDevice[] = []
  /** How long every block is said to be, in bytes. */
  readonly blockBytes: number
  /** How many blocks the content log has. */
  contentLength = 0
  /** How many entries the operation log has. */
  operationsLength = 0
  /** What content is needed. */
  needs: readonly NeededBlocks[] = []
  readonly identity = new Uint8Array(32).fill(1)
  readonly drive = new Uint8Array(32).fill(2)
  readonly #truth = new Map<string, Uint8Array>()

  constructor(options: { readonly seed: number; readonly blockBytes?: number }) {
    this.random = new SeededRandom(options.seed)
    this.blockBytes = options.blockBytes ?? 65_536
  }

  /** Takes a keeper in. */
  addKeeper(info: Partial<KeeperInfo> & { readonly quotaBytes?: number } = {}): SimulatedKeeper {
    const id = info.id ?? Buffer.from(this.random.bytes(32)).toString('hex')
    const { quotaBytes = 2 ** 40 } = info
    const keeper = new SimulatedKeeper({
      ...{ id, quotaBytes, owner: this, clock: this.clock, random: this.random }
    })
    this.keepers.set(id, keeper)
    const name = info.name ?? `keeper ${this.keepers.size}`
    this.infos.set(id, { id, kind: 'holder', name, addedMs: this.clock.nowMs, ...info })
    for (const device of this.devices) device.custodian.keepersChanged()
    return keeper
  }

  /** The owner says something of a keeper. */
  name(keeper: SimulatedKeeper, info: Partial<KeeperInfo>): void {
    const known = this.infos.get(keeper.id)
    assert(known)
    this.infos.set(keeper.id, { ...known, ...info })
    for (const device of this.devices) device.custodian.keepersChanged()
  }

  /** The owner takes a keeper out. */
  removeKeeper(keeper: SimulatedKeeper): void {
    this.infos.delete(keeper.id)
    this.keepers.delete(keeper.id)
    for (const device of this.devices) device.custodian.keepersChanged()
  }

  /** Adds a device of the owner and starts it. */
  addDevice(options: Partial<OwnerDeviceOptions> = {}): OwnerDevice {
    const device = new OwnerDevice(this, options)
    this.devices.push(device)
    device.start()
    return device
  }

  /** Writes files: the blocks are at the device that writes. */
  write(device: OwnerDevice, { blocks, redundancy }: WorldFiles): void {
    const from = this.contentLength
    const indexes = Array.from({ length: blocks }, (_, at) => from + at)
    this.contentLength += blocks
    this.operationsLength += 1
    for (const index of indexes) device.keep(CONTENT, index)
    const fresh = blockSetsOf(CONTENT, indexes).map(set => ({
      ...set,
      redundancy,
      bytes: [...set.bitmap].reduce((sum, byte) => sum + bitsOf(byte), 0) * this.blockBytes
    }))
    this.needs = [...this.needs, ...fresh]
    this.tellNeeds()
  }

  /** Tells all devices that are on what is needed. */
  tellNeeds(): void {
    for (const device of this.devices) {
      if (!device.isOn) continue
      device.custodian.setNeeds(this.needs)
      device.custodian.operationsGrew()
    }
  }

  /** What a block must be. */
  truth(log: LogKey, index: number): Uint8Array {
    const key = `${log}/${index}`
    const known = this.#truth.get(key)
    if (known !== undefined) return known
    const bytes = new Uint8Array(8)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, index)
    view.setUint32(4, log === CONTENT ? 1 : 2)
    this.#truth.set(key, bytes)
    return bytes
  }

  /** How many keepers have a block as it should be. */
  honestCopies(index: number): number {
    const truth = this.truth(CONTENT, index)
    let copies = 0
    for (const keeper of this.keepers.values()) if (keeper.has(CONTENT, index, truth)) copies++
    return copies
  }

  /** Lets time pass. */
  run(ms: number): Promise<void> {
    return this.clock.run(ms)
  }
}

/** What a device is like. */
export interface OwnerDeviceOptions {
  /** Its signing key, hexadecimal. */
  readonly id: string
  /** Whether it keeps all content. */
  readonly counts: boolean
  /** The machine it is, as the owner says. */
  readonly machine: string
  /** What is set there. */
  readonly settings: Partial<CustodySettings>
}

/** A device of the owner with a custodian of its own. */
export class OwnerDevice {
  /** Its signing key, hexadecimal. */
  readonly id: string
  /** What is set; changed at any time. */
  settings: CustodySettings
  /** Its blocks. */
  readonly own: OwnBlocks & { counts: boolean }
  /** Whom it was told of that have nothing any more. */
  readonly left: string[] = []
  /** What it reported. */
  readonly reports: string[] = []
  /** Its records, which survive a restart. */
  readonly rows = new MemoryKeyValueStore()
  /** Locks that it granted. */
  locks: KeepLocks
  /** The newest one. */
  custodian: Custodian
  isOn = false
  /** How many blocks it gave to keepers. */
  servedBlocks = 0
  readonly #world: CustodyWorld
  readonly #options: Partial<OwnerDeviceOptions>
  readonly #links = new Map<string, SimulatedLink>()
  readonly #stored = new Map<string, Uint8Array>()
  readonly #keyPair = signingKeyPair(new Uint8Array(32).fill(7))

  constructor(world: CustodyWorld, options: Partial<OwnerDeviceOptions>) {
    this.#world = world
    this.#options = options
    this.id = options.id ?? Buffer.from(world.random.bytes(32)).toString('hex')
    this.settings = { ...CUSTODY_SETTINGS_DEFAULT, ...options.settings }
    this.own = {
      counts: options.counts ?? true,
      stored: (log, window) => this.#stored.get(`${log}/${window}`) ?? emptyBitmap(),
      read: (log, index) => this.#read(log, index),
      obtain: ({ log, index }, links) => this.#obtain(log, index, links),
      isGenuine: async ({ log, index, bytes }) =>
        Promise.resolve(Buffer.compare(bytes, world.truth(log, index)) === 0)
    }
    this.locks = new KeepLocks(world)
    this.custodian = this.#newCustodian()
  }

  /** Begins, or goes on from what it remembers, and connects to nobody yet. */
  start({ isTold = true }: { readonly isTold?: boolean } = {}): void {
    if (!this.isOn && this.#world.devices.includes(this)) this.custodian = this.#newCustodian()
    this.isOn = true
    this.custodian.start()
    if (isTold) this.custodian.setNeeds(this.#world.needs)
  }

  /** Stops in order. */
  async stop(): Promise<void> {
    this.isOn = false
    for (const link of this.#links.values()) link.close()
    this.#links.clear()
    await this.custodian.close()
    for (const device of this.#world.devices) if (device.isOn) device.custodian.keepersChanged()
  }

  /** Connects to keepers, all by default. */
  connect(...keepers: readonly SimulatedKeeper[]): void {
    const all = keepers.length > 0 ? keepers : this.#world.keepers.values()
    for (const keeper of all) {
      this.#links.get(keeper.id)?.close()
      const link = keeper.connect(this)
      this.#links.set(keeper.id, link)
      this.custodian.linkOpened(link)
    }
  }

  /** Loses connections. */
  disconnect(...keepers: readonly SimulatedKeeper[]): void {
    for (const { id } of keepers) {
      const link = this.#links.get(id)
      if (link === undefined) continue
      this.#links.delete(id)
      link.close()
      this.custodian.linkClosed(link)
    }
  }

  /** The connection to a keeper. */
  linkTo(keeper: SimulatedKeeper): SimulatedLink | undefined {
    return this.#links.get(keeper.id)
  }

  /** Stores a block. */
  keep(log: LogKey, index: number): void {
    const key = `${log}/${windowOf(index)}`
    const bitmap = this.#stored.get(key) ?? emptyBitmap()
    this.#stored.set(key, bitmap)
    setBit(bitmap, index)
  }

  /** Forgets all content. */
  forgetContent(): void {
    this.#stored.clear()
  }

  /** Whether it has a block. */
  has(log: LogKey, index: number): boolean {
    return hasBit(this.own.stored(log, windowOf(index)), index)
  }

  /** Gives a keeper a block. */
  serve(keeper: string, log: LogKey, index: number): Uint8Array | undefined {
    if (!this.custodian.mayServe(keeper, log, index)) {
      this.custodian.askedAgain(keeper, log, index)
      return undefined
    }
    if (log === CONTENT && !this.has(log, index)) return undefined
    this.servedBlocks++
    return this.#world.truth(log, index)
  }

  async #read(log: LogKey, index: number): Promise<Uint8Array> {
    if (log === CONTENT && !this.has(log, index)) throw new SyncError('MISSING', 'not here')
    return Promise.resolve(this.#world.truth(log, index))
  }

  async #obtain(
    log: LogKey,
    index: number,
    links: Parameters<OwnBlocks['obtain']>[1]
  ): Promise<void> {
    for (const link of links) {
      const bytes = await link.fetch({ log, index, hash: new Uint8Array(32) })
      const truth = this.#world.truth(log, index)
      if (bytes === undefined || Buffer.compare(bytes, truth) !== 0) continue
      this.keep(log, index)
      return
    }
    throw new SyncError('UNREACHABLE', 'nobody has it')
  }

  #newCustodian(): Custodian {
    const world = this.#world
    const { machine } = this.#options
    const parts: CustodianParts = {
      ...{ clock: world.clock, random: world.random, drive: world.drive },
      identity: world.identity,
      device: { id: this.id, name: 'this device', machine },
      mayRelease: signer => Buffer.compare(signer, this.#keyPair.publicKey) === 0,
      store: new CustodyStore(this.rows),
      own: this.own,
      signer: {
        release: ({ keeper, kind, floor, blocks }) =>
          signRelease(
            {
              ...{ drive: world.drive, keeper: bytesOf(keeper), kind, floor },
              issuedMs: world.clock.nowMs,
              windows: blocks.map(set => ({ ...set, log: bytesOf(set.log) }))
            },
            this.#keyPair
          ),
        cancel: release =>
          signCancel({ release: releaseHash(release), issuedMs: world.clock.nowMs }, this.#keyPair),
        lock: ({ attempt, log, window, bitmap }) => {
          if (!this.own.counts) throw new ReplicationError('UNAVAILABLE', 'not kept')
          const held = this.own.stored(log, window)
          this.locks.grant({ blocks: { log, window, bitmap }, attempt, held })
          return { statement: shownLock({ locker: this.id, attempt, log, window, bitmap }) }
        }
      },
      keepers: () => [...world.infos.values()],
      onlineDevices: () => world.devices.filter(({ isOn }) => isOn).map(({ id }) => id),
      operationLogs: () =>
        new Map(world.operationsLength > 0 ? [[OPERATIONS, world.operationsLength]] : []),
      contentLength: () => world.contentLength,
      isAuthorAround: () => false,
      settings: () => this.settings,
      onLeft: keeper => this.left.push(keeper),
      report: message => {
        this.reports.push(message)
        if (this.reports.length > 1000) this.reports.shift()
      }
    }
    return new Custodian(parts)
  }
}

function bitsOf(byte: number): number {
  let count = 0
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++
  return count
}

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
