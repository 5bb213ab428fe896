/**
 * The custodian over simulated keepers: first copies, losses and repair, audits, several devices,
 * restarts, durability.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { DURABLE_MS_MAX } from '../../src/replication/durability-waiter.ts'
import type { CustodySettings } from '../../src/replication/custodian-parts.ts'
import { CUSTODY_SETTINGS_DEFAULT } from '../../src/replication/custodian-parts.ts'
import { HOLDS_PER_KEEPER_MAX } from '../../src/replication/custody-rounds.ts'
import { GONE_MS, GRACE_MS_DEFAULT } from '../../src/replication/keeper-standing.ts'
import { CONTENT, CustodyWorld, OPERATIONS } from '../support/custody-world.ts'
import type { OwnerDevice } from '../support/custody-world.ts'
import type { SimulatedKeeper } from '../support/simulated-keeper.ts'

const SEED = Number(process.env['GROVE_SEED'] ?? 1)
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const level = (copies: number, floor: number, sites = 1) => ({ copies, floor, sites })
const NO_AUDITS: Partial<CustodySettings> = {
  audits: { ...CUSTODY_SETTINGS_DEFAULT.audits, challengesPerHour: 0 }
}

interface Scene {
  readonly world: CustodyWorld
  readonly device: OwnerDevice
  readonly keepers: readonly SimulatedKeeper[]
}

/** A device and some keepers, connected, and files in place. */
async function scene(options: {
  readonly keepers: number
  readonly blocks?: number
  readonly redundancy?: ReturnType<typeof level>
  readonly settings?: Partial<CustodySettings>
}): Promise<Scene> {
  const world = new CustodyWorld({ seed: SEED })
  const keepers = Array.from({ length: options.keepers }, () => world.addKeeper())
  const device = world.addDevice({ settings: options.settings ?? NO_AUDITS })
  device.connect()
  await world.run(SECOND)
  const { blocks = 100, redundancy = level(3, 2) } = options
  if (blocks > 0) world.write(device, { blocks, redundancy })
  await world.run(10 * SECOND)
  return { world, device, keepers }
}

const block = (index: number) => ({ log: CONTENT, index })
function statusOf(device: OwnerDevice, redundancy = level(3, 2), blocks = [block(0), block(99)]) {
  return device.custodian.copiesOf(blocks, redundancy)
}

t.test('new blocks are on as many keepers as asked for within a second', async t => {
  const { world, device } = await scene({ keepers: 5, blocks: 0 })
  world.write(device, { blocks: 100, redundancy: level(3, 2) })
  t.match(statusOf(device), {
    copies: 1,
    health: 'at-risk',
    lostBytes: 0,
    holders: ['this device']
  })
  await world.run(SECOND)
  t.match(statusOf(device), { copies: 3, health: 'ok' })
  t.equal(statusOf(device).holders.length, 3)
  for (const index of [0, 50, 99]) t.equal(world.honestCopies(index), 2, 'this device is the third')
  t.equal(device.custodian.openWindows, 0)
  for (const keeper of world.keepers.values())
    t.ok(keeper.signed.has(`${OPERATIONS}/0`), 'everyone has the operations')
})

t.test(
  'a level that rises or needs more sites is followed, one that falls drops nothing',
  async t => {
    const { world, device, keepers } = await scene({ keepers: 5, redundancy: level(2, 1) })
    t.equal(world.honestCopies(7), 1)
    for (const [at, keeper] of keepers.entries())
      world.name(keeper, { site: at < 4 ? 'home' : 'away' })
    world.needs = world.needs.map(need => ({ ...need, redundancy: level(2, 1, 3) }))
    world.tellNeeds()
    await world.run(5 * SECOND)
    t.match(statusOf(device, level(2, 1, 3)), { health: 'ok' }, 'unnamed, home and away')
    world.needs = world.needs.map(need => ({ ...need, redundancy: level(5, 4) }))
    world.tellNeeds()
    await world.run(5 * SECOND)
    t.match(statusOf(device, level(5, 4)), { copies: 5, health: 'ok' })
    const before = world.honestCopies(7)
    world.needs = world.needs.map(need => ({ ...need, redundancy: level(1, 1) }))
    world.tellNeeds()
    await world.run(HOUR)
    t.equal(world.honestCopies(7), before)
  }
)

t.test('who is away counts for the grace; then its copies are made elsewhere', async t => {
  const { world, device, keepers } = await scene({ keepers: 4, redundancy: level(3, 1) })
  const lost = keepers.find(keeper => keeper.has(CONTENT, 0, world.truth(CONTENT, 0)))
  assert(lost)
  device.disconnect(lost)
  await world.run(GRACE_MS_DEFAULT - MINUTE)
  t.match(statusOf(device, level(3, 1)), { copies: 3, health: 'ok' })
  t.equal(world.honestCopies(0), 2)
  await world.run(2 * MINUTE)
  t.match(statusOf(device, level(3, 1)), { copies: 3, health: 'ok' }, 'repaired')
  t.equal(world.honestCopies(0), 3)

  device.connect(lost)
  await world.run(MINUTE)
  t.equal(statusOf(device, level(3, 1)).copies, 4, 'a copy too many is left')
})

t.test('at the floor nobody is waited for', async t => {
  const { world, device, keepers } = await scene({ keepers: 4, redundancy: level(3, 3) })
  const lost = keepers.find(keeper => keeper.has(CONTENT, 0, world.truth(CONTENT, 0)))
  assert(lost)
  device.disconnect(lost)
  await world.run(5 * SECOND)
  t.equal(world.honestCopies(0), 3)
  t.equal(statusOf(device, level(3, 3)).copies, 4)
})

t.test('what lacks copies says so, and is repaired when somebody comes', async t => {
  const { world, device, keepers } = await scene({
    keepers: 2,
    redundancy: level(3, 2),
    settings: { ...NO_AUDITS, pollMs: DAY }
  })
  device.disconnect(...keepers)
  await world.run(GRACE_MS_DEFAULT + MINUTE)
  t.match(statusOf(device), { copies: 1, health: 'at-risk' })
  t.equal(device.custodian.isAtFloor(), true)
  const fresh = world.addKeeper()
  device.connect(fresh)
  await world.run(5 * SECOND)
  t.match(statusOf(device), { copies: 3, health: 'ok' }, 'with somebody there others get the grace')
  t.notOk(fresh.has(CONTENT, 0, world.truth(CONTENT, 0)))
  await world.run(GRACE_MS_DEFAULT)
  t.ok(fresh.has(CONTENT, 0, world.truth(CONTENT, 0)))
  t.match(statusOf(device), { copies: 2, health: 'repairing' })
  await world.run(2 * GONE_MS)
  t.match(statusOf(device), { copies: 2, health: 'repairing' })
  t.same(
    [...device.custodian.keeperStatus()].map(({ state }) => state),
    ['gone', 'gone', 'held']
  )
  device.connect(...keepers)
  await world.run(5 * SECOND)
  t.equal(statusOf(device).copies, 4, 'receipts of the lost are asked for again')
})

t.test('operations from before anybody was there are kept by who comes', async t => {
  const { world, device } = await scene({ keepers: 0 })
  await world.run(MINUTE)
  const first = world.addKeeper()
  device.connect(first)
  await world.run(5 * SECOND)
  t.ok(first.signed.has(`${OPERATIONS}/0`))
})

t.test('copies are counted per machine as the owner says', async t => {
  const { world, device, keepers } = await scene({ keepers: 3, redundancy: level(3, 2) })
  for (const keeper of keepers) world.name(keeper, { machine: 'nas' })
  t.match(statusOf(device), { copies: 2, health: 'repairing' })
  await world.run(MINUTE)
  t.equal(world.honestCopies(0), 2, 'no place for another')
  const [first] = keepers
  assert(first)
  world.name(first, { machine: 'other' })
  await world.run(5 * SECOND)
  t.match(statusOf(device), { copies: 3, health: 'ok' })
})

t.test('a keeper on the machine of another by its own word is no copy of its own', async t => {
  const world = new CustodyWorld({ seed: SEED })
  const [left, right] = [world.addKeeper(), world.addKeeper()]
  right.machine = left.machine
  const device = world.addDevice({ settings: NO_AUDITS })
  device.connect()
  world.write(device, { blocks: 10, redundancy: level(3, 1) })
  await world.run(5 * SECOND)
  t.equal(statusOf(device, level(3, 1), [block(0)]).copies, 2)
})

t.test('a full keeper is passed over, and asked again when it has room', async t => {
  const { world, device, keepers } = await scene({ keepers: 2, blocks: 0 })
  const [small, large] = keepers
  assert(small && large)
  small.quotaBytes = 40 * world.blockBytes
  world.write(device, { blocks: 100, redundancy: level(2, 1) })
  await world.run(10 * SECOND)
  t.match(statusOf(device, level(2, 1)), { copies: 2, health: 'ok' })
  t.ok(large.has(CONTENT, 0, world.truth(CONTENT, 0)))
  world.write(device, { blocks: 100, redundancy: level(3, 1) })
  await world.run(MINUTE)
  t.ok(small.usage().usedBytes <= small.quotaBytes)
  t.match(statusOf(device, level(3, 1), [block(150)]), { copies: 2, health: 'repairing' })
  small.quotaBytes = 2 ** 40
  await world.run(2 * HOUR)
  t.match(statusOf(device, level(3, 1), [block(150)]), { copies: 3, health: 'ok' })
})

t.test('a keeper that refuses, for whatever reason, does not stop the others', async t => {
  for (const refuses of [
    'REFUSED',
    'IMBALANCE',
    'UNAVAILABLE',
    'KEEP_LOCKED',
    'BAD_ANSWER'
  ] as const) {
    const { world, device, keepers } = await scene({ keepers: 3, blocks: 0 })
    const [bad] = keepers
    assert(bad)
    bad.faults.refuses = refuses
    world.write(device, { blocks: 600, redundancy: level(3, 1) })
    await world.run(MINUTE)
    t.match(statusOf(device, level(3, 1)), { copies: 3, health: 'ok' }, refuses)
  }
})

t.test('a keeper that stalls is passed over after its deadline', async t => {
  const { world, device, keepers } = await scene({ keepers: 3, blocks: 0 })
  const [bad] = keepers
  assert(bad)
  bad.faults.stalls = true
  world.write(device, { blocks: 600, redundancy: level(3, 1) })
  await world.run(5 * MINUTE)
  t.match(statusOf(device, level(3, 1)), { copies: 3, health: 'ok' })
})

t.test('a block is served only to who is to keep it; who asks again lost it', async t => {
  const { world, device, keepers } = await scene({ keepers: 3, redundancy: level(2, 1) })
  const [keeper] = keepers.filter(one => one.has(CONTENT, 5, world.truth(CONTENT, 5)))
  const other = keepers.find(one => one !== keeper)
  assert(keeper && other)
  const { custodian } = device
  t.equal(custodian.mayServe(keeper.id, CONTENT, 5), false)
  t.equal(custodian.mayServe(other.id, CONTENT, 5), false)
  t.equal(custodian.mayServe(other.id, OPERATIONS, 0), true)
  t.equal(custodian.mayServe('ff'.repeat(32), OPERATIONS, 0), false, 'a stranger')

  custodian.askedAgain(other.id, CONTENT, 5)
  t.equal(world.honestCopies(5), 1, 'who has no receipt has not lost anything')
  keeper.blocks.delete(`${CONTENT}/5`)
  custodian.askedAgain(keeper.id, CONTENT, 5)
  t.match(statusOf(device, level(2, 1), [block(5)]), { copies: 1 })
  await world.run(5 * SECOND)
  t.match(statusOf(device, level(2, 1), [block(5)]), { copies: 2, health: 'ok' })
  t.equal(world.honestCopies(5), 1, 'on another keeper')
})

t.test('an audit finds what a keeper lost behind its back, and it is repaired', async t => {
  const settings = { audits: { ...CUSTODY_SETTINGS_DEFAULT.audits, challengesPerHour: 720 } }
  const { world, device, keepers } = await scene({ keepers: 4, settings })
  const victim = keepers.find(one => one.has(CONTENT, 0, world.truth(CONTENT, 0)))
  assert(victim)
  for (let index = 0; index < 100; index++)
    if (victim.blocks.has(`${CONTENT}/${index}`))
      victim.blocks.set(`${CONTENT}/${index}`, new Uint8Array(8))
  await world.run(10 * MINUTE)
  for (let index = 0; index < 100; index++)
    if (world.honestCopies(index) < 2) t.fail(`block ${index}`)
  t.match(statusOf(device), { health: 'ok' })
  t.equal(device.custodian.keeperStatus().find(one => one.info.id === victim.id)?.state, 'failed')
  t.ok(device.reports.some(report => /failed too many audits/.test(report)))
  const proven = device.custodian.keeperStatus().filter(({ provenMs }) => provenMs > 0)
  t.equal(proven.length >= 3, true, 'the others proved theirs')
})

t.test('a device without content audits by the blocks, and hands on what it obtains', async t => {
  const settings = { audits: { ...CUSTODY_SETTINGS_DEFAULT.audits, challengesPerHour: 720 } }
  const { world, device, keepers } = await scene({ keepers: 4, settings, redundancy: level(3, 1) })
  device.own.counts = false
  device.forgetContent()
  device.custodian.ownBlocksChanged()
  await world.run(MINUTE)
  t.equal(world.honestCopies(0), 3)
  t.match(statusOf(device, level(3, 1)), { copies: 3, health: 'ok' })
  const victim = keepers.find(one => one.has(CONTENT, 0, world.truth(CONTENT, 0)))
  assert(victim)
  for (let index = 0; index < 100; index++)
    victim.blocks.set(`${CONTENT}/${index}`, new Uint8Array(8))
  await world.run(10 * MINUTE)
  t.equal(device.custodian.keeperStatus().find(one => one.info.id === victim.id)?.state, 'failed')
  t.equal(world.honestCopies(0), 3)
})

t.test(
  'a keeper that lost its disk and says so is repaired, and forgets nothing of the rest',
  async t => {
    const { world, device, keepers } = await scene({ keepers: 3, redundancy: level(3, 1) })
    const [lost] = keepers
    assert(lost)
    device.disconnect(lost)
    lost.loseEverything()
    device.connect(lost)
    await world.run(5 * SECOND)
    t.match(statusOf(device, level(3, 1)), { copies: 3, health: 'ok' })
    t.ok(world.honestCopies(0) >= 2)
  }
)

t.test('of several devices one acts for each window, and another when it is gone', async t => {
  const world = new CustodyWorld({ seed: SEED })
  const keepers = Array.from({ length: 4 }, () => world.addKeeper())
  const settings = { ...NO_AUDITS, pollMs: MINUTE }
  const [left, right] = [
    world.addDevice({ settings }),
    world.addDevice({ settings, machine: 'two' })
  ]
  for (const device of [left, right]) device.connect()
  await world.run(SECOND)
  world.write(left, { blocks: 8 * 1024, redundancy: level(3, 1) })
  for (let index = 0; index < world.contentLength; index++) right.keep(CONTENT, index)
  await world.run(2 * MINUTE)
  for (const device of [left, right])
    t.match(statusOf(device, level(3, 1)), { copies: 3, health: 'ok' })
  t.ok(left.servedBlocks > 1024 && right.servedBlocks > 1024, 'each its part')
  const received = keepers.reduce((sum, keeper) => sum + keeper.receivedBlocks, 0)
  t.equal(received, 2 * 8 * 1024 + 4, 'and none of it twice')

  world.needs = world.needs.map(need => ({ ...need, redundancy: level(4, 1) }))
  await left.stop()
  world.tellNeeds()
  await world.run(2 * MINUTE)
  t.match(statusOf(right, level(4, 1)), { copies: 4, health: 'ok' })
})

t.test(
  'another device of the person that keeps all content is a copy without being chosen',
  async t => {
    const world = new CustodyWorld({ seed: SEED })
    const desktop = world.addKeeper({ kind: 'device', name: 'desktop' })
    const holder = world.addKeeper()
    const device = world.addDevice({ settings: NO_AUDITS })
    device.connect()
    await world.run(SECOND)
    world.write(device, { blocks: 10, redundancy: level(2, 1) })
    await world.run(5 * SECOND)
    t.match(statusOf(device, level(2, 1), [block(0)]), { copies: 2, health: 'ok' })
    t.ok(desktop.has(CONTENT, 0, world.truth(CONTENT, 0)))
    t.notOk(holder.has(CONTENT, 0, world.truth(CONTENT, 0)))
  }
)

t.test('a restart goes on where it was', async t => {
  const { world, device, keepers } = await scene({ keepers: 4 })
  await device.stop()
  await world.run(20 * DAY)
  device.start()
  t.match(statusOf(device), { copies: 3, health: 'ok' }, 'nobody was looked for meanwhile')
  device.connect()
  await world.run(MINUTE)
  const received = keepers.reduce((sum, keeper) => sum + keeper.receivedBlocks, 0)
  t.equal(received, 2 * 100 + 4)

  await device.stop()
  await device.rows.clear()
  device.start()
  t.match(statusOf(device), { copies: 1, health: 'at-risk' })
  device.connect()
  await world.run(MINUTE)
  t.match(statusOf(device), { copies: 3, health: 'ok' }, 'receipts were asked for again')
  t.equal(
    keepers.reduce((sum, keeper) => sum + keeper.receivedBlocks, 0),
    received
  )
})

t.test('repair takes no more than its bandwidth, first copies are made at once', async t => {
  const { world, device, keepers } = await scene({
    keepers: 3,
    blocks: 4096,
    redundancy: level(2, 1),
    settings: { ...NO_AUDITS, repairBytesPerSec: 1024 * 1024 }
  })
  t.match(statusOf(device, level(2, 1)), { copies: 2, health: 'ok' })
  const lost = keepers.toSorted((a, b) => b.receivedBlocks - a.receivedBlocks)[0]
  assert(lost)
  const kept = lost.receivedBlocks - 1
  const before = device.servedBlocks
  device.disconnect(lost)
  await world.run(GRACE_MS_DEFAULT + SECOND)
  const seconds = (kept * world.blockBytes) / (1024 * 1024)
  await world.run((seconds / 2) * SECOND)
  const half = device.servedBlocks - before
  t.ok(half > 0 && half < kept, `${half} of ${kept} blocks after half of the time`)
  await world.run((seconds / 2 + 30) * SECOND)
  t.equal(device.servedBlocks - before, kept)
})

t.test('no keeper is asked for more than a few pieces at a time', async t => {
  const { world, device, keepers } = await scene({ keepers: 2, blocks: 0 })
  for (const keeper of keepers) keeper.faults.latencyMs = SECOND
  let most = 0
  for (const keeper of keepers) {
    let running = 0
    const hold = keeper.hold.bind(keeper)
    keeper.hold = (blocks, from) => {
      running++
      most = Math.max(most, running)
      world.clock.after(0, () => running--)
      return hold(blocks, from)
    }
  }
  world.write(device, { blocks: 5 * 1024, redundancy: level(3, 1) })
  await world.run(2 * MINUTE)
  t.match(statusOf(device, level(3, 1)), { copies: 3, health: 'ok' })
  t.ok(most > 1 && most <= HOLDS_PER_KEEPER_MAX, `${most} at a time`)
})

t.test(
  'whenDurable() waits for as many disks as asked for, and no longer than its bound',
  async t => {
    const { world, device, keepers } = await scene({ keepers: 3, blocks: 0 })
    const request = { durability: 'level' as const, redundancy: level(3, 2), blocks: [block(0)] }
    for (const keeper of keepers) keeper.faults.latencyMs = 20
    world.write(device, { blocks: 1, redundancy: level(3, 2) })
    const level3 = device.custodian.whenDurable(request)
    await world.run(21)
    await level3
    t.ok(world.honestCopies(0) >= 2)
    await device.custodian.whenDurable({ ...request, redundancy: level(1, 1) })

    const [first, second, third] = keepers
    assert(first && second && third)
    device.disconnect(second, third)
    first.faults.stalls = true
    const peer = device.custodian.whenDurable({ ...request, durability: 'peer' })
    const timesOut = t.rejects(peer, { name: 'SyncError', code: 'TIMED_OUT' })
    await world.run(DURABLE_MS_MAX)
    await timesOut

    const later = device.custodian.whenDurable({ ...request, durability: 'peer' })
    await world.run(5 * SECOND)
    device.connect(second)
    await world.run(SECOND)
    await later
    const closed = device.custodian.whenDurable({ ...request, redundancy: level(4, 2) })
    const isClosed = t.rejects(closed, { code: 'CLOSED' })
    await device.stop()
    await isClosed
    await t.rejects(device.custodian.whenDurable(request), { code: 'CLOSED' })
  }
)

t.test('what is lost is said, with its bytes', async t => {
  const { world, device, keepers } = await scene({ keepers: 1, redundancy: level(2, 1) })
  const [keeper] = keepers
  assert(keeper)
  device.own.counts = false
  device.forgetContent()
  device.custodian.ownBlocksChanged()
  t.match(statusOf(device, level(2, 1)), { copies: 1, health: 'repairing', lostBytes: 0 })
  t.same(device.custodian.without(keeper.id).lost, { blocks: 100, bytes: 100 * world.blockBytes })
  world.removeKeeper(keeper)
  t.match(statusOf(device, level(2, 1)), {
    copies: 0,
    health: 'lost',
    lostBytes: 2 * world.blockBytes
  })
  const { levels, weakest } = device.custodian.survival()
  t.match(levels, [{ copies: 0, unwell: { lost: { blocks: 100 } } }])
  t.equal(weakest.length, 100)
})

t.test('a removal that is given up forgets nothing of the keeper', async t => {
  const { world, device, keepers } = await scene({ keepers: 4 })
  const keeper = keepers.find(one => one.has(CONTENT, 0, world.truth(CONTENT, 0)))
  assert(keeper)
  keeper.giveUp(CONTENT, [0])
  const standing = (): unknown => {
    const status = device.custodian.keeperStatus().find(({ info }) => info.id === keeper.id)
    return { kept: status?.kept, audits: status?.audits, provenMs: status?.provenMs }
  }
  await world.run(10 * MINUTE)
  const before = standing()
  world.name(keeper, { leaving: 'asked' })
  t.equal(
    device.custodian.keeperStatus().find(({ info }) => info.id === keeper.id)?.state,
    'leaving'
  )
  world.name(keeper, { leaving: undefined })
  t.same(standing(), before)
  t.match(statusOf(device), { copies: 3, health: 'ok' })
})

t.test('what only a leaving keeper has is copied from it', async t => {
  const { world, device, keepers } = await scene({ keepers: 1, redundancy: level(1, 1) })
  const [keeper] = keepers
  assert(keeper)
  device.own.counts = false
  device.custodian.ownBlocksChanged()
  await world.run(MINUTE)
  device.forgetContent()
  device.custodian.ownBlocksChanged()
  const other = world.addKeeper()
  device.connect(other)
  await world.run(MINUTE)
  t.notOk(other.has(CONTENT, 0, world.truth(CONTENT, 0)))
  world.name(keeper, { leaving: 'asked' })
  await world.run(MINUTE)
  t.ok(other.has(CONTENT, 0, world.truth(CONTENT, 0)))
  t.match(statusOf(device, level(1, 1)), { copies: 1, health: 'ok' })
})

t.test('survival() and explain() say what is kept where and why', async t => {
  const { world, device, keepers } = await scene({ keepers: 4 })
  for (const [at, keeper] of keepers.entries())
    world.name(keeper, { site: `${at}`, person: `${at}` })
  const { levels, operationCopies, weakest } = device.custodian.survival()
  t.match(levels, [{ copies: 3, sites: 3, persons: 3, blocks: 100, bytes: 100 * world.blockBytes }])
  t.equal(operationCopies, 5)
  t.same(weakest, [])
  t.equal(device.custodian.isAtFloor(), false)
  const explained = device.custodian.explain([block(0), block(1)])
  t.equal(explained.length, 5)
  const keeping = explained.filter(({ blocks }) => blocks === 2)
  t.equal(keeping.length, 3)
  const best = explained.filter(({ score }) => score > 0).sort((a, b) => b.score - a.score)
  t.same(
    best.slice(0, 2).map(({ blocks }) => blocks),
    [2, 2],
    'the highest were chosen'
  )
  t.ok(keeping.slice(1).every(({ sinceMs }) => sinceMs > 0))
})
