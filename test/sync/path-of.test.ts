/** The names that lead to an inode, where there are some. */
import t from 'tap'
import { O_RDWR, ROOT_INODE } from '../../src/fs/vfs.ts'
import { pathOf } from '../../src/sync/path-of.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { VfsSession } from '../support/vfs-session.ts'

t.test('pathOf() gives the names from the root on', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  const { index } = drive.replica
  session.mkdir('a')
  session.mkdir('a/b')
  await session.writeFile('a/b/f', 'content')
  const ino = session.ino('a/b/f')
  t.strictSame(pathOf(index, ROOT_INODE), [])
  t.strictSame(pathOf(index, ino), ['a', 'b', 'f'])
  t.strictSame(drive.replica.pathOf(ino), ['a', 'b', 'f'])
  drive.vfs.rename(session.place('a/b'), session.place('c'), 'replace')
  t.strictSame(pathOf(index, ino), ['c', 'f'])
  drive.vfs.link(ino, session.place('a/g'))
  drive.vfs.unlink(session.place('c/f'))
  t.strictSame(pathOf(index, ino), ['a', 'g'], 'of a name that is left')
  const handle = await session.open('a/g', O_RDWR)
  drive.vfs.unlink(session.place('a/g'))
  t.strictSame(pathOf(index, ino), [], 'without a name')
  await session.close(handle)
  t.throws(() => pathOf(index, ino), { code: 'MISSING' })
  await drive.close()
})
