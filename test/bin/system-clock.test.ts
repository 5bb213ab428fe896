/** The joined clock stays in the wall clock's millisecond, counts within it, and never runs back. */
import t from 'tap'
import { SystemClock, TIMER_DELAY_MS_MAX } from '../../bin/system-clock.ts'

/** A machine whose true time is set in nanoseconds since a start. */
function machine(options: { readonly startMs: number; readonly skewNs: number }) {
  let elapsedNs = 0
  let stepMs = 0
  return {
    pass: (ns: number) => (elapsedNs += ns),
    set: (ms: number) => (stepMs += ms),
    trueNs: () => elapsedNs,
    source: {
      wallMs: () => options.startMs + stepMs + Math.floor((elapsedNs + options.skewNs) / 1e6),
      monotonicMs: () => 12_345.678 + elapsedNs / 1e6
    }
  }
}

const nsSince = (startMs: number, time: { sec: number; nsec: number }): number =>
  (time.sec - startMs / 1000) * 1e9 + time.nsec

t.test('now() counts nanoseconds inside the millisecond of the wall clock', async t => {
  const startMs = 1_700_000_000_000
  const world = machine({ startMs, skewNs: 654_321 })
  const clock = new SystemClock(world.source)
  let last = -1
  for (let round = 0; round < 5_000; round++) {
    world.pass(1_337)
    const ns = nsSince(startMs, clock.now())
    const wallNs = (world.source.wallMs() - startMs) * 1e6
    if (ns < wallNs || ns >= wallNs + 1e6) t.fail(`round ${round}: ${ns} is not in ${wallNs}`)
    if (ns < last) t.fail(`round ${round}: ${ns} is before ${last}`)
    last = ns
  }
  t.ok(Math.abs(last - (world.trueNs() + 654_321)) < 10_000, 'it converges on the true time')
})

t.test('now() follows a clock that is set, both ways', async t => {
  const startMs = 1_700_000_000_000
  const world = machine({ startMs, skewNs: 0 })
  const clock = new SystemClock(world.source)
  clock.now()
  for (const stepMs of [86_400_000, -172_800_000, 1, -1]) {
    world.set(stepMs)
    world.pass(100)
    const { sec, nsec } = clock.now()
    t.equal(sec * 1000 + Math.floor(nsec / 1e6), world.source.wallMs(), `after ${stepMs} ms`)
  }
})

t.test('now() before 1970 has nanoseconds from 0 on', async t => {
  const world = machine({ startMs: -1_500, skewNs: 0 })
  const { sec, nsec } = new SystemClock(world.source).now()
  t.equal(sec, -2)
  t.ok(nsec >= 500_000_000 && nsec < 501_000_000, `${nsec}`)
})

t.test('the machine itself: times differ and do not run back', async t => {
  const clock = new SystemClock()
  const before = Date.now()
  let last = clock.now()
  for (let round = 0; round < 10_000; round++) {
    const next = clock.now()
    const ahead = (next.sec - last.sec) * 1e9 + next.nsec - last.nsec
    if (ahead < 0) t.fail(`ran back by ${-ahead} ns`)
    last = next
  }
  const ms = last.sec * 1000 + last.nsec / 1e6
  t.ok(ms >= before && ms <= Date.now() + 1, 'the time is the machine’s')
})

t.test('after() fires once, and not when cancelled', async t => {
  const clock = new SystemClock()
  let fired = 0
  const cancelled = clock.after(1, () => (fired += 10))
  cancelled.cancel()
  clock.after(TIMER_DELAY_MS_MAX * 3, () => (fired += 100)).cancel()
  const far = clock.after(TIMER_DELAY_MS_MAX * 3, () => (fired += 1_000))
  clock.after(1, () => (fired += 1))
  await new Promise(resolve => setTimeout(resolve, 30))
  far.cancel()
  t.equal(fired, 1)
})
