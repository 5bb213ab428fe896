/**
 * Reads and authenticates all that a replica holds: every entry of its operation logs, every row
 * of the tree and every block that a file uses.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import type { Sealer } from '../crypto/sealer.ts'
import type { InodeRecord } from './inode-record.ts'
import type { LogKey, ReadableLog } from './log.ts'
import type { BlockPlace } from './content-index.ts'
import { readEntry } from './log-pair.ts'
import type { DamagedEntry } from './merger.ts'
import { PATH_NAMES_MAX } from './path-of.ts'
import { SyncError } from './sync-error.ts'
import { ROOT_INO, type TreeIndex } from './tree-index.ts'

/** Something that does not authenticate. */
export interface Damage {
  /** The file, from the root of the drive, as bytes (latin1); of what is no file, a description. */
  readonly path: string
  /** What is wrong, for people. */
  readonly reason: string
}

/** How to verify. */
export interface VerifyOptions {
  /** Told how many entries and files are done; the total is an estimate that may grow. */
  readonly onProgress: (done: number, total: number) => void
  /** Set to stop early. */
  readonly signal?: { readonly aborted: boolean }
}

/** What is verified. */
export interface VerifyParts {
  /** The tree. */
  readonly index: TreeIndex
  /** Every operation log that is held here, others' too. */
  readonly operationLogs: readonly ReadableLog[]
  /** Opens entries of a log. */
  readonly entrySealerOf: (log: LogKey) => Sealer
  /** Whether a block is held here. */
  readonly hasBlock: (block: BlockPlace) => boolean
  /** Reads and authenticates a block that is held here, not from a cache. */
  readonly readBlock: (block: BlockPlace & { readonly hash?: Uint8Array }) => Promise<Uint8Array>
  /** How. */
  readonly options: VerifyOptions
}

/** Yields every damage it finds; nothing when all is well. */
export async function* verifyReplica(parts: VerifyParts): AsyncGenerator<Damage> {
  const { options, index } = parts
  let total = parts.operationLogs.reduce((sum, log) => sum + log.length, 0)
  let done = 0
  const step = (): boolean => {
    options.onProgress(++done, total)
    return options.signal?.aborted === true
  }
  const stepMore = (): boolean => {
    total += 1
    return step()
  }
  const damaged = new Map<string, DamagedEntry>()
  for (const log of parts.operationLogs) {
    const sealer = parts.entrySealerOf(log.key)
    for (let at = 0; at < log.length; at++) {
      if (!(await isReadable(log, at, sealer)))
        damaged.set(`${log.key}/${at}`, { log: log.key, index: at })
      if (step()) return
    }
  }
  if (damaged.size > 0) yield* damagedEntries(index, damaged)
  for (const { path, record, reason } of walk(index)) {
    if (record === undefined) yield { path, reason: reason ?? 'its row in the index is damaged' }
    else yield* damagedContent(parts, path, record)
    if (stepMore()) return
  }
  yield* damagedHistory(parts, stepMore)
}

/** Whether an entry authenticates; one of a newer grove is as sound as any. */
async function isReadable(log: ReadableLog, index: number, sealer: Sealer): Promise<boolean> {
  try {
    return (await readEntry(log, index, sealer)) !== undefined
  } catch (error) {
    if (error instanceof SyncError && error.code === 'NEWER_FORMAT') return true
    throw error
  }
}

/** Blocks of earlier versions are still promised, until `history.keep` has passed. */
async function* damagedHistory(parts: VerifyParts, step: () => boolean): AsyncGenerator<Damage> {
  for (const block of parts.index.content.supersededBefore(Infinity, Infinity)) {
    try {
      if (parts.index.content.isRecorded(block) && parts.hasBlock(block)) {
        await parts.readBlock(block)
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      const reason = `block ${block.index} of an earlier version is damaged: ${error.message}`
      yield { path: '(an earlier version)', reason }
    }
    if (step()) return
  }
}

/** Names the files that damaged entries made or last wrote, and those entries that no file is of. */
function* damagedEntries(
  index: TreeIndex,
  damaged: ReadonlyMap<string, DamagedEntry>
): Iterable<Damage> {
  const unnamed = new Map(damaged)
  for (const { path, record } of walk(index)) {
    const keys = record ? [record.id, record.version].map(id => `${id.log}/${id.index}`) : []
    for (const key of new Set(keys)) {
      const entry = damaged.get(key)
      if (entry === undefined) continue
      unnamed.delete(key)
      yield { path, reason: reasonOf(entry) }
    }
  }
  for (const entry of unnamed.values()) {
    yield { path: `(entry ${entry.index})`, reason: reasonOf(entry) }
  }
}

function reasonOf(entry: DamagedEntry): string {
  return `entry ${entry.index} of an operation log is damaged`
}

async function* damagedContent(
  parts: VerifyParts,
  path: string,
  record: InodeRecord
): AsyncGenerator<Damage> {
  const { content } = parts.index
  const seen = new Set<string>()
  try {
    if (parts.index.xattrsOf(record.ino).size !== record.xattrs) {
      throw parts.index.inconsistent('an attribute is missing')
    }
    parts.index.checkAllocated(record)
    for (const run of content.everyRun(record.ino)) {
      if (run.kind === 'inline') {
        content.inlineBytes(record.ino, { from: run.offset, to: run.offset + run.length })
        continue
      }
      const key = `${run.log}/${run.index}`
      if (!seen.has(key) && parts.hasBlock(run)) await parts.readBlock(run)
      seen.add(key)
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    yield { path, reason: `its content is damaged: ${error.message}` }
  }
}

interface Visit {
  readonly path: string
  readonly record: InodeRecord | undefined
  readonly reason?: string
}

/** Every name of the tree, depth first. */
function* walk(index: TreeIndex): Iterable<Visit> {
  const stack: { ino: number; path: string; depth: number }[] = [
    { ino: ROOT_INO, path: '', depth: 0 }
  ]
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { ino, path, depth } = next
    try {
      const record = index.inode(ino)
      yield { path: path === '' ? '/' : path, record }
      if (record.kind !== 'directory' || depth >= PATH_NAMES_MAX) continue
      const names = index.list(ino)
      if (names.size !== record.children) throw index.inconsistent('a name is missing')
      for (const name of names.values()) {
        stack.push({ ino: name.ino, path: `${path}/${name.name}`, depth: depth + 1 })
      }
    } catch (error) {
      if (!isDamage(error)) throw error
      yield {
        path: path === '' ? '/' : path,
        record: undefined,
        reason: `its row in the index is damaged: ${error.message}`
      }
    }
  }
}

function isDamage(error: unknown): error is SyncError | CryptoError {
  return error instanceof CryptoError || (error instanceof SyncError && error.code !== 'CLOSED')
}
