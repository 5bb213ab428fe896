/**
 * What a program on one device sees while other devices change the tree: names and handles, what
 * is told to the kernel, and what must not be lost.
 */
import t from 'tap'
import { O_APPEND, O_RDONLY, O_RDWR, O_TRUNC, ROOT_INODE } from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'
import { exchange, makeDevices, type Device } from '../support/device-twins.ts'
import { filled } from '../support/bytes.ts'
import { nameOf, textOf } from '../support/vfs-session.ts'

const CONFLICT = 'user.grove.conflict' as Name
const BLOCK = 128 * 1024

async function two(t: Parameters<typeof makeDevices>[0]): Promise<readonly [Device, Device]> {
  const [laptop, phone] = await makeDevices(t, 'laptop', 'phone')
  if (!laptop || !phone) throw new Error('two were asked for')
  return [laptop, phone]
}

t.test('what one device makes, another finds, reads and changes', async t => {
  const [laptop, phone] = await two(t)
  laptop.mkdir('d')
  await laptop.writeFile('d/small', 'hello')
  await laptop.writeFile('d/large', filled(3 * BLOCK, 7))
  await phone.hear(laptop)
  t.strictSame(phone.names('d'), ['large', 'small'])
  t.equal(await phone.readFileText('d/small'), 'hello')
  t.strictSame(await phone.readFile('d/large'), filled(3 * BLOCK, 7))
  phone.vfs.rename(phone.place('d/small'), phone.place('s'), 'replace')
  phone.vfs.unlink(phone.place('d/large'))
  phone.vfs.rmdir(phone.place('d'))
  await laptop.hear(phone)
  t.strictSame(laptop.names(''), ['s'])
  t.equal(await laptop.readFileText('s'), 'hello')
})

t.test('an open handle goes on under another name and sees what others write', async t => {
  const [laptop, phone] = await two(t)
  await laptop.writeFile('log', 'one\n')
  await exchange(laptop, phone)
  const handle = await laptop.opened('log')
  const { ino } = laptop.stat('log')
  await phone.append('log', 'two\n')
  phone.vfs.rename(phone.place('log'), phone.place('renamed'), 'replace')
  await laptop.hear(phone)
  t.equal(await laptop.readText(handle), 'one\ntwo\n')
  t.match(laptop.vfs.getattr(ino), { ino, nlink: 1, size: 8 })
  t.equal(laptop.ino('renamed'), ino)
  await laptop.write(handle, 'three\n', 8)
  await laptop.close(handle)
  await phone.hear(laptop)
  t.equal(await phone.readFileText('renamed'), 'one\ntwo\nthree\n')
})

t.test('an append goes to the end as it is now', async t => {
  const [laptop, phone] = await two(t)
  await laptop.writeFile('log', 'one\n')
  await exchange(laptop, phone)
  const handle = await laptop.open('log', O_RDWR | O_APPEND)
  await phone.append('log', 'two\n')
  await laptop.hear(phone)
  await laptop.write(handle, 'three\n', 4)
  await laptop.close(handle)
  t.equal(await laptop.readFileText('log'), 'one\ntwo\nthree\n')
  await phone.hear(laptop)
  t.strictSame(phone.names(''), ['log'], 'it had seen the other: no conflict')
})

t.test('what was written before a merge had not seen what it brings', async t => {
  const [laptop, phone] = await two(t)
  await laptop.writeFile('f', 'base')
  await exchange(laptop, phone)
  const handle = await laptop.opened('f')
  await phone.writeFile('f', 'phone')
  // In memory only when the other's write arrives.
  await laptop.write(handle, 'laptop', 0)
  t.ok(laptop.drive.vfs.unflushedBytes > 0)
  await laptop.hear(phone)
  t.equal(laptop.drive.vfs.unflushedBytes, 0)
  await laptop.close(handle)
  await phone.hear(laptop)
  for (const device of [laptop, phone]) {
    const names = device.names('')
    t.equal(names.length, 2, 'a conflict, not a loss')
    const texts = await Promise.all(names.map(name => device.readFileText(name)))
    t.strictSame(texts.toSorted(), ['laptop', 'phone'])
  }
})

t.test('a file removed elsewhere goes on for who has it open, and a write revives it', async t => {
  const [laptop, phone] = await two(t)
  await laptop.writeFile('read', 'kept')
  await laptop.writeFile('written', 'kept')
  await exchange(laptop, phone)
  const [read, written] = [await laptop.opened('read'), await laptop.opened('written')]
  const ino = laptop.ino('written')
  laptop.know('written')
  for (const name of ['read', 'written']) phone.vfs.unlink(phone.place(name))
  await laptop.hear(phone)
  t.strictSame(laptop.names(''), [])
  t.equal(await laptop.readText(read), 'kept')
  t.equal(laptop.vfs.getattr(ino).nlink, 0)
  laptop.news()
  await laptop.write(written, ' alive', 4)
  await laptop.close(written)
  await laptop.close(read)
  t.strictSame(laptop.names(''), ['written'])
  t.equal(laptop.ino('written'), ino)
  t.ok(laptop.news().includes('appeared 1/written'), 'the kernel may remember that it is gone')
  await phone.hear(laptop)
  t.equal(await phone.readFileText('written'), 'kept alive')
  t.throws(() => phone.stat('read'), { code: 'ENOENT' })
})

t.test('a file removed here while open stays gone, whatever is written to it', async t => {
  const [laptop, phone] = await two(t)
  await laptop.writeFile('f', 'base')
  await exchange(laptop, phone)
  const handle = await laptop.opened('f')
  laptop.vfs.unlink(laptop.place('f'))
  await laptop.write(handle, 'unseen', 0)
  await exchange(laptop, phone)
  await laptop.write(handle, 'unseen', 6)
  t.equal(await laptop.readText(handle), 'unseenunseen')
  await laptop.close(handle)
  await exchange(laptop, phone)
  for (const device of [laptop, phone]) t.strictSame(device.names(''), [])
})

t.test('an edit elsewhere brings back what was removed here, apart from the handle', async t => {
  const [laptop, phone] = await two(t)
  await laptop.writeFile('f', 'base')
  await exchange(laptop, phone)
  const handle = await laptop.opened('f')
  laptop.vfs.unlink(laptop.place('f'))
  await laptop.write(handle, 'mine', 0)
  await phone.writeFile('f', 'edited elsewhere')
  await exchange(laptop, phone)
  for (const device of [laptop, phone]) {
    t.strictSame(device.names(''), ['f'])
    t.equal(await device.readFileText('f'), 'edited elsewhere')
  }
  t.equal(await laptop.readText(handle), 'mine', 'nobody else has this')
  await laptop.write(handle, 'MINE', 0)
  await laptop.close(handle)
  await exchange(laptop, phone)
  t.equal(await phone.readFileText('f'), 'edited elsewhere')
})

t.test('concurrent directories of one name are one to programs', async t => {
  const [laptop, phone] = await two(t)
  for (const device of [laptop, phone]) {
    device.mkdir('d')
    await device.writeFile(`d/${device.drive.device}`, 'x')
  }
  const ino = laptop.ino('d')
  const handle = laptop.vfs.opendir(ino)
  await exchange(laptop, phone)
  for (const device of [laptop, phone]) {
    t.strictSame(device.names(''), ['d'])
    t.strictSame(device.names('d'), ['laptop', 'phone'])
    t.match(device.stat('d'), { nlink: 2 })
    t.equal(device.vfs.lookup({ parent: device.ino('d'), name: '..' as Name }).ino, ROOT_INODE)
  }
  t.equal(laptop.ino('d'), ino, 'the number that was known stays')
  const listed: string[] = []
  laptop.vfs.readdir(handle, 0, ({ name }) => listed.push(name) > 0)
  t.strictSame(listed.toSorted(), ['.', '..', 'laptop', 'phone'])
  laptop.vfs.releasedir(handle)
  laptop.mkdir('d/sub')
  t.throws(() => laptop.vfs.rmdir(laptop.place('d')), { code: 'ENOTEMPTY' })
  laptop.vfs.rename(laptop.place('d'), laptop.place('moved'), 'replace')
  await phone.hear(laptop)
  t.strictSame(phone.names(''), ['moved'], 'all of it moved')
  t.strictSame(phone.names('moved'), ['laptop', 'phone', 'sub'])
  for (const name of ['laptop', 'phone']) phone.vfs.unlink(phone.place(`moved/${name}`))
  phone.vfs.rmdir(phone.place('moved/sub'))
  phone.vfs.rmdir(phone.place('moved'))
  await laptop.hear(phone)
  t.strictSame(laptop.names(''), [], 'all of it is removed')
})

/** Two devices after they wrote one file apart. */
async function afterConflict(
  t: Parameters<typeof makeDevices>[0]
): Promise<{ laptop: Device; phone: Device; copy: string }> {
  const [laptop, phone] = await two(t)
  await laptop.writeFile('notes.txt', 'base')
  await exchange(laptop, phone)
  await laptop.writeFile('notes.txt', 'by laptop')
  await phone.writeFile('notes.txt', 'by phone')
  await exchange(laptop, phone)
  const copy = laptop.names('').find(name => name !== 'notes.txt')
  if (copy === undefined) throw new Error('no conflict copy')
  return { laptop, phone, copy }
}

t.test('a conflict copy is a file like any other, and says what it is', async t => {
  const { laptop, phone, copy } = await afterConflict(t)
  t.match(copy, /^notes \(conflict, (laptop|phone), \d{4}-\d\d-\d\d \d\d\.\d\d\)\.txt$/)
  const ino = laptop.ino(copy)
  const by = /laptop/.test(copy) ? 'laptop' : 'phone'
  t.equal(textOf(await laptop.vfs.getxattr(ino, CONFLICT)), `notes.txt from ${by}`)
  t.strictSame(laptop.vfs.listxattr(ino), [CONFLICT])
  t.strictSame(laptop.vfs.listxattr(laptop.ino('notes.txt')), [])
  t.throws(() => laptop.vfs.getxattr(laptop.ino('notes.txt'), CONFLICT), { code: 'ENODATA' })
  const value = filled(1, 1)
  t.throws(() => laptop.vfs.setxattr(ino, CONFLICT, value, 'set'), { code: 'EPERM' })
  t.throws(() => laptop.vfs.removexattr(ino, CONFLICT), { code: 'EPERM' })
  const other = 'user.grove.unknown' as Name
  t.throws(() => laptop.vfs.setxattr(ino, other, value, 'set'), { code: 'EINVAL' })

  await laptop.append(copy, ', edited')
  await phone.hear(laptop)
  t.equal(await phone.readFileText(copy), `by ${by}, edited`)
  phone.vfs.rename(phone.place(copy), phone.place('mine.txt'), 'replace')
  await laptop.hear(phone)
  t.strictSame(laptop.names(''), ['mine.txt', 'notes.txt'])
  t.equal(laptop.ino('mine.txt'), ino)
  t.strictSame(laptop.vfs.listxattr(ino), [], 'a name of a user: no conflict any more')
})

t.test('removing the kept file gives its name to the copy, and the kernel hears of it', async t => {
  const { laptop, phone, copy } = await afterConflict(t)
  const text = await laptop.readFileText(copy)
  laptop.know('notes.txt', copy)
  laptop.news()
  laptop.vfs.unlink(laptop.place('notes.txt'))
  t.strictSame(laptop.names(''), ['notes.txt'])
  t.equal(await laptop.readFileText('notes.txt'), text)
  const news = laptop.news()
  t.ok(news.includes('replaced 1/notes.txt'), news.join())
  t.ok(news.includes(`replaced 1/${copy}`), news.join())
  await phone.hear(laptop)
  t.equal(await phone.readFileText('notes.txt'), text)
})

t.test('a conflict copy can be removed, and replaced', async t => {
  const { laptop, phone, copy } = await afterConflict(t)
  await laptop.writeFile('new', 'new')
  laptop.vfs.rename(laptop.place('new'), laptop.place(copy), 'replace')
  t.equal(await laptop.readFileText(copy), 'new')
  await phone.hear(laptop)
  t.strictSame(phone.names('').toSorted(), [copy, 'notes.txt'].toSorted())
  phone.vfs.unlink(phone.place(copy))
  await laptop.hear(phone)
  t.strictSame(laptop.names(''), ['notes.txt'])
})

t.test('a listing is of one moment', async t => {
  const [laptop, phone] = await two(t)
  for (let n = 0; n < 20; n++) await laptop.writeFile(`f${n}`, '')
  await exchange(laptop, phone)
  const handle = laptop.vfs.opendir(ROOT_INODE)
  const first: string[] = []
  laptop.vfs.readdir(handle, 0, row => first.length < 5 && first.push(row.name) > 0)
  for (let n = 0; n < 20; n += 2) phone.vfs.unlink(phone.place(`f${n}`))
  await phone.writeFile('later', '')
  await laptop.hear(phone)
  const rest: string[] = []
  laptop.vfs.readdir(handle, 5, row => rest.push(row.name) > 0)
  t.strictSame(
    [...first, ...rest].toSorted(),
    ['.', '..', ...Array.from({ length: 20 }, (_, n) => `f${n}`)].toSorted()
  )
  const again: string[] = []
  laptop.vfs.readdir(handle, 0, row => again.push(row.name) > 0)
  t.equal(again.length, 2 + 10 + 1)
  laptop.vfs.releasedir(handle)
})

t.test('the kernel is told of what it knows, and of nothing else', async t => {
  const [laptop, phone] = await two(t)
  laptop.mkdir('known')
  laptop.mkdir('unknown')
  for (const name of ['known/f', 'known/gone', 'known/over', 'known/by', 'unknown/f'])
    await laptop.writeFile(name, name)
  laptop.mkdir('known/d')
  laptop.know('known', 'known/f', 'known/gone', 'known/over', 'known/d')
  const [known, f, gone, over, d] = ['known', 'known/f', 'known/gone', 'known/over', 'known/d'].map(
    path => laptop.ino(path)
  )
  await exchange(laptop, phone)
  t.strictSame(laptop.news(), [], 'nothing it did not know')

  await phone.append('known/f', 'more')
  await phone.append('unknown/f', 'more')
  await phone.writeFile('unknown/new', 'more')
  await laptop.hear(phone)
  t.strictSame(laptop.news(), [`content ${f}`])

  await phone.vfs.setattr(phone.ino('known/f'), { mode: 0o600 })
  await laptop.hear(phone)
  t.strictSame(laptop.news(), [`attributes ${f}`])

  phone.vfs.unlink(phone.place('known/gone'))
  phone.vfs.rename(phone.place('known/by'), phone.place('known/over'), 'replace')
  phone.vfs.rename(phone.place('known/d'), phone.place('d'), 'replace')
  await phone.writeFile('known/new', '')
  await laptop.hear(phone)
  const news = laptop.news()
  for (const expected of [
    `replaced ${known}/gone`,
    `replaced ${known}/over`,
    `replaced ${known}/by`,
    `moved ${known}/d`,
    'appeared 1/d',
    `appeared ${known}/new`,
    `content ${known}`,
    'content 1',
    `attributes ${gone}`,
    `attributes ${over}`,
    `attributes ${d}`
  ])
    t.ok(news.includes(expected), `${expected} in ${news.join(', ')}`)
  t.notOk(news.some(each => each.includes('unknown')))
})

t.test('a truncating open after a merge overwrites, and history has the other version', async t => {
  const [laptop, phone] = await two(t)
  await laptop.writeFile('f', 'base')
  await exchange(laptop, phone)
  await phone.writeFile('f', 'by phone')
  await laptop.hear(phone)
  const handle = await laptop.open('f', O_RDWR | O_TRUNC)
  await laptop.write(handle, 'by laptop', 0)
  await laptop.close(handle)
  await phone.hear(laptop)
  t.strictSame(phone.names(''), ['f'])
  t.equal(await phone.readFileText('f'), 'by laptop')
})

t.test('links, symbolic links and attributes of others', async t => {
  const [laptop, phone] = await two(t)
  await laptop.writeFile('f', 'x')
  laptop.vfs.link(laptop.ino('f'), laptop.place('g'))
  laptop.vfs.symlink(laptop.place('s'), Buffer.from('f'), laptop.caller)
  laptop.vfs.setxattr(laptop.ino('f'), 'user.a' as Name, filled(3, 1), 'set')
  await phone.hear(laptop)
  t.equal(phone.ino('f'), phone.ino('g'))
  t.match(phone.stat('f'), { nlink: 2 })
  t.equal(textOf(phone.vfs.readlink(phone.ino('s'))), 'f')
  t.strictSame(await phone.vfs.getxattr(phone.ino('g'), 'user.a' as Name), filled(3, 1))
  phone.vfs.unlink({ parent: ROOT_INODE, name: nameOf('f') })
  await laptop.hear(phone)
  t.match(laptop.stat('g'), { nlink: 1 })
  const handle = await laptop.open('g', O_RDONLY)
  t.equal(await laptop.readText(handle), 'x')
  await laptop.close(handle)
})
