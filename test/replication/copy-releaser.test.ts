/** What keepers are given leave to forget: garbage by itself, excess by order, and never too much. */
import t from 'tap'
import { RELEASE_DELAY_MS } from '../../src/crypto/release.ts'
import { RELEASE_ROUND_MS } from '../../src/replication/copy-releaser.ts'
import { CUSTODY_SETTINGS_DEFAULT } from '../../src/replication/custodian-parts.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { CONTENT, CustodyWorld } from '../support/custody-world.ts'
import type { OwnerDevice } from '../support/custody-world.ts'

const SECOND = 1000
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
const releasesOf = (world: CustodyWorld): number =>
  [...world.keepers.values()].reduce((sum, { releases }) => sum + releases.length, 0)

t.test('what nobody needs and is not here any more is released, once, and then gone', async t => {
  const { world, device } = await scene()
  await world.run(2 * RELEASE_ROUND_MS)
  t.equal(releasesOf(world), 0, 'all of it is needed')
  supersede(world, device, 60)
  await world.run(2 * RELEASE_ROUND_MS)
  t.equal(releasesOf(world), 2, 'at each that has it')
  t.equal(device.custodian.pendingReleases().length, 2)
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
  t.same(device.custodian.pendingReleases(), [], 'it was carried out')
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
  t.equal(device.custodian.pendingReleases().length, 2)
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
    t.equal(await device.custodian.trim(), 0, 'none is too many')
    world.needs = world.needs.map(need => ({ ...need, redundancy: level(3, 2) }))
    world.tellNeeds()
    await world.run(10 * DAY)
    t.equal(world.honestCopies(0), 4, 'none goes by itself')
    t.equal(await device.custodian.trim(), 200)
    t.equal(await device.custodian.trim(), 0, 'they are released already')
    await world.run(RELEASE_DELAY_MS - DAY)
    t.equal(world.honestCopies(0), 4)
    await world.run(DAY + 2 * RELEASE_ROUND_MS)
    for (const index of [0, 50, 99]) t.equal(world.honestCopies(index), 2, 'and this device')
    t.match(device.custodian.copiesOf([{ log: CONTENT, index: 0 }], level(3, 2)), {
      copies: 3,
      health: 'ok'
    })
    await world.run(2 * RELEASE_ROUND_MS)
    t.same(device.custodian.pendingReleases(), [])
  }
)

t.test('a copy that is too many no more when its time has come stays', async t => {
  const { world, device } = await scene(level(5, 2))
  world.needs = world.needs.map(need => ({ ...need, redundancy: level(3, 2) }))
  world.tellNeeds()
  await device.custodian.trim()
  const dropping = new Set(device.custodian.pendingReleases().map(({ keeper }) => keeper))
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
