/**
 * What an fsync waits for beyond this disk, where a directory asks for it.
 *
 * @module
 */
import type { BlockPlace } from '../sync/content-index.ts'
import type { CustodyView } from '../sync/custody-view.ts'
import type { Replica } from '../sync/replica.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { WaitSignal } from './vfs.ts'

/** How many blocks of a file are gathered before others have their turn. */
export const BLOCKS_PER_TURN = 4096

/** What an fsync has at hand. All of it is borrowed. */
export interface DurableElsewhereParts {
  /** The drive. */
  readonly replica: Pick<Replica, 'durabilityOf' | 'redundancyOf' | 'blocksOf'>
  /** Knows when others have what is asked for. */
  readonly custody: Pick<CustodyView, 'whenDurable'>
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>
}

/**
 * Waits until what was executed so far, and the blocks of an inode, are on as many other disks as
 * its durability asks for. They are durable here already, and stay so when this fails.
 *
 * @param ino - one that others know of
 * @param signal - ends the wait; only asked for when there is one
 * @throws {SyncError} `TIMED_OUT` when the disks did not answer in time, `INTERRUPTED`
 */
export async function durableElsewhere(
  parts: DurableElsewhereParts,
  ino: number,
  signal?: WaitSignal
): Promise<void> {
  const { replica, custody } = parts
  const durability = replica.durabilityOf(ino)
  if (durability === 'local') return
  const redundancy = replica.redundancyOf(ino)
  const blocks: BlockPlace[] = []
  for (const place of replica.blocksOf(ino)) {
    if (blocks.push(place) % BLOCKS_PER_TURN === 0) await parts.pause()
  }
  const durable = custody.whenDurable({ durability, redundancy, blocks })
  await (signal === undefined ? durable : unlessAborted(durable, signal()))
}

async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  let stop = (): void => undefined
  const aborted = new Promise<void>((_, reject) => {
    stop = () => reject(new SyncError('INTERRUPTED', 'whoever asked gave up'))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
  })
  try {
    await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
