/**
 * The devices that a {@link PeerNetwork} knows: which are wanted, which are connected, and when to
 * try the missing ones again. What is the same in every implementation is here.
 *
 * Two devices that want each other would both open a connection at the same moment and one would
 * have to give way, so the one with the greater key opens it and the other waits a little longer.
 *
 * @module
 */
import type { Random } from '../crypto/random.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import { Admission } from './admission.ts'
import { BackoffTimer } from './backoff-timer.ts'
import {
  CONNECTION_LASTED_MS,
  RECONNECT_DELAY_MS_MAX,
  RECONNECT_DELAY_MS_MIN,
  RECONNECT_YIELD_MS,
  WANTED_PEERS_MAX
} from './peer-network.ts'
import type { PeerConnection } from './peer-network.ts'

/** What a {@link PeerTable} needs. */
export interface PeerTableOptions {
  /** Time. */
  readonly clock: Clock
  /** Randomness. */
  readonly random: Random
  /** This device's own key. */
  readonly publicKey: Uint8Array
  /** Tries once to connect to a wanted device that is not connected; must not throw. */
  readonly dial: (publicKey: Uint8Array) => void
  /** Whether the owner of the network lets a device in. */
  readonly mayConnect: (publicKey: Uint8Array) => boolean
  /** Whether a device that is not wanted is known all the same; none is unless given. */
  readonly isGuest?: (publicKey: Uint8Array) => boolean
  /**
   * Whether an open connection still works: its device knocks. When it does not, it was closed and
   * {@link PeerTable.remove} called before this resolves.
   */
  readonly isAlive: (connection: PeerConnection) => Promise<boolean>
}

interface WantedPeer {
  readonly publicKey: Uint8Array
  readonly timer: BackoffTimer
}

interface OpenConnection {
  readonly connection: PeerConnection
  /** Fires when it has lasted long enough to trust the network again. */
  readonly lasted: Timer
}

const idOf = (publicKey: Uint8Array): string => Buffer.from(publicKey).toString('hex')

/** Wanted peers, open connections and the limits on both. */
export class PeerTable {
  readonly #options: PeerTableOptions
  readonly #admission: Admission
  readonly #wanted = new Map<string, WantedPeer>()
  readonly #connections = new Map<string, OpenConnection>()
  #strangers = 0
  #guests = 0
  #isClosed = false

  constructor(options: PeerTableOptions) {
    this.#options = options
    this.#admission = new Admission({
      clock: options.clock,
      isWanted: publicKey => this.#wanted.has(idOf(publicKey)),
      isGuest: publicKey => this.#isGuest(publicKey),
      mayConnect: options.mayConnect,
      strangers: () => this.#strangers,
      guests: () => this.#guests
    })
  }

  /** The open connections, in the order in which they opened. */
  get connections(): readonly PeerConnection[] {
    return [...this.#connections.values()].map(({ connection }) => connection)
  }

  /** How many incoming connections were turned away. */
  get refused(): number {
    return this.#admission.refused
  }

  /**
   * Wants a device from now on. Idempotent; its own key is ignored.
   *
   * @throws {RangeError} when too many are wanted
   */
  want(publicKey: Uint8Array): void {
    const id = idOf(publicKey)
    if (this.#isClosed || this.#wanted.has(id) || id === idOf(this.#options.publicKey)) return
    if (this.#wanted.size === WANTED_PEERS_MAX) throw new RangeError('too many wanted peers')
    const timer = new BackoffTimer({
      clock: this.#options.clock,
      random: this.#options.random,
      delayMsMin: RECONNECT_DELAY_MS_MIN,
      delayMsMax: RECONNECT_DELAY_MS_MAX,
      onFire: () => this.#options.dial(publicKey)
    })
    this.#wanted.set(id, { publicKey, timer })
    this.#countOthers()
    if (this.#connections.has(id)) return
    timer.start(this.#yieldMs(publicKey))
    if (this.#opens(publicKey)) this.#options.dial(publicKey)
  }

  /** No longer wants a device; a connection that is open stays. */
  unwant(publicKey: Uint8Array): void {
    const id = idOf(publicKey)
    this.#wanted.get(id)?.timer.stop()
    this.#wanted.delete(id)
    this.#countOthers()
  }

  /** The open connection to a device, if there is one. */
  get(publicKey: Uint8Array): PeerConnection | undefined {
    return this.#connections.get(idOf(publicKey))?.connection
  }

  /** Whether a device that knocks may come in; asked before anything is answered. */
  async admits(publicKey: Uint8Array): Promise<boolean> {
    const open = this.get(publicKey)
    // Either the device lost the connection and we have not noticed, or this is an old attempt that
    // was delayed, or replayed by somebody: what is open is only given up when it proves dead.
    if (open !== undefined && (await this.#options.isAlive(open))) return false
    // A copy of this device has its key, and can be no peer of it.
    if (this.#isClosed || idOf(publicKey) === idOf(this.#options.publicKey)) return false
    return this.#admission.admits(publicKey)
  }

  /** Whether we may knock at a device. */
  mayApproach(publicKey: Uint8Array): boolean {
    if (this.#isClosed || this.get(publicKey) !== undefined) return false
    return this.#admission.mayApproach(publicKey)
  }

  /**
   * Takes a connection that has just opened. {@link PeerTable.remove} ends it.
   *
   * @returns false when there is one to this device already; the caller then closes the new one
   */
  add(connection: PeerConnection): boolean {
    const id = idOf(connection.remotePublicKey)
    if (this.#isClosed || this.#connections.has(id)) return false
    this.#wanted.get(id)?.timer.stop()
    const lasted = this.#options.clock.after(CONNECTION_LASTED_MS, () =>
      this.#wanted.get(id)?.timer.reset()
    )
    this.#connections.set(id, { connection, lasted })
    this.#countOthers()
    return true
  }

  /** Forgets a connection in the tick in which it closed, so that the next one finds its place. */
  remove(connection: PeerConnection): void {
    const id = idOf(connection.remotePublicKey)
    const open = this.#connections.get(id)
    if (open?.connection !== connection) return
    open.lasted.cancel()
    this.#connections.delete(id)
    this.#countOthers()
    const wanted = this.#wanted.get(id)
    wanted?.timer.start(this.#yieldMs(wanted.publicKey))
  }

  /** Tries all missing wanted peers now and again soon: the network has begun or changed. */
  hurry(): void {
    for (const [id, { publicKey, timer }] of this.#wanted) {
      timer.hurry()
      if (!this.#connections.has(id) && this.#opens(publicKey)) this.#options.dial(publicKey)
    }
  }

  /** Stops all timers, closes all connections and waits. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#admission.close()
    for (const { timer } of this.#wanted.values()) timer.stop()
    this.#wanted.clear()
    await Promise.all(this.connections.map(connection => connection.close()))
  }

  /** Whether it is on us to open the connection to a device. */
  #opens(publicKey: Uint8Array): boolean {
    return Buffer.compare(this.#options.publicKey, publicKey) > 0
  }

  #yieldMs(publicKey: Uint8Array): number {
    return this.#opens(publicKey) ? 0 : RECONNECT_YIELD_MS
  }

  #isGuest(publicKey: Uint8Array): boolean {
    return this.#options.isGuest?.(publicKey) === true
  }

  #countOthers(): void {
    this.#strangers = 0
    this.#guests = 0
    for (const [id, { connection }] of this.#connections) {
      if (this.#wanted.has(id)) continue
      if (this.#isGuest(connection.remotePublicKey)) this.#guests++
      else this.#strangers++
    }
  }
}
