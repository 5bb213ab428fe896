/**
 * What holders kept for this person and for how long, as both sides signed it: asked for when a
 * holder connects, and once an hour.
 *
 * @module
 */
import { openBalance, type Balance } from '../src/crypto/balance.ts'
import type { KeeperLink } from '../src/replication/keeper-link.ts'
import { nowMs } from '../src/replication/wall-time.ts'
import type { Clock, Timer } from '../src/sync/clock.ts'

/** How often a balance is settled, in milliseconds. */
export const SETTLE_INTERVAL_MS = 3_600_000

/** So much more than is known to be kept a holder may count: what came since, and rounding. */
export const SETTLE_SLACK_MIB = 64

/** The same as a factor: blocks are padded, and their proofs take space. */
export const SETTLE_SLACK = 1.25

const MIB = 1024 * 1024

/** What settling works with; all of it is borrowed. */
export interface HolderBalancesParts {
  /** Time. */
  readonly clock: Clock
  /** How much a holder keeps as its receipts say, in bytes, and since when it could. */
  readonly kept: (id: string) => { readonly bytes: number; readonly addedMs: number }
  /** The holders that are connected. */
  readonly links: () => readonly KeeperLink[]
  /** Told what went wrong, for the log. */
  readonly report: (message: string, cause?: unknown) => void
}

/** See the module. */
export class HolderBalances {
  readonly #parts: HolderBalancesParts
  readonly #settled = new Map<string, Balance>()
  readonly #most = new Map<string, number>()
  #timer: Timer | undefined
  #isClosed = false

  /** @param parts - see {@link HolderBalancesParts} */
  constructor(parts: HolderBalancesParts) {
    this.#parts = parts
    this.#again()
  }

  /** What a holder kept, in MiB times seconds; undefined when both have signed nothing yet. */
  mibSecondsOf(id: string): number | undefined {
    return this.#settled.get(id)?.mibSeconds
  }

  /** Settles with a holder that has connected. */
  linkOpened(link: KeeperLink): void {
    this.#settle(link).catch((error: unknown) => {
      if (!this.#isClosed) this.#parts.report('a balance with a holder was not settled', error)
    })
  }

  /** Settles no more. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  async #settle(link: KeeperLink): Promise<void> {
    const settled = await link.settleBalance(balance => this.#accepts(link.id, balance))
    if (settled !== undefined) this.#settled.set(link.id, openBalance(settled.balance))
  }

  /** Not more than all that it ever kept, for all of the time since the last balance. */
  #accepts(id: string, { mibSeconds, timeMs }: Balance): boolean {
    const { kept, clock } = this.#parts
    const { bytes, addedMs } = kept(id)
    const most = Math.max(bytes, this.#most.get(id) ?? 0)
    this.#most.set(id, most)
    const last = this.#settled.get(id)
    const seconds = Math.max(0, Math.min(timeMs, nowMs(clock)) - (last?.timeMs ?? addedMs)) / 1000
    const mib = (most / MIB) * SETTLE_SLACK + SETTLE_SLACK_MIB
    return mibSeconds <= (last?.mibSeconds ?? 0) + mib * seconds
  }

  #again(): void {
    this.#timer = this.#parts.clock.after(SETTLE_INTERVAL_MS, () => {
      for (const link of this.#parts.links()) this.linkOpened(link)
      this.#again()
    })
  }
}
