/**
 * The two logs of one epoch of this device, and how they are read when it starts.
 *
 * @module
 */
import type { Sealer } from '../crypto/sealer.ts'
import type { BlockStore } from './block-store.ts'
import { hasHistory, openEntry } from './entry-queue.ts'
import type { Entry } from './entry.ts'
import type { Log, ReadableLog } from './log.ts'
import { SyncError } from './sync-error.ts'
import type { RemoteBlocks } from './remote-logs.ts'
import type { TreeIndex } from './tree-index.ts'

/** The two logs of one epoch of a device. */
export interface LogPair {
  /** Its operations. */
  readonly operationLog: Log
  /** Its content. */
  readonly contentLog: BlockStore
  /**
   * The same content as other devices keep it: what was lost here is fetched from them. Only of an
   * epoch that is not appended to any more.
   */
  readonly elsewhere?: RemoteBlocks
}

/** What an index is compared with. */
export interface KnownLogs {
  /** This device's operation logs. */
  readonly own: readonly ReadableLog[]
  /** Other devices' operation logs. */
  readonly remote: readonly ReadableLog[]
}

/**
 * Whether an index is a state that these logs went through.
 *
 * @returns `own` when logs of this device lack what it has applied, `remote` when only others do,
 *   or are not known any more; undefined when all is well
 */
export async function lostLogs(
  index: TreeIndex,
  { own, remote }: KnownLogs
): Promise<'own' | 'remote' | undefined> {
  const known = new Set([...own, ...remote].map(log => log.key))
  for (const log of own) if (!(await isPrefix(index, log))) return 'own'
  for (const log of index.appliedLogs()) if (!known.has(log)) return 'remote'
  for (const log of remote) if (!(await isPrefix(index, log))) return 'remote'
  return undefined
}

async function isPrefix(index: TreeIndex, log: ReadableLog): Promise<boolean> {
  const cursor = index.cursor(log.key)
  if (cursor.length === 0) return true
  return cursor.length <= log.length && hasHistory(log, cursor)
}

/** @returns the entry, or undefined when it is damaged or missing. @throws {SyncError} otherwise */
export async function readEntry(
  log: ReadableLog,
  index: number,
  sealer: Sealer
): Promise<Entry | undefined> {
  try {
    return openEntry(await log.get(index), { log: log.key, index, sealer })
  } catch (error) {
    if (error instanceof SyncError && DAMAGE.has(error.code)) return undefined
    throw error
  }
}

const DAMAGE: ReadonlySet<string> = new Set(['DAMAGED', 'MISSING', 'MALFORMED'])
