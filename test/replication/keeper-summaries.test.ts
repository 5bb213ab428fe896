/** What recovery needs: the newest of each device, within limits. */
import t from 'tap'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import type { KeeperSpace } from '../../src/replication/keeper-space.ts'
import { KeeperSummaries, SUMMARIES_MAX } from '../../src/replication/keeper-summaries.ts'
import { filled } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const identity = filled(32, 1)
const none = filled(32, 0)

function open(freeBytes = 1_000_000): {
  readonly summaries: KeeperSummaries
  readonly store: MemoryKeyValueStore
  readonly counted: number[]
} {
  const store = new MemoryKeyValueStore()
  const counted: number[] = []
  const space = {
    freeBytes,
    addSummaryBytes: (bytes: number) => counted.push(bytes)
  } as unknown as KeeperSpace
  const records = new KeeperRecords(store)
  return { summaries: new KeeperSummaries({ records, identity, space }), store, counted }
}

t.test('put() replaces the one of the same device, next() walks over all', async t => {
  const { summaries, counted } = open()
  t.equal(summaries.next(none), undefined)
  await summaries.put(filled(32, 0xff), filled(10, 1))
  await summaries.put(filled(32, 2), filled(20, 2))
  await summaries.put(filled(32, 2), filled(15, 3))
  const first = summaries.next(none)
  t.same(first, { device: filled(32, 2), summary: filled(15, 3) })
  const second = summaries.next(filled(32, 2))
  t.same(second, { device: filled(32, 0xff), summary: filled(10, 1) })
  t.equal(summaries.next(filled(32, 0xff)), undefined)
  t.same(counted, [10, 20, -5])
})

t.test('put() is FULL without room, and of too many devices', async t => {
  const { summaries } = open(10)
  await t.rejects(summaries.put(filled(32, 1), filled(11, 1)), { code: 'FULL' })
  await summaries.put(filled(32, 1), filled(10, 1))
  await summaries.put(filled(32, 1), filled(20, 1))
  const { summaries: many } = open()
  const random = new SeededRandom(1)
  for (let count = 0; count < SUMMARIES_MAX; count++) await many.put(random.bytes(32), none)
  await t.rejects(many.put(random.bytes(32), none), { code: 'FULL' })
})

t.test('one record of the hash table is kept', async t => {
  const { summaries } = open()
  t.equal(summaries.locator, undefined)
  await summaries.putLocator(filled(900, 1))
  await summaries.putLocator(filled(800, 2))
  t.same(summaries.locator, filled(800, 2))
})
