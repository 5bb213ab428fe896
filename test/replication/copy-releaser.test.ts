/** What keepers are given leave to forget: garbage by itself, excess by order, and never too much. */
import assert from 'node:assert/strict'
import t from 'tap'
import { RELEASE_DELAY_MS, signRelease } from '../../src/crypto/release.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { RELEASE_ROUND_MS, type ReleasedCopies } from '../../src/replication/copy-releaser.ts'
import { CUSTODY_SETTINGS_DEFAULT } from '../../src/replication/custodian-parts.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { CONTENT, CustodyWorld } from '../support/custody-world.ts'
import type { OwnerDevice } from '../support/custody-world.ts'
import type { SimulatedKeeper } from '../support/simulated-keeper.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const DAY = 24 * 3_600_000
const level = (copies: number, floor: number) => ({ copies, floor, sites: 1 })
const settings = {
  pollMs: RELEASE_ROUND_MS,
  audits: { ...CUSTODY_SETTINGS_DEFAULT.audits, challengesPerHour: 0 }
}

async function scene(
  redundancy = level(3, 2)
): Promise<{ readonly world: CustodyWorld; readonly device: OwnerDevice }> {
  const world = new CustodyWorld({ seed: Number(process.env['GROVE_SEED'] ?? 1) })
  for (let count = 0; count < 5; count++) world.addKeeper()
  const device = world.addDevice({ settings })
  device.connect()
  await world.run(SECOND)
  world.write(device, { blocks: 100, redundancy })
  await world.run(10 * SECOND)
  return { world, device }
}

/** Only the first blocks are needed, and the others are not here any more. */
function supersede(world: CustodyWorld, device: OwnerDevice, needed: number): void {
  world.needs = world.needs.map(need => ({
    ...need,
    bitmap: rangeBitmap({ window: 0, from: 0, to: needed })
  }))
  device.forgetContent()
  for (let index = 0; index < needed; index++) device.keep(CONTENT, index)
  world.tellNeeds()
}
const toldOf = (released: readonly ReleasedCopies[]): number =>
  released.reduce((sum, { told }) => sum + told.blocks, 0)
const releasesOf = (world: CustodyWorld): number =>
  [...world.keepers.values()].reduce((sum, { releases }) => sum + releases.length, 0)

t.test('what nobody needs and is not here any more is released, once, and then gone', async t => {
  const { world, device } = await scene()
  await world.run(2 * RELEASE_ROUND_MS)
  t.equal(releasesOf(world), 0, 'all of it is needed')
  supersede(world, device, 60)
  await world.run(2 * RELEASE_ROUND_MS)
  t.equal(releasesOf(world), 2, 'at each that has it')
  t.equal(device.custodian.waitingReleases().length, 2)
  await device.stop()
  device.start()
  device.connect()
  await world.run(3 * RELEASE_ROUND_MS)
  t.equal(releasesOf(world), 2, 'a restart releases nothing twice')
  await world.run(RELEASE_DELAY_MS)
  for (const keeper of world.keepers.values()) keeper.dropGarbage()
  await world.run(3 * RELEASE_ROUND_MS)
  t.equal(world.honestCopies(70), 0)
  t.equal(world.honestCopies(59), 2)
  t.same(device.custodian.waitingReleases(), [], 'it was carried out')
})

t.test('nothing is released that may be needed', async t => {
  const whenNot: Readonly<Record<string, (world: CustodyWorld, device: OwnerDevice) => void>> = {
    'the device does not keep all content': (_, device) => {
      device.own.counts = false
    },
    'it may not know all of the drive': (_, device) => {
      device.settings = { ...device.settings, mayRelease: false }
    },
    'no operation it knows speaks of the blocks': world => {
      world.contentLength = 60
    },
    'the blocks are still here': (_, device) => {
      for (let index = 0; index < 100; index++) device.keep(CONTENT, index)
    }
  }
  for (const [reason, change] of Object.entries(whenNot)) {
    const { world, device } = await scene()
    supersede(world, device, 60)
    change(world, device)
    await world.run(3 * RELEASE_ROUND_MS)
    t.equal(releasesOf(world), 0, reason)
  }
  const { world, device } = await scene()
  supersede(world, device, 60)
  await device.stop()
  device.start({ isTold: false })
  device.connect()
  await world.run(3 * RELEASE_ROUND_MS)
  t.equal(releasesOf(world), 0, 'it was not said what is needed')
})

t.test('what is needed again is not released any more', async t => {
  const { world, device } = await scene()
  supersede(world, device, 60)
  await world.run(2 * RELEASE_ROUND_MS)
  t.equal(device.custodian.waitingReleases().length, 2)
  const cancelled: number[] = []
  for (const keeper of world.keepers.values())
    keeper.addRelease = statement => cancelled.push(statement.length)
  world.needs = world.needs.map(need => ({
    ...need,
    bitmap: rangeBitmap({ window: 0, from: 0, to: 80 })
  }))
  world.tellNeeds()
  await world.run(RELEASE_ROUND_MS)
  t.equal(cancelled.length, 4, 'two are cancelled, and the rest is released again')
})

t.test(
  'trim() takes copies that are too many, after the time to cancel, down to the wish',
  async t => {
    const { world, device } = await scene(level(5, 2))
    t.equal(world.honestCopies(0), 4)
    t.same(await device.custodian.trim(), [], 'none is too many')
    world.needs = world.needs.map(need => ({ ...need, redundancy: level(3, 2) }))
    world.tellNeeds()
    await world.run(10 * DAY)
    t.equal(world.honestCopies(0), 4, 'none goes by itself')
    const trimmed = await device.custodian.trim()
    t.equal(toldOf(trimmed), 200)
    t.equal(trimmed.length, 2)
    const bytes = 100 * world.blockBytes
    t.match(trimmed[0], { told: { blocks: 100, bytes }, away: { blocks: 0 }, refusal: undefined })
    t.match(device.custodian.waitingReleases(), [
      { kind: 'excess', blocks: 100, bytes, dueMs: world.clock.nowMs + RELEASE_DELAY_MS },
      { kind: 'excess', blocks: 100, refusal: undefined }
    ])
    t.same(await device.custodian.trim(), [], 'they are released already')
    await world.run(RELEASE_DELAY_MS - DAY)
    t.equal(world.honestCopies(0), 4)
    await world.run(DAY + 2 * RELEASE_ROUND_MS)
    for (const index of [0, 50, 99]) t.equal(world.honestCopies(index), 2, 'and this device')
    t.match(device.custodian.copiesOf([{ log: CONTENT, index: 0 }], level(3, 2)), {
      copies: 3,
      health: 'ok'
    })
    await world.run(2 * RELEASE_ROUND_MS)
    t.same(device.custodian.waitingReleases(), [])
  }
)

t.test('a copy that is too many no more when its time has come stays', async t => {
  const { world, device } = await scene(level(5, 2))
  world.needs = world.needs.map(need => ({ ...need, redundancy: level(3, 2) }))
  world.tellNeeds()
  await device.custodian.trim()
  const dropping = new Set(device.custodian.waitingReleases().map(({ keeper }) => keeper))
  const others = [...world.keepers.values()].filter(
    ({ id, blocks }) => !dropping.has(id) && blocks.size > 1
  )
  device.disconnect(...others)
  await world.run(RELEASE_DELAY_MS + 3 * RELEASE_ROUND_MS)
  const copies = [...world.keepers.values()].filter(
    keeper => dropping.has(keeper.id) && keeper.has(CONTENT, 0, world.truth(CONTENT, 0))
  )
  t.equal(copies.length, 2)
})

/** From now on three copies are wished where there are five. */
function wishForLess(world: CustodyWorld): void {
  world.needs = world.needs.map(need => ({ ...need, redundancy: level(3, 2) }))
  world.tellNeeds()
}

t.test('trim() says what is away, what was refused, and why nothing is done at all', async t => {
  const { world, device } = await scene(level(5, 2))
  wishForLess(world)
  device.settings = { ...device.settings, mayRelease: false }
  await t.rejects(device.custodian.trim(), { code: 'REFUSED' }, 'after a recovery')
  device.settings = { ...device.settings, mayRelease: true }
  const keeping = [...world.keepers.values()].filter(({ blocks }) => blocks.size > 1)
  const [first, second, third, fourth] = keeping
  assert(first && second && third && fourth)
  device.disconnect(first, second, third)
  fourth.faults.refusesReleases = true
  const trimmed = await device.custodian.trim()
  t.match(
    trimmed.find(({ keeper }) => keeper === fourth.id),
    {
      told: { blocks: 0 },
      refusal: 'FULL'
    }
  )
  t.equal(
    trimmed.reduce((sum, { away }) => sum + away.blocks, 0),
    100
  )
  t.same(device.custodian.waitingReleases(), [])
  fourth.faults.refusesReleases = false
  t.equal(toldOf(await device.custodian.trim()), 100, 'the one that is there')
  device.connect(first, second, third)
  await world.run(SECOND)
  t.equal(toldOf(await device.custodian.trim()), 100, 'and one of the others, not two')
})

t.test('what trim() released is taken back', async t => {
  const { world, device } = await scene(level(5, 2))
  wishForLess(world)
  await device.custodian.trim()
  t.equal(toldOf(await device.custodian.cancelTrim()), 200)
  t.same(device.custodian.waitingReleases(), [])
  await world.run(RELEASE_DELAY_MS + 3 * RELEASE_ROUND_MS)
  t.equal(world.honestCopies(0), 4)
})

t.test('every device knows what any of them released, and can take it back', async t => {
  const { world, device } = await scene(level(5, 2))
  const other = world.addDevice({ settings, counts: false })
  other.connect()
  await world.run(SECOND)
  wishForLess(world)
  await device.custodian.trim()
  t.same(other.custodian.waitingReleases(), [])
  other.disconnect(...world.keepers.values())
  other.connect()
  await world.run(10 * SECOND)
  t.equal(other.custodian.waitingReleases().length, 2, 'it is told when it connects')
  t.equal(toldOf(await other.custodian.cancelTrim()), 200)
  await world.run(RELEASE_ROUND_MS + SECOND)
  t.same(device.custodian.waitingReleases(), [], 'and the first one learns that')
  await world.run(RELEASE_DELAY_MS + RELEASE_ROUND_MS)
  t.equal(world.honestCopies(0), 4)
})

t.test('what no device of the person signed is not listened to', async t => {
  const { world, device } = await scene(level(5, 2))
  wishForLess(world)
  const [keeper] = world.keepers.values()
  assert(keeper)
  const stranger = signingKeyPair(new Uint8Array(32).fill(9))
  const [set] = world.needs
  assert(set)
  const windows = [{ ...set, log: Buffer.from(set.log, 'hex') }]
  const forged = { drive: world.drive, keeper: Buffer.from(keeper.id, 'hex'), windows }
  keeper.addRelease(signRelease({ ...forged, kind: 'excess', floor: 1, issuedMs: 0 }, stranger))
  await world.run(2 * RELEASE_ROUND_MS)
  t.same(device.custodian.waitingReleases(), [])
})

/** One that has the blocks. */
function keeperOf(world: CustodyWorld): SimulatedKeeper {
  const keeper = [...world.keepers.values()].find(one =>
    one.has(CONTENT, 0, world.truth(CONTENT, 0))
  )
  assert(keeper)
  return keeper
}

t.test('what a keeper has that the user does without goes in time, and it is told of', async t => {
  const { world, device } = await scene()
  const leaving = keeperOf(world)
  const has = (): boolean => leaving.has(CONTENT, 0, world.truth(CONTENT, 0))
  world.name(leaving, { leaving: 'asked' })
  t.equal(device.custodian.copiesOf([{ log: CONTENT, index: 0 }], level(3, 2)).copies, 2)
  await world.run(10 * SECOND)
  t.match(device.custodian.copiesOf([{ log: CONTENT, index: 0 }], level(3, 2)), { copies: 3 })
  t.same(leaving.releases, [], 'nothing is released while it may be kept with')
  world.name(leaving, { leaving: 'removed', addedMs: 0 })
  const { told } = await device.custodian.releaseRemoved(leaving.id)
  t.equal(told.blocks, 100)
  t.match(leaving.releases, [{ kind: 'excess', floor: 2 }])
  t.equal((await device.custodian.releaseRemoved(leaving.id)).told.blocks, 0, 'once')
  await world.run(RELEASE_DELAY_MS - RELEASE_ROUND_MS)
  t.ok(has())
  t.same(device.left, [])
  await world.run(3 * RELEASE_ROUND_MS)
  t.notOk(has())
  t.same(device.left[0], leaving.id)
  t.same(device.custodian.contentOf(leaving.id), { blocks: 0, bytes: 0 })
  t.same(device.custodian.waitingReleases(), [])
  t.equal(world.honestCopies(0), 2)
})

t.test('what is being released is not released a second time meanwhile', async t => {
  const { world, device } = await scene()
  const leaving = keeperOf(world)
  leaving.faults.latencyMs = 100
  world.name(leaving, { leaving: 'removed', addedMs: 0 })
  await world.run(10)
  // It says what waits there sooner than it has a release on its disk.
  leaving.faults.latencyMs = 200
  const order = device.custodian.releaseRemoved(leaving.id)
  await world.run(10 * SECOND)
  t.equal((await order).told.blocks, 100)
  t.equal(leaving.releases.length, 1)
  t.match(device.custodian.waitingReleases(), [{ blocks: 100 }])
  t.equal(device.custodian.waitingReleases().length, 1)
})

t.test('it keeps all until others are there that keep the floor', async t => {
  const { world, device } = await scene()
  const leaving = keeperOf(world)
  world.name(leaving, { leaving: 'removed', addedMs: 0 })
  await device.custodian.releaseRemoved(leaving.id)
  await world.run(10 * SECOND)
  const others = [...world.keepers.values()].filter(({ id }) => id !== leaving.id)
  device.disconnect(...others)
  await world.run(RELEASE_DELAY_MS + 3 * RELEASE_ROUND_MS)
  t.ok(leaving.has(CONTENT, 0, world.truth(CONTENT, 0)))
  device.connect(...others)
  await world.run(3 * RELEASE_ROUND_MS)
  t.notOk(leaving.has(CONTENT, 0, world.truth(CONTENT, 0)))
})

t.test('who was away when it was removed is told when it is met, after a restart too', async t => {
  const { world, device } = await scene()
  const leaving = keeperOf(world)
  device.disconnect(leaving)
  world.name(leaving, { leaving: 'removed', addedMs: 0 })
  t.match(await device.custodian.releaseRemoved(leaving.id), {
    told: { blocks: 0 },
    away: { blocks: 100 }
  })
  await device.stop()
  await world.run(40 * DAY)
  device.start()
  t.equal(device.custodian.contentOf(leaving.id).blocks, 100, 'it is not forgotten')
  device.connect()
  await world.run(MINUTE)
  t.match(leaving.releases, [{ kind: 'excess' }])
})

t.test('who is taken in again keeps what was released', async t => {
  const { world, device } = await scene()
  const leaving = keeperOf(world)
  world.name(leaving, { leaving: 'removed', addedMs: 0 })
  await device.custodian.releaseRemoved(leaving.id)
  await world.run(DAY)
  world.name(leaving, { leaving: undefined, addedMs: world.clock.nowMs })
  await world.run(SECOND)
  t.same(leaving.releases, [], 'cancelled at once')
  await world.run(RELEASE_DELAY_MS + 3 * RELEASE_ROUND_MS)
  t.ok(leaving.has(CONTENT, 0, world.truth(CONTENT, 0)))
  t.same(leaving.releases, [])
  t.same(device.custodian.waitingReleases(), [])
  t.ok(device.custodian.copiesOf([{ log: CONTENT, index: 0 }], level(3, 2)).copies >= 3)
})
