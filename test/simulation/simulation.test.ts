/**
 * Many random runs of several devices with failing networks and disks: all agree, nothing is
 * lost. The same seed gives the same run, and what is broken on purpose is noticed.
 */
import t from 'tap'
import { MUTATIONS } from '../support/model.ts'
import { KEPT_SEEDS } from './seeds.ts'
import { DEVICE_FAULTS } from './simulated-device.ts'
import { simulate } from './simulation.ts'

/** How many seeds are run each time. */
const SEEDS = 200
/** How many seeds have a chance to notice what is broken. */
const SEEDS_BROKEN_MAX = 150

t.setTimeout(600_000)

t.test(`${SEEDS} seeds`, async t => {
  const rules = new Set(MUTATIONS)
  let conflicts = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { problems, noticed, conflictCount } = await simulate({ seed, mutations: [...rules] })
    if (problems.length > 0) t.fail(`npm run simulate -- --seed ${seed}`, { problems })
    for (const mutation of noticed) rules.delete(mutation)
    conflicts += conflictCount
  }
  t.same([...rules], [], 'every broken rule would have been noticed')
  t.ok(conflicts > SEEDS / 10, `${conflicts} conflicts were met`)
})

t.test('seeds that once were bad', async t => {
  for (const seed of KEPT_SEEDS) {
    const { problems } = await simulate({ seed })
    if (problems.length > 0) t.fail(`npm run simulate -- --seed ${seed}`, { problems })
  }
})

t.test('the same seed gives the same run', async t => {
  for (const seed of [1, 2, 3, 4, 5]) {
    t.same(await simulate({ seed }), await simulate({ seed }))
  }
})

for (const fault of DEVICE_FAULTS) {
  t.test(`it is noticed when ${fault}`, async t => {
    let isNoticed = false
    for (let seed = 1; seed <= SEEDS_BROKEN_MAX && !isNoticed; seed++) {
      const { problems } = await simulate({ seed, fault })
      isNoticed = problems.length > 0
    }
    t.ok(isNoticed)
  })
}
