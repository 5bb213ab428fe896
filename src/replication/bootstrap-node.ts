/**
 * The node from which devices of a private network start, so that a local network needs no
 * internet. It knows network keys, hashed topics and addresses; nothing of what devices say.
 *
 * @module
 */
import { openBootstrapNode } from './dht-node.ts'
import type { Dht, NodeAddress } from './dht-node.ts'
import { ReplicationError } from './replication-error.ts'

/** A running bootstrap node. */
export class BootstrapNode implements AsyncDisposable {
  readonly #dht: Dht
  /** Where it listens: what devices are given as their bootstrap. */
  readonly address: NodeAddress
  #closing: Promise<void> | undefined

  private constructor(dht: Dht, address: NodeAddress) {
    this.#dht = dht
    this.address = address
  }

  /**
   * Starts a node.
   *
   * @param address - an IPv4 address of this machine that the devices can reach, and a free port
   * @throws {ReplicationError} `IO` when the address is not this machine's or the port is taken
   */
  static async open(address: NodeAddress): Promise<BootstrapNode> {
    try {
      return new BootstrapNode(await openBootstrapNode(address), address)
    } catch (cause) {
      const { host, port } = address
      throw new ReplicationError('IO', `cannot listen at ${host}:${port}`, { cause })
    }
  }

  /** Stops it and waits. Idempotent. Devices that are connected stay connected. */
  close(): Promise<void> {
    this.#closing ??= this.#dht.destroy()
    return this.#closing
  }

  /** Closes. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
