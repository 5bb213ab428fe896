/** Each kind of damage is found and named by the path it costs; what is sound is not. */
import assert from 'node:assert/strict'
import t from 'tap'
import { O_RDONLY } from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'
import type { Damage } from '../../src/sync/verify-replica.ts'
import { flipped } from '../support/bytes.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { patternBytes, VfsSession } from '../support/vfs-session.ts'

const BLOCK = 128 * 1024
/** Tables of the index, by number. */
const TABLES = { inode: 1, name: 2, region: 3, page: 4, xattr: 5 } as const

async function verify(drive: MemoryDrive): Promise<Damage[]> {
  const found: Damage[] = []
  let last = 0
  const onProgress = (done: number, total: number): void => {
    assert.equal(done, ++last, 'each step is told once')
    assert.ok(done <= total)
  }
  for await (const damage of drive.replica.verify({ onProgress })) found.push(damage)
  return found
}

const pathsOf = (found: readonly Damage[]): string[] => found.map(({ path }) => path).toSorted()

/** Makes files, each in an entry of its own. */
async function driveWith(files: Readonly<Record<string, number>>): Promise<MemoryDrive> {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  session.mkdir('d')
  await drive.replica.sync()
  for (const [path, bytes] of Object.entries(files)) {
    await session.writeFile(path, patternBytes(bytes, bytes))
    await drive.vfs.syncfs()
  }
  return drive
}

t.test('nothing is found on a sound drive, pending blocks and odd files included', async t => {
  const drive = await driveWith({ inline: 100, 'd/block': BLOCK + 5 })
  const session = new VfsSession(drive.vfs)
  drive.vfs.symlink(
    session.place('d/link'),
    patternBytes(4000).map(byte => byte || 1),
    session.caller
  )
  drive.vfs.setxattr(session.ino('inline'), 'user.x' as Name, patternBytes(60_000), 'set')
  drive.vfs.link(session.ino('inline'), session.place('d/hard'))
  await session.writeFile('d/block', patternBytes(2 * BLOCK, 5))
  await session.writeFile('pending', patternBytes(3 * BLOCK))
  t.strictSame(await verify(drive), [])
  await drive.close()
})

t.test('a damaged block of an earlier version is said, until it is cleared', async t => {
  const drive = await driveWith({ f: 2 * BLOCK })
  await new VfsSession(drive.vfs).writeFile('f', patternBytes(BLOCK, 9))
  await drive.vfs.syncfs()
  drive.home.damage(drive.contentKey, 1)
  await drive.reopen({ rebuild: false })
  t.strictSame(pathsOf(await verify(drive)), ['(an earlier version)'])
  await drive.replica.clearSuperseded(drive.clock.now().sec, 100)
  t.strictSame(await verify(drive), [])
  await drive.close()
})

t.test('a block that is damaged, cleared or gone names every file that uses it', async t => {
  for (const how of ['damaged', 'cleared'] as const) {
    const drive = await driveWith({ good: BLOCK, bad: BLOCK + 1 })
    const session = new VfsSession(drive.vfs)
    drive.vfs.link(session.ino('bad'), session.place('d/hard'))
    const from = await session.open('bad', O_RDONLY)
    const to = session.create('d/copy', 2)
    await drive.vfs.copyFileRange({ handle: from, offset: 0 }, { handle: to, offset: 0 }, BLOCK)
    await session.close(from)
    await session.close(to)
    await drive.close()
    if (how === 'damaged') drive.home.damage(drive.contentKey, 1)
    else drive.home.clear(drive.contentKey, { from: 1, to: 2 })
    await drive.open()
    const found = await verify(drive)
    t.strictSame(pathsOf(found), ['/bad', '/d/copy', '/d/hard'], how)
    for (const { reason } of found) t.match(reason, /content/)
    await drive.close()
  }
})

t.test('a damaged entry names what it made and what it last wrote, or itself', async t => {
  const drive = await driveWith({ made: 10, written: 20 })
  const session = new VfsSession(drive.vfs)
  const written = await session.open('written', 2)
  await session.write(written, patternBytes(5), 0)
  await session.write(await session.open('made', 2), patternBytes(5), 0)
  await drive.vfs.syncfs()
  drive.vfs.setattr(session.ino('made'), { mode: 0o600 })
  await drive.vfs.syncfs()
  // The entries: mkdir, made, written, both written again, setattr.
  for (const index of [0, 2, 4]) drive.home.damage(drive.operationKey, index)
  const found = await verify(drive)
  t.strictSame(pathsOf(found), ['(entry 4)', '/d', '/written'])
  drive.home.damage(drive.operationKey, 3)
  t.strictSame(pathsOf(await verify(drive)), ['(entry 4)', '/d', '/made', '/written', '/written'])
  await drive.close()
})

t.test('entries and blocks of earlier epochs are read, too', async t => {
  const drive = await driveWith({ early: BLOCK })
  const { operationKey, contentKey } = drive
  await drive.startEpoch()
  await new VfsSession(drive.vfs).writeFile('late', patternBytes(BLOCK))
  await drive.vfs.syncfs()
  t.strictSame(await verify(drive), [])
  drive.home.damage(operationKey, 1)
  t.strictSame(pathsOf(await verify(drive)), ['/early'])
  drive.home.damage(contentKey, 0)
  t.strictSame(pathsOf(await verify(drive)), ['/early', '/early'], 'for either reason')
  await drive.close()
})

t.test('a damaged row of the index names the file or directory it belongs to', async t => {
  const expected = {
    inode: ['/', '/d', '/d/file'],
    name: ['/', '/d'],
    region: ['/d/file'],
    page: ['/d/file'],
    xattr: ['/d/file']
  }
  for (const [table, number] of Object.entries(TABLES)) {
    const named = new Set<string>()
    for (let row = 0; ; row++) {
      const drive = await driveWith({ 'd/file': 1000 })
      const session = new VfsSession(drive.vfs)
      drive.vfs.setxattr(session.ino('d/file'), 'user.x' as Name, patternBytes(10), 'set')
      await drive.close()
      const rows = drive.store.range({ from: Uint8Array.of(number), to: Uint8Array.of(number + 1) })
      const [key, value] = [...rows][row] ?? []
      if (!key || !value) break
      await drive.store.commit([[key, flipped(value, value.length - 1)]])
      await drive.open()
      const found = pathsOf(await verify(drive))
      // The root's own row is looked at when opening: the index is then made anew.
      const isRoot = table === 'inode' && row === 0
      t.equal(found.length, isRoot ? 0 : 1, `${table} row ${row}: ${found.join()}`)
      for (const path of isRoot ? ['/'] : found) named.add(path)
      await drive.close()
    }
    t.strictSame([...named].toSorted(), expected[table as keyof typeof expected], table)
  }
})

t.test('a signal stops it between two steps', async t => {
  const drive = await driveWith({ a: 1, b: 2, c: 3 })
  for (const stopAt of [1, 3, 6]) {
    const signal = { aborted: false }
    let steps = 0
    const onProgress = (done: number): void => {
      steps = done
      signal.aborted = done === stopAt
    }
    for await (const damage of drive.replica.verify({ onProgress, signal })) t.fail(damage.path)
    t.equal(steps, stopAt)
  }
  await drive.close()
})
