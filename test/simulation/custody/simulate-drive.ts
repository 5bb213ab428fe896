/**
 * A drive over years: its files are with holders that come and go, vanish, lie and rot, and its
 * owner's device is on now and then. The custodian is the real one, all else is simulated, and
 * everything follows from one seed.
 *
 * The device keeps nothing itself: what no holder has is lost.
 *
 * @module
 */
import { CUSTODY_SETTINGS_DEFAULT } from '../../../src/replication/custodian-parts.ts'
import type { CustodySettings } from '../../../src/replication/custodian-parts.ts'
import type { Redundancy } from '../../../src/sync/redundancy.ts'
import { CONTENT, CustodyWorld } from '../../support/custody-world.ts'
import type { OwnerDevice } from '../../support/custody-world.ts'
import type { SimulatedKeeper } from '../../support/simulated-keeper.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const YEAR_MS = 365 * DAY_MS
const MONTH_MS = YEAR_MS / 12

/** What a drive goes through. */
export interface DriveScenario {
  /** What chance follows from. */
  readonly seed: number
  /** For how long. */
  readonly years: number
  /** How many holders there are; for each that vanishes another comes. */
  readonly holders: number
  /** How many blocks the files have. */
  readonly blocks: number
  /** The files' level. */
  readonly redundancy: Redundancy
  /** The share of time that holders are online, on average. */
  readonly onlineShare: number
  /** How long a holder is on and off once, on average, in days. */
  readonly cycleDays: number
  /** The share of holders that vanish in a month. */
  readonly vanishPerMonth: number
  /** The share of holders that keep only a part of what they sign for. */
  readonly liarShare: number
  /** The share of blocks that rot on a holder's disk in a year. */
  readonly rotPerYear: number
  /** What is set otherwise than usual. */
  readonly settings: Partial<CustodySettings>
}

/** What the issue asks for. */
export const YEARS_SCENARIO: Omit<DriveScenario, 'seed' | 'years'> = {
  holders: 50,
  blocks: 384,
  redundancy: { copies: 3, floor: 2, sites: 1 },
  onlineShare: 0.6,
  cycleDays: 7,
  vanishPerMonth: 0.02,
  liarShare: 0.01,
  rotPerYear: 0.01,
  settings: {}
}

/** How a drive was at the end of a month. */
export interface MonthSample {
  /** Honest copies of the block that had the fewest; a holder that is off has its copy. */
  readonly leastCopies: number
  /** Honest copies of a block on average. */
  readonly meanCopies: number
  /** How many blocks had fewer honest copies than the floor. */
  readonly belowFloor: number
  /** How many blocks had fewer honest copies than the custodian counted. */
  readonly overclaimed: number
  /** Copies that the custodian counted of the weakest block. */
  readonly countedCopies: number
  /** Copies that were made in the month, each of one block. */
  readonly copiesMade: number
  /** Challenges that were answered in the month. */
  readonly challenges: number
}

/** A block of which no honest copy is left. */
export interface LostBlock {
  /** Which. */
  readonly index: number
  /** In which month, from 0. */
  readonly month: number
  /** How many honest copies it had at the end of the month before. */
  readonly copiesBefore: number
}

/** What became of a drive. */
export interface DriveHistory {
  /** One for each month. */
  readonly months: readonly MonthSample[]
  /** What was lost. */
  readonly lost: readonly LostBlock[]
  /** Holders that vanished. */
  readonly vanished: number
  /** Holders that signed for blocks and did not keep them. */
  readonly liars: number
  /** How many of these the custodian found to have failed. */
  readonly liarsFound: number
  /** Honest holders that the custodian took for liars. */
  readonly honestFailed: number
}

/** Simulates a drive. */
export async function simulateDrive(scenario: DriveScenario): Promise<DriveHistory> {
  const simulation = new DriveSimulation(scenario)
  await simulation.begin()
  for (let month = 0; month < scenario.years * 12; month++) await simulation.runMonth(month)
  return simulation.end()
}

class DriveSimulation {
  readonly #scenario: DriveScenario
  readonly #world: CustodyWorld
  readonly #device: OwnerDevice
  readonly #keys: readonly string[]
  readonly #online = new Set<SimulatedKeeper>()
  readonly #liars = new Map<string, SimulatedKeeper>()
  readonly #failed = new Set<string>()
  readonly #months: MonthSample[] = []
  readonly #lost = new Map<number, LostBlock>()
  #copiesBefore: Uint16Array
  #vanished = 0
  /** By holders that have vanished. */
  #copiesMade = 0
  #challenges = 0
  /** By all, up to the month before. */
  #copiesMadeBefore = 0
  #challengesBefore = 0

  constructor(scenario: DriveScenario) {
    this.#scenario = scenario
    this.#world = new CustodyWorld({ seed: scenario.seed })
    const settings: CustodySettings = {
      ...CUSTODY_SETTINGS_DEFAULT,
      pollMs: 10 * DAY_MS,
      audits: { ...CUSTODY_SETTINGS_DEFAULT.audits, challengesPerHour: 1 / 72 },
      ...scenario.settings
    }
    this.#device = this.#world.addDevice({ counts: true, settings })
    this.#keys = Array.from({ length: scenario.blocks }, (_, index) => `${CONTENT}/${index}`)
    this.#copiesBefore = new Uint16Array(scenario.blocks)
  }

  /** Everyone is on when the files are written; then chance begins. */
  async begin(): Promise<void> {
    const { holders, blocks, redundancy } = this.#scenario
    for (let at = 0; at < holders; at++) this.#addHolder(true)
    this.#world.write(this.#device, {
      blocks,
      redundancy: { ...redundancy, copies: redundancy.copies + 1 }
    })
    await this.#world.run(HOUR_MS)
    this.#world.needs = this.#world.needs.map(need => ({ ...need, redundancy }))
    this.#device.own.counts = false
    this.#device.forgetContent()
    this.#world.tellNeeds()
    this.#device.custodian.ownBlocksChanged()
    this.#copiesBefore = this.#honestCopies()
    this.#turnDevice()
  }

  async runMonth(month: number): Promise<void> {
    await this.#world.run(MONTH_MS)
    this.#rot()
    this.#removeGone()
    this.#sample(month)
  }

  async end(): Promise<DriveHistory> {
    if (this.#device.isOn) await this.#device.stop()
    let [liarsFound, honestFailed] = [0, 0]
    for (const id of this.#failed) {
      const liar = this.#liars.get(id)
      if (liar === undefined) honestFailed++
      else if (liar.droppedBlocks > 0) liarsFound++
    }
    return {
      months: this.#months,
      lost: [...this.#lost.values()],
      vanished: this.#vanished,
      liars: [...this.#liars.values()].filter(({ droppedBlocks }) => droppedBlocks > 0).length,
      liarsFound,
      honestFailed
    }
  }

  #addHolder(isFirst = false): void {
    const { liarShare, vanishPerMonth, onlineShare } = this.#scenario
    const keeper = this.#world.addKeeper()
    if (this.#chance() < liarShare) {
      this.#liars.set(keeper.id, keeper)
      keeper.faults.keptShare = this.#chance() < 0.5 ? 0.9 : 0.5
      keeper.faults.asksAgain = this.#chance() < 0.5
    }
    // Some are nearly always on, some seldom.
    const spread = Math.min(onlineShare, 1 - onlineShare) * 0.75
    const share = onlineShare + (2 * this.#chance() - 1) * spread
    const lifeMs = this.#exponential(MONTH_MS / vanishPerMonth)
    this.#world.clock.after(lifeMs, () => this.#vanish(keeper))
    if (isFirst) {
      this.#online.add(keeper)
      this.#device.connect(keeper)
    }
    this.#turnHolder(keeper, share, isFirst)
  }

  /** A holder is on and off by turns. */
  #turnHolder(keeper: SimulatedKeeper, share: number, isOn: boolean): void {
    const cycleMs = this.#scenario.cycleDays * DAY_MS
    const lengthMs = this.#exponential(isOn ? cycleMs * share : cycleMs * (1 - share))
    this.#world.clock.after(lengthMs, () => {
      if (!this.#world.keepers.has(keeper.id)) return
      if (isOn) this.#online.delete(keeper)
      else this.#online.add(keeper)
      if (this.#device.isOn && isOn) this.#device.disconnect(keeper)
      if (this.#device.isOn && !isOn) this.#device.connect(keeper)
      this.#turnHolder(keeper, share, !isOn)
    })
  }

  /** The owner's device is on for some days and off for a day or two. */
  #turnDevice(): void {
    const lengthMs = this.#exponential(this.#device.isOn ? 6 * DAY_MS : 1.5 * DAY_MS)
    this.#world.clock.after(lengthMs, () => {
      void this.#toggleDevice().then(() => this.#turnDevice())
    })
  }

  async #toggleDevice(): Promise<void> {
    this.#noteFailed()
    if (this.#device.isOn) {
      await this.#device.stop()
      // What it obtained to hand it on was a cache.
      this.#device.forgetContent()
      return
    }
    this.#device.start()
    if (this.#online.size > 0) this.#device.connect(...this.#online)
  }

  #vanish(keeper: SimulatedKeeper): void {
    this.#vanished++
    this.#online.delete(keeper)
    if (this.#device.isOn) this.#device.disconnect(keeper)
    this.#world.keepers.delete(keeper.id)
    this.#copiesMade += keeper.receivedBlocks
    this.#challenges += keeper.challenges
    this.#addHolder()
  }

  #rot(): void {
    const share = 1 - (1 - this.#scenario.rotPerYear) ** (1 / 12)
    for (const keeper of this.#world.keepers.values())
      for (const key of this.#keys)
        if (keeper.blocks.has(key) && this.#chance() < share) keeper.blocks.set(key, ROTTEN)
  }

  /** The owner takes out whom nobody has seen for long. */
  #removeGone(): void {
    this.#noteFailed()
    if (!this.#device.isOn) return
    for (const { info, state } of this.#device.custodian.keeperStatus())
      if (state === 'gone' && !this.#world.keepers.has(info.id)) this.#world.infos.delete(info.id)
    this.#device.custodian.keepersChanged()
  }

  #noteFailed(): void {
    for (const { info, state } of this.#device.custodian.keeperStatus())
      if (state === 'failed') this.#failed.add(info.id)
  }

  #sample(month: number): void {
    const { blocks, redundancy } = this.#scenario
    const copies = this.#honestCopies()
    let [least, sum, belowFloor, overclaimed, counted] = [Infinity, 0, 0, 0, Infinity]
    for (let index = 0; index < blocks; index++) {
      const honest = copies[index] ?? 0
      least = Math.min(least, honest)
      sum += honest
      if (honest < redundancy.floor) belowFloor++
      const claims = this.#device.custodian.copiesOf([{ log: CONTENT, index }], redundancy).copies
      counted = Math.min(counted, claims)
      if (honest < claims) overclaimed++
      if (honest > 0 || this.#lost.has(index)) continue
      const copiesBefore = this.#copiesBefore[index] ?? 0
      this.#lost.set(index, { index, month, copiesBefore })
    }
    this.#copiesBefore = copies
    let [made, challenges] = [this.#copiesMade, this.#challenges]
    for (const keeper of this.#world.keepers.values()) {
      made += keeper.receivedBlocks
      challenges += keeper.challenges
    }
    this.#months.push({
      ...{ leastCopies: least, meanCopies: sum / blocks, belowFloor, overclaimed },
      countedCopies: counted,
      copiesMade: made - this.#copiesMadeBefore,
      challenges: challenges - this.#challengesBefore
    })
    this.#copiesMadeBefore = made
    this.#challengesBefore = challenges
  }

  /** Of each block, with holders that are off too. */
  #honestCopies(): Uint16Array {
    const copies = new Uint16Array(this.#keys.length)
    for (const { blocks } of this.#world.keepers.values()) {
      for (const [index, key] of this.#keys.entries()) {
        const bytes = blocks.get(key)
        if (bytes !== undefined && bytes !== ROTTEN) copies[index] = (copies[index] ?? 0) + 1
      }
    }
    return copies
  }

  #chance(): number {
    return this.#world.random.integer(2 ** 32) / 2 ** 32
  }

  #exponential(mean: number): number {
    return -mean * Math.log(1 - this.#chance())
  }
}

const ROTTEN = new Uint8Array(8).fill(0xbd)
