/**
 * Changes of an inode name the version they saw, and are kept to this device where the file has
 * no name because this device took it.
 */
import t from 'tap'
import { O_RDWR, ROOT_INODE } from '../../src/fs/vfs.ts'
import type { Name, Operation } from '../../src/sync/operation.ts'
import { filled } from '../support/bytes.ts'
import { exchange, makeDevices, type Device } from '../support/device-twins.ts'

const USER = 'user.a' as Name
const CAPABILITY = 'security.capability' as Name

async function setUp(t: Parameters<typeof makeDevices>[0]) {
  const [laptop, phone] = (await makeDevices(t, 'laptop', 'phone')) as [Device, Device]
  await laptop.writeFile('f', 'base')
  await exchange(laptop, phone)
  const { replica } = laptop.drive
  const recorded: Operation[] = []
  const execute = replica.execute.bind(replica)
  replica.execute = (operation, options) => {
    if (options?.recorded !== false) recorded.push(operation)
    return execute(operation, options)
  }
  return { laptop, phone, recorded, replica, ino: laptop.ino('f') }
}

t.test('a change names the version that was seen, what gathered included', async t => {
  const { laptop, recorded, replica, ino } = await setUp(t)
  const handle = await laptop.opened('f')
  await laptop.write(handle, 'more', 4)
  await laptop.vfs.setattr(ino, { mode: 0o600 })
  laptop.vfs.setxattr(ino, USER, filled(1, 1), 'set')
  laptop.vfs.removexattr(ino, USER)
  const { version: base, id: inode } = replica.index.inode(ino)
  t.match(recorded, [
    { type: 'write', inode },
    { type: 'setattr', inode, base },
    { type: 'setxattr', inode, base },
    { type: 'removexattr', inode, base }
  ])
  await laptop.close(handle)
})

t.test('attributes set apart are both kept, and of one the last', async t => {
  const { laptop, phone, ino } = await setUp(t)
  await laptop.vfs.setattr(ino, { mode: 0o600 })
  await phone.vfs.setattr(phone.ino('f'), { uid: 7 })
  laptop.vfs.setxattr(ino, USER, filled(1, 1), 'set')
  phone.vfs.setxattr(phone.ino('f'), 'user.b' as Name, filled(1, 2), 'set')
  await exchange(laptop, phone)
  for (const device of [laptop, phone]) {
    t.match(device.stat('f'), { uid: 7, mode: 0o100600 })
    t.strictSame(device.vfs.listxattr(device.ino('f')).toSorted(), ['user.a', 'user.b'])
  }
})

t.test('of a file that lost its name here nothing is recorded, elsewhere all is', async t => {
  const { laptop, phone, recorded, ino } = await setUp(t)
  await laptop.writeFile('g', 'base')
  await exchange(laptop, phone)
  const other = laptop.ino('g')
  const handles = [await laptop.opened('f'), await laptop.opened('g')]
  laptop.vfs.unlink(laptop.place('f'))
  phone.vfs.unlink(phone.place('g'))
  await exchange(laptop, phone)
  recorded.length = 0
  await laptop.vfs.setattr(ino, { mode: 0o600, size: 1 })
  laptop.vfs.setxattr(ino, USER, filled(1, 1), 'set')
  t.strictSame(recorded, [])
  t.match(laptop.vfs.getattr(ino), { size: 1, nlink: 0, mode: 0o100600 })
  await laptop.vfs.setattr(other, { mode: 0o600 })
  t.equal(laptop.vfs.getattr(other).nlink, 0, 'chmod is no use of a name')
  await laptop.vfs.setattr(other, { size: 1 })
  t.match(
    recorded.map(({ type }) => type),
    ['setattr', 'truncate']
  )
  t.strictSame(laptop.names(''), ['g'], 'cutting is')
  for (const handle of handles) await laptop.close(handle)
  await phone.hear(laptop)
  t.equal(await phone.readFileText('g'), 'b')
})

t.test('content and owner take capabilities along, also those others gave', async t => {
  const { laptop, phone, ino } = await setUp(t)
  const changes = [
    async () => laptop.append('f', 'x'),
    async () => laptop.vfs.setattr(ino, { size: 2 }),
    async () => laptop.vfs.setattr(ino, { uid: 8 }),
    async () => laptop.close(await laptop.open('f', O_RDWR | 0o1000))
  ]
  for (const change of changes) {
    phone.vfs.setxattr(phone.ino('f'), CAPABILITY, filled(4, 1), 'set')
    await laptop.hear(phone)
    t.strictSame(laptop.vfs.listxattr(ino), [CAPABILITY])
    await change()
    t.strictSame(laptop.vfs.listxattr(ino), [])
    await phone.hear(laptop)
    t.strictSame(phone.vfs.listxattr(phone.ino('f')), [])
  }
})

t.test('attributes of directories shown as one are the first one’s, on every device', async t => {
  const { laptop, phone } = await setUp(t)
  for (const device of [laptop, phone]) device.mkdir('d')
  await exchange(laptop, phone)
  await laptop.vfs.setattr(laptop.ino('d'), { mode: 0o711, mtime: { sec: 5, nsec: 0 } })
  laptop.vfs.setxattr(laptop.ino('d'), USER, filled(2, 2), 'set')
  await phone.hear(laptop)
  for (const device of [laptop, phone]) {
    t.match(device.stat('d'), { mode: 0o40711, mtime: { sec: 5, nsec: 0 } })
    t.strictSame(device.vfs.getxattr(device.ino('d'), USER), filled(2, 2))
  }
  t.equal(phone.vfs.getattr(ROOT_INODE).nlink, 3)
})
