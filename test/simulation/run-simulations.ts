/**
 * Runs simulations from the command line:
 *
 *     npm run simulate -- --seeds 1000          seeds 1 to 1000
 *     npm run simulate -- --seeds 1000 --from 5001
 *     npm run simulate -- --seed 17             one seed, with everything that happened
 *
 * It ends with 1 when something was wrong, and says which seed shows it.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { simulate, type SimulationResult } from './simulation.ts'

/** How many seeds are run unless told otherwise. */
const SEEDS_DEFAULT = 200
/** After so many bad seeds it stops. */
const FAILURES_MAX = 10
/** How often it says how far it is, in seeds. */
const REPORT_EVERY = 100

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, from: { type: 'string' }, seed: { type: 'string' } }
})

if (values.seed === undefined) await runMany(numberOf(values.from, 1), numberOf(values.seeds))
else await runOne(numberOf(values.seed))

async function runOne(seed: number): Promise<void> {
  const { problems, trace, noticed: _, ...counts } = await simulate({ seed })
  for (const line of trace) console.log(line)
  console.log(textOf(counts))
  report(seed, problems)
}

async function runMany(from: number, count: number): Promise<void> {
  const startMs = Date.now()
  let failures = 0
  const sums = { entryCount: 0, operationCount: 0, conflictCount: 0 }
  for (let done = 0; done < count && failures < FAILURES_MAX; done++) {
    const result = await simulate({ seed: from + done })
    sums.entryCount += result.entryCount
    sums.operationCount += result.operationCount
    sums.conflictCount += result.conflictCount
    if (report(from + done, result.problems)) failures++
    if ((done + 1) % REPORT_EVERY === 0) {
      const perSeedMs = Math.round((Date.now() - startMs) / (done + 1))
      console.log(`${done + 1} seeds: ${textOf(sums)}, ${failures} bad, ${perSeedMs} ms each`)
    }
  }
  console.log(failures === 0 ? `all ${count} seeds are well` : `${failures} seeds are bad`)
}

function textOf(counts: Omit<SimulationResult, 'noticed' | 'problems' | 'trace'>): string {
  const { entryCount, operationCount, conflictCount } = counts
  return `${operationCount} operations in ${entryCount} entries, ${conflictCount} conflicts`
}

function report(seed: number, problems: readonly string[]): boolean {
  if (problems.length === 0) return false
  process.exitCode = 1
  console.log(`seed ${seed} is bad; npm run simulate -- --seed ${seed} shows all of it`)
  for (const problem of problems) console.log(`  ${problem.replaceAll('\n', '\n  ')}`)
  return true
}

function numberOf(text: string | undefined, otherwise = SEEDS_DEFAULT): number {
  const number = text === undefined ? otherwise : Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new TypeError(`${text} is no number`)
  return number
}
