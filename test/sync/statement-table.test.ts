/**
 * Statements and envelopes stay in the index, each in its kind, in the order they were written.
 */
import t from 'tap'
import { STATEMENT_BYTES_MAX, StatementTable } from '../../src/sync/statement-table.ts'
import { logKey } from '../../src/sync/log.ts'
import { LogNumbers } from '../../src/sync/log-numbers.ts'
import { TableSet } from '../../src/sync/table.ts'
import { filled } from '../support/bytes.ts'
import { rowSealer } from '../support/memory-index.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'

const [A, B] = [logKey('aa'.repeat(32)), logKey('bb'.repeat(32))]

t.test('what was added is there after it was written, too', async t => {
  const store = new MemoryKeyValueStore()
  const logs = new LogNumbers()
  for (const log of [B, A]) logs.add(log)
  const tables = new TableSet({ store, sealer: rowSealer() })
  const table = new StatementTable(tables, logs)
  const add = (log: typeof A, index: number, number: number, byte: number): void =>
    table.add({ log, index, number }, { type: 'statement', bytes: filled(3, byte) })
  add(A, 300, 0, 1)
  add(A, 2, 300, 2)
  add(A, 2, 2, 3)
  add(B, 9, 0, 4)
  table.add({ log: A, index: 5, number: 0 }, { type: 'envelope', bytes: filled(2, 7) })
  table.add(
    { log: A, index: 6, number: 0 },
    { type: 'statement', bytes: filled(STATEMENT_BYTES_MAX + 1, 8) }
  )
  const expected = [4, 3, 2, 1].map(byte => filled(3, byte))
  t.same([...table.every('statement')], expected)
  tables.freeze()
  await tables.write()
  const again = new StatementTable(new TableSet({ store, sealer: rowSealer() }), logs)
  t.same([...again.every('statement')], expected)
  t.same([...again.every('envelope')], [filled(2, 7)])
})
