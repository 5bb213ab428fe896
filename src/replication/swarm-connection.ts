/**
 * One connection of hyperswarm, as a {@link PeerConnection}.
 *
 * @module
 */
import type { Clock } from '../sync/clock.ts'
import type { SwarmStream } from './dht-node.ts'
import { SILENCE_MS_MAX } from './peer-network.ts'
import type { PeerConnection } from './peer-network.ts'

/** How long a connection that is asked for a sign of life has for it, in milliseconds. */
export const PROBE_MS_MIN = 1_000

/** How many round trips it has at least. */
const PROBE_ROUND_TRIPS = 4

/** What a {@link SwarmConnection} needs besides its stream. */
export interface SwarmConnectionOptions {
  /** Time. */
  readonly clock: Clock
  /** Told in the tick in which it closes. */
  readonly onClosed: (connection: SwarmConnection) => void
}

/** An open stream of a swarm. */
export class SwarmConnection implements PeerConnection {
  readonly stream: SwarmStream
  readonly closed: Promise<void>
  readonly #clock: Clock
  #probing: Promise<boolean> | undefined

  constructor(stream: SwarmStream, options: SwarmConnectionOptions) {
    this.stream = stream
    this.#clock = options.clock
    // Both ends send keep-alives, so silence means that the other one cannot be reached.
    stream.setTimeout(SILENCE_MS_MAX)
    // Whatever went wrong, all that matters is that the connection closes.
    stream.on('error', () => undefined)
    this.closed = new Promise(resolve => {
      stream.on('close', () => {
        options.onClosed(this)
        resolve()
      })
    })
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
    return this.stream.rawStream?.rtt ?? 0
  }

  close(): Promise<void> {
    this.stream.destroy()
    return this.closed
  }

  /**
   * Asks for a sign of life and closes the connection when none comes: much sooner than silence
   * would. Any packet counts, also a bare acknowledgement.
   *
   * @returns whether it is alive; when it is not, it is closed by then
   */
  isAlive(): Promise<boolean> {
    this.#probing ??= this.#probe().finally(() => (this.#probing = undefined))
    return this.#probing
  }

  async #probe(): Promise<boolean> {
    const raw = this.stream.rawStream
    if (raw !== null && !this.stream.destroying) {
      const packetsBefore = raw.packetsReceived
      this.stream.sendKeepAlive()
      const waitMs = Math.max(PROBE_MS_MIN, PROBE_ROUND_TRIPS * raw.rtt)
      await new Promise<void>(resolve => this.#clock.after(waitMs, resolve))
      if (!this.stream.destroying && raw.packetsReceived !== packetsBefore) return true
    }
    await this.close()
    return false
  }
}
