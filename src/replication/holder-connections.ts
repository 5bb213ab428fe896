/**
 * The connections of a device to the holders of its drive: kept up, greeted, told of every log
 * pair, and given the logs.
 *
 * A holder gets operation logs whole. Of content logs it hears of, and is served, only what it was
 * asked to keep; see `upload-grants.ts`.
 *
 * @module
 */
import type { HolderCode } from '../crypto/holder-code.ts'
import type { Random } from '../crypto/random.ts'
import { PUBLIC_KEY_BYTES, equalBytes, type KeyPair } from '../crypto/sodium.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import type { Members } from '../sync/members.ts'
import { openCustodyChannel } from './custody-channel.ts'
import type { KeeperId } from './holder-link.ts'
import { KeeperLink, greetKeeper, type GreetedKeeper } from './keeper-link.ts'
import type { Holder, KnownHolders } from './known-holders.ts'
import type { KnownPairs } from './known-pairs.ts'
import type { Announcement } from './log-announcement.ts'
import type { LogHome } from './log-home.ts'
import type { PeerConnection, PeerNetwork } from './peer-network.ts'
import { ReplicationError } from './replication-error.ts'

/** How long a holder that is to be added may take to answer, in milliseconds. */
export const ADMIT_MS_MAX = 30_000

/** How many holders may be added at a time. */
export const ADMISSIONS_MAX = 8

/** What the connections rest on; all borrowed. */
export interface HolderConnectionsParts {
  /** Connections; who takes which of them is the caller's to say. */
  readonly network: PeerNetwork
  /** The logs. */
  readonly logHome: LogHome
  /** All pairs of the drive. */
  readonly pairs: KnownPairs
  /** The holders of the drive. */
  readonly holders: KnownHolders
  /** Who belongs to the drive. */
  readonly members: Members
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** This device's signing keys. */
  readonly keyPair: KeyPair
  /** Holders that were removed and are to forget what they have; they get no logs any more. */
  readonly leaving?: () => readonly Holder[]
  /** Time. */
  readonly clock: Clock
  /** Dice. */
  readonly random: Random
  /** Told of a holder that let this device in. */
  readonly onLink: (link: KeeperLink, greeted: GreetedKeeper) => void
  /** Told when a link it was told of is gone. */
  readonly onLinkClosed: (link: KeeperLink) => void
  /** Told what went wrong, for the log: no names, no keys. */
  readonly report: (message: string, cause?: unknown) => void
}

/** A holder that is being added. */
interface Admission {
  readonly code: HolderCode
  readonly resolve: (greeted: GreetedKeeper) => void
  readonly reject: (error: unknown) => void
}

/** A holder that is connected. */
interface Session {
  readonly connection: PeerConnection
  link: KeeperLink | undefined
  /** Whether it was met as one that was removed, so that it has no logs. */
  isLeaving: boolean
  /** How many member statements it was greeted with. */
  statements: number
}

/** See the module. */
export class HolderConnections {
  readonly #parts: HolderConnectionsParts
  readonly #sessions = new Set<Session>()
  readonly #admissions = new Map<string, Admission>()
  readonly #wanted = new Map<string, Uint8Array>()
  readonly #problems = new Map<KeeperId, string>()
  #isClosed = false

  /** @param parts - borrowed */
  constructor(parts: HolderConnectionsParts) {
    this.#parts = parts
  }

  /** The holders that are connected and let this device in, without those that were removed. */
  links(): readonly KeeperLink[] {
    const leaving = new Set(this.#leaving().map(({ id }) => id))
    return [...this.#sessions].flatMap(({ link }) =>
      link === undefined || leaving.has(link.id) ? [] : [link]
    )
  }

  /** Why a holder that answered did not let this device in, if it did not. */
  problemOf(id: KeeperId): string | undefined {
    return this.#problems.get(id)
  }

  /** Connects to the holders there are now, and to no others. */
  holdersChanged(): void {
    if (this.#isClosed) return
    const { network, holders } = this.#parts
    const all = [...holders.all(), ...this.#leaving()]
    const keys = all.map(({ statement }) => statement.network)
    const sought = new Map(keys.map(key => [hex(key), key]))
    for (const [id, { code }] of this.#admissions) sought.set(id, code.network)
    for (const [id, key] of this.#wanted) {
      if (sought.has(id)) continue
      this.#wanted.delete(id)
      network.disconnectFrom(key)
      this.#hangUp(key)
    }
    for (const [id, key] of sought) if (!this.#wanted.has(id)) this.#want(id, key)
    // Whoever was taken in again has the logs again once the conversation begins anew.
    for (const { connection, isLeaving } of this.#sessions)
      if (isLeaving && holders.byNetwork(connection.remotePublicKey)) void connection.close()
  }

  /** Takes the connection if it is a holder's. */
  takes(connection: PeerConnection): boolean {
    const id = hex(connection.remotePublicKey)
    if (this.#isClosed || !this.#wanted.has(id)) return false
    const session: Session = { connection, link: undefined, isLeaving: false, statements: 0 }
    this.#sessions.add(session)
    void connection.closed.then(() => this.#ended(session))
    this.#meet(session).catch((error: unknown) => this.#failed(session, error))
    return true
  }

  /** Says who belongs to the drive now: the conversations begin anew where that is news. */
  membersChanged(): void {
    const { length } = this.#parts.members.statements()
    for (const { connection, statements } of this.#sessions)
      if (statements > 0 && statements !== length) void connection.close()
  }

  /** Tells the holders of a pair that was learned of. */
  pairAdded(announcement: Announcement): void {
    for (const { connection, link, isLeaving } of this.#sessions) {
      if (link === undefined || isLeaving) continue
      link
        .announce([announcement.bytes])
        .then(() => this.#attach(announcement, connection))
        .catch((error: unknown) => this.#parts.report('a holder was not told of a log', error))
    }
  }

  /**
   * Asks a holder to admit the person. The connection is kept; whoever asked records the holder,
   * and says {@link holdersChanged} whatever becomes of it.
   *
   * @throws {ReplicationError} `NO_ANSWER`, `REFUSED`, `BAD_ANSWER`, `CLOSED`
   */
  async admit(code: HolderCode): Promise<GreetedKeeper> {
    const id = hex(code.network)
    if (this.#isClosed) throw new ReplicationError('CLOSED', 'the network is closed')
    if (this.#admissions.has(id) || this.#admissions.size >= ADMISSIONS_MAX)
      throw new ReplicationError('UNAVAILABLE', 'another holder is being added; try again')
    let timer: Timer | undefined
    const greeted = new Promise<GreetedKeeper>((resolve, reject) => {
      this.#admissions.set(id, { code, resolve, reject })
      timer = this.#parts.clock.after(ADMIT_MS_MAX, () => reject(noAnswer()))
    })
    try {
      this.holdersChanged()
      this.#hangUp(code.network)
      return await greeted
    } finally {
      timer?.cancel()
      this.#admissions.delete(id)
    }
  }

  /** Ends all of them. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    const { network } = this.#parts
    for (const key of this.#wanted.values()) network.disconnectFrom(key)
    for (const { reject } of this.#admissions.values())
      reject(new ReplicationError('CLOSED', 'the network was closed'))
    await Promise.all([...this.#sessions].map(({ connection }) => connection.close()))
  }

  #want(id: string, key: Uint8Array): void {
    const { logHome, network, report } = this.#parts
    try {
      logHome.uploads.limit(key)
      network.connectTo(key)
      this.#wanted.set(id, key)
    } catch (cause) {
      report('there are more holders than can be connected to', cause)
    }
  }

  /** Says who we are, tells of the logs, and opens them. */
  async #meet(session: Session): Promise<void> {
    const { connection } = session
    const { members, identity, drive, clock, pairs } = this.#parts
    const admission = this.#admissions.get(hex(connection.remotePublicKey))
    const holder = this.#holderAt(connection)
    const statements = members.statements()
    session.statements = statements.length
    const rpc = openCustodyChannel({
      connection,
      hasMux: false,
      onClose: () => void connection.close()
    })
    const greeted = await greetKeeper({
      connection,
      rpc,
      identity,
      drive,
      statements,
      clock,
      ...(admission !== undefined && { secret: admission.code.secret }),
      ...(holder !== undefined && { keeper: holder.statement.holder })
    })
    const link = this.#linkOn(rpc, greeted, connection)
    const action = this.#holderAt(connection)?.statement.action
    session.isLeaving = action === 'remove' && admission === undefined
    const announcements = session.isLeaving ? [] : pairs.announcements
    await link.announce(announcements.map(({ bytes }) => bytes))
    if (!this.#sessions.has(session)) return
    for (const announcement of announcements) this.#attach(announcement, connection)
    session.link = link
    this.#problems.delete(link.id)
    this.#parts.onLink(link, greeted)
    // What came to be known while it was told.
    if (!session.isLeaving)
      for (const announcement of pairs.announcements.slice(announcements.length))
        this.pairAdded(announcement)
    admission?.resolve(greeted)
  }

  #linkOn(
    rpc: ReturnType<typeof openCustodyChannel>,
    greeted: GreetedKeeper,
    { remotePublicKey }: PeerConnection
  ): KeeperLink {
    const { identity, drive, keyPair, clock, random, logHome } = this.#parts
    return new KeeperLink({
      rpc,
      keeper: greeted.signer,
      identity,
      drive,
      keyPair,
      clock,
      random,
      uploads: logHome.uploadDoor(remotePublicKey)
    })
  }

  #attach({ operationLog, contentLog }: Announcement, { stream }: PeerConnection): void {
    const { logHome } = this.#parts
    for (const { key } of [operationLog, contentLog]) logHome.replicated(key)?.attach(stream)
  }

  #holderAt({ remotePublicKey }: PeerConnection): Holder | undefined {
    const isAt = ({ statement }: Holder): boolean => equalBytes(statement.network, remotePublicKey)
    return this.#parts.holders.byNetwork(remotePublicKey) ?? this.#leaving().find(isAt)
  }

  #leaving(): readonly Holder[] {
    return this.#parts.leaving?.() ?? []
  }

  #failed(session: Session, error: unknown): void {
    const { connection } = session
    void connection.close()
    if (this.#isClosed) return
    const code = error instanceof ReplicationError ? error.code : undefined
    const admission = this.#admissions.get(hex(connection.remotePublicKey))
    // The connection that was open when the code came says nothing about the code.
    if (admission !== undefined && code !== 'CLOSED') admission.reject(error)
    const holder = this.#holderAt(connection)
    if (holder !== undefined && code !== 'CLOSED')
      this.#problems.set(holder.id, error instanceof Error ? error.message : String(error))
    this.#parts.report('a holder does not let this device in', error)
  }

  #ended(session: Session): void {
    this.#sessions.delete(session)
    if (session.link !== undefined) this.#parts.onLinkClosed(session.link)
  }

  /** Ends a connection; one that is wanted comes again. */
  #hangUp(key: Uint8Array): void {
    for (const { connection } of this.#sessions)
      if (equalBytes(connection.remotePublicKey, key)) void connection.close()
  }
}

function hex(bytes: Uint8Array): string {
  if (bytes.length !== PUBLIC_KEY_BYTES) throw new RangeError('a key has 32 bytes')
  return Buffer.from(bytes).toString('hex')
}

function noAnswer(): ReplicationError {
  return new ReplicationError(
    'NO_ANSWER',
    'no holder answers to this code; is `grove host` running there, on the same network?'
  )
}
