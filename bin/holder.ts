/**
 * A holder: keeps sealed blocks for the persons who have a code of it, answers their devices and
 * its owner's commands, from the start to a clean end. It opens nothing that it keeps.
 *
 * @module
 */
import { openBalance } from '../src/crypto/balance.ts'
import type { DeviceKeys } from '../src/crypto/device-keys.ts'
import { encodeHolderCode } from '../src/crypto/holder-code.ts'
import type { HolderLogs } from '../src/replication/holder-logs.ts'
import { HolderStore } from '../src/replication/holder-store.ts'
import { HyperswarmNetwork } from '../src/replication/hyperswarm-network.ts'
import { Keeper, type KeptPerson } from '../src/replication/keeper.ts'
import { acceptsMore } from '../src/replication/keeper-imbalance.ts'
import { KeeperRecords } from '../src/replication/keeper-records.ts'
import { RecordKeeper } from '../src/replication/record-keeper.ts'
import type { Clock } from '../src/sync/clock.ts'
import type { KeyValueStore } from '../src/sync/key-value-store.ts'
import { LmdbKeyValueStore } from '../src/sync/lmdb-key-value-store.ts'
import type { DaemonLog } from './daemon-log.ts'
import { OWN_HOLDER_PERSONS_MAX, type OwnHolderRequest } from './custody-api.ts'
import { GroveError } from './grove-error.ts'
import type {
  HeldPerson,
  HolderCodeAnswer,
  HolderInviteRequest,
  HolderProcessStatus,
  NamePersonRequest
} from './holder-api.ts'
import type { HolderHome } from './holder-home.ts'
import { HolderImbalance } from './holder-imbalance.ts'
import {
  changeHolderSettings,
  type HolderSettings,
  type HolderSettingsChange
} from './holder-settings.ts'
import { OwnDrive } from './own-drive.ts'
import type { NetworkOptions } from './network-environment.ts'
import { GIB_DAY_MIB_SECONDS } from './readable-work.ts'
import type { TellOwnDrive } from './tell-own-drive.ts'
import { SystemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'

/** How long the network is waited for before a code is shown all the same, in milliseconds. */
export const REACHABLE_MS_MAX = 10_000

const HOUR_MS = 3_600_000

/** What a holder is made of. */
export interface HolderParts {
  /** Its home, locked. */
  readonly home: HolderHome
  /** Its keys. */
  readonly keys: DeviceKeys
  /** What it gives. */
  readonly settings: HolderSettings
  /** See `machine-tag.ts`. */
  readonly machine: Uint8Array
  /** How to reach the network. */
  readonly network: NetworkOptions
  /** Tells the owner's drive on this computer what is kept, if it is open, and hears from it. */
  readonly tellDrive: TellOwnDrive
  /** Where it writes what happened. */
  readonly log: DaemonLog
}

/** What a holder has open. */
interface OpenedParts {
  readonly records: KeyValueStore
  readonly store: HolderStore
  readonly network: HyperswarmNetwork
  readonly locators: RecordKeeper
}

/** See the module. */
export class Holder {
  readonly #parts: HolderParts
  readonly #opened: OpenedParts
  readonly #logs = new Map<string, HolderLogs>()
  readonly #clock: Clock
  readonly #imbalance: HolderImbalance
  #ownDrive: OwnDrive | undefined
  #settings: HolderSettings
  #keeper: Keeper | undefined
  #closing: Promise<void> | undefined

  private constructor(parts: HolderParts, opened: OpenedParts, clock: Clock) {
    this.#parts = parts
    this.#opened = opened
    this.#clock = clock
    this.#settings = parts.settings
    this.#imbalance = new HolderImbalance({
      settings: () => this.#settings,
      usedBytes: () => sumOf(this.#open().persons()),
      nameOf: identity => this.#open().nameOf(identity),
      isOwner: identity => hexOf(identity) === this.#ownDrive?.owner,
      returnedBy: name => this.#ownDrive?.returnedBy(name) ?? 0
    })
  }

  /**
   * Opens what is kept. Nobody can reach it before {@link Holder.connect}.
   *
   * @throws {SyncError}, {ReplicationError} when something of the home cannot be opened
   */
  static async open(parts: HolderParts): Promise<Holder> {
    const clock = new SystemClock()
    const opened = await openParts(parts, clock)
    const holder = new Holder(parts, opened, clock)
    try {
      await holder.#openKeeper()
      await holder.#openOwnDrive()
      return holder
    } catch (error) {
      await holder.close().catch(() => undefined)
      throw error
    }
  }

  /**
   * Lets devices call from now on.
   *
   * @returns once they can find it, or after {@link REACHABLE_MS_MAX}
   */
  async connect(): Promise<void> {
    const { network } = this.#opened
    network.onConnection = connection => this.#open().accept(connection)
    network.listen()
    this.#ownDrive?.start()
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, REACHABLE_MS_MAX)
      void network.reachable().finally(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  /** Answers `GET /v1/status`. */
  async status(): Promise<HolderProcessStatus> {
    const { network, store } = this.#opened
    const keeper = this.#open()
    const persons = keeper.persons()
    const bound = this.#imbalance.boundNow
    const { refused, malformed } = keeper.ends
    const problem = network.problem ?? (store.isStarved ? 'the disk is too full' : undefined)
    return {
      running: true,
      pid: process.pid,
      home: this.#parts.home.directory,
      id: hexOf(this.#parts.keys.publicKeys.signing),
      ...this.#settings,
      usedBytes: sumOf(persons),
      diskBytes: await store.bytesOnDisk(),
      onlineSec: keeper.onlineSec,
      connections: network.connections.length,
      refused: network.refused + refused + malformed,
      ...(bound !== undefined && { boundGibDays: bound / GIB_DAY_MIB_SECONDS }),
      persons: persons.map(person => this.#statusOf(person)),
      ...(problem !== undefined && { problem })
    }
  }

  /** Answers `POST /v1/invite`: makes a code that admits one person. */
  async invite({ spaceBytes, hours, person }: HolderInviteRequest): Promise<HolderCodeAnswer> {
    const quotaBytes = spaceBytes ?? this.#settings.spaceBytes
    const expiresMs = (this.#clock.now().sec + hours * (HOUR_MS / 1000)) * 1000
    const named = person === undefined ? {} : { name: person }
    const secret = await this.#open().invite({ quotaBytes, expiresMs, ...named })
    const { network } = this.#parts.keys.publicKeys
    return {
      code: encodeHolderCode({ network, secret, expiresMs }),
      expiresMs,
      spaceBytes: quotaBytes
    }
  }

  /**
   * Changes what it gives. Less space drops nothing: it only ends the taking.
   *
   * @throws {GroveError} `USAGE`
   */
  async change(change: HolderSettingsChange): Promise<void> {
    const before = this.#settings
    this.#settings = await changeHolderSettings(this.#parts.home.settingsFile, change)
    const { spaceBytes, imbalance } = this.#settings
    const keeper = this.#open()
    for (const { identity, quotaBytes } of keeper.persons()) {
      const isQuota = quotaBytes === before.spaceBytes || quotaBytes > spaceBytes
      if (isQuota) await keeper.setQuota(identity, spaceBytes)
      // What was refused is asked for again when the conversation begins anew.
      if (isQuota || imbalance !== before.imbalance) this.#logs.get(hexOf(identity))?.hangUp()
    }
  }

  /** Calls a person something. @throws {GroveError} `NOT_FOUND` */
  async namePerson({ id, name }: NamePersonRequest): Promise<HeldPerson> {
    const found = this.#open()
      .persons()
      .filter(({ identity }) => hexOf(identity).startsWith(id))
    const [person] = found
    if (person === undefined || found.length > 1)
      throw new GroveError('NOT_FOUND', 'there is no such person; see `grove host status`')
    await this.#open().setName(person.identity, name)
    return this.#statusOf({ ...person, name })
  }

  /** Makes everything durable and closes it. Idempotent. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    const { network, store, records, locators } = this.#opened
    const steps = [
      () => this.#ownDrive?.close(),
      () => this.#keeper?.close(),
      () => locators.close(),
      () => network.close(),
      () => store.close(),
      () => records.close()
    ]
    const failures: unknown[] = []
    for (const step of steps) await step()?.catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }

  async #openKeeper(): Promise<void> {
    const { keys, machine, log, settings } = this.#parts
    const { records, store, locators } = this.#opened
    this.#keeper = await Keeper.open({
      records: new KeeperRecords(records),
      keyPair: keys.signing,
      machine,
      name: settings.name,
      spaceBytes: () => this.#settings.spaceBytes,
      imbalance: this.#imbalance,
      openLogs: async person => {
        const logs = await store.person(person)
        this.#logs.set(hexOf(person.identity), logs)
        return logs
      },
      clock: this.#clock,
      random: systemRandom,
      onOpen: ({ person }, connection) =>
        this.#logs.get(hexOf(person.identity))?.attach(connection),
      onLocator: (identity, record) => void locators.keep(identity, record),
      report: (message, cause) => log.write(message, cause)
    })
  }

  async #openOwnDrive(): Promise<void> {
    const { home, log, tellDrive } = this.#parts
    this.#ownDrive = await OwnDrive.open({
      file: home.returnedFile,
      tell: (request, signal) => tellDrive(this.#settings, request, signal),
      kept: () => this.#keptForOthers(),
      clock: this.#clock,
      report: (message, cause) => log.write(message, cause)
    })
  }

  /** With whom it is agreed how much is kept, and whom the owner can tell of. */
  #keptForOthers(): OwnHolderRequest {
    const persons = this.#open()
      .persons()
      .flatMap(({ identity, name, settled }) =>
        name === '' || settled === undefined
          ? []
          : [
              {
                name,
                identity: hexOf(identity),
                balance: base64Of(settled.balance),
                accepted: base64Of(settled.accepted)
              }
            ]
      )
    const holder = hexOf(this.#parts.keys.publicKeys.signing)
    return { holder, persons: persons.slice(0, OWN_HOLDER_PERSONS_MAX) }
  }

  #statusOf(person: KeptPerson): HeldPerson {
    const { identity, quotaBytes, usedBytes, silentSec, name, mibSeconds, settled } = person
    const agreed = settled && openBalance(settled.balance).mibSeconds
    const returned = name === '' ? undefined : this.#ownDrive?.returnedBy(name)
    return {
      id: hexOf(identity),
      ...{ quotaBytes, usedBytes, silentSec },
      ...(name !== '' && { name }),
      keptGibDays: mibSeconds / GIB_DAY_MIB_SECONDS,
      ...(agreed !== undefined && { settledGibDays: agreed / GIB_DAY_MIB_SECONDS }),
      ...(returned !== undefined && { returnedGibDays: returned / GIB_DAY_MIB_SECONDS }),
      isBehind: !acceptsMore(this.#imbalance, identity, mibSeconds)
    }
  }

  #open(): Keeper {
    if (this.#keeper === undefined) throw new RangeError('the keeper is made at once')
    return this.#keeper
  }
}

async function openParts(parts: HolderParts, clock: Clock): Promise<OpenedParts> {
  const { home, keys, log } = parts
  // What was signed cannot be derived again.
  const records = await LmdbKeyValueStore.open({
    directory: home.recordsDirectory,
    isDurable: true
  })
  let store: HolderStore
  try {
    store = await HolderStore.open({
      directory: home.logsDirectory,
      records,
      spaceBytes: parts.settings.spaceBytes,
      clock,
      report: (message, cause) => log.write(message, cause)
    })
  } catch (error) {
    await records.close()
    throw error
  }
  const network = new HyperswarmNetwork({
    ...parts.network,
    keyPair: keys.network,
    isGuest: publicKey => store.isDevice(publicKey),
    clock,
    random: systemRandom,
    report: message => log.write(message)
  })
  const locators = new RecordKeeper({ records: network.records, clock, random: systemRandom })
  return { records, store, network, locators }
}

function sumOf(persons: readonly KeptPerson[]): number {
  return persons.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
