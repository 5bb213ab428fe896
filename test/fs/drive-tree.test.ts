/** The tree is found by any number of a directory, with the errors that Linux gives. */
import t from 'tap'
import { DriveTree, type ShownTree } from '../../src/fs/drive-tree.ts'
import { ROOT_INODE } from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { exchange, makeDevices, type Device } from '../support/device-twins.ts'

const name = (text: string): Name => text as Name

async function setUp(t: Parameters<typeof makeDevices>[0]) {
  const [laptop, phone] = (await makeDevices(t, 'laptop', 'phone')) as [Device, Device]
  laptop.mkdir('d')
  phone.mkdir('d')
  await exchange(laptop, phone)
  const { index } = laptop.drive.replica
  const tree = new DriveTree(index, () => false)
  const shown = index.lookup(ROOT_INODE, name('d'))
  if (shown === undefined) throw new Error('no d')
  const numbers = shown.links.map(({ index: _at, ...id }) => index.find({ ...id, index: _at }))
  return { laptop, tree, index, shown, numbers }
}

t.test('directories shown as one are found by each of their numbers', async t => {
  const { laptop, tree, shown, numbers } = await setUp(t)
  t.equal(shown.links.length, 2)
  t.equal(new Set(numbers).size, 2)
  for (const number of numbers) t.equal(tree.directory(number ?? 0, 'test').ino, shown.ino)
  laptop.mkdir('d/sub')
  const root = tree.inode(ROOT_INODE, 'test')
  const sub = tree.inode(laptop.ino('d/sub'), 'test')
  for (const number of numbers) {
    const directory = tree.directoryToChange(number ?? 0, 'test')
    t.equal(tree.existingChild(directory, name('sub'), 'test').record.ino, sub.ino)
    t.ok(tree.isWithin(sub, directory))
    t.strictSame(
      Array.from(tree.list(directory), row => row.name),
      ['sub']
    )
  }
  t.equal(tree.parentOf(sub, 'test').ino, shown.ino)
  t.equal(tree.parentOf(root, 'test').ino, ROOT_INODE)
  t.notOk(tree.isWithin(root, sub))
  t.equal(tree.existingChild(root, name('d'), 'test').links.length, 2, 'a change names both')
})

t.test('what is not there, is of another kind or may not be named', async t => {
  const { laptop, tree } = await setUp(t)
  await laptop.writeFile('f', '')
  const root = tree.inode(ROOT_INODE, 'test')
  t.throws(() => tree.inode(999, 'test'), { code: 'ENOENT' })
  t.throws(() => tree.directory(laptop.ino('f'), 'test'), { code: 'ENOTDIR' })
  t.equal(tree.child(root, name('absent'), 'test'), undefined)
  t.throws(() => tree.existingChild(root, name('absent'), 'test'), { code: 'ENOENT' })
  t.throws(() => tree.child(root, name('a/b'), 'test'), { code: 'EINVAL' })
  for (const taken of ['f', 'd', '.', '..'])
    t.throws(() => tree.checkFreeName(root, name(taken), 'test'), { code: 'EEXIST' }, taken)
  tree.checkFreeName(root, name('free'), 'test')
  tree.checkFreeName(tree.inode(laptop.ino('d'), 'test'), name('f'), 'test')
})

t.test('a removed directory is there for who has it open, and takes no names', async t => {
  const { laptop, index } = await setUp(t)
  const ino = laptop.ino('d')
  laptop.vfs.rmdir(laptop.place('d'))
  t.throws(() => new DriveTree(index, () => false).inode(ino, 'test'), { code: 'ENOENT' })
  const tree = new DriveTree(index, open => open === ino)
  t.equal(tree.directory(ino, 'test').ino, ino)
  t.throws(() => tree.directoryToChange(ino, 'test'), { code: 'ENOENT' })
})

t.test('rows that do not fit together are damage, not absence', async t => {
  const { laptop, index } = await setUp(t)
  await laptop.writeFile('f', '')
  const file = laptop.ino('f')
  const broken: ShownTree = {
    findInode: ino => (ino === file ? undefined : index.findInode(ino)),
    lookup: (directory, of) => index.lookup(directory, of),
    parentOf: directory => index.parentOf(directory),
    list: () => new Map(),
    inconsistent: what => new SyncError('DAMAGED', what)
  }
  const tree = new DriveTree(broken, () => false)
  const root = tree.inode(ROOT_INODE, 'test')
  t.throws(() => tree.child(root, name('f'), 'test'), { code: 'EIO' })
  t.throws(() => tree.list(root), /missing/)
})
