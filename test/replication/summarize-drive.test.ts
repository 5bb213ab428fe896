/** What a summary of a drive says, also when a log is damaged and when it is too much. */
import t from 'tap'
import { openDriveKey } from '../../src/crypto/drive-key-envelope.ts'
import { Identity } from '../../src/crypto/identity.ts'
import { fitsLogSummary } from '../../src/crypto/log-summary.ts'
import { DriveSummarizer } from '../../src/replication/summarize-drive.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { filled, toHex } from '../support/bytes.ts'
import { RecoverableDrive } from '../support/recoverable-drive.ts'

t.test('a summary says who, which logs and how long, and holds the keys for the words', async t => {
  const drive = await RecoverableDrive.make()
  const [first] = drive.announcements
  if (first === undefined) throw new Error('no pair')
  drive.lengths.set(first.operationLog.key, 7)
  drive.state('add')
  drive.state('remove', drive.state('add'))
  const parts = drive.parts()
  const { content, pairsLeftOut } = await new DriveSummarizer(parts).summarize()
  t.equal(pairsLeftOut, 0)
  t.same(content.drive, parts.drive)
  t.equal(content.listVersion, 1)
  t.same(content.members, drive.made.content.statements)
  t.same(
    content.holders,
    drive.holders.all().map(({ bytes }) => bytes)
  )
  t.equal(content.holders.length, 1, 'those that were removed are not named')
  t.same(content.pairs, [
    {
      announcement: first.bytes,
      operationLog: { length: 7, treeHash: filled(32, 7) },
      contentLog: { length: 0, treeHash: filled(32, 0) }
    }
  ])
  const { recovery } = await Identity.fromWords(drive.made.words)
  const [envelope = filled(1, 0)] = content.envelopes
  const row = openDriveKey({ envelope, drive: content.drive, keyPair: recovery })
  t.equal(toHex(row.key), toHex(parts.keys.get(1).key))
})

t.test('each drive key is sealed once, and new ones are added', async t => {
  const drive = await RecoverableDrive.make()
  const { keys } = drive.made.content
  const summarizer = new DriveSummarizer(drive.parts())
  const before = await summarizer.summarize()
  keys.generate(drive.random)
  const after = await summarizer.summarize()
  t.equal(after.content.envelopes.length, 2)
  t.equal(after.content.envelopes[0], before.content.envelopes[0])
})

t.test('a log that cannot be hashed is named with its length all the same', async t => {
  const drive = await RecoverableDrive.make()
  const [first] = drive.announcements
  if (first === undefined) throw new Error('no pair')
  drive.lengths.set(first.contentLog.key, 9)
  const parts = drive.parts()
  const treeHash = async (log: string): Promise<Uint8Array> => {
    if (log === first.contentLog.key) throw new SyncError('DAMAGED', 'a node is missing')
    return filled(32, 1)
  }
  const summarizer = new DriveSummarizer({ ...parts, logs: { ...parts.logs, treeHash } })
  const { content } = await summarizer.summarize()
  t.same(content.pairs[0]?.contentLog, { length: 9, treeHash: filled(32, 0) })
  const broken = { ...parts.logs, treeHash: () => Promise.reject(new TypeError('a mistake')) }
  await t.rejects(new DriveSummarizer({ ...parts, logs: broken }).summarize(), TypeError)
})

t.test('of too many pairs the last ones are left out', async t => {
  const drive = await RecoverableDrive.make()
  const parts = drive.parts()
  const [first] = drive.announcements
  if (first === undefined) throw new Error('no pair')
  const bytes = filled(2000, 1)
  const many = Array.from({ length: 1000 }, () => ({ ...first, bytes }))
  const summarizer = new DriveSummarizer({ ...parts, announcements: () => [first, ...many] })
  const { content, pairsLeftOut } = await summarizer.summarize()
  t.ok(fitsLogSummary({ ...content, sequence: 0, timeMs: 0 }))
  t.same(content.pairs[0]?.announcement, first.bytes)
  t.ok(pairsLeftOut > 400 && pairsLeftOut < 600, `${pairsLeftOut}`)
  t.equal(content.pairs.length + pairsLeftOut, 1001)
})
