/**
 * The real file system, over a replica on stores in memory, passes the suite of the model and
 * answers as the model does on random histories, reopened and rebuilt in the middle.
 */
import t from 'tap'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FILE_BYTES_MAX,
  O_RDWR,
  ROOT_INODE
} from '../../src/fs/vfs.ts'
import { RESERVE_BYTES } from '../../src/fs/space-guard.ts'
import { PENDING_BYTES_MAX } from '../../src/sync/committer.ts'
import type { Name } from '../../src/sync/operation.ts'
import { filled } from '../support/bytes.ts'
import { checkIndex } from '../support/check-index.ts'
import { DriveSubject, withoutNameless } from '../support/drive-subject.ts'
import { dumpIndex } from '../support/index-tree.ts'
import { vfsSuite } from '../suites/vfs-suite.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { compareOnRandomHistories } from '../support/vfs-commands.ts'
import { VfsSession } from '../support/vfs-session.ts'

vfsSuite(t, 'DriveVfs', {
  create: async () => {
    const drive = await MemoryDrive.create()
    return {
      vfs: drive.vfs,
      tick: () => drive.clock.advance(1),
      close: () => drive.close(),
      reopen: async () => {
        await drive.reopen({ rebuild: false })
        return drive.vfs
      }
    }
  },
  supports: { holes: true, reopen: true }
})

const SEED = 20_261_109
const RUNS = 120
const STEPS = 120

t.test(`it answers as the model on ${RUNS} random histories`, async () => {
  await compareOnRandomHistories({
    subject: clock => DriveSubject.create(clock, SEED),
    ...{ runs: RUNS, seed: SEED, steps: STEPS }
  })
})

t.test(`it does so when it is reopened, killed and rebuilt in ${RUNS} more`, async () => {
  await compareOnRandomHistories({
    subject: clock => DriveSubject.create(clock, SEED),
    history: withoutNameless,
    ...{ runs: RUNS, seed: SEED + 1, steps: STEPS, reopen: true }
  })
})

t.test('setxattr() after a write leaves the ctime it set', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  const handle = session.create('f', O_RDWR)
  await session.write(handle, filled(5000, 1), 0)
  drive.clock.advance(1)
  drive.vfs.setxattr(session.ino('f'), 'user.a' as Name, filled(1, 1), 'set')
  const set = drive.clock.now()
  t.strictSame(session.stat('f').ctime, set)
  drive.clock.advance(1)
  await drive.vfs.syncfs()
  t.strictSame(session.stat('f').ctime, set, 'the write is not recorded after it')
  await drive.close()
})

t.test('a time that nothing can carry is clamped, and costs nothing else', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  await session.writeFile('before', 'kept')
  for (const sec of [2 ** 62, -(2 ** 63)]) {
    const time = { sec, nsec: 999_999_999 }
    const { atime, mtime } = drive.vfs.setattr(session.ino('before'), { atime: time, mtime: time })
    const clamped = { sec: Math.sign(sec) * Number.MAX_SAFE_INTEGER, nsec: 0 }
    t.strictSame([atime, mtime], [clamped, clamped])
  }
  await session.writeFile('after', 'kept, too')
  await drive.reopen({ rebuild: true })
  const again = new VfsSession(drive.vfs)
  t.equal(await again.readFileText('before'), 'kept')
  t.equal(await again.readFileText('after'), 'kept, too')
  await drive.close()
})

t.test('what removes or moves a name records where it saw it', async t => {
  const drive = await MemoryDrive.create()
  const { vfs } = drive
  const session = new VfsSession(vfs)
  session.mkdir('d')
  session.mkdir('e')
  session.mkdir('d/s')
  for (const name of ['d/a', 'e/b', 'd/c']) await session.writeFile(name, name)
  const [d, e] = ['d', 'e'].map(name => drive.replica.index.inode(session.ino(name)).id)
  vfs.rename(session.place('d/a'), session.place('e/b'), 'exchange')
  vfs.rename(session.place('d/c'), session.place('e/n'), 'replace')
  vfs.unlink(session.place('e/n'))
  vfs.rmdir(session.place('d/s'))
  await vfs.syncfs()
  const operations = (await drive.entries()).flatMap(entry => entry.operations).slice(-4)
  const [first, second] = [
    { parent: d, name: 'a' },
    { parent: e, name: 'b' }
  ]
  t.match(operations, [
    { type: 'exchange', first, second },
    { type: 'rename', from: d, parent: e, name: 'n' },
    { type: 'unlink', parent: e },
    { type: 'rmdir', parent: d }
  ])
  await drive.close()
})

t.test('close() ends files without a name and no others', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  await session.writeFile('f', 'kept')
  const caller = session.caller
  const { attributes } = drive.vfs.tmpfile(ROOT_INODE, { mode: 0o600, flags: O_RDWR }, caller)
  const handle = session.create('gone', O_RDWR)
  await session.write(handle, filled(200_000, 1), 0)
  drive.vfs.unlink(session.place('gone'))
  await drive.reopen({ rebuild: false })
  t.strictSame(new VfsSession(drive.vfs).names(''), ['f'])
  t.throws(() => drive.vfs.getattr(attributes.ino), { code: 'ENOENT' })
  const { index } = drive.replica
  checkIndex(index)
  const dumped = dumpIndex(index)
  await drive.reopen({ rebuild: true })
  t.equal(dumpIndex(drive.replica.index), dumped)
  await drive.close()
})

t.test('files without a name take no inode number that a crash would give to another', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  for (let i = 0; i < 3; i++) {
    drive.vfs.tmpfile(ROOT_INODE, { mode: 0o600, flags: O_RDWR }, session.caller)
    await session.writeFile(`f${i}`, 'x')
  }
  const numbers = session.names('').map(name => session.ino(name))
  await drive.vfs.syncfs()
  await drive.crash(undefined)
  const again = new VfsSession(drive.vfs)
  t.strictSame(
    again.names('').map(name => again.ino(name)),
    numbers
  )
  await drive.close()
})

t.test('a hole over all of the largest file is made at once', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  const handle = session.create('f', O_RDWR)
  await session.write(handle, filled(10, 1), 100)
  drive.vfs.setattr(session.ino('f'), { size: FILE_BYTES_MAX })
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
  drive.vfs.fallocate(handle, { mode, offset: 0, length: FILE_BYTES_MAX })
  t.match(session.stat('f'), { size: FILE_BYTES_MAX, blocks: 0 })
  drive.vfs.setattr(session.ino('f'), { size: 0 })
  await drive.close()
})

t.test('a full disk: ENOSPC to who adds, removing and reading go on', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  session.mkdir('d')
  await session.writeFile('kept', 'to read')
  await session.writeFile('gone', 'to remove')
  const handle = await session.open('kept', O_RDWR)
  drive.vfs.setxattr(session.ino('kept'), 'user.a' as Name, filled(9, 1), 'set')
  await drive.vfs.syncfs()
  drive.freeBytes = RESERVE_BYTES - 4096
  drive.clock.advance(1000)
  const refused = { code: 'ENOSPC' }
  t.throws(() => session.create('new', O_RDWR), refused)
  t.throws(() => session.mkdir('new'), refused)
  await t.rejects(session.write(handle, 'more', 0), refused)
  t.throws(() => drive.vfs.link(session.ino('kept'), session.place('new')), refused)
  t.equal(await session.readFileText('kept'), 'to read')
  drive.vfs.unlink(session.place('gone'))
  drive.vfs.rmdir(session.place('d'))
  drive.vfs.removexattr(session.ino('kept'), 'user.a' as Name)
  await drive.vfs.syncfs()
  drive.freeBytes = 2 * RESERVE_BYTES
  await session.write(handle, 'more', 0)
  await session.close(handle)
  await drive.reopen({ rebuild: true })
  const again = new VfsSession(drive.vfs)
  t.strictSame(again.names(''), ['kept'])
  t.equal(await again.readFileText('kept'), 'moreead')
  await drive.close()
})

t.test('a disk that stays broken does not let memory fill up', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  const handle = session.create('f', O_RDWR)
  await drive.vfs.syncfs()
  Object.assign(drive.home, { failAfter: 0, failCode: 'IO' })
  const errors: unknown[] = []
  for (let i = 0; i < 100 && errors.length === 0; i++) {
    await session.write(handle, filled(1024 * 1024, i), 0).catch((error: unknown) => {
      errors.push(error)
    })
  }
  t.match(errors, [{ code: 'EIO' }])
  t.ok(drive.replica.pendingBytes < PENDING_BYTES_MAX + 3 * 1024 * 1024)
  t.throws(() => session.mkdir('d'), { code: 'EIO' }, 'nor by operations alone')
  t.equal((await session.readFile('f')).length, 1024 * 1024, 'what was accepted is read')
  drive.home.failAfter = Infinity
  drive.clock.advance(2000)
  await drive.replica.sync()
  session.mkdir('d')
  await drive.close()
})

t.test('release() gives the handle back also when nothing can be recorded', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  const handle = session.create('f', O_RDWR)
  await drive.vfs.syncfs()
  await drive.appendStrayBlock()
  await session.write(handle, filled(200_000, 1), 0)
  await t.rejects(drive.vfs.fsync(handle), { code: 'EIO' }, 'the log has a second writer')
  await t.rejects(session.write(handle, 'more', 0), { code: 'EIO' })
  t.throws(() => drive.vfs.release(handle), { code: 'EIO' })
  t.equal(drive.vfs.openFiles, 0)
})
