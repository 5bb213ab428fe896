/**
 * Two ends of a wire in memory: ordered bytes in both directions, late by a clock, with
 * back-pressure, and cut when the test says so.
 *
 * @module
 */
import { Duplex } from 'node:stream'
import type { Clock } from '../../src/sync/clock.ts'

/** How many bytes may be under way in one direction before the writer has to wait. */
export const WIRE_BYTES_MAX = 1024 * 1024

/** What a {@link wire} needs. */
export interface WireOptions {
  readonly clock: Clock
  /** How long bytes travel now, in milliseconds. */
  readonly delayMs: () => number
  /** Whether nothing gets through now; what is written waits. */
  readonly isCut: () => boolean
}

/** A wire: both ends, and a way to say that it is no longer cut. */
export interface Wire {
  readonly ends: readonly [Duplex, Duplex]
  /** Delivers what waited while it was cut. */
  mend(): void
}

interface Parcel {
  /** Null is the end. */
  readonly bytes: Buffer | null
  /** Whether its time to travel is over. */
  isDue: boolean
}

/** One direction: parcels arrive in the order in which they were sent, whatever the delay does. */
class Lane {
  readonly #options: WireOptions
  readonly #parcels: Parcel[] = []
  #bytes = 0
  #canPush = true
  #onRoom: (() => void) | undefined
  target: WireEnd | undefined

  constructor(options: WireOptions) {
    this.#options = options
  }

  send(bytes: Buffer | null, onRoom: () => void): void {
    const parcel = { bytes, isDue: false }
    this.#parcels.push(parcel)
    this.#bytes += bytes?.byteLength ?? 0
    this.#travel(() => {
      parcel.isDue = true
      this.deliver()
    })
    if (this.#bytes < WIRE_BYTES_MAX) onRoom()
    else this.#onRoom = onRoom
  }

  /** The reader wants more. */
  resume(): void {
    this.#canPush = true
    this.deliver()
  }

  deliver(): void {
    while (this.#canPush && !this.#options.isCut() && this.#parcels[0]?.isDue === true) {
      const bytes = this.#parcels.shift()?.bytes ?? null
      this.#bytes -= bytes?.byteLength ?? 0
      if (this.target?.destroyed === false) this.#canPush = this.target.push(bytes)
    }
    if (this.#bytes >= WIRE_BYTES_MAX) return
    const onRoom = this.#onRoom
    this.#onRoom = undefined
    onRoom?.()
  }

  /** Breaks the connection at the other end, as soon as the news arrives there. */
  sendReset(): void {
    this.#travel(() => {
      if (!this.#options.isCut()) this.target?.destroy()
    })
  }

  #travel(arrive: () => void): void {
    const delayMs = this.#options.delayMs()
    if (delayMs > 0) this.#options.clock.after(delayMs, arrive)
    else queueMicrotask(arrive)
  }
}

class WireEnd extends Duplex {
  /** As on a UDX stream, of which some take the nearest; in milliseconds. */
  readonly rtt = 0
  readonly #outgoing: Lane
  readonly #incoming: Lane

  constructor(outgoing: Lane, incoming: Lane) {
    super()
    this.#outgoing = outgoing
    this.#incoming = incoming
    incoming.target = this
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#outgoing.send(Buffer.from(chunk), done)
  }

  override _read(): void {
    this.#incoming.resume()
  }

  override _final(done: () => void): void {
    this.#outgoing.send(null, done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#outgoing.sendReset()
    done(error)
  }
}

/** Makes a wire. */
export function wire(options: WireOptions): Wire {
  const there = new Lane(options)
  const back = new Lane(options)
  return {
    ends: [new WireEnd(there, back), new WireEnd(back, there)],
    mend: () => {
      there.deliver()
      back.deliver()
    }
  }
}
