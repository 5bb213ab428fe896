/**
 * Operations on names say all that others need to apply them: every link of a name, and
 * directories by the identity that is shown; and what they were asked for is told from what
 * happens besides.
 */
import t from 'tap'
import { LINKS_MAX } from '../../src/fs/name-changes.ts'
import type { InodeNumber } from '../../src/fs/vfs.ts'
import type { Operation } from '../../src/sync/operation.ts'
import { exchange, makeDevices, type Device } from '../support/device-twins.ts'
import { nameOf } from '../support/vfs-session.ts'

/** Two devices that made the directories `d` and `e` apart. */
async function withUnions(t: Parameters<typeof makeDevices>[0]) {
  const [laptop, phone] = (await makeDevices(t, 'laptop', 'phone')) as [Device, Device]
  for (const device of [laptop, phone]) {
    device.mkdir('d')
    device.mkdir('e')
  }
  await exchange(laptop, phone)
  const { replica } = laptop.drive
  const operations: Operation[] = []
  const execute = replica.execute.bind(replica)
  replica.execute = (operation, options) => {
    operations.push(operation)
    return execute(operation, options)
  }
  const links = (path: string) => {
    const { parent, name } = laptop.place(path)
    return replica.index.lookup(parent, name)?.links
  }
  const id = (path: string) => replica.index.inode(laptop.ino(path)).id
  return { laptop, phone, operations, links, id }
}

t.test('each change names all links of its names and the directory that is shown', async t => {
  const { laptop, operations, links, id } = await withUnions(t)
  const { vfs } = laptop
  const [d, e] = [links('d'), links('e')]
  t.equal(d?.length, 2)
  t.equal(e?.length, 2)
  vfs.rename(laptop.place('d'), laptop.place('e'), 'exchange')
  vfs.rename(laptop.place('e'), laptop.place('d'), 'replace')
  t.match(operations, [
    { type: 'exchange', links: d, others: e },
    { type: 'rename', links: d, replaced: e, name: 'd' }
  ])
  operations.length = 0
  laptop.mkdir('d/sub')
  await laptop.writeFile('d/f', 'x')
  vfs.link(laptop.ino('d/f'), laptop.place('d/g'))
  vfs.symlink(laptop.place('d/s'), Buffer.from('f'), laptop.caller)
  const shown = { parent: id('d') }
  t.match(
    operations.filter(({ type }) => type !== 'write'),
    ['mkdir', 'create', 'link', 'create'].map(type => ({ type, ...shown }))
  )
  for (const name of ['f', 'g', 's']) vfs.unlink(laptop.place(`d/${name}`))
  vfs.rmdir(laptop.place('d/sub'))
  operations.length = 0
  vfs.rmdir(laptop.place('d'))
  t.match(operations, [{ type: 'rmdir', links: d }])
  t.strictSame(laptop.names(''), [])
})

t.test('a union is not moved into itself, by whatever number', async t => {
  const { laptop, links } = await withUnions(t)
  laptop.mkdir('d/sub')
  const { index } = laptop.drive.replica
  for (const link of links('d') ?? []) {
    const parent = index.find(link)
    if (parent === undefined) throw new Error('each member has a number')
    const inside = laptop.vfs.lookup({ parent: parent as InodeNumber, name: nameOf('sub') })
    const to = { parent: inside.ino, name: nameOf('d') }
    t.throws(() => laptop.vfs.rename(laptop.place('d'), to, 'replace'), { code: 'EINVAL' })
  }
})

t.test('what was asked for is not told, what happens besides is', async t => {
  const { laptop, phone } = await withUnions(t)
  await laptop.writeFile('f', 'base')
  await exchange(laptop, phone)
  for (const device of [laptop, phone]) await device.writeFile('f', device.drive.device)
  await exchange(laptop, phone)
  const copy = laptop.names('').find(name => name.startsWith('f ')) ?? ''
  laptop.know('f', copy, 'd', 'e')
  laptop.news()
  laptop.mkdir('new')
  await laptop.writeFile('made', 'x')
  laptop.vfs.link(laptop.ino('made'), laptop.place('linked'))
  laptop.vfs.rename(laptop.place('made'), laptop.place('d/moved'), 'replace')
  laptop.vfs.rename(laptop.place('d/moved'), laptop.place('linked'), 'exchange')
  laptop.vfs.unlink(laptop.place('linked'))
  laptop.vfs.rmdir(laptop.place('new'))
  t.strictSame(laptop.news(), [], 'the caller knows')
  // The copy goes along with the file that it is a copy of.
  laptop.vfs.rename(laptop.place('f'), laptop.place('kept'), 'replace')
  const moved = copy.replace('f ', 'kept ')
  t.strictSame(laptop.names(''), ['d', 'e', 'kept', moved])
  t.strictSame(laptop.news(), [
    `appeared 1/${moved}`,
    `attributes ${laptop.ino(moved)}`,
    'content 1',
    `replaced 1/${copy}`
  ])
})

t.test('a file has so many names and no more', async t => {
  const [laptop] = (await makeDevices(t, 'laptop')) as [Device]
  await laptop.writeFile('f', '')
  const ino = laptop.ino('f')
  const { index } = laptop.drive.replica
  const record = index.inode(ino)
  const [link] = record.links
  if (!link) throw new Error('it has a name')
  const findInode = index.findInode.bind(index)
  index.findInode = asked =>
    asked === ino ? { ...record, links: Array(LINKS_MAX).fill(link) } : findInode(asked)
  t.throws(() => laptop.vfs.link(ino, laptop.place('one-more')), { code: 'EMLINK' })
})
