/**
 * `npm test`: installs, builds and runs every test, also on a fresh clone. What follows `--` goes
 * to tap, as in `npm test -- test/bin/home.test.ts`.
 *
 * @module
 */
import { join } from 'node:path'
import { ROOT, installAndBuild, run } from './install-and-build.mjs'

installAndBuild()
const tap = join(ROOT, 'node_modules/.bin/tap')
run('some tests failed', [tap, 'run', ...process.argv.slice(2)])
