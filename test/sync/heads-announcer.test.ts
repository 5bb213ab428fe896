/**
 * Heads are told once an hour at most, when there is news and nothing was written.
 */
import t from 'tap'
import { HEADS_INTERVAL_MS, HeadsAnnouncer } from '../../src/sync/heads-announcer.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

function bench(): { clock: VirtualClock; announcer: HeadsAnnouncer; count: () => number } {
  const clock = new VirtualClock()
  let count = 0
  const announce = (): void => {
    count += 1
  }
  return { clock, announcer: new HeadsAnnouncer({ clock, announce }), count: () => count }
}

t.test('without news nothing is told, and news are told once', async t => {
  const { clock, announcer, count } = bench()
  clock.advance(HEADS_INTERVAL_MS * 3)
  t.equal(count(), 0)
  announcer.addNews()
  clock.advance(HEADS_INTERVAL_MS - 1)
  announcer.addNews()
  t.equal(count(), 0)
  clock.advance(1)
  t.equal(count(), 1)
  clock.advance(HEADS_INTERVAL_MS * 3)
  t.equal(count(), 1)
})

t.test('an entry that was written has told them', async t => {
  const { clock, announcer, count } = bench()
  announcer.addNews()
  clock.advance(HEADS_INTERVAL_MS - 1)
  announcer.told()
  clock.advance(HEADS_INTERVAL_MS)
  t.equal(count(), 0)
})

t.test('what an earlier process left counts from its last entry', async t => {
  for (const [sinceMs, delayMs] of [
    [HEADS_INTERVAL_MS - 10, 10],
    [HEADS_INTERVAL_MS * 9, 0],
    [-HEADS_INTERVAL_MS, HEADS_INTERVAL_MS]
  ] as const) {
    const { clock, announcer, count } = bench()
    announcer.addNews(sinceMs)
    clock.advance(Math.max(0, delayMs - 1))
    t.equal(count(), delayMs === 0 ? 1 : 0)
    clock.advance(1)
    t.equal(count(), 1)
  }
})

t.test('a closed one tells nothing and leaves no timer', async t => {
  const { clock, announcer } = bench()
  announcer.addNews()
  announcer.close()
  announcer.addNews()
  t.equal(clock.pendingTimers, 0)
})
