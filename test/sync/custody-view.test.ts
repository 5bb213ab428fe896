/** A drive that nobody else keeps has one copy of everything, and cannot wait for a second. */
import t from 'tap'
import { ALONE } from '../../src/sync/custody-view.ts'
import { SyncError } from '../../src/sync/sync-error.ts'

t.test('ALONE has one copy, whatever is asked for', async t => {
  const health = (copies: number, floor: number) =>
    ALONE.copiesOf([], { copies, floor, sites: 1 }).health
  t.equal(health(1, 1), 'ok')
  t.equal(health(2, 1), 'repairing')
  t.equal(health(3, 2), 'at-risk')
  t.equal(ALONE.copiesOf([], { copies: 1, floor: 1, sites: 1 }).copies, 1)
})

t.test('ALONE does not wait for disks that are not there', async t => {
  const redundancy = { copies: 2, floor: 1, sites: 1 }
  const waiting = ALONE.whenDurable({ durability: 'peer', redundancy, blocks: [] })
  await t.rejects(waiting, new SyncError('TIMED_OUT', 'no other computer is connected'))
})
