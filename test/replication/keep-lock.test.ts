/** Keep-locks: the rules, searched through for 2 to 4 computers, and the class that applies them. */
import assert from 'node:assert/strict'
import t from 'tap'
import {
  ATTEMPT_NONCE_BYTES,
  DROP_ATTEMPTS_MAX,
  DROP_ATTEMPT_MS,
  KEEP_GRANTS_MAX,
  KEEP_GRANT_MS,
  KeepLocks,
  NO_KEEP_LOCKS,
  endAttempt,
  endedKeepLocks,
  grantLock,
  markBlocks,
  markedBlocks,
  mayDrop
} from '../../src/replication/keep-lock.ts'
import { blockSetsOf, emptyBitmap, rangeBitmap } from '../../src/sync/block-bitmap.ts'
import type { BlockSet } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'
import { KEEP_LOCK_RULES, searchKeepLocks } from '../support/search-keep-locks.ts'
import type { KeepLockRules } from '../support/search-keep-locks.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const LOG = logKey('01'.repeat(32))
const OTHER_LOG = logKey('02'.repeat(32))

function blocks(...indexes: number[]): BlockSet {
  const [set] = blockSetsOf(LOG, indexes)
  assert(set)
  return set
}

const REFUSED = { name: 'ReplicationError', code: 'KEEP_LOCKED' }

t.test('no computer goes below the floor, whatever the order, time and restarts', async t => {
  for (const computers of [2, 3, 4]) {
    for (let floor = 1; floor <= Math.min(3, computers); floor++) {
      const hasOldLocks = computers < 4
      const search = { rules: KEEP_LOCK_RULES, computers, floor, hasOldLocks }
      const { states, dropped, violation } = searchKeepLocks(search)
      t.comment(`${computers} computers, floor ${floor}: ${states} states`)
      t.equal(violation, undefined, `${computers} computers, floor ${floor}`)
      t.equal(dropped > 0, computers > floor, 'a copy that is too many can be dropped')
    }
  }
})

t.test('the search finds what is wrong with other rules', async t => {
  const mutants: Readonly<Record<string, Partial<KeepLockRules>>> = {
    'locks without a mark, that end with time': {
      grantLock: (state, input) => {
        const unmarked = grantLock({ ...state, attempts: [] }, input)
        return unmarked && { ...unmarked, attempts: state.attempts }
      }
    },
    'locks of an earlier attempt count': {
      mayDrop: (state, input) => {
        const locks = input.locks.map(lock => ({ ...lock, attempt: input.nonce }))
        return mayDrop(state, { ...input, locks })
      }
    },
    'a restart does not abort': {
      mayDrop: (state, input) => {
        const attempt = { ...blocks(0), nonce: input.nonce, endMs: 1 }
        const locks = input.locks.map(lock => ({ ...lock, log: LOG, attempt: input.nonce }))
        return mayDrop({ ...state, attempts: [attempt] }, { ...input, locks })
      }
    },
    'one lock too few': {
      mayDrop: (state, input) => mayDrop(state, { ...input, floor: Math.max(1, input.floor - 1) })
    },
    'whoever has no copy may grant': {
      grantLock: (state, { grant }) => grantLock(state, { grant, held: grant.bitmap })
    }
  }
  for (const [name, mutant] of Object.entries(mutants)) {
    const rules = { ...KEEP_LOCK_RULES, ...mutant }
    const found = [
      searchKeepLocks({ rules, computers: 2, floor: 1, hasOldLocks: true }),
      searchKeepLocks({ rules, computers: 3, floor: 2, hasOldLocks: true })
    ].find(({ violation }) => violation !== undefined)
    t.comment(`${name}: ${found?.violation?.join(', ')}`)
    t.match(found?.violation?.at(-1), /drops$/, name)
  }
})

t.test('markBlocks() refuses what is locked, marked or one too many', async t => {
  const attempt = { ...blocks(1, 2), nonce: 'aa', endMs: 5 }
  const state = markBlocks(NO_KEEP_LOCKS, attempt)
  assert(state)
  t.same(markedBlocks(state, attempt), attempt.bitmap)
  t.same(markedBlocks(state, { log: OTHER_LOG, window: 0 }), emptyBitmap())
  t.equal(markBlocks(state, { ...blocks(2, 3), nonce: 'bb', endMs: 5 }), undefined)
  t.equal(markBlocks(state, { ...blocks(9), nonce: 'aa', endMs: 5 }), undefined, 'the same nonce')
  t.ok(markBlocks(state, { ...attempt, log: OTHER_LOG, nonce: 'bb' }))
  t.ok(markBlocks(state, { ...attempt, window: 1, nonce: 'bb' }))
  t.same(endAttempt(state, 'aa'), NO_KEEP_LOCKS)
  t.same(endAttempt(state, 'bb'), state)

  const grant = { ...blocks(3), attempt: 'cc', endMs: 5 }
  const locked = grantLock(NO_KEEP_LOCKS, { grant, held: blocks(3).bitmap })
  assert(locked)
  t.equal(markBlocks(locked, { ...blocks(3, 4), nonce: 'dd', endMs: 5 }), undefined)
  t.ok(markBlocks(locked, { ...blocks(4), nonce: 'dd', endMs: 5 }))
  t.ok(markBlocks(endedKeepLocks(locked, 5), { ...blocks(3), nonce: 'dd', endMs: 6 }))

  let many = NO_KEEP_LOCKS
  for (let index = 0; index < DROP_ATTEMPTS_MAX; index++)
    many = markBlocks(many, { ...blocks(index), nonce: `${index}`, endMs: 5 }) ?? NO_KEEP_LOCKS
  t.equal(many.attempts.length, DROP_ATTEMPTS_MAX)
  t.equal(markBlocks(many, { ...blocks(1000), nonce: 'ff', endMs: 5 }), undefined)
})

t.test('grantLock() needs every block here and unmarked', async t => {
  const held = blocks(1, 2).bitmap
  const grant = { ...blocks(1, 2), attempt: 'aa', endMs: 5 }
  t.equal(grantLock(NO_KEEP_LOCKS, { grant: { ...grant, ...blocks(1, 3) }, held }), undefined)
  const marked = markBlocks(NO_KEEP_LOCKS, { ...blocks(2), nonce: 'bb', endMs: 5 })
  assert(marked)
  t.equal(grantLock(marked, { grant, held }), undefined)
  const once = grantLock(NO_KEEP_LOCKS, { grant, held })
  assert(once)
  const again = grantLock(once, { grant: { ...grant, endMs: 9 }, held })
  t.same(again?.grants, [{ ...grant, endMs: 9 }], 'the same lock again replaces it')

  const grants = Array.from({ length: KEEP_GRANTS_MAX }, (_, at) => ({
    ...grant,
    attempt: `${at}`
  }))
  t.equal(grantLock({ attempts: [], grants }, { grant, held }), undefined)
})

t.test(
  'mayDrop() counts lockers once, and only locks of this attempt on all its blocks',
  async t => {
    const state = markBlocks(NO_KEEP_LOCKS, { ...blocks(1, 2), nonce: 'aa', endMs: 5 })
    assert(state)
    const lock = { ...blocks(1, 2, 3), locker: 'B', attempt: 'aa' }
    const may = (locks: readonly (typeof lock)[], floor: number): boolean =>
      mayDrop(state, { nonce: 'aa', locks, floor, self: 'A' })
    t.equal(may([lock], 1), true)
    t.equal(may([lock, lock], 2), false)
    t.equal(may([lock, { ...lock, locker: 'C' }], 2), true)
    t.equal(may([lock, { ...lock, locker: 'A' }], 2), false)
    t.equal(may([{ ...lock, attempt: 'bb' }], 1), false)
    t.equal(may([{ ...lock, ...blocks(1) }], 1), false)
    t.equal(may([{ ...lock, log: OTHER_LOG }], 1), false)
    t.equal(may([{ ...lock, window: 1 }], 1), false)
    t.equal(may([], 0), false, 'a floor of nothing is no floor')
    t.equal(mayDrop(state, { nonce: 'bb', locks: [lock], floor: 1, self: 'A' }), false)
  }
)

t.test('KeepLocks: two that drop at the same time refuse each other', async t => {
  const clock = new VirtualClock()
  const [left, right] = [1, 2].map(seed => new KeepLocks({ clock, random: new SeededRandom(seed) }))
  assert(left && right)
  const all = { ...blocks(7), bitmap: rangeBitmap({ window: 0, from: 0, to: 9 }) }
  const attempt = left.mark(blocks(7))
  t.equal(attempt.length, ATTEMPT_NONCE_BYTES)
  t.same(left.marked(all), blocks(7).bitmap)
  const grant = { blocks: blocks(7), attempt, held: all.bitmap }
  t.equal(right.grant(grant), clock.now().sec * 1000 + KEEP_GRANT_MS)
  t.throws(() => right.mark(all), REFUSED)
  const counter = right.mark(blocks(8))
  t.throws(() => left.grant({ blocks: blocks(7, 8), attempt: counter, held: all.bitmap }), REFUSED)
  t.throws(() => right.grant({ ...grant, blocks: blocks(8) }), REFUSED)

  const lock = { ...blocks(7), locker: 'right', attempt: Buffer.from(attempt).toString('hex') }
  const drop = { attempt, locks: [lock], floor: 1, self: 'left' }
  t.throws(() => left.checkDrop({ ...drop, floor: 2 }), REFUSED)
  t.throws(() => right.checkDrop(drop), REFUSED, 'an attempt of another')
  t.same(left.checkDrop(drop), blocks(7))
  left.unmark(attempt)
  t.throws(() => left.checkDrop(drop), REFUSED)
  t.same(left.marked(all), emptyBitmap())
})

t.test('KeepLocks: what nobody ends, time ends', async t => {
  const clock = new VirtualClock()
  const locks = new KeepLocks({ clock, random: new SeededRandom(3) })
  const attempt = locks.mark(blocks(1))
  locks.grant({ blocks: blocks(2), attempt, held: blocks(2).bitmap })
  clock.advance(DROP_ATTEMPT_MS)
  t.same(locks.marked(blocks(1)), emptyBitmap())
  t.throws(() => locks.mark(blocks(2)), REFUSED)
  clock.advance(KEEP_GRANT_MS - DROP_ATTEMPT_MS)
  t.ok(locks.mark(blocks(2)))
})
