/** Who waits does so for as long as was said. */
import t from 'tap'
import { endsInTime } from '../../src/replication/ends-in-time.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

t.test('what is over in time is, and what is not is waited for no more', async t => {
  const clock = new VirtualClock()
  t.equal(await endsInTime(Promise.resolve('anything'), 10, clock), true)
  const waiting = endsInTime(new Promise(() => undefined), 10, clock)
  clock.advance(10)
  t.equal(await waiting, false)
})

t.test('what fails in time fails, and without a clock there is no limit', async t => {
  const clock = new VirtualClock()
  await t.rejects(endsInTime(Promise.reject(new Error('no')), 10, clock), { message: 'no' })
  t.equal(await endsInTime(Promise.resolve(), 0, undefined), true)
})
