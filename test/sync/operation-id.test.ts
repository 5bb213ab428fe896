/** Identities and times of rows come back from their bytes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ByteReader } from '../../src/sync/byte-reader.ts'
import { ByteWriter } from '../../src/sync/byte-writer.ts'
import { LogNumbers } from '../../src/sync/log-numbers.ts'
import { readId, readTime, sameId, writeId, writeTime } from '../../src/sync/operation-id.ts'
import { ROOT_ID } from '../../src/sync/operation.ts'
import { arbitraryId, arbitraryTime, LOGS } from '../support/arbitrary-operation.ts'

t.test('an identity and a time come back from their bytes', async () => {
  const logs = new LogNumbers()
  for (const log of LOGS) logs.add(log)
  fc.assert(
    fc.property(arbitraryId, arbitraryTime, (id, time) => {
      const out = new ByteWriter()
      writeId(out, id, logs)
      writeTime(out, time)
      const reader = new ByteReader(out.view())
      assert.deepEqual([readId(reader, logs), readTime(reader)], [{ ...id }, { ...time }])
      reader.end()
    })
  )
})

t.test('sameId() compares log, index and number', async t => {
  const [log, other] = LOGS
  const id = { log, index: 3, number: 4 }
  t.ok(sameId(id, { ...id }))
  t.notOk(sameId(id, { ...id, number: 5 }))
  t.notOk(sameId(id, { ...id, index: 4 }))
  t.notOk(sameId(id, { ...id, log: other ?? ROOT_ID.log }))
})
