/**
 * Several devices in one process that use one drive at once, while the network and the disks
 * under them fail: the real replica and file system over a simulated clock, network and disk.
 * Everything follows from one seed: the same seed gives the same run, step by step.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { Timestamp } from '../../src/sync/clock.ts'
import { listAll } from '../support/model-command.ts'
import { treeOf, type ModelEntry, type Mutation } from '../support/model.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { VIRTUAL_START_SEC, VirtualClock } from '../support/virtual-clock.ts'
import {
  contentsOf,
  problemsOfBlocks,
  problemsOfHeads,
  problemsOfOutcome,
  problemsOfPromises,
  problemsOfView,
  problemsOfWrites
} from './check-device.ts'
import { mergeableLengths, mergedEntries } from './merged-entries.ts'
import { RandomActor } from './random-action.ts'
import { SimulatedKernel } from './simulated-kernel.ts'
import { SimulatedDevice, type DeviceFault, type Message } from './simulated-device.ts'
import { NO_FAULTS, SimulatedNetwork, type NetworkFaults } from './simulated-network.ts'

/** How a simulation is run. */
export interface SimulationOptions {
  /** Everything follows from it. */
  readonly seed: number
  /** How many things happen before all is healed; by default drawn. */
  readonly steps?: number
  /** Breaks every device, to see that it is noticed. */
  readonly fault?: DeviceFault
  /** Rules that are broken in the oracle once all is done, to see whether it is noticed. */
  readonly mutations?: readonly Mutation[]
}

/** What came of a simulation. */
export interface SimulationResult {
  /** What is wrong; empty when nothing is. */
  readonly problems: readonly string[]
  /** Of the rules that were broken those that were noticed. */
  readonly noticed: readonly Mutation[]
  /** What happened, a line for each step. */
  readonly trace: readonly string[]
  /** How many entries were written. */
  readonly entryCount: number
  /** How many operations they have. */
  readonly operationCount: number
  /** How many conflict names there are in the end. */
  readonly conflictCount: number
}

/** The most devices there are. */
export const DEVICES_MAX = 4
const STEPS_MIN = 30
const STEPS_MAX = 120
const TEN_YEARS_SEC = 315_576_000
/** How often devices tell each other what they have, in milliseconds. */
const GOSSIP_MS = 200
/** The longest that a message is under way, in milliseconds. */
const DELAY_MS_MAX = 2000
/** The longest that time moves in a step, in milliseconds. */
const STEP_MS_MAX = 500
/** The longest that time moves between two steps, in milliseconds. */
const SOON_MS_MAX = 30
/** How many turns of the event loop a call may take before time is moved for it. */
const TURNS_MAX = 50
/** How long a call may take, in moves of a second. */
const WAIT_SEC_MAX = 120
/** After so many rounds of gossip on a good network all must have everything. */
const QUIET_ROUNDS_MAX = 400
const KEPT_MAX = 12
/** The longest that a look at a clock may take, in milliseconds: work that takes time. */
const TICK_MS_MAX = 5

/** Runs a simulation. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const simulation = await Simulation.create(options)
  try {
    await simulation.run()
  } catch (error) {
    simulation.report(inspect(error))
  }
  return simulation.result()
}

/** A clock that goes on a little each time it is looked at, so that long work is cut short. */
class TickingClock extends VirtualClock {
  readonly #tickMs: number
  #ticks = 0

  constructor(startSec: number, tickMs: number) {
    super(startSec)
    this.#tickMs = tickMs
  }

  override now(): Timestamp {
    const { sec, nsec } = super.now()
    const ms = Math.floor(nsec / 1_000_000) + this.#tickMs * ++this.#ticks
    return { sec: sec + Math.floor(ms / 1000), nsec: (ms % 1000) * 1_000_000 }
  }
}

/** Devices, a network and dice. */
class Simulation {
  readonly #options: SimulationOptions
  readonly #random: SeededRandom
  readonly #clock = new VirtualClock()
  readonly #network: SimulatedNetwork<Message>
  readonly #devices: SimulatedDevice[] = []
  readonly #actors = new Map<SimulatedDevice, RandomActor>()
  readonly #faults: NetworkFaults
  readonly #problems: string[] = []
  readonly #noticed: Mutation[] = []
  readonly #trace: string[] = []
  readonly #counts = { entryCount: 0, operationCount: 0, conflictCount: 0 }
  #number = 0

  private constructor(options: SimulationOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed)
    this.#faults = drawFaults(this.#random)
    const parts = { clock: this.#clock, random: new SeededRandom(options.seed + 1) }
    this.#network = new SimulatedNetwork(parts)
  }

  static async create(options: SimulationOptions): Promise<Simulation> {
    const simulation = new Simulation(options)
    const count = 2 + simulation.#random.integer(DEVICES_MAX - 1)
    for (let number = 1; number <= count; number++) await simulation.#addDevice(number)
    return simulation
  }

  async run(): Promise<void> {
    const random = this.#random
    const steps = this.#options.steps ?? STEPS_MIN + random.integer(STEPS_MAX - STEPS_MIN)
    if (random.integer(4) > 0) await this.#prepare()
    this.#network.faults = this.#faults
    for (let step = 0; step < steps; step++) {
      await this.#step()
      // Often news come so soon that what was written is not recorded yet.
      if (random.integer(2) === 0) await this.#moveTime(1 + random.integer(SOON_MS_MAX))
      await this.#turns(random.integer(4))
      if (this.#problems.length > 0) return
    }
    await this.#heal()
    if (this.#problems.length === 0) await this.#checkAll()
  }

  report(problem: string): void {
    this.#problems.push(problem)
  }

  result(): SimulationResult {
    const { ...counts } = this.#counts
    return { problems: this.#problems, noticed: this.#noticed, trace: this.#trace, ...counts }
  }

  async #addDevice(number: number): Promise<void> {
    const isOff = this.#random.integer(4) === 0
    const offSec = isOff ? (this.#random.integer(2) === 0 ? -1 : 1) * TEN_YEARS_SEC : 0
    const tickMs = this.#random.integer(3) === 0 ? 1 + this.#random.integer(TICK_MS_MAX) : 0
    const clock = new TickingClock(VIRTUAL_START_SEC + offSec, tickMs)
    const { fault } = this.#options
    const name = `device ${number}`
    const device = await SimulatedDevice.create({ name, clock, network: this.#network, fault })
    this.#devices.push(device)
    const source = { random: this.#random, next: () => ++this.#number }
    this.#actors.set(device, new RandomActor(source))
  }

  /** Makes a few files that all devices have from the beginning, so that they meet in them. */
  async #prepare(): Promise<void> {
    const [device] = this.#devices
    if (!device) return
    const { session } = device
    for (const path of ['c', 'e', 'e/c']) session.mkdir(path)
    for (const path of ['a', 'b', 'd.txt', 'e/a', 'e/b']) {
      await this.#finish(session.writeFile(path, `${++this.#number}`))
    }
    await this.#exchange()
  }

  // What happens.

  async #step(): Promise<void> {
    const random = this.#random
    const device = this.#pick()
    const draw = random.integer(100)
    if (draw < 50) return this.#act(device)
    if (draw < 55) return this.#look(device)
    if (draw < 78) return this.#moveTime(1 + random.integer(STEP_MS_MAX))
    if (draw < 86) return this.#save(device)
    if (draw < 90) return this.#changeNetwork(device)
    if (draw < 94) return this.#breakOrStart(device)
    return this.#check(device)
  }

  async #act(device: SimulatedDevice): Promise<void> {
    if (!device.isUp) return
    await this.#checkKernel(device)
    const what = await this.#finish(this.#actors.get(device)?.act(device.session))
    this.#note(`${device.name}: ${what ?? 'nothing'}`)
  }

  /** The kernel of a device looks at everything, and must be told what others change of it. */
  async #look(device: SimulatedDevice): Promise<void> {
    if (!device.isUp) return
    await this.#checkKernel(device)
    this.#note(`${device.name}: its kernel looks`)
    device.kernel ??= new SimulatedKernel(device.drive.vfs)
    const isDeaf = this.#options.fault === 'a kernel is not told what others change'
    if (isDeaf) device.drive.vfs.onChanged = undefined
    await this.#finish(device.kernel.look())
  }

  /** To be called before a device changes something itself, of which its kernel is not told. */
  async #checkKernel(device: SimulatedDevice): Promise<void> {
    const stale = (await this.#finish(device.kernel?.staleness())) ?? []
    this.#problems.push(...stale.map(text => `${device.name}: ${text}`))
    await this.#finish(device.kernel?.forget())
  }

  async #save(device: SimulatedDevice): Promise<void> {
    if (!device.isUp) return
    const isSync = this.#random.integer(2) === 0
    this.#note(`${device.name}: ${isSync ? 'sync' : 'commit'}`)
    await this.#finish(isSync ? device.sync() : device.commit())
  }

  #changeNetwork(device: SimulatedDevice): void {
    const random = this.#random
    const names = this.#devices.map(({ name }) => name)
    switch (random.integer(4)) {
      case 0:
        this.#note(`${device.name}: offline`)
        this.#network.setOnline(device.name, false)
        break
      case 1:
        this.#note(`${device.name}: online`)
        this.#network.setOnline(device.name, true)
        break
      case 2: {
        const here = names.filter(() => random.integer(2) === 0)
        this.#note(`parted: ${here.join(', ')}`)
        this.#network.part([here, names.filter(name => !here.includes(name))])
        break
      }
      default:
        this.#note('joined')
        this.#network.join()
    }
    this.#connect()
  }

  async #breakOrStart(device: SimulatedDevice): Promise<void> {
    const random = this.#random
    if (!device.isUp) {
      const rebuild = random.integer(4) === 0
      this.#note(`${device.name}: starts${rebuild ? ' with a new index' : ''}`)
      await device.start({ rebuild })
      this.#connect()
      await this.#checkPromises(device)
      return
    }
    this.#actors.get(device)?.forget()
    const draw = random.integer(3)
    if (draw === 0) {
      this.#note(`${device.name}: stops`)
      await this.#finish(device.stop())
    } else if (draw === 1) {
      this.#note(`${device.name}: is killed`)
      device.kill()
    } else {
      const kept = random.integer(KEPT_MAX)
      this.#note(`${device.name}: loses power, ${kept} writes stay`)
      device.losePower(kept)
    }
    this.#connect()
  }

  async #check(device: SimulatedDevice): Promise<void> {
    if (!device.isUp) return
    this.#note(`${device.name}: check`)
    // Of what is not appended only operations are known, and not entries that have none.
    const { pendingEntries, lengths, drive } = device
    const end = lengths.get(drive.operationKey) ?? 0
    const areKnown = pendingEntries.every(({ index }, at) => index === end + at)
    if (!areKnown || this.#random.integer(2) === 0) await this.#finish(device.commit())
    await this.#checkDevice(device)
  }

  async #checkDevice(device: SimulatedDevice): Promise<void> {
    this.#problems.push(...(await problemsOfView(device)))
    this.#problems.push(...(await problemsOfHeads(device)), ...problemsOfWrites(device))
  }

  /** A promise is kept on the disk of who gave it as soon as it has started again. */
  async #checkPromises(device: SimulatedDevice): Promise<void> {
    this.#problems.push(...(await problemsOfPromises(device, device)))
  }

  // Time.

  /** Moves all clocks, a little at a time, and lets devices talk. */
  async #moveTime(ms: number): Promise<void> {
    for (let left = ms; left > 0;) {
      const part = Math.min(left, 1 + this.#random.integer(GOSSIP_MS))
      left -= part
      this.#clock.advance(part)
      for (const { clock } of this.#devices) clock.advance(part)
      for (const device of this.#devices) {
        if (this.#random.integer(2) === 0) device.gossip(this.#namesBut(device))
      }
      await this.#turns(1 + this.#random.integer(3))
    }
  }

  async #turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await setImmediate()
  }

  /** Waits for a call, and moves time when it waits for that. */
  async #finish<T>(call: Promise<T> | undefined): Promise<T | undefined> {
    const state = { isDone: false }
    const done = Promise.resolve(call).finally(() => {
      state.isDone = true
    })
    done.catch(() => undefined)
    for (let sec = 0; sec < WAIT_SEC_MAX; sec++) {
      for (let turn = 0; turn < TURNS_MAX; turn++) {
        if (state.isDone) return done
        await setImmediate()
      }
      this.#clock.advance(1000)
      for (const { clock } of this.#devices) clock.advance(1000)
    }
    throw new Error('a call never ended')
  }

  // The end.

  /** Everything works again; goes on until all devices have everything. */
  async #heal(): Promise<void> {
    this.#note('heal')
    this.#network.faults = NO_FAULTS
    this.#network.join()
    for (const device of this.#devices) {
      this.#network.setOnline(device.name, true)
      if (!device.isUp) {
        await device.start()
        await this.#checkPromises(device)
      }
    }
    this.#connect()
    // What is under way arrives: it may be what who sent it has lost.
    this.#clock.advance(DELAY_MS_MAX)
    for (const device of this.#devices) {
      await this.#checkKernel(device)
      await this.#finish(this.#actors.get(device)?.closeAll(device.session))
    }
    await this.#exchange()
  }

  /** Goes on over a good network until all devices have everything. */
  async #exchange(): Promise<void> {
    for (const device of this.#devices) await this.#finish(device.sync())
    for (let round = 0; round < QUIET_ROUNDS_MAX; round++) {
      if (await this.#isQuiet()) return
      for (const device of this.#devices) device.gossip(this.#namesBut(device))
      await this.#moveTime(GOSSIP_MS)
    }
    this.report(`they never agree: ${this.#devices.map(stateOf).join('; ')}`)
  }

  async #isQuiet(): Promise<boolean> {
    for (const device of this.#devices) await this.#finish(device.settled())
    const stored = new Set(this.#devices.map(({ lengths }) => textOfLengths(lengths)))
    const merged = new Set(this.#devices.map(({ drive }) => textOfLengths(drive.replica.heads)))
    if (stored.size > 1 || merged.size > 1) return false
    const [first] = this.#devices
    return first !== undefined && merged.has(textOfLengths(await mergeableLengths(first)))
  }

  async #checkAll(): Promise<void> {
    const [first] = this.#devices
    if (!first) return
    for (const device of this.#devices) {
      await this.#checkDevice(device)
      for (const other of this.#devices) {
        this.#problems.push(...(await problemsOfPromises(other, device)))
      }
      this.#problems.push(...problemsOfBlocks(device, this.#devices))
    }
    const entries = await mergedEntries(first)
    this.#count(entries)
    this.#problems.push(...problemsOfOutcome(entries))
    if (this.#problems.length === 0) await this.#checkContents(first)
    for (const mutation of this.#options.mutations ?? []) {
      if ((await problemsOfView(first, mutation)).length > 0) this.#noticed.push(mutation)
    }
    await this.#checkRebuilt()
  }

  #count(entries: readonly ModelEntry[]): void {
    const names = listAll(treeOf(entries))
    this.#counts.entryCount = entries.length
    this.#counts.operationCount = entries.flatMap(({ operations }) => operations).length
    this.#counts.conflictCount = names.filter(({ child }) => child.isGenerated).length
  }

  async #checkContents(first: SimulatedDevice): Promise<void> {
    const contents = await this.#finish(contentsOf(first))
    for (const device of this.#devices) {
      for (const [path, bytes] of (await this.#finish(contentsOf(device))) ?? []) {
        const isSame = (contents?.get(path) ?? bytes) === bytes
        if (!isSame) this.report(`${device.name} reads other bytes of ${path}`)
      }
    }
  }

  /** An index that is made anew shows the same. */
  async #checkRebuilt(): Promise<void> {
    const device = this.#pick()
    await this.#finish(device.stop())
    await device.start({ rebuild: true })
    await this.#finish(device.settled())
    this.#problems.push(...(await problemsOfView(device)))
    for (const each of this.#devices) await this.#finish(each.stop())
  }

  #connect(): void {
    for (const device of this.#devices) {
      const { connected } = device.drive
      connected.clear()
      for (const other of this.#devices) {
        const isThere = other.isUp && this.#network.connects(device.name, other.name)
        if (isThere) connected.add(other.drive)
      }
    }
  }

  #pick(): SimulatedDevice {
    const device = this.#devices[this.#random.integer(this.#devices.length)]
    if (!device) throw new Error('there are devices')
    return device
  }

  #namesBut(device: SimulatedDevice): string[] {
    return this.#devices.filter(other => other !== device).map(({ name }) => name)
  }

  #note(what: string): void {
    this.#trace.push(what)
  }
}

/** Each kind of fault is absent in some runs, so that it does not hide what others would show. */
function drawFaults(random: SeededRandom): NetworkFaults {
  const some = (max: number): number => (random.integer(2) === 0 ? 0 : random.integer(max))
  return { lossPercent: some(50), duplicatePercent: some(30), delayMsMax: some(DELAY_MS_MAX) }
}

function textOf(map: ReadonlyMap<string, unknown>): string {
  return [...map]
    .map(([key, value]) => `${key}: ${String(value)}`)
    .toSorted()
    .join('\n')
}

/** Logs without entries are not known to all. */
function textOfLengths(lengths: ReadonlyMap<string, number>): string {
  return textOf(new Map([...lengths].filter(([, length]) => length > 0)))
}

function stateOf({ name, lengths, drive }: SimulatedDevice): string {
  const { waiting, quarantined } = drive.replica.status
  const log = (key: string, length: number): string => `${key.slice(0, 4)} ${length}`
  const stored = [...lengths].map(([key, length]) => log(key, length)).join(', ')
  const merged = [...drive.replica.heads].map(([key, length]) => log(key, length)).join(', ')
  const refused = quarantined.map(({ reason }) => reason).join(', ')
  return `${name} has ${stored}; merged ${merged}; ${waiting} wait; quarantined: ${refused}`
}
