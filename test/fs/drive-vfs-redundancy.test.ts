/**
 * Redundancy as the file system shows it: settings are attributes, which other devices get and a
 * rebuilt index keeps; answers are read from custody; and an fsync waits for other computers where
 * a directory asks for it, while everything else goes on.
 */
import t, { type Test } from 'tap'
import { FsError } from '../../src/fs/fs-error.ts'
import { O_APPEND, O_RDONLY, O_RDWR, O_WRONLY, ROOT_INODE, S_IFIFO } from '../../src/fs/vfs.ts'
import {
  ALONE,
  type CopiesStatus,
  type CustodyView,
  type DurabilityRequest
} from '../../src/sync/custody-view.ts'
import type { Name } from '../../src/sync/operation.ts'
import type { Redundancy } from '../../src/sync/redundancy.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { bytesOf, nameOf, patternBytes, textOf, VfsSession } from '../support/vfs-session.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const BLOCK = 128 * 1024
const grove = (name: string): Name => nameOf(`user.grove.${name}`)

/** Custody as a test says it is. */
class FakeCustody implements CustodyView {
  readonly waiting: { request: DurabilityRequest; settle: (error?: Error) => void }[] = []
  status: CopiesStatus = { copies: 2, health: 'ok', lostBytes: 0, holders: ['attic', 'laptop'] }
  readonly asked: Redundancy[] = []

  copiesOf(_: Iterable<unknown>, redundancy: Redundancy): CopiesStatus {
    this.asked.push(redundancy)
    return this.status
  }

  copiesOfDrive(): CopiesStatus {
    return this.status
  }

  async whenDurable(request: DurabilityRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => (error === undefined ? resolve() : reject(error))
      this.waiting.push({ request, settle })
    })
  }

  /** The next request, once there is one. */
  async next(): Promise<{ request: DurabilityRequest; settle: (error?: Error) => void }> {
    for (let turns = 0; turns < 1000; turns++) {
      const next = this.waiting.shift()
      if (next !== undefined) return next
      await new Promise(setImmediate)
    }
    throw new Error('nobody waits for other computers')
  }
}

async function setUp(t: Test) {
  const drive = await MemoryDrive.create()
  const custody = new FakeCustody()
  drive.custody = custody
  t.teardown(() => drive.close())
  return { drive, custody, vfs: drive.vfs, session: new VfsSession(drive.vfs) }
}

/** What a call fails with. */
function codeOf(call: () => unknown): string | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    if (error instanceof FsError) return error.code
    throw error
  }
}

t.test('settings are kept as they are written, listed, replaced and removed', async t => {
  const { vfs, session } = await setUp(t)
  session.mkdir('d')
  await session.writeFile('d/f', 'content')
  for (const path of ['', 'd', 'd/f']) {
    const ino = session.ino(path)
    const set = (name: string, value: string, mode: 'set' | 'create' | 'replace' = 'set') =>
      vfs.setxattr(ino, grove(name), bytesOf(value), mode)
    t.equal(
      codeOf(() => set('redundancy', '3', 'replace')),
      'ENODATA'
    )
    set('redundancy', '3', 'create')
    t.equal(
      codeOf(() => set('redundancy', '4', 'create')),
      'EEXIST'
    )
    set('redundancy', '4/2', 'replace')
    set('sites', '2')
    set('durability', 'level')
    const names = ['durability', 'redundancy', 'sites'].map(grove)
    t.strictSame([...vfs.listxattr(ino)].toSorted(), names)
    t.equal(textOf(await vfs.getxattr(ino, grove('redundancy'))), '4/2')
    t.equal(
      codeOf(() => set('redundancy', '1/2')),
      'EINVAL'
    )
    t.equal(
      codeOf(() => set('sites', '0')),
      'EINVAL'
    )
    t.equal(textOf(await vfs.getxattr(ino, grove('redundancy'))), '4/2', 'the old value stays')
    for (const name of names) vfs.removexattr(ino, name)
    t.equal(
      codeOf(() => vfs.removexattr(ino, grove('sites'))),
      'ENODATA'
    )
    t.equal(
      codeOf(() => vfs.getxattr(ino, grove('sites'))),
      'ENODATA'
    )
  }
})

t.test('settings are of files and directories only', async t => {
  const { vfs, session } = await setUp(t)
  vfs.symlink(session.place('link'), bytesOf('target'), session.caller)
  vfs.mknod(session.place('pipe'), { mode: S_IFIFO | 0o600, rdev: 0 }, session.caller)
  for (const path of ['link', 'pipe']) {
    const ino = session.ino(path)
    t.equal(
      codeOf(() => vfs.setxattr(ino, grove('sites'), bytesOf('2'), 'set')),
      'EPERM'
    )
    t.equal(
      codeOf(() => vfs.getxattr(ino, grove('copies'))),
      'ENODATA'
    )
  }
})

t.test('answers are custody’s: read, not listed, not set and not removed', async t => {
  const { vfs, session, custody } = await setUp(t)
  session.mkdir('d')
  vfs.setxattr(session.ino('d'), grove('redundancy'), bytesOf('5/3'), 'set')
  await session.writeFile('d/f', 'content')
  const answers = { copies: '2', health: 'ok', holders: 'attic, laptop' }
  for (const path of ['d/f', 'd', '']) {
    const ino = session.ino(path)
    for (const [name, value] of Object.entries(answers)) {
      t.equal(textOf(await vfs.getxattr(ino, grove(name))), value)
      const set = (mode: 'set' | 'create' | 'replace') =>
        codeOf(() => vfs.setxattr(ino, grove(name), bytesOf(value), mode))
      t.strictSame([set('set'), set('create'), set('replace')], ['EPERM', 'EPERM', 'EPERM'])
      t.equal(
        codeOf(() => vfs.removexattr(ino, grove(name))),
        'EPERM'
      )
    }
  }
  t.strictSame(vfs.listxattr(session.ino('d/f')), [])
  t.strictSame(custody.asked[0], { copies: 5, floor: 3, sites: 1 }, 'by what holds for it')
  custody.status = { copies: 0, health: 'lost', lostBytes: 42, holders: [] }
  t.equal(textOf(await vfs.getxattr(session.ino('d/f'), grove('health'))), 'lost 42 bytes')
  t.equal(textOf(await vfs.getxattr(session.ino('d/f'), grove('holders'))), '')
})

t.test('answers are about what was just written, too', async t => {
  const { vfs, session, drive } = await setUp(t)
  const blocks: number[] = []
  drive.custody = {
    ...ALONE,
    copiesOf: places => {
      blocks.push([...places].length)
      return { copies: 1, health: 'ok', lostBytes: 0, holders: [] }
    }
  }
  const handle = session.create('f', O_RDWR)
  await session.write(handle, patternBytes(BLOCK + 8192), 0)
  t.equal(textOf(await vfs.getxattr(session.ino('f'), grove('copies'))), '1')
  t.strictSame(blocks, [2])
  await session.close(handle)
})

t.test('a large tree is answered in turns, other calls between them', async t => {
  const { vfs, session, drive } = await setUp(t)
  session.mkdir('d')
  for (let at = 0; at < 100; at++) await session.writeFile(`d/${at}`, 'content')
  let between = 0
  drive.onYield = () => {
    between++
    t.equal(session.stat('d').nlink, 2)
  }
  t.equal(textOf(await vfs.getxattr(session.ino('d'), grove('copies'))), '2')
  t.ok(between > 2, `${between} turns`)
  const giveUp = new AbortController()
  drive.onYield = () => giveUp.abort()
  const answer = vfs.getxattr(session.ino('d'), grove('copies'), () => giveUp.signal)
  await t.rejects(Promise.resolve(answer), { code: 'EINTR' })
})

t.test('settings reach other devices, and outlive a restart and a new index', async t => {
  const clock = new VirtualClock()
  const laptop = await MemoryDrive.create({ clock, device: 'laptop' })
  const phone = await MemoryDrive.create({ clock, device: 'phone' })
  const here = new VfsSession(laptop.vfs)
  here.mkdir('d')
  await here.writeFile('d/f', 'content')
  laptop.vfs.setxattr(here.ino('d'), grove('redundancy'), bytesOf('3'), 'set')
  laptop.vfs.setxattr(here.ino('d'), grove('durability'), bytesOf('peer'), 'set')
  await phone.catchUpWith(laptop)
  for (const rebuild of [undefined, false, true]) {
    if (rebuild !== undefined) await phone.reopen({ rebuild })
    await phone.replica.settled()
    const ino = new VfsSession(phone.vfs).ino('d/f')
    t.strictSame(phone.replica.redundancyOf(ino), { copies: 3, floor: 2, sites: 1 })
    t.equal(phone.replica.durabilityOf(ino), 'peer')
  }
  phone.vfs.removexattr(new VfsSession(phone.vfs).ino('d'), grove('redundancy'))
  await laptop.catchUpWith(phone)
  t.strictSame(laptop.replica.redundancyOf(here.ino('d/f')), { copies: 2, floor: 1, sites: 1 })
  await laptop.close()
  await phone.close()
})

/** A directory whose fsyncs wait, and an open file in it. */
async function durable(t: Test, durability = 'peer') {
  const all = await setUp(t)
  const { session, vfs } = all
  session.mkdir('d')
  vfs.setxattr(session.ino('d'), grove('durability'), bytesOf(durability), 'set')
  vfs.setxattr(session.ino('d'), grove('redundancy'), bytesOf('3/2'), 'set')
  const handle = session.create('d/f', O_RDWR)
  t.teardown(() => vfs.release(handle))
  return { ...all, handle, ino: session.ino('d/f') }
}

t.test('fsync waits for other computers, after this disk has it, and holds up nothing', async t => {
  for (const durability of ['peer', 'level']) {
    const { session, vfs, custody, drive, handle, ino } = await durable(t, durability)
    await session.write(handle, patternBytes(2 * BLOCK), 0)
    let isDone = false
    const done = vfs.fsync(handle).then(() => (isDone = true))
    const { request, settle } = await custody.next()
    t.match(request, { durability, redundancy: { copies: 3, floor: 2, sites: 1 } })
    t.equal([...request.blocks].length, 2)
    t.ok((await drive.entries()).length > 0, 'it is in the log by now')
    await session.write(handle, 'more', 2 * BLOCK)
    t.equal(await session.readText(handle, 2 * BLOCK, 4), 'more')
    t.equal(session.stat('d/f').size, 2 * BLOCK + 4)
    vfs.rename(session.place('d/f'), session.place('d/g'), 'replace')
    t.equal(vfs.getattr(ino).nlink, 1)
    t.equal(isDone, false)
    settle()
    await done
  }
})

t.test('fsync that gets no answer is ETIMEDOUT, and the data stays', async t => {
  const { session, vfs, custody, drive, handle } = await durable(t)
  await session.write(handle, 'kept', 0)
  const done = vfs.fsync(handle)
  const { settle } = await custody.next()
  settle(new SyncError('TIMED_OUT', 'no answer'))
  await t.rejects(done, { code: 'ETIMEDOUT' })
  t.equal(await session.readText(handle), 'kept')
  await drive.crash({ kept: 0 })
  t.equal(await new VfsSession(drive.vfs).readFileText('d/f'), 'kept', 'after a loss of power')
})

t.test('fsync alone cannot be kept', async t => {
  const { vfs, session, drive, handle } = await durable(t)
  drive.custody = ALONE
  await session.write(handle, 'kept', 0)
  await t.rejects(vfs.fsync(handle), { code: 'ETIMEDOUT' })
})

t.test('fsync can be given up while it waits for others', async t => {
  const { session, vfs, custody, handle } = await durable(t)
  await session.write(handle, 'kept', 0)
  const giveUp = new AbortController()
  const done = vfs.fsync(handle, () => giveUp.signal)
  const { settle } = await custody.next()
  giveUp.abort()
  await t.rejects(done, { code: 'EINTR' })
  settle()
  t.equal(await session.readText(handle), 'kept')
})

t.test('fsync of a directory waits as its files do', async t => {
  const { session, vfs, custody } = await durable(t)
  const directory = vfs.opendir(session.ino('d'))
  const done = vfs.fsyncdir(directory)
  const { request, settle } = await custody.next()
  t.match(request, { durability: 'peer', redundancy: { copies: 3 } })
  t.strictSame([...request.blocks], [])
  settle(new SyncError('TIMED_OUT', 'no answer'))
  await t.rejects(done, { code: 'ETIMEDOUT' })
  vfs.releasedir(directory)
})

t.test('what is elsewhere, local or nobody’s business waits for this disk only', async t => {
  const { session, vfs, custody, handle } = await durable(t)
  const elsewhere = session.create('outside', O_WRONLY | O_APPEND)
  await session.write(elsewhere, 'x', 0)
  await vfs.fsync(elsewhere)
  await session.close(elsewhere)

  vfs.setxattr(session.ino('d/f'), grove('durability'), bytesOf('local'), 'set')
  await session.write(handle, 'x', 0)
  await vfs.fsync(handle)
  vfs.removexattr(session.ino('d/f'), grove('durability'))

  await vfs.syncfs()

  const flags = { mode: 0o600, flags: O_RDWR }
  const nameless = vfs.tmpfile(session.ino('d'), flags, session.caller)
  await session.write(nameless.handle, 'x', 0)
  vfs.setxattr(nameless.attributes.ino, grove('durability'), bytesOf('peer'), 'set')
  await vfs.fsync(nameless.handle)
  await session.close(nameless.handle)

  vfs.unlink(session.place('d/f'))
  await vfs.fsync(handle)
  t.strictSame(custody.waiting, [])
})

t.test('a file that is closed and gone while it is synced is done', async t => {
  const { session, vfs, custody } = await durable(t)
  const gone = session.create('d/gone', O_RDWR)
  await session.write(gone, patternBytes(BLOCK), 0)
  const done = vfs.fsync(gone)
  vfs.unlink(session.place('d/gone'))
  await session.close(gone)
  await done
  t.strictSame(custody.waiting, [])
})

t.test('a level is set on the root for all of the drive', async t => {
  const { session, vfs, custody } = await setUp(t)
  vfs.setxattr(ROOT_INODE, grove('durability'), bytesOf('level'), 'set')
  await session.writeFile('f', 'x')
  const handle = await session.open('f', O_RDONLY)
  const done = vfs.fsync(handle)
  const { request, settle } = await custody.next()
  t.match(request, { durability: 'level', redundancy: { copies: 2, floor: 1, sites: 1 } })
  settle()
  await done
  await session.close(handle)
})
