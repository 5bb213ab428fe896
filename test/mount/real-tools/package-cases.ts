/**
 * npm: installs packages from a lock file. The packages are made on the spot and packed, so that
 * nothing is fetched.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { cpSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ToolCase, ToolContext } from './tool-case.ts'

const FILES_IN_LARGE = 150
const QUIET = ['--offline', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, JSON.stringify(value))
}

async function npm(c: ToolContext, cwd: string, ...args: readonly string[]): Promise<string> {
  return c.run('npm', '--prefix', cwd, '--cache', join(c.native, 'cache'), ...QUIET, ...args)
}

/** A project with three packages, packed, and its lock file; on the native side. */
async function makeProject(c: ToolContext): Promise<string> {
  const project = join(c.native, 'project')
  mkdirSync(join(project, 'vendor'), { recursive: true })
  const pack = async (name: string, files: Readonly<Record<string, string>>, extra: object) => {
    // What npm pack makes, in a tenth of its time.
    const directory = join(c.native, name, 'package')
    mkdirSync(join(directory, 'lib'), { recursive: true })
    for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text)
    writeJson(join(directory, 'package.json'), { name, version: '1.0.0', ...extra })
    const packed = join(project, 'vendor', `${name}-1.0.0.tgz`)
    await c.run(
      'tar',
      '--create',
      '--gzip',
      '--file',
      packed,
      '-C',
      join(c.native, name),
      'package'
    )
  }
  await pack('tiny', { 'index.js': 'module.exports = 42\n' }, {})
  const large = Array.from(
    { length: FILES_IN_LARGE },
    (_, index) => [`lib/part-${index}.js`, `module.exports = ${index}\n`] as const
  )
  const sum = `module.exports = require('fs').readdirSync(__dirname + '/lib').length\n`
  await pack('large', { ...Object.fromEntries(large), 'index.js': sum }, {})
  const command = '#!/usr/bin/env node\nconsole.log(require("tiny") + require("large"))\n'
  await pack('adder', { 'cli.js': command }, { bin: { 'add-up': 'cli.js' } })
  const packed = (name: string) => [name, `file:vendor/${name}-1.0.0.tgz`] as const
  writeJson(join(project, 'package.json'), {
    name: 'project',
    version: '1.0.0',
    scripts: { start: 'add-up' },
    dependencies: Object.fromEntries(['tiny', 'large', 'adder'].map(packed))
  })
  await npm(c, project, 'install', '--package-lock-only')
  return project
}

async function expectInstalled(c: ToolContext): Promise<void> {
  const project = c.path('project')
  assert.equal(readdirSync(join(project, 'node_modules', 'large', 'lib')).length, FILES_IN_LARGE)
  assert.ok(lstatSync(join(project, 'node_modules', '.bin', 'add-up')).isSymbolicLink())
  const printed = await npm(c, project, 'run', '--silent', 'start')
  assert.equal(printed.trim(), String(42 + FILES_IN_LARGE))
}

/** See the module. */
export const packageCases: readonly ToolCase[] = [
  {
    name: 'npm ci',
    tools: { npm: 'npm', tar: 'tar' },
    async fill(c) {
      cpSync(await makeProject(c), c.path('project'), { recursive: true })
      await npm(c, c.path('project'), 'ci')
      // Removes what is there and installs anew.
      await npm(c, c.path('project'), 'ci')
      await expectInstalled(c)
    },
    async verify(c) {
      await expectInstalled(c)
      await npm(c, c.path('project'), 'ls', '--all')
    }
  }
]
