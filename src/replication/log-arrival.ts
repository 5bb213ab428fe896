/**
 * Waiting for what other computers send of a log.
 *
 * Hypercore asks for what is wanted, a bounded number of blocks at a time, of every peer that has
 * them, and verifies what comes. Here is what ends the waiting: everything is stored, nothing came
 * for too long, the disk is full, the log is replicated no more, or nobody wants it any more.
 *
 * @module
 */
import type { Clock, Timer } from '../sync/clock.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { BringOptions } from './kept-logs.ts'
import type { ArrivedBlock, CoreNews, ReplicatedCore } from './replicated-core.ts'

/** How to wait. */
export interface ArrivalOptions extends BringOptions {
  /** Time. */
  readonly clock: Clock
}

/**
 * Brings blocks here; those that are stored are left.
 *
 * @param indexes - ascending
 * @returns how large those are that came, in bytes
 * @throws {SyncError} see `KeptLogs.bring`
 */
export async function bringBlocks(
  core: ReplicatedCore,
  indexes: readonly number[],
  options: ArrivalOptions
): Promise<ReadonlyMap<number, number>> {
  const came = new Map<number, number>()
  const missing = new Set(indexes.filter(index => !core.has(index)))
  const pushed = core.takePushed(missing)
  if (pushed !== undefined) {
    for (const { index, bytes } of await pushed) came.set(index, bytes)
    // Others may have come meanwhile, when nobody watched.
    for (const index of missing) if (core.has(index)) missing.delete(index)
  }
  if (missing.size === 0) return came
  const unwant = core.isFrozen ? () => undefined : core.want([...missing])
  try {
    await waitFor(core, options, {
      isThere: block => {
        if (block !== undefined && missing.delete(block.index)) came.set(block.index, block.bytes)
        return missing.size === 0
      },
      isOffered: () => [...missing].some(index => core.isOffered(index))
    })
    return came
  } finally {
    unwant()
  }
}

/**
 * Waits until a log that is followed is stored from 0 on up to a length.
 *
 * @throws {SyncError} see `KeptLogs.arrived`
 */
export async function awaitEntries(
  core: ReplicatedCore,
  length: number,
  options: ArrivalOptions
): Promise<void> {
  if (core.contiguousLength >= length) return
  await waitFor(core, options, {
    isThere: () => core.contiguousLength >= length,
    isOffered: () => core.isOffered(length - 1)
  })
}

/** What is waited for. */
interface Awaited {
  /** Whether it is all there; asked when a block arrived. */
  readonly isThere: (block?: ArrivedBlock) => boolean
  /** Whether a peer says that it has what is missing. */
  readonly isOffered: () => boolean
}

async function waitFor(
  core: ReplicatedCore,
  { clock, signal, idleMs }: ArrivalOptions,
  { isThere, isOffered }: Awaited
): Promise<void> {
  if (signal?.aborted === true) throw interrupted()
  if (core.isFrozen) throw ended(core)
  if (core.isStarved) throw starved()
  let stop = (): void => undefined
  try {
    await new Promise<void>((resolve, reject) => {
      const beLate = (): void => reject(isOffered() ? timedOut() : unreachable())
      let idle: Timer = clock.after(idleMs, beLate)
      const unwatch = core.watch((news: CoreNews, block?: ArrivedBlock) => {
        if (news === 'starved') return reject(starved())
        if (news === 'ended') return reject(ended(core))
        if (isThere(block)) return resolve()
        idle.cancel()
        idle = clock.after(idleMs, beLate)
      })
      const abort = (): void => reject(interrupted())
      signal?.addEventListener('abort', abort, { once: true })
      stop = () => {
        idle.cancel()
        unwatch()
        signal?.removeEventListener('abort', abort)
      }
    })
  } finally {
    stop()
  }
}

function ended(core: ReplicatedCore): SyncError {
  return core.isFrozen ? unreachable() : new SyncError('CLOSED', 'the home was closed')
}

function starved(): SyncError {
  return new SyncError('NO_SPACE', 'there is no room for what peers send')
}

function timedOut(): SyncError {
  return new SyncError('TIMED_OUT', 'a peer has the blocks and did not deliver them in time')
}

function unreachable(): SyncError {
  return new SyncError('UNREACHABLE', 'no connected peer has the blocks')
}

function interrupted(): SyncError {
  return new SyncError('INTERRUPTED', 'nobody waits for the blocks any more')
}
