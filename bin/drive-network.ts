/**
 * A drive on the network: connections to the other devices, their logs, content in the background,
 * invitations. Opened after the drive is, closed before it; whatever the network does, the drive
 * goes on without it.
 *
 * @module
 */
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import { CopiesReport } from '../src/fs/copies-report.ts'
import { ContentFetcher } from '../src/replication/content-fetcher.ts'
import type { DeviceKeptLogs } from '../src/replication/device-kept-logs.ts'
import { HyperswarmNetwork } from '../src/replication/hyperswarm-network.ts'
import type { KnownPair } from '../src/replication/known-pairs.ts'
import { Pairing } from '../src/replication/pairing.ts'
import { Replication, type PeerStatus } from '../src/replication/replication.ts'
import type { Clock } from '../src/sync/clock.ts'
import type { CustodyView } from '../src/sync/custody-view.ts'
import type { LogKey } from '../src/sync/log.ts'
import type { Member } from '../src/sync/members.ts'
import type { Operation } from '../src/sync/operation.ts'
import type { Replica } from '../src/sync/replica.ts'
import type { DeviceStatus, InviteAnswer, MergedStatus, SyncStatus } from './api.ts'
import { CustodyAnswers } from './custody-answers.ts'
import type { CustodyStores } from './custody-stores.ts'
import type { DaemonLog } from './daemon-log.ts'
import type { DeviceLogs } from './device-logs.ts'
import { DriveCustody } from './drive-custody.ts'
import type { DriveFiles } from './drive-files.ts'
import type { DrivePeers } from './drive-peers.ts'
import { lengthAmong, missingEntriesOf, type MissingEntries } from './missing-entries.ts'
import type { NetworkOptions } from './network-environment.ts'
import type { LongWork } from './long-work.ts'
import { openPairingNetwork } from './pairing-network.ts'
import type { PendingRecovery } from './pending-recovery.ts'
import { parseContentPolicy, type ContentPolicy, type Settings } from './settings.ts'
import { systemRandom } from './system-random.ts'

/** What a drive's network works with; all of it is borrowed and outlives it. */
export interface DriveNetworkParts {
  /** How to reach the network. */
  readonly network: NetworkOptions
  /** The device's keys and the drive's. */
  readonly keys: KeyFileContent
  /** This device's logs. */
  readonly logs: DeviceLogs
  /** Who belongs to the drive. */
  readonly peers: DrivePeers
  /** The drive. */
  readonly replica: Replica
  /** The settings, read anew each time. */
  readonly settings: () => Settings
  /** Which machine this is. */
  readonly machine: Uint8Array
  /** What is remembered of copies. */
  readonly stores: CustodyStores
  /** The logs on this device, as what it keeps for others. */
  readonly kept: DeviceKeptLogs
  /** The files of the drive. */
  readonly files: DriveFiles
  /** The holders that a recovery still waits for. */
  readonly recovery: PendingRecovery
  /** Gives long work its turns. */
  readonly longWork: LongWork
  /** Time. */
  readonly clock: Clock
  /** Where faults and notable events go. */
  readonly log: DaemonLog
  /** Told once that another device knows more of this device's current logs than it does. */
  readonly onOutrun: () => void
}

/** See the module. */
export class DriveNetwork {
  readonly #parts: DriveNetworkParts
  readonly #network: HyperswarmNetwork
  readonly #replication: Replication
  readonly #fetcher: ContentFetcher
  readonly #pairing: Pairing
  readonly #custody: DriveCustody
  /** What answers for the copies of the drive. */
  readonly custody: CustodyAnswers
  readonly #contentLogs = new Map<LogKey, KnownPair['contentLog']>()
  #isTelling = false
  #isClosed = false

  /** Begins to look for the other devices. Waits for nothing. */
  constructor(parts: DriveNetworkParts) {
    this.#parts = parts
    this.#network = this.#openNetwork()
    this.#fetcher = this.#makeFetcher()
    this.#custody = this.#makeCustody()
    this.custody = this.#makeAnswers()
    this.#replication = this.#makeReplication()
    this.#pairing = this.#makePairing()
    this.#listen()
    for (const { contentLog } of parts.peers.pairs.remotes)
      this.#contentLogs.set(contentLog.key, contentLog)
    for (const { elsewhere } of parts.logs.earlier) this.#contentLogs.set(elsewhere.key, elsewhere)
    this.#replication.start()
    this.#custody.start()
    this.#fetcher.start()
  }

  /** The copies, as the file system sees them. */
  get custodyView(): CustodyView {
    return this.#custody.view
  }

  /** Whether what superseded others may be cleared. */
  get mayClear(): boolean {
    return this.#custody.mayClear
  }

  /** What is wrong with the network, in a few words. */
  get problem(): string | undefined {
    return this.#network.problem
  }

  /** Connections that were refused: strangers, and devices that broke the rules. */
  get refusedPeers(): number {
    const { ends, refused } = this.#replication.status
    return refused + ends.stranger + ends['no-member'] + ends.malformed + ends.flood
  }

  /** What is known of the other devices. */
  peers(): readonly PeerStatus[] {
    return this.#replication.peers()
  }

  /** What is known of and not here. */
  get syncStatus(): SyncStatus {
    const peers = this.peers()
    const { missing, unreachable, quarantined } = this.#missingEntries(peers)
    const { waiting, failure } = this.#parts.replica.status
    return {
      missingEntries: missing,
      unreachableEntries: unreachable,
      waitingEntries: waiting,
      quarantinedEntries: quarantined,
      ...(failure !== undefined && { problem: failure }),
      missingBytes: this.#fetcher.progress.missingBytes,
      online: peers.filter(peer => peer.connected).length,
      devices: peers.length
    }
  }

  /** Whether all that is known of is here, but for what is in quarantine. */
  get isComplete(): boolean {
    const { missingEntries, missingBytes } = this.syncStatus
    return missingEntries === 0 && missingBytes === 0 && !this.#fetcher.progress.isCounting
  }

  /** Whether each connected device has said how far it is. */
  get isInformed(): boolean {
    const online = this.peers().filter(peer => peer.connected)
    return online.length > 0 && online.every(peer => peer.hasToldHeads)
  }

  /** A member as others see it. */
  deviceStatus(member: Member): DeviceStatus {
    const peers = this.peers()
    const peer = peers.find(each => each.id === member.id)
    const isThis = peer === undefined
    const there = isThis ? this.#parts.replica.heads : peer.heads
    return {
      name: member.name,
      key: member.id,
      isThis,
      online: isThis || peer.connected,
      ...(peer?.lastSeenMs !== undefined && { lastSeenMs: peer.lastSeenMs }),
      here: this.#merged(this.#logsOf(member.id), this.#parts.replica.heads),
      there: this.#merged(this.#logsOf(this.#own), there),
      isSuspended: member.isSuspended
    }
  }

  /** Makes an invitation. @throws {ReplicationError} `REFUSED`, `CLOSED` */
  invite(options: { readonly minutes: number }): InviteAnswer {
    return this.#pairing.createInvitation(options)
  }

  /** Takes up settings that were changed. */
  settingsChanged(): void {
    this.#fetcher.setPolicy(this.#policy)
    this.#replication.setTakesContent(this.#policy === 'all')
    this.#custody.settingsChanged()
  }

  /** Fetches all that is missing now, whatever the setting says. */
  hurry(): void {
    this.#fetcher.hurry()
  }

  /** Ends every conversation. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    const { replica, peers } = this.#parts
    replica.onCommitted = () => undefined
    replica.onContent = () => undefined
    peers.onMembersChanged = () => undefined
    await this.#pairing.close()
    await this.#fetcher.close()
    await this.#custody.close()
    await this.#replication.close()
    await this.#network.close()
  }

  #openNetwork(): HyperswarmNetwork {
    const { network, keys, clock, log } = this.#parts
    return new HyperswarmNetwork({
      ...network,
      keyPair: keys.deviceKeys.network,
      clock,
      random: systemRandom,
      report: message => log.write(message)
    })
  }

  #makeFetcher(): ContentFetcher {
    const { clock, logs, replica, log, longWork } = this.#parts
    return new ContentFetcher({
      policy: this.#policy,
      clock,
      yieldToEventLoop: longWork.yieldInBackground,
      gauge: logs.logHome.fetchGauge,
      blocksOf: key => this.#contentLogs.get(key),
      missing: () => replica.missingBlocks(),
      hasPeers: () => this.#network.connections.length > 0,
      report: (message, cause) => log.write(message, cause)
    })
  }

  #makeReplication(): Replication {
    const { keys, logs, peers, replica, clock, log } = this.#parts
    return new Replication({
      network: this.#network,
      logHome: logs.logHome,
      pairs: peers.pairs,
      keys: keys.keys,
      drive: keys.drive,
      members: peers.members,
      device: this.#own,
      heads: () => replica.heads,
      takesContent: this.#policy === 'all',
      clock,
      onPair: pair => void this.#addPair(pair),
      onEntries: key => this.#wake(key),
      onBlock: (key, index) => {
        this.#fetcher.arrived(key, index)
        this.#custody.contentArrived()
      },
      onPeers: () => {
        this.#fetcher.peersChanged()
        this.#custody.devicesChanged()
      },
      onDevice: device => this.#custody.deviceMet(device),
      takesConnection: connection => this.#custody.takes(connection),
      onOutrun: key => this.#outrun(key),
      report: (message, cause) => log.write(message, cause)
    })
  }

  #makeCustody(): DriveCustody {
    const { logs } = this.#parts
    return new DriveCustody({
      ...this.#parts,
      network: this.#network,
      logHome: logs.logHome,
      blocksOf: key => this.#contentLogs.get(key),
      onHolder: () => this.#fetcher.peersChanged(),
      online: () => this.peers().flatMap(peer => (peer.connected ? [peer.id] : []))
    })
  }

  #makeAnswers(): CustodyAnswers {
    const { logs, replica, longWork } = this.#parts
    const custody = this.#custody.view
    const report = new CopiesReport({ replica, custody, pause: longWork.yieldToEventLoop })
    return new CustodyAnswers({
      ...this.#parts,
      custody: this.#custody,
      ownBytes: () => logs.bytesOnDisk(),
      copiesOf: ino => report.statusOf(ino)
    })
  }

  #makePairing(): Pairing {
    const { keys, peers, clock, log, network } = this.#parts
    return new Pairing({
      keys,
      members: peers.members,
      record: operations => this.#record(operations),
      openNetwork: () => openPairingNetwork(network, message => log.write(`pairing: ${message}`)),
      clock,
      random: systemRandom,
      report: (message, error) => log.write(message, error)
    })
  }

  #listen(): void {
    const { replica, peers } = this.#parts
    replica.onCommitted = lengths => {
      this.#replication.pushCommitted(lengths)
      this.#replication.headsChanged()
      this.#custody.filesChanged()
    }
    replica.onContent = blocks => this.#fetcher.add(blocks)
    peers.onMembersChanged = () => {
      this.#replication.membersChanged()
      this.#custody.membersChanged()
    }
  }

  async #record(operations: readonly Operation[]): Promise<void> {
    const { replica } = this.#parts
    for (const operation of operations) replica.execute(operation)
    await replica.sync()
  }

  /** The pair is known to the next start before anything of it is merged. */
  async #addPair(pair: KnownPair): Promise<void> {
    const { peers, replica, log } = this.#parts
    this.#contentLogs.set(pair.contentLog.key, pair.contentLog)
    try {
      await peers.keep(pair)
    } catch (error) {
      log.write('the logs of another device could not be kept; they are merged later', error)
      return
    }
    if (this.#isClosed) return
    replica.addRemote(pair)
    this.#custody.pairAdded(pair)
    this.#tellHeads()
  }

  #wake(key: LogKey): void {
    this.#parts.replica.wake(key)
    this.#tellHeads()
  }

  /** Once what has arrived is merged; however often it is called until then, once. */
  #tellHeads(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    this.#parts.replica
      .settled()
      .catch((error: unknown) => this.#parts.log.write('merging failed', error))
      .finally(() => {
        this.#isTelling = false
        if (this.#isClosed) return
        this.#replication.headsChanged()
        this.#custody.filesChanged()
      })
  }

  /** Of an earlier epoch it is no harm: nothing is appended to it, and what it lacks arrives. */
  #outrun(key: LogKey): void {
    const { operationLog, contentLog } = this.#parts.logs.current
    if (key === operationLog.key || key === contentLog.key) this.#parts.onOutrun()
    else this.#wake(key)
  }

  get #policy(): ContentPolicy {
    return parseContentPolicy(this.#parts.settings().content)
  }

  get #own(): string {
    return Buffer.from(this.#parts.keys.deviceKeys.signing.publicKey).toString('hex')
  }

  #logsOf(device: string): readonly LogKey[] {
    return this.#parts.peers.pairs.announcements
      .filter(each => each.device === device)
      .map(each => each.operationLog.key)
  }

  #merged(logs: readonly LogKey[], heads: ReadonlyMap<LogKey, number>): MergedStatus {
    const peers = this.peers()
    let [merged, known] = [0, 0]
    for (const key of logs) {
      merged += heads.get(key) ?? 0
      known += lengthAmong(peers, key, this.#arrived(key))
    }
    return { merged, known: Math.max(merged, known) }
  }

  #arrived(log: LogKey): number {
    return this.#parts.logs.logHome.replicated(log)?.contiguousLength ?? 0
  }

  #missingEntries(peers: readonly PeerStatus[]): MissingEntries {
    const { replica, peers: known } = this.#parts
    return missingEntriesOf({
      merged: replica.heads,
      arrived: log => this.#arrived(log),
      announced: known.pairs.announcements.map(each => each.operationLog.key),
      peers,
      quarantined: replica.status.quarantined.map(({ log }) => log)
    })
  }
}
