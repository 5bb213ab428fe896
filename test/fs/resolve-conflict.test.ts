/** A conflict ends as it was said, on every device, and every version stays in history. */
import t from 'tap'
import type { Keep } from '../../src/fs/resolve-conflict.ts'
import { exchange, makeDevices, type Device } from '../support/device-twins.ts'

type Scope = Parameters<typeof makeDevices>[0]

/** Devices that wrote one file apart; the first is asked. */
async function inConflict(t: Scope, ...names: readonly string[]) {
  const devices = await makeDevices(t, ...names)
  const [first] = devices as readonly [Device, ...Device[]]
  await first.writeFile('notes.txt', 'base')
  await exchange(...devices)
  for (const device of devices) await device.writeFile('notes.txt', device.drive.device)
  await exchange(...devices)
  const copies = first.names('').filter(name => name !== 'notes.txt')
  return { devices, first, copies }
}

/** What each file says, by name. */
async function textsOf(device: Device): Promise<Record<string, string>> {
  const texts: Record<string, string> = {}
  for (const name of device.names('')) texts[name] = await device.readFileText(name)
  return texts
}

function resolve(device: Device, name: string, keep: Keep): readonly string[] {
  return device.drive.vfs.resolveConflict(device.place(name), keep).map(({ name: left }) => left)
}

for (const asked of ['the file', 'the copy'])
  for (const [keep, kept] of [
    ['mine', 0],
    ['theirs', 1]
  ] as const)
    for (const names of [
      ['laptop', 'phone'],
      ['phone', 'laptop']
    ])
      t.test(`${keep} of ${names.join(' and ')}, asked for ${asked}`, async t => {
        const { devices, first, copies } = await inConflict(t, ...names)
        t.equal(copies.length, 1)
        const before = await textsOf(first)
        const name = asked === 'the file' ? 'notes.txt' : (copies[0] ?? '')
        t.strictSame(resolve(first, name, keep), ['notes.txt'])
        await exchange(...devices)
        for (const device of devices)
          t.strictSame(await textsOf(device), { 'notes.txt': names[kept] })
        t.strictSame(Object.values(before).toSorted(), names.toSorted(), 'both were there')
      })

t.test('both: the copy becomes a file like any other', async t => {
  const { devices, first, copies } = await inConflict(t, 'laptop', 'phone')
  const [copy = ''] = copies
  const ordinary = copy.replace(' (conflict, ', ' (')
  t.strictSame(resolve(first, copy, 'both'), ['notes.txt', ordinary])
  await exchange(...devices)
  for (const device of devices) {
    t.strictSame(device.names('').toSorted(), ['notes.txt', ordinary].toSorted())
    t.strictSame([...device.drive.replica.index.conflicts()], [])
    t.strictSame(device.vfs.listxattr(device.ino(ordinary)), [])
  }
})

t.test('both: under a name that is free', async t => {
  const { first, copies } = await inConflict(t, 'laptop', 'phone')
  const ordinary = (copies[0] ?? '').replace(' (conflict, ', ' (')
  await first.writeFile(ordinary, 'taken')
  const second = ordinary.replace(').txt', ') 2.txt')
  t.strictSame(resolve(first, 'notes.txt', 'both'), ['notes.txt', second])
  t.equal(await first.readFileText(ordinary), 'taken')
})

t.test('three devices: mine against all, theirs only of the copy that is named', async t => {
  const { devices, first, copies } = await inConflict(t, 'a', 'b', 'c')
  t.equal(copies.length, 2)
  t.throws(() => resolve(first, 'notes.txt', 'theirs'), { code: 'EINVAL' })
  t.equal(first.names('').length, 3, 'nothing has changed')
  resolve(first, 'notes.txt', 'mine')
  await exchange(...devices)
  for (const device of devices) t.strictSame(await textsOf(device), { 'notes.txt': 'a' })
})

t.test('three devices: a copy that is named stands for itself', async t => {
  const { first, copies } = await inConflict(t, 'a', 'b', 'c')
  const [copy = '', other = ''] = copies
  const before = await textsOf(first)
  resolve(first, copy, before[copy] === 'a' ? 'mine' : 'theirs')
  const after = await textsOf(first)
  t.equal(after['notes.txt'], before[copy])
  t.equal(after[other], before[other], 'the other copy is left alone')
  t.equal(Object.keys(after).length, 2)
})

t.test('who wrote neither means by mine what has the name', async t => {
  const [laptop, phone, reader] = (await makeDevices(t, 'laptop', 'phone', 'reader')) as [
    Device,
    Device,
    Device
  ]
  await laptop.writeFile('f', 'base')
  await exchange(laptop, phone)
  for (const device of [laptop, phone]) await device.writeFile('f', device.drive.device)
  await exchange(laptop, phone, reader)
  const kept = await reader.readFileText('f')
  resolve(reader, 'f', 'mine')
  t.strictSame(await textsOf(reader), { f: kept })
})

t.test('the newest of what this device wrote is its own, not the first', async t => {
  const { first, copies, devices } = await inConflict(t, 'laptop', 'phone')
  const [copy = ''] = copies
  const before = await textsOf(first)
  const others = before[copy] === 'laptop' ? 'notes.txt' : copy
  devices[0]?.drive.clock.advance(1000)
  await first.append(others, ', edited on laptop')
  resolve(first, copy, 'mine')
  t.strictSame(await textsOf(first), { 'notes.txt': 'phone, edited on laptop' })
})

t.test('what is in no conflict, and directories', async t => {
  const [laptop, phone] = (await makeDevices(t, 'laptop', 'phone')) as [Device, Device]
  await laptop.writeFile('plain', 'x')
  await laptop.writeFile('d', 'a file')
  phone.mkdir('d')
  await exchange(laptop, phone)
  t.throws(() => resolve(laptop, 'absent', 'mine'), { code: 'ENOENT' })
  t.throws(() => resolve(laptop, 'plain', 'mine'), { code: 'ENODATA' })
  for (const keep of ['mine', 'theirs'] as const)
    t.throws(() => resolve(laptop, 'd', keep), { code: 'EISDIR' })
  const left = resolve(laptop, 'd', 'both')
  t.equal(left.length, 2)
  t.strictSame([...laptop.drive.replica.index.conflicts()], [])
})

t.test('the kernel hears of it', async t => {
  const { first, copies } = await inConflict(t, 'laptop', 'phone')
  const [copy = ''] = copies
  const mine = (await first.readFileText(copy)) === 'laptop'
  first.news()
  resolve(first, copy, mine ? 'mine' : 'theirs')
  const news = first.news()
  t.ok(news.includes(`replaced 1/${copy}`), news.join(', '))
  t.ok(news.includes('replaced 1/notes.txt'), news.join(', '))
  t.ok(news.includes('content 1'), news.join(', '))
})
