/** A holder keeps what it was asked to keep, byte for byte, and nothing else. */
import t, { type Test } from 'tap'
import { ANNOUNCEMENT_ROWS } from '../../src/replication/holder-logs.ts'
import { CoreSlot, type CorePeer } from '../../src/replication/core-slot.ts'
import { blockSetsOf, countBits, indexesOf } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'
import { filled } from '../support/bytes.ts'
import { HolderStage } from '../support/holder-stage.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { until } from '../support/until.ts'
import { rejectsWith } from '../suites/log-suite.ts'

const BLOCKS = 2100
const block = (index: number): Buffer => Buffer.from(`block ${String(index)}`)
const blocks = Array.from({ length: BLOCKS }, (_, index) => block(index))
const UNKNOWN = logKey('ab'.repeat(32))

const [set] = blockSetsOf(UNKNOWN, [1, 2])
if (set === undefined) throw new Error('no blocks')

/** The holder, as the device's content log sees it. */
function holderAt({ device }: HolderStage): CorePeer {
  const opened = device.logHome.opened(device.contentLog.key)
  const peer = opened instanceof CoreSlot ? opened.core.core.replicator.peers[0] : undefined
  if (peer === undefined) throw new Error('no peer')
  return peer
}

t.test('operation logs are followed, content is brought when it is named', async t => {
  const stage = await HolderStage.open(t)
  const { device, logs } = stage
  const { key } = device.contentLog
  await device.commit(Buffer.from('entry'), blocks)
  await stage.connect()
  await logs.arrived(device.operationLog.key, 1, { idleMs: 5000 })
  await device.commit(Buffer.from('another'))
  await logs.arrived(device.operationLog.key, 2, { idleMs: 5000 })
  t.same(logs.operationLogs(), [device.operationLog.key])
  t.equal(Buffer.from(await logs.read(device.operationLog.key, 1)).toString(), 'another')
  t.ok(logs.isKnown(key) && !logs.isKnown(UNKNOWN))

  stage.grant([3, 4, 1500])
  const sizes = await stage.bring([3, 4, 1500])
  t.same(sizes, new Map([3, 4, 1500].map(index => [index, block(index).length])))
  t.equal((await stage.bring([3, 4])).size, 0, 'what is stored does not come')
  await logs.sync()
  t.same([...indexesOf({ window: 0, bitmap: logs.stored(key, 0) })], [3, 4])
  t.same([...indexesOf({ window: 1, bitmap: logs.stored(key, 1) })], [1500])
  t.equal(countBits(logs.stored(key, 7)), 0, 'a window beyond the end has none')
  t.same(await logs.read(key, 1500), block(1500))
  t.same([logs.length(key), logs.contiguousLength(key)], [BLOCKS, 0])
  t.same(await logs.treeHash(key, BLOCKS), await device.contentLog.treeHash(BLOCKS))
  await rejectsWith(t, 'MISSING', () => logs.read(key, 5), 'a block that nobody named')
  await rejectsWith(t, 'MISSING', () => logs.read(UNKNOWN, 5), 'a log that nobody announced')
  await rejectsWith(t, 'MISSING', () => logs.treeHash(UNKNOWN, 0), 'its hash')
  await rejectsWith(t, 'MISSING', () => logs.treeHash(key, BLOCKS + 1), 'what is beyond the end')
  t.same([logs.length(UNKNOWN), logs.contiguousLength(UNKNOWN)], [0, 0])
  t.equal(countBits(logs.stored(UNKNOWN, 0)), 0)
  t.same(stage.reports, [])
})

t.test('what does not come ends the waiting', async t => {
  const stage = await HolderStage.open(t)
  const { device, logs, fabric, networks } = stage
  await device.commit(Buffer.from('entry'), blocks)
  await rejectsWith(t, 'UNREACHABLE', () => logs.bring(set, { idleMs: 9 }), 'an unknown log')
  await stage.connect()
  await logs.arrived(device.operationLog.key, 1, { idleMs: 5000 })
  await rejectsWith(t, 'UNREACHABLE', () => stage.bring([3], 50), 'what was not granted')
  const giveUp = new AbortController()
  const [wanted] = blockSetsOf(device.contentLog.key, [4])
  if (wanted === undefined) throw new Error('no blocks')
  const waiting = logs.bring(wanted, { idleMs: 5000, signal: giveUp.signal })
  giveUp.abort()
  await rejectsWith(t, 'INTERRUPTED', () => waiting, 'what nobody waits for')
  await rejectsWith(
    t,
    'INTERRUPTED',
    () => logs.bring(wanted, { idleMs: 5000, signal: giveUp.signal }),
    'what nobody ever waited for'
  )
  stage.grant([5])
  await stage.bring([5])
  fabric.partition(...networks)
  stage.grant([6])
  await rejectsWith(t, 'UNREACHABLE', () => stage.bring([6], 50), 'what is granted and not heard')
  const entries = logs.arrived(device.operationLog.key, 9, { idleMs: 50 })
  await rejectsWith(t, 'UNREACHABLE', () => entries, 'entries')
  const closing = rejectsWith(t, 'CLOSED', () => stage.bring([6], 5000), 'what is under way')
  await stage.store.close()
  await closing
})

t.test('blocks are forgotten, and come again when they are wanted', async t => {
  const stage = await HolderStage.open(t)
  const { device, logs } = stage
  const { key } = device.contentLog
  await device.commit(Buffer.from('entry'), blocks)
  await stage.connect()
  stage.grant([1, 2, 3, 9])
  await stage.bring([1, 2, 3, 9])
  const [forgotten] = blockSetsOf(key, [1, 2, 9, 11])
  if (forgotten === undefined) throw new Error('no blocks')
  await logs.forget(forgotten)
  await logs.forget(set)
  t.same([...indexesOf({ window: 0, bitmap: logs.stored(key, 0) })], [3])
  await rejectsWith(t, 'MISSING', () => logs.read(key, 2), 'one of them')
  t.same(await logs.treeHash(key, BLOCKS), await device.contentLog.treeHash(BLOCKS))
  await stage.bring([1, 2, 9])
  t.same(await logs.read(key, 2), block(2))
})

/** A holder that was pushed nothing yet, and what counts the blocks that it asks for. */
async function pushStage(t: Test) {
  const stage = await HolderStage.open(t)
  await stage.connect()
  const { device, networks } = stage
  const peer = holderAt(stage)
  await until('it takes pushes', () => peer.remoteAllowPush)
  const asked: number[] = []
  const handle = peer._handleRequest.bind(peer)
  const answers = { areHeld: false, held: [] as (() => Promise<void>)[] }
  peer._handleRequest = async request => {
    if (request.block !== null) asked.push(request.block.index)
    if (answers.areHeld && request.id !== 0) answers.held.push(() => handle(request))
    else await handle(request)
  }
  const door = device.logHome.uploadDoor(networks[1].publicKey)
  const push = async (indexes: readonly number[]): Promise<() => void> => {
    const way = door.push(blockSetsOf(device.contentLog.key, indexes))
    await way.sent
    return () => way.end()
  }
  const stored = (): readonly number[] => [
    ...indexesOf({ window: 0, bitmap: stage.logs.stored(device.contentLog.key, 0) })
  ]
  return { stage, peer, asked, answers, push, stored }
}

t.test('what was sent unasked is stored when it is wanted, and is not asked for', async t => {
  const { stage, asked, push, stored } = await pushStage(t)
  const { device, logs } = stage
  const { key } = device.contentLog
  await device.commit(Buffer.from('entry'), blocks.slice(0, 40))
  await until('the length', () => logs.length(key) === 40)
  stage.grant([1, 2, 3])
  const end = await push([1, 2, 3, 9])
  t.same(stored(), [], 'nobody wants it yet')
  const sizes = await stage.bring([1, 2])
  t.same(sizes, new Map([1, 2].map(index => [index, block(index).length])))
  end()
  t.same([asked, stored()], [[], [1, 2]])
  await stage.bring([3])
  t.same(await logs.read(key, 3), block(3))
  stage.grant(Array.from({ length: 20 }, (_, at) => 10 + at))
  asked.length = 0
  const many = await push(Array.from({ length: 20 }, (_, at) => 10 + at))
  await stage.bring([11])
  many()
  t.same(asked, [11], 'many are not sent')
})

t.test('the length goes ahead of blocks, whatever was asked for meanwhile', async t => {
  for (const areAnswered of [false, true]) {
    const { stage, answers, push, stored } = await pushStage(t)
    const { device, logs } = stage
    const { key } = device.contentLog
    let from = 0
    for (const to of [5, 9, 20, 21]) {
      answers.areHeld = true
      await device.commit(Buffer.from('entry'), blocks.slice(from, to))
      stage.grant([from, to - 1])
      const end = await push([to - 1])
      end()
      const again = await push([from, to - 1])
      await until('the length', () => logs.length(key) === to)
      // It grows before what asked for the shorter length is answered.
      await device.commit(Buffer.from('entry'), blocks.slice(to, to + 1))
      from = to + 1
      const [answer] = answers.held
      if (areAnswered) await answer?.()
      await stage.bring([to - 1])
      again()
      answers.areHeld = false
      for (const later of answers.held.splice(areAnswered ? 1 : 0)) await later()
      answers.held.length = 0
    }
    stage.grant([10, 21])
    await stage.bring([10, 21])
    t.same(stored(), [4, 8, 10, 19, 20, 21])
    t.same(stage.reports, [], 'nobody takes it for another history')
  }
})

t.test('what was sent in vain leaves nothing behind', async t => {
  const { stage, push, stored } = await pushStage(t)
  const { device } = stage
  await device.commit(Buffer.from('entry'), blocks.slice(0, 5))
  stage.grant([2])
  const ways = await Promise.all([push([2]), push([2])])
  for (const end of ways) end()
  await device.commit(Buffer.from('entry'), blocks.slice(5, 90))
  stage.grant([60])
  await stage.bring([60])
  t.same(stored(), [60])
})

t.test('an answer to what nobody asked for is not stored', async t => {
  const { stage, peer, stored } = await pushStage(t)
  const { device, logs } = stage
  await device.commit(Buffer.from('entry'), blocks.slice(0, 1))
  await until('the length', () => logs.length(device.contentLog.key) === 1)
  const { wireData } = peer as unknown as { wireData: { send(proof: object): void } }
  const nothing = { fork: 0, hash: null, seek: null, upgrade: null, manifest: null }
  const whole = { index: 0, value: block(0), nodes: [] }
  wireData.send({ ...nothing, request: 123_456, block: whole })
  wireData.send({ ...nothing, request: 0, block: whole })
  await device.commit(Buffer.from('entry'))
  await logs.arrived(device.operationLog.key, 2, { idleMs: 5000 })
  t.same(stored(), [])
  stage.grant([0])
  t.same(await stage.bring([0]), new Map([[0, block(0).length]]), 'it is genuine all the same')
})

t.test('nothing of content that is pushed is stored, and strangers announce in vain', async t => {
  const stage = await HolderStage.open(t)
  const { device, logs, networks } = stage
  const { key } = device.contentLog
  await stage.connect()
  device.logHome.uploads.unlimit(networks[1].publicKey)
  await device.commit(Buffer.from('entry'), blocks.slice(0, 3))
  await until('a peer', () => device.logHome.replicated(key)?.hasPeers === true)
  await device.logHome.replicated(key)?.push(0, 3)
  await logs.arrived(device.operationLog.key, 1, { idleMs: 5000 })
  t.equal(countBits(logs.stored(key, 0)), 0)

  const other = await (await ReplicatedDrive.make(2)).device('stranger')
  t.teardown(() => other.close())
  const announced = other.pairs.announcements.map(({ bytes }) => bytes)
  await logs.learn([...announced, Buffer.from('nothing')])
  t.equal(logs.isKnown(other.operationLog.key), false)
  t.equal(logs.announcements.length, 1)
})

t.test('after a restart it knows its logs and what it stored of them', async t => {
  const stage = await HolderStage.open(t)
  const { device } = stage
  const { key } = device.contentLog
  await device.commit(Buffer.from('entry'), blocks)
  await stage.connect()
  stage.grant([1, 1030])
  await stage.bring([1, 1030])
  await stage.logs.arrived(device.operationLog.key, 1, { idleMs: 5000 })
  for (const network of stage.networks) await network.close()
  await stage.store.close()
  t.equal(
    [...stage.records.range({ from: Uint8Array.of(ANNOUNCEMENT_ROWS), to: filled(1, 0xff) })]
      .length,
    1
  )
  await stage.reopen()
  const { logs } = stage
  t.ok(logs.isKnown(key) && logs.isKnown(device.operationLog.key))
  t.same(await logs.read(key, 1030), block(1030))
  t.equal(logs.contiguousLength(device.operationLog.key), 1)
  t.same(await logs.treeHash(key, BLOCKS), await device.contentLog.treeHash(BLOCKS))
})

t.test('a log that is learned while connected is replicated at once, to every device', async t => {
  const stage = await HolderStage.open(t)
  const { device, logs, networks } = stage
  await stage.connect()
  const [connection] = networks[1].connections
  if (connection === undefined) throw new Error('no connection')
  logs.attach(connection)
  await device.commit(Buffer.from('entry'), blocks)
  stage.grant([7])
  await stage.bring([7])
  logs.hangUp()
  await until('another connection', () => {
    const [next] = networks[1].connections
    return next !== undefined && next !== connection
  })
  await device.commit(Buffer.from('another'))
  await logs.arrived(device.operationLog.key, 2, { idleMs: 5000 })
  t.same(await logs.read(device.contentLog.key, 7), block(7))
})

t.test('an entry that is more than its person may keep is not stored', async t => {
  const stage = await HolderStage.open(t)
  const { device, store } = stage
  const asked: number[] = []
  stage.logs = await store.person({
    ...stage.person(),
    drive: filled(32, 1)
  })
  t.equal(stage.logs.operationLogs().length, 0, 'of another drive')
  await stage.store.close()
  await stage.reopen(bytes => {
    asked.push(bytes)
    return bytes < 10
  })
  await device.commit(Buffer.from('short'))
  await stage.connect()
  await stage.logs.arrived(device.operationLog.key, 1, { idleMs: 5000 })
  const refused = stage.logs.arrived(device.operationLog.key, 2, { idleMs: 5000 })
  const rejected = rejectsWith(t, 'NO_SPACE', () => refused, 'the entry')
  await device.commit(Buffer.from('more than may be kept'))
  await rejected
  t.equal(stage.logs.contiguousLength(device.operationLog.key), 1)
  t.ok(asked.includes(21) && !stage.store.isStarved)
})

t.test(
  'an entry of an operation log that was forgotten comes anew, and those after it',
  async t => {
    const stage = await HolderStage.open(t)
    const { device, logs } = stage
    const { key } = device.operationLog
    for (let index = 0; index < 6; index++) await device.commit(Buffer.alloc(5000, index))
    await stage.connect()
    await logs.arrived(key, 6, { idleMs: 5000 })
    const [damaged] = blockSetsOf(key, [2])
    if (damaged === undefined) throw new Error('no blocks')
    await logs.forget(damaged)
    await logs.bring(damaged, { idleMs: 5000 })
    t.same(await logs.read(key, 2), Buffer.alloc(5000, 2))
    await device.commit(Buffer.from('later'))
    await logs.arrived(key, 7, { idleMs: 5000 })
    t.equal(logs.contiguousLength(key), 7)
  }
)
