/**
 * The copying tools: tar, rsync, cp. Each copy is compared with a native one.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pattern } from '../../suites/posix/posix-case.ts'
import { expectSameManifest, manifestOf, type ManifestField } from './manifest.ts'
import { makeSourceTree } from './source-tree.ts'
import type { ToolCase, ToolContext } from './tool-case.ts'

function source(c: ToolContext): string {
  const directory = join(c.native, 'source')
  mkdirSync(directory)
  makeSourceTree(directory)
  return directory
}

/** Two copies are the same but for their inode numbers. */
function expectSame(what: string, actual: string, expected: string, ...not: ManifestField[]): void {
  expectSameManifest({
    what,
    actual: manifestOf(actual),
    expected: manifestOf(expected),
    without: ['ino', ...not]
  })
}

/** See the module. */
export const copyCases: readonly ToolCase[] = [
  {
    name: 'tar',
    tools: { tar: 'tar', gzip: 'gzip' },
    async fill(c) {
      const from = source(c)
      await c.run('tar', '--create', '--format=posix', '--file=archive.tar', '-C', from, '.')
      for (const into of [c.path('copy'), join(c.native, 'copy')]) {
        mkdirSync(into)
        await c.run('tar', '--extract', '--preserve-permissions', '--file=archive.tar', '-C', into)
      }
      expectSame('unpacked here and natively', c.path('copy'), join(c.native, 'copy'))
      expectSame('unpacked and packed', c.path('copy'), from)
      const back = join(c.native, 'back')
      mkdirSync(back)
      await c.run(
        'tar',
        '--create',
        '--format=posix',
        '--gzip',
        '--file=back.tgz',
        '-C',
        'copy',
        '.'
      )
      await c.run('tar', '--extract', '--preserve-permissions', '--file=back.tgz', '-C', back)
      expectSame('packed here, unpacked natively', back, from)
      assert.equal(await c.run('tar', '--diff', '--file=archive.tar', '-C', 'copy'), '')
    },
    async verify(c) {
      assert.equal(await c.run('tar', '--diff', '--file=archive.tar', '-C', 'copy'), '')
      const again = join(c.native, 'again')
      mkdirSync(again)
      await c.run('tar', '--extract', '--preserve-permissions', '--file=archive.tar', '-C', again)
      expectSame('the archive', c.path('copy'), again)
    }
  },
  {
    name: 'rsync',
    tools: { rsync: 'rsync' },
    async fill(c) {
      const from = source(c)
      const sync = (...options: readonly string[]) =>
        c.run('rsync', '-aH', '--itemize-changes', ...options, `${from}/`, 'copy/')
      assert.notEqual(await sync(), '')
      expectSame('copied', c.path('copy'), from)
      assert.equal(await sync(), '', 'a second run transfers nothing')
      assert.equal(await sync('--checksum'), '', 'nor by checksum')
      writeFileSync(join(from, 'dir-1', 'file-3.txt'), pattern(70_000, 99))
      truncateSync(join(from, 'large'), 2_000_000)
      writeFileSync(join(from, 'large'), pattern(5000, 7), { flag: 'r+' })
      utimesSync(join(from, 'large'), 1_600_000_000, 1_600_000_000.25)
      rmSync(join(from, 'dir-2'), { recursive: true })
      renameSync(join(from, 'dir-4'), join(from, 'dir-moved'))
      assert.notEqual(await sync('--inplace', '--no-whole-file', '--delete'), '')
      expectSame('copied in place', c.path('copy'), from)
      assert.equal(await sync('--delete', '--checksum'), '', 'nothing is left to do')
      await c.run('rsync', '-aHS', 'copy/', 'sparse/')
      expectSame('copied with holes, here to here', c.path('sparse'), from)
    },
    async verify(c) {
      const again = await c.run(
        'rsync',
        '-aH',
        '--itemize-changes',
        '--checksum',
        'copy/',
        'sparse/'
      )
      assert.equal(again, '')
      await c.run('rsync', '-aH', 'copy/', `${c.native}/out/`)
      expectSame('copied out', join(c.native, 'out'), c.path('copy'))
    }
  },
  {
    name: 'cp',
    tools: { cp: 'coreutils', diff: 'diffutils' },
    async fill(c) {
      const from = source(c)
      await c.run('cp', '--archive', from, 'copy')
      expectSame('cp -a', c.path('copy'), from)
      await c.run('cp', '--archive', '--reflink=auto', '--sparse=always', 'copy', 'again')
      expectSame('cp -a, here to here', c.path('again'), from)
      await c.run('cp', '--archive', '--link', 'copy', 'linked')
      expectSame('cp -al', c.path('linked'), from, 'links')
      await c.run('diff', '--recursive', '--no-dereference', from, 'copy')
      await c.run('mv', 'again', 'moved')
      await c.run('cp', '--recursive', '--update', 'copy/dir-1', 'moved/')
      await c.run('cp', '--archive', 'moved', join(c.native, 'back'))
      expectSame('cp -a back', join(c.native, 'back'), from, 'mtime')
    },
    async verify(c) {
      await c.run('diff', '--recursive', '--no-dereference', 'copy', 'moved')
      await c.run('cp', '--archive', 'copy', join(c.native, 'back'))
      expectSame('cp -a back', join(c.native, 'back'), c.path('copy'), 'links')
    }
  }
]
