/** Small files are whole or absent, private, and never made twice. */
import { chmod, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createFile, replaceFile } from '../../bin/atomic-file.ts'
import { temporaryFolder } from './temporary-folder.ts'

t.test('replaceFile() replaces the content and makes it private', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'file')
  await writeFile(path, 'old', { mode: 0o644 })
  await chmod(path, 0o644)
  await replaceFile(path, Buffer.from('new'))
  t.equal(await readFile(path, 'utf8'), 'new')
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.strictSame(await readdir(folder), ['file'], 'nothing is left beside it')
})

t.test('a failed replaceFile() leaves the old content and no temporary file', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'taken')
  await mkdir(path)
  await writeFile(join(path, 'inside'), 'old')
  await t.rejects(replaceFile(path, Buffer.from('new')))
  t.strictSame(await readdir(folder), ['taken'])
  t.equal(await readFile(join(path, 'inside'), 'utf8'), 'old')
})

t.test('of many createFile() at once one wins, whole', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'key')
  const contents = Array.from({ length: 8 }, (_, number) => `content ${number}`)
  const made = await Promise.allSettled(contents.map(each => createFile(path, Buffer.from(each))))
  const winners = contents.filter((_, number) => made[number]?.status === 'fulfilled')
  t.equal(winners.length, 1)
  t.equal(await readFile(path, 'utf8'), winners[0])
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.strictSame(await readdir(folder), ['key'])
  for (const each of made) if (each.status === 'rejected') t.match(each.reason, { code: 'EEXIST' })
})
