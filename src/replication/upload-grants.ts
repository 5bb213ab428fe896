/**
 * Who is served which blocks.
 *
 * Whoever is connected to a content log is served all of it, but for those that are limited: a
 * holder is told of, and given, only the blocks that it was asked to keep and while it has not
 * signed for them yet. A block under receipt is never served back to its holder, who could pass
 * every audit with it and keep nothing.
 *
 * @module
 */
import {
  difference,
  emptyBitmap,
  hasBit,
  isEmptyBitmap,
  union,
  windowOf,
  type BlockSet
} from '../sync/block-bitmap.ts'
import type { LogKey } from '../sync/log.ts'

/** How many peers may be limited at a time. */
export const LIMITED_PEERS_MAX = 1024

/** Of how many windows one peer may be granted blocks at a time. */
export const GRANTED_WINDOWS_MAX = 1024

/** Lets one limited peer have blocks of ours. */
export interface UploadDoor {
  /** Lets it have them from now on. */
  grant(blocks: BlockSet): void
  /** No more: it has signed for them, or was given up. */
  withdraw(blocks: BlockSet): void
  /** Sends it granted blocks unasked, if there are no more than a few; many it has to ask for. */
  push(blocks: readonly BlockSet[]): BlocksOnTheirWay
}

/** Blocks that are being sent unasked. */
export interface BlocksOnTheirWay {
  /** When they are sent, as far as they can be. Never rejects. */
  readonly sent: Promise<unknown>
  /** No more are sent. */
  end(): void
}

/** So many blocks are sent unasked with one request. */
export const PUSHED_TO_HOLDER_MAX = 8

/** One window of one log and the blocks of it that may be had. */
type Grants = Map<LogKey, Map<number, Uint8Array>>

/** Which peers are limited, and what they are granted. Peers are named by their network keys. */
export class UploadGrants {
  /** Told in the same tick when a limited peer may have other blocks of a window than before. */
  onChange: (publicKey: Uint8Array, blocks: BlockSet) => void = () => undefined
  readonly #peers = new Map<string, Grants>()

  /**
   * Limits a peer from its next connection on, to nothing at first. Idempotent.
   *
   * @throws {RangeError} when more than {@link LIMITED_PEERS_MAX} are limited
   */
  limit(publicKey: Uint8Array): void {
    const id = idOf(publicKey)
    if (this.#peers.has(id)) return
    if (this.#peers.size === LIMITED_PEERS_MAX) throw new RangeError('too many limited peers')
    this.#peers.set(id, new Map())
  }

  /** Undoes {@link UploadGrants.limit} from its next connection on. */
  unlimit(publicKey: Uint8Array): void {
    this.#peers.delete(idOf(publicKey))
  }

  /** Whether a peer is limited. */
  isLimited(publicKey: Uint8Array): boolean {
    return this.#peers.has(idOf(publicKey))
  }

  /**
   * Lets a limited peer have blocks, besides those that it may have already.
   *
   * @throws {RangeError} when it is not limited, or has grants of {@link GRANTED_WINDOWS_MAX}
   */
  grant(publicKey: Uint8Array, blocks: BlockSet): void {
    const { log, window, bitmap } = blocks
    const grants = this.#peers.get(idOf(publicKey))
    if (grants === undefined) throw new RangeError('the peer is not limited')
    const windows = grants.get(log) ?? new Map<number, Uint8Array>()
    if (!windows.has(window) && windowCount(grants) === GRANTED_WINDOWS_MAX)
      throw new RangeError('too many windows are granted')
    grants.set(log, windows)
    this.#set(publicKey, windows, {
      log,
      window,
      bitmap: union(windows.get(window) ?? emptyBitmap(), bitmap)
    })
  }

  /** Lets a peer have blocks no more. */
  withdraw(publicKey: Uint8Array, blocks: BlockSet): void {
    const { log, window, bitmap } = blocks
    const grants = this.#peers.get(idOf(publicKey))
    const windows = grants?.get(log)
    const granted = windows?.get(window)
    if (windows === undefined || granted === undefined) return
    this.#set(publicKey, windows, { log, window, bitmap: difference(granted, bitmap) })
    if (windows.size === 0) grants?.delete(log)
  }

  /** Which blocks of a log a peer was granted, by window. */
  granted(publicKey: Uint8Array, log: LogKey): readonly BlockSet[] {
    const windows = this.#peers.get(idOf(publicKey))?.get(log) ?? []
    return [...windows].map(([window, bitmap]) => ({ log, window, bitmap }))
  }

  /** Whether a peer may have a block: it was granted, or the peer is not limited. */
  mayUpload(publicKey: Uint8Array, log: LogKey, index: number): boolean {
    const grants = this.#peers.get(idOf(publicKey))
    if (grants === undefined) return true
    const bitmap = grants.get(log)?.get(windowOf(index))
    return bitmap !== undefined && hasBit(bitmap, index)
  }

  #set(publicKey: Uint8Array, windows: Map<number, Uint8Array>, blocks: BlockSet): void {
    if (isEmptyBitmap(blocks.bitmap)) windows.delete(blocks.window)
    else windows.set(blocks.window, blocks.bitmap)
    this.onChange(publicKey, blocks)
  }
}

function windowCount(grants: Grants): number {
  let count = 0
  for (const windows of grants.values()) count += windows.size
  return count
}

function idOf(publicKey: Uint8Array): string {
  return Buffer.from(publicKey).toString('hex')
}
