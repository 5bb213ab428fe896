/** What a keeper remembers. */
import t from 'tap'
import {
  KeeperRecords,
  logBytes,
  placeKey,
  sequenceKey,
  sequenceOfKey
} from '../../src/replication/keeper-records.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { logOf } from '../suites/holder-link-suite.ts'
import { filled } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'

const ann = filled(32, 0xff)
const bob = filled(32, 7)

t.test('rows are written, read, iterated and removed', async t => {
  const store = new MemoryKeyValueStore()
  const records = new KeeperRecords(store)
  const person = { drive: filled(32, 1), quotaBytes: 5 }
  t.equal(records.persons.get(ann), undefined)
  await records.commit([
    records.persons.put(person, ann),
    records.life.put({ onlineSec: 3 }),
    ...[1, 2, 300].map(number =>
      records.sequences.put({ log: logOf('a'), window: number }, ann, sequenceKey(number))
    ),
    records.sequences.put({ log: logOf('b'), window: 9 }, bob, sequenceKey(1))
  ])
  const again = new KeeperRecords(store.copy())
  t.same(again.persons.get(ann), person)
  t.same(again.life.get(), { onlineSec: 3 })
  const windows = (after?: number): number[] =>
    [...again.sequences.rows([ann], after === undefined ? after : sequenceKey(after))].map(
      ({ row }) => row.window
    )
  t.same(windows(), [1, 2, 300], 'in order, of this person')
  t.same([windows(1), windows(2), windows(300)], [[2, 300], [300], []])
  t.same(
    [...again.sequences.rows([ann])].map(({ rest }) => sequenceOfKey(rest)),
    [1, 2, 300]
  )
  await again.commit([again.persons.remove(ann)])
  t.equal(again.persons.get(ann), undefined)
})

t.test('a row that cannot be read is DAMAGED', async t => {
  const store = new MemoryKeyValueStore()
  const records = new KeeperRecords(store)
  const [key] = records.persons.remove(ann)
  for (const bytes of [filled(39, 1), filled(41, 1), filled(40, 0xff)]) {
    await store.commit([[key, bytes]])
    t.throws(() => records.persons.get(ann), { code: 'DAMAGED' })
    t.throws(() => [...records.persons.rows([])], { code: 'DAMAGED' })
  }
})

t.test('a batch that fails changes nothing', async t => {
  const store = new MemoryKeyValueStore()
  const records = new KeeperRecords(store)
  store.failure = new SyncError('NO_SPACE', 'full')
  await t.rejects(records.commit([records.life.put({ onlineSec: 1 })]), { code: 'NO_SPACE' })
  t.equal(records.life.get(), undefined)
})

t.test('places and logs as keys', async t => {
  const key = placeKey({ log: logOf('a'), window: 258 })
  t.equal(Buffer.from(key).toString('hex'), `${logOf('a')}00000102`)
  t.equal(Buffer.from(logBytes(logOf('c'))).toString('hex'), logOf('c'))
})
