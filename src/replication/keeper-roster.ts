/**
 * The keepers of a drive as a device knows them: who is connected, what each one's copies are
 * worth, how much room it has, and whether it is asked for anything just now.
 *
 * @module
 */
import type { Clock } from '../sync/clock.ts'
import type { KeeperInfo, OwnDevice } from './custodian-parts.ts'
import type { CustodyStore, KeeperRecord, SweepPosition } from './custody-store.ts'
import type { HolderLink, KeeperId, KeeperRefusal, KeeperUsage } from './holder-link.ts'
import { KeeperStanding, newStanding } from './keeper-standing.ts'
import type { KeeperState } from './keeper-standing.ts'
import { ReplicationError } from './replication-error.ts'
import { nowMs } from './wall-time.ts'
import type { CopyFacts } from './window-assessment.ts'

/** How many keepers a drive has at most. */
export const KEEPERS_MAX = 256

/** How long a keeper that refuses is left alone at first, in milliseconds; then twice as long. */
export const PAUSE_MS: Readonly<Record<KeeperRefusal | 'NO_ANSWER' | 'BAD_ANSWER', number>> = {
  FULL: 5 * 60_000,
  IMBALANCE: 5 * 60_000,
  UNAVAILABLE: 2000,
  REFUSED: 60_000,
  KEEP_LOCKED: 30_000,
  NO_ANSWER: 5000,
  BAD_ANSWER: 60_000
}

/** The longest that a keeper is left alone, in milliseconds. */
export const PAUSE_MS_MAX = 60 * 60_000

const NO_SWEEP: SweepPosition = { startedMs: 0, asked: 0, next: '' }

/** A keeper. */
export interface RosterEntry {
  /** What the owner says of it. */
  info: KeeperInfo
  /** What its copies are worth. */
  readonly standing: KeeperStanding
  /** The connection; undefined when there is none. */
  link: HolderLink | undefined
  /** Whether its receipts are known up to when it was connected. */
  isReady: boolean
  /** What it said of its space, last. */
  usage: KeeperUsage | undefined
  /** The machine it says it runs on, hexadecimal; empty when it never said. */
  machineTag: string
  /** All its receipts up to this one are known. */
  synced: number
  /** Where the sweep of audits is. */
  sweep: SweepPosition
  /** It is asked for nothing new until then; milliseconds since 1970. */
  pausedMs: number
  /** How long it is left alone the next time it refuses for the same reason. */
  pauses: number
  /** Why it refused last; undefined after a success. */
  refusal: string | undefined
  /** Where it stands, as far as it was asked; see {@link KeeperRoster.factsOf}. */
  facts: CopyFacts | undefined
}

/** What a roster works with; all borrowed. */
export interface KeeperRosterParts {
  /** Time. */
  readonly clock: Clock
  /** This device. */
  readonly device: OwnDevice
  /** Where standings are kept. */
  readonly store: CustodyStore
  /** How long a keeper may be away, in milliseconds. */
  readonly graceMs: () => number
}

/** The keepers of a drive. */
export class KeeperRoster {
  readonly #parts: KeeperRosterParts
  readonly #entries = new Map<KeeperId, RosterEntry>()
  readonly #remembered: Map<KeeperId, KeeperRecord>
  /** What owners call the machines whose tags are known. */
  #machineNames = new Map<string, string>()

  /** @param remembered - as the store has it */
  constructor(parts: KeeperRosterParts, remembered: ReadonlyMap<KeeperId, KeeperRecord>) {
    this.#parts = parts
    this.#remembered = new Map(remembered)
  }

  /** All keepers. */
  all(): Iterable<RosterEntry> {
    return this.#entries.values()
  }

  /** One keeper. */
  get(id: KeeperId): RosterEntry | undefined {
    return this.#entries.get(id)
  }

  /** Takes over who keeps. @returns those that do no more */
  set(infos: readonly KeeperInfo[]): readonly KeeperId[] {
    const known = infos.slice(0, KEEPERS_MAX).filter(({ id }) => id !== this.#parts.device.id)
    const ids = new Set(known.map(({ id }) => id))
    const removed = [...this.#entries.keys()].filter(id => !ids.has(id))
    for (const id of removed) {
      this.#entries.delete(id)
      this.#remembered.delete(id)
    }
    for (const info of known) {
      const entry = this.#entries.get(info.id)
      if (entry === undefined) this.#entries.set(info.id, this.#newEntry(info))
      else if (entry.info.addedMs < info.addedMs) {
        const { link, isReady, usage, synced } = entry
        const fresh = this.#freshEntry(info)
        this.#entries.set(info.id, { ...fresh, link, isReady, usage, synced })
        if (link !== undefined) fresh.standing.connected(this.#nowMs())
      } else entry.info = info
    }
    this.#nameMachines()
    return removed
  }

  /** Whether anyone is connected. */
  get hasLinks(): boolean {
    for (const { link } of this.#entries.values()) if (link !== undefined) return true
    return false
  }

  /** A keeper is connected. @returns undefined when it is none of ours */
  connected(link: HolderLink): RosterEntry | undefined {
    const entry = this.#entries.get(link.id)
    if (entry === undefined) return undefined
    const now = this.#nowMs()
    // Nobody could be reached: nobody's absence says anything.
    if (!this.hasLinks) for (const { standing } of this.#entries.values()) standing.lookAgain(now)
    entry.link = link
    entry.isReady = false
    entry.pausedMs = 0
    entry.pauses = 0
    entry.standing.connected(now)
    return entry
  }

  /** A connection is gone. @returns undefined when it was not the keeper's newest */
  disconnected(link: HolderLink): RosterEntry | undefined {
    const entry = this.#entries.get(link.id)
    if (entry?.link !== link) return undefined
    entry.link = undefined
    entry.isReady = false
    entry.standing.disconnected(this.#nowMs())
    return entry
  }

  /** What a keeper's copies are worth now. */
  stateOf(id: KeeperId): KeeperState | undefined {
    const entry = this.#entries.get(id)
    return entry && this.#stateOf(entry)
  }

  /**
   * Of whom verified copies can be had now: whoever is relied on and connected, and whoever the
   * user does without, until it has forgotten them. What comes is verified in any case.
   */
  sourceOf(id: KeeperId): HolderLink | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    const state = this.#stateOf(entry)
    return state === 'held' || state === 'leaving' ? entry.link : undefined
  }

  /** Where a computer stands; of this device too. */
  factsOf(id: KeeperId): CopyFacts | undefined {
    const { device } = this.#parts
    if (id === device.id) {
      const machine = this.#machineOf({ ...device, tag: device.machineTag ?? '' })
      return { machine, site: device.site ?? '', person: '', state: 'held' }
    }
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    const state = this.#stateOf(entry)
    if (entry.facts?.state === state) return entry.facts
    const { info, machineTag } = entry
    const machine = this.#machineOf({ ...info, tag: machineTag })
    entry.facts = { machine, site: info.site ?? '', person: info.person ?? '', state }
    return entry.facts
  }

  /** What a computer is called. */
  nameOf(id: KeeperId): string {
    const { device } = this.#parts
    return id === device.id ? device.name : (this.#entries.get(id)?.info.name ?? id)
  }

  /** A keeper said which machine it runs on. @returns whether it is another than it said before */
  saidMachine(entry: RosterEntry, tag: string): boolean {
    if (entry.machineTag === tag) return false
    entry.machineTag = tag
    this.#nameMachines()
    return true
  }

  /** Those that can be asked to keep something now. */
  *ready(): Iterable<RosterEntry> {
    for (const entry of this.#entries.values()) if (this.isReady(entry)) yield entry
  }

  /** Whether a keeper can be asked to keep something now. */
  isReady(entry: RosterEntry): boolean {
    const { link, isReady, pausedMs } = entry
    if (link === undefined || !isReady || pausedMs > this.#nowMs()) return false
    return this.#stateOf(entry) === 'held'
  }

  /** A keeper refused or failed: it is left alone for a while. */
  pause(entry: RosterEntry, error: unknown): void {
    const code = error instanceof ReplicationError ? error.code : 'NO_ANSWER'
    const base = isPausing(code) ? PAUSE_MS[code] : PAUSE_MS.NO_ANSWER
    entry.pauses = entry.refusal === code ? entry.pauses + 1 : 0
    entry.refusal = code
    const pauseMs = Math.min(PAUSE_MS_MAX, base * 2 ** Math.min(20, entry.pauses))
    entry.pausedMs = this.#nowMs() + pauseMs
  }

  /**
   * A keeper keeps what it was asked to. That it takes operations says nothing of whether it takes
   * content again.
   *
   * @param bytes - about how much that was
   */
  succeeded(entry: RosterEntry, bytes: number, isContent = true): void {
    if (isContent || (entry.refusal !== 'FULL' && entry.refusal !== 'IMBALANCE')) {
      entry.pauses = 0
      entry.refusal = undefined
    }
    const { usage } = entry
    if (usage !== undefined) entry.usage = { ...usage, usedBytes: usage.usedBytes + bytes }
  }

  /** When the first pause ends; undefined when nobody pauses. */
  nextPauseEndMs(): number | undefined {
    const now = this.#nowMs()
    const ends = [...this.#entries.values()]
      .filter(({ link, pausedMs }) => link !== undefined && pausedMs > now)
      .map(({ pausedMs }) => pausedMs)
    return ends.length === 0 ? undefined : Math.min(...ends)
  }

  /** When the first state changes by time alone; undefined when none does. */
  nextChangeMs(): number | undefined {
    const now = this.#nowMs()
    let first: number | undefined
    for (const { standing } of this.#entries.values()) {
      const next = standing.nextChangeMs(now, this.#parts.graceMs())
      if (next !== undefined && (first === undefined || next < first)) first = next
    }
    return first
  }

  /** Has the store remember a keeper. */
  remember({ info, standing, machineTag, synced, sweep }: RosterEntry): void {
    const record = { standing: standing.recordAt(this.#nowMs()), machineTag, synced, sweep }
    this.#parts.store.putKeeper(info.id, record)
  }

  /** Whoever leaves is waited for: what it has is to be released. */
  #stateOf({ info, standing }: RosterEntry): KeeperState {
    const state = standing.stateAt(this.#nowMs(), this.#parts.graceMs())
    return info.leaving === undefined || state === 'failed' ? state : 'leaving'
  }

  #newEntry(info: KeeperInfo): RosterEntry {
    const fresh = this.#freshEntry(info)
    const record = this.#remembered.get(info.id)
    if (record === undefined) return fresh
    const isForgiven = record.standing.failedMs > 0 && record.standing.failedMs < info.addedMs
    if (isForgiven) return { ...fresh, synced: record.synced, machineTag: record.machineTag }
    const { machineTag, synced, sweep } = record
    const standing = new KeeperStanding(record.standing, this.#nowMs())
    return { ...fresh, standing, machineTag, synced, sweep }
  }

  #freshEntry(info: KeeperInfo): RosterEntry {
    const now = this.#nowMs()
    return {
      info,
      standing: new KeeperStanding(newStanding(now), now),
      link: undefined,
      isReady: false,
      usage: undefined,
      machineTag: info.machineTag ?? '',
      synced: 0,
      sweep: NO_SWEEP,
      pausedMs: 0,
      pauses: 0,
      refusal: undefined,
      facts: undefined
    }
  }

  #machineOf(computer: {
    readonly id: string
    readonly machine?: string | undefined
    readonly tag: string
  }): string {
    const { id, machine, tag } = computer
    if (machine !== undefined && machine !== '') return `name:${machine}`
    if (tag === '') return `id:${id}`
    return this.#machineNames.get(tag) ?? `tag:${tag}`
  }

  /** One machine has one name: a keeper that states the tag of a named one is on it. */
  #nameMachines(): void {
    const { device } = this.#parts
    for (const entry of this.#entries.values()) entry.facts = undefined
    const all = [...this.#entries.values()].map(({ info, machineTag }) => ({
      machine: info.machine,
      tag: machineTag
    }))
    this.#machineNames = new Map()
    for (const { machine, tag } of [{ ...device, tag: device.machineTag ?? '' }, ...all])
      if (machine !== undefined && machine !== '' && tag !== '')
        this.#machineNames.set(tag, `name:${machine}`)
  }

  #nowMs(): number {
    return nowMs(this.#parts.clock)
  }
}

function isPausing(code: string): code is keyof typeof PAUSE_MS {
  return Object.hasOwn(PAUSE_MS, code)
}
