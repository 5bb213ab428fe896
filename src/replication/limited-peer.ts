/**
 * A peer of a content core that is told of, and given, only what it was granted; see
 * `upload-grants.ts`.
 *
 * Hypercore tells every peer which blocks are here, and a peer asks only for those that it was
 * told of. So what a limited peer hears are the granted blocks of each window and nothing else:
 * what it may not have it does not ask for, and what it asks for all the same is answered with
 * "not here", after which its hypercore goes on with its other requests. (A request without an
 * answer would take one of its places for ever, and one that is answered so without saying again
 * which blocks are here would come back at once.)
 *
 * @module
 */
import { emptyBitmap, WINDOW_BLOCKS, windowOf, type BlockSet } from '../sync/block-bitmap.ts'
import type { LogKey } from '../sync/log.ts'
import type { CorePeer } from './core-slot.ts'
import type { BlocksOnTheirWay, UploadGrants } from './upload-grants.ts'

/** The number of a request that nobody made. */
const UNASKED = 0

/** Hypercore's reason for which the asker does not turn away from the peer for good. */
export const NO_REASON = 0

/** See the module. */
export class LimitedPeer {
  readonly #peer: CorePeer
  readonly #log: LogKey
  readonly #grants: UploadGrants
  #sending: Promise<void> = Promise.resolve()
  readonly #sendBitfield: CorePeer['wireBitfield']['send']

  /** @param peer - just opened; changed */
  constructor(peer: CorePeer, log: LogKey, grants: UploadGrants) {
    this.#peer = peer
    this.#log = log
    this.#grants = grants
    const { wireBitfield } = peer
    this.#sendBitfield = message => wireBitfield.send(message)
    peer.wireBitfield = { send: () => undefined }
    peer.wireRange = { send: () => undefined }
    this.#guardRequests()
    // It has just heard of all blocks from 0 on; a bitfield from 0 on takes that back.
    this.offer({ window: 0, bitmap: this.#granted(0) })
    for (const { window, bitmap } of grants.granted(peer.remotePublicKey, log))
      this.offer({ window, bitmap })
  }

  /** Tells it which blocks of a window it may have. */
  offer({ window, bitmap }: Omit<BlockSet, 'log'>): void {
    const words = new Uint32Array(Uint8Array.from(bitmap).buffer)
    this.#sendBitfield({ start: window * WINDOW_BLOCKS, bitfield: words })
  }

  /**
   * Sends blocks that it may have unasked: first how long the log is, which the peer takes at once,
   * then each by itself, which it may leave.
   *
   * @param length - how long the log is
   */
  push(indexes: readonly number[], length: number): BlocksOnTheirWay {
    let isEnded = false
    const send = async (): Promise<void> => {
      if (!isEnded && isReady(this.#peer)) await this.#pushLength(length)
      for (const index of indexes) {
        if (isEnded || !isReady(this.#peer)) return
        const isKnown = index < this.#sentLength && index >= this.#peer.remoteContiguousLength
        if (isKnown && this.#mayHave(index)) await this.#peer.push(index).catch(() => undefined)
      }
    }
    this.#sending = this.#sending.then(send)
    return { sent: this.#sending, end: () => (isEnded = true) }
  }

  /** Answers as if it had asked. Lengths are sent in order: each from where the last one ended. */
  async #pushLength(length: number): Promise<void> {
    const { remoteLength, remoteRequests } = this.#peer
    const start = this.#sentLength
    if (start >= length) return
    const upgrade = { start, length: length - start }
    const nothing = { fork: 0, block: null, hash: null, seek: null, priority: 0 }
    const request = { ...nothing, id: UNASKED, upgrade, manifest: remoteLength === 0 }
    remoteRequests.set(UNASKED, request)
    await this.#peer._handleRequest(request).catch(() => undefined)
    remoteRequests.delete(UNASKED)
  }

  /** What is below it can be sent without saying how long the log is. */
  get #sentLength(): number {
    return Math.max(this.#peer.remoteLength, this.#peer.pushedLength)
  }

  #guardRequests(): void {
    const peer = this.#peer
    const handle = peer._handleRequest.bind(peer)
    peer._handleRequest = async request => {
      const { id, block } = request
      if (block === null || this.#mayHave(block.index)) return handle(request)
      // It was cancelled meanwhile.
      if (peer.remoteRequests.get(id) !== request) return undefined
      peer.remoteRequests.delete(id)
      const window = windowOf(block.index)
      this.offer({ window, bitmap: this.#granted(window) })
      peer.wireNoData.send({ request: id, reason: NO_REASON })
      return undefined
    }
  }

  #mayHave(index: number): boolean {
    return this.#grants.mayUpload(this.#peer.remotePublicKey, this.#log, index)
  }

  #granted(window: number): Uint8Array {
    const granted = this.#grants.granted(this.#peer.remotePublicKey, this.#log)
    return granted.find(blocks => blocks.window === window)?.bitmap ?? emptyBitmap()
  }
}

/** Whether a peer takes blocks unasked, and now. */
export function isReady(peer: CorePeer): boolean {
  return peer.remoteAllowPush && !peer.paused && peer.protomux.drained
}
