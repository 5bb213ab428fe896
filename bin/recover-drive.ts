/**
 * Recovers a drive with its words alone: finds the holders, asks them all, and makes a home whose
 * first mount shows the whole tree. Content comes later, from the holders.
 *
 * The words are used here and nowhere kept. When recovery fails, what was made here is removed
 * again; whoever held the drive has lost nothing by it.
 *
 * @module
 */
import { DeviceKeys } from '../src/crypto/device-keys.ts'
import type { Identity } from '../src/crypto/identity.ts'
import { encodeKeyFile, type KeyFileContent } from '../src/crypto/key-file.ts'
import {
  HolderInquiry,
  type AskedHolder,
  type RecoverySource
} from '../src/replication/ask-holders.ts'
import type { DhtRecords } from '../src/replication/dht-records.ts'
import { fetchOperationLogs, type FetchedLogs } from '../src/replication/fetch-operation-logs.ts'
import { findLocator, type FoundLocator } from '../src/replication/find-locator.ts'
import { greetForRecovery } from '../src/replication/greet-for-recovery.ts'
import { HyperswarmNetwork } from '../src/replication/hyperswarm-network.ts'
import { KnownPairs } from '../src/replication/known-pairs.ts'
import { LogHome } from '../src/replication/log-home.ts'
import type { PeerConnection, PeerNetwork } from '../src/replication/peer-network.ts'
import type { Recovered } from '../src/replication/recovered-summaries.ts'
import { ReplicationError } from '../src/replication/replication-error.ts'
import { Members, type Member } from '../src/sync/members.ts'
import { DaemonLog } from './daemon-log.ts'
import { GroveError } from './grove-error.ts'
import type { Home } from './home.ts'
import { KnownLogs } from './known-logs.ts'
import type { NetworkOptions } from './network-environment.ts'
import { openDrive } from './open-drive.ts'
import type { Progress } from './progress-bar.ts'
import { makeRecoveredDevice, signHello, type OtherDevices } from './recovered-device.ts'
import { writeRecoveryState } from './recovery-state.ts'
import { SystemClock } from './system-clock.ts'
import { systemRandom } from './system-random.ts'
import { withNewHome } from './with-new-home.ts'

/** The network as recovery uses it. */
export interface RecoveryNetwork extends PeerNetwork {
  /** The hash table. */
  readonly records: DhtRecords
}

/** What is under way: the holders answer, their logs come, the tree is put together. */
export type RecoverStep = 'asking' | 'fetching' | 'reading'

/** What was found, for the person to decide about. */
export interface RecoveryOffer {
  /** All holders, and how they answered. */
  readonly holders: readonly AskedHolder[]
  /** Whether all of them handed over what they have. */
  readonly isComplete: boolean
  /** Whether a newer summary was made than any that came. */
  readonly isStale: boolean
  /** When the newest summary was made, in milliseconds since 1970. */
  readonly newestMs: number
  /** The devices of the drive that were not put out. */
  readonly devices: readonly Member[]
}

/** What the person says to an offer; undefined gives up. */
export type RecoveryDecision = { readonly others: OtherDevices } | undefined

/** How to recover. */
export interface RecoverOptions {
  /** Where; nothing of it needs to exist. */
  readonly home: Home
  /** The person; only read. */
  readonly identity: Identity
  /** What to call this device; checked. */
  readonly deviceName: string
  /** Seals the key file; only read. */
  readonly passphrase: Uint8Array | undefined
  /** How to reach the network. */
  readonly network: NetworkOptions
  /** Decides about what was found. */
  readonly decide: (offer: RecoveryOffer) => Promise<RecoveryDecision>
  /** How long holders are waited for, in milliseconds; see `HOLDERS_DEADLINE_MS`. */
  readonly deadlineMs?: number
  /** Gives up when aborted. */
  readonly signal?: AbortSignal
  /** Told how far it is. */
  readonly onProgress?: (step: RecoverStep, progress: Progress) => void
}

/** A drive that was recovered. */
export interface RecoveredDrive {
  /** What is now in the key file. */
  readonly content: KeyFileContent
  /** What was found. */
  readonly offer: RecoveryOffer
  /** The devices that were put out. */
  readonly revoked: readonly Member[]
  /** What became of the operation logs. */
  readonly logs: FetchedLogs
}

/**
 * Recovers a drive; the home is durable when this resolves, and can be mounted.
 *
 * @throws {GroveError} `NOT_FOUND` when nothing stands under the words, `UNREACHABLE` when no
 *   holder answers or there is no network, `FAILED` when the person gives up,
 *   `ALREADY_INITIALISED`, `LOCKED`, `NEWER_FORMAT`, `NO_SPACE`
 */
export async function recoverDrive(options: RecoverOptions): Promise<RecoveredDrive> {
  return withNewHome(options.home, 'recover', async () => {
    const recovery = new Recovery(options)
    try {
      return await recovery.run()
    } catch (error) {
      throw explained(error)
    } finally {
      await recovery.close()
    }
  })
}

/** One attempt. */
class Recovery {
  readonly #options: RecoverOptions
  readonly #deviceKeys = DeviceKeys.generate(systemRandom)
  readonly #clock = new SystemClock()
  readonly #network: RecoveryNetwork

  constructor(options: RecoverOptions) {
    this.#options = options
    this.#network = new HyperswarmNetwork({
      ...options.network,
      keyPair: this.#deviceKeys.network,
      clock: this.#clock,
      random: systemRandom,
      report: () => undefined
    })
  }

  async run(): Promise<RecoveredDrive> {
    const { home, identity, decide, passphrase } = this.#options
    const found = await findLocator(identity, this.#network.records, this.#signal)
    const inquiry = await this.#ask(found)
    const recovered = inquiry.summaries.combine(identity.recovery)
    if (recovered.keys.size === 0)
      throw new GroveError('DAMAGED', 'no holder has a key of the drive that these words open')
    const offer = offerOf(inquiry, recovered)
    const decision = await decide(offer)
    if (decision === undefined) throw new GroveError('FAILED', 'nothing was recovered or changed')
    this.#throwIfAborted()
    const device = makeRecoveredDevice({
      ...{ identity, recovered, ...decision, deviceKeys: this.#deviceKeys },
      deviceName: this.#options.deviceName,
      drive: found.record.drive,
      locatorNumber: found.number,
      timeMs: this.#nowMs(),
      random: systemRandom
    })
    const { content, revoked, firstOperations } = device
    const logs = await this.#fetch(content, recovered, inquiry)
    await this.#network.close()
    const known = await KnownLogs.open(home.knownLogsFile)
    await known.add({ announcements: recovered.announcements.map(({ bytes }) => bytes) })
    await known.close()
    await this.#record(content, firstOperations)
    const silent = offer.holders.filter(({ answer }) => answer !== 'answered')
    const pending = silent.map(({ network }) => network)
    await writeRecoveryState(home, { pending, isAccepted: false })
    const bytes = await encodeKeyFile(content, {
      random: systemRandom,
      ...(passphrase !== undefined && { passphrase })
    })
    this.#throwIfAborted()
    await home.createKeyFile(bytes)
    bytes.fill(0)
    return { content, offer, revoked, logs }
  }

  async close(): Promise<void> {
    await this.#network.close()
  }

  get #signal(): { readonly signal?: AbortSignal } {
    const { signal } = this.#options
    return signal === undefined ? {} : { signal }
  }

  #ask(found: FoundLocator): Promise<HolderInquiry> {
    const { identity, deadlineMs } = this.#options
    return HolderInquiry.ask({
      network: this.#network,
      greet: connection => this.#greet(connection, found),
      found,
      identity: identity.signing.publicKey,
      recovery: identity.recovery,
      clock: this.#clock,
      ...this.#signal,
      ...(deadlineMs !== undefined && { deadlineMs }),
      onAnswer: holders => {
        const done = holders.filter(({ answer }) => answer !== 'silent').length
        this.#options.onProgress?.('asking', { done, total: holders.length })
      }
    })
  }

  async #greet(connection: PeerConnection, found: FoundLocator): Promise<RecoverySource> {
    const { identity } = this.#options
    const deviceKeys = this.#deviceKeys
    const hello = signHello({ identity, deviceKeys, timeMs: this.#nowMs() })
    return greetForRecovery({
      connection,
      identity: identity.signing.publicKey,
      drive: found.record.drive,
      hello,
      keyPair: deviceKeys.signing,
      clock: this.#clock,
      random: systemRandom
    })
  }

  async #fetch(
    content: KeyFileContent,
    recovered: Recovered,
    inquiry: HolderInquiry
  ): Promise<FetchedLogs> {
    const { home, onProgress } = this.#options
    const { drive, identity, keys, statements } = content
    const logHome = await LogHome.open({ directory: home.logsDirectory, clock: this.#clock })
    try {
      const members = new Members({ identity, keys, statements })
      const pairs = new KnownPairs({ logHome, members, drive })
      for (const { bytes } of recovered.announcements) await pairs.add(bytes)
      const fetched = await fetchOperationLogs({
        ...{ logHome, pairs, expected: recovered.operationLogs, clock: this.#clock },
        onConnections: listener => inquiry.onConnections(listener),
        ...this.#signal,
        onProgress: progress => onProgress?.('fetching', progress)
      })
      await logHome.sync()
      return fetched
    } finally {
      await logHome.close()
    }
  }

  /** Merges what came and says, in a log of its own, who this device is. */
  async #record(
    keys: KeyFileContent,
    operations: Parameters<Awaited<ReturnType<typeof openDrive>>['record']>[0]
  ): Promise<void> {
    const { home, onProgress } = this.#options
    const log = new DaemonLog(home.logFile)
    log.write('grove recover')
    try {
      const drive = await openDrive({
        ...{ home, keys, log },
        onProgress: progress => onProgress?.('reading', progress)
      })
      drive.record(operations)
      await drive.settled(progress => onProgress?.('reading', progress))
      await drive.close()
    } finally {
      log.close()
    }
  }

  #nowMs(): number {
    const { sec, nsec } = this.#clock.now()
    return sec * 1_000 + Math.floor(nsec / 1_000_000)
  }

  #throwIfAborted(): void {
    if (this.#options.signal?.aborted === true)
      throw new ReplicationError('INTERRUPTED', 'recovery was given up')
  }
}

function offerOf(inquiry: HolderInquiry, { members }: Recovered): RecoveryOffer {
  const { holders, isComplete, isStale, summaries } = inquiry
  const devices = members.all().filter(({ isSuspended }) => !isSuspended)
  return { holders, isComplete, isStale, newestMs: summaries.newestMs, devices }
}

/** What a person can do about it. */
function explained(cause: unknown): unknown {
  if (!(cause instanceof ReplicationError)) return cause
  if (cause.code === 'NO_ANSWER') return new GroveError('UNREACHABLE', cause.message, { cause })
  if (cause.code === 'UNAVAILABLE')
    return new GroveError(
      'UNREACHABLE',
      'the network does not answer; is this computer connected? (GROVE_BOOTSTRAP names other nodes to begin with)',
      { cause }
    )
  return cause
}
