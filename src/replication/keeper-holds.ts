/**
 * Keeping blocks for a person: bringing them here, counting them, signing for them, and giving up
 * what can no longer be read.
 *
 * What comes is kept and signed for even when the rest does not come or does not fit, so that a
 * device that asks again goes on where it was. Before anything is brought it is noted, so that
 * after a crash nothing stays on the disk that nobody was promised.
 *
 * @module
 */
import {
  difference,
  emptyBitmap,
  hasBit,
  indexesOf,
  intersection,
  isEmptyBitmap,
  isSubset,
  setBit,
  union,
  type BlockSet
} from '../sync/block-bitmap.ts'
import type { Change } from '../sync/key-value-store.ts'
import { logKey, type LogKey } from '../sync/log.ts'
import { SyncError } from '../sync/sync-error.ts'
import { placeKey, type KeeperRecords, type WindowPlace } from './keeper-records.ts'
import type { KeeperSpace } from './keeper-space.ts'
import type { KeptLogs } from './kept-logs.ts'
import type { ReceiptBook } from './receipt-book.ts'
import { ReplicationError } from './replication-error.ts'
import { SerialTurns } from './serial-turns.ts'

/** For how many windows of one person blocks are brought at a time. */
export const HOLDS_MAX = 8

/** About how many windows of one person something is done at a time. */
export const WINDOWS_MAX = 1024

/** How many blocks are brought before their sizes are looked at. */
export const BRING_BLOCKS_MAX = 256

/** How many of them while nothing is known of their sizes. */
export const FIRST_BRING_BLOCKS = 16

/** How long blocks are waited for while none comes, in milliseconds. */
export const BRING_IDLE_MS = 30_000

/** What holds work with; all borrowed. */
export interface KeeperHoldsParts {
  /** Where it is remembered what is being brought. */
  readonly records: KeeperRecords
  /** The person's logs. */
  readonly logs: KeptLogs
  /** What is under receipt. */
  readonly book: ReceiptBook
  /** What is counted. */
  readonly space: KeeperSpace
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** Whether more is kept for the person, apart from the room that there is. */
  readonly acceptsMore: () => boolean
}

/** Blocks of a window that are being brought. */
interface Bringing extends WindowPlace {
  readonly isContent: boolean
  /** Those that have come, and how large each is. */
  readonly sizes: Map<number, number>
  readonly signal: AbortSignal
}

/** See the module. */
export class KeeperHolds {
  readonly #parts: KeeperHoldsParts
  /** One thing at a time about a window; what takes long is limited apart. */
  readonly #turns = new SerialTurns(WINDOWS_MAX)
  readonly #brings = new SerialTurns(HOLDS_MAX)
  #holdCount = 0

  /** @param parts - borrowed */
  constructor(parts: KeeperHoldsParts) {
    this.#parts = parts
  }

  /**
   * Keeps blocks, besides those of the window that are kept already.
   *
   * @returns a fresh receipt for all that is kept of the window
   * @throws {ReplicationError} `FULL`, `IMBALANCE`, `UNAVAILABLE`; what came until then is kept
   * @throws {SyncError} of the disk
   */
  hold(blocks: BlockSet, signal: AbortSignal): Promise<Uint8Array> {
    if (!this.#parts.logs.isKnown(blocks.log))
      return Promise.reject(new ReplicationError('UNAVAILABLE', 'the log is not known here'))
    const name = String(this.#holdCount++)
    return this.inTurn(blocks, () => this.#brings.run(name, () => this.#hold(blocks, signal)))
  }

  /**
   * Gives up those of some blocks under receipt that cannot be read, and signs for the rest.
   *
   * @throws {SyncError} of the disk
   */
  giveUpDamaged(blocks: BlockSet): Promise<void> {
    return this.inTurn(blocks, async () => {
      const { book } = this.#parts
      const lost = emptyBitmap()
      const kept = intersection(blocks.bitmap, book.kept(blocks))
      for (const index of indexesOf({ ...blocks, bitmap: kept }))
        if ((await this.#readableBytes(blocks.log, index)) === undefined) setBit(lost, index)
      if (isEmptyBitmap(lost)) return
      await this.#remove({ ...blocks, bitmap: lost })
      await this.#forgetDamaged({ ...blocks, bitmap: lost })
    })
  }

  /**
   * Keeps blocks no more; call it in the turn of their window.
   *
   * @returns the receipt for the rest
   */
  async drop(blocks: BlockSet): Promise<Uint8Array> {
    // Noted first: a crash in between leaves blocks that nobody is promised.
    const { records, identity } = this.#parts
    const pending = this.#pending(blocks)
    const bitmap = union(pending, blocks.bitmap)
    const place = placeKey(blocks)
    const receipt = await this.#remove(blocks, [records.pending.put({ bitmap }, identity, place)])
    await this.#forget(blocks)
    await this.#settle(blocks)
    return receipt
  }

  /** Does something about a window while nothing else is done about it. */
  inTurn<T>(place: WindowPlace, work: () => Promise<T>): Promise<T> {
    return this.#turns.run(Buffer.from(placeKey(place)).toString('hex'), work)
  }

  /** Forgets what a crash left behind. @throws {SyncError} */
  async recover(): Promise<void> {
    const { records, identity } = this.#parts
    const places = [...records.pending.rows([identity])].map(({ rest }) => placeOf(rest))
    for (const place of places)
      if (this.#parts.logs.isKnown(place.log)) await this.inTurn(place, () => this.#settle(place))
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.#turns.whenIdle()
  }

  async #hold(blocks: BlockSet, signal: AbortSignal): Promise<Uint8Array> {
    const { book, logs, space } = this.#parts
    const { log, window } = blocks
    const missing = difference(blocks.bitmap, book.kept(blocks))
    const isContent = this.#isContent(log)
    const bringing: Bringing = { log, window, isContent, sizes: new Map(), signal }
    if (isEmptyBitmap(missing)) return this.#sign(bringing)
    if (isContent && !this.#parts.acceptsMore())
      throw new ReplicationError('IMBALANCE', 'more is kept for you than you keep in return')
    await this.#notePending(blocks, difference(missing, logs.stored(log, window)))
    const failure = await failureOf(this.#bring(bringing, missing))
    let receipt: Uint8Array | undefined
    try {
      if (bringing.sizes.size > 0) {
        await logs.sync()
        receipt = await this.#sign(bringing, this.#pendingRows(bringing))
      }
    } finally {
      if (isContent) for (const bytes of bringing.sizes.values()) space.release(bytes)
    }
    await this.#settle(blocks)
    if (failure !== undefined) throw failure
    if (receipt === undefined) throw new ReplicationError('UNAVAILABLE', 'no block came')
    return receipt
  }

  async #bring(bringing: Bringing, missing: Uint8Array): Promise<void> {
    const { logs } = this.#parts
    const { log, window, sizes, signal } = bringing
    const indexes = [...indexesOf({ window, bitmap: missing })]
    let isComplete = true
    for (let at = 0; at < indexes.length;) {
      const piece = indexes.slice(at, at + this.#pieceCount(sizes))
      at += piece.length
      const asked = { log, window, bitmap: bitmapOf(piece) }
      let came: ReadonlyMap<number, number> = new Map()
      const failure = await failureOf(
        logs.bring(asked, { signal, idleMs: BRING_IDLE_MS }).then(all => (came = all))
      )
      const stored = logs.stored(log, window)
      for (const index of piece) {
        const isHere = hasBit(stored, index)
        if (isHere && !(await this.#count(bringing, index, came.get(index)))) isComplete = false
      }
      if (failure !== undefined) throw failure
    }
    if (!isComplete) throw new ReplicationError('UNAVAILABLE', 'some blocks cannot be read here')
  }

  /**
   * @param arrived - its size when it came just now; else it is read, as it may have gone bad
   * @returns false when the block cannot be read, although it was said to be here
   */
  async #count(
    { log, window, isContent, sizes, signal }: Bringing,
    index: number,
    arrived: number | undefined
  ): Promise<boolean> {
    const { logs, space } = this.#parts
    let bytes = arrived ?? (await this.#readableBytes(log, index))
    if (bytes === undefined) {
      // It was stored before and has gone bad since: it comes anew.
      const block = { log, window, bitmap: bitmapOf([index]) }
      await this.#notePending(block, block.bitmap)
      await this.#forgetDamaged(block)
      await logs.bring(block, { signal, idleMs: BRING_IDLE_MS })
      bytes = await this.#readableBytes(log, index)
    }
    if (bytes === undefined) return false
    if (isContent && !space.reserve(bytes)) throw new ReplicationError('FULL', fullText(space))
    sizes.set(index, bytes)
    return true
  }

  /** So many that they fit if they are like those that came; one at a time near the end. */
  #pieceCount(sizes: ReadonlyMap<number, number>): number {
    if (sizes.size === 0) return FIRST_BRING_BLOCKS
    const largest = Math.max(...sizes.values())
    const fitting = Math.floor(this.#parts.space.freeBytes / largest)
    return Math.min(BRING_BLOCKS_MAX, Math.max(1, fitting))
  }

  #sign(
    { log, window, isContent, sizes }: Bringing,
    rows: readonly Change[] = []
  ): Promise<Uint8Array> {
    const removed = emptyBitmap()
    return this.#parts.book.record({ log, window, added: sizes, removed, isContent, rows })
  }

  /** Removes the note of what was being brought with the receipt, if it is all under receipt then. */
  #pendingRows(bringing: Bringing): readonly Change[] {
    const { records, identity, book } = this.#parts
    const kept = union(book.kept(bringing), bitmapOf([...bringing.sizes.keys()]))
    if (!isSubset(this.#pending(bringing), kept)) return []
    return [records.pending.remove(identity, placeKey(bringing))]
  }

  #remove({ log, window, bitmap }: BlockSet, rows: readonly Change[] = []): Promise<Uint8Array> {
    const isContent = this.#isContent(log)
    const added = new Map<number, number>()
    return this.#parts.book.record({ log, window, added, removed: bitmap, isContent, rows })
  }

  #isContent(log: LogKey): boolean {
    return !this.#parts.logs.operationLogs().includes(log)
  }

  /** How large a block is; undefined when it cannot be read, now or later. */
  async #readableBytes(log: LogKey, index: number): Promise<number | undefined> {
    try {
      return (await this.#parts.logs.read(log, index)).length
    } catch (error) {
      if (isUnreadable(error)) return undefined
      throw error
    }
  }

  /** What cannot be read can only come anew once it is forgotten, entries of operation logs too. */
  async #forgetDamaged(blocks: BlockSet): Promise<void> {
    const { logs } = this.#parts
    if (logs.isOwnCopy !== true) await logs.forget(blocks)
  }

  /**
   * Forgets blocks durably, so that no loss of power brings them back. Operation logs stay whole,
   * and an own copy is not ours to forget.
   */
  async #forget(blocks: BlockSet): Promise<void> {
    const { logs } = this.#parts
    if (logs.isOwnCopy === true || !this.#isContent(blocks.log)) return
    await logs.forget(blocks)
    await logs.sync()
  }

  #pending(place: WindowPlace): Uint8Array {
    const { records, identity } = this.#parts
    return records.pending.get(identity, placeKey(place))?.bitmap ?? emptyBitmap()
  }

  async #notePending(place: WindowPlace, bitmap: Uint8Array): Promise<void> {
    if (isEmptyBitmap(bitmap)) return
    const { records, identity } = this.#parts
    const all = union(this.#pending(place), bitmap)
    await records.commit([records.pending.put({ bitmap: all }, identity, placeKey(place))])
  }

  /** Forgets what was brought and is not under receipt. */
  async #settle(place: WindowPlace): Promise<void> {
    const { records, identity, logs, book } = this.#parts
    const { log, window } = place
    const pending = this.#pending(place)
    if (isEmptyBitmap(pending)) return
    const stored = intersection(pending, logs.stored(log, window))
    const bitmap = difference(stored, book.kept(place))
    if (!isEmptyBitmap(bitmap)) await this.#forget({ log, window, bitmap })
    await records.commit([records.pending.remove(identity, placeKey(place))])
  }
}

/** Whether a block cannot be read, now or later, as opposed to a disk that fails for now. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof SyncError && (error.code === 'MISSING' || error.code === 'DAMAGED')
}

async function failureOf(work: Promise<unknown>): Promise<Error | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error('no error was thrown', { cause: error })
  }
}

function bitmapOf(indexes: readonly number[]): Uint8Array {
  const bitmap = emptyBitmap()
  for (const index of indexes) setBit(bitmap, index)
  return bitmap
}

function placeOf(key: Uint8Array): WindowPlace {
  const bytes = Buffer.from(key)
  const log = logKey(bytes.subarray(0, -4).toString('hex'))
  return { log, window: bytes.readUInt32BE(bytes.length - 4) }
}

function fullText({ quotaBytes, usedBytes }: KeeperSpace): string {
  return `no room: ${usedBytes} of ${quotaBytes} bytes are in use`
}
