/**
 * Fetches the operation logs of a drive from whoever is connected, up to the lengths that are
 * expected of them and beyond.
 *
 * @module
 */
import { HASH_BYTES, equalBytes } from '../crypto/sodium.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import type { KnownPair, KnownPairs } from './known-pairs.ts'
import type { LogHome } from './log-home.ts'
import type { PeerConnection } from './peer-network.ts'
import type { ExpectedLog } from './recovered-summaries.ts'
import { ReplicationError } from './replication-error.ts'
import type { ReplicatedCore } from './replicated-core.ts'

/** How long nothing may come before what is missing is given up, in milliseconds. */
export const FETCH_IDLE_MS_MAX = 20_000

/** How long is waited for entries beyond those that are expected, in milliseconds. */
export const FETCH_SETTLE_MS = 1_000

/** How far fetching has got, in entries. */
export interface FetchProgress {
  /** How many are here. */
  readonly done: number
  /** How many there are, as far as is known. */
  readonly total: number
}

/** What fetching needs. */
export interface FetchLogsParts {
  /** Where the logs go; borrowed, its listener is set. */
  readonly logHome: LogHome
  /** The pairs whose operation logs are fetched; borrowed. */
  readonly pairs: KnownPairs
  /** How long the logs are at least. */
  readonly expected: readonly ExpectedLog[]
  /** Tells of connections to those who have the logs, now and later. */
  readonly onConnections: (listener: (connection: PeerConnection) => void) => void
  /** Time. */
  readonly clock: Clock
  /** Gives up when aborted. */
  readonly signal?: AbortSignal
  /** Told how far it is. */
  readonly onProgress?: (progress: FetchProgress) => void
}

/** What became of the logs. */
export interface FetchedLogs {
  /** How many entries that are expected did not come. */
  readonly missingEntries: number
  /** Logs whose history is another than was expected. */
  readonly changed: readonly LogKey[]
}

/**
 * Fetches the logs.
 *
 * @throws {ReplicationError} `NO_SPACE`, `INTERRUPTED`
 * @throws {SyncError} of the disk
 */
export async function fetchOperationLogs(parts: FetchLogsParts): Promise<FetchedLogs> {
  const { logHome, pairs, signal } = parts
  if (signal?.aborted === true) throw interrupted()
  const cores = pairs.remotes.map(pair => coreOf(logHome, pair))
  const arriving = new Arrival(parts, cores)
  logHome.listener = { ...logHome.listener, ...arriving.listener }
  for (const core of cores) core.follow()
  parts.onConnections(({ stream }) => {
    for (const core of cores) core.attach(stream)
  })
  await arriving.end()
  const changed: LogKey[] = []
  for (const { operationLog } of pairs.remotes) {
    const expected = parts.expected.find(({ key }) => key === operationLog.key)
    if (expected === undefined || expected.length > operationLog.length) continue
    const isKnown = expected.treeHash.length === HASH_BYTES && expected.treeHash.some(Boolean)
    if (!isKnown) continue
    if (!equalBytes(await operationLog.treeHash(expected.length), expected.treeHash))
      changed.push(operationLog.key)
  }
  return { missingEntries: arriving.missing, changed }
}

function coreOf(logHome: LogHome, { operationLog }: KnownPair): ReplicatedCore {
  const core = logHome.replicated(operationLog.key)
  if (core === undefined) throw new RangeError('an open log has a replicating side')
  return core
}

/** Waits until all is here, or nothing comes any more. */
class Arrival {
  readonly #parts: FetchLogsParts
  readonly #cores: readonly ReplicatedCore[]
  readonly #expected: ReadonlyMap<LogKey, number>
  readonly #ended: Promise<void>
  #end: (error?: ReplicationError) => void = () => undefined
  #timer: Timer | undefined

  constructor(parts: FetchLogsParts, cores: readonly ReplicatedCore[]) {
    this.#parts = parts
    this.#cores = cores
    this.#expected = new Map(parts.expected.map(({ key, length }) => [key, length]))
    this.#ended = new Promise((resolve, reject) => {
      this.#end = error => (error === undefined ? resolve() : reject(error))
    })
  }

  /** What the home of the logs is to tell. */
  readonly listener = {
    onArrival: (): void => this.#wait(),
    onStarved: (): void =>
      this.#end(new ReplicationError('NO_SPACE', 'the disk is too full for the logs of the drive'))
  }

  /** How many expected entries are not here. */
  get missing(): number {
    return this.#cores.reduce((sum, core) => sum + Math.max(0, this.#wanted(core)), 0)
  }

  /** Resolves when there is nothing more to wait for. */
  async end(): Promise<void> {
    const { signal } = this.#parts
    const onAbort = (): void => this.#end(interrupted())
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#wait()
    try {
      await this.#ended
    } finally {
      this.#timer?.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #wait(): void {
    const total = this.#cores.reduce((sum, core) => sum + this.#lengthOf(core), 0)
    const done = this.#cores.reduce((sum, core) => sum + core.contiguousLength, 0)
    this.#parts.onProgress?.({ done, total })
    this.#timer?.cancel()
    const patienceMs = done >= total ? FETCH_SETTLE_MS : FETCH_IDLE_MS_MAX
    this.#timer = this.#parts.clock.after(patienceMs, () => this.#end())
  }

  #lengthOf(core: ReplicatedCore): number {
    const expected = this.#expected.get(core.key) ?? 0
    return core.isFrozen ? core.contiguousLength : Math.max(core.length, expected)
  }

  #wanted(core: ReplicatedCore): number {
    return (this.#expected.get(core.key) ?? 0) - core.contiguousLength
  }
}

function interrupted(): ReplicationError {
  return new ReplicationError('INTERRUPTED', 'recovery was given up')
}
