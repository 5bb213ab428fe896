/**
 * Brings the logs of a drive to every device of it: who is connected, what is announced, what is
 * attached where, what is sent at once.
 *
 * A commit travels so: the content blocks of a small commit and then its operation entry are
 * pushed to every peer whose connection is not full, unasked and without a timer in between; the
 * entry only to those that have nearly all before it. What is not pushed is asked for: operation
 * logs by an open download (two devices that were long apart one after the other:
 * {@link UploadTurns}), content by {@link ContentFetcher} or by whoever reads it. Logs of other
 * devices are passed on the same way as our own.
 *
 * @module
 */
import { deriveKey } from '../crypto/derive.ts'
import type { KeyTable } from '../crypto/key-table.ts'
import { equalBytes } from '../crypto/sodium.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import type { Member, Members } from '../sync/members.ts'
import type { KnownPair, KnownPairs } from './known-pairs.ts'
import type { Announcement } from './log-announcement.ts'
import type { LogHome } from './log-home.ts'
import type { PeerConnection, PeerNetwork } from './peer-network.ts'
import { PeerSession, type SessionEnd } from './peer-session.ts'
import { RefusedPeers } from './refused-peers.ts'
import type { ReplicatedCore } from './replicated-core.ts'
import { SPACE_RETRY_BYTES, SPACE_RETRY_MS } from './space-guard.ts'
import { UploadTurns } from './upload-turns.ts'

/** How often heads are sent to a peer at most, in milliseconds. */
export const HEADS_INTERVAL_MS = 200

/** How often new pairs are passed on at most, in milliseconds: many at a time are one message. */
export const ANNOUNCE_INTERVAL_MS = 200

/** Content of a commit is pushed up to so many blocks; more is left for the peers to ask for. */
export const PUSHED_BLOCKS_MAX = 16

/** How many devices connections are kept to; further ones may call themselves. */
export const DEVICES_SOUGHT_MAX = 48

/** How many announcements one session may bring. */
export const SESSION_ANNOUNCEMENTS_MAX = 8192

/** Above so many logs of a peer it is not kept how far it is in those that are not known here. */
export const UNKNOWN_HEADS_MAX = 4096

/** How many announcements wait for the attestation of who signed them. */
export const WAITING_ANNOUNCEMENTS_MAX = 1024

/** What replication works with. */
export interface ReplicationParts {
  /** Connections; borrowed, its handlers are set. */
  readonly network: PeerNetwork
  /** The logs; borrowed, its listener is set. */
  readonly logHome: LogHome
  /** All pairs, this device's own added already; borrowed, its handler is set. */
  readonly pairs: KnownPairs
  /** The drive keys; borrowed. */
  readonly keys: KeyTable
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** Who belongs to the drive; borrowed. Say {@link Replication.membersChanged} on changes. */
  readonly members: Members
  /** This device's signing key as 64 lowercase hexadecimal digits. */
  readonly device: string
  /** How far each operation log is merged here. */
  readonly heads: () => ReadonlyMap<LogKey, number>
  /** Whether content is taken unasked: not when it is fetched on demand. */
  readonly takesContent: boolean
  /** Time. */
  readonly clock: Clock
  /** Told of a pair of another device when its logs are open, once. */
  readonly onPair: (pair: KnownPair) => void
  /** Told that entries arrived in an operation log that this device does not append to (now). */
  readonly onEntries: (log: LogKey) => void
  /** Told that a block arrived in a content log of another device. */
  readonly onBlock: (log: LogKey, index: number) => void
  /** Told that a device came or went. */
  readonly onPeers: () => void
  /** Told of each device with which a conversation has begun; it ends with the connection. */
  readonly onDevice: (device: ConnectedDevice) => void
  /**
   * Takes the connection to a computer that is no device of the drive, and owns it then.
   *
   * @returns false to leave it to the drive
   */
  readonly takesConnection: (connection: PeerConnection) => boolean
  /** Told once that a log of this device has entries that it did not write: start a new epoch. */
  readonly onOutrun: (log: LogKey) => void
  /** Told what went wrong, for the log: no names, no keys. */
  readonly report: (message: string, cause?: unknown) => void
}

/** A device at the other end of an open conversation. */
export interface ConnectedDevice {
  /** Who it is. */
  readonly member: Member
  /** What the conversation is on; borrowed. */
  readonly connection: PeerConnection
}

/** What is known of another device. */
export interface PeerStatus {
  /** Its signing key as 64 lowercase hexadecimal digits. */
  readonly id: string
  /** Its attested name. */
  readonly name: string
  /** Whether it is connected. */
  readonly connected: boolean
  /** When it was last connected, in milliseconds since 1970; undefined: not in this run. */
  readonly lastSeenMs: number | undefined
  /** The round trip in milliseconds; undefined when it is not connected or not known. */
  readonly rttMs: number | undefined
  /** Whether it has said how far it is since it was connected. */
  readonly hasToldHeads: boolean
  /** How far it has merged each operation log, as it said last; some may not be known here yet. */
  readonly heads: ReadonlyMap<LogKey, number>
}

/** Counts of what was turned away and of what went wrong, since the start. */
export interface ReplicationStatus {
  /** Sessions that ended for each reason. */
  readonly ends: Readonly<Record<SessionEnd, number>>
  /** Connections that were turned away before they were open. */
  readonly refused: number
  /** Announcements that were refused. */
  readonly refusedAnnouncements: number
  /** Logs of which two histories exist. */
  readonly frozen: readonly LogKey[]
  /** Whether something of a peer was refused because the disk is too full. */
  readonly isStarved: boolean
}

/** How far one pair of logs was pushed. */
interface PushedLengths {
  operationLog: number
  contentLog: number
}

/** What is kept of a device for as long as this runs. */
interface PeerRecord {
  session: PeerSession | undefined
  lastSeenMs: number | undefined
  /** How many announcements came in this session. */
  announcements: number
  /** Whether it has said in this session how far it is. */
  hasToldHeads: boolean
  /** How far it has merged, as it said in its last session. */
  readonly heads: Map<LogKey, number>
  /** What it was told in this session of how far we have. */
  readonly told: Map<LogKey, number>
}

/** Replicates one drive. */
export class Replication {
  readonly #parts: ReplicationParts
  readonly #sessions = new Set<PeerSession>()
  readonly #peers = new Map<string, PeerRecord>()
  readonly #refused: RefusedPeers
  readonly #turns: UploadTurns
  readonly #ends = { stranger: 0, 'no-member': 0, malformed: 0, flood: 0, gone: 0 }
  readonly #frozen: LogKey[] = []
  /** The contiguous length that was last reported, of each operation log. */
  readonly #reported = new Map<LogKey, number>()
  readonly #arrived = new Set<LogKey>()
  readonly #adding = new Set<Promise<void>>()
  /** Announcements that are being looked at, and who brought them. */
  readonly #heard = new Map<Uint8Array, PeerSession | undefined>()
  readonly #waiting = new Set<Uint8Array>()
  /** What is to be passed on, each with the session that it came from. */
  #news: { readonly bytes: Uint8Array; readonly source: PeerSession | undefined }[] = []
  readonly #pushed: PushedLengths
  readonly #committed: PushedLengths
  #isPushing = false
  #takesContent: boolean
  #refusedAnnouncements = 0
  #areHeadsNew = false
  #headsTimer: Timer | undefined
  #announceTimer: Timer | undefined
  #spaceTimer: Timer | undefined
  #topic: Uint8Array | undefined
  #closing: Promise<void> | undefined

  /** @param parts - borrowed */
  constructor(parts: ReplicationParts) {
    this.#parts = parts
    this.#refused = new RefusedPeers(parts.clock)
    const { clock, device } = parts
    this.#turns = new UploadTurns({ clock, device, onChange: () => this.#turnsChanged() })
    this.#takesContent = parts.takesContent
    const { operationLog, contentLog } = this.#current()
    const lengths = {
      operationLog: this.#core(operationLog.key).length,
      contentLog: this.#core(contentLog.key).length
    }
    this.#pushed = { ...lengths }
    this.#committed = { ...lengths }
  }

  /** Begins to look for the other devices and to talk to them. */
  start(): void {
    const { network, logHome, pairs, keys, drive } = this.#parts
    logHome.listener = {
      onArrival: (log, index) => this.#arrive(log, index),
      onOutrun: log => this.#parts.onOutrun(log),
      onStarved: () => this.#starve(),
      onFrozen: log => this.#freeze(log)
    }
    pairs.onAdded = pair => this.#added(pair)
    this.setTakesContent(this.#takesContent)
    for (const announcement of pairs.announcements) this.#follow(announcement)
    network.mayConnect = publicKey => this.#mayConnect(publicKey)
    network.onConnection = connection => this.#connected(connection)
    const key = keys.get(keys.currentKeyId).key
    this.#topic = deriveKey({ key, purpose: 'peer/topic', context: drive })
    network.join(this.#topic)
    this.#seekMembers()
  }

  /** All other members, connected or not. */
  peers(): readonly PeerStatus[] {
    const { members, device } = this.#parts
    const others = members.all().filter(member => member.id !== device)
    return others.map(member => this.#peerStatus(member))
  }

  /** What was turned away and what went wrong. */
  get status(): ReplicationStatus {
    return {
      ends: { ...this.#ends },
      refused: this.#parts.network.refused,
      refusedAnnouncements: this.#refusedAnnouncements,
      frozen: this.#frozen,
      isStarved: this.#spaceTimer !== undefined
    }
  }

  /**
   * Sends what was just committed to the connected devices, content first.
   *
   * @param lengths - how long the logs of the current epoch are now
   */
  pushCommitted(lengths: { readonly operationLog: number; readonly contentLog: number }): void {
    this.#committed.operationLog = Math.max(this.#committed.operationLog, lengths.operationLog)
    this.#committed.contentLog = Math.max(this.#committed.contentLog, lengths.contentLog)
    if (this.#isPushing) return
    this.#isPushing = true
    void this.#push().finally(() => {
      this.#isPushing = false
    })
  }

  /** Tells the others how far this device has merged, soon. */
  headsChanged(): void {
    this.#areHeadsNew = true
    if (this.#headsTimer !== undefined || this.#closing !== undefined) return
    this.#tellHeads()
    this.#headsTimer = this.#parts.clock.after(HEADS_INTERVAL_MS, () => {
      this.#headsTimer = undefined
      if (this.#areHeadsNew) this.headsChanged()
    })
  }

  /** Looks anew at who is a member: after statements were added. */
  membersChanged(): void {
    if (this.#closing !== undefined) return
    this.#refused.clear()
    for (const session of this.#sessions) session.recheck()
    this.#seekMembers()
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const announcement of waiting) this.#add(announcement)
  }

  /** Takes content that is sent unasked, or no more. */
  setTakesContent(takesContent: boolean): void {
    this.#takesContent = takesContent
    for (const pair of this.#parts.pairs.remotes)
      this.#core(pair.contentLog.key).setAllowPush(takesContent)
  }

  /** Ends all sessions. The network and the logs stay open. Idempotent. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    const { network } = this.#parts
    this.#headsTimer?.cancel()
    this.#announceTimer?.cancel()
    this.#spaceTimer?.cancel()
    this.#turns.close()
    network.mayConnect = () => false
    if (this.#topic !== undefined) network.leave(this.#topic)
    for (const { network: publicKey } of this.#parts.members.all())
      network.disconnectFrom(publicKey)
    await Promise.all([...this.#sessions].map(session => session.close()))
    await Promise.all(this.#adding)
  }

  #mayConnect(publicKey: Uint8Array): boolean {
    const isSuspended = this.#parts.members.byNetwork(publicKey)?.isSuspended === true
    return !isSuspended && !this.#refused.has(publicKey)
  }

  #connected(connection: PeerConnection): void {
    if (this.#closing !== undefined || !this.#mayConnect(connection.remotePublicKey))
      return void connection.close()
    if (this.#parts.takesConnection(connection)) return
    const { keys, drive, members, clock } = this.#parts
    const session = new PeerSession({
      connection,
      keys,
      drive,
      members,
      clock,
      onOpen: () => this.#opened(session),
      onLogs: (_, announcements) => this.#hear(session, announcements),
      onHeads: (_, heads) => this.#learnHeads(session, heads),
      onEnd: (_, end) => this.#ended(session, end)
    })
    this.#sessions.add(session)
  }

  #opened(session: PeerSession): void {
    const record = this.#record(session)
    if (record === undefined) return
    record.session = session
    record.announcements = 0
    record.hasToldHeads = false
    record.heads.clear()
    record.told.clear()
    const { announcements } = this.#parts.pairs
    for (const announcement of announcements) this.#attach(announcement, session)
    session.announce(announcements.map(({ bytes }) => bytes))
    this.#tellHeadsTo(record)
    this.#seekMembers()
    this.#parts.onPeers()
    const { member, connection } = session
    if (member !== undefined && session.isOpen) this.#parts.onDevice({ member, connection })
  }

  #ended(session: PeerSession, end: SessionEnd): void {
    this.#sessions.delete(session)
    this.#ends[end]++
    if (end !== 'gone') {
      this.#refused.add(session.connection.remotePublicKey)
      this.#parts.report(`a connection was ended: ${end}`)
    }
    const record = this.#record(session)
    if (record?.session !== session) return
    record.session = undefined
    record.lastSeenMs = this.#nowMs()
    if (session.member !== undefined) this.#turns.gone(session.member.id)
    if (this.#closing === undefined) this.#parts.onPeers()
  }

  #hear(session: PeerSession, announcements: readonly Uint8Array[]): void {
    const record = this.#record(session)
    if (record === undefined) return
    record.announcements += announcements.length
    if (record.announcements > SESSION_ANNOUNCEMENTS_MAX) return session.refuse('flood')
    for (const announcement of announcements) this.#add(announcement, session)
  }

  #add(bytes: Uint8Array, source?: PeerSession): void {
    const adding = this.#addOne(bytes, source).finally(() => this.#adding.delete(adding))
    this.#adding.add(adding)
  }

  async #addOne(bytes: Uint8Array, source: PeerSession | undefined): Promise<void> {
    this.#heard.set(bytes, source)
    try {
      const outcome = await this.#parts.pairs.add(bytes)
      if (outcome === 'refused') this.#refusedAnnouncements++
      if (outcome === 'waiting' && this.#waiting.size < WAITING_ANNOUNCEMENTS_MAX)
        this.#waiting.add(bytes)
    } catch (error) {
      if (this.#closing === undefined) this.#parts.report('a log cannot be opened', error)
    } finally {
      this.#heard.delete(bytes)
    }
  }

  /** A pair was taken, whoever brought it: a session, or a holder after a recovery. */
  #added(pair: KnownPair): void {
    const { announcement } = pair
    const heard = [...this.#heard].find(([bytes]) => equalBytes(bytes, announcement.bytes))
    this.#passOn(announcement.bytes, heard?.[1])
    this.#core(pair.contentLog.key).setAllowPush(this.#takesContent)
    this.#follow(announcement)
    this.#parts.onPair(pair)
    for (const session of this.#sessions) if (session.isOpen) this.#attach(announcement, session)
  }

  /** The first at once; those that come soon after it together, so that many are no flood. */
  #passOn(bytes: Uint8Array, source: PeerSession | undefined): void {
    this.#news.push({ bytes, source })
    if (this.#announceTimer === undefined && this.#closing === undefined) this.#tellNews()
  }

  #tellNews(): void {
    const news = this.#news
    this.#news = []
    for (const session of this.#sessions) {
      const others = news.filter(({ source }) => source !== session)
      session.announce(others.map(({ bytes }) => bytes))
    }
    this.#announceTimer = this.#parts.clock.after(ANNOUNCE_INTERVAL_MS, () => {
      this.#announceTimer = undefined
      if (this.#news.length > 0) this.#tellNews()
    })
  }

  /** Downloads every entry of an operation log, also of our own that lost their tail. */
  #follow({ operationLog }: Announcement): void {
    const core = this.#core(operationLog.key)
    this.#reported.set(operationLog.key, core.contiguousLength)
    if (!this.#turns.isHeldBack(operationLog.key)) core.follow()
  }

  /** Asks for operations of others, but for what is held back for now. */
  #turnsChanged(): void {
    for (const { operationLog } of this.#parts.pairs.remotes) {
      const core = this.#core(operationLog.key)
      if (this.#turns.isHeldBack(operationLog.key)) core.unfollow()
      else core.follow()
    }
  }

  #attach({ operationLog, contentLog }: Announcement, { connection }: PeerSession): void {
    this.#core(operationLog.key).attach(connection.stream)
    this.#core(contentLog.key).attach(connection.stream)
  }

  /** One report for all entries that arrive in a tick. */
  #arrive(log: LogKey, index: number | undefined): void {
    const reported = this.#reported.get(log)
    if (reported === undefined && index !== undefined) this.#parts.onBlock(log, index)
    if (reported === undefined || this.#core(log).contiguousLength <= reported) return
    if (this.#arrived.size === 0) queueMicrotask(() => this.#reportArrived())
    this.#arrived.add(log)
  }

  #reportArrived(): void {
    const logs = [...this.#arrived]
    this.#arrived.clear()
    for (const log of logs) {
      this.#reported.set(log, this.#core(log).contiguousLength)
      const isCurrent = log === this.#current().operationLog.key
      if (this.#closing === undefined && !isCurrent) this.#parts.onEntries(log)
    }
  }

  #freeze(log: LogKey): void {
    this.#frozen.push(log)
    this.#parts.report('two histories of one log exist; it is replicated no more')
    if (this.#parts.pairs.isOwn(log)) this.#parts.onOutrun(log)
  }

  async #push(): Promise<void> {
    const { operationLog, contentLog } = this.#current()
    const [pushed, committed] = [this.#pushed, this.#committed]
    while (
      pushed.operationLog < committed.operationLog ||
      pushed.contentLog < committed.contentLog
    ) {
      const from = { ...pushed }
      const to = { ...committed }
      Object.assign(pushed, to)
      if (to.contentLog - from.contentLog <= PUSHED_BLOCKS_MAX)
        await this.#core(contentLog.key).push(from.contentLog, to.contentLog)
      await this.#core(operationLog.key).push(from.operationLog, to.operationLog)
    }
  }

  #learnHeads(session: PeerSession, heads: ReadonlyMap<LogKey, number>): void {
    const record = this.#record(session)
    if (record === undefined) return
    const { heads: known } = record
    const isFirst = record.session === session && !record.hasToldHeads
    if (record.session === session) record.hasToldHeads = true
    for (const [log, length] of heads) {
      // It is said once, and may come before the log is opened whose announcement came before it.
      const isKnown = this.#reported.has(log) || known.has(log)
      const isKept = isKnown || known.size < UNKNOWN_HEADS_MAX
      if (isKept) known.set(log, length)
    }
    const { member } = session
    if (member === undefined || record.session !== session) return
    if (isFirst) this.#turns.meet(member.id, this.#parts.heads(), known)
    else this.#turns.told(member.id, known)
  }

  #tellHeads(): void {
    this.#areHeadsNew = false
    for (const record of this.#peers.values()) this.#tellHeadsTo(record)
  }

  #tellHeadsTo({ session, told }: PeerRecord): void {
    if (session === undefined) return
    const news = new Map<LogKey, number>()
    for (const [log, length] of this.#parts.heads()) {
      if (told.get(log) !== length) news.set(log, length)
      told.set(log, length)
    }
    session.sendHeads(news)
  }

  #seekMembers(): void {
    const { network, members, device } = this.#parts
    const others = members.all().filter(member => member.id !== device)
    const isSought = (member: Member): boolean => !member.isSuspended
    const sought = new Set(others.filter(isSought).slice(0, DEVICES_SOUGHT_MAX))
    // There are more members than places: those without one may call themselves.
    for (const member of others) if (!sought.has(member)) network.disconnectFrom(member.network)
    for (const member of sought) network.connectTo(member.network)
  }

  #starve(): void {
    if (this.#closing !== undefined) return
    this.#spaceTimer ??= this.#parts.clock.after(SPACE_RETRY_MS, () => void this.#retrySpace())
  }

  /**
   * What was pushed and not taken leaves the two ends with different ideas of what was sent, so
   * every conversation begins anew.
   */
  async #retrySpace(): Promise<void> {
    this.#spaceTimer = undefined
    const hasSpace = await this.#parts.logHome.guard.admit(SPACE_RETRY_BYTES).then(
      () => true,
      () => false
    )
    if (!hasSpace) return this.#starve()
    await Promise.all([...this.#sessions].map(session => session.close()))
  }

  #peerStatus({ id, name }: Member): PeerStatus {
    const record = this.#peers.get(id)
    const session = record?.session
    const rttMs = session?.connection.rttMs
    return {
      id,
      name,
      connected: session !== undefined,
      lastSeenMs: session === undefined ? record?.lastSeenMs : this.#nowMs(),
      rttMs: rttMs === 0 ? undefined : rttMs,
      hasToldHeads: session !== undefined && record?.hasToldHeads === true,
      heads: record?.heads ?? new Map()
    }
  }

  #record({ member }: PeerSession): PeerRecord | undefined {
    if (member === undefined) return undefined
    const known = this.#peers.get(member.id)
    if (known !== undefined) return known
    const record: PeerRecord = {
      session: undefined,
      lastSeenMs: undefined,
      announcements: 0,
      hasToldHeads: false,
      heads: new Map(),
      told: new Map()
    }
    this.#peers.set(member.id, record)
    return record
  }

  /** The pair that this device appends to: the last of its own. */
  #current(): Announcement {
    const current = this.#parts.pairs.current
    if (current === undefined) throw new RangeError('a device has logs of its own')
    return current
  }

  #core(log: LogKey): ReplicatedCore {
    const core = this.#parts.logHome.replicated(log)
    if (core === undefined) throw new RangeError('the logs of a known pair are open')
    return core
  }

  #nowMs(): number {
    const { sec, nsec } = this.#parts.clock.now()
    return sec * 1000 + Math.floor(nsec / 1_000_000)
  }
}
