/**
 * Blocks that devices of one person sent unasked, before the request that makes them wanted.
 *
 * A device that waits for a holder's disk sends the blocks just before it asks for them to be
 * kept. Hypercore would store them at once, asked for or not; here they wait in memory until the
 * request has been read, few and not for long. Nothing of them was verified: they are measured
 * with their proofs, and copied, so that no larger message stays in memory because of them.
 *
 * @module
 */
import type { Clock } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import type { CorePeer, CoreProof, ProofNode } from './core-slot.ts'

/** How many blocks wait; the oldest gives way. */
export const PARKED_BLOCKS_MAX = 16

/** How many bytes wait, with proofs; the oldest give way. */
export const PARKED_BYTES_MAX = 2 * 1024 * 1024

/** How many hashes the proof of a block has at most: a tree of any log is less than 64 high. */
export const PROOF_NODES_MAX = 256

/** How long one waits at least, in milliseconds; it is gone after twice as long. */
export const PARKED_MS = 2_000

/** What is counted for each hash of a proof, in bytes. */
const NODE_BYTES = 256

/** A block as it was sent. */
export interface ParkedPush {
  /** Of which log. */
  readonly log: LogKey
  /** Which block. */
  readonly index: number
  /** How large it is, in bytes. */
  readonly bytes: number
  /** The message, a copy. */
  readonly proof: CoreProof
  /** Who sent it. */
  readonly from: CorePeer
}

/** A parked push and whether it has been here for a while. */
interface Parked extends ParkedPush {
  readonly allBytes: number
  isOld: boolean
}

/** See the module. */
export class ParkedPushes {
  readonly #clock: Clock
  #parked: Parked[] = []
  #isTimed = false

  /** @param clock - borrowed */
  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Lets a block wait; not what is none, or none alone, or too large, or has too long a proof. */
  park(log: LogKey, proof: CoreProof, from: CorePeer): void {
    const { request, fork, block } = proof
    if (block === null || block.value === null || !isNothingElse(proof)) return
    const { index, value, nodes } = block
    const allBytes = value.length + nodes.length * NODE_BYTES
    if (nodes.length > PROOF_NODES_MAX || allBytes > PARKED_BYTES_MAX) return
    const copy = { index, value: Buffer.from(value), nodes: nodes.map(ownNode) }
    const nothing = { hash: null, seek: null, upgrade: null, manifest: null }
    const own = { request, fork, block: copy, ...nothing }
    const bytes = value.length
    this.#parked.push({ log, index, bytes, allBytes, proof: own, from, isOld: false })
    while (this.#parked.length > PARKED_BLOCKS_MAX || this.#bytes() > PARKED_BYTES_MAX)
      this.#parked.shift()
    if (!this.#isTimed) this.#expireLater()
  }

  /** Takes out those of some blocks of a log, in the order in which they came. */
  take(log: LogKey, indexes: ReadonlySet<number>): readonly ParkedPush[] {
    const isMeant = (push: Parked): boolean => push.log === log && indexes.has(push.index)
    const taken = this.#parked.filter(isMeant)
    this.#parked = this.#parked.filter(push => !isMeant(push))
    return taken
  }

  /** Forgets what a peer sent: it is gone. */
  forget(peer: CorePeer): void {
    this.#parked = this.#parked.filter(({ from }) => from !== peer)
  }

  #expire(): void {
    this.#parked = this.#parked.filter(({ isOld }) => !isOld)
    for (const push of this.#parked) push.isOld = true
    this.#isTimed = false
    if (this.#parked.length > 0) this.#expireLater()
  }

  #expireLater(): void {
    this.#isTimed = true
    this.#clock.after(PARKED_MS, () => this.#expire())
  }

  #bytes(): number {
    return this.#parked.reduce((sum, { allBytes }) => sum + allBytes, 0)
  }
}

function isNothingElse({ hash, seek, upgrade }: CoreProof): boolean {
  return hash === null && seek === null && upgrade === null
}

function ownNode(node: ProofNode): ProofNode {
  return { ...node, hash: Buffer.from(node.hash) }
}
