/**
 * `npm run bench:holder`: the memory of a holder; see `test/bin/holder-memory.ts` for what can
 * follow `--`.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
// The loader that tap uses: it runs from its sources, as the tests do.
const LOADER = '@tapjs/typescript/import'
const script = join(ROOT, 'test/bin/holder-memory.ts')
const { status } = spawnSync(
  process.execPath,
  [`--import=${LOADER}`, '--enable-source-maps', script, ...process.argv.slice(2)],
  { cwd: ROOT, stdio: 'inherit', env: { ...process.env, TS_NODE_TRANSPILE_ONLY: '1' } }
)
process.exitCode = status ?? 1
