/**
 * One device of a simulation: the real replica and file system over a disk in memory, and the
 * exchange of log entries with other devices over a simulated network. It can be killed, lose
 * power and be started again, as the daemon would be.
 *
 * @module
 */
import type { LogKey } from '../../src/sync/log.ts'
import type { Operation, OperationId } from '../../src/sync/operation.ts'
import type { ExecuteOptions } from '../../src/sync/replica.ts'
import { MemoryDrive, type DevicePair } from '../support/memory-drive.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { keyOf } from '../support/model-entry.ts'
import type { ModelEntry } from '../support/model.ts'
import { VfsSession } from '../support/vfs-session.ts'
import type { VirtualClock } from '../support/virtual-clock.ts'
import type { SimulatedKernel } from './simulated-kernel.ts'
import type { SimulatedNetwork } from './simulated-network.ts'

/** How many entries answer one telling of what a peer has. */
export const ENTRIES_PER_ANSWER = 16
/** How many entries that came out of order are kept of one log. */
const EARLY_ENTRIES_MAX = 256

/** What devices say to each other. */
export type Message =
  | { readonly kind: 'have'; readonly lengths: ReadonlyMap<LogKey, number> }
  | {
      readonly kind: 'entry'
      readonly pair: DevicePair
      readonly index: number
      readonly bytes: Uint8Array
    }

/** Something that a device did and was told to be safe. */
export interface Acknowledged {
  /** What survives: `kill -9` after a commit, a loss of power after a sync. */
  readonly survives: 'kill' | 'power'
  /** The operation. */
  readonly id: OperationId
  /** What it does. */
  readonly operation: Operation
}

/** Ways to break a device on purpose, which the checks must notice. */
export const DEVICE_FAULTS = [
  'a kernel is not told what others change',
  'an epoch goes on after power was lost',
  'syncs are promised and not done'
] as const

/** One of {@link DEVICE_FAULTS}. */
export type DeviceFault = (typeof DEVICE_FAULTS)[number]

/** An operation that a device executed. */
export interface Executed {
  /** Its identity. */
  readonly id: OperationId
  /** What it does. */
  readonly operation: Operation
  /** What was merged when it was. */
  readonly heads: ReadonlyMap<LogKey, number>
}

/** What a device is made of. */
export interface SimulatedDeviceParts {
  /** Its name. */
  readonly name: string
  /** Its time. */
  readonly clock: VirtualClock
  /** Where the others are. */
  readonly network: SimulatedNetwork<Message>
  /** What is broken in it. */
  readonly fault?: DeviceFault | undefined
}

/** A device that can be used, broken and started again. */
export class SimulatedDevice {
  /** Its name. */
  readonly name: string
  /** Its time, which may be years off. */
  readonly clock: VirtualClock
  /** Whether its process runs. */
  isUp = true
  /** What it promised to keep. */
  readonly acknowledged = new Map<string, Acknowledged>()
  /** What a kernel remembers of what it shows, if one looked since its process started. */
  kernel: SimulatedKernel | undefined
  readonly #drive: MemoryDrive
  readonly #network: SimulatedNetwork<Message>
  readonly #fault: DeviceFault | undefined
  /** What was executed since the process started. */
  #executed: Executed[] = []
  readonly #early = new Map<LogKey, Map<number, Uint8Array>>()
  #receiving: Promise<void> = Promise.resolve()
  #lostPower = false

  private constructor(drive: MemoryDrive, { name, clock, network, fault }: SimulatedDeviceParts) {
    this.#drive = drive
    this.name = name
    this.clock = clock
    this.#network = network
    this.#fault = fault
    network.attach(name, (message, from) => this.#onMessage(message, from))
    this.#listen()
  }

  /** Makes a device with an empty drive and starts it. */
  static async create(parts: SimulatedDeviceParts): Promise<SimulatedDevice> {
    const drive = await MemoryDrive.create({ clock: parts.clock, device: parts.name })
    return new SimulatedDevice(drive, parts)
  }

  /** Its drive. */
  get drive(): MemoryDrive {
    return this.#drive
  }

  /** Its file system, by path. Only while it is up. */
  get session(): VfsSession {
    return new VfsSession(this.#drive.vfs)
  }

  /** How many entries it stores of each operation log. */
  get lengths(): ReadonlyMap<LogKey, number> {
    const { home, pairs } = this.#drive
    return new Map(pairs.map(({ operationKey: key }) => [key, home.lengthOf(key)]))
  }

  /** What was merged when a program wrote a text, by the number in the text. */
  readonly written = new Map<number, ReadonlyMap<LogKey, number>>()

  /** What it executed since its process started. */
  get executed(): readonly Executed[] {
    return this.#executed
  }

  /** What it executed and has not appended yet, as entries without lamports, oldest first. */
  get pendingEntries(): readonly Omit<ModelEntry, 'lamport'>[] {
    const { home, operationKey: log } = this.#drive
    const entries = new Map<number, Executed[]>()
    for (const executed of this.#executed) {
      const { index } = executed.id
      if (index < home.lengthOf(log)) continue
      entries.set(index, [...(entries.get(index) ?? []), executed])
    }
    return [...entries].map(([index, executed]) => ({
      ...{ log, index, heads: executed.at(-1)?.heads ?? new Map<LogKey, number>() },
      ...{ time: this.clock.now(), device: this.name },
      operations: executed.map(({ operation }) => operation)
    }))
  }

  /** Tells others what it has, so that they send what it lacks. */
  gossip(others: readonly string[]): void {
    if (!this.isUp) return
    for (const to of others) {
      this.#network.send({ from: this.name, to }, { kind: 'have', lengths: this.lengths })
    }
  }

  /** @returns when all that was executed before survives `kill -9`, and notes that it must */
  async commit(): Promise<void> {
    const executed = [...this.#executed]
    await this.#drive.replica.commit()
    this.#acknowledge(executed, 'kill')
  }

  /** @returns when all that was executed before survives a loss of power, and notes it */
  async sync(): Promise<void> {
    const { replica, vfs } = this.#drive
    const isBroken = this.#fault === 'syncs are promised and not done'
    const synced = isBroken ? replica.commit() : vfs.syncfs()
    const executed = [...this.#executed]
    await synced
    this.#acknowledge(executed, 'power')
  }

  /** Waits until what has arrived is received and merged. */
  async settled(): Promise<void> {
    await this.#receiving
    if (this.isUp) await this.#drive.replica.settled()
  }

  /** The process dies; what was appended stays. */
  kill(): void {
    if (!this.isUp) return
    this.#drive.home.kill()
    this.#die()
  }

  /** The machine loses power: of the writes that were not synced so many stay. */
  losePower(kept: number): void {
    if (!this.isUp) return
    this.#drive.home.losePower({ kept })
    this.#die()
    for (const [key, { survives }] of this.acknowledged) {
      if (survives === 'kill') this.acknowledged.delete(key)
    }
    this.#lostPower = true
  }

  /** The process ends in order. */
  async stop(): Promise<void> {
    if (!this.isUp) return
    await this.#receiving
    this.isUp = false
    this.kernel = undefined
    await this.#drive.close()
    this.#early.clear()
  }

  /** Starts the process again. @param options - whether the index is to be made anew */
  async start({ rebuild = false }: { readonly rebuild?: boolean } = {}): Promise<void> {
    if (this.isUp) return
    if (rebuild) this.#drive.store = new MemoryKeyValueStore()
    const isAnew = this.#lostPower && this.#fault !== 'an epoch goes on after power was lost'
    if (isAnew) await this.#drive.startEpoch()
    else await this.#drive.open()
    this.#lostPower = false
    this.isUp = true
    this.#listen()
  }

  #die(): void {
    this.#drive.abandon()
    // What the process still had in hand must not reach the store of the next one.
    this.#drive.store = this.#drive.store.copy()
    this.#early.clear()
    this.kernel = undefined
    this.isUp = false
  }

  #listen(): void {
    this.#listenToWrites(this.#drive)
    const { replica } = this.#drive
    // Of this process alone: what an earlier one still does when it is dead counts for nothing.
    const executed: Executed[] = []
    this.#executed = executed
    const execute = replica.execute.bind(replica)
    replica.execute = (operation: Operation, options?: ExecuteOptions) => {
      // What an operation holds is borrowed by the call, so it is copied before.
      const copy = structuredClone(operation)
      const heads = new Map(replica.heads)
      const id = execute(operation, options)
      if (options?.recorded !== false) executed.push({ id, operation: copy, heads })
      return id
    }
  }

  /** Notes what programs could have seen of others when they wrote. */
  #listenToWrites({ replica, vfs }: MemoryDrive): void {
    const write = vfs.write.bind(vfs)
    vfs.write = (handle, data, options) => {
      for (const number of numbersIn(data)) this.written.set(number, new Map(replica.heads))
      return write(handle, data, options)
    }
  }

  #acknowledge(executed: readonly Executed[], survives: Acknowledged['survives']): void {
    for (const { id, operation } of executed) {
      const key = keyOf(id)
      if (this.acknowledged.get(key)?.survives !== 'power') {
        this.acknowledged.set(key, { id, operation, survives })
      }
    }
  }

  #onMessage(message: Message, from: string): void {
    if (!this.isUp) return
    if (message.kind === 'have') this.#answer(message.lengths, from)
    else this.#takeUp(message)
  }

  /** Sends entries that a peer lacks. */
  #answer(lengths: ReadonlyMap<LogKey, number>, to: string): void {
    const { home, pairs } = this.#drive
    for (const pair of pairs) {
      const { operationKey: key } = pair
      const from = lengths.get(key) ?? 0
      const end = Math.min(home.lengthOf(key), from + ENTRIES_PER_ANSWER)
      for (let index = from; index < end; index++) {
        const bytes = home.block(key, index)
        this.#network.send({ from: this.name, to }, { kind: 'entry', pair, index, bytes })
      }
    }
  }

  /** Keeps an entry until those before it are here. */
  #takeUp({ pair, index, bytes }: Extract<Message, { kind: 'entry' }>): void {
    const { operationKey: key } = pair
    if (index < this.#drive.home.lengthOf(key)) return
    const early = this.#early.get(key) ?? new Map<number, Uint8Array>()
    this.#early.set(key, early)
    if (early.size >= EARLY_ENTRIES_MAX) return
    early.set(index, bytes)
    const { replica } = this.#drive
    this.#receiving = this.#receiving
      .then(() => (this.isUp && this.#drive.replica === replica ? this.#receive(pair) : undefined))
      .catch((error: unknown) => {
        // The process died meanwhile.
        if (this.isUp && this.#drive.replica === replica) throw error
      })
  }

  async #receive(pair: DevicePair): Promise<void> {
    const { operationKey: key } = pair
    const early = this.#early.get(key)
    const entries: Uint8Array[] = []
    for (let at = this.#drive.home.lengthOf(key); ; at++) {
      const bytes = early?.get(at)
      if (!bytes) break
      entries.push(bytes)
      early?.delete(at)
    }
    if (entries.length === 0) return
    await this.#drive.receive(pair, entries)
  }
}

/** The numbers of texts that programs wrote: `<17>`. */
export function numbersIn(bytes: Uint8Array): readonly number[] {
  const text = Buffer.from(bytes).toString('latin1')
  return [...text.matchAll(/<(\d+)>/g)].map(([, number]) => Number(number))
}
