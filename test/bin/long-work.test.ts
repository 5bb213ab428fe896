/** Long work takes turns, one step in each, and files in use go before it. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import {
  BACKGROUND_STEPS,
  LongWork,
  REST_MS,
  REST_SAVED_MS_MAX,
  REST_SHARE,
  type WorkTime
} from '../../bin/long-work.ts'
import { VIRTUAL_START_SEC, VirtualClock } from '../support/virtual-clock.ts'

/** What a test's clock tells long work. */
function timeOf(clock: VirtualClock): WorkTime {
  return {
    monotonicMs: () => {
      const { sec, nsec } = clock.now()
      return (sec - VIRTUAL_START_SEC) * 1000 + nsec / 1e6
    },
    after: (delayMs, callback) => clock.after(delayMs, callback)
  }
}

/** A loop of steps. @returns what happened in them, in order */
function works(work: LongWork, name: string, steps: number, order: string[]): Promise<void> {
  return (async () => {
    for (let step = 0; step < steps; step++) {
      await work.yieldToEventLoop()
      order.push(`${name}${step}`)
    }
  })()
}

/** One turn of the event loop. */
function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

t.test('one step is made in each turn, and nobody waits longer than the others', async t => {
  const work = new LongWork(timeOf(new VirtualClock()))
  const order: string[] = []
  const all = [works(work, 'merge', 3, order), works(work, 'index', 3, order)]
  const counts: number[] = []
  for (let i = 0; i < 8; i++) {
    await turn()
    counts.push(order.length)
  }
  await Promise.all(all)
  t.ok(
    counts.every((count, at) => count - (counts[at - 1] ?? 0) <= 1),
    'never two in a turn'
  )
  t.strictSame(order, ['merge0', 'index0', 'merge1', 'index1', 'merge2', 'index2'])
})

t.test('what nobody waits for goes on when nobody else has a step to make', async t => {
  const work = new LongWork(timeOf(new VirtualClock()))
  const order: string[] = []
  const scan = (async () => {
    for (let step = 0; step < 2; step++) {
      await work.yieldInBackground()
      order.push(`scan${step}`)
    }
  })()
  await Promise.all([scan, works(work, 'merge', 3, order)])
  t.strictSame(order, ['merge0', 'merge1', 'merge2', 'scan0', 'scan1'])
})

t.test('long work that others wait for does not stop what works in the background', async t => {
  const work = new LongWork(timeOf(new VirtualClock()))
  const order: string[] = []
  const merge = works(work, 'merge', 3 * BACKGROUND_STEPS, order)
  for (let scan = 0; scan < 2; scan++) {
    await work.yieldInBackground()
    order.push('scan')
  }
  t.strictSame(
    [order.indexOf('scan'), order.lastIndexOf('scan')],
    [BACKGROUND_STEPS - 1, 2 * BACKGROUND_STEPS - 1],
    'it makes one step of so many'
  )
  await merge
})

t.test('work that nobody disturbs never rests', async t => {
  const clock = new VirtualClock()
  const work = new LongWork(timeOf(clock))
  clock.advance(1_000)
  const order: string[] = []
  await works(work, 'step', 5, order)
  t.equal(order.length, 5)
})

t.test('after files were used the next step waits until they are at rest', async t => {
  const clock = new VirtualClock()
  const work = new LongWork(timeOf(clock))
  clock.advance(1_000)
  work.filesUsed()
  const order: string[] = []
  const step = works(work, 'step', 1, order)
  for (let i = 0; i < 3; i++) {
    await turn()
    work.filesUsed()
    clock.advance(REST_MS)
  }
  t.strictSame(order, [], 'each use is waited for')
  clock.advance(REST_MS)
  await step
  t.strictSame(order, ['step0'])
})

for (const stepMs of [4, 40])
  t.test(`files that are never at rest get their share beside steps of ${stepMs} ms`, async t => {
    const clock = new VirtualClock()
    const work = new LongWork(timeOf(clock))
    const steps = 100
    let restedMs = 0
    for (let step = 0; step < steps; step++) {
      clock.advance(stepMs)
      const made: number[] = []
      void work.yieldToEventLoop().then(() => made.push(step))
      work.filesUsed()
      for (await turn(); made.length === 0; await turn()) {
        work.filesUsed()
        clock.advance(REST_MS)
        restedMs += REST_MS
      }
    }
    const most = Math.min(REST_SAVED_MS_MAX, REST_SHARE * stepMs) * steps
    t.ok(restedMs <= most + REST_MS, `${restedMs} of at most ${most} ms`)
    t.ok(restedMs >= most - REST_SAVED_MS_MAX, 'and they get it')
  })

t.test('a process that has nothing else to do makes the step after a rest', async t => {
  const module = new URL('../../bin/long-work.ts', import.meta.url).href
  const script = `
    const { LongWork } = await import(${JSON.stringify(module)})
    const work = new LongWork()
    await work.yieldToEventLoop()
    const end = performance.now() + 50
    while (performance.now() < end);
    work.filesUsed()
    work.yieldToEventLoop().then(() => console.log('made'))`
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...process.execArgv,
    '--input-type=module',
    '--eval',
    script
  ])
  t.equal(stdout, 'made\n')
})
