/**
 * {@link PeerNetwork} over hyperswarm: devices find each other in a distributed hash table and talk
 * over UDP, through most routers, encrypted and authenticated end to end.
 *
 * Hyperswarm keeps one connection for each key. What it does not do is done here: trying a lost
 * peer again within seconds (it waits ten minutes), closing connections that are dead, announcing
 * again after the nodes that knew us are gone, limits, and starting without a network.
 *
 * Source: hyperswarm 4.17.
 *
 * @module
 */
import type { Random } from '../crypto/random.ts'
import type { Clock } from '../sync/clock.ts'
import { BackoffTimer } from './backoff-timer.ts'
import { NodeRecords, type DhtRecords } from './dht-records.ts'
import { openSwarm } from './dht-node.ts'
import type { Dht, DhtOptions, NetworkKeyPair, Swarm, SwarmStream, SwarmTopic } from './dht-node.ts'
import { TOPICS_MAX } from './peer-network.ts'
import type { PeerConnection, PeerNetwork } from './peer-network.ts'
import { PeerTable } from './peer-table.ts'
import { SwarmConnection } from './swarm-connection.ts'

/** The first wait before the node is looked after, in milliseconds. */
export const UPKEEP_DELAY_MS_MIN = 5_000

/** The longest wait between two times that the node is looked after, in milliseconds. */
export const UPKEEP_DELAY_MS_MAX = 60_000

/** The first wait before the topics are looked up again, in milliseconds. */
export const LOOKUP_DELAY_MS_MIN = 1_000

/** The longest wait between two times that the topics are looked up, in milliseconds. */
export const LOOKUP_DELAY_MS_MAX = 600_000

/** How long announcements may take to be withdrawn at the end, in milliseconds. */
export const CLOSE_MS_MAX = 2_000

/** What a {@link HyperswarmNetwork} needs. */
export interface HyperswarmNetworkOptions extends DhtOptions {
  /** This device's network keys; only read. */
  readonly keyPair: NetworkKeyPair
  /** Which devices are known although they are not wanted: more of them may call at a time. */
  readonly isGuest?: (publicKey: Uint8Array) => boolean
  /** Time. */
  readonly clock: Clock
  /** Randomness. */
  readonly random: Random
  /** Told, once for each change, that there is no network or that there is one again. */
  readonly report: (message: string) => void
}

interface JoinedTopic {
  readonly topic: Uint8Array
  discovery: SwarmTopic | undefined
}

/** See the module. */
export class HyperswarmNetwork implements PeerNetwork {
  readonly publicKey: Uint8Array
  /** The records of the hash table, by this device's node. */
  readonly records: DhtRecords
  onConnection: (connection: PeerConnection) => void = () => undefined
  mayConnect: (publicKey: Uint8Array) => boolean = () => true
  readonly #options: HyperswarmNetworkOptions
  readonly #table: PeerTable
  readonly #topics = new Map<string, JoinedTopic>()
  readonly #connections = new Map<PeerConnection, SwarmConnection>()
  /** Opens the node, and sees to it that others can find it. */
  readonly #upkeep: BackoffTimer
  /** Looks up the topics: two devices that join at the same moment do not see each other. */
  readonly #lookups: BackoffTimer
  #swarm: Swarm | undefined
  #opening: Promise<void> | undefined
  #lastProblem: string | undefined
  #closing: Promise<void> | undefined

  constructor(options: HyperswarmNetworkOptions) {
    const { clock, random, keyPair, isGuest } = options
    this.#options = options
    this.publicKey = keyPair.publicKey
    this.records = new NodeRecords({ clock, node: () => this.#node() })
    this.#table = new PeerTable({
      clock,
      random,
      publicKey: this.publicKey,
      dial: publicKey => this.#dial(publicKey),
      mayConnect: publicKey => this.mayConnect(publicKey),
      ...(isGuest !== undefined && { isGuest }),
      isAlive: async connection => (await this.#connections.get(connection)?.isAlive()) ?? false
    })
    this.#upkeep = new BackoffTimer({
      clock,
      random,
      delayMsMin: UPKEEP_DELAY_MS_MIN,
      delayMsMax: UPKEEP_DELAY_MS_MAX,
      onFire: () => void this.#lookAfter()
    })
    this.#lookups = new BackoffTimer({
      clock,
      random,
      delayMsMin: LOOKUP_DELAY_MS_MIN,
      delayMsMax: LOOKUP_DELAY_MS_MAX,
      onFire: () => this.#refreshTopics()
    })
  }

  /** Why there is no network, if there is none. */
  get problem(): string | undefined {
    return this.#lastProblem
  }

  get connections(): readonly PeerConnection[] {
    return this.#table.connections
  }

  get refused(): number {
    return this.#table.refused
  }

  join(topic: Uint8Array): void {
    const id = Buffer.from(topic).toString('hex')
    if (this.#closing !== undefined || this.#topics.has(id)) return
    if (this.#topics.size === TOPICS_MAX) throw new RangeError('too many topics')
    const joined: JoinedTopic = { topic: Uint8Array.from(topic), discovery: undefined }
    this.#topics.set(id, joined)
    joined.discovery = this.#swarm?.join(Buffer.from(topic))
    this.#begin()
    this.#lookups.start()
    this.#lookups.hurry()
  }

  leave(topic: Uint8Array): void {
    this.#topics.delete(Buffer.from(topic).toString('hex'))
    void this.#swarm?.leave(Buffer.from(topic))
  }

  /** Lets devices find this one by its key, without looking for any. Idempotent. */
  listen(): void {
    if (this.#closing === undefined) this.#begin()
  }

  /** Resolves once devices can find this one: when a node of the hash table passes it on. */
  async reachable(): Promise<void> {
    await this.#opening
    await this.#swarm?.listen().catch(() => undefined)
  }

  connectTo(publicKey: Uint8Array): void {
    if (this.#closing !== undefined) return
    this.#table.want(Uint8Array.from(publicKey))
    this.#begin()
  }

  disconnectFrom(publicKey: Uint8Array): void {
    this.#table.unwant(publicKey)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Closes. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #node(): Promise<Dht | undefined> {
    if (this.#closing !== undefined) return undefined
    this.#begin()
    await this.#opening
    return this.#closing === undefined ? this.#swarm?.dht : undefined
  }

  #begin(): void {
    this.#opening ??= this.#open()
    this.#upkeep.start()
  }

  /** Never rejects; what failed is tried again by the upkeep. */
  async #open(): Promise<void> {
    try {
      const swarm = await openSwarm({
        ...this.#options,
        admits: publicKey => this.#table.admits(publicKey),
        mayApproach: publicKey => this.#table.mayApproach(publicKey)
      })
      this.#attach(swarm)
      this.#swarm = swarm
      this.#table.hurry()
      this.#solved()
    } catch (error) {
      this.#opening = undefined
      this.#problem(`no network: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #attach(swarm: Swarm): void {
    swarm.on('connection', stream => this.#take(stream))
    swarm.dht.on('network-change', () => this.#networkChanged())
    swarm.dht.on('network-update', () => {
      if (swarm.dht.online) this.#networkChanged()
    })
    for (const joined of this.#topics.values()) {
      joined.discovery = swarm.join(Buffer.from(joined.topic))
    }
    swarm.listen().catch(() => undefined)
  }

  #take(stream: SwarmStream): void {
    const connection = new SwarmConnection(stream, {
      clock: this.#options.clock,
      onClosed: closed => this.#lose(closed)
    })
    if (!this.#table.add(connection)) {
      stream.destroy()
      return
    }
    this.#connections.set(connection, connection)
    // The network works: others that could not be reached before may be now.
    this.#table.hurry()
    this.onConnection(connection)
  }

  #lose(connection: SwarmConnection): void {
    this.#connections.delete(connection)
    this.#table.remove(connection)
    if (this.#closing === undefined) this.#upkeep.hurry()
  }

  #dial(publicKey: Uint8Array): void {
    if (this.#swarm === undefined) return
    // Joined and left: hyperswarm makes one attempt, and no others of its own beside our timer.
    const key = Buffer.from(publicKey)
    this.#swarm.joinPeer(key)
    this.#swarm.leavePeer(key)
  }

  #networkChanged(): void {
    for (const connection of this.#connections.values()) void connection.isAlive()
    this.#table.hurry()
    this.#upkeep.hurry()
    this.#lookups.hurry()
  }

  async #lookAfter(): Promise<void> {
    const swarm = this.#swarm
    if (swarm === undefined) {
      this.#opening ??= this.#open()
      return
    }
    const isAnnounced = await this.#isAnnounced(swarm)
    if (this.#closing !== undefined) return
    if (!isAnnounced) {
      this.#problem('no network: nobody passes on connections to this device')
      this.#upkeep.reset()
      swarm.dht.refresh()
      swarm.server.refresh()
      this.#refreshTopics()
    } else {
      this.#solved()
    }
  }

  /** Whether some node of the hash table knows how to reach us. */
  async #isAnnounced(swarm: Swarm): Promise<boolean> {
    try {
      for await (const reply of swarm.dht.findPeer(Buffer.from(this.publicKey))) {
        if (Buffer.compare(reply.peer.publicKey, this.publicKey) === 0) return true
      }
    } catch {
      // The node is offline or closing.
    }
    return false
  }

  #refreshTopics(): void {
    for (const { discovery } of this.#topics.values()) discovery?.refresh().catch(() => undefined)
  }

  #problem(message: string): void {
    if (this.#lastProblem === message) return
    this.#lastProblem = message
    this.#options.report(message)
  }

  #solved(): void {
    if (this.#lastProblem !== undefined) this.#options.report('the network is back')
    this.#lastProblem = undefined
  }

  async #close(): Promise<void> {
    this.#upkeep.stop()
    this.#lookups.stop()
    this.#topics.clear()
    await this.#table.close()
    await this.#opening
    const swarm = this.#swarm
    if (swarm === undefined) return
    // Without a network the announcements cannot be withdrawn, they expire by themselves: with the
    // node gone, what waits for an answer fails at once.
    const timer = this.#options.clock.after(CLOSE_MS_MAX, () => {
      void swarm.dht.destroy({ force: true })
    })
    await swarm.destroy()
    timer.cancel()
  }
}
