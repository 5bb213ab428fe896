/**
 * Brings a clone to where it can run: dependencies, compiled program, native part. Uses nothing
 * but Node itself, since nothing else is there on a fresh clone.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of package.json. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

/** The oldest Node that the program runs on, as major and minor version. */
const NODE_VERSION_MIN = [20, 12]

/** Installs what is missing and builds; ends the process with one line when it cannot. */
export function installAndBuild() {
  checkNode()
  // npm writes this file last, so it is there only after a whole installation.
  const installed = modifiedMs(join(ROOT, 'node_modules/.package-lock.json'))
  if (installed < modifiedMs(join(ROOT, 'package-lock.json'))) {
    console.log('grove: installing the packages it needs')
    run('npm ci failed; the lines above say why', npm(['ci', '--no-audit', '--no-fund']))
  }
  run('the build failed; the lines above say why', npm(['run', '--silent', 'build']))
}

/**
 * Runs a program in the clone with this terminal.
 *
 * @param {string} problem - what to say when it fails
 * @param {readonly string[]} command - the program and its arguments
 */
export function run(problem, [program, ...args]) {
  const { status, error } = spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' })
  if (status === 0) return
  end(error === undefined ? problem : `${problem} (${error.message})`, status ?? 1)
}

/** Says one line and ends the process. */
export function end(line, status = 1) {
  console.error(`grove: ${line}`)
  process.exit(status)
}

/** The npm that runs this script, else the one on the path. */
function npm(args) {
  const running = process.env.npm_execpath
  if (running !== undefined && basename(running).startsWith('npm'))
    return [process.execPath, running, ...args]
  return ['npm', ...args]
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const [majorMin, minorMin] = NODE_VERSION_MIN
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return
  end(`Node ${NODE_VERSION_MIN.join('.')} or newer is needed, this is ${process.versions.node}`)
}

function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? -1
}
