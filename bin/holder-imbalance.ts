/**
 * By how much persons may be behind with what they keep for a holder's owner, and how far each is.
 *
 * Scarcity sets the measure: an almost empty disk lends freely, a full one to those who give as
 * much. Nobody is bound whom the owner gave no name, unless the owner set a number; the owner
 * never is.
 *
 * @module
 */
import type { ImbalanceBound } from '../src/replication/keeper-imbalance.ts'
import type { HolderSettings } from './holder-settings.ts'
import { GIB_DAY_MIB_SECONDS } from './readable-work.ts'

/** A generous bound is the whole space for so many days: ten years. */
export const GENEROUS_DAYS = 3650

const MIB = 1024 * 1024

/** What a bound is made of; all borrowed. */
export interface HolderImbalanceParts {
  /** What the owner set, read anew each time. */
  readonly settings: () => Pick<HolderSettings, 'spaceBytes' | 'imbalance'>
  /** How much is kept for everybody together, in bytes. */
  readonly usedBytes: () => number
  /** What the owner calls a person; empty when they do not. */
  readonly nameOf: (identity: Uint8Array) => string
  /** Whether a person is the owner. */
  readonly isOwner: (identity: Uint8Array) => boolean
  /** How much the person of a name kept for the owner, in MiB times seconds; 0 when not known. */
  readonly returnedBy: (name: string) => number
}

/** See the module. */
export class HolderImbalance implements ImbalanceBound {
  readonly #parts: HolderImbalanceParts

  /** @param parts - borrowed */
  constructor(parts: HolderImbalanceParts) {
    this.#parts = parts
  }

  get mibSecondsMax(): number {
    const { imbalance, spaceBytes } = this.#parts.settings()
    if (imbalance === 'none') return Number.MAX_VALUE
    if (imbalance === 'generous') return (spaceBytes / MIB) * 86_400 * GENEROUS_DAYS
    return imbalance * GIB_DAY_MIB_SECONDS
  }

  /** What is accepted now, in MiB times seconds; undefined without a bound. */
  get boundNow(): number | undefined {
    const { imbalance } = this.#parts.settings()
    return imbalance === 'none' ? undefined : this.mibSecondsMax * this.freeShare()
  }

  freeShare(): number {
    const { settings, usedBytes } = this.#parts
    const { spaceBytes } = settings()
    return Math.min(1, Math.max(0, 1 - usedBytes() / spaceBytes))
  }

  receivedMibSeconds(identity: Uint8Array): number {
    const { settings, nameOf, isOwner, returnedBy } = this.#parts
    const { imbalance } = settings()
    const name = nameOf(identity)
    const isUnbound = imbalance === 'none' || (imbalance === 'generous' && name === '')
    if (isUnbound || isOwner(identity)) return Number.POSITIVE_INFINITY
    return name === '' ? 0 : returnedBy(name)
  }
}
