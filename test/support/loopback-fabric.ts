/**
 * Devices in this process that talk over the real network, through a private bootstrap node at
 * 127.0.0.1.
 *
 * @module
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { SystemClock } from '../../bin/system-clock.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { BootstrapNode } from '../../src/replication/bootstrap-node.ts'
import type { NetworkKeyPair, NodeAddress } from '../../src/replication/dht-node.ts'
import { HyperswarmNetwork } from '../../src/replication/hyperswarm-network.ts'
import type { PeerNetwork } from '../../src/replication/peer-network.ts'
import type { PeerNetworkFabric } from '../suites/peer-network-suite.ts'

const HOST = '127.0.0.1'

/** How often, and how many times, {@link LoopbackFabric.until} looks. */
const LOOK_MS = 10
const LOOKS_MAX = 3_000

/** A UDP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const socket = await boundTo(0)
  const { port } = socket.address()
  await closed(socket)
  return port
}

async function boundTo(port: number): Promise<Socket> {
  const socket = createSocket('udp4').bind(port, HOST)
  await once(socket, 'listening')
  return socket
}

async function closed(socket: Socket): Promise<void> {
  socket.close()
  await once(socket, 'close')
}

/** See the module. */
export class LoopbackFabric implements PeerNetworkFabric {
  /** What the devices reported. */
  readonly reports: string[] = []
  #node: BootstrapNode
  /** Has the port of a stopped node, so that no other test's node answers there. */
  #silence: Socket | undefined
  readonly #networks: HyperswarmNetwork[] = []
  readonly #keys = new Map<PeerNetwork, NetworkKeyPair>()

  private constructor(node: BootstrapNode) {
    this.#node = node
  }

  /** Starts the bootstrap node. */
  static async open(): Promise<LoopbackFabric> {
    return new LoopbackFabric(await BootstrapNode.open({ host: HOST, port: await freePort() }))
  }

  /** Where devices start from. */
  get bootstrap(): NodeAddress {
    return this.#node.address
  }

  network(keysOf?: PeerNetwork): HyperswarmNetwork {
    const known = keysOf === undefined ? undefined : this.#keys.get(keysOf)
    return this.networkOf(known ?? signingKeyPair(systemRandom.bytes(32)))
  }

  /** Adds a device with these keys. */
  networkOf(keyPair: NetworkKeyPair): HyperswarmNetwork {
    const network = new HyperswarmNetwork({
      keyPair,
      bootstrap: [this.bootstrap],
      listenHost: HOST,
      clock: new SystemClock(),
      random: systemRandom,
      report: message => this.reports.push(message)
    })
    this.#networks.push(network)
    this.#keys.set(network, keyPair)
    return network
  }

  async until(what: string, isSo: () => boolean): Promise<void> {
    for (let look = 0; look < LOOKS_MAX; look++) {
      if (isSo()) return
      await sleep(LOOK_MS)
    }
    throw new Error(`never: ${what}`)
  }

  /** Stops the bootstrap node: no device finds another any more. */
  async stopBootstrap(): Promise<void> {
    await this.#node.close()
    this.#silence = await boundTo(this.bootstrap.port)
  }

  /** Starts a new bootstrap node, which knows nobody, where the old one was. */
  async startBootstrap(): Promise<void> {
    await this.#endSilence()
    this.#node = await BootstrapNode.open(this.bootstrap)
  }

  async close(): Promise<void> {
    await Promise.all(this.#networks.map(network => network.close()))
    await this.#node.close()
    await this.#endSilence()
  }

  async #endSilence(): Promise<void> {
    const silence = this.#silence
    this.#silence = undefined
    if (silence !== undefined) await closed(silence)
  }
}
