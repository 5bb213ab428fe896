/** Keepers and hash table have what recovery needs, soon after it changed and again each hour. */
import t from 'tap'
import { openLogSummary } from '../../src/crypto/log-summary.ts'
import { signLocatorStatement } from '../../src/crypto/locator-statement.ts'
import { Identity } from '../../src/crypto/identity.ts'
import { blake2b } from '../../src/crypto/sodium.ts'
import { decodeSignedRecord } from '../../src/replication/dht-records.ts'
import {
  LOCATOR_RETRY_MS,
  RECOVERY_INTERVAL_MS,
  RecoveryKeeper,
  SUMMARY_DELAY_MS
} from '../../src/replication/recovery-keeper.ts'
import { toHex } from '../support/bytes.ts'
import { MemoryHolderLink } from '../support/memory-holder-link.ts'
import { RecoverableDrive } from '../support/recoverable-drive.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

async function parties(t: { teardown(end: () => Promise<void>): void }) {
  const clock = new VirtualClock()
  const drive = await RecoverableDrive.make(1, clock)
  const link = new MemoryHolderLink('anna')
  drive.state('add')
  drive.links.push(link.asLink())
  const keeper = new RecoveryKeeper(drive.parts())
  t.teardown(() => keeper.close())
  /** Lets time pass, and what it starts run to its end. */
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    for (let turn = 0; turn < 100; turn++) await Promise.resolve()
  }
  /** Until summary and record are where they belong. */
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) await pass(SUMMARY_DELAY_MS)
  }
  const open = (bytes: Uint8Array | undefined) =>
    openLogSummary(bytes ?? new Uint8Array(0), drive.locator.summaryKey)
  return { clock, drive, link, keeper, pass, settle, open }
}

t.test('a summary is given and the record is put soon after the start', async t => {
  const { drive, link, settle, open } = await parties(t)
  await settle()
  t.equal(link.given.length, 1)
  const summary = open(link.given[0])
  t.same(summary.signer, drive.made.content.deviceKeys.signing.publicKey)
  t.equal(summary.pairs.length, 1)
  const { locator } = drive
  const found = await drive.records.get(locator.keyPair.publicKey)
  if (found === undefined) throw new Error('no record')
  const record = locator.open(found.value, found.sequence)
  t.same(
    record.holders,
    drive.holders.all().map(({ statement }) => statement.network)
  )
  t.equal(record.summaryMs, summary.timeMs)
  t.equal(toHex(record.summaryHash), toHex(blake2b(link.given[0] ?? new Uint8Array(0))))
  t.same(link.locators.map(decodeSignedRecord), [found])
  t.same(drive.reports, [])
})

t.test('changes are summarized together, and only when there is something new', async t => {
  const { drive, keeper, link, settle, open } = await parties(t)
  await settle()
  keeper.changed()
  await settle()
  t.equal(link.given.length, 1, 'nothing is new')
  const [pair] = drive.announcements
  if (pair === undefined) throw new Error('no pair')
  for (const length of [1, 2, 3]) {
    drive.lengths.set(pair.operationLog.key, length)
    keeper.changed()
  }
  await settle()
  t.equal(link.given.length, 2)
  const [first, second] = link.given.map(open)
  t.equal(second?.pairs[0]?.operationLog.length, 3)
  t.ok((second?.sequence ?? 0) > (first?.sequence ?? 0))
  t.equal(drive.records.putCount, 1, 'the hash table is not bothered with it')
})

t.test('another holder is told to the hash table', async t => {
  const { drive, keeper, link, settle } = await parties(t)
  await settle()
  drive.state('add')
  keeper.changed()
  await settle()
  t.equal(drive.records.putCount, 2)
  t.equal(link.locators.length, 2)
  t.ok(decodeSignedRecord(link.locators[1] ?? new Uint8Array(0)).sequence)
})

t.test('who connects later is given what there is, once', async t => {
  const { drive, keeper, settle, pass } = await parties(t)
  await settle()
  const late = new MemoryHolderLink('bert')
  drive.links.push(late.asLink())
  keeper.linkOpened(late.asLink())
  keeper.linkOpened(late.asLink())
  await pass(0)
  t.same([late.given.length, late.locators.length], [1, 1])
})

t.test('each hour all of it is renewed', async t => {
  const { drive, link, settle, pass } = await parties(t)
  await settle()
  drive.records.forget()
  await pass(RECOVERY_INTERVAL_MS)
  await settle()
  t.equal(link.given.length, 2)
  t.ok(await drive.records.get(drive.locator.keyPair.publicKey))
})

t.test('without a hash table holders are given summaries, and the record is put later', async t => {
  const { drive, link, settle, pass } = await parties(t)
  drive.records.isReachable = false
  await settle()
  t.equal(link.given.length, 1)
  t.equal(drive.reports.length, 1)
  await pass(LOCATOR_RETRY_MS)
  await settle()
  t.equal(drive.reports.length, 1, 'said once')
  drive.records.isReachable = true
  await pass(LOCATOR_RETRY_MS)
  await settle()
  t.equal(link.locators.length, 1)
})

t.test('a keeper that takes nothing holds up nobody', async t => {
  const { drive, keeper, link, settle } = await parties(t)
  const full = new MemoryHolderLink('full')
  full.refusal = 'FULL'
  drive.links.unshift(full.asLink())
  await settle()
  t.equal(link.given.length, 1)
  t.ok(drive.reports.length > 0)
  full.refusal = undefined
  drive.state('add')
  keeper.changed()
  await settle()
  t.equal(full.given.length, 1)
})

t.test('a drive older than locators says so, once', async t => {
  const { drive, link, keeper, settle } = await parties(t)
  drive.statements.length = 0
  await settle()
  keeper.changed()
  await settle()
  t.equal(link.given.length, 0)
  t.equal(drive.reports.length, 1)
  t.match(drive.reports[0], /older/)
})

t.test('the newest locator secret counts', async t => {
  const { drive, keeper, link, settle, open } = await parties(t)
  await settle()
  const identity = await Identity.fromWords(drive.made.words)
  drive.statements.push(signLocatorStatement(identity, 1))
  drive.state('add')
  keeper.changed()
  await settle()
  t.ok(await drive.records.get(drive.locator.keyPair.publicKey))
  t.ok(open(link.given.at(-1)))
})

t.test('close() gives what is news, ends it, and can be called twice', async t => {
  const { clock, drive, keeper, link, settle } = await parties(t)
  await keeper.close()
  t.ok(await drive.records.get(drive.locator.keyPair.publicKey), 'found, though it ended at once')
  t.same([link.given.length, link.locators.length], [1, 1])
  await keeper.close()
  keeper.changed()
  await settle()
  t.equal(clock.pendingTimers, 0)
  t.same([link.given.length, drive.reports.length], [1, 0])
})
