/** Wall time in milliseconds. */
import t from 'tap'
import { nowMs } from '../../src/replication/wall-time.ts'

t.test('nowMs() is whole milliseconds', async t => {
  t.equal(nowMs({ now: () => ({ sec: 12, nsec: 3_999_999 }) }), 12_003)
})
