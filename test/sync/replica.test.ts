/**
 * The replica over stores in memory: what was synced survives any loss of power, a fault of the
 * disk loses nothing that was acknowledged, damage stays where it is, and the index can be made
 * anew from the logs at any moment.
 */
import t from 'tap'
import { O_RDWR, type Vfs } from '../../src/fs/vfs.ts'
import { INDEX_FLUSH_SEC, INDEX_ROWS_MAX } from '../../src/sync/index-flusher.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { sameBytes } from '../suites/vfs/vfs-case.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { patternBytes, VfsSession } from '../support/vfs-session.ts'

const BLOCK = 128 * 1024

async function bytesOf(vfs: Vfs, path: string): Promise<Uint8Array> {
  const session = new VfsSession(vfs)
  const handle = await vfs.open(session.ino(path), O_RDWR)
  const parts = await vfs.read(handle, { offset: 0, length: 2 ** 30 })
  await vfs.release(handle)
  return Buffer.concat(parts)
}

async function writeFile(vfs: Vfs, path: string, bytes: Uint8Array, fsync: boolean): Promise<void> {
  const session = new VfsSession(vfs)
  const handle = session.create(path, O_RDWR)
  await vfs.write(handle, bytes, { offset: 0, killPrivileges: false })
  if (fsync) await vfs.fsync(handle)
  await vfs.release(handle)
}

t.test('sync() is kept by a loss of power, whatever else of the unsynced tail is', async t => {
  for (let kept = 0; kept < 8; kept++) {
    const drive = await MemoryDrive.create()
    await writeFile(drive.vfs, 'small', patternBytes(100), true)
    await writeFile(drive.vfs, 'large', patternBytes(BLOCK * 2 + 77), true)
    for (let i = 0; i < 4; i++) {
      await writeFile(drive.vfs, `late${i}`, patternBytes(9000 + i), false)
      await drive.replica.commit()
    }
    t.ok(drive.home.unsyncedCount >= 8, 'there is an unsynced tail to cut')
    drive.home.losePower({ kept })
    drive.abandon()
    await drive.open()
    sameBytes(t, await bytesOf(drive.vfs, 'small'), patternBytes(100))
    sameBytes(t, await bytesOf(drive.vfs, 'large'), patternBytes(BLOCK * 2 + 77))
    for (const name of new VfsSession(drive.vfs)
      .names('')
      .filter(name => name.startsWith('late'))) {
      const bytes = await bytesOf(drive.vfs, name)
      t.ok(
        [0, 9000 + Number(name.slice(4))].includes(bytes.length),
        'a file that is there is whole or empty'
      )
    }
    await drive.close()
  }
})

t.test(
  'kill -9 keeps what was committed, and the index goes on from where it was flushed',
  async t => {
    const drive = await MemoryDrive.create()
    await writeFile(drive.vfs, 'first', patternBytes(5000), false)
    drive.clock.advance(INDEX_FLUSH_SEC * 1000 + 1)
    await drive.replica.commit()
    await writeFile(drive.vfs, 'second', patternBytes(6000), false)
    await drive.replica.commit()
    drive.home.kill()
    drive.abandon()
    await drive.open()
    sameBytes(t, await bytesOf(drive.vfs, 'first'), patternBytes(5000))
    sameBytes(t, await bytesOf(drive.vfs, 'second'), patternBytes(6000))
    await drive.close()
  }
)

t.test(
  'a failing disk: the writer is told, reads go on, and all is there when it works again',
  async t => {
    for (const failCode of ['NO_SPACE', 'IO'] as const) {
      for (let failAfter = 0; failAfter < 4; failAfter++) {
        const drive = await MemoryDrive.create()
        await writeFile(drive.vfs, 'before', patternBytes(BLOCK + 1), true)
        Object.assign(drive.home, { failAfter, failCode })
        const errors: unknown[] = []
        for (let i = 0; i < 4; i++) {
          await writeFile(drive.vfs, `f${i}`, patternBytes(BLOCK + i), true).catch(
            (error: unknown) => errors.push(error)
          )
        }
        t.ok(errors.length > 0, 'at least one writer was told')
        for (const error of errors) t.match(error, { code: failCode === 'IO' ? 'EIO' : 'ENOSPC' })
        sameBytes(t, await bytesOf(drive.vfs, 'before'), patternBytes(BLOCK + 1), 'reads go on')

        drive.home.failAfter = Infinity
        drive.clock.advance(2000)
        await drive.replica.sync()
        await writeFile(drive.vfs, 'after', patternBytes(10), true)
        await drive.reopen({ rebuild: true })
        sameBytes(t, await bytesOf(drive.vfs, 'before'), patternBytes(BLOCK + 1))
        sameBytes(t, await bytesOf(drive.vfs, 'after'), patternBytes(10))
        await drive.close()
      }
    }
  }
)

t.test('verify() finds nothing on a sound drive and names the file of a damaged block', async t => {
  const drive = await MemoryDrive.create()
  await writeFile(drive.vfs, 'good', patternBytes(BLOCK), true)
  await writeFile(drive.vfs, 'bad', patternBytes(BLOCK), true)
  await writeFile(drive.vfs, 'inline', patternBytes(300), true)
  const verify = async (): Promise<string[]> => {
    const paths: string[] = []
    for await (const damage of drive.replica.verify({ onProgress: () => undefined }))
      paths.push(damage.path)
    return paths
  }
  t.same(await verify(), [])
  drive.home.damage(drive.contentKey, 1)
  await drive.reopen({ rebuild: false })
  t.same(await verify(), ['/bad'])
  sameBytes(t, await bytesOf(drive.vfs, 'good'), patternBytes(BLOCK), 'the rest works')
  await t.rejects(bytesOf(drive.vfs, 'bad'), { code: 'EIO' })
  await drive.close()
})

t.test('a damaged entry costs what it says and nothing else, and verify() names it', async t => {
  const drive = await MemoryDrive.create()
  await writeFile(drive.vfs, 'one', patternBytes(50), true)
  await writeFile(drive.vfs, 'two', patternBytes(60), true)
  await writeFile(drive.vfs, 'three', patternBytes(70), true)
  drive.home.damage(drive.operationKey, 1)
  const named: string[] = []
  for await (const damage of drive.replica.verify({ onProgress: () => undefined }))
    named.push(damage.path)
  t.same(named, ['/two'], 'the index still knows whose entry it was')
  await drive.reopen({ rebuild: true })
  t.same(new VfsSession(drive.vfs).names('').toSorted(), ['one', 'three'])
  t.equal(drive.replica.status.damagedEntries, 1)
  sameBytes(t, await bytesOf(drive.vfs, 'three'), patternBytes(70))
  await drive.close()
})

t.test('an index of another history or ahead of its log is made anew', async t => {
  const drive = await MemoryDrive.create()
  await writeFile(drive.vfs, 'kept', patternBytes(50), true)
  await writeFile(drive.vfs, 'lost', patternBytes(60), false)
  drive.clock.advance(INDEX_FLUSH_SEC * 1000 + 1)
  await drive.replica.commit()
  await new Promise(resolve => setImmediate(resolve))
  drive.home.losePower({ kept: 0 })
  drive.abandon()
  await drive.open()
  t.same(new VfsSession(drive.vfs).names('').toSorted(), ['kept'])
  await drive.close()
})

t.test('what a damaged entry may have named is not swept as never recorded', async t => {
  const drive = await MemoryDrive.create()
  await writeFile(drive.vfs, 'one', patternBytes(BLOCK), true)
  await writeFile(drive.vfs, 'two', patternBytes(BLOCK), true)
  const sweep = (): Promise<void> =>
    drive.replica.clearUnrecorded({ log: drive.contentKey, from: 0, to: 2 })
  await drive.reopen({ rebuild: true })
  await sweep()
  t.equal(drive.storedBlocks(), 2, 'both are in use')
  drive.home.damage(drive.operationKey, 1)
  await drive.reopen({ rebuild: true })
  await sweep()
  t.equal(drive.storedBlocks(), 2)
  await drive.reopen({ rebuild: false })
  await sweep()
  t.equal(drive.storedBlocks(), 2, 'nor when the index is opened as it was kept')
  await drive.close()
})

t.test('the index is written while the drive is used, and not only at its end', async t => {
  const drive = await MemoryDrive.create()
  const rows = (): number =>
    [...drive.store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) })].length
  await writeFile(drive.vfs, 'first', patternBytes(10), true)
  t.equal(rows(), 0, 'not with each commit')
  drive.clock.advance(INDEX_FLUSH_SEC * 1000)
  await writeFile(drive.vfs, 'second', patternBytes(10), true)
  await new Promise(resolve => setImmediate(resolve))
  t.ok(rows() > 0, 'after a while')
  const before = rows()
  const session = new VfsSession(drive.vfs)
  for (let i = 0; i < INDEX_ROWS_MAX / 2; i++) session.mkdir(`d${i}`)
  await drive.replica.commit()
  for (let turn = 0; turn < 100; turn++) await new Promise(resolve => setImmediate(resolve))
  t.ok(rows() > before + INDEX_ROWS_MAX, 'and after many changes')
  await drive.close()
})

t.test('an index that cannot be written costs nothing but time', async t => {
  const drive = await MemoryDrive.create()
  drive.store.failure = new SyncError('NO_SPACE', 'by the test')
  for (let i = 0; i < 3; i++) {
    drive.clock.advance(INDEX_FLUSH_SEC * 1000)
    await writeFile(drive.vfs, `f${i}`, patternBytes(5000 + i), true)
  }
  drive.store.failure = undefined
  drive.clock.advance(INDEX_FLUSH_SEC * 1000)
  await writeFile(drive.vfs, 'last', patternBytes(5), true)
  await new Promise(resolve => setImmediate(resolve))
  drive.home.kill()
  drive.abandon()
  await drive.open()
  t.same(new VfsSession(drive.vfs).names(''), ['f0', 'f1', 'f2', 'last'])
  sameBytes(t, await bytesOf(drive.vfs, 'f2'), patternBytes(5002))
  await drive.close()
})

t.test(
  'a row of the index that is missing is an error and never a hole or a short listing',
  async t => {
    const TABLE_NAME = 2
    const TABLE_REGION = 3
    for (const { table, path } of [
      { table: TABLE_REGION, path: '/f' },
      { table: TABLE_NAME, path: '/' }
    ]) {
      const drive = await MemoryDrive.create()
      await writeFile(drive.vfs, 'f', patternBytes(BLOCK), true)
      await drive.close()
      const bounds = { from: Uint8Array.of(table), to: Uint8Array.of(table + 1) }
      const keys = [...drive.store.range(bounds)].map(([key]) => key.slice())
      t.equal(keys.length, 1, 'the one row there is')
      await drive.store.commit(keys.map(key => [key, undefined]))
      await drive.open()
      if (table === TABLE_REGION) await t.rejects(bytesOf(drive.vfs, 'f'), { code: 'EIO' })
      else t.throws(() => new VfsSession(drive.vfs).names(''), { code: 'EIO' })
      const damages: string[] = []
      for await (const damage of drive.replica.verify({ onProgress: () => undefined }))
        damages.push(damage.path)
      t.ok(damages.includes(path), `verify names ${path}: ${damages.join()}`)
    }
  }
)

t.test('wasRebuilt says whether the index was made from nothing', async t => {
  const drive = await MemoryDrive.create()
  await writeFile(drive.vfs, 'f', patternBytes(10), true)
  await drive.reopen({ rebuild: false })
  t.equal(drive.replica.wasRebuilt, false)
  await drive.reopen({ rebuild: true })
  t.equal(drive.replica.wasRebuilt, true)
  await drive.close()
})

t.test('verify() reads the blocks of earlier versions too', async t => {
  const drive = await MemoryDrive.create()
  await writeFile(drive.vfs, 'f', patternBytes(BLOCK), true)
  drive.vfs.unlink(new VfsSession(drive.vfs).place('f'))
  await drive.replica.sync()
  drive.home.damage(drive.contentKey, 0)
  await drive.reopen({ rebuild: false })
  const damages: string[] = []
  for await (const damage of drive.replica.verify({ onProgress: () => undefined }))
    damages.push(damage.path)
  t.same(damages, ['(an earlier version)'])
  await drive.close()
})
