/** Every version of a file can be read as it was, here or elsewhere, as long as it is kept. */
import t from 'tap'
import { HOLE_PIECE_BYTES } from '../../src/fs/read-version.ts'
import { filled } from '../support/bytes.ts'
import { exchange, makeDevices, type Device } from '../support/device-twins.ts'
import { joined, patternBytes } from '../support/vfs-session.ts'

const BLOCK = 128 * 1024

async function read(
  device: Device,
  path: string,
  version: number,
  signal = new AbortController().signal
): Promise<Uint8Array> {
  const ino = device.ino(path)
  const { id } = device.drive.replica.index.versions(ino)[version] ?? {}
  if (id === undefined) throw new Error(`no version ${version}`)
  const pieces: Uint8Array[] = []
  for await (const piece of device.drive.vfs.readVersion(ino, id, signal)) pieces.push(piece)
  return joined(pieces)
}

async function twins(t: Parameters<typeof makeDevices>[0]): Promise<[Device, Device]> {
  return (await makeDevices(t, 'laptop', 'phone')) as [Device, Device]
}

t.test('readVersion() reads what each version was', async t => {
  const [laptop, phone] = await twins(t)
  const contents: Uint8Array[] = [new Uint8Array(0)]
  const handle = laptop.create('f', 2)
  const write = async (bytes: Uint8Array, offset: number): Promise<void> => {
    const last = contents.at(-1) ?? new Uint8Array(0)
    const next = new Uint8Array(Math.max(last.length, offset + bytes.length))
    next.set(last)
    next.set(bytes, offset)
    contents.push(next)
    await laptop.write(handle, bytes, offset)
    await laptop.vfs.fsync(handle)
  }
  await write(filled(5, 1), 0)
  await write(patternBytes(2 * BLOCK), 0)
  await write(filled(100, 2), BLOCK + 50)
  await write(filled(1, 3), 4 * BLOCK + HOLE_PIECE_BYTES)
  await laptop.vfs.setattr(laptop.ino('f'), { size: BLOCK + 1 })
  contents.push((contents.at(-1) ?? new Uint8Array(0)).slice(0, BLOCK + 1))
  await laptop.vfs.setattr(laptop.ino('f'), { size: 3 * BLOCK })
  contents.push(extended(contents.at(-1), 3 * BLOCK))
  await laptop.close(handle)
  await phone.hear(laptop)
  for (const device of [laptop, phone]) {
    t.equal(device.drive.replica.index.versions(device.ino('f')).length, contents.length)
    for (const [version, content] of contents.entries())
      t.ok(Buffer.compare(await read(device, 'f', version), content) === 0, `version ${version}`)
  }
})

t.test('the version before a conflict, and the other one after it was resolved', async t => {
  const [laptop, phone] = await twins(t)
  await laptop.writeFile('f', 'base')
  await exchange(laptop, phone)
  for (const device of [laptop, phone]) await device.writeFile('f', device.drive.device)
  await exchange(laptop, phone)
  const versions = laptop.drive.replica.index.versions(laptop.ino('f'))
  const sizes = versions.map(({ size }) => size)
  t.equal(Buffer.from(await read(laptop, 'f', sizes.indexOf(4))).toString(), 'base')
})

t.test('what is not here fails as a read does; an unknown version is ENOENT', async t => {
  const [laptop, phone] = await twins(t)
  await phone.writeFile('f', filled(BLOCK, 1))
  await phone.writeFile('f', filled(BLOCK, 2))
  laptop.drive.connected.clear()
  await laptop.hear(phone)
  t.ok(laptop.drive.replica.index.versions(laptop.ino('f')).length > 2)
  const controller = new AbortController()
  const reading = t.rejects(read(laptop, 'f', 1, controller.signal), { code: 'EINTR' })
  controller.abort()
  await reading
  await laptop.writeFile('g', 'x')
  const [, other] = laptop.drive.replica.index.versions(laptop.ino('g'))
  if (other === undefined) throw new Error('it was written')
  const pieces = laptop.drive.vfs.readVersion(laptop.ino('f'), other.id, controller.signal)
  await t.rejects(pieces[Symbol.asyncIterator]().next(), { code: 'ENOENT' })
})

t.test('it goes on with what it began, whatever happens meanwhile', async t => {
  const [laptop, phone] = await twins(t)
  await laptop.writeFile('f', patternBytes(3 * BLOCK))
  await exchange(laptop, phone)
  const ino = laptop.ino('f')
  const version = laptop.drive.replica.index.versions(ino).at(-1)
  if (version === undefined) throw new Error('it was written')
  const pieces: Uint8Array[] = []
  const { signal } = new AbortController()
  for await (const piece of laptop.drive.vfs.readVersion(ino, version.id, signal)) {
    pieces.push(piece)
    if (pieces.length > 1) continue
    await phone.writeFile('f', 'short')
    await laptop.hear(phone)
    laptop.vfs.unlink(laptop.place('f'))
  }
  t.strictSame(joined(pieces), patternBytes(3 * BLOCK))
})

function extended(bytes: Uint8Array | undefined, length: number): Uint8Array {
  const longer = new Uint8Array(length)
  longer.set(bytes ?? [])
  return longer
}
