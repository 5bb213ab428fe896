/**
 * The end of a recovery, in the daemon: holders that did not answer then are asked when they are
 * there again. Until all have answered, or the person goes on without them, this device may not
 * know all of its drive.
 *
 * @module
 */
import type { Clock, Timer } from '../src/sync/clock.ts'
import { ReplicationError } from '../src/replication/replication-error.ts'
import type { DaemonLog } from './daemon-log.ts'
import type { Home } from './home.ts'
import {
  holderAnswered,
  isRecoveryComplete,
  readRecoveryState,
  type RecoveryState
} from './recovery-state.ts'

/** How often is looked whether the person goes on without the missing holders, in milliseconds. */
export const RECOVERY_LOOK_MS = 30_000

/** How long after a failure a holder is asked again, in milliseconds. */
export const LATE_RETRY_MS = 60_000

/** What is needed; all of it is borrowed. */
export interface PendingRecoveryParts {
  /** The home. */
  readonly home: Home
  /** Time. */
  readonly clock: Clock
  /** Where faults and notable events go. */
  readonly log: DaemonLog
}

/** Takes what a holder has; resolves when all of it is here. */
export type TakeSummaries = (signal: AbortSignal) => Promise<void>

/** See the module. */
export class PendingRecovery {
  readonly #parts: PendingRecoveryParts
  readonly #stop = new AbortController()
  readonly #asking = new Map<string, Promise<void>>()
  readonly #timers = new Set<Timer>()
  #pending: ReadonlySet<string>

  private constructor(parts: PendingRecoveryParts, state: RecoveryState | undefined) {
    this.#parts = parts
    const isWaiting = state !== undefined && !state.isAccepted
    this.#pending = new Set(isWaiting ? state.pending : [])
    if (this.isIncomplete) this.#look()
  }

  /** Reads what the home remembers. @throws {GroveError} `DAMAGED`, `NEWER_FORMAT` */
  static async open(parts: PendingRecoveryParts): Promise<PendingRecovery> {
    return new PendingRecovery(parts, await readRecoveryState(parts.home))
  }

  /** Whether holders are waited for. */
  get isIncomplete(): boolean {
    return this.#pending.size > 0
  }

  /** How many holders are waited for. */
  get count(): number {
    return this.#pending.size
  }

  /**
   * Says that a holder is connected; if it is waited for, it is asked.
   *
   * @param network - its network key, 32 bytes
   * @param take - asks it
   */
  holderConnected(network: Uint8Array, take: TakeSummaries): void {
    const id = Buffer.from(network).toString('hex')
    if (!this.#pending.has(id) || this.#asking.has(id) || this.#stop.signal.aborted) return
    const asking = this.#ask(id, take).finally(() => this.#asking.delete(id))
    this.#asking.set(id, asking)
  }

  /** Ends what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#stop.abort()
    for (const timer of this.#timers) timer.cancel()
    await Promise.all(this.#asking.values())
  }

  async #ask(id: string, take: TakeSummaries): Promise<void> {
    const { home, log } = this.#parts
    try {
      await take(this.#stop.signal)
      await holderAnswered(home, id)
      this.#pending = new Set([...this.#pending].filter(each => each !== id))
      log.write(`a holder answered that the recovery waited for; ${this.count} are left`)
    } catch (error) {
      if (this.#stop.signal.aborted) return
      log.write('a holder could not hand over what the recovery waits for', error)
      // When the connection is gone, the next one brings it here again.
      if (error instanceof ReplicationError && error.code === 'CLOSED') return
      this.#after(LATE_RETRY_MS, () => this.holderConnected(Buffer.from(id, 'hex'), take))
    }
  }

  #look(): void {
    this.#after(RECOVERY_LOOK_MS, () => {
      isRecoveryComplete(this.#parts.home).then(
        isComplete => {
          if (isComplete) this.#pending = new Set()
          else if (this.isIncomplete && !this.#stop.signal.aborted) this.#look()
        },
        (error: unknown) => this.#parts.log.write('the state of the recovery is lost', error)
      )
    })
  }

  #after(delayMs: number, work: () => void): void {
    const timer = this.#parts.clock.after(delayMs, () => {
      this.#timers.delete(timer)
      work()
    })
    this.#timers.add(timer)
  }
}
