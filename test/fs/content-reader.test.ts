/**
 * Content that is not here is waited for until the deadline or until who asked gives up, a
 * bounded number of times at once, and read ahead of within bounds.
 */
import t from 'tap'
import {
  ContentReader,
  READ_AHEAD_BYTES,
  REMOTE_BYTES_IN_FLIGHT_MAX,
  REMOTE_READS_MAX
} from '../../src/fs/content-reader.ts'
import { FETCH_DEADLINE_MS } from '../../src/sync/block-reader.ts'
import { filled } from '../support/bytes.ts'
import { makeDevices, type Device } from '../support/device-twins.ts'
import { joined, patternBytes } from '../support/vfs-session.ts'

const BLOCK = 128 * 1024

/** A file of another device whose content is not here. */
async function setUp(t: Parameters<typeof makeDevices>[0], blocks: number) {
  const [laptop, phone] = (await makeDevices(t, 'laptop', 'phone')) as [Device, Device]
  const content = patternBytes(blocks * BLOCK)
  await phone.writeFile('f', content)
  laptop.drive.connected.clear()
  await laptop.hear(phone)
  const { replica, clock } = laptop.drive
  const reader = new ContentReader(replica, () => undefined)
  const ino = laptop.ino('f')
  const read = async (
    offset: number,
    length: number,
    signal?: AbortSignal
  ): Promise<Uint8Array> => {
    const record = replica.index.inode(ino)
    return joined(await reader.read(record, { offset, length }, signal && (() => signal)))
  }
  const connect = (): unknown => laptop.drive.connected.add(phone.drive)
  return { laptop, phone, reader, read, connect, content, clock, replica, ino }
}

const settled = async (): Promise<void> => new Promise(resolve => setImmediate(resolve))

t.test('a read waits for another device, others do not wait for it', async t => {
  const { laptop, reader, read, connect, content, clock } = await setUp(t, 1)
  const waiting = read(10, 100)
  await settled()
  t.equal(reader.remoteReads, 1)
  await laptop.writeFile('own', filled(BLOCK, 1))
  t.strictSame(await laptop.readFile('own'), filled(BLOCK, 1))
  connect()
  clock.advance(1000)
  t.strictSame(await waiting, content.subarray(10, 110))
  t.equal(reader.remoteReads, 0)
  t.strictSame(await read(0, 10), content.subarray(0, 10))
})

t.test('EHOSTUNREACH when nobody has it, ETIMEDOUT when who has it does not give it', async t => {
  const { laptop, read, connect, clock, reader } = await setUp(t, 1)
  const unreachable = t.rejects(read(0, 10), { code: 'UNREACHABLE' })
  await settled()
  clock.advance(FETCH_DEADLINE_MS - 1)
  await settled()
  t.equal(reader.remoteReads, 1, 'not before the deadline')
  clock.advance(1)
  await unreachable
  connect()
  laptop.drive.isStuck = true
  const handle = await laptop.opened('f')
  const late = t.rejects(laptop.read(handle, 0, 10), { code: 'ETIMEDOUT' })
  await settled()
  clock.advance(FETCH_DEADLINE_MS)
  await late
  await laptop.close(handle)
})

t.test('who gives up is answered at once, and nobody else is', async t => {
  const { read, connect, content, clock, reader } = await setUp(t, 1)
  const controller = new AbortController()
  const given = t.rejects(read(0, 10, controller.signal), { code: 'INTERRUPTED' })
  const other = read(0, 10)
  await settled()
  controller.abort()
  await given
  await settled()
  t.equal(reader.remoteReads, 1)
  connect()
  clock.advance(1000)
  t.strictSame(await other, content.subarray(0, 10))
})

t.test('a signal is asked for only by what waits for others', async t => {
  const { laptop, replica, reader, ino } = await setUp(t, 1)
  await laptop.writeFile('own', filled(BLOCK, 1))
  let asked = 0
  const signal = (): AbortSignal => {
    asked++
    return AbortSignal.abort()
  }
  const range = { offset: 0, length: 10 }
  await reader.read(replica.index.inode(laptop.ino('own')), range, signal)
  t.equal(asked, 0)
  await t.rejects(async () => reader.read(replica.index.inode(ino), range, signal), {
    code: 'INTERRUPTED'
  })
  t.equal(asked, 1)
})

t.test('so many reads wait and no more, and what is here is read all the same', async t => {
  const { laptop, read, connect, clock, reader } = await setUp(t, 1)
  await laptop.writeFile('own', 'here')
  const waiting = Array.from({ length: REMOTE_READS_MAX }, async () => read(0, 10))
  await settled()
  t.equal(reader.remoteReads, REMOTE_READS_MAX)
  await t.rejects(read(0, 10), { code: 'ETIMEDOUT' })
  t.equal(await laptop.readFileText('own'), 'here')
  connect()
  clock.advance(1000)
  await Promise.all(waiting)
  await read(0, 10)
})

t.test('who reads on is read ahead of, by so many bytes in flight', async t => {
  const blocks = (2 * REMOTE_BYTES_IN_FLIGHT_MAX) / BLOCK
  const { read, connect, content, clock, reader, laptop, phone } = await setUp(t, blocks)
  connect()
  await read(0, BLOCK)
  t.equal(reader.aheadBytes, 0, 'one read is no sequence')
  laptop.drive.connected.clear()
  const second = read(BLOCK, BLOCK)
  t.equal(reader.aheadBytes, REMOTE_BYTES_IN_FLIGHT_MAX / 2, 'as far as one reader is served')
  await phone.writeFile('g', content)
  await laptop.hear(phone)
  laptop.drive.connected.clear()
  const record = laptop.drive.replica.index.inode(laptop.ino('g'))
  const range = (at: number) => ({ offset: at * BLOCK, length: BLOCK })
  const others = [0, 1, 2, 3].map(async at => reader.read(record, range(at)))
  t.equal(reader.aheadBytes, REMOTE_BYTES_IN_FLIGHT_MAX, 'over all files')
  connect()
  clock.advance(1000)
  t.strictSame(await second, content.subarray(BLOCK, 2 * BLOCK))
  await Promise.all(others)
  for (let turns = 0; turns < 1000 && reader.aheadBytes > 0; turns++) await settled()
  t.equal(reader.aheadBytes, 0)
  laptop.drive.connected.clear()
  t.strictSame(await read(2 * BLOCK, BLOCK), content.subarray(2 * BLOCK, 3 * BLOCK), 'it is here')
})

t.test('close() ends what is read ahead', async t => {
  const { read, reader } = await setUp(t, 8)
  const reads = [0, 1].map(async at => read(at * BLOCK, BLOCK).catch(() => 'late'))
  await settled()
  t.equal(reader.aheadBytes, 6 * BLOCK)
  reader.close()
  reader.close()
  await settled()
  t.equal(reader.aheadBytes, 0)
  t.equal(reads.length, 2)
})

t.test('what is here is read ahead of by less', async t => {
  const { laptop, reader } = await setUp(t, 1)
  const blocks = (2 * READ_AHEAD_BYTES) / BLOCK
  await laptop.writeFile('own', filled(blocks * BLOCK, 1))
  const { replica } = laptop.drive
  const prefetched: number[] = []
  replica.prefetchBlock = run => prefetched.push(run.offset)
  const record = replica.index.inode(laptop.ino('own'))
  for (const offset of [0, BLOCK]) await reader.read(record, { offset, length: BLOCK })
  t.equal(prefetched.length, READ_AHEAD_BYTES / BLOCK)
  t.equal(Math.max(...prefetched), BLOCK + READ_AHEAD_BYTES)
})

t.test('a read is of one moment, also when a merge comes while it waits', async t => {
  const { laptop, phone, read, connect, content, clock } = await setUp(t, 2)
  const waiting = read(0, 2 * BLOCK)
  await settled()
  await phone.writeFile('f', filled(BLOCK, 9))
  await laptop.hear(phone)
  connect()
  clock.advance(1000)
  t.strictSame(await waiting, content, 'what it had begun to read')
  t.strictSame(await read(0, 2 * BLOCK), filled(BLOCK, 9))
})

t.test('a block that was cleared is looked for once more, in what the file is by then', async t => {
  const { laptop } = await setUp(t, 1)
  await laptop.writeFile('own', filled(3 * BLOCK, 1))
  await laptop.vfs.syncfs()
  await laptop.drive.reopen({ rebuild: false })
  const { replica, vfs } = laptop.drive
  const ino = vfs.lookup(laptop.place('own')).ino
  const reader = new ContentReader(replica, () => undefined)
  const record = replica.index.inode(ino)
  const whole = { offset: 0, length: 3 * BLOCK }
  laptop.drive.home.clear(laptop.drive.contentKey, { from: 1, to: 3 })
  await t.rejects(async () => reader.read(record, whole), { code: 'MISSING' }, 'still in use')
  const reading = reader.read(record, whole)
  vfs.setattr(ino, { size: 10 })
  t.strictSame(joined(await reading), filled(10, 1))
})
