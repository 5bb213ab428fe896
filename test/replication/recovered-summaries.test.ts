/** Summaries from holders: what is believed of them, and what follows from several. */
import t from 'tap'
import { sealDriveKey } from '../../src/crypto/drive-key-envelope.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { blake2b } from '../../src/crypto/sodium.ts'
import { RecoveredSummaries } from '../../src/replication/recovered-summaries.ts'
import { LOG_LENGTH_MAX } from '../../src/replication/replicated-core.ts'
import { memberId } from '../../src/sync/members.ts'
import { filled, flipped, toHex } from '../support/bytes.ts'
import { RecoverableDrive } from '../support/recoverable-drive.ts'

async function parties() {
  const drive = await RecoverableDrive.make()
  const { recovery } = await drive.identity()
  const { identity, drive: id } = drive.made.content
  const summaryKeys = [filled(32, 1), drive.locator.summaryKey]
  const summaries = new RecoveredSummaries({ identity, drive: id, summaryKeys })
  const [pair] = drive.announcements
  if (pair === undefined) throw new Error('no pair')
  const { key } = pair.operationLog
  return { drive, recovery, summaries, key, pair }
}

t.test('a summary gives members, keys, logs and holders', async t => {
  const { drive, recovery, summaries, key } = await parties()
  drive.lengths.set(key, 5)
  drive.state('add')
  const bytes = await drive.summary({ timeMs: 77 })
  t.ok(summaries.add(bytes))
  t.equal(summaries.newestMs, 77)
  t.ok(summaries.has(blake2b(bytes)))
  const { members, holders, keys, announcements, operationLogs } = summaries.combine(recovery)
  t.same(
    members.all().map(({ name }) => name),
    ['desk'],
    'its name could be opened'
  )
  t.same(
    keys.rows().map(({ keyId }) => keyId),
    [1]
  )
  t.equal(toHex(keys.get(1).key), toHex(drive.made.content.keys.get(1).key))
  t.same(
    holders.all().map(({ id }) => id),
    drive.holders.all().map(({ id }) => id)
  )
  t.same(announcements, drive.announcements)
  t.same(operationLogs, [{ key, length: 5, treeHash: filled(32, 5) }])
})

t.test('forged, foreign and unreadable bytes are no summaries', async t => {
  const { drive, summaries } = await parties()
  const bytes = await drive.summary()
  for (const bad of [filled(0, 0), filled(100, 1), flipped(bytes, 200), bytes.subarray(1)])
    t.notOk(summaries.add(bad))
  const other = await RecoverableDrive.make(2)
  t.notOk(summaries.add(await other.summary()), 'sealed for other words')
  t.notOk(summaries.add(await drive.summary({ drive: filled(32, 1) })), 'of another drive')
  t.equal(summaries.count, 0)
  t.equal(summaries.newestMs, 0)
})

t.test('of each device the newest counts, in whatever order they come', async t => {
  const { drive, recovery, summaries, key } = await parties()
  drive.lengths.set(key, 9)
  const newer = await drive.summary({ sequence: 2, timeMs: 2_000 })
  drive.lengths.set(key, 4)
  const older = await drive.summary({ sequence: 1, timeMs: 1_000 })
  t.ok(summaries.add(newer))
  t.ok(summaries.add(older), 'genuine, though of no use')
  t.equal(summaries.count, 1)
  t.equal(summaries.newestMs, 2_000)
  t.same(
    summaries.combine(recovery).operationLogs.map(({ length }) => length),
    [9]
  )
})

t.test('what several devices know is put together', async t => {
  const { drive, recovery, summaries, key, pair } = await parties()
  const phone = DeviceKeys.generate(drive.random)
  await drive.say('attest', phone)
  drive.lengths.set(key, 9)
  const bare = { members: [], holders: [], envelopes: [], pairs: [] }
  const only = await drive.summary({ ...bare, pairs: [pairOf(pair.bytes, 3)] }, phone.signing)
  t.ok(summaries.add(only))
  t.equal(summaries.combine(recovery).members.all().length, 0, 'nobody vouches for it')
  t.same(summaries.combine(recovery).operationLogs, [])
  t.ok(summaries.add(await drive.summary()))
  const both = summaries.combine(recovery)
  t.equal(both.members.all().length, 2)
  t.same(
    both.operationLogs.map(({ length }) => length),
    [9],
    'the longer length'
  )
})

const pairOf = (announcement: Uint8Array, length: number) => ({
  announcement,
  operationLog: { length, treeHash: filled(32, length) },
  contentLog: { length: 0, treeHash: filled(32, 0) }
})

t.test('a device that was put out cannot invent lengths, keys or members', async t => {
  const { drive, recovery, summaries, pair } = await parties()
  const thief = DeviceKeys.generate(drive.random)
  await drive.say('attest', thief)
  await drive.say('revoke', thief)
  const { drive: id, recoveryKey: recipient, keys } = drive.made.content
  const false_ = KeyTable.generate(drive.random).get(1)
  const envelope = sealDriveKey({ row: false_, drive: id, recipient, random: drive.random })
  const lie = {
    sequence: 2 ** 50,
    timeMs: 2 ** 50,
    listVersion: 2 ** 50,
    envelopes: [envelope],
    pairs: [pairOf(pair.bytes, 1_000)]
  }
  t.ok(summaries.add(await drive.summary(lie, thief.signing)))
  t.ok(summaries.add(await drive.summary()))
  const recovered = summaries.combine(recovery)
  t.equal(toHex(recovered.keys.get(1).key), toHex(keys.get(1).key))
  t.same(recovered.operationLogs, [], 'the honest length is 0')
  t.equal(recovered.members.bySigning(memberId(thief.signing.publicKey))?.isSuspended, true)
})

t.test('pairs of strangers and impossible lengths are left out', async t => {
  const { drive, recovery, summaries, pair } = await parties()
  const other = await RecoverableDrive.make(2)
  const [foreign] = other.announcements
  const pairs = [
    pairOf(foreign?.bytes ?? filled(1, 0), 5),
    pairOf(filled(50, 1), 5),
    pairOf(pair.bytes, LOG_LENGTH_MAX + 1)
  ]
  t.ok(summaries.add(await drive.summary({ pairs })))
  const { announcements, operationLogs } = summaries.combine(recovery)
  t.same(announcements, [pair])
  t.same(operationLogs, [])
})

t.test('keys that the words do not open are left out', async t => {
  const { drive, recovery, summaries } = await parties()
  const { drive: id, keys } = drive.made.content
  const row = keys.generate(drive.random)
  const recipient = DeviceKeys.generate(drive.random).box.publicKey
  const envelope = sealDriveKey({ row, drive: id, recipient, random: drive.random })
  t.ok(summaries.add(await drive.summary({ envelopes: [envelope] })))
  t.equal(summaries.combine(recovery).keys.size, 0)
})
