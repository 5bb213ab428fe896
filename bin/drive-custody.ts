/**
 * The copies of a drive: connects to its holders, has them and the person's other devices keep
 * blocks, keeps some for those devices, and gives all of them what recovery needs.
 *
 * @module
 */
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import {
  CUSTODY_SETTINGS_DEFAULT,
  type CustodySettings
} from '../src/replication/custodian-parts.ts'
import type { KeeperInfo } from '../src/replication/custodian-parts.ts'
import { Custodian } from '../src/replication/custodian.ts'
import type { SurvivalReport } from '../src/replication/custody-report.ts'
import type { DeviceKeptLogs } from '../src/replication/device-kept-logs.ts'
import type { DhtRecords } from '../src/replication/dht-records.ts'
import { HolderConnections } from '../src/replication/holder-connections.ts'
import { LEASE_SEC, NOTICE_SEC } from '../src/replication/keeper-lease.ts'
import { KeeperLink } from '../src/replication/keeper-link.ts'
import type { Holder } from '../src/replication/known-holders.ts'
import type { KnownPair } from '../src/replication/known-pairs.ts'
import type { LogHome } from '../src/replication/log-home.ts'
import { PacedTask } from '../src/replication/paced-task.ts'
import type { PeerConnection, PeerNetwork } from '../src/replication/peer-network.ts'
import { RecoveryKeeper } from '../src/replication/recovery-keeper.ts'
import { SpokenLengths } from '../src/replication/spoken-lengths.ts'
import { takeLateSummaries } from '../src/replication/take-late-summaries.ts'
import type { ConnectedDevice } from '../src/replication/replication.ts'
import { nowMs } from '../src/replication/wall-time.ts'
import { WINDOW_BLOCKS } from '../src/sync/block-bitmap.ts'
import type { Clock } from '../src/sync/clock.ts'
import type { LogBlock } from '../src/sync/content-needs.ts'
import type { BlockPlace } from '../src/sync/content-index.ts'
import type { CopiesStatus, CustodyView } from '../src/sync/custody-view.ts'
import type { LogKey } from '../src/sync/log.ts'
import { memberId, type Member } from '../src/sync/members.ts'
import type { RemoteBlocks } from '../src/sync/remote-logs.ts'
import type { Replica } from '../src/sync/replica.ts'
import type { CustodyStores } from './custody-stores.ts'
import type { DaemonLog } from './daemon-log.ts'
import { DeviceSigner } from './device-signer.ts'
import { DriveBlocks } from './drive-blocks.ts'
import type { DrivePeers } from './drive-peers.ts'
import { HolderBalances } from './holder-balances.ts'
import type { LongWork } from './long-work.ts'
import { OwnHolders } from './own-holders.ts'
import type { PendingRecovery } from './pending-recovery.ts'
import { custodySettings, parseContentPolicy, type Settings } from './settings.ts'
import { systemRandom } from './system-random.ts'

/** How long after a change it is looked which blocks files need, in milliseconds. */
export const NEEDS_DELAY_MS = 300

/** How long after content came it is counted, in milliseconds. */
export const ARRIVALS_DELAY_MS = 1_000

/** How long a holder that was removed is looked for: so long it keeps what it has. */
export const LEAVING_MS: number = (LEASE_SEC + NOTICE_SEC) * 1000

/** How many holders that were removed are looked for; only the last ones are. */
export const LEAVING_MAX = 64

/** What custody works with; all of it is borrowed and outlives it. */
export interface DriveCustodyParts {
  /** Connections, and the records of the hash table. */
  readonly network: PeerNetwork & { readonly records: DhtRecords }
  /** The device's keys and the drive's. */
  readonly keys: KeyFileContent
  /** Which machine this is. */
  readonly machine: Uint8Array
  /** What is remembered. */
  readonly stores: CustodyStores
  /** Where the logs of this device are. */
  readonly logHome: LogHome
  /** The logs on this device, as what it keeps for others. */
  readonly kept: DeviceKeptLogs
  /** Who belongs to the drive, and its holders. */
  readonly peers: DrivePeers
  /** The drive. */
  readonly replica: Replica
  /** The settings, read anew each time. */
  readonly settings: () => Settings
  /** The content log of another device, or of an earlier epoch of this one. */
  readonly blocksOf: (log: LogKey) => RemoteBlocks | undefined
  /** The devices that are connected, by id. */
  readonly online: () => readonly string[]
  /** Told when a holder is connected, of whom content can be had. */
  readonly onHolder: () => void
  /** The holders that a recovery still waits for. */
  readonly recovery: PendingRecovery
  /** Gives long work its turns. */
  readonly longWork: LongWork
  /** Time. */
  readonly clock: Clock
  /** Where faults and notable events go. */
  readonly log: DaemonLog
}

/** See the module. */
export class DriveCustody {
  /** The holders' connections. */
  readonly connections: HolderConnections
  /** Decides and remembers. */
  readonly custodian: Custodian
  /** What the file system sees. */
  readonly view: CustodyView
  /** What this person's own holders keep for others. */
  readonly ownHolders = new OwnHolders()
  /** What holders kept for how long. */
  readonly balances: HolderBalances
  readonly #parts: DriveCustodyParts
  readonly #recovery: RecoveryKeeper
  readonly #blocks: DriveBlocks
  readonly #needs: PacedTask
  readonly #arrivals: PacedTask
  /** Holders that are about to be removed: their copies count no more. */
  readonly #leaving = new Set<string>()
  readonly #spoken: SpokenLengths

  /** @param parts - see {@link DriveCustodyParts} */
  constructor(parts: DriveCustodyParts) {
    const { clock, log, peers } = parts
    this.#parts = parts
    this.#spoken = new SpokenLengths(clock)
    const report = (message: string, cause?: unknown): void => log.write(message, cause)
    this.#blocks = new DriveBlocks({
      logs: parts.kept,
      replica: parts.replica,
      blocksOf: parts.blocksOf,
      keepsAll: () => this.#keepsAll()
    })
    this.custodian = this.#makeCustodian(report)
    this.connections = this.#makeConnections(report)
    this.#recovery = this.#makeRecovery(report)
    this.balances = new HolderBalances({
      clock,
      kept: id => this.#keptBy(id),
      links: () => this.connections.links(),
      report
    })
    this.#needs = new PacedTask({
      clock,
      delayMs: NEEDS_DELAY_MS,
      work: () => this.#scan(),
      report: cause => log.write('the blocks that files need could not be listed', cause)
    })
    this.#arrivals = new PacedTask({
      clock,
      delayMs: ARRIVALS_DELAY_MS,
      work: () => Promise.resolve(this.custodian.ownBlocksChanged()),
      report: cause => log.write('content that came could not be counted', cause)
    })
    this.view = this.#makeView()
    peers.holders.onChange = () => this.#holdersChanged()
  }

  /** Begins to act. */
  start(): void {
    this.custodian.start()
    this.connections.holdersChanged()
    this.#needs.changed()
  }

  /** Takes the connection if it is a holder's. */
  takes(connection: PeerConnection): boolean {
    return this.connections.takes(connection)
  }

  /** Another device is connected: each keeps for the other. */
  deviceMet({ member, connection }: ConnectedDevice): void {
    const { stores, keys, clock } = this.#parts
    const { identity, drive, deviceKeys } = keys
    const session = stores.keeper.meet({ connection, identity, member })
    if (session === undefined) return
    const link = new KeeperLink({
      rpc: session.rpc,
      keeper: member.signing,
      identity,
      drive,
      keyPair: deviceKeys.signing,
      clock,
      random: systemRandom
    })
    void connection.closed.then(() => this.custodian.linkClosed(link))
    this.custodian.keepersChanged()
    this.custodian.linkOpened(link)
  }

  /** Who belongs to the drive changed. */
  membersChanged(): void {
    this.connections.membersChanged()
    this.#parts.stores.keeper.membersChanged(this.#parts.keys.identity)
    this.devicesChanged()
  }

  /** Who of the devices is connected changed. */
  devicesChanged(): void {
    this.custodian.keepersChanged()
    this.#recovery.changed()
  }

  /** A log pair was learned of. */
  pairAdded({ announcement }: KnownPair): void {
    this.connections.pairAdded(announcement)
    this.filesChanged()
    this.#recovery.changed()
  }

  /** Operations were committed or merged. */
  filesChanged(): void {
    this.custodian.operationsGrew()
    this.#needs.changed()
    this.#recovery.changed()
  }

  /** Content came to this device, or the policy for it changed. */
  contentArrived(): void {
    this.#arrivals.changed()
  }

  /** Settings changed. */
  settingsChanged(): void {
    this.custodian.keepersChanged()
    this.contentArrived()
  }

  /** Whether what superseded others may be cleared: nothing is below its floor. */
  get mayClear(): boolean {
    return !this.#parts.recovery.isIncomplete && !hasRisk(this.custodian)
  }

  /** Does without the copies of a holder from now on, or with them again. */
  setLeaving(id: string, isLeaving: boolean): void {
    if (isLeaving) this.#leaving.add(id)
    else this.#leaving.delete(id)
    this.custodian.keepersChanged()
  }

  /** Ends all of it. */
  async close(): Promise<void> {
    this.#parts.peers.holders.onChange = () => undefined
    await Promise.all([this.#needs.close(), this.#arrivals.close()])
    this.balances.close()
    await this.#recovery.close()
    await this.custodian.close()
    await this.connections.close()
  }

  #makeCustodian(report: (message: string, cause?: unknown) => void): Custodian {
    const { clock, keys, stores, machine, replica, kept, online } = this.#parts
    const keyPair = keys.deviceKeys.signing
    const id = memberId(keyPair.publicKey)
    return new Custodian({
      clock,
      random: systemRandom,
      drive: keys.drive,
      identity: keys.identity,
      device: {
        id,
        name: this.#parts.peers.members.bySigning(id)?.name ?? 'this device',
        machineTag: Buffer.from(machine).toString('hex')
      },
      mayRelease: signer => this.#parts.peers.members.hasRight(signer, 'release'),
      store: stores.ledger,
      own: this.#blocks,
      signer: new DeviceSigner({
        drive: keys.drive,
        keyPair,
        clock,
        kept: (log, window) => kept.stored(log, window)
      }),
      keepers: () => this.#keepers(),
      onlineDevices: () => [id, ...online()],
      operationLogs: () => replica.heads,
      contentLength: log => this.#spoken.of(log),
      isAuthorAround: log => this.#authorOf(log)?.isSuspended === false,
      settings: () => this.#custodySettings(),
      onLeft: () => this.connections.holdersChanged(),
      report
    })
  }

  #makeConnections(report: (message: string, cause?: unknown) => void): HolderConnections {
    const { network, peers, keys, clock, logHome } = this.#parts
    return new HolderConnections({
      network,
      logHome,
      pairs: peers.pairs,
      holders: peers.holders,
      members: peers.members,
      identity: keys.identity,
      drive: keys.drive,
      keyPair: keys.deviceKeys.signing,
      leaving: () => this.#removed().filter(({ id }) => this.custodian.contentOf(id).blocks > 0),
      clock,
      random: systemRandom,
      onLink: link => {
        this.custodian.linkOpened(link)
        this.balances.linkOpened(link)
        if (this.#removed().some(({ id }) => id === link.id)) return
        this.#recovery.linkOpened(link)
        this.#parts.onHolder()
        this.#askLate(link)
      },
      onLinkClosed: link => this.custodian.linkClosed(link),
      report
    })
  }

  /** A holder that did not answer while the drive was recovered may know more of it. */
  #askLate(link: KeeperLink): void {
    const { peers, keys, kept: logs, replica, recovery } = this.#parts
    const { members, pairs, holders } = peers
    const network = holders.byId(link.id)?.statement.network
    if (network === undefined) return
    const { identity, drive } = keys
    const statements = () => replica.statements()
    const known = { identity, drive, statements, members, pairs, logs }
    recovery.holderConnected(network, signal => takeLateSummaries(link, known, { signal }))
  }

  #makeRecovery(report: (message: string, cause?: unknown) => void): RecoveryKeeper {
    const { network, peers, keys, clock, kept, replica } = this.#parts
    return new RecoveryKeeper({
      drive: keys.drive,
      recoveryKey: keys.recoveryKey,
      keys: keys.keys,
      members: peers.members,
      holders: peers.holders,
      announcements: () => peers.pairs.announcements,
      logs: kept,
      random: systemRandom,
      deviceKeys: keys.deviceKeys,
      identity: keys.identity,
      statements: () => replica.statements(),
      links: () => this.connections.links(),
      records: network.records,
      clock,
      report
    })
  }

  #makeView(): CustodyView {
    return {
      copiesOf: (blocks, redundancy) => this.custodian.copiesOf(this.#named(blocks), redundancy),
      copiesOfDrive: () => weakestOf(this.custodian.survival()),
      whenDurable: request =>
        this.custodian.whenDurable({ ...request, blocks: this.#named(request.blocks) })
    }
  }

  *#named(blocks: Iterable<BlockPlace>): Iterable<LogBlock> {
    const { logs } = this.#parts.replica.index
    for (const { log, index } of blocks) yield { log: logs.keyOf(log), index }
  }

  /** @returns how long it gave way, in milliseconds: a merge may take nearly all of the time */
  async #scan(): Promise<number> {
    const { replica, longWork, clock } = this.#parts
    let pausedMs = 0
    const pause = async (): Promise<void> => {
      const fromMs = nowMs(clock)
      await longWork.yieldInBackground()
      pausedMs += Math.max(0, nowMs(clock) - fromMs)
    }
    const needs = await replica.scanNeeds(pause)
    await this.#blocks.filesChanged(needs, pause)
    const lengths = new Map<LogKey, number>()
    for (const { log, window, bitmap } of needs)
      lengths.set(log, Math.max(lengths.get(log) ?? 0, endOf(window, bitmap)))
    this.#spoken.note(lengths)
    this.custodian.setNeeds(needs)
    return pausedMs
  }

  #keptBy(id: string): { readonly bytes: number; readonly addedMs: number } {
    const status = this.custodian.keeperStatus().find(({ info }) => info.id === id)
    return { bytes: status?.kept.bytes ?? 0, addedMs: status?.info.addedMs ?? 0 }
  }

  #holdersChanged(): void {
    this.connections.holdersChanged()
    this.custodian.keepersChanged()
    this.#recovery.changed()
  }

  #keepers(): readonly KeeperInfo[] {
    const { members, holders } = this.#parts.peers
    const own = memberId(this.#parts.keys.deviceKeys.signing.publicKey)
    const devices = members.all().filter(({ id, isSuspended }) => id !== own && !isSuspended)
    const others = devices.map(({ id, name }) => ({
      id,
      kind: 'device' as const,
      name,
      addedMs: 0
    }))
    const kept = holders.all().map(holder => {
      const info = infoOf(holder)
      return this.#leaving.has(info.id) ? { ...info, leaving: 'asked' as const } : info
    })
    const removed = this.#removed().map(holder => ({
      ...infoOf(holder),
      leaving: 'removed' as const,
      addedMs: 0
    }))
    return [...kept, ...others, ...removed]
  }

  /** Those that may have something to forget. */
  #removed(): readonly Holder[] {
    const { peers, clock } = this.#parts
    const since = nowMs(clock) - LEAVING_MS
    const removed = peers.holders.removed().filter(({ statement }) => statement.timeMs > since)
    return removed.slice(0, LEAVING_MAX)
  }

  #authorOf(log: LogKey): Member | undefined {
    const { pairs, members } = this.#parts.peers
    const announcement = pairs.announcements.find(({ contentLog }) => contentLog.key === log)
    return announcement && members.bySigning(announcement.device)
  }

  #keepsAll(): boolean {
    return parseContentPolicy(this.#parts.settings().content) === 'all'
  }

  #custodySettings(): CustodySettings {
    const { graceMs, bandwidth, auditsPerHour, shareMax } = custodySettings(this.#parts.settings())
    const { audits } = CUSTODY_SETTINGS_DEFAULT
    return {
      ...CUSTODY_SETTINGS_DEFAULT,
      graceMs,
      repairBytesPerSec: Number.isFinite(bandwidth) ? bandwidth : 0,
      shareMax,
      audits: {
        ...audits,
        challengesPerHour: auditsPerHour,
        bytesPerHour: (audits.bytesPerHour / audits.challengesPerHour) * auditsPerHour
      },
      mayRelease: !this.#parts.recovery.isIncomplete
    }
  }
}

function infoOf({ id, statement }: Holder): KeeperInfo {
  const { name, site, machine, machineTag, person, timeMs } = statement
  return {
    id,
    kind: 'holder',
    name,
    machineTag: Buffer.from(machineTag).toString('hex'),
    addedMs: timeMs,
    ...(machine !== '' && { machine }),
    ...(site !== '' && { site }),
    ...(person !== '' && { person })
  }
}

/** The block after the last one of a window. */
function endOf(window: number, bitmap: Uint8Array): number {
  const last = bitmap.findLastIndex(byte => byte !== 0)
  const bits = last < 0 ? 0 : last * 8 + 32 - Math.clz32(bitmap[last] ?? 0)
  return window * WINDOW_BLOCKS + bits
}

function hasRisk(custodian: Custodian): boolean {
  const { levels } = custodian.survival()
  return levels.some(({ unwell }) => unwell['at-risk'].blocks + unwell.lost.blocks > 0)
}

/** The whole drive, by its weakest part. */
function weakestOf({ levels, operationCopies }: SurvivalReport): CopiesStatus {
  const worst = (['lost', 'at-risk', 'repairing'] as const).find(health =>
    levels.some(({ unwell }) => unwell[health].blocks > 0)
  )
  return {
    copies: Math.min(operationCopies, ...levels.map(({ copies }) => copies)),
    health: worst ?? 'ok',
    lostBytes: levels.reduce((sum, { unwell }) => sum + unwell.lost.bytes, 0),
    holders: []
  }
}
