/**
 * Who may connect: the limits that every {@link PeerNetwork} keeps.
 *
 * Wanted peers always find a place, and so do many guests: devices that the owner of the network
 * knows and leaves it to them to call. All others are strangers until somebody has looked at what
 * they bring, so there is a place for a few of them at a time, and they may knock only so often.
 *
 * @module
 */
import type { Clock, Timer } from '../sync/clock.ts'
import { GUESTS_MAX, STRANGERS_MAX } from './peer-network.ts'

/** How often strangers may knock in quick succession, all of them together. */
export const STRANGER_ATTEMPTS_MAX = 32

/** After so long strangers may knock once more, in milliseconds. */
export const STRANGER_ATTEMPT_MS = 500

/** What an {@link Admission} asks about a device, and when. */
export interface AdmissionOptions {
  /** Time. */
  readonly clock: Clock
  /** Whether this device is one that connections are kept to. */
  readonly isWanted: (publicKey: Uint8Array) => boolean
  /** Whether this device is known although connections are not kept to it. */
  readonly isGuest: (publicKey: Uint8Array) => boolean
  /** Whether its owner lets it in at all. */
  readonly mayConnect: (publicKey: Uint8Array) => boolean
  /** How many connections to strangers are open. */
  readonly strangers: () => number
  /** How many connections to guests are open. */
  readonly guests: () => number
}

/** Lets devices in, or turns them away and counts them. */
export class Admission {
  readonly #options: AdmissionOptions
  #refused = 0
  #attemptsLeft = STRANGER_ATTEMPTS_MAX
  #refill: Timer | undefined

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** How many incoming connections were turned away. */
  get refused(): number {
    return this.#refused
  }

  /** Whether a device that knocks may come in. */
  admits(publicKey: Uint8Array): boolean {
    const { mayConnect } = this.#options
    const isAdmitted = this.#hasRoomFor(publicKey) && mayConnect(publicKey)
    if (!isAdmitted) this.#refused++
    return isAdmitted
  }

  /** Whether we may knock at a device ourselves. */
  mayApproach(publicKey: Uint8Array): boolean {
    const { isWanted, mayConnect, strangers } = this.#options
    return (isWanted(publicKey) || strangers() < STRANGERS_MAX) && mayConnect(publicKey)
  }

  /** Stops its timer. */
  close(): void {
    this.#refill?.cancel()
  }

  #hasRoomFor(publicKey: Uint8Array): boolean {
    const { isWanted, isGuest, guests } = this.#options
    if (isWanted(publicKey)) return true
    return isGuest(publicKey) ? guests() < GUESTS_MAX : this.#hasRoomForStranger()
  }

  #hasRoomForStranger(): boolean {
    if (this.#attemptsLeft === 0 || this.#options.strangers() >= STRANGERS_MAX) return false
    this.#attemptsLeft--
    this.#refill ??= this.#refillLater()
    return true
  }

  #refillLater(): Timer {
    return this.#options.clock.after(STRANGER_ATTEMPT_MS, () => {
      this.#attemptsLeft++
      const isFull = this.#attemptsLeft === STRANGER_ATTEMPTS_MAX
      this.#refill = isFull ? undefined : this.#refillLater()
    })
  }
}
