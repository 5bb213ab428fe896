/**
 * A network of devices in one process: real Noise streams over wires in memory. Delay, partitions
 * and lost connections are the test's to say; time is a {@link Clock}, real or virtual.
 *
 * With a virtual clock nothing happens between two calls of `advance` but what needs no time; give
 * the streams a few turns of the event loop after each.
 *
 * @module
 */
import NoiseSecretStream from '@hyperswarm/secret-stream'
import type { Duplex } from 'node:stream'
import type { Random } from '../../src/crypto/random.ts'
import { SILENCE_MS_MAX, TOPICS_MAX } from '../../src/replication/peer-network.ts'
import type { PeerConnection, PeerNetwork } from '../../src/replication/peer-network.ts'
import { PeerTable } from '../../src/replication/peer-table.ts'
import type { Clock, Timer } from '../../src/sync/clock.ts'
import { wire, type Wire } from './memory-wire.ts'

/** A network key pair; Ed25519. */
export interface NetworkKeyPair {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

/** What a {@link MemoryFabric} needs. */
export interface MemoryFabricOptions {
  readonly clock: Clock
  readonly random: Random
  /** How long bytes travel one way, in milliseconds; 0 unless given. */
  readonly delayMs?: number
}

/** Two devices. */
type Pair = readonly [MemoryPeerNetwork, MemoryPeerNetwork]

/** A connection, or one that is being opened. */
interface Link {
  readonly pair: Pair
  readonly wire: Wire
  /** Runs while the link is cut: a silent connection is dead in the end. */
  silence: Timer | undefined
}

const idOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const pairId = (pair: Pair): string =>
  pair
    .map(network => idOf(network.publicKey))
    .toSorted()
    .join()

/** What connects {@link MemoryPeerNetwork}s. */
export class MemoryFabric {
  readonly clock: Clock
  readonly random: Random
  /** How long bytes travel one way from now on, in milliseconds. */
  delayMs: number
  readonly #networks = new Map<string, MemoryPeerNetwork>()
  readonly #links = new Map<string, Link>()
  readonly #cuts = new Set<string>()

  constructor(options: MemoryFabricOptions) {
    this.clock = options.clock
    this.random = options.random
    this.delayMs = options.delayMs ?? 0
  }

  /** Adds a device; it is silent until it joins a topic or wants a peer. */
  network(keyPair: NetworkKeyPair = this.keyPair()): MemoryPeerNetwork {
    return new MemoryPeerNetwork(this, keyPair)
  }

  /** A fresh key pair. */
  keyPair(): NetworkKeyPair {
    return NoiseSecretStream.keyPair(Buffer.from(this.random.bytes(32)))
  }

  /** Lets nothing through between two devices; their connection dies unless healed in time. */
  partition(...pair: Pair): void {
    const id = pairId(pair)
    this.#cuts.add(id)
    const link = this.#links.get(id)
    if (link === undefined) return
    link.silence ??= this.clock.after(SILENCE_MS_MAX, () => destroyBoth(link))
  }

  /** Ends a {@link partition}. */
  heal(...pair: Pair): void {
    const id = pairId(pair)
    this.#cuts.delete(id)
    const link = this.#links.get(id)
    if (link !== undefined) {
      link.silence?.cancel()
      link.silence = undefined
      link.wire.mend()
    }
    this.#introduce(...pair)
  }

  /** Breaks the connection between two devices, at both ends at once. */
  dropConnection(...pair: Pair): void {
    const link = this.#links.get(pairId(pair))
    if (link !== undefined) destroyBoth(link)
  }

  /** Called by a network that begins. */
  enter(network: MemoryPeerNetwork): void {
    this.#networks.set(idOf(network.publicKey), network)
  }

  /** Called by a network that has joined a topic. */
  lookUp(network: MemoryPeerNetwork): void {
    for (const other of this.#networks.values())
      if (other !== network) this.#introduce(network, other)
  }

  /** Called by a network that closes. */
  exit(network: MemoryPeerNetwork): void {
    const id = idOf(network.publicKey)
    if (this.#networks.get(id) === network) this.#networks.delete(id)
  }

  /** Called by a network that wants to connect. */
  dial(caller: MemoryPeerNetwork, publicKey: Uint8Array): void {
    const knock = (): void => {
      const callee = this.#networks.get(idOf(publicKey))
      if (callee !== undefined) void this.#open([caller, callee])
    }
    if (this.delayMs > 0) this.clock.after(this.delayMs, knock)
    else queueMicrotask(knock)
  }

  #introduce(...[network, other]: Pair): void {
    if (network.sharesTopic(other) && network.mayApproach(other.publicKey)) {
      this.dial(network, other.publicKey)
    }
  }

  async #open(pair: Pair): Promise<void> {
    const id = pairId(pair)
    const [caller, callee] = pair
    const isPossible = (): boolean =>
      !caller.isClosed && !this.#links.has(id) && !this.#cuts.has(id)
    if (!isPossible() || !(await callee.admits(caller.publicKey)) || !isPossible()) return
    const { clock } = this
    const made = wire({ clock, delayMs: () => this.delayMs, isCut: () => this.#cuts.has(id) })
    const link: Link = { pair, wire: made, silence: undefined }
    this.#links.set(id, link)
    let open = 2
    const onClosed = (): void => {
      open -= 1
      if (open > 0) return
      link.silence?.cancel()
      if (this.#links.get(id) === link) this.#links.delete(id)
    }
    caller.accept(made.ends[0], callee.publicKey, onClosed)
    callee.accept(made.ends[1], undefined, onClosed)
  }
}

/** {@link PeerNetwork} of one device of a {@link MemoryFabric}. */
export class MemoryPeerNetwork implements PeerNetwork {
  onConnection: (connection: PeerConnection) => void = () => undefined
  mayConnect: (publicKey: Uint8Array) => boolean = () => true
  /** Whether it was closed. */
  isClosed = false
  readonly #fabric: MemoryFabric
  readonly #keyPair: NetworkKeyPair
  readonly #table: PeerTable
  readonly #topics = new Set<string>()

  constructor(fabric: MemoryFabric, keyPair: NetworkKeyPair) {
    this.#fabric = fabric
    this.#keyPair = keyPair
    this.#table = new PeerTable({
      clock: fabric.clock,
      random: fabric.random,
      publicKey: keyPair.publicKey,
      dial: publicKey => fabric.dial(this, publicKey),
      mayConnect: publicKey => this.mayConnect(publicKey),
      // A wire has both ends in this process: what is open is open at both.
      isAlive: () => Promise.resolve(true)
    })
  }

  get publicKey(): Uint8Array {
    return this.#keyPair.publicKey
  }

  get connections(): readonly PeerConnection[] {
    return this.#table.connections
  }

  get refused(): number {
    return this.#table.refused
  }

  join(topic: Uint8Array): void {
    if (this.isClosed || this.#topics.has(idOf(topic))) return
    if (this.#topics.size === TOPICS_MAX) throw new RangeError('too many topics')
    this.#topics.add(idOf(topic))
    this.#fabric.enter(this)
    this.#fabric.lookUp(this)
  }

  leave(topic: Uint8Array): void {
    this.#topics.delete(idOf(topic))
  }

  connectTo(publicKey: Uint8Array): void {
    if (this.isClosed) return
    this.#fabric.enter(this)
    this.#table.want(publicKey)
  }

  disconnectFrom(publicKey: Uint8Array): void {
    this.#table.unwant(publicKey)
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.#fabric.exit(this)
    await this.#table.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Whether both have joined one topic. */
  sharesTopic(other: MemoryPeerNetwork): boolean {
    return [...this.#topics].some(topic => other.#topics.has(topic))
  }

  /** Whether it lets a device in that knocks. */
  admits(publicKey: Uint8Array): Promise<boolean> {
    return this.#table.admits(publicKey)
  }

  /** Whether it would knock at a device that it has found. */
  mayApproach(publicKey: Uint8Array): boolean {
    return this.#table.mayApproach(publicKey)
  }

  /** Takes its end of a wire; with the other's key when it is the one that knocked. */
  accept(end: Duplex, remotePublicKey: Uint8Array | undefined, onClosed: () => void): void {
    const isInitiator = remotePublicKey !== undefined
    const stream = new NoiseSecretStream(isInitiator, end, {
      keyPair: this.#keyPair,
      pattern: 'IK',
      ...(isInitiator ? { remotePublicKey } : {})
    })
    const connection = new MemoryConnection(stream, this.#fabric)
    stream.on('close', onClosed)
    void stream.opened.then(isOpen => {
      if (!isOpen) return
      if (!this.#table.add(connection)) {
        stream.destroy()
        return
      }
      stream.on('close', () => this.#table.remove(connection))
      this.onConnection(connection)
    })
  }
}

class MemoryConnection implements PeerConnection {
  readonly stream: NoiseSecretStream
  readonly closed: Promise<void>
  readonly #fabric: MemoryFabric

  constructor(stream: NoiseSecretStream, fabric: MemoryFabric) {
    this.stream = stream
    this.#fabric = fabric
    stream.on('error', () => undefined)
    this.closed = new Promise(resolve => stream.on('close', resolve))
  }

  get remotePublicKey(): Uint8Array {
    return this.stream.remotePublicKey
  }

  get isInitiator(): boolean {
    return this.stream.isInitiator
  }

  get handshakeHash(): Uint8Array {
    return this.stream.handshakeHash
  }

  get rttMs(): number {
    return 2 * this.#fabric.delayMs
  }

  close(): Promise<void> {
    this.stream.destroy()
    return this.closed
  }
}

function destroyBoth(link: Link): void {
  for (const end of link.wire.ends) end.destroy()
}
