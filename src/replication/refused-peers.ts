/**
 * Network keys that were turned away a moment ago, so that whoever calls again and again costs a
 * look-up and not a session.
 *
 * @module
 */
import type { Clock } from '../sync/clock.ts'

/** How long a refusal lasts, in milliseconds. */
export const REFUSAL_MS = 30_000

/** How many refusals are remembered; the oldest is forgotten first. */
export const REFUSALS_MAX = 1024

/** Who was turned away. */
export class RefusedPeers {
  readonly #clock: Clock
  /** Until when, in milliseconds since 1970, by network key; the oldest first. */
  readonly #untilMs = new Map<string, number>()

  /** @param clock - tells when a refusal is over */
  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Remembers a refusal. */
  add(publicKey: Uint8Array): void {
    const key = hexOf(publicKey)
    this.#untilMs.delete(key)
    this.#untilMs.set(key, this.#nowMs() + REFUSAL_MS)
    for (const oldest of this.#untilMs.keys()) {
      if (this.#untilMs.size <= REFUSALS_MAX) break
      this.#untilMs.delete(oldest)
    }
  }

  /** Whether a key was refused and may not come back yet. */
  has(publicKey: Uint8Array): boolean {
    const untilMs = this.#untilMs.get(hexOf(publicKey))
    return untilMs !== undefined && untilMs > this.#nowMs()
  }

  /** Gives everybody another chance. */
  clear(): void {
    this.#untilMs.clear()
  }

  #nowMs(): number {
    return this.#clock.now().sec * 1000
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
