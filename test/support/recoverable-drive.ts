/**
 * A new drive with one device, holders and a hash table in memory: what recovery is about, without
 * disks and connections.
 *
 * @module
 */
import { epochLog, nextEpoch } from '../../bin/log-epochs.ts'
import { makeNewDrive, type NewDrive } from '../../bin/new-drive.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { signHolderStatement } from '../../src/crypto/holder-statement.ts'
import { Identity, proveDevice } from '../../src/crypto/identity.ts'
import { newestLocator } from '../../src/crypto/locator-statement.ts'
import { Locator, type LocatorRecord } from '../../src/crypto/locator.ts'
import { sealLogSummary, type LogSummaryContent } from '../../src/crypto/log-summary.ts'
import { signMemberStatement, type MemberAction } from '../../src/crypto/member-statement.ts'
import type { FoundLocator } from '../../src/replication/find-locator.ts'
import type { HolderLink } from '../../src/replication/holder-link.ts'
import { KnownHolders } from '../../src/replication/known-holders.ts'
import {
  openAnnouncement,
  signAnnouncement,
  type Announcement
} from '../../src/replication/log-announcement.ts'
import type { RecoveryKeeperParts } from '../../src/replication/recovery-keeper.ts'
import { DriveSummarizer } from '../../src/replication/summarize-drive.ts'
import type { Clock } from '../../src/sync/clock.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { Members, memberId } from '../../src/sync/members.ts'
import { MemoryHashTable } from './memory-dht-records.ts'
import { SeededRandom } from './seeded-random.ts'
import { VirtualClock } from './virtual-clock.ts'

/** See the module. */
export class RecoverableDrive {
  readonly made: NewDrive
  readonly clock: Clock
  readonly random: SeededRandom
  readonly members: Members
  readonly holders: KnownHolders
  readonly records = new MemoryHashTable()
  /** All statements that were merged. */
  readonly statements: Uint8Array[]
  /** How long each log is; 0 unless said otherwise. */
  readonly lengths = new Map<LogKey, number>()
  /** The announcements of all pairs. */
  readonly announcements: Announcement[] = []
  /** The keepers that are connected. */
  readonly links: HolderLink[] = []
  readonly reports: string[] = []

  private constructor(made: NewDrive, clock: Clock, random: SeededRandom) {
    this.made = made
    this.clock = clock
    this.random = random
    const { identity, keys, statements, drive } = made.content
    this.members = new Members({ identity, keys, statements })
    this.holders = new KnownHolders({ drive, members: this.members })
    this.statements = made.firstOperations.flatMap(each =>
      each.type === 'statement' ? [each.bytes] : []
    )
    this.announce(1)
  }

  /** Makes one; another for each seed. */
  static async make(seed = 1, clock: Clock = new VirtualClock()): Promise<RecoverableDrive> {
    const random = new SeededRandom(seed)
    const owner = { uid: 1000, gid: 1000 }
    const made = await makeNewDrive({ deviceName: 'desk', owner, random, clock })
    return new RecoverableDrive(made, clock, random)
  }

  /** The keys that the newest locator secret gives. */
  get locator(): Locator {
    const newest = newestLocator(this.statements, this.made.content.identity)
    if (newest === undefined) throw new Error('the drive has no locator secret')
    return new Locator(newest.secret)
  }

  /** Adds a pair of logs of the device. */
  announce(epoch: number, content = this.made.content): Announcement {
    const { number, random } = nextEpoch({ number: epoch - 1, random: '' }, this.random)
    const logs = { number, random }
    const bytes = signAnnouncement(
      {
        drive: content.drive,
        epoch,
        operationLog: epochLog(content, logs, 'operation'),
        contentLog: epochLog(content, logs, 'content')
      },
      content.deviceKeys.signing
    )
    const announcement = openAnnouncement(bytes, content.drive)
    this.announcements.push(announcement)
    return announcement
  }

  /** Records a holder, or its removal. */
  state(action: 'add' | 'remove', keys = DeviceKeys.generate(this.random)): DeviceKeys {
    const { signing: holder, network } = keys.publicKeys
    const { drive, deviceKeys } = this.made.content
    const version = this.holders.nextVersion(memberId(holder))
    const named = { name: 'anna', site: '', machine: '', person: '' }
    const bytes = signHolderStatement(
      {
        action,
        version,
        drive,
        holder,
        network,
        machineTag: new Uint8Array(16),
        timeMs: 0,
        ...named
      },
      deviceKeys.signing
    )
    this.holders.add(bytes)
    this.statements.push(bytes)
    return keys
  }

  /** The person; the test clears it. */
  identity(): Promise<Identity> {
    return Identity.fromWords(this.made.words)
  }

  /** What stands under the words when these holders are named. */
  found(holders: readonly Uint8Array[], more: Partial<LocatorRecord> = {}): FoundLocator {
    const { drive } = this.made.content
    const none = { summaryMs: 0, summaryHash: new Uint8Array(32) }
    const record = { drive, holders, ...none, ...more }
    return { number: 0, record, summaryKeys: [this.locator.summaryKey] }
  }

  /** A summary of a device; of the first one unless told otherwise. */
  async summary(
    more: Partial<LogSummaryContent> = {},
    signing = this.made.content.deviceKeys.signing
  ): Promise<Uint8Array> {
    const { content } = await new DriveSummarizer(this.parts()).summarize()
    return sealLogSummary({
      content: { ...content, sequence: 1, timeMs: 1_000, ...more },
      key: this.locator.summaryKey,
      signing,
      random: this.random
    })
  }

  /** Says something about a device, as the identity. */
  async say(action: MemberAction, deviceKeys: DeviceKeys): Promise<Uint8Array> {
    const identity = await this.identity()
    const { members } = this
    const device = deviceKeys.signing.publicKey
    const statement = signMemberStatement(
      {
        action,
        ...members.head,
        identity: identity.signing.publicKey,
        subject: deviceKeys.publicKeys,
        rights: ['write', 'invite'],
        issuedMs: 0,
        envelopesHash: new Uint8Array(32),
        cuts: [],
        sealedName: new Uint8Array(0),
        proof: proveDevice({ device, parent: identity.signing, timeMs: 0 })
      },
      identity.signing
    )
    members.add(statement)
    this.statements.push(statement)
    identity.clear()
    return statement
  }

  /** For a keeper of the recovery of this drive. */
  parts(): RecoveryKeeperParts {
    const { drive, identity, recoveryKey, keys, deviceKeys } = this.made.content
    const { members, holders, records, clock, random, reports } = this
    return {
      ...{ drive, identity, recoveryKey, keys, deviceKeys, members, holders },
      ...{ records, clock, random },
      announcements: () => this.announcements,
      logs: {
        length: log => this.lengths.get(log) ?? 0,
        treeHash: async (_, length) => new Uint8Array(32).fill(length)
      },
      statements: () => this.statements,
      links: () => this.links,
      report: message => reports.push(message)
    }
  }
}
