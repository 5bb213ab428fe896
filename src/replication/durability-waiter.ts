/**
 * Waits until what was written is on the disks of other computers: the operations up to now, with
 * their causal past, and the blocks of a file.
 *
 * As many computers as are needed are asked at once, and one more; those that have the blocks
 * already first. Who fails is replaced by the next, also by one that connects meanwhile.
 *
 * @module
 */
import {
  blockSetsOf,
  difference,
  emptyBitmap,
  hasBit,
  isEmptyBitmap,
  isSubset,
  windowOf
} from '../sync/block-bitmap.ts'
import type { BlockSet } from '../sync/block-bitmap.ts'
import { logKey } from '../sync/log.ts'
import type { LogKey } from '../sync/log.ts'
import type { Durability, Redundancy } from '../sync/redundancy.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { CustodianParts } from './custodian-parts.ts'
import type { LogBlock } from '../sync/content-needs.ts'
import type { CustodyBook } from './custody-book.ts'
import type { DurablePart, HolderLink, KeeperId } from './holder-link.ts'
import type { RosterEntry } from './keeper-roster.ts'
import { HOLD_BLOCKS_MAX, scoreOf } from './placement.ts'
import { nowMs } from './wall-time.ts'

/** How long it waits at most, in milliseconds. */
export const DURABLE_MS_MAX = 30_000
/** How many computers more than are needed are asked at once. */
export const DURABLE_SPARES = 1
/** How many calls may wait at a time. */
export const DURABLE_WAITERS_MAX = 4096

/** What is to be on other disks. */
export interface DurableRequest {
  /** How many disks. */
  readonly durability: Exclude<Durability, 'local'>
  /** How many copies `level` means here. */
  readonly redundancy: Redundancy
  /** The blocks of the file. */
  readonly blocks: Iterable<LogBlock>
}

/** What a waiter works with; all borrowed. */
export interface DurabilityWaiterParts extends Pick<
  CustodianParts,
  'clock' | 'own' | 'device' | 'operationLogs'
> {
  /** What is known. */
  readonly book: CustodyBook
}

/** One call that waits. */
interface Waiting {
  readonly part: DurablePart
  readonly need: number
  readonly abort: AbortController
  readonly machines: Set<string>
  /** Who is being asked. */
  readonly asked: Map<KeeperId, HolderLink>
  /** Who failed over which connection: it is not asked again over the same. */
  readonly failed: Set<HolderLink>
  readonly done: () => void
}

/** See the module. */
export class DurabilityWaiter {
  readonly #parts: DurabilityWaiterParts
  readonly #waiting = new Set<Waiting>()
  #isClosed = false

  /** @param parts - borrowed */
  constructor(parts: DurabilityWaiterParts) {
    this.#parts = parts
  }

  /**
   * Waits.
   *
   * @throws {SyncError} `TIMED_OUT`, `CLOSED`
   */
  async wait({ durability, redundancy, blocks }: DurableRequest): Promise<void> {
    const { own, operationLogs, clock } = this.#parts
    const need = durability === 'peer' ? 1 : redundancy.copies - (own.counts ? 1 : 0)
    if (need <= 0) return
    if (this.#isClosed) throw new SyncError('CLOSED', 'custody was closed')
    if (this.#waiting.size >= DURABLE_WAITERS_MAX)
      throw new SyncError('TIMED_OUT', 'too many calls wait for other disks')
    const part = { logs: new Map(operationLogs()), blocks: setsOf(blocks) }
    const abort = new AbortController()
    let timedOut = false
    await new Promise<void>(resolve => {
      const waiting: Waiting = {
        ...{ part, need, abort, machines: new Set(), asked: new Map(), failed: new Set() },
        done: () => {
          timer.cancel()
          this.#waiting.delete(waiting)
          abort.abort()
          resolve()
        }
      }
      const timer = clock.after(DURABLE_MS_MAX, () => {
        timedOut = true
        waiting.done()
      })
      this.#waiting.add(waiting)
      this.#ask(waiting)
    })
    if (timedOut) throw new SyncError('TIMED_OUT', `fewer than ${need} other disks answered`)
    if (this.#isClosed) throw new SyncError('CLOSED', 'custody was closed')
  }

  /** Somebody came: it can be asked too. */
  retry(): void {
    for (const waiting of this.#waiting) this.#ask(waiting)
  }

  /** Whether a keeper is being asked to bring a block to its disk. */
  isComing(keeper: KeeperId, log: LogKey, index: number): boolean {
    for (const { asked, part } of this.#waiting) {
      if (!asked.has(keeper)) continue
      for (const blocks of part.blocks)
        if (blocks.log === log && blocks.window === windowOf(index) && hasBit(blocks.bitmap, index))
          return true
    }
    return false
  }

  /** Gives up all calls. Idempotent. */
  close(): void {
    this.#isClosed = true
    for (const { done } of [...this.#waiting]) done()
  }

  #ask(waiting: Waiting): void {
    const { book } = this.#parts
    const { need, machines, asked, failed } = waiting
    const busy = new Set([...asked.keys()].map(id => book.factsOf(id)?.machine))
    for (const entry of this.#inOrder(waiting)) {
      if (asked.size >= need - machines.size + DURABLE_SPARES) return
      const { link, info } = entry
      const machine = book.factsOf(info.id)?.machine ?? info.id
      if (link === undefined || failed.has(link) || machines.has(machine) || busy.has(machine))
        continue
      busy.add(machine)
      asked.set(info.id, link)
      void this.#askOne(waiting, link, machine)
    }
  }

  async #askOne(waiting: Waiting, link: HolderLink, machine: string): Promise<void> {
    const { need, abort, machines, asked, failed, done } = waiting
    try {
      await link.durable(this.#partOf(waiting, link.id), {
        signal: abort.signal,
        deadlineMs: DURABLE_MS_MAX
      })
      machines.add(machine)
    } catch {
      failed.add(link)
    }
    asked.delete(link.id)
    if (abort.signal.aborted) return
    if (machines.size >= need) done()
    else this.#ask(waiting)
  }

  /** It says itself whether it still has what it signed for; that is not sent to it ahead. */
  #partOf({ part: { logs, blocks } }: Waiting, keeper: KeeperId): DurablePart {
    const missing = blocks.map(({ log, window, bitmap }) => {
      const valid = this.#parts.book.validAt({ keeper, log, window }) ?? emptyBitmap()
      return { log, window, bitmap: difference(bitmap, valid) }
    })
    return { logs, blocks, unsigned: missing.filter(({ bitmap }) => !isEmptyBitmap(bitmap)) }
  }

  /** Who is on other machines and counts; those that have the blocks first. */
  #inOrder({ part }: Waiting): readonly RosterEntry[] {
    const { book, device, clock } = this.#parts
    const own = book.factsOf(device.id)?.machine
    const now = nowMs(clock)
    const [first] = part.blocks
    const place = {
      log: first?.log ?? logKey(device.id),
      stripe: ((first?.window ?? 0) * 1024) / HOLD_BLOCKS_MAX
    }
    return [...book.roster.all()]
      .filter(({ info, link }) => {
        const facts = book.factsOf(info.id)
        return link !== undefined && facts?.state === 'held' && facts.machine !== own
      })
      .map(entry => {
        const { id } = entry.info
        const free = Math.max(1, (entry.usage?.quotaBytes ?? 1) - (entry.usage?.usedBytes ?? 0))
        const reliability = entry.standing.reliabilityAt(now)
        const score = scoreOf({ id, freeBytes: free, reliability }, place)
        return { entry, score, hasBlocks: this.#hasAll(id, part.blocks) }
      })
      .toSorted((a, b) => Number(b.hasBlocks) - Number(a.hasBlocks) || b.score - a.score)
      .map(({ entry }) => entry)
  }

  #hasAll(keeper: KeeperId, blocks: readonly BlockSet[]): boolean {
    return blocks.every(({ log, window, bitmap }) => {
      const valid = this.#parts.book.validAt({ keeper, log, window })
      return valid !== undefined && isSubset(bitmap, valid)
    })
  }
}

/** Blocks of any logs as sets. */
export function setsOf(blocks: Iterable<LogBlock>): readonly BlockSet[] {
  const byLog = new Map<LogKey, number[]>()
  for (const { log, index } of blocks) {
    const indexes = byLog.get(log) ?? []
    byLog.set(log, indexes)
    indexes.push(index)
  }
  return [...byLog].flatMap(([log, indexes]) => blockSetsOf(log, indexes))
}
