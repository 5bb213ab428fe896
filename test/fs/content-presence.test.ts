/** What is not here is counted, anew when it may have come, and no more often than that. */
import t from 'tap'
import { COUNTS_MAX, ContentPresence, RECOUNT_SEC } from '../../src/fs/content-presence.ts'
import type { InodeRecord } from '../../src/sync/inode-record.ts'
import { filled } from '../support/bytes.ts'
import { makeDevices, type Device } from '../support/device-twins.ts'

const BLOCK = 128 * 1024

async function setUp(t: Parameters<typeof makeDevices>[0]) {
  const [laptop, phone] = (await makeDevices(t, 'laptop', 'phone')) as [Device, Device]
  await phone.writeFile('f', filled(2 * BLOCK, 1))
  await phone.writeFile('small', 'inline')
  phone.mkdir('d')
  await laptop.writeFile('own', filled(BLOCK, 2))
  laptop.drive.connected.clear()
  await laptop.hear(phone)
  const { replica, clock } = laptop.drive
  const presence = new ContentPresence({ replica, clock })
  const missing = (path: string): number =>
    presence.missingBytes(replica.index.inode(laptop.ino(path)))
  return { laptop, phone, presence, missing, clock }
}

t.test('missingBytes() counts blocks of others that have not come', async t => {
  const { laptop, phone, presence, missing, clock } = await setUp(t)
  t.equal(missing('f'), 2 * BLOCK)
  for (const path of ['small', 'd', 'own']) t.equal(missing(path), 0, path)
  laptop.drive.connected.add(phone.drive)
  const handle = await laptop.opened('f')
  await laptop.read(handle, 0, 10)
  t.equal(missing('f'), 2 * BLOCK, 'for a second')
  clock.advance(RECOUNT_SEC * 1000)
  t.equal(missing('f'), BLOCK)
  await laptop.read(handle, BLOCK, 10)
  presence.forget(laptop.ino('f'))
  t.equal(missing('f'), 0, 'at once when it is told')
  await laptop.close(handle)
})

t.test('st_blocks tells it, and may be remembered for as long as it holds', async t => {
  const { laptop, phone, clock } = await setUp(t)
  t.match(laptop.stat('f'), { size: 2 * BLOCK, blocks: 0, validSec: 1 })
  t.equal(laptop.stat('own').validSec, undefined)
  laptop.drive.connected.add(phone.drive)
  await laptop.readFile('f')
  clock.advance(1000)
  t.match(laptop.stat('f'), { blocks: (2 * BLOCK) / 512 })
  t.equal(laptop.stat('f').validSec, undefined)
})

t.test('what is all here is not counted again until it changes', async t => {
  const { laptop, presence, missing, clock } = await setUp(t)
  t.equal(missing('own'), 0)
  const { content } = laptop.drive.replica.index
  const everyRun = content.everyRun.bind(content)
  let counted = 0
  content.everyRun = ino => {
    counted++
    return everyRun(ino)
  }
  clock.advance(10_000)
  t.equal(missing('own'), 0)
  t.equal(counted, 0)
  await laptop.append('own', 'more')
  const record = laptop.drive.replica.index.inode(laptop.ino('own'))
  counted = 0
  t.equal(presence.missingBytes(record), 0)
  t.equal(counted, 1)
})

t.test('a drive without other devices is never counted; neither are too many files', async t => {
  const [alone] = (await makeDevices(t, 'alone')) as [Device]
  await alone.writeFile('f', filled(BLOCK, 1))
  const { replica, clock } = alone.drive
  const record = replica.index.inode(alone.ino('f'))
  const counted: number[] = []
  const { content } = replica.index
  content.everyRun = ino => {
    counted.push(ino)
    return []
  }
  const presence = new ContentPresence({ replica, clock })
  t.equal(presence.missingBytes(record), 0)
  t.strictSame(counted, [])
  presence.merged()
  const numbered = (ino: number): InodeRecord => ({ ...record, ino })
  for (let ino = 1; ino <= COUNTS_MAX; ino++) presence.missingBytes(numbered(ino))
  presence.missingBytes(numbered(1))
  t.equal(counted.length, COUNTS_MAX, 'each once')
  presence.missingBytes(numbered(COUNTS_MAX + 1))
  presence.missingBytes(numbered(1))
  t.equal(counted.length, COUNTS_MAX + 2, 'then they are forgotten')
})
