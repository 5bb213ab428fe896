/** Nothing is garbage before everybody had time to speak of it. */
import t from 'tap'
import {
  SPOKEN_AGE_MS,
  SPOKEN_STEP_MS,
  SpokenLengths
} from '../../src/replication/spoken-lengths.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { CONTENT } from '../support/custody-world.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const lengths = (length: number): ReadonlyMap<LogKey, number> => new Map([[CONTENT, length]])

t.test('a length counts once it is old enough', async t => {
  const clock = new VirtualClock()
  const spoken = new SpokenLengths(clock)
  t.equal(spoken.of(CONTENT), 0)
  spoken.note(lengths(10))
  t.equal(spoken.of(CONTENT), 0)
  clock.advance(SPOKEN_AGE_MS - 1)
  spoken.note(lengths(20))
  t.equal(spoken.of(CONTENT), 0)
  clock.advance(1)
  t.equal(spoken.of(CONTENT), 10)
  t.equal(spoken.of('another' as LogKey), 0)
  clock.advance(SPOKEN_AGE_MS - 1)
  t.equal(spoken.of(CONTENT), 20)
})

t.test('however often it is noted, what counts is never older than a step more', async t => {
  const clock = new VirtualClock()
  const spoken = new SpokenLengths(clock)
  for (let second = 0; second < 30_000; second++) {
    spoken.note(lengths(second))
    const age = second - spoken.of(CONTENT)
    if (second > (SPOKEN_AGE_MS + SPOKEN_STEP_MS) / 1000)
      if (age * 1000 < SPOKEN_AGE_MS || age * 1000 > SPOKEN_AGE_MS + SPOKEN_STEP_MS)
        t.fail(`${age} s old at ${second} s`)
    clock.advance(1000)
  }
  t.ok(spoken.of(CONTENT) > 0)
})
