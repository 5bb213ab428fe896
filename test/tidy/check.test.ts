/**
 * `npm test` is the one command: each step of `npm run check:static` passes.
 *
 * The steps are read from package.json, so this test and the command cannot drift apart.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import t from 'tap'

const ROOT = resolve(import.meta.dirname, '../..')

/** How long one step may take, on a busy machine. */
const STEP_MS_MAX = 180_000

t.setTimeout(600_000)

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}
const steps = scripts['check:static']?.split(' && ') ?? []

t.test('nothing is left out of the check', async t => {
  const tools = steps.map(step => step.split(' ')[0])
  t.strictSame(tools, ['prettier', 'oxlint', 'tsc', 'tsc', 'depcruise', 'knip', 'typedoc'])
})

for (const step of steps)
  t.test(step, async t => {
    const { code, output } = await run(step)
    t.equal(code, 0, 'ends with 0', code === 0 ? {} : { output })
  })

function run(command: string): Promise<{ code: number | null; output: string }> {
  const path = [join(ROOT, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter)
  return new Promise((done, failed) => {
    // The tools need none of the loaders that tap gives to every child, and oxlint fails with them.
    const child = spawn('sh', ['-c', `unset NODE_OPTIONS; ${command}`], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: STEP_MS_MAX,
      env: { ...process.env, PATH: path, NO_COLOR: '1' }
    })
    const output: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => output.push(chunk))
    child.on('error', failed)
    child.on('close', code => done({ code, output: Buffer.concat(output).toString() }))
  })
}
