/** Work follows changes: soon, once for many, never twice at once, and not all of the time. */
import t from 'tap'
import { PacedTask, REST_FACTOR } from '../../src/replication/paced-task.ts'
import { until } from '../support/until.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const DELAY_MS = 100

function task() {
  const clock = new VirtualClock()
  const faults: unknown[] = []
  const ends: ((error?: Error) => void)[] = []
  let begun = 0
  const paced = new PacedTask({
    clock,
    delayMs: DELAY_MS,
    work: async () => {
      begun++
      await new Promise<void>((resolve, reject) => {
        ends.push(error => (error === undefined ? resolve() : reject(error)))
      })
    },
    report: cause => faults.push(cause)
  })
  const end = async (error?: Error): Promise<void> => {
    ends.shift()?.(error)
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  }
  return { clock, paced, faults, end, begun: () => begun }
}

t.test('many changes are one piece of work, after the delay', async t => {
  const { clock, paced, begun } = task()
  paced.changed()
  clock.advance(DELAY_MS - 1)
  paced.changed()
  t.equal(begun(), 0)
  clock.advance(1)
  t.equal(begun(), 1)
})

t.test(
  'what changes during the work is done again, after a rest as long as the work asks',
  async t => {
    const { clock, paced, end, begun } = task()
    paced.changed()
    clock.advance(DELAY_MS)
    paced.changed()
    clock.advance(1000)
    t.equal(begun(), 1, 'never twice at once')
    await end()
    clock.advance(1000 * REST_FACTOR - 1)
    t.equal(begun(), 1)
    clock.advance(1)
    t.equal(begun(), 2)
    await end()
    clock.advance(1_000_000)
    t.equal(begun(), 2, 'nothing changed, nothing is done')
  }
)

t.test('work that fails is told of, and done after the next change', async t => {
  const { clock, paced, faults, end, begun } = task()
  paced.changed()
  clock.advance(DELAY_MS)
  await end(new Error('no'))
  t.match(faults, [{ message: 'no' }])
  paced.changed()
  clock.advance(DELAY_MS)
  t.equal(begun(), 2)
})

t.test('flush() does at once what there is to do, and nothing when there is nothing', async t => {
  const { clock, paced, end, begun } = task()
  await paced.flush()
  t.equal(begun(), 0)
  paced.changed()
  const flushed = paced.flush()
  await Promise.resolve()
  t.equal(begun(), 1)
  await end()
  await flushed
  clock.advance(1_000_000)
  t.equal(begun(), 1)
})

t.test('close() waits for the work and lets none begin', async t => {
  const { clock, paced, end, begun } = task()
  paced.changed()
  clock.advance(DELAY_MS)
  paced.changed()
  let isClosed = false
  const closing = paced.close().then(() => (isClosed = true))
  await end()
  await until('the end', () => isClosed)
  await closing
  paced.changed()
  clock.advance(1_000_000)
  t.equal(begun(), 1)
  t.equal(clock.pendingTimers, 0)
})

t.test('the time in which the work gave way is no reason to rest', async t => {
  const clock = new VirtualClock()
  const ends: ((pausedMs: number) => void)[] = []
  let begun = 0
  const work = (): Promise<number> => {
    begun++
    return new Promise(resolve => ends.push(resolve))
  }
  const report = (cause: unknown): void => {
    t.fail(String(cause))
  }
  const paced = new PacedTask({ clock, delayMs: DELAY_MS, work, report })
  paced.changed()
  clock.advance(DELAY_MS)
  paced.changed()
  clock.advance(1000)
  ends.shift()?.(900)
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  clock.advance(100 * REST_FACTOR - 1)
  t.equal(begun, 1)
  clock.advance(1)
  t.equal(begun, 2)
  ends.shift()?.(0)
  await paced.close()
})
