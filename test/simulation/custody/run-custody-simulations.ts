/**
 * `npm run simulate:custody -- --seeds N --years Y`: simulates N drives for Y years each, prints
 * what became of their copies, and draws it.
 *
 * `--first N` begins with another seed than 1, `--svg FILE` draws to another file. Interrupted, it
 * ends after the seed under way with what there is. The exit code says whether blocks were lost
 * that had honest copies enough.
 *
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { forbiddenLosses, formatTable, plotSvg } from './custody-summary.ts'
import type { SimulatedDrive } from './custody-summary.ts'
import { YEARS_SCENARIO, simulateDrive } from './simulate-drive.ts'

const PLOT_FILE = fileURLToPath(
  new URL(join('..', '..', '..', 'bench', 'custody-simulation.svg'), import.meta.url)
)

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    first: { type: 'string', default: '1' },
    years: { type: 'string', default: '10' },
    svg: { type: 'string', default: PLOT_FILE }
  }
})
const [seeds, first, years] = [values.seeds, values.first, values.years].map(Number)
const drives: SimulatedDrive[] = []
const began = Date.now()
const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())
for (let at = 0; at < (seeds ?? 1) && !interrupted.signal.aborted; at++) {
  const seed = (first ?? 1) + at
  const scenario = { ...YEARS_SCENARIO, seed, years: years ?? 1 }
  const history = await simulateDrive(scenario)
  drives.push({ scenario, history })
  const { lost, vanished, liars, liarsFound } = history
  const passed = ((Date.now() - began) / 1000).toFixed(0)
  process.stderr.write(
    `seed ${seed}: ${lost.length} blocks lost, ${vanished} holders vanished, ` +
      `${liarsFound} of ${liars} liars found (${passed} s)\n`
  )
}
process.stdout.write(`${formatTable(drives)}\n`)
writeFileSync(values.svg, plotSvg(drives))
const forbidden = drives.flatMap(forbiddenLosses)
for (const loss of forbidden) process.stdout.write(`${loss}\n`)
process.exitCode = forbidden.length > 0 ? 1 : 0
