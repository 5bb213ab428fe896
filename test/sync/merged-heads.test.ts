/**
 * How far logs are merged: lengths grow entry by entry, and what could not be read is passed but
 * not claimed.
 */
import t from 'tap'
import { logKey } from '../../src/sync/log.ts'
import { MergedHeads } from '../../src/sync/merged-heads.ts'

const LOG = logKey('aa'.repeat(32))

t.test('damaged entries at the end are not named until a good one follows', async t => {
  const heads = new MergedHeads()
  t.equal(heads.lamport, 0)
  heads.add(LOG, 3, { named: 2, lamport: 5 })
  t.same([heads.lengths.get(LOG), heads.named.get(LOG), heads.lamport], [3, 2, 5])
  t.equal(heads.pass(LOG), 4)
  t.same([heads.lengths.get(LOG), heads.named.get(LOG), heads.lamport], [4, 2, 5])
  heads.advance(LOG, 4)
  t.same([heads.lengths.get(LOG), heads.named.get(LOG), heads.lamport], [5, 5, 5])
  heads.advance(LOG, 9)
  t.same([heads.lengths.get(LOG), heads.named.get(LOG), heads.lamport], [6, 6, 9])
})
