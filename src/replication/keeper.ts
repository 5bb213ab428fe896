/**
 * The keeping side of custody: keeps sealed blocks for the persons it admitted, and proves it.
 *
 * Nothing that a keeper keeps can be read by it. It answers the devices of each person about that
 * person's logs and nothing else; whoever is no member gets the same refusal for everything.
 *
 * @module
 */
import { signKeeperStatement } from '../crypto/keeper-statement.ts'
import { blake2b, type KeyPair } from '../crypto/sodium.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import type { Member, Members } from '../sync/members.ts'
import { GuardedMux } from './guarded-mux.ts'
import { KeeperAdmission, type InvitationTerms } from './keeper-admission.ts'
import type { ImbalanceBound } from './keeper-imbalance.ts'
import { leaseState, type LeaseState } from './keeper-lease.ts'
import { KeeperScrub } from './keeper-scrub.ts'
import { KeeperPerson } from './keeper-person.ts'
import type { BalanceRow, KeeperRecords, PersonRow } from './keeper-records.ts'
import {
  KeeperSession,
  type Admitted,
  type Hello,
  type KeeperSessionEnd,
  type KeeperSessionParts
} from './keeper-session.ts'
import { UNLIMITED_BYTES } from './keeper-space.ts'
import type { KeptLogs } from './kept-logs.ts'
import type { PeerConnection } from './peer-network.ts'
import type { Random } from '../crypto/random.ts'
import { SerialTurns } from './serial-turns.ts'
import { nowMs } from './wall-time.ts'

/** How often the time that the keeper is online is counted, in milliseconds. */
export const ONLINE_TICK_MS = 10_000

/** After how many of them it is recorded; so much is forgotten by a crash. */
export const ONLINE_RECORD_TICKS = 6

/** After how many of them releases are carried out that have taken effect. */
export const HOUSEKEEPING_TICKS = 360

/** How much a caller may send, framing included, before it said anything that might be true. */
export const FIRST_HELLO_BYTES_MAX = 256 * 1024

/** How much a caller may send, framing included, before it was let in. */
export const HELLO_BYTES_MAX = 10 * 1024 * 1024

/** Whose logs are to be opened. */
export interface PersonLogs {
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The person's devices; may grow. */
  readonly members: Members
  /**
   * Asked before an entry of an operation log is stored: false when it would be more than the
   * quota.
   */
  readonly admitsOperation: (bytes: number) => boolean
}

/** What a keeper works with; all borrowed. */
export interface KeeperParts {
  /** What it remembers. */
  readonly records: KeeperRecords
  /** Its name, by which receipts and challenges know it. */
  readonly keyPair: KeyPair
  /** Which machine it runs on; `MACHINE_TAG_BYTES`. */
  readonly machine: Uint8Array
  /** What it calls itself. */
  readonly name: string
  /** Opens the logs of a person, once for each. */
  readonly openLogs: (person: PersonLogs) => Promise<KeptLogs>
  /** Time. */
  readonly clock: Clock
  /** Dice. */
  readonly random: Random
  /** Told of a device that was let in: its person's logs can be attached to the connection. */
  readonly onOpen: (meeting: Admitted, connection: PeerConnection) => void
  /** Told of a person's record of the hash table, also of one from an earlier run. */
  readonly onLocator: (identity: Uint8Array, record: Uint8Array) => void
  /** Told what went wrong with this computer, for the log: no names, no keys. */
  readonly report: (message: string, cause?: unknown) => void
  /** What the owner accepts of those who give less than they get; anything when absent. */
  readonly imbalance?: ImbalanceBound
  /** How much is kept for everybody together, in bytes; without a bound when absent. */
  readonly spaceBytes?: () => number
}

/** Whom a keeper keeps for, as its owner sees them. */
export interface KeptPerson {
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** How much is kept at most, in bytes. */
  readonly quotaBytes: number
  /** How much is kept, in bytes. */
  readonly usedBytes: number
  /** How long ago a device was last here, in seconds of the keeper's being online. */
  readonly silentSec: number
  /** Whether what is kept is safe from the time that passes. */
  readonly lease: LeaseState
  /** How much was kept for how long, in MiB times seconds. */
  readonly mibSeconds: number
  /** What the owner calls them; empty when they do not. */
  readonly name: string
  /** The newest balance that both signed. */
  readonly settled: BalanceRow | undefined
}

/** Another device of a person, who it is being known. */
export interface DeviceMeeting {
  /** What both are on; it has a multiplexer. */
  readonly connection: PeerConnection
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The other device. */
  readonly member: Member
}

/** What was turned away since the start, and what ended. */
export type KeeperEnds = Readonly<Record<KeeperSessionEnd, number>>

/** See the module. */
export class Keeper {
  readonly #parts: KeeperParts
  readonly #admission: KeeperAdmission
  readonly #scrub: KeeperScrub
  readonly #persons = new Map<string, Promise<KeeperPerson>>()
  readonly #opened = new Map<string, KeeperPerson>()
  readonly #sessions = new Set<KeeperSession>()
  readonly #admitting = new SerialTurns(1)
  readonly #ends = { refused: 0, malformed: 0, gone: 0 }
  #onlineSec: number
  #ticks = 0
  #isHouseDue = false
  #timer: Timer | undefined
  #recording: Promise<void> | undefined
  #closing: Promise<void> | undefined

  private constructor(parts: KeeperParts) {
    this.#parts = parts
    this.#admission = new KeeperAdmission(parts)
    const persons = (): readonly KeeperPerson[] => [...this.#opened.values()]
    this.#scrub = new KeeperScrub({ ...parts, persons })
    this.#onlineSec = parts.records.life.get()?.onlineSec ?? 0
  }

  /**
   * Opens a keeper with everyone it keeps for. Whose logs or records cannot be opened is reported.
   *
   * @throws {SyncError} `DAMAGED` when it cannot be told whom it keeps for
   */
  static async open(parts: KeeperParts): Promise<Keeper> {
    const keeper = new Keeper(parts)
    for (const { identity } of keeper.#admission.persons()) {
      // The others are kept for all the same; this one is tried again when a device calls.
      const person = await keeper.#recorded(identity).catch((error: unknown) => {
        parts.report('what is kept for a person cannot be opened', error)
      })
      const locator = person?.summaries.locator
      if (locator !== undefined) parts.onLocator(identity, locator)
    }
    keeper.#scrub.start()
    keeper.#timer = parts.clock.after(ONLINE_TICK_MS, () => keeper.#tick())
    return keeper
  }

  /** How long it has been online in all, in seconds. */
  get onlineSec(): number {
    return this.#onlineSec
  }

  /** How sessions ended since the start. */
  get ends(): KeeperEnds {
    return { ...this.#ends }
  }

  /** Whom it keeps for. */
  persons(): readonly KeptPerson[] {
    return [...this.#opened.values()].map(person => {
      const { quotaBytes, usedBytes, mibSeconds } = person.usage
      const silentSec = this.#onlineSec - person.contactSec
      const lease = leaseState(silentSec)
      const { identity, balances } = person
      const name = this.nameOf(identity)
      const { settled } = balances
      return { identity, quotaBytes, usedBytes, silentSec, lease, mibSeconds, name, settled }
    })
  }

  /** Makes an invitation; see {@link KeeperAdmission.invite}. */
  invite(terms: InvitationTerms): Promise<Uint8Array> {
    return this.#admission.invite(terms)
  }

  /** Changes how much is kept for a person; what is kept already stays. @throws {SyncError} */
  async setQuota(identity: Uint8Array, quotaBytes: number): Promise<void> {
    await this.#admission.setQuota(identity, quotaBytes)
    const person = await this.#persons.get(idOf(identity))
    if (person !== undefined) person.space.quotaBytes = quotaBytes
  }

  /** What the owner calls a person; empty when they do not. @throws {SyncError} `DAMAGED` */
  nameOf(identity: Uint8Array): string {
    return this.#admission.nameOf(identity)
  }

  /** Calls a person that is kept for something; see {@link KeeperAdmission.setName}. */
  setName(identity: Uint8Array, name: string): Promise<void> {
    return this.#admission.setName(identity, name)
  }

  /**
   * Keeps for the person whose device this is, without an invitation or a quota.
   *
   * @throws {SyncError} `DAMAGED`, and of the disk
   */
  async adopt(own: Pick<PersonLogs, 'identity' | 'drive' | 'members'>): Promise<void> {
    const row = { drive: own.drive, quotaBytes: UNLIMITED_BYTES }
    await this.#person(own.identity, row, own.members)
  }

  /**
   * Answers another device of a person that was adopted, on a connection that has a multiplexer.
   * Both ends have to open the channel in the turn in which they learn who the other is: a
   * channel that only one end has is closed.
   *
   * @returns the session; its channel can be asked over too. Undefined when the person is not
   *   open or the connection has gone
   */
  meet({ connection, identity, member }: DeviceMeeting): KeeperSession | undefined {
    const person = this.#opened.get(idOf(identity))
    if (person === undefined || this.#closing !== undefined || connection.stream.destroying)
      return undefined
    const session = new KeeperSession({
      ...this.#sessionParts(connection),
      admitted: { person, member }
    })
    this.#sessions.add(session)
    return session
  }

  /** Takes a connection, which has no multiplexer yet, and owns it. */
  accept(connection: PeerConnection): void {
    if (this.#closing !== undefined) return void connection.close()
    let bytesBeforeOpen = 0
    let isPlausible = false
    // What a frame does may end the session before it was made.
    const made: { session?: KeeperSession } = {}
    GuardedMux.install(connection.stream, {
      admits: bytes => {
        if (made.session?.admitted !== undefined) return true
        bytesBeforeOpen += bytes
        return bytesBeforeOpen <= (isPlausible ? HELLO_BYTES_MAX : FIRST_HELLO_BYTES_MAX)
      },
      onFault: () => made.session?.end('malformed')
    })
    made.session = new KeeperSession({
      ...this.#sessionParts(connection),
      mayGreet: hello => {
        isPlausible ||= this.#admission.mayGreet(hello)
        return isPlausible
      },
      greet: hello => this.#greet(hello),
      introduce: admitted => this.#introduce(admitted, connection),
      onOpen: (_, admitted) => this.#parts.onOpen(admitted, connection)
    })
    this.#sessions.add(made.session)
  }

  /** Looks anew at whose devices are members: after statements were added elsewhere. */
  membersChanged(identity: Uint8Array): void {
    const person = this.#opened.get(idOf(identity))
    if (person !== undefined) this.#recheck(person)
  }

  /** Ends all sessions and waits for what is under way. The records and logs stay. Idempotent. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    this.#timer?.cancel()
    const connections = [...this.#sessions].map(({ connection }) => connection)
    for (const session of this.#sessions) session.end('gone')
    await Promise.all(connections.map(connection => connection.close()))
    await this.#scrub.close()
    await this.#recording
    for (const person of this.#opened.values()) await person.close()
    await this.#record()
  }

  #sessionParts(
    connection: PeerConnection
  ): Pick<KeeperSessionParts, 'connection' | 'clock' | 'onLocator' | 'onEnd' | 'report'> {
    const { clock, report, onLocator } = this.#parts
    return {
      connection,
      clock,
      report,
      onLocator: ({ person }, record) => onLocator(person.identity, record),
      onEnd: (ended, end) => {
        this.#sessions.delete(ended)
        this.#ends[end]++
      }
    }
  }

  async #greet(hello: Hello): Promise<Admitted | undefined> {
    const known = await this.#recorded(hello.identity)
    if (known === undefined) return this.#admit(hello)
    const { members } = known
    const member = await this.#admission.recognise(members, hello)
    this.#recheck(known)
    return member === undefined ? undefined : { person: known, member }
  }

  /** Somebody who was admitted, opened if they are not; undefined for strangers. */
  async #recorded(identity: Uint8Array): Promise<KeeperPerson | undefined> {
    const open = await this.#persons.get(idOf(identity))
    if (open !== undefined) return open
    const row = this.#parts.records.persons.get(identity)
    return row && this.#person(identity, row, this.#admission.members(identity))
  }

  /** One after another: a secret admits one person. */
  #admit(hello: Hello): Promise<Admitted | undefined> {
    return this.#admitting.run('', async () => {
      if (this.#persons.has(idOf(hello.identity))) return this.#greet(hello)
      const admitted = await this.#admission.admit(hello)
      if (admitted === undefined) return undefined
      const { member, members, row } = admitted
      return { person: await this.#person(hello.identity, row, members), member }
    })
  }

  /** Ends the sessions of those who are members no more. */
  #recheck(person: KeeperPerson): void {
    for (const session of this.#sessions) {
      if (session.admitted?.person !== person) continue
      const member = person.members.bySigning(session.admitted.member.id)
      if (member === undefined || !this.#admission.isValid(member)) session.end('refused')
    }
  }

  #person(identity: Uint8Array, row: PersonRow, members: Members): Promise<KeeperPerson> {
    const id = idOf(identity)
    const opening = this.#persons.get(id) ?? this.#openPerson(identity, row, members)
    this.#persons.set(id, opening)
    opening.catch(() => this.#persons.delete(id))
    return opening
  }

  async #openPerson(
    identity: Uint8Array,
    { drive, quotaBytes }: PersonRow,
    members: Members
  ): Promise<KeeperPerson> {
    const { openLogs, records } = this.#parts
    // The logs are open before anything is counted.
    const made: { person?: KeeperPerson } = {}
    const admitsOperation = (bytes: number): boolean =>
      made.person === undefined || made.person.space.admitsOperation(bytes)
    const logs = await openLogs({ identity, drive, members, admitsOperation })
    const freeForAll = (): number => this.#freeForAll()
    const self = { ...this.#parts, onlineSec: () => this.#onlineSec, freeForAll }
    const person = new KeeperPerson({ self, records, identity, drive, members, logs, quotaBytes })
    made.person = person
    await person.holds.recover()
    this.#opened.set(idOf(identity), person)
    return person
  }

  #freeForAll(): number {
    const { spaceBytes } = this.#parts
    if (spaceBytes === undefined) return Number.MAX_SAFE_INTEGER
    const taken = [...this.#opened.values()].reduce((sum, { space }) => sum + space.takenBytes, 0)
    return Math.max(0, spaceBytes() - taken)
  }

  #introduce({ person }: Admitted, { handshakeHash }: PeerConnection): Uint8Array {
    const { machine, name, keyPair, clock } = this.#parts
    const { quotaBytes, usedBytes } = person.usage
    const statement = {
      ...{ identity: person.identity, nonce: blake2b(handshakeHash), machine, name },
      ...{ quotaBytes, usedBytes, timeMs: nowMs(clock), onlineSec: this.#onlineSec },
      listVersion: person.members.head.listVersion - 1
    }
    return signKeeperStatement(statement, keyPair)
  }

  #tick(): void {
    const seconds = ONLINE_TICK_MS / 1000
    this.#onlineSec += seconds
    for (const person of this.#opened.values()) person.passTime(seconds)
    this.#ticks++
    // Whatever is due waits while the last round is under way.
    this.#isHouseDue ||= this.#ticks % HOUSEKEEPING_TICKS === 0
    if (this.#ticks % ONLINE_RECORD_TICKS === 0) this.#recording ??= this.#keepHouse()
    this.#timer = this.#parts.clock.after(ONLINE_TICK_MS, () => this.#tick())
  }

  async #keepHouse(): Promise<void> {
    const isDue = this.#isHouseDue
    this.#isHouseDue = false
    try {
      await this.#record()
      for (const person of this.#opened.values()) {
        this.#recheck(person)
        await person.space.countOperations()
        if (!isDue) continue
        await person.carryOut()
        if (leaseState(this.#onlineSec - person.contactSec) === 'ended') await person.forgetAll()
      }
    } catch (error) {
      if (this.#closing === undefined) this.#parts.report('housekeeping failed', error)
    } finally {
      this.#recording = undefined
    }
  }

  async #record(): Promise<void> {
    const { records } = this.#parts
    const rows = [...this.#opened.values()].map(person => person.activityRow())
    await records.commit([records.life.put({ onlineSec: this.#onlineSec }), ...rows])
  }
}

function idOf(identity: Uint8Array): string {
  return Buffer.from(identity).toString('hex')
}
