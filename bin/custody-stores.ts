/**
 * What a device remembers of copies: of those that others keep for it, and of what it promised to
 * the person's other devices to keep itself. Opened before the network is.
 *
 * @module
 */
import { join } from 'node:path'
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import { CustodyStore } from '../src/replication/custody-store.ts'
import type { DeviceKeptLogs } from '../src/replication/device-kept-logs.ts'
import { Keeper } from '../src/replication/keeper.ts'
import { KeeperRecords } from '../src/replication/keeper-records.ts'
import type { Clock } from '../src/sync/clock.ts'
import { LmdbKeyValueStore } from '../src/sync/lmdb-key-value-store.ts'
import type { Members } from '../src/sync/members.ts'
import { SyncError } from '../src/sync/sync-error.ts'
import type { DaemonLog } from './daemon-log.ts'
import type { Home } from './home.ts'
import { systemRandom } from './system-random.ts'
import { deviceNameOf } from './unlock-keys.ts'

/** What is needed; all of it is borrowed. */
export interface CustodyStoresOptions {
  /** The home; the caller holds its lock. */
  readonly home: Home
  /** Its keys. */
  readonly keys: KeyFileContent
  /** Which machine this is; `MACHINE_TAG_BYTES`. */
  readonly machine: Uint8Array
  /** What this device keeps for the others. */
  readonly logs: DeviceKeptLogs
  /** Who belongs to the drive. */
  readonly members: Members
  /** Time. */
  readonly clock: Clock
  /** Where faults and notable events go. */
  readonly log: DaemonLog
}

interface Opened {
  close(): Promise<void>
}

/** See the module. */
export class CustodyStores {
  /** What others keep. */
  readonly ledger: CustodyStore
  /** Answers the person's other devices. */
  readonly keeper: Keeper
  /** What was opened, the last first. */
  readonly #opened: readonly Opened[]

  private constructor(ledger: CustodyStore, keeper: Keeper, opened: readonly Opened[]) {
    this.ledger = ledger
    this.keeper = keeper
    this.#opened = opened
  }

  /** Opens them, anew where they are damaged: keepers tell what they keep. @throws {SyncError} */
  static async open(options: CustodyStoresOptions): Promise<CustodyStores> {
    const { home, keys, machine, logs, members, clock, log } = options
    const directory = join(home.directory, 'custody')
    const opened: Opened[] = []
    try {
      const ledger = await openStore(join(directory, 'ledger'), log)
      opened.unshift(ledger)
      // What was signed must be remembered, also by a computer that lost power.
      const records = await openStore(join(directory, 'kept'), log, true)
      opened.unshift(records)
      const keeper = await Keeper.open({
        records: new KeeperRecords(records),
        keyPair: keys.deviceKeys.signing,
        machine,
        name: deviceNameOf(keys),
        openLogs: () => Promise.resolve(logs),
        clock,
        random: systemRandom,
        onOpen: () => undefined,
        onLocator: () => undefined,
        report: (message, cause) => log.write(message, cause)
      })
      opened.unshift(keeper)
      await keeper.adopt({ identity: keys.identity, drive: keys.drive, members })
      return new CustodyStores(new CustodyStore(ledger), keeper, opened)
    } catch (error) {
      await closeAll(opened).catch(() => undefined)
      throw error
    }
  }

  /** Ends every conversation and closes what was opened. */
  async close(): Promise<void> {
    await closeAll(this.#opened)
  }
}

/** Closes each, also when one of those before it failed. @throws what the last failed with */
async function closeAll([first, ...rest]: readonly Opened[]): Promise<void> {
  try {
    await first?.close()
  } finally {
    if (rest.length > 0) await closeAll(rest)
  }
}

async function openStore(
  directory: string,
  log: DaemonLog,
  isDurable = false
): Promise<LmdbKeyValueStore> {
  try {
    return await LmdbKeyValueStore.open({ directory, isDurable })
  } catch (error) {
    if (!(error instanceof SyncError) || error.code !== 'DAMAGED') throw error
    log.write('what was known of copies is damaged; the keepers are asked anew', error)
    await LmdbKeyValueStore.discard({ directory })
    return LmdbKeyValueStore.open({ directory, isDurable })
  }
}
