/**
 * `npm run coverage`: holds the model and the ground to being tested. Each file of src/sync and
 * src/crypto must have {@link LINES_PERCENT_MIN} of its lines run by the tests of those rooms and
 * of src/fs, which stands on them.
 *
 * The other rooms are not held to a figure: they run in processes of their own below a mount,
 * where counting lines would slow down what the tests time. `npm test` counts nothing.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')

/** Of each file, the least part of its lines that must run, in percent. */
const LINES_PERCENT_MIN = 95

/** The rooms that are held to it. */
const HELD = ['src/crypto', 'src/sync']

/** The tests that count. */
const TESTS = ['test/crypto', 'test/sync', 'test/fs']

const report = join(ROOT, '.tap/report/coverage-summary.json')

function main() {
  rmSync(report, { force: true })
  const tests = TESTS.flatMap(room => filesBelow(room).filter(path => path.endsWith('.test.ts')))
  const tap = join(ROOT, 'node_modules/.bin/tap')
  const flags = ['--no-disable-coverage', '--coverage-report=json-summary']
  const { status } = spawnSync(tap, ['run', ...flags, ...tests], { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) return fail('some tests failed')

  const summary = Object.entries(JSON.parse(readFileSync(report, 'utf8'))).map(
    ([path, { lines }]) => [relative(ROOT, path), lines.pct]
  )
  const held = summary.filter(([path]) => HELD.some(room => path.startsWith(`${room}/`)))
  if (held.length === 0) return fail('no file was covered at all')
  const low = held.filter(([, percent]) => percent < LINES_PERCENT_MIN)
  for (const [path, percent] of low)
    console.error(`${path}: ${percent} % of its lines are run by tests, not ${LINES_PERCENT_MIN} %`)
  if (low.length > 0) return fail(`${low.length} of ${held.length} files are not tested enough`)
  console.log(`coverage: ${held.length} files, each at least ${LINES_PERCENT_MIN} % of its lines`)
}

function filesBelow(room) {
  return readdirSync(join(ROOT, room), { recursive: true }).map(name => join(room, name))
}

function fail(line) {
  console.error(`coverage: ${line}`)
  process.exitCode = 1
}

main()
