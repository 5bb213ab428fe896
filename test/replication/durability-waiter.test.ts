/** Waiting for other disks: how many, which first, and for how long. */
import assert from 'node:assert/strict'
import t from 'tap'
import {
  DURABLE_MS_MAX,
  DURABLE_WAITERS_MAX,
  DurabilityWaiter,
  setsOf
} from '../../src/replication/durability-waiter.ts'
import type { DurableRequest } from '../../src/replication/durability-waiter.ts'
import { blockSetsOf, rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { CONTENT, OPERATIONS } from '../support/custody-world.ts'
import { plannedBook } from '../support/planned-book.ts'
import type { SimulatedLink } from '../support/simulated-keeper.ts'

const request = (changes: Partial<DurableRequest> = {}): DurableRequest => ({
  durability: 'level',
  redundancy: { copies: 2, floor: 1, sites: 1 },
  blocks: [{ log: CONTENT, index: 1 }],
  ...changes
})

function setUp(keepers: number) {
  const set = plannedBook(keepers, { operationLogs: () => new Map([[OPERATIONS, 7]]) })
  const waiter = new DurabilityWaiter({ ...set.parts, book: set.book })
  const asked: string[] = []
  const links = new Map<string, SimulatedLink>()
  for (const keeper of set.keepers) {
    const link = keeper.connect({
      serve: (id, log, index) => {
        return waiter.isComing(id, log, index) ? set.world.truth(log, index) : undefined
      }
    })
    const durable = link.durable.bind(link)
    link.durable = (part, options) => {
      t.equal(part.logs.get(OPERATIONS), 7)
      asked.push(keeper.id)
      return durable(part, options)
    }
    set.book.roster.connected(link)
    links.set(keeper.id, link)
  }
  return { ...set, waiter, asked, links }
}

t.test('as many as needed are asked, one more, and those that have the blocks first', async t => {
  const set = setUp(6)
  const [, , third] = set.keepers
  assert(third)
  set.book.takeReceipt(
    set.entry(third),
    third.sign({ log: CONTENT, window: 0, bitmap: rangeBitmap({ window: 0, from: 0, to: 4 }) })
  )
  third.blocks.set(`${CONTENT}/1`, set.world.truth(CONTENT, 1))
  await set.waiter.wait(request({ durability: 'peer' }))
  t.equal(set.asked.length, 2)
  t.equal(set.asked[0], third.id)
  await set.waiter.wait(request())
  t.ok(set.asked.length <= 2 + 4)
  t.equal(set.waiter.isComing(third.id, CONTENT, 1), false, 'only while it is asked')
})

t.test('computers on one machine, and on ours, are one', async t => {
  const set = setUp(3)
  for (const keeper of set.keepers) set.book.roster.saidMachine(set.entry(keeper), '07'.repeat(16))
  const waiting = set.waiter.wait(request())
  const timesOut = t.rejects(waiting, { code: 'TIMED_OUT' })
  await set.world.run(DURABLE_MS_MAX)
  await timesOut
  await set.waiter.wait(request({ durability: 'peer' }))
})

t.test('who fails is replaced', async t => {
  const set = setUp(4)
  for (const keeper of set.keepers) keeper.faults.latencyMs = 1000
  const waiting = set.waiter.wait(request({ durability: 'peer' }))
  await set.world.run(10)
  t.equal(set.asked.length, 2)
  for (const keeper of set.keepers)
    if (set.asked.includes(keeper.id)) set.links.get(keeper.id)?.close()
  await set.world.run(2000)
  await waiting
  t.equal(set.asked.length, 4)
})

t.test('too many calls are refused, and close() ends the rest', async t => {
  const set = setUp(0)
  const waiting = Array.from({ length: DURABLE_WAITERS_MAX }, () =>
    set.waiter.wait(request()).catch((error: { code: string }) => error.code)
  )
  await t.rejects(set.waiter.wait(request()), { code: 'TIMED_OUT' })
  set.waiter.close()
  t.same(new Set(await Promise.all(waiting)), new Set(['CLOSED']))
})

t.test('setsOf() sorts blocks of any logs into windows', async t => {
  const blocks = [1, 5000, 3].map(index => ({ log: CONTENT, index }))
  const other = { log: OPERATIONS, index: 2 }
  t.same(setsOf([...blocks, other]), [
    ...blockSetsOf(CONTENT, [1, 3, 5000]),
    ...blockSetsOf(OPERATIONS, [2])
  ])
})
