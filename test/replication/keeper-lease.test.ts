/** For how long promises are kept. */
import t from 'tap'
import { LEASE_SEC, leaseState, NOTICE_SEC } from '../../src/replication/keeper-lease.ts'

t.test('400 days online, then 60 of notice', async t => {
  const day = 86_400
  t.same([LEASE_SEC / day, NOTICE_SEC / day], [400, 60])
  for (const [days, state] of [
    [0, 'kept'],
    [400 - 1 / day, 'kept'],
    [400, 'notice'],
    [460 - 1 / day, 'notice'],
    [460, 'ended']
  ] as const)
    t.equal(leaseState(days * day), state, `${days} days`)
})
