/**
 * Drives over years in small: nothing is lost by the custodian as it is, and what is wrong with
 * another is noticed.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import type { Test } from 'tap'
import { Auditor } from '../../../src/replication/auditor.ts'
import { CopyPlanner } from '../../../src/replication/copy-planner.ts'
import type { WindowPlan } from '../../../src/replication/copy-planner.ts'
import { KeeperStanding } from '../../../src/replication/keeper-standing.ts'
import { forbiddenLosses, formatTable, plotSvg, summarizeMonths } from './custody-summary.ts'
import type { SimulatedDrive } from './custody-summary.ts'
import { YEARS_SCENARIO, simulateDrive } from './simulate-drive.ts'
import type { DriveScenario } from './simulate-drive.ts'

const SEED = Number(process.env['GROVE_SEED'] ?? 1)

/** Fewer holders that have it harder. */
const HARD: Omit<DriveScenario, 'seed'> = {
  ...YEARS_SCENARIO,
  ...{ years: 1, holders: 10, blocks: 64, vanishPerMonth: 0.1, rotPerYear: 0.3, liarShare: 0.1 }
}

async function run(scenario: DriveScenario): Promise<SimulatedDrive> {
  return { scenario, history: await simulateDrive(scenario) }
}

t.test('years pass and nothing is lost; the same seed is the same years', async t => {
  const scenario = { ...YEARS_SCENARIO, holders: 20, seed: SEED, years: 0.25 }
  const drives = [await run(scenario), await run({ ...scenario, seed: SEED + 1 })]
  for (const line of formatTable(drives).split('\n')) t.comment(line)
  for (const drive of drives) {
    t.same(drive.history.lost, [])
    t.same(forbiddenLosses(drive), [])
    for (const { leastCopies } of drive.history.months) t.ok(leastCopies >= 2)
  }
  const [first] = drives
  t.same(await run(scenario), first)
  t.match(plotSvg(drives), /^<svg[^]*polyline[^]*<\/svg>\n$/)
  t.equal(summarizeMonths(drives).length, 3)
})

t.test(
  'a hard time is survived as well, liars are found, and honest ones are not taken for any',
  async t => {
    let [liars, found] = [0, 0]
    for (let seed = SEED; seed < SEED + 2; seed++) {
      const { history } = await run({ ...HARD, seed })
      t.same(history.lost, [], `seed ${seed}`)
      liars += history.liars
      found += history.liarsFound
    }
    t.comment(`${found} of ${liars} liars found`)
    t.ok(found > 0)
  }
)

/** Ways to be wrong, each with how it shows. */
const MUTANTS: Readonly<
  Record<string, { readonly plant: (t: Test) => void; readonly shows: 'lost' | 'overclaimed' }>
> = {
  'nobody is ever away': {
    plant: t => void t.intercept(KeeperStanding.prototype, 'stateAt', { value: () => 'held' }),
    shows: 'lost'
  },
  'audits have no consequence': {
    plant: t => void t.intercept(Auditor.prototype, 'failed', { value: () => undefined }),
    shows: 'overclaimed'
  }
}

t.test('a custodian that is wrong is noticed', async t => {
  const honest = await run({ ...HARD, seed: SEED })
  for (const [name, { plant, shows }] of Object.entries(MUTANTS)) {
    await t.test(name, async t => {
      plant(t)
      const { history } = await run({ ...HARD, seed: SEED })
      const claims = (months: typeof history.months): number =>
        months.reduce((sum, { overclaimed }) => sum + overclaimed, 0)
      const [wrong, right] = [claims(history.months), claims(honest.history.months)]
      t.comment(`${history.lost.length} blocks lost, ${wrong} overclaimed instead of ${right}`)
      if (shows === 'lost') t.ok(history.lost.length > 0)
      else t.ok(wrong > 2 * right + 10)
    })
  }
  await t.test('nothing is repaired', async t => {
    type Plan = (this: CopyPlanner, ...input: Parameters<CopyPlanner['plan']>) => WindowPlan
    const found: { readonly value?: Plan } | undefined = Object.getOwnPropertyDescriptor(
      CopyPlanner.prototype,
      'plan'
    )
    const plan = found?.value
    assert(plan)
    let pieces = 0
    t.intercept(CopyPlanner.prototype, 'plan', {
      value(this: CopyPlanner, ...input: Parameters<Plan>) {
        const planned = plan.apply(this, input)
        // The first copies are made.
        pieces += planned.orders.length
        return pieces < 40 ? planned : { ...planned, orders: [] }
      }
    })
    const { history } = await run({ ...HARD, seed: SEED })
    t.comment(`${history.lost.length} blocks lost`)
    t.ok(history.lost.length > 0)
  })
})
