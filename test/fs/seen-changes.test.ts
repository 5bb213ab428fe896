/** Of a merge, what is remembered is heard of, by every number that it is remembered by. */
import t from 'tap'
import { OpenInodes } from '../../src/fs/open-inodes.ts'
import { isNothing, seenChanges } from '../../src/fs/seen-changes.ts'
import { ROOT_INODE, type InodeNumber, type VfsChanges } from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'
import type { ViewChanges } from '../../src/sync/view-changes.ts'
import { exchange, makeDevices, type Device } from '../support/device-twins.ts'

const NONE: ViewChanges = { names: [], attributes: new Set(), content: new Set() }

async function setUp(t: Parameters<typeof makeDevices>[0]) {
  const [laptop, phone] = (await makeDevices(t, 'laptop', 'phone')) as [Device, Device]
  laptop.mkdir('d')
  laptop.mkdir('elsewhere')
  await laptop.writeFile('f', '')
  const { index } = laptop.drive.replica
  const open = new OpenInodes(() => undefined)
  const [d, f, elsewhere] = ['d', 'f', 'elsewhere'].map(path => laptop.ino(path)) as [
    InodeNumber,
    InodeNumber,
    InodeNumber
  ]
  const seen = (changes: Partial<ViewChanges>): VfsChanges =>
    seenChanges({ ...NONE, ...changes }, { index, open })
  return { laptop, phone, index, open, seen, d, f, elsewhere }
}

const named = (directory: number, before: number | undefined, after: number | undefined) => ({
  ...{ directory, name: 'n' as Name },
  ...{ before, after }
})

t.test('nothing that nobody knows, and the root always', async t => {
  const { seen, d, f } = await setUp(t)
  const names = [named(d, f, undefined)]
  const both = new Set<number>([d, f])
  t.ok(isNothing(seen({ names, attributes: both, content: both })))
  t.strictSame(seen({ content: new Set([ROOT_INODE, f]) }).content, new Set([ROOT_INODE]))
})

t.test('a name changes its directory, and what it stood and stands for', async t => {
  const { seen, open, d, f } = await setUp(t)
  for (const ino of [d, f]) open.remember(ino)
  const place = { parent: d, name: 'n' }
  t.strictSame(seen({ names: [named(d, undefined, f)] }), {
    names: [{ place, kind: 'appeared' }],
    attributes: new Set([f]),
    content: new Set([d])
  })
  t.strictSame(seen({ names: [named(d, f, undefined)] }), {
    names: [{ place, kind: 'replaced' }],
    attributes: new Set([f]),
    content: new Set([d])
  })
})

t.test('a directory that lives on elsewhere has moved; one that was removed has not', async t => {
  const { laptop, seen, d, elsewhere } = await setUp(t)
  const kind = (before: number): string | undefined =>
    seen({ names: [named(ROOT_INODE, before, undefined)] }).names[0]?.kind
  t.equal(kind(elsewhere), 'moved')
  laptop.vfs.rmdir(laptop.place('d'))
  t.equal(kind(d), 'replaced')
})

t.test('what changes in content is not said to change in attributes besides', async t => {
  const { seen, open, f } = await setUp(t)
  open.openFile(f, 0, undefined)
  const changes = seen({ attributes: new Set([f]), content: new Set([f]) })
  t.strictSame(changes, { names: [], attributes: new Set(), content: new Set([f]) })
})

t.test('directories that became one are told of under each number in use', async t => {
  const { laptop, phone, seen, open, elsewhere } = await setUp(t)
  await exchange(laptop, phone)
  // Two directories that one operation of each device brings to one place.
  for (const device of [laptop, phone]) device.mkdir('union')
  await exchange(laptop, phone)
  const { index } = laptop.drive.replica
  const shown = laptop.ino('union')
  const numbers = [...Array(elsewhere + 20).keys()].filter(ino => {
    const record = ino > elsewhere ? index.findInode(ino) : undefined
    return record?.ino === shown
  }) as InodeNumber[]
  t.equal(numbers.length, 2)
  for (const ino of numbers) open.remember(ino)
  const other = numbers.find(ino => ino !== shown)
  if (other === undefined) throw new Error('one of two is not shown')
  t.strictSame(seen({ content: new Set([shown]) }).content, new Set([shown]), 'not known to be one')
  const names = [named(ROOT_INODE, other, undefined)]
  seen({ names })
  t.strictSame(seen({ content: new Set([shown]) }).content, new Set(numbers))
  const inside = seen({ names: [named(shown, undefined, 999)] }).names
  t.strictSame(new Set(inside.map(({ place }) => place.parent)), new Set(numbers))
  open.forget(other, 1)
  t.strictSame(seen({ content: new Set([shown]) }).content, new Set([shown]), 'nobody uses it now')
})
