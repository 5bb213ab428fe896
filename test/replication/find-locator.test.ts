/** From the words to the record: the newest secret counts, and each failure has its code. */
import t from 'tap'
import { signLocatorStatement } from '../../src/crypto/locator-statement.ts'
import { signRecord } from '../../src/replication/dht-records.ts'
import { findLocator } from '../../src/replication/find-locator.ts'
import { refreshLocator } from '../../src/replication/refresh-locator.ts'
import { filled, toHex } from '../support/bytes.ts'
import { RecoverableDrive } from '../support/recoverable-drive.ts'

async function parties() {
  const drive = await RecoverableDrive.make()
  const identity = await drive.identity()
  const { records, random } = drive
  /** Puts the record of the newest secret. */
  const put = async (holder: number): Promise<void> => {
    const { locator } = drive
    const none = { summaryMs: 0, summaryHash: filled(32, 0) }
    const id = drive.made.content.drive
    await refreshLocator(
      { locator, drive: id, holders: [filled(32, holder)], ...none, records, random },
      1_000_000
    )
  }
  return { drive, identity, records, put }
}

t.test('the record is found by the words', async t => {
  const { drive, identity, records, put } = await parties()
  await put(1)
  const { number, record, summaryKeys } = await findLocator(identity, records)
  t.equal(number, 0)
  t.same(record.drive, drive.made.content.drive)
  t.same(record.holders, [filled(32, 1)])
  t.equal(toHex(summaryKeys[0] ?? filled(1, 0)), toHex(drive.locator.summaryKey))
})

t.test('the record of the newest secret counts, and its summaries are tried first', async t => {
  const { drive, identity, records, put } = await parties()
  const first = drive.locator.summaryKey
  await put(1)
  drive.statements.push(signLocatorStatement(identity, 3))
  await put(2)
  const { number, record, summaryKeys } = await findLocator(identity, records)
  t.equal(number, 3)
  t.same(record.holders, [filled(32, 2)])
  t.equal(toHex(summaryKeys[0] ?? filled(1, 0)), toHex(drive.locator.summaryKey))
  t.ok(
    summaryKeys.some(key => toHex(key) === toHex(first)),
    'older ones are tried too'
  )
})

t.test('other words find nothing, and say so', async t => {
  const { records, put } = await parties()
  await put(1)
  const other = await (await RecoverableDrive.make(2)).identity()
  await t.rejects(findLocator(other, records), { code: 'NOT_FOUND' })
})

t.test('a record that is spoiled is none', async t => {
  const { drive, identity, records } = await parties()
  const { keyPair } = drive.locator
  await records.put(signRecord(keyPair, { sequence: 1, value: filled(10, 1) }))
  await t.rejects(findLocator(identity, records), { code: 'NOT_FOUND' })
  await records.put(signRecord(keyPair, { sequence: 2, value: filled(10, 2) }))
  await t.rejects(findLocator(identity, records), { code: 'NEWER_FORMAT' })
})

t.test('without a hash table the words are not blamed', async t => {
  const { identity, records } = await parties()
  records.isReachable = false
  await t.rejects(findLocator(identity, records), { code: 'UNAVAILABLE' })
  const signal = AbortSignal.abort()
  await t.rejects(findLocator(identity, records, { signal }), { code: 'INTERRUPTED' })
})
