/**
 * The next entries of one operation log, read and opened ahead of the merge: as many as a window
 * of bytes takes, in order.
 *
 * Reading is left to the log and runs in the background. Opening takes time of the event loop,
 * so it is done when {@link EntryQueue.open} is called, one entry after another.
 *
 * @module
 */
import type { Sealer } from '../crypto/sealer.ts'
import { decodeEntry } from './entry-codec.ts'
import type { EntryRow, MissingCause } from './entry-check.ts'
import type { Entry, Head } from './entry.ts'
import { ENTRY_BYTES_MAX, type LogKey, type ReadableLog } from './log.ts'
import { openBlock } from './open-block.ts'
import { SyncError } from './sync-error.ts'

/** How many entries of a log are read ahead at most. */
export const ENTRIES_AHEAD_MAX = 32
/** How many bytes of a log's entries are read ahead, as far as its last ones foretell it. */
export const ENTRY_BYTES_AHEAD = 2 * 1024 * 1024

/** What a queue needs. */
export interface EntryQueueParts {
  /** The log; borrowed. */
  readonly log: ReadableLog
  /** The content log that goes with it. */
  readonly contentLog: LogKey
  /** Whether this device wrote it. */
  readonly isOwn: boolean
  /** Index of the first entry that is not merged. */
  readonly from: number
  /** Opens its entries. */
  readonly sealer: Sealer
  /** Called when something was read. */
  readonly onRead: () => void
}

/** An entry that has been opened. */
export interface QueuedEntry {
  /** Its index. */
  readonly index: number
  /** Its content. */
  readonly entry: Entry
  /** What is kept of it, once all its causes are merged. */
  row: EntryRow | undefined
  /** Whether the histories that its heads name are those that are here. */
  histories: 'unknown' | 'asked' | 'same'
}

interface Slot {
  readonly index: number
  bytes: number
  sealed: Uint8Array | undefined
  error: Error | undefined
  queued: QueuedEntry | undefined
  isRead: boolean
}

/** Reads the entries of one log in order, some ahead. */
export class EntryQueue {
  /** The log. */
  readonly log: ReadableLog
  /** The content log that goes with it. */
  readonly contentLog: LogKey
  /** Whether this device wrote it. */
  readonly isOwn: boolean
  /** Why the next entry breaks the rules; nothing comes after it. */
  refusal: string | undefined
  /** What the next entry waits for, as far as that is known. */
  cause: MissingCause | undefined
  readonly #parts: EntryQueueParts
  #slots: Slot[] = []
  #index: number
  #bytesMax = 1
  #bytesAhead = 0

  /** @param parts - the log is borrowed */
  constructor(parts: EntryQueueParts) {
    this.#parts = parts
    this.log = parts.log
    this.contentLog = parts.contentLog
    this.isOwn = parts.isOwn
    this.#index = parts.from
  }

  /** Index of the next entry to be merged. */
  get index(): number {
    return this.#index
  }

  /** How many entries are here and not merged. */
  get remaining(): number {
    return this.log.length - this.#index
  }

  /** The next entry, once it was opened. */
  get front(): QueuedEntry | undefined {
    return this.#slots[0]?.queued
  }

  /** Why the next entry could not be read or opened. */
  get error(): Error | undefined {
    return this.#slots[0]?.error
  }

  /** Whether the next entry is being read, or waits to be opened. */
  get isBusy(): boolean {
    const [first] = this.#slots
    return first !== undefined && first.queued === undefined && first.error === undefined
  }

  /** How many bytes of sealed entries were read and not merged. */
  get bytesAhead(): number {
    return this.#bytesAhead
  }

  /** Starts reading up to the window. */
  readAhead(): void {
    if (this.refusal !== undefined || this.error !== undefined || this.cause) return
    const window = Math.max(1, Math.floor(ENTRY_BYTES_AHEAD / this.#bytesMax))
    const count = Math.min(window, ENTRIES_AHEAD_MAX, this.remaining)
    while (this.#slots.length < count) this.#read(this.#index + this.#slots.length)
  }

  /**
   * Opens entries that were read, in order.
   *
   * @param isTimeUp - asked before each but the first
   * @returns how many
   */
  open(isTimeUp: () => boolean): number {
    let count = 0
    for (const slot of this.#slots) {
      if (slot.queued) continue
      if (!slot.isRead || slot.error !== undefined || (count > 0 && isTimeUp())) break
      this.#open(slot)
      count += 1
    }
    return count
  }

  /** Removes the next entry: it was merged or passed over. */
  take(): void {
    const slot = this.#slots.shift()
    this.#bytesAhead -= slot?.bytes ?? 0
    this.#index += 1
  }

  /** Says that the next entry breaks the rules, and forgets those behind it. */
  refuse(reason: string): void {
    this.refusal = reason
    this.cause = undefined
    this.drop()
  }

  /** Says that the next entry cannot be judged now. */
  fail(error: Error): void {
    const [first] = this.#slots
    if (first === undefined) return
    first.queued = undefined
    first.error = error
  }

  /** Forgets what was read: it is read again when its turn comes. */
  drop(): void {
    this.#slots = []
    this.#bytesAhead = 0
  }

  #read(index: number): void {
    const slot: Slot = {
      ...{ index, bytes: 0, sealed: undefined, error: undefined },
      ...{ queued: undefined, isRead: false }
    }
    this.#slots.push(slot)
    this.log
      .get(index)
      .then(
        sealed => this.#arrived(slot, sealed),
        (error: unknown) => {
          slot.error = asError(error)
        }
      )
      .finally(() => {
        slot.isRead = true
        this.#parts.onRead()
      })
  }

  #arrived(slot: Slot, sealed: Uint8Array): void {
    // What was dropped meanwhile no longer counts.
    if (!this.#slots.includes(slot)) return
    slot.sealed = sealed
    slot.bytes = sealed.length
    this.#bytesAhead += sealed.length
    // Rises at once and falls slowly: a log of small entries may have a large one at any place.
    this.#bytesMax = Math.max(sealed.length, Math.ceil(this.#bytesMax * 0.9))
  }

  #open(slot: Slot): void {
    const { index, sealed } = slot
    if (sealed === undefined) return
    try {
      const entry = openEntry(sealed, { log: this.log.key, index, sealer: this.#parts.sealer })
      const isAlone = this.isOwn || entry.heads.length === 0
      slot.queued = { index, entry, row: undefined, histories: isAlone ? 'same' : 'unknown' }
      slot.sealed = undefined
    } catch (error) {
      slot.error = asError(error)
    }
  }
}

/**
 * Opens and decodes a sealed entry.
 *
 * @throws {SyncError} `DAMAGED` when it cannot be opened, `NEWER_FORMAT`, `MALFORMED`
 */
export function openEntry(
  sealed: Uint8Array,
  { log, index, sealer }: { readonly log: LogKey; readonly index: number; readonly sealer: Sealer }
): Entry {
  if (sealed.length > ENTRY_BYTES_MAX) throw new SyncError('MALFORMED', 'the entry is too large')
  return decodeEntry(openBlock(sealer, sealed, index), { log, index })
}

/** @returns whether a log has the history that a head names. @throws {SyncError} */
export async function hasHistory(log: ReadableLog, head: Head): Promise<boolean> {
  const ours = await log.treeHash(head.length)
  return (
    ours.length === head.treeHash.length && ours.every((byte, at) => byte === head.treeHash[at])
  )
}

/** What was thrown, as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('unexpected', { cause: thrown })
}
