/**
 * git: a repository with history in the folder under test.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ToolCase, ToolContext } from './tool-case.ts'

const FILES = 500
const DIRECTORIES = 20
/** How many files a branch changes. */
const CHANGED = 50

async function git(c: ToolContext, ...args: readonly string[]): Promise<string> {
  const settings = ['user.name=Test', 'user.email=test@example.invalid', 'gc.auto=0']
  return c.run('git', ...settings.flatMap(setting => ['-c', setting]), ...args)
}

function fileName(index: number): string {
  return `dir-${index % DIRECTORIES}/file-${index}.txt`
}

async function expectClean(c: ToolContext, repository: string): Promise<void> {
  assert.equal(await git(c, '-C', repository, 'status', '--porcelain'), '', 'status')
  const complaints = await git(c, '-C', repository, 'fsck', '--full', '--strict')
  assert.doesNotMatch(complaints, /missing|corrupt|broken|error/)
}

async function makeHistory(c: ToolContext): Promise<void> {
  await git(c, 'init', '--quiet', '--initial-branch=main', 'repo')
  for (let index = 0; index < DIRECTORIES; index++) {
    mkdirSync(c.path('repo', `dir-${index}`))
  }
  for (let index = 0; index < FILES; index++) {
    writeFileSync(c.path('repo', fileName(index)), `file ${index}\n`.repeat(1 + (index % 40)))
  }
  const repository = ['-C', 'repo'] as const
  await git(c, ...repository, 'add', '--all')
  await git(c, ...repository, 'commit', '--quiet', '--message=first')
  await git(c, ...repository, 'checkout', '--quiet', '-b', 'feature')
  for (let index = 0; index < CHANGED; index++) {
    appendFileSync(c.path('repo', fileName(index * 3)), 'changed on the branch\n')
  }
  await git(c, ...repository, 'mv', fileName(1), 'renamed.txt')
  await git(c, ...repository, 'commit', '--quiet', '--all', '--message=branch')
  await git(c, ...repository, 'checkout', '--quiet', 'main')
  appendFileSync(c.path('repo', fileName(FILES - 1)), 'changed on main\n')
  await git(c, ...repository, 'commit', '--quiet', '--all', '--message=main')
  await git(c, ...repository, 'merge', '--quiet', '--no-ff', '--message=merge', 'feature')
}

/** See the module. */
export const gitCases: readonly ToolCase[] = [
  {
    name: 'git',
    tools: { git: 'git' },
    async fill(c) {
      await makeHistory(c)
      await expectClean(c, 'repo')
      appendFileSync(c.path('repo', fileName(7)), 'put away\n')
      await git(c, '-C', 'repo', 'stash', '--quiet')
      await git(c, '-C', 'repo', 'stash', 'pop', '--quiet')
      await git(c, '-C', 'repo', 'checkout', '--quiet', '--', '.')
      await git(c, '-C', 'repo', 'gc', '--quiet', '--prune=now')
      await git(c, 'clone', '--quiet', 'repo', 'clone')
      await git(c, 'clone', '--quiet', '--no-hardlinks', '--bare', 'repo', 'bare')
      await expectClean(c, 'repo')
      await expectClean(c, 'clone')
      const count = await git(c, '-C', 'clone', 'rev-list', '--count', 'HEAD')
      assert.equal(count.trim(), '4')
      const changed = readFileSync(c.path('clone', fileName(3)), 'utf8')
      assert.match(changed, /changed on the branch\n$/)
    },
    async verify(c) {
      // Before anything refreshes the index: git would list each file whose inode number, times
      // or size are not what they were.
      assert.equal(await git(c, '-C', 'repo', 'diff-files', '--name-only'), '', 'the index')
      await expectClean(c, 'repo')
      await expectClean(c, 'clone')
      const heads = await Promise.all(
        ['repo', 'clone', 'bare'].map(name => git(c, '-C', name, 'rev-parse', 'main'))
      )
      assert.equal(new Set(heads).size, 1)
      const clone = join(c.scratch, 'clone')
      // Hard links would be touched: a commit freshens the packs it relies on.
      await git(c, 'clone', '--quiet', '--no-hardlinks', 'repo', clone)
      appendFileSync(join(clone, fileName(11)), 'after the restart\n')
      await git(c, '-C', clone, 'commit', '--quiet', '--all', '--message=again')
      await expectClean(c, clone)
    }
  }
]
