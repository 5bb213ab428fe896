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
import { newestLocator } from '../../src/crypto/locator-statement.ts'
import { Locator } from '../../src/crypto/locator.ts'
import type { HolderLink } from '../../src/replication/holder-link.ts'
import { KnownHolders } from '../../src/replication/known-holders.ts'
import {
  openAnnouncement,
  signAnnouncement,
  type Announcement
} from '../../src/replication/log-announcement.ts'
import type { RecoveryKeeperParts } from '../../src/replication/recovery-keeper.ts'
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
