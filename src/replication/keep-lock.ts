/**
 * Permission to drop a copy, so that no number of computers that drop at the same time takes a
 * block below its floor.
 *
 * A computer that is to drop blocks first **marks** them: from then on it grants no locks on
 * them. Then it collects **locks** from computers that hold them, each bound to this attempt by
 * its nonce: a computer that grants one does not mark the blocks while the lock stands. With
 * locks of as many others as the floor says it drops, durably, and the attempt ends. Whoever
 * marked last among all that drop has the locks of computers that had not marked: those remain.
 *
 * Safety rests on the order alone. Locks and attempts also end with time, but only so that nobody
 * is stuck for ever: they may end at any moment. A restart forgets all of this, which aborts the
 * attempts under way: locks of an attempt that is over are worth nothing.
 *
 * The functions are the rules, on values; {@link KeepLocks} applies them with a clock. One state
 * is for one computer and one person.
 *
 * @module
 */
import type { Random } from '../crypto/random.ts'
import { intersection, emptyBitmap, isEmptyBitmap, isSubset, union } from '../sync/block-bitmap.ts'
import type { BlockSet } from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import { ReplicationError } from './replication-error.ts'

/** The size of an attempt's nonce, in bytes. */
export const ATTEMPT_NONCE_BYTES = 16
/** How many attempts a computer has under way at most. */
export const DROP_ATTEMPTS_MAX = 64
/** How many locks a computer has granted at most at one time. */
export const KEEP_GRANTS_MAX = 4096
/** When an attempt is given up that nobody ended, in milliseconds. */
export const DROP_ATTEMPT_MS = 5 * 60_000
/** When a lock ends that nobody needs any more, in milliseconds. */
export const KEEP_GRANT_MS = 10 * 60_000

/** Blocks that this computer is about to drop. */
export interface DropAttempt extends BlockSet {
  /** Tells it from every other attempt; hexadecimal. */
  readonly nonce: string
  /** When it is given up, in milliseconds since 1970. */
  readonly endMs: number
}

/** A lock that this computer granted: it does not mark the blocks while the lock stands. */
export interface KeepGrant extends BlockSet {
  /** The nonce of the other's attempt; hexadecimal. */
  readonly attempt: string
  /** When it ends, in milliseconds since 1970. */
  readonly endMs: number
}

/** What one computer has to know; never stored. */
export interface KeepLockState {
  /** Own attempts. */
  readonly attempts: readonly DropAttempt[]
  /** Locks granted to others. */
  readonly grants: readonly KeepGrant[]
}

/** The state of a computer that just started. */
export const NO_KEEP_LOCKS: KeepLockState = { attempts: [], grants: [] }

/** A lock as whoever wants to drop shows it; its signature was verified. */
export interface ShownLock extends BlockSet {
  /** Who granted it. */
  readonly locker: string
  /** The attempt that it was granted for; hexadecimal. */
  readonly attempt: string
}

/** The blocks of a window that are marked. */
export function markedBlocks(
  { attempts }: KeepLockState,
  place: { readonly log: LogKey; readonly window: number }
): Uint8Array {
  return ofWindow(attempts, place)
}

/** Begins an attempt. @returns undefined when a lock or another attempt stands against it */
export function markBlocks(state: KeepLockState, attempt: DropAttempt): KeepLockState | undefined {
  const { attempts, grants } = state
  const isTaken =
    attempts.some(({ nonce }) => nonce === attempt.nonce) ||
    overlaps(attempts, attempt) ||
    overlaps(grants, attempt)
  if (isTaken || attempts.length >= DROP_ATTEMPTS_MAX) return undefined
  return { attempts: [...attempts, attempt], grants }
}

/** Ends an attempt, whether the blocks were dropped or not. */
export function endAttempt({ attempts, grants }: KeepLockState, nonce: string): KeepLockState {
  return { attempts: attempts.filter(attempt => attempt.nonce !== nonce), grants }
}

/**
 * Grants a lock.
 *
 * @param held - the blocks of the window that this computer has, verified
 * @returns undefined when it lacks some of the blocks or is about to drop some itself
 */
export function grantLock(
  state: KeepLockState,
  { grant, held }: { readonly grant: KeepGrant; readonly held: Uint8Array }
): KeepLockState | undefined {
  const { attempts, grants } = state
  if (!isSubset(grant.bitmap, held) || overlaps(attempts, grant)) return undefined
  const others = grants.filter(({ attempt, log, window }) => {
    const isSame = attempt === grant.attempt && log === grant.log && window === grant.window
    return !isSame
  })
  if (others.length >= KEEP_GRANTS_MAX) return undefined
  return { attempts, grants: [...others, grant] }
}

/**
 * Whether an attempt has what it takes: it is under way, and of every block there are locks of as
 * many others as the floor says, granted for this attempt.
 *
 * @param input.self - this computer, whose own lock does not count
 */
export function mayDrop(
  { attempts }: KeepLockState,
  input: {
    readonly nonce: string
    readonly locks: readonly ShownLock[]
    readonly floor: number
    readonly self: string
  }
): boolean {
  const attempt = attempts.find(({ nonce }) => nonce === input.nonce)
  if (attempt === undefined || input.floor < 1) return false
  const lockers = new Set(
    input.locks
      .filter(lock => {
        const isSameWindow = lock.log === attempt.log && lock.window === attempt.window
        return isSameWindow && lock.attempt === attempt.nonce && lock.locker !== input.self
      })
      .filter(({ bitmap }) => isSubset(attempt.bitmap, bitmap))
      .map(({ locker }) => locker)
  )
  return lockers.size >= input.floor
}

/** Forgets what has ended. */
export function endedKeepLocks({ attempts, grants }: KeepLockState, nowMs: number): KeepLockState {
  const isLive = ({ endMs }: { readonly endMs: number }): boolean => endMs > nowMs
  return { attempts: attempts.filter(isLive), grants: grants.filter(isLive) }
}

/** The keep-locks of one computer for one person. Kept in memory only: a restart aborts. */
export class KeepLocks {
  readonly #clock: Clock
  readonly #random: Random
  #state = NO_KEEP_LOCKS

  /** @param parts - borrowed */
  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock
    this.#random = random
  }

  /**
   * Begins an attempt to drop blocks.
   *
   * @returns its nonce, {@link ATTEMPT_NONCE_BYTES}
   * @throws {ReplicationError} `KEEP_LOCKED`
   */
  mark({ log, window, bitmap }: BlockSet): Uint8Array {
    const nonce = this.#random.bytes(ATTEMPT_NONCE_BYTES)
    const endMs = this.#nowMs() + DROP_ATTEMPT_MS
    const attempt = { log, window, bitmap: new Uint8Array(bitmap), nonce: hex(nonce), endMs }
    this.#state = orLocked(markBlocks(this.#live(), attempt))
    return nonce
  }

  /** Ends an attempt: without dropping, or after the drop is durable. Unknown ones are ignored. */
  unmark(nonce: Uint8Array): void {
    this.#state = endAttempt(this.#live(), hex(nonce))
  }

  /**
   * Grants a lock; the caller signs it afterwards.
   *
   * @param input.attempt - the nonce of the other's attempt
   * @param input.held - the blocks of the window that this computer has, verified
   * @returns when it ends, in milliseconds since 1970
   * @throws {ReplicationError} `KEEP_LOCKED`
   */
  grant(input: {
    readonly blocks: BlockSet
    readonly attempt: Uint8Array
    readonly held: Uint8Array
  }): number {
    const { log, window, bitmap } = input.blocks
    const endMs = this.#nowMs() + KEEP_GRANT_MS
    const attempt = hex(input.attempt)
    const grant = { log, window, bitmap: new Uint8Array(bitmap), attempt, endMs }
    this.#state = orLocked(grantLock(this.#live(), { grant, held: input.held }))
    return endMs
  }

  /**
   * The blocks that may be dropped now. The caller drops them durably in the same step, in which
   * no lock is granted, and then calls {@link KeepLocks.unmark}.
   *
   * @param input.locks - whose signatures were verified
   * @param input.self - this computer as a locker names itself
   * @throws {ReplicationError} `KEEP_LOCKED` when the attempt is over or the locks are too few
   */
  checkDrop(input: {
    readonly attempt: Uint8Array
    readonly locks: readonly ShownLock[]
    readonly floor: number
    readonly self: string
  }): BlockSet {
    const nonce = hex(input.attempt)
    this.#state = this.#live()
    const attempt = this.#state.attempts.find(one => one.nonce === nonce)
    if (attempt === undefined || !mayDrop(this.#state, { ...input, nonce })) {
      throw new ReplicationError('KEEP_LOCKED', 'not enough others keep the blocks for this')
    }
    const { log, window, bitmap } = attempt
    return { log, window, bitmap }
  }

  /** The blocks of a window that are about to be dropped: they do not count as copies. */
  marked(place: { readonly log: LogKey; readonly window: number }): Uint8Array {
    return markedBlocks(this.#live(), place)
  }

  #live(): KeepLockState {
    return endedKeepLocks(this.#state, this.#nowMs())
  }

  #nowMs(): number {
    const { sec, nsec } = this.#clock.now()
    return sec * 1000 + Math.floor(nsec / 1_000_000)
  }
}

function overlaps(sets: readonly BlockSet[], blocks: BlockSet): boolean {
  return !isEmptyBitmap(intersection(ofWindow(sets, blocks), blocks.bitmap))
}

function ofWindow(
  sets: readonly BlockSet[],
  place: { readonly log: LogKey; readonly window: number }
): Uint8Array {
  return sets
    .filter(({ log, window }) => log === place.log && window === place.window)
    .reduce((all, { bitmap }) => union(all, bitmap), emptyBitmap())
}

function orLocked(state: KeepLockState | undefined): KeepLockState {
  if (state === undefined) throw new ReplicationError('KEEP_LOCKED', 'a keep-lock stands')
  return state
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}
