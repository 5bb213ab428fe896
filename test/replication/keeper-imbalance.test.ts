/** How much more is given than got. */
import t from 'tap'
import { acceptsMore } from '../../src/replication/keeper-imbalance.ts'
import { filled } from '../support/bytes.ts'

const ann = filled(32, 1)

t.test('without a bound anything is accepted', async t => {
  t.ok(acceptsMore(undefined, ann, Number.MAX_SAFE_INTEGER))
})

t.test('the bound is tighter the fuller the disk', async t => {
  const accepts = (freeShare: number, given: number, received = 0): boolean =>
    acceptsMore(
      { mibSecondsMax: 1000, freeShare: () => freeShare, receivedMibSeconds: () => received },
      ann,
      given
    )
  t.same([accepts(1, 1000), accepts(1, 1001)], [true, false])
  t.same([accepts(0.5, 500), accepts(0.5, 501)], [true, false])
  t.same([accepts(0, 0), accepts(0, 1)], [true, false])
  t.same([accepts(0, 700, 700), accepts(0, 701, 700)], [true, false], 'who gives as much')
  t.same([accepts(7, 1001), accepts(-1, 0)], [false, true], 'a share is one')
})
