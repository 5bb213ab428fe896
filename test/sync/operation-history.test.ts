/** Operations come back as they were added, family by family, and say what they are about. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { RowSealer } from '../../src/crypto/row-sealer.ts'
import { LogNumbers } from '../../src/sync/log-numbers.ts'
import {
  isEdit,
  isFileLink,
  isMkdir,
  isVersion,
  OperationHistory
} from '../../src/sync/operation-history.ts'
import type { Operation, OperationId } from '../../src/sync/operation.ts'
import { TableSet } from '../../src/sync/table.ts'
import { arbitraryOperation, LOGS } from '../support/arbitrary-operation.ts'
import { filled } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const sealer = new RowSealer({ key: filled(32, 3), random: new SeededRandom(2) })

function open(logCount: number = LOGS.length, store = new MemoryKeyValueStore()) {
  const logs = new LogNumbers()
  for (const log of LOGS.slice(0, logCount)) logs.add(log)
  const tables = new TableSet({ store, sealer })
  return { tables, store, history: new OperationHistory(tables, logs) }
}

const idOf = (index: number, number = 0): OperationId => ({ log: LOGS[0], index, number })

/** Has every row read from the store again. */
async function reopened({ tables, store }: ReturnType<typeof open>) {
  tables.freeze()
  await tables.write()
  return open(LOGS.length, store).history
}

t.test('the operations of a family come back, newest first, after a restart too', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryOperation, { minLength: 1, maxLength: 6 }), async made => {
      const parts = open()
      const last: (OperationId | undefined)[] = [undefined, undefined]
      for (const [at, operation] of made.entries()) {
        const id = idOf(2000 + at, at)
        // Every second one is about both families.
        const families = at % 2 === 0 ? [0] : [0, 1]
        const steps = families.map(family => ({ family, previous: last[family] }))
        parts.history.add({ id, operation }, steps)
        for (const family of families) last[family] = id
      }
      const both = [parts.history, await reopened(parts)]
      for (const history of both) {
        for (const [family, newest] of last.entries()) {
          const events = newest ? [...history.eventsOf(family, newest)] : []
          const wanted = made.filter((_, at) => family === 0 || at % 2 === 1)
          assert.deepEqual(
            events.map(({ operation }) => operation),
            wanted.toReversed()
          )
        }
      }
    }),
    { numRuns: 200 }
  )
})

t.test('an operation that names a log that is not known is kept as naming nothing', async t => {
  const { history } = open(1)
  const [own, unknown = own] = LOGS
  const operation: Operation = {
    ...{ type: 'unlink', parent: idOf(1), time: { sec: 1, nsec: 0 } },
    links: [{ log: unknown, index: 1, number: 1 }, idOf(2)]
  }
  history.add({ id: idOf(9), operation }, [{ family: 5, previous: undefined }])
  const [event] = history.eventsOf(5, idOf(9))
  if (event?.operation.type !== 'unlink') throw new Error('no unlink')
  const [first, second] = event.operation.links
  t.not(first?.log, unknown)
  t.notOk(LOGS.includes(first?.log ?? own))
  t.strictSame(second, idOf(2))
})

t.test('a row says what can be named by the identity', async t => {
  const { history } = open()
  const time = { sec: 1, nsec: 0 }
  const seen = { inode: idOf(1), base: idOf(1), time }
  const operations: Operation[] = [
    {
      ...{ type: 'create', parent: idOf(1), name: 'a' as never, kind: 'file', mode: 0, uid: 0 },
      ...{ gid: 0, rdev: 0, target: new Uint8Array(0), time }
    },
    { type: 'truncate', ...seen, through: idOf(1), size: 0 },
    { type: 'link', ...seen, through: idOf(1), parent: idOf(1), name: 'b' as never },
    { type: 'setattr', ...seen, mode: 1 }
  ]
  for (const [at, operation] of operations.entries()) {
    history.add({ id: idOf(9, at), operation }, [])
  }
  history.addDirectory(idOf(9, 4), 77)
  const rows = [0, 1, 2, 3, 4].map(at => history.find(idOf(9, at)) ?? assert.fail())
  t.strictSame(rows.map(isVersion), [true, true, false, false, false])
  t.strictSame(rows.map(isEdit), [false, true, false, false, false])
  t.strictSame(rows.map(isFileLink), [true, true, true, false, false])
  t.strictSame(rows.map(isMkdir), [false, false, false, false, true])
  t.equal(rows[4]?.steps[0]?.family, 77)
  t.equal(history.find(idOf(10)), undefined)
  t.equal(history.find({ ...idOf(9), log: 'e'.repeat(64) as never, index: 8 }), undefined)
})

t.test('a history with a gap is damage', async t => {
  const { history } = open()
  const operation: Operation = { type: 'statement', bytes: filled(1, 1) }
  history.add({ id: idOf(3), operation }, [{ family: 5, previous: idOf(2) }])
  t.throws(() => [...history.eventsOf(5, idOf(3))], { code: 'DAMAGED' })
})
