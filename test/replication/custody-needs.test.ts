/** What is to be kept, window by window, and what of it changed. */
import t from 'tap'
import { CustodyNeeds } from '../../src/replication/custody-needs.ts'
import type { NeededBlocks } from '../../src/sync/content-needs.ts'
import { countBits, rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'

const LOG = logKey('01'.repeat(32))
const OPERATIONS = logKey('02'.repeat(32))
const needed = (window: number, copies = 2, to = 10): NeededBlocks => ({
  ...{ log: LOG, window, bytes: 1000 },
  bitmap: rangeBitmap({ window: 0, from: 0, to }),
  redundancy: { copies, floor: 1, sites: 1 }
})

t.test('setContent() names the windows that changed, came or went', async t => {
  const needs = new CustodyNeeds()
  t.same(needs.setContent([needed(0), needed(1)]), [
    { log: LOG, window: 0 },
    { log: LOG, window: 1 }
  ])
  t.equal(needs.contentBytes, 2000)
  t.same(needs.setContent([needed(0), needed(1)]), [])
  t.same(needs.setContent([needed(0, 3), needed(1)]), [{ log: LOG, window: 0 }])
  t.same(needs.setContent([needed(0, 3, 11), needed(1)]), [{ log: LOG, window: 0 }])
  t.same(needs.setContent([needed(1), needed(1, 4)]), [
    { log: LOG, window: 1 },
    { log: LOG, window: 0 }
  ])
  t.equal(needs.contentAt({ log: LOG, window: 1 }).length, 2)
  t.same(needs.contentAt({ log: LOG, window: 0 }), [])
  t.same([...needs.contentWindows()], [{ log: LOG, window: 1 }])
  t.equal(needs.bytesOf({ log: LOG, window: 1 }, 3), 300)
  t.equal(needs.bytesOf({ log: LOG, window: 9 }, 3), 0)
})

t.test('setOperations() names the windows that grew', async t => {
  const needs = new CustodyNeeds()
  t.same(needs.setOperations(new Map([[OPERATIONS, 1025]])), [
    { log: OPERATIONS, window: 0 },
    { log: OPERATIONS, window: 1 }
  ])
  t.same(needs.setOperations(new Map([[OPERATIONS, 1025]])), [])
  t.same(needs.setOperations(new Map([[OPERATIONS, 1026]])), [{ log: OPERATIONS, window: 1 }])
  t.equal(needs.isOperations(OPERATIONS), true)
  t.equal(needs.isOperations(LOG), false)
  t.equal(countBits(needs.operationsAt({ log: OPERATIONS, window: 1 })), 2)
  t.equal([...needs.operationWindows()].length, 2)
  t.ok(needs.bytesOf({ log: OPERATIONS, window: 0 }, 3) > 0)
  t.equal(needs.operations.get(OPERATIONS), 1026)
})
