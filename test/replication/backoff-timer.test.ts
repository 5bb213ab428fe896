/** Waits that grow, with some chance in them. */
import t from 'tap'
import { BackoffTimer } from '../../src/replication/backoff-timer.ts'
import type { Random } from '../../src/crypto/random.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const always = (value: number): Random => ({ bytes: count => new Uint8Array(count).fill(value) })

/** A timer whose firings are noted, in milliseconds. */
function noted(random: Random) {
  const clock = new VirtualClock()
  const fired: number[] = []
  let nowMs = 0
  const timer = new BackoffTimer({
    clock,
    random,
    delayMsMin: 100,
    delayMsMax: 1_000,
    onFire: () => fired.push(nowMs)
  })
  const pass = (ms: number): void => {
    for (let step = 0; step < ms; step++) {
      nowMs++
      clock.advance(1)
    }
  }
  return { clock, fired, timer, pass }
}

t.test('start() fires after waits that double up to the maximum', async t => {
  const { fired, timer, pass } = noted(always(255))
  timer.start()
  timer.start()
  pass(5_000)
  t.same(fired, [100, 300, 700, 1_500, 2_500, 3_500, 4_500])
})

t.test('chance takes away up to half of each wait', async t => {
  const { fired, timer, pass } = noted(always(0))
  timer.start()
  pass(1_500)
  t.same(fired, [50, 150, 350, 750, 1_250])
})

t.test('start() with extra time adds it to the first wait only', async t => {
  const { fired, timer, pass } = noted(always(255))
  timer.start(500)
  pass(1_000)
  t.same(fired, [600, 800])
})

t.test('stop() ends it, and start() goes on where the waits were', async t => {
  const { clock, fired, timer, pass } = noted(always(255))
  timer.start()
  pass(300)
  timer.stop()
  timer.stop()
  t.equal(clock.pendingTimers, 0)
  pass(5_000)
  timer.start()
  pass(800)
  t.same(fired, [100, 300, 6_100])
})

t.test('reset() makes the wait after the present one the shortest', async t => {
  const { fired, timer, pass } = noted(always(255))
  timer.start()
  pass(400)
  timer.reset()
  pass(500)
  t.same(fired, [100, 300, 700, 800])
})

t.test(
  'hurry() cuts the present wait short, and does nothing to a timer that is stopped',
  async t => {
    const { clock, fired, timer, pass } = noted(always(255))
    timer.hurry()
    t.equal(clock.pendingTimers, 0)
    timer.start()
    pass(1_600)
    timer.hurry()
    pass(300)
    t.same(fired, [100, 300, 700, 1_500, 1_700, 1_900])
    t.equal(clock.pendingTimers, 1)
  }
)

t.test('hurry() again and again does not put it off', async t => {
  const { fired, timer, pass } = noted(always(255))
  timer.start()
  for (let passed = 0; passed < 300; passed += 50) {
    timer.hurry()
    pass(50)
  }
  t.same(fired, [100, 200, 300])
})

t.test('what onFire does to the timer holds', async t => {
  const clock = new VirtualClock()
  let count = 0
  const timer: BackoffTimer = new BackoffTimer({
    clock,
    random: always(0),
    delayMsMin: 1,
    delayMsMax: 1,
    onFire: () => {
      count++
      timer.stop()
    }
  })
  timer.start()
  clock.advance(1_000)
  t.equal(count, 1)
  t.equal(clock.pendingTimers, 0)
})
