/**
 * The benchmark of several devices: real daemons, real mounts, a private node on this machine.
 *
 * Usage: npm run bench:devices -- [--only ID,...] [--quick] [--directory DIR]
 *
 * @module
 */
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { COPIES_QUESTIONS } from './copies-questions.ts'
import { DEVICE_QUESTIONS, FULL, QUICK, type Figure } from './questions.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    directory: { type: 'string' }
  }
})
const questions = [...DEVICE_QUESTIONS, ...COPIES_QUESTIONS]
const only = values.only?.split(',') ?? questions.map(question => question.id)
const base = await realpath(await mkdtemp(join(values.directory ?? tmpdir(), 'grove-devices-')))
const figures: Figure[] = []
try {
  for (const { id, ask } of questions) {
    if (!only.includes(id)) continue
    process.stderr.write(`${id}\n`)
    const folder = join(base, id)
    await mkdir(folder)
    figures.push(...(await ask(folder, values.quick ? QUICK : FULL)))
    await rm(folder, { recursive: true, force: true })
  }
} finally {
  await rm(base, { recursive: true, force: true })
}
process.stdout.write('| question | answer | goal | |\n| --- | --- | --- | --- |\n')
for (const { what, value, goal = '', met } of figures) {
  const verdict = met === undefined ? '' : met ? 'met' : '**missed**'
  process.stdout.write(`| ${what} | ${value} | ${goal} | ${verdict} |\n`)
}
