/**
 * Who belongs to the drive, which logs and which holders there are, as this device knows it: from
 * the key file, from what earlier starts learned, and from what is merged and announced as time
 * goes on.
 *
 * @module
 */
import { CryptoError } from '../src/crypto/crypto-error.ts'
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import { decodeStatement } from '../src/crypto/statement.ts'
import { KnownHolders } from '../src/replication/known-holders.ts'
import { KnownPairs, type KnownPair } from '../src/replication/known-pairs.ts'
import { signAnnouncement } from '../src/replication/log-announcement.ts'
import { Members } from '../src/sync/members.ts'
import type { DaemonLog } from './daemon-log.ts'
import type { DeviceLogs } from './device-logs.ts'
import type { Home } from './home.ts'
import { KnownLogs } from './known-logs.ts'
import { epochLog, type LogEpoch } from './log-epochs.ts'

/** What is needed to know them. */
export interface DrivePeersOptions {
  /** The home; the caller holds its lock. */
  readonly home: Home
  /** Its keys. */
  readonly keys: KeyFileContent
  /** This device's logs; borrowed. */
  readonly logs: DeviceLogs
  /** Where faults and notable events go. */
  readonly log: DaemonLog
}

/** The members of a drive, the pairs of logs they announced and the holders they added. */
export class DrivePeers {
  /** Who belongs to the drive. */
  readonly members: Members
  /** The logs of all devices, this one's too. */
  readonly pairs: KnownPairs
  /** Who keeps copies and is no device. */
  readonly holders: KnownHolders
  /** Called after the list of members changed. */
  onMembersChanged: () => void = () => undefined
  readonly #known: KnownLogs
  readonly #log: DaemonLog

  private constructor(options: DrivePeersOptions, known: KnownLogs) {
    const { keys, logs, log } = options
    this.#known = known
    this.#log = log
    this.members = new Members({
      identity: keys.identity,
      keys: keys.keys,
      statements: [...keys.statements, ...known.known.statements]
    })
    this.members.onChange = () => this.#membersChanged()
    this.pairs = new KnownPairs({
      logHome: logs.logHome,
      members: this.members,
      drive: keys.drive
    })
    this.holders = new KnownHolders({ drive: keys.drive, members: this.members })
    for (const { epoch } of logs.all) this.pairs.addOwn(announcementOf(keys, epoch))
  }

  /**
   * Opens the logs of other devices that are known.
   *
   * @throws {GroveError} `DAMAGED`, `NEWER_FORMAT`; {SyncError} when a log cannot be opened
   */
  static async open(options: DrivePeersOptions): Promise<DrivePeers> {
    const known = await KnownLogs.open(options.home.knownLogsFile)
    const peers = new DrivePeers(options, known)
    for (const bytes of known.known.announcements) {
      const outcome = await peers.pairs.add(bytes)
      if (outcome === 'waiting' || outcome === 'refused')
        options.log.write(`a log pair of the home is not taken: ${outcome}`)
    }
    return peers
  }

  /** Takes a statement that was merged, whatever it is about: any member writes what it likes. */
  addStatement(bytes: Uint8Array): void {
    // Statements about logs travel the same way and are none of the members' business.
    if (isMembers(bytes)) this.members.add(bytes)
    else this.holders.add(bytes)
  }

  /** Keeps a pair for the next start; durable when this resolves. */
  async keep(pair: KnownPair): Promise<void> {
    await this.#known.add({
      statements: this.members.statements(),
      announcements: [pair.announcement.bytes]
    })
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await this.#known.close()
  }

  #membersChanged(): void {
    this.#known
      .add({ statements: this.members.statements() })
      .catch((error: unknown) => this.#log.write('the members could not be kept', error))
    this.onMembersChanged()
  }
}

function isMembers(bytes: Uint8Array): boolean {
  try {
    return decodeStatement(bytes).domain.startsWith('member/')
  } catch (error) {
    if (error instanceof CryptoError) return false
    throw error
  }
}

/** What this device announces of an epoch. */
function announcementOf(keys: KeyFileContent, epoch: LogEpoch): Uint8Array {
  return signAnnouncement(
    {
      drive: keys.drive,
      epoch: epoch.number,
      operationLog: epochLog(keys, epoch, 'operation'),
      contentLog: epochLog(keys, epoch, 'content')
    },
    keys.deviceKeys.signing
  )
}
