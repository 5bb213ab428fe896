/**
 * Editors and the tools that read and rewrite text: saving as vim does, sed -i, sort, split,
 * grep -r, find, du.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  cpSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { pattern } from '../../suites/posix/posix-case.ts'
import type { ToolCase, ToolContext } from './tool-case.ts'

const SAVES = 40
const NOTES = 60

function writeSynced(path: string, text: string, flags: string): void {
  const file = openSync(path, flags)
  writeSync(file, text)
  fsyncSync(file)
  closeSync(file)
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  fsyncSync(directory)
  closeSync(directory)
}

/** vim with `backupcopy=no`: the old file becomes the backup, the new one is written anew. */
function saveByRenaming(path: string, text: string): void {
  const { mode } = statSync(path)
  writeSynced(`${path}.swp`, text, 'wx')
  renameSync(path, `${path}~`)
  writeSynced(path, text, 'wx')
  chmodSync(path, mode & 0o7777)
  unlinkSync(`${path}~`)
  unlinkSync(`${path}.swp`)
}

/** vim with `backupcopy=yes`: a copy is the backup, the file is written over. */
function saveInPlace(path: string, text: string): void {
  copyFileSync(path, `${path}~`)
  writeSynced(path, text, 'r+')
  const file = openSync(path, 'w')
  writeSync(file, text)
  fsyncSync(file)
  closeSync(file)
  unlinkSync(`${path}~`)
}

/** As most other editors and tools do: a new file, renamed over the old one. */
function saveByReplacing(path: string, text: string): void {
  const { mode } = statSync(path)
  writeSynced(`${path}.new`, text, 'w')
  chmodSync(`${path}.new`, mode & 0o7777)
  renameSync(`${path}.new`, path)
  syncDirectory(dirname(path))
}

async function expectFound(c: ToolContext): Promise<void> {
  const listed = await c.run('grep', '--recursive', '--files-with-matches', 'needle', 'notes')
  assert.equal(listed.trim().split('\n').length, NOTES / 10)
  const found = await c.run(
    'find',
    'notes',
    '-name',
    '*.txt',
    '-type',
    'f',
    '-newermt',
    '2000-01-01'
  )
  assert.equal(found.trim().split('\n').length, NOTES)
  const bytes = readdirSync(c.path('notes')).map(name => statSync(c.path('notes', name)).size)
  const total = bytes.reduce((sum, one) => sum + one, 0)
  const printed = await c.run('find', 'notes', '-type', 'f', '-printf', '%s\n')
  const sizes = printed.trim().split('\n').map(Number)
  assert.equal(
    sizes.reduce((sum, one) => sum + one, 0),
    total
  )
  const used = Number.parseInt(await c.run('du', '-s', '--block-size=1', 'notes'), 10)
  assert.ok(used >= total && used < total * 4, `du says ${used} for ${total} bytes`)
}

/** See the module. */
export const textCases: readonly ToolCase[] = [
  {
    name: 'saving as editors do',
    tools: {},
    async fill(c) {
      const ways = { renaming: saveByRenaming, inPlace: saveInPlace, replacing: saveByReplacing }
      for (const [name, save] of Object.entries(ways)) {
        const path = c.path(`${name}.txt`)
        writeFileSync(path, 'first\n')
        chmodSync(path, 0o640)
        for (let round = 0; round < SAVES; round++) {
          const text = `round ${round}\n`.repeat(1 + ((round * 37) % 300))
          const reader = openSync(path, 'r')
          const before = readFileSync(path, 'utf8')
          save(path, text)
          assert.equal(readFileSync(path, 'utf8'), text, `${name}, round ${round}`)
          const isNewFile = name !== 'inPlace'
          assert.equal(fstatSync(reader).nlink, isNewFile ? 0 : 1)
          if (isNewFile) assert.equal(readFileSync(reader, 'utf8'), before, 'the old file')
          closeSync(reader)
        }
        assert.equal(statSync(path).mode & 0o777, 0o640)
      }
      assert.deepEqual(readdirSync(c.directory), ['inPlace.txt', 'renaming.txt', 'replacing.txt'])
      return Promise.resolve()
    },
    async verify(c) {
      const round = SAVES - 1
      const text = `round ${round}\n`.repeat(1 + ((round * 37) % 300))
      for (const name of readdirSync(c.directory)) {
        assert.equal(readFileSync(c.path(name), 'utf8'), text, name)
      }
      return Promise.resolve()
    }
  },
  {
    name: 'sed, sort, split and sha256sum',
    tools: { sed: 'sed', sort: 'coreutils', split: 'coreutils', sha256sum: 'coreutils' },
    async fill(c) {
      const lines = Array.from({ length: 5000 }, (_, index) => `line ${(index * 7919) % 5000}`)
      writeFileSync(c.path('list'), `${lines.join('\n')}\n`)
      for (let round = 0; round < 10; round++) {
        await c.run('sed', '--in-place', `s/line ${round}$/changed ${round}/`, 'list')
      }
      await c.run('sort', '--output=list', 'list')
      const sorted = readFileSync(c.path('list'), 'utf8').trim().split('\n')
      assert.equal(sorted.length, 5000)
      assert.equal(sorted.filter(line => line.startsWith('changed')).length, 10)
      writeFileSync(c.path('whole'), pattern(1_000_003))
      await c.run('split', '--bytes=100000', 'whole', 'part-')
      await c.run('sh', '-c', 'cat part-* | cmp - whole && sha256sum part-* list whole > sums')
      assert.match(await c.run('sha256sum', '--check', 'sums'), /whole: OK/)
    },
    async verify(c) {
      assert.match(await c.run('sha256sum', '--check', 'sums'), /whole: OK/)
    }
  },
  {
    name: 'find, grep and du',
    tools: { find: 'findutils', grep: 'grep', du: 'coreutils' },
    async fill(c) {
      mkdirSync(c.path('notes'))
      for (let index = 0; index < NOTES; index++) {
        const text = `${'hay '.repeat(2000)}${index % 10 === 0 ? 'needle' : 'straw'}\n`
        writeFileSync(c.path('notes', `note ${index}.txt`), text)
      }
      await c.run('sync', '--file-system', 'notes')
      await expectFound(c)
    },
    async verify(c) {
      await expectFound(c)
      const copy = join(c.scratch, 'notes')
      cpSync(c.path('notes'), copy, { recursive: true })
      assert.equal(readdirSync(copy).length, NOTES)
      rmSync(copy, { recursive: true })
      assert.deepEqual(readdirSync(c.scratch), [])
    }
  }
]
