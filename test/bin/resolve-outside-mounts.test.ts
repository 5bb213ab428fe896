/** Paths are resolved without entering a drive. */
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { isInside, resolveOutsideMounts } from '../../bin/resolve-outside-mounts.ts'
import { temporaryFolder } from './temporary-folder.ts'

t.test('isInside() knows whole names', async t => {
  for (const [path, directory, inside] of [
    ['/a/b', '/a', true],
    ['/a', '/a', true],
    ['/ab', '/a', false],
    ['/a', '/a/b', false],
    ['/a', '/', true]
  ] as const)
    t.equal(isInside(path, directory), inside, `${path} in ${directory}`)
})

t.test('resolveOutsideMounts() follows links and dots, and keeps what is missing', async t => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'real/deep'), { recursive: true })
  await symlink('real', join(folder, 'relative'))
  await symlink(join(folder, 'relative/deep'), join(folder, 'absolute'))
  for (const [path, resolved] of [
    ['relative/deep', 'real/deep'],
    ['absolute/../new/name', 'real/new/name'],
    ['real/./deep/..', 'real'],
    ['missing/a/../b', 'missing/b']
  ] as const) {
    const found = await resolveOutsideMounts(`${folder}/${path}`, [])
    t.equal(found.insideMount, undefined)
    t.equal(found.path, join(folder, resolved), path)
  }
})

t.test('resolveOutsideMounts() stops at a drive, also behind a link', async t => {
  const folder = await temporaryFolder(t)
  const drive = join(folder, 'drive')
  // Were the drive entered, these links would lead out of it again.
  await mkdir(drive)
  await symlink(folder, join(drive, 'out'))
  await symlink('drive/out', join(folder, 'link'))
  const mounts = [{ directory: drive, type: 'fuse.grove', source: 'grove' }]
  for (const path of ['drive', 'drive/out', 'drive/out/other', 'link', 'link/other']) {
    const { insideMount } = await resolveOutsideMounts(join(folder, path), mounts)
    t.equal(insideMount, drive, path)
  }
  const beside = await resolveOutsideMounts(join(folder, 'drive2'), mounts)
  t.equal(beside.insideMount, undefined)
  const other = [{ directory: drive, type: 'fuse.sshfs', source: 'host' }]
  t.equal((await resolveOutsideMounts(drive, other)).insideMount, undefined)
})

t.test('resolveOutsideMounts() gives up on a loop', async t => {
  const folder = await temporaryFolder(t)
  await symlink('loop', join(folder, 'loop'))
  await t.rejects(resolveOutsideMounts(join(folder, 'loop'), []), /symbolic links/)
})
