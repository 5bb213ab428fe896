/**
 * Searches every state that a few computers can get into which hold one block and drop it by the
 * rules of keep-locks: any of them marks, grants, aborts, restarts, forgets a lock or an attempt
 * because of time, gets the block again or drops it, in any order, without end.
 *
 * Locks are signed, so whoever wants to drop may show any lock that was ever granted, as late as
 * it likes: messages that are slow, come twice or are replayed are in the model that way.
 *
 * @module
 */
import {
  NO_KEEP_LOCKS,
  endAttempt,
  grantLock,
  markBlocks,
  mayDrop,
  type KeepLockState
} from '../../src/replication/keep-lock.ts'
import { emptyBitmap, rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'

/** The rules under search; a mutant replaces one. */
export interface KeepLockRules {
  readonly markBlocks: typeof markBlocks
  readonly grantLock: typeof grantLock
  readonly mayDrop: typeof mayDrop
}

/** The rules as they are. */
export const KEEP_LOCK_RULES: KeepLockRules = { markBlocks, grantLock, mayDrop }

/** What is searched. */
export interface KeepLockSearch {
  readonly rules: KeepLockRules
  /** How many computers hold the block at first. */
  readonly computers: number
  /** How many copies must always be left. */
  readonly floor: number
  /**
   * Whether locks of attempts that are over are remembered and shown too. Without, there are
   * fewer states.
   */
  readonly hasOldLocks: boolean
}

/** What a search found. */
export interface KeepLockFinding {
  /** How many states there are. */
  readonly states: number
  /** How many of these have a copy less than at first: that dropping works at all. */
  readonly dropped: number
  /** What was done, step by step, until there were too few copies; undefined when that cannot be. */
  readonly violation: readonly string[] | undefined
}

interface Computer {
  readonly holds: boolean
  readonly locks: KeepLockState
}

interface World {
  readonly computers: readonly Computer[]
  /** Signed locks, as `locker>dropper:attempt`. */
  readonly signed: readonly string[]
}

/** The name of all attempts that are over: no rule may tell one from another. */
const OVER = 'over'
const LOG = logKey('ab'.repeat(32))
const BLOCK = { log: LOG, window: 0, bitmap: rangeBitmap({ window: 0, from: 0, to: 1 }) }
const NEVER = Number.MAX_SAFE_INTEGER

/** Searches breadth first, so that a violation is as short as can be. */
export function searchKeepLocks(search: KeepLockSearch): KeepLockFinding {
  const first: World = {
    computers: Array.from({ length: search.computers }, () => ({
      holds: true,
      locks: NO_KEEP_LOCKS
    })),
    signed: []
  }
  const cameFrom = new Map<string, { readonly from: string; readonly step: string }>()
  const start = nameOf(first)
  cameFrom.set(start, { from: '', step: '' })
  let dropped = 0
  let border: World[] = [first]
  while (border.length > 0) {
    const next: World[] = []
    for (const world of border) {
      const from = nameOf(world)
      for (const [step, reached] of stepsFrom(world, search)) {
        const name = nameOf(reached)
        if (cameFrom.has(name)) continue
        cameFrom.set(name, { from, step })
        const copies = copiesIn(reached)
        if (copies < search.computers) dropped++
        if (copies < search.floor)
          return { states: cameFrom.size, dropped, violation: pathTo(name, cameFrom) }
        next.push(reached)
      }
    }
    border = next
  }
  return { states: cameFrom.size, dropped, violation: undefined }
}

function* stepsFrom(world: World, search: KeepLockSearch): Iterable<readonly [string, World]> {
  for (let at = 0; at < world.computers.length; at++) {
    yield* ownSteps(world, at, search)
    for (let dropper = 0; dropper < world.computers.length; dropper++) {
      const reached = dropper === at ? undefined : granted(world, { at, dropper }, search)
      if (reached !== undefined) yield [`${at} grants ${dropper} a lock`, reached]
    }
  }
}

function* ownSteps(
  world: World,
  at: number,
  search: KeepLockSearch
): Iterable<readonly [string, World]> {
  const computer = world.computers[at]
  if (computer === undefined) return
  const { holds, locks } = computer
  const { rules, hasOldLocks } = search
  const own = `${at}`
  const ended = (replacement: Computer): World =>
    withoutAttempt(replaced(world, at, replacement), own, hasOldLocks)

  const marked = rules.markBlocks(locks, { ...BLOCK, nonce: own, endMs: NEVER })
  if (holds && marked !== undefined)
    yield [`${at} marks`, replaced(world, at, { holds, locks: marked })]
  if (locks.attempts.length > 0)
    yield [`${at} aborts`, ended({ holds, locks: endAttempt(locks, own) })]
  yield [`${at} restarts`, ended({ holds, locks: NO_KEEP_LOCKS })]
  if (!holds) yield [`${at} gets it again`, replaced(world, at, { holds: true, locks })]
  for (const grant of locks.grants) {
    const grants = locks.grants.filter(one => one !== grant)
    const state = { attempts: locks.attempts, grants }
    yield [`a lock of ${at} ends`, replaced(world, at, { holds, locks: state })]
  }
  if (holds && canDrop(world, at, search))
    yield [`${at} drops`, ended({ holds: false, locks: endAttempt(locks, own) })]
}

function canDrop({ computers, signed }: World, at: number, search: KeepLockSearch): boolean {
  const locks = signed.flatMap(lock => {
    const [locker = '', to = '', attempt = ''] = lock.split(/[>:]/)
    return to === `${at}` ? [{ ...BLOCK, locker, attempt }] : []
  })
  const state = computers[at]?.locks ?? NO_KEEP_LOCKS
  const input = { nonce: `${at}`, self: `${at}`, locks, floor: search.floor }
  return search.rules.mayDrop(state, input)
}

/** Only an attempt under way asks for locks. */
function granted(
  world: World,
  { at, dropper }: { readonly at: number; readonly dropper: number },
  { rules }: KeepLockSearch
): World | undefined {
  const [locker, asker] = [world.computers[at], world.computers[dropper]]
  if (locker === undefined || asker?.locks.attempts.length !== 1) return undefined
  const held = locker.holds ? BLOCK.bitmap : emptyBitmap()
  const grant = { ...BLOCK, attempt: `${dropper}`, endMs: NEVER }
  const locks = rules.grantLock(locker.locks, { grant, held })
  if (locks === undefined) return undefined
  const signed = new Set(world.signed).add(`${at}>${dropper}:${dropper}`)
  return { ...replaced(world, at, { ...locker, locks }), signed: [...signed] }
}

function replaced(world: World, at: number, computer: Computer): World {
  return { ...world, computers: world.computers.with(at, computer) }
}

/** An attempt is over: its nonce never comes again, so that its name is free for the next. */
function withoutAttempt(world: World, nonce: string, hasOldLocks: boolean): World {
  const computers = world.computers.map(({ holds, locks: { attempts, grants } }) => ({
    holds,
    locks: {
      attempts,
      grants: deduplicated(
        grants.map(grant => (grant.attempt === nonce ? { ...grant, attempt: OVER } : grant))
      )
    }
  }))
  const renamed = world.signed.map(lock =>
    lock.endsWith(`:${nonce}`) ? lock.replace(/:.*/, `:${OVER}`) : lock
  )
  const signed = [...new Set(renamed)].filter(lock => hasOldLocks || !lock.endsWith(OVER))
  return { computers, signed }
}

function deduplicated<T extends { readonly attempt: string }>(grants: readonly T[]): readonly T[] {
  return [...new Map(grants.map(grant => [grant.attempt, grant])).values()]
}

function copiesIn({ computers }: World): number {
  return computers.filter(({ holds }) => holds).length
}

function nameOf({ computers, signed }: World): string {
  const each = computers.map(({ holds, locks: { attempts, grants } }) => {
    const given = grants.map(({ attempt }) => attempt).sort()
    return `${holds ? 1 : 0}${attempts.length}${given.join('')}`
  })
  return `${each.join('|')}#${[...signed].sort().join()}`
}

function pathTo(
  name: string,
  cameFrom: ReadonlyMap<string, { readonly from: string; readonly step: string }>
): readonly string[] {
  const path: string[] = []
  for (let at = cameFrom.get(name); at !== undefined && at.step !== ''; at = cameFrom.get(at.from))
    path.unshift(at.step)
  return path
}
