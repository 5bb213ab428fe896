/** Logs by numbers: what is listed, and what never is. */
import t from 'tap'
import { ByteReader } from '../../src/sync/byte-reader.ts'
import { ByteWriter } from '../../src/sync/byte-writer.ts'
import { logKey } from '../../src/sync/log.ts'
import { LogTable, OWN_LOG_NUMBER } from '../../src/sync/log-table.ts'
import { ROOT_LOG } from '../../src/sync/operation.ts'

const own = logKey('aa'.repeat(32))
const other = logKey('bb'.repeat(32))
const third = logKey('0c'.repeat(32))

const read = (hex: string): LogTable => LogTable.read(new ByteReader(Buffer.from(hex, 'hex')), own)

t.test('numbers follow the first use, and the own log is not listed', async t => {
  const table = new LogTable(own)
  t.equal(table.numberOf(own), OWN_LOG_NUMBER)
  t.same(
    [other, third, other].map(log => table.numberOf(log)),
    [2, 3, 2]
  )
  const writer = new ByteWriter()
  table.write(writer)
  const hex = Buffer.from(writer.view()).toString('hex')
  t.equal(hex, `02${other}${third}`)
  t.ok(writer.length <= table.byteLength)

  const again = read(hex)
  t.same(
    [0, 2, 3].map(number => again.logAt(number)),
    [own, other, third]
  )
  t.doesNotThrow(() => again.end())
})

t.test('a table that repeats itself, names what needs no listing or is not used', async t => {
  const MALFORMED = { code: 'MALFORMED' }
  t.throws(() => read(`02${other}${other}`), MALFORMED)
  t.throws(() => read(`01${own}`), MALFORMED)
  t.throws(() => read(`01${ROOT_LOG}`), MALFORMED)
  t.throws(() => read(`02${other}`), MALFORMED)
  t.throws(() => read(`01${other}`).end(), MALFORMED)
  t.throws(() => read('00').logAt(2), MALFORMED)
  t.throws(() => read('00').logAt(1), MALFORMED, 'the log of the root is no log')
  t.throws(() => new LogTable(own).numberOf(ROOT_LOG), RangeError)
})

t.test('truncate() takes numbers back, so that they are not listed', async t => {
  const table = new LogTable(own)
  table.numberOf(other)
  const { count } = table
  table.numberOf(third)
  table.truncate(count)
  t.equal(table.count, count)
  const writer = new ByteWriter()
  table.write(writer)
  t.equal(Buffer.from(writer.view()).toString('hex'), `01${other}`)
  t.equal(table.numberOf(third), 3, 'and given anew')
})
