/**
 * The index of a drive and the replica over it. The index is a cache of the logs: one that cannot
 * be used, or that cannot be trusted, is made anew.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { access, unlink, writeFile } from 'node:fs/promises'
import { CryptoError } from '../src/crypto/crypto-error.ts'
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import type { Clock } from '../src/sync/clock.ts'
import { LmdbKeyValueStore } from '../src/sync/lmdb-key-value-store.ts'
import type { RemoteLogPair } from '../src/sync/remote-logs.ts'
import { Replica } from '../src/sync/replica.ts'
import { SyncError } from '../src/sync/sync-error.ts'
import { FILE_MODE } from './atomic-file.ts'
import type { DaemonLog } from './daemon-log.ts'
import type { DeviceLogs } from './device-logs.ts'
import type { Home } from './home.ts'
import { IndexSeal } from './index-seal.ts'
import { LongWork } from './long-work.ts'
import type { Progress } from './progress-bar.ts'
import { systemRandom } from './system-random.ts'
import { deviceNameOf } from './unlock-keys.ts'

/** What to open. */
export interface IndexedOptions {
  /** The home; the caller holds its lock. */
  readonly home: Home
  /** Its keys. */
  readonly keys: KeyFileContent
  /** Where faults and notable events go. */
  readonly log: DaemonLog
  /** Time. */
  readonly clock: Clock
  /** This device's logs, begun. */
  readonly logs: DeviceLogs
  /** The logs of other devices that are known; open. */
  readonly remotes: readonly RemoteLogPair[]
  /** Throws the index away first. */
  readonly discardIndex: boolean
  /** Told how far reading the logs has got, when the index is behind. */
  readonly onProgress: (progress: Progress) => void
}

/** A replica and what it keeps its index in; both are to be closed, in this order. */
export interface Indexed {
  /** The replica. */
  readonly replica: Replica
  /** The index. */
  readonly store: LmdbKeyValueStore
  /** Gives the merge its turns, and whoever else works long. */
  readonly longWork: LongWork
}

/**
 * Opens the index and the replica.
 *
 * @throws {SyncError} `DIVERGED` when this device's logs lost entries; and as `Replica.open` does
 */
export async function openIndexed(options: IndexedOptions): Promise<Indexed> {
  const { home, log } = options
  const directory = home.indexDirectory
  // lmdb maps its file into memory: where that is damaged it may end the process. Then the mark
  // that is set here is still there at the next start, and the index is not trusted again.
  const crashed = await isThere(home.indexMarkFile)
  if (crashed) log.write('the last start ended while it opened the index, which is made anew')
  const isAltered = !(await new IndexSeal(home).take())
  if (isAltered) log.write('the index is not as it was left, and is made anew')
  const discard = options.discardIndex || crashed || isAltered
  await writeFile(home.indexMarkFile, '', { mode: FILE_MODE })
  try {
    if (discard) await LmdbKeyValueStore.discard({ directory })
    return await openOrRemake({ ...options, discardIndex: discard })
  } finally {
    await unlink(home.indexMarkFile)
  }
}

async function openOrRemake(options: IndexedOptions): Promise<Indexed> {
  const { home, log, discardIndex } = options
  try {
    return await openReplica(options)
  } catch (error) {
    if (discardIndex || !isDamage(error)) throw error
    log.write('the index is damaged and made anew', error)
    await LmdbKeyValueStore.discard({ directory: home.indexDirectory })
    return openReplica(options)
  }
}

async function openReplica(options: IndexedOptions): Promise<Indexed> {
  const { home, log, logs, keys, remotes, clock, onProgress } = options
  const store = await LmdbKeyValueStore.open({ directory: home.indexDirectory })
  const longWork = new LongWork()
  try {
    const { operationLog, contentLog } = logs.current
    const replica = await Replica.open({
      store,
      operationLog,
      contentLog,
      earlier: logs.earlier,
      remotes,
      yieldToEventLoop: longWork.yieldToEventLoop,
      isAwaited: () => longWork.isAsked(),
      device: deviceNameOf(keys),
      drive: keys.drive,
      keys: keys.keys,
      indexKey: keys.indexKey,
      clock,
      random: systemRandom,
      refuseRollBack: true,
      onIndexDamage: () => distrust(home, log),
      onProgress: (done, total) => onProgress({ done, total })
    })
    return { replica, store, longWork }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Leaves the mark that makes the next start make the index anew. */
function distrust(home: Home, log: DaemonLog): void {
  if (existsSync(home.indexMarkFile)) return
  log.write('the index is damaged; the next start makes it anew')
  writeFile(home.indexMarkFile, '', { mode: FILE_MODE }).catch((error: unknown) =>
    log.write('the mark for that could not be left; run grove rebuild-index', error)
  )
}

function isDamage(error: unknown): boolean {
  if (error instanceof CryptoError) return error.code !== 'NEWER_FORMAT'
  return error instanceof SyncError && (error.code === 'DAMAGED' || error.code === 'MALFORMED')
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}
