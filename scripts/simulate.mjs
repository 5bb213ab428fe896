/**
 * `npm run simulate` runs the simulation of several devices, `npm run simulate:custody` that of
 * copies over years; see `test/simulation/run-simulations.ts` and
 * `test/simulation/custody/run-custody-simulations.ts` for what can follow `--`.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
// The loader that tap uses: the simulation runs from its sources, as the tests do.
const LOADER = '@tapjs/typescript/import'
const isCustody = process.argv[2] === 'custody'
const script = join(
  ROOT,
  isCustody
    ? 'test/simulation/custody/run-custody-simulations.ts'
    : 'test/simulation/run-simulations.ts'
)
const { status } = spawnSync(
  process.execPath,
  [`--import=${LOADER}`, '--enable-source-maps', script, ...process.argv.slice(isCustody ? 3 : 2)],
  { cwd: ROOT, stdio: 'inherit', env: { ...process.env, TS_NODE_TRANSPILE_ONLY: '1' } }
)
process.exitCode = status ?? 1
