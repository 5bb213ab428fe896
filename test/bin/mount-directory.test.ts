/** A drive is never mounted over what the daemon needs, nor over files that it would hide. */
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import t from 'tap'
import { prepareMountDirectory } from '../../bin/mount-directory.ts'
import { temporaryFolder } from './temporary-folder.ts'

t.test('prepareMountDirectory() makes the folder and follows links', async t => {
  const folder = await temporaryFolder(t)
  const home = join(folder, 'home')
  const made = await prepareMountDirectory(join(folder, 'a/b'), home)
  t.strictSame(made, { path: join(folder, 'a/b'), mounted: false })
  t.strictSame(await readdir(join(folder, 'a/b')), [])
  await symlink('a/b', join(folder, 'link'))
  t.equal((await prepareMountDirectory(join(folder, 'link'), home)).path, join(folder, 'a/b'))
})

t.test('prepareMountDirectory() refuses what would hide or hang something', async t => {
  const folder = await temporaryFolder(t)
  const home = join(folder, 'home')
  await mkdir(join(home, 'logs'), { recursive: true })
  await mkdir(join(folder, 'full'))
  await writeFile(join(folder, 'full/file'), '')
  await symlink(home, join(folder, 'link'))
  for (const [directory, message] of [
    [home, /home/],
    [folder, /home/],
    ['/', /home/],
    [join(home, 'logs'), /home/],
    [join(folder, 'link/new'), /home/],
    [dirname(process.execPath), /program/],
    [resolve(import.meta.dirname, '../..'), /program/],
    [join(folder, 'full'), /not empty/],
    [join(folder, 'full/file'), /no directory/],
    [join(folder, 'full/file/below'), /no directory/]
  ] as const)
    await t.rejects(
      prepareMountDirectory(directory, home),
      { code: 'BAD_DIRECTORY', message },
      directory
    )
  t.strictSame(await readdir(home), ['logs'], 'nothing was made in the home')
})
