/** A keeper as a whole: restarts, time, other devices of the person. */
import t, { type Test } from 'tap'
import { openReceipt, receiptHash } from '../../src/crypto/receipt.ts'
import { RELEASE_DELAY_MS, signRelease } from '../../src/crypto/release.ts'
import { openCustodyChannel } from '../../src/replication/custody-channel.ts'
import { GuardedMux } from '../../src/replication/guarded-mux.ts'
import { LEASE_SEC, NOTICE_SEC } from '../../src/replication/keeper-lease.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import { KeeperLink } from '../../src/replication/keeper-link.ts'
import {
  HOUSEKEEPING_TICKS,
  ONLINE_RECORD_TICKS,
  ONLINE_TICK_MS
} from '../../src/replication/keeper.ts'
import type { PeerConnection } from '../../src/replication/peer-network.ts'
import { countBits } from '../../src/sync/block-bitmap.ts'
import { Members } from '../../src/sync/members.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { blocksOf, logOf, makeBlocks } from '../suites/holder-link-suite.ts'
import { filled } from '../support/bytes.ts'
import { CustodyStage, type CustodyStageOptions } from '../support/custody-stage.ts'
import { makePerson, deviceOf, state } from '../support/member-device.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'
import { VIRTUAL_START_SEC, VirtualClock } from '../support/virtual-clock.ts'

const log = logOf('a')

async function stage(t: Test, options: CustodyStageOptions = {}): Promise<CustodyStage> {
  const made = await CustodyStage.open(options)
  t.teardown(() => made.close())
  made.source.add(log, makeBlocks(100))
  return made
}

t.test('after a restart everything goes on', async t => {
  const made = await stage(t)
  const { link } = await made.admit()
  const before = await link.hold(blocksOf(log, 0, 10))
  await link.putLocator(filled(900, 1))
  const again = await made.reopen()
  t.teardown(() => again.close())
  const { link: later } = await again.link()
  t.same(await later.receipts(0), [before])
  t.match(await later.usage(), { usedBytes: 10_000, sequence: 1 })
  const after = await later.hold(blocksOf(log, 5, 12))
  t.same([after.sequence, after.previous], [2, receiptHash(before.statement)])
  t.equal(countBits(after.bitmap), 12)
  t.same(again.locators, [filled(900, 1)], 'the record of the hash table is put again')
})

t.test('a person whose logs cannot be opened is opened when they can', async t => {
  const made = await stage(t)
  const { link } = await made.admit()
  await link.hold(blocksOf(log, 0, 10))
  const again = await made.reopen({ openFailure: new SyncError('IO', 'no') })
  t.teardown(() => again.close())
  t.same(again.reports, ['what is kept for a person cannot be opened'])
  t.equal(again.keeper.persons().length, 0)
  await t.rejects(again.link(), 'not yet')
  again.openFailure = undefined
  const { link: later } = await again.link()
  t.equal((await later.receipts(0)).length, 1)
})

t.test('a device whose attestation expires is let go', async t => {
  const clock = new VirtualClock()
  const made = await stage(t, { clock })
  const ann = await makePerson(0)
  const device = deviceOf(71)
  const expiresMs = VIRTUAL_START_SEC * 1000 + 30_000
  const hello = {
    identity: ann.identity.signing.publicKey,
    statements: [state(ann, ann.identity.signing, { about: device, content: { expiresMs } })],
    secret: await made.invite()
  }
  const { connection } = await made.link(device, hello)
  clock.advance(ONLINE_TICK_MS * ONLINE_RECORD_TICKS)
  await connection.closed
  await t.rejects(made.link(device, hello), { code: 'REFUSED' })
})

t.test('a person is told nothing of another', async t => {
  const made = await stage(t)
  const { link } = await made.admit()
  await link.hold(blocksOf(log, 0, 10))
  const bob = await makePerson(1)
  const device = deviceOf(70)
  const hello = {
    identity: bob.identity.signing.publicKey,
    drive: filled(32, 9),
    statements: [state(bob, bob.identity.signing, { about: device })],
    secret: await made.invite(500)
  }
  const { link: other, greeted } = await made.link(device, hello)
  t.equal(greeted.quotaBytes, 500)
  t.same(await other.receipts(0), [])
  const hash = filled(32, 1)
  t.equal(await other.fetch({ log, index: 0, hash }), undefined)
  t.same((await other.challenge({ log, indexes: [0], mode: 'hash' })).kind, 'missing')
  t.equal((await other.usage()).usedBytes, 0)
  t.equal(made.keeper.persons().length, 2)
})

t.test('the time online is counted by itself, whatever is done to the clock', async t => {
  const clock = new VirtualClock()
  const made = await stage(t, { clock })
  const { link } = await made.admit()
  const receipt = await link.hold(blocksOf(log, 0, 10))
  t.equal(receipt.onlineSec, 0)
  clock.advance(ONLINE_TICK_MS * ONLINE_RECORD_TICKS)
  t.equal(made.keeper.onlineSec, 60)
  t.match(made.keeper.persons(), [{ usedBytes: 10_000, silentSec: 60, name: '' }])
  const [person] = made.keeper.persons()
  await made.keeper.setName(person?.identity ?? new Uint8Array(), 'Ann')
  t.match(made.keeper.persons(), [{ name: 'Ann', settled: undefined }])
  await link.settleBalance(() => true)
  t.ok(made.keeper.persons()[0]?.settled)
  await link.usage()
  t.match(made.keeper.persons(), [{ silentSec: 0 }])
  await until('it is recorded', () => made.keeper.onlineSec === 60)
  const again = await made.reopen({ clock: new VirtualClock(VIRTUAL_START_SEC + 10 ** 9) })
  t.teardown(() => again.close())
  t.equal(again.keeper.onlineSec, 60, 'a year off, and not a second more')
})

t.test('garbage is deleted when its time has come', async t => {
  const clock = new VirtualClock()
  const made = await stage(t, { clock })
  const { link, greeted } = await made.admit()
  await link.hold(blocksOf(log, 0, 10))
  const issuedMs = VIRTUAL_START_SEC * 1000
  const windows = [{ ...blocksOf(log, 0, 9), log: Buffer.from(log, 'hex') }]
  const content = { keeper: greeted.signer, drive: made.drive.drive, kind: 'garbage' } as const
  const release = { ...content, floor: 1, issuedMs, windows }
  await link.release(signRelease(release, made.device.signing))
  clock.advance(RELEASE_DELAY_MS - ONLINE_TICK_MS)
  await new Promise(resolve => setTimeout(resolve, 20))
  t.equal((await link.receipts(1)).length, 0)
  clock.advance(ONLINE_TICK_MS * HOUSEKEEPING_TICKS)
  await new Promise(resolve => setTimeout(resolve, 20))
  clock.advance(ONLINE_TICK_MS * ONLINE_RECORD_TICKS)
  await until('the drop', () => made.keeper.persons()[0]?.usedBytes === 1000)
  const [receipt] = await link.receipts(1)
  t.equal(receipt && countBits(receipt.bitmap), 1)
})

t.test('nothing under receipt is forgotten for 460 days online without a word', async t => {
  const clock = new VirtualClock()
  const made = await stage(t, { clock })
  const { link } = await made.admit()
  await link.hold(blocksOf(log, 0, 10))
  await made.close()
  const records = new KeeperRecords(made.store)
  const house = async (of: CustodyStage): Promise<void> => {
    clock.advance(ONLINE_TICK_MS * HOUSEKEEPING_TICKS)
    await new Promise(resolve => setTimeout(resolve, 20))
    clock.advance(ONLINE_TICK_MS * ONLINE_RECORD_TICKS)
    await new Promise(resolve => setTimeout(resolve, 20))
    t.equal(of.reports.length, 0)
  }
  const at = async (onlineSec: number): Promise<CustodyStage> => {
    await records.commit([records.life.put({ onlineSec })])
    return made.reopen()
  }
  const noticed = await at(LEASE_SEC + NOTICE_SEC - 3700)
  await house(noticed)
  t.match(noticed.keeper.persons(), [{ lease: 'notice', usedBytes: 10_000 }])
  await noticed.close()
  const ended = await at(LEASE_SEC + NOTICE_SEC)
  await house(ended)
  t.match(ended.keeper.persons(), [{ lease: 'ended', usedBytes: 0 }])
  const { link: late } = await ended.link()
  const [receipt] = await late.receipts(1)
  t.equal(receipt?.bytes, 0, 'who comes later is told')
  t.equal(countBits((await late.hold(blocksOf(log, 0, 4))).bitmap), 4)
  await house(ended)
  t.match(ended.keeper.persons(), [{ lease: 'kept', usedBytes: 4000 }])
  await ended.close()
})

t.test('who gives too little in return gets no more kept', async t => {
  const clock = new VirtualClock()
  const bound = { mibSecondsMax: 100, freeShare: () => 0.5, receivedMibSeconds: () => 5 }
  const made = await stage(t, { clock, imbalance: bound })
  made.source.add(
    logOf('d'),
    Array.from({ length: 10 }, (_, n) => filled(2 ** 20, n))
  )
  const { link } = await made.admit()
  await link.hold(blocksOf(logOf('d'), 0, 1))
  clock.advance(50_000)
  await link.hold(blocksOf(logOf('d'), 1, 2))
  clock.advance(10_000)
  await t.rejects(link.hold(blocksOf(logOf('d'), 2, 3)), { code: 'IMBALANCE' })
  t.equal(countBits((await link.hold(blocksOf(logOf('d'), 0, 2))).bitmap), 2, 'the old stays')
})

t.test('two devices of a person keep for each other on one connection', async t => {
  const made = await stage(t)
  const other = made.drive.newKeys()
  made.drive.state('attest', other)
  const members = new Members({
    identity: made.drive.identity,
    keys: made.drive.keys,
    statements: made.drive.statements
  })
  const { identity, drive } = made.drive
  await made.keeper.adopt({ identity, drive, members })
  const member = members.byNetwork(made.device.network.publicKey)
  if (member === undefined) throw new Error('no member')
  const ours: PeerConnection[] = []
  const theirs: PeerConnection[] = []
  const [a, b] = [made.fabric.network(), made.fabric.network(made.device.network)]
  t.teardown(() => Promise.all([a.close(), b.close()]))
  for (const [network, list] of [[a, ours] as const, [b, theirs] as const]) {
    network.onConnection = connection => {
      GuardedMux.install(connection.stream, { admits: () => true, onFault: () => undefined })
      list.push(connection)
    }
    network.join(filled(32, 3))
  }
  await until('a connection', () => ours.length === 1 && theirs.length === 1)
  const [connection, remote] = [ours[0], theirs[0]]
  if (connection === undefined || remote === undefined) throw new Error('no connection')
  const session = made.keeper.meet({ connection, identity, member })
  const rpc = openCustodyChannel({ connection: remote, hasMux: true, onClose: () => undefined })
  const link = new KeeperLink({
    ...{ rpc, identity, drive, keeper: made.keys.signing.publicKey, clock: made.clock },
    ...{ keyPair: made.device.signing, random: new SeededRandom(3) }
  })
  const receipt = await link.hold(blocksOf(log, 0, 3))
  t.equal(countBits(openReceipt(receipt.statement).bitmap), 3)
  t.equal((await link.usage()).quotaBytes, Number.MAX_SAFE_INTEGER)
  t.ok(session?.rpc.isClosed === false)
  t.equal(made.keeper.meet({ connection, identity: filled(32, 1), member }), undefined)
  members.add(made.drive.state('suspend', made.device))
  made.keeper.membersChanged(identity)
  await remote.closed
})

t.test('a keeper that closes takes nobody any more', async t => {
  const made = await stage(t)
  const { connection, link } = await made.admit()
  await made.keeper.close()
  await connection.closed
  await t.rejects(link.usage(), { code: 'CLOSED' })
  const late = await made.dial()
  await late.closed
  t.pass()
})
