/** Whom a bound binds, and how far. */
import t from 'tap'
import { GENEROUS_DAYS, HolderImbalance } from '../../bin/holder-imbalance.ts'
import { GIB_DAY_MIB_SECONDS } from '../../bin/readable-work.ts'
import type { ImbalanceSetting } from '../../bin/holder-settings.ts'
import { acceptsMore } from '../../src/replication/keeper-imbalance.ts'
import { filled } from '../support/bytes.ts'

const GIB = 2 ** 30
const [owner, ann, bob] = [filled(32, 1), filled(32, 2), filled(32, 3)]

/** A holder of 100 GiB; Ann has a name and kept 50 GiB days for the owner. */
function holder(imbalance: ImbalanceSetting, usedBytes = 0): HolderImbalance {
  return new HolderImbalance({
    settings: () => ({ spaceBytes: 100 * GIB, imbalance }),
    usedBytes: () => usedBytes,
    nameOf: identity => (identity === ann ? 'Ann' : ''),
    isOwner: identity => identity === owner,
    returnedBy: name => (name === 'Ann' ? 50 * GIB_DAY_MIB_SECONDS : 0)
  })
}

const accepts = (bound: HolderImbalance, identity: Uint8Array, gibDays: number): boolean =>
  acceptsMore(bound, identity, gibDays * GIB_DAY_MIB_SECONDS)

t.test('a number binds all but the owner, less what they gave, tighter as it fills', t => {
  const empty = holder(100)
  t.same([accepts(empty, ann, 150), accepts(empty, ann, 151)], [true, false])
  t.same([accepts(empty, bob, 100), accepts(empty, bob, 101)], [true, false])
  t.ok(accepts(empty, owner, 1e9))
  const half = holder(100, 50 * GIB)
  t.same([accepts(half, ann, 100), accepts(half, ann, 101)], [true, false])
  t.equal(half.boundNow, 50 * GIB_DAY_MIB_SECONDS)
  const full = holder(100, 200 * GIB)
  t.same([accepts(full, ann, 50), accepts(full, ann, 51)], [true, false], 'who gives as much')
  t.notOk(accepts(holder(0), bob, 0.1))
  t.end()
})

t.test('a generous one is ten years of all of it, for those who have a name', t => {
  const most = 100 * GENEROUS_DAYS
  const empty = holder('generous')
  t.same([accepts(empty, ann, most + 50), accepts(empty, ann, most + 51)], [true, false])
  t.ok(accepts(holder('generous', 100 * GIB), bob, 1e9), 'a computer of one’s own, a guest')
  t.notOk(accepts(holder('generous', 100 * GIB), ann, 51))
  t.end()
})

t.test('none is none, however full it is', t => {
  const full = holder('none', 100 * GIB)
  for (const one of [owner, ann, bob]) t.ok(accepts(full, one, 1e12))
  t.equal(full.boundNow, undefined)
  t.end()
})
