/**
 * Has a keeper drop blocks that have copies enough elsewhere: it marks them, others lock theirs,
 * it drops. When anything goes wrong nothing was dropped, and it may be tried again later.
 *
 * @module
 */
import type { Receipt } from '../crypto/receipt.ts'
import { isSubset, type BlockSet } from '../sync/block-bitmap.ts'
import type { CustodianParts } from './custodian-parts.ts'
import type { CustodyBook } from './custody-book.ts'
import type { GrantedLock, HolderLink, KeeperId } from './holder-link.ts'
import { ReplicationError } from './replication-error.ts'

/** What an attempt works with; all borrowed. */
export interface DropAttemptParts extends Pick<CustodianParts, 'device' | 'signer' | 'own'> {
  /** What is known. */
  readonly book: CustodyBook
}

/** What is to be dropped. */
export interface DropRequest {
  /** By whom. */
  readonly link: HolderLink
  /** Which blocks. */
  readonly blocks: BlockSet
  /** Locks of so many others on distinct machines are needed. */
  readonly floor: number
  /** Gives up. */
  readonly signal: AbortSignal
}

/**
 * Drops blocks at a keeper.
 *
 * @returns its receipt for what it keeps of the window from now on
 * @throws {ReplicationError} `KEEP_LOCKED` when too few others could lock, and what a link throws
 */
export async function dropBlocks(parts: DropAttemptParts, request: DropRequest): Promise<Receipt> {
  const { link, blocks, floor, signal } = request
  const attempt = await link.mark(blocks, { signal })
  try {
    const locks = await collectLocks(parts, { ...request, attempt })
    if (locks.length < floor) throw new ReplicationError('KEEP_LOCKED', 'too few others keep it')
    return await link.drop(attempt, locks, { signal })
  } catch (error) {
    // Unmarked by itself in time, should this not arrive.
    await link.unmark(attempt).catch(() => undefined)
    throw error
  }
}

async function collectLocks(
  parts: DropAttemptParts,
  request: DropRequest & { readonly attempt: Uint8Array }
): Promise<readonly GrantedLock[]> {
  const { book } = parts
  const { link, blocks, floor, signal, attempt } = request
  const machines = new Set([book.factsOf(link.id)?.machine])
  const locks: GrantedLock[] = []
  for (const { id, lock } of lockersOf(parts, blocks)) {
    if (locks.length >= floor) break
    const machine = book.factsOf(id)?.machine
    if (machines.has(machine)) continue
    try {
      locks.push(await lock({ ...blocks, dropper: link.id, attempt }, signal))
      machines.add(machine)
    } catch {
      // Another may be free to.
    }
  }
  return locks
}

type Locking = BlockSet & { readonly dropper: KeeperId; readonly attempt: Uint8Array }

/** Who has all of the blocks and is here now: this device first. */
function* lockersOf(
  { book, own, device, signer }: DropAttemptParts,
  blocks: BlockSet
): Iterable<{
  readonly id: KeeperId
  readonly lock: (locking: Locking, signal: AbortSignal) => Promise<GrantedLock>
}> {
  if (own.counts && isSubset(blocks.bitmap, own.stored(blocks.log, blocks.window)))
    yield { id: device.id, lock: async locking => Promise.resolve(signer.lock(locking)) }
  for (const { info, link } of book.roster.all()) {
    const { log, window } = blocks
    const valid = book.validAt({ keeper: info.id, log, window })
    if (link === undefined || valid === undefined || !isSubset(blocks.bitmap, valid)) continue
    if (book.roster.stateOf(info.id) !== 'held') continue
    yield { id: info.id, lock: (locking, signal) => link.lock(locking, { signal }) }
  }
}
