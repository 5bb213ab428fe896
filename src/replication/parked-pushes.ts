/**
 * What peers sent unasked before it is known whether it is wanted.
 *
 * A device that waits for a holder's disk sends the blocks just before it asks for them to be
 * kept. A hypercore takes what is pushed or does not; here it waits, in memory and a bounded
 * amount of it, until the request has been read.
 *
 * @module
 */
import type { CorePeer, CoreProof } from './core-slot.ts'

/** How many blocks of one log wait; the oldest gives way. */
export const PARKED_BLOCKS_MAX = 16

/** How many bytes of one log wait; the oldest give way. */
export const PARKED_BYTES_MAX = 1024 * 1024

/** A block as it was sent. */
export interface ParkedPush {
  /** Which block. */
  readonly index: number
  /** How large it is. */
  readonly bytes: number
  /** The message. */
  readonly proof: CoreProof
  /** Who sent it. */
  readonly from: CorePeer
}

/** See the module. */
export class ParkedPushes {
  #parked: ParkedPush[] = []

  /** Lets one wait; what carries no block does not. */
  park(proof: CoreProof, from: CorePeer): void {
    const bytes = proof.block?.value?.length
    if (proof.block === null || bytes === undefined || bytes > PARKED_BYTES_MAX) return
    this.#parked.push({ index: proof.block.index, bytes, proof, from })
    while (this.#parked.length > PARKED_BLOCKS_MAX || this.#bytes() > PARKED_BYTES_MAX)
      this.#parked.shift()
  }

  /** Takes out those of some blocks, in the order in which they came. */
  take(indexes: ReadonlySet<number>): readonly ParkedPush[] {
    const taken = this.#parked.filter(({ index }) => indexes.has(index))
    this.#parked = this.#parked.filter(({ index }) => !indexes.has(index))
    return taken
  }

  /** Forgets what a peer sent: it is gone. */
  forget(peer: CorePeer): void {
    this.#parked = this.#parked.filter(({ from }) => from !== peer)
  }

  #bytes(): number {
    return this.#parked.reduce((sum, { bytes }) => sum + bytes, 0)
  }
}
