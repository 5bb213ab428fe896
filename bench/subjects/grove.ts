/**
 * Grove as built in dist, with a home of its own.
 *
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../command.ts'
import { waitForMount, type SubjectKind } from '../subject.ts'

/** The repository: this file runs as dist/bench/subjects/grove.js. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const COMMAND = join(ROOT, 'dist/bin/grove.js')

/** Grove with its own settings. */
export const grove: SubjectKind = {
  name: 'grove',
  async missing() {
    return existsSync(COMMAND) ? undefined : 'Grove is not built: run "npm run build"'
  },
  async open(base) {
    const home = join(base, 'grove-home')
    const directory = join(base, 'grove')
    await mkdir(directory)
    const command = (...args: string[]): Promise<string> =>
      run(process.execPath, [COMMAND, ...args], { env: { GROVE_HOME: home } })
    await command('init', '--name', 'bench')
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      version: string
    }
    return {
      name: 'grove',
      directory,
      version: manifest.version,
      async mount() {
        await command('mount', directory)
        await waitForMount(directory, true)
      },
      async unmount() {
        await command('stop')
        await waitForMount(directory, false)
      }
    }
  }
}
