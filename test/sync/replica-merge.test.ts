/**
 * A replica among others: what its owner is told and when, statements, content that is not here,
 * heads of a device that writes nothing, and what may be cleared.
 */
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { O_RDWR } from '../../src/fs/vfs.ts'
import { HEADS_INTERVAL_MS } from '../../src/sync/heads-announcer.ts'
import { ROOT_ID, type Name, type Operation } from '../../src/sync/operation.ts'
import type { CommittedLengths, ContentBlock } from '../../src/sync/replica.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { ROOT_INO } from '../../src/sync/tree-index.ts'
import { filled } from '../support/bytes.ts'
import { EntryAuthor } from '../support/entry-author.ts'
import { dumpIndex } from '../support/index-tree.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { patternBytes, VfsSession } from '../support/vfs-session.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const BLOCK = 128 * 1024
const TIME = { sec: 10, nsec: 0 }

function mkdir(name: string): Operation {
  const place = { parent: ROOT_ID, name: name as Name }
  return { type: 'mkdir', ...place, mode: 0o755, uid: 0, gid: 0, time: TIME }
}

/** Two devices that can fetch content of each other. */
async function twoDrives(): Promise<[MemoryDrive, MemoryDrive]> {
  const clock = new VirtualClock()
  const a = await MemoryDrive.create({ clock, device: 'a' })
  const b = await MemoryDrive.create({ clock, device: 'b' })
  a.connected.add(b)
  b.connected.add(a)
  return [a, b]
}

async function write(drive: MemoryDrive, path: string, bytes: Uint8Array): Promise<void> {
  await new VfsSession(drive.vfs).writeFile(path, bytes)
  await drive.vfs.syncfs()
}

t.test('a batch: what is buffered first, then the entry is closed, then it is told', async t => {
  const [a, b] = await twoDrives()
  a.replica.execute(mkdir('theirs'))
  b.clock.advance(5000)
  b.replica.execute(mkdir('ours'))
  const open = b.replica.index.recordedEntry(b.operationKey, 0)
  t.match(open, { lamport: 1, time: b.clock.now() }, 'the open entry is known')
  const events: string[] = []
  b.replica.beforeMerge = () => {
    events.push(`before ${String(b.replica.index.list(ROOT_INO).size)}`)
    b.replica.execute(mkdir('buffered'))
  }
  b.replica.onMerged = changes => {
    events.push(`merged ${changes.names.map(({ name }) => name).join()}`)
    b.replica.execute(mkdir('after'))
  }
  await b.catchUpWith(a)
  t.strictSame(events, ['before 1', 'merged theirs'])
  await b.replica.commit()
  const entries = await b.entries()
  t.strictSame(
    entries.map(({ operations, heads, lamport }) => [operations.length, heads.length, lamport]),
    [
      [2, 0, 1],
      [1, 1, 2]
    ],
    'what was buffered has not seen the merge, what came after it has'
  )
  for (const drive of [a, b]) await drive.close()
})

t.test('onCommitted() tells how long the logs are, content first', async t => {
  const [a] = await twoDrives()
  const told: CommittedLengths[] = []
  a.replica.onCommitted = lengths => told.push(lengths)
  await write(a, 'f', patternBytes(BLOCK))
  t.strictSame(told, [
    { operationLog: 0, contentLog: 1 },
    { operationLog: 1, contentLog: 1 }
  ])
  await a.close()
})

t.test('statements and envelopes of all devices are kept, and told once', async t => {
  const [a, b] = await twoDrives()
  const told: Uint8Array[] = []
  b.replica.onStatement = bytes => told.push(bytes)
  a.replica.execute({ type: 'statement', bytes: filled(3, 1) })
  a.replica.execute({ type: 'envelope', bytes: filled(3, 2) })
  b.replica.execute({ type: 'statement', bytes: filled(3, 3) })
  await b.catchUpWith(a)
  t.same(told, [filled(3, 1)])
  for (const rebuild of [false, true]) {
    await b.reopen({ rebuild })
    await b.replica.settled()
    t.same(new Set([...b.replica.statements()].map(([first]) => first)), new Set([1, 3]))
    t.same([...b.replica.envelopes()], [filled(3, 2)])
  }
  for (const drive of [a, b]) await drive.close()
})

t.test('content that is not here is told, found at start, and here once it was read', async t => {
  const [a, b] = await twoDrives()
  await write(a, 'old', patternBytes(BLOCK))
  await write(a, 'new', patternBytes(BLOCK * 2))
  await write(a, 'small', patternBytes(100))
  const told: ContentBlock[] = []
  b.replica.onContent = blocks => told.push(...blocks)
  await b.catchUpWith(a)
  const log = a.contentKey
  t.same(
    told,
    [0, 1, 2].map(index => ({ log, index, bytes: BLOCK }))
  )
  const indexes = (): number[] => [...b.replica.missingBlocks()].flat().map(({ index }) => index)
  t.strictSame(indexes(), [1, 2, 0], 'the newest file first')
  await b.reopen({ rebuild: false })
  t.strictSame(indexes(), [1, 2, 0])
  const session = new VfsSession(b.vfs)
  const [run] = b.replica.index.content.everyRun(session.ino('old'))
  if (run?.kind !== 'block') throw new Error('a large file has blocks')
  t.notOk(b.replica.hasBlock(run))
  t.same(await session.readFile('old'), patternBytes(BLOCK))
  t.ok(b.replica.hasBlock(run))
  t.strictSame(indexes(), [1, 2])
  t.strictSame([...a.replica.missingBlocks()].flat(), [], 'one’s own is never missing')
  told.length = 0
  await b.reopen({ rebuild: true })
  b.replica.onContent = blocks => told.push(...blocks)
  await b.replica.settled()
  t.strictSame(new Set(told.map(({ index }) => index)), new Set([1, 2]), 'only what is not here')
  for (const drive of [a, b]) await drive.close()
})

t.test('verify() reads logs of others and whatever content is here', async t => {
  const [a, b] = await twoDrives()
  await write(a, 'here', patternBytes(BLOCK))
  await write(a, 'elsewhere', patternBytes(BLOCK))
  await b.catchUpWith(a)
  await new VfsSession(b.vfs).readFile('here')
  const verify = async (): Promise<string[]> => {
    const paths: string[] = []
    for await (const { path } of b.replica.verify({ onProgress: () => undefined })) paths.push(path)
    return paths
  }
  t.strictSame(await verify(), [])
  b.home.damage(a.contentKey, 0)
  t.strictSame(await verify(), ['/here'])
  b.home.damage(a.operationKey, 1)
  t.strictSame((await verify()).toSorted(), ['/elsewhere', '/here'])
  for (const drive of [a, b]) await drive.close()
})

t.test('verify() finds nothing wrong with what a newer grove wrote', async t => {
  const author = new EntryAuthor('a')
  await author.write([mkdir('d')])
  await author.writePlain(Uint8Array.of(9, 9, 9))
  const drive = await MemoryDrive.create({ device: 'b' })
  await drive.catchUpWithAll([author])
  t.match(drive.replica.status.quarantined, [{ log: author.key, index: 1, reason: /version 9/ }])
  for await (const { path } of drive.replica.verify({ onProgress: () => undefined })) t.fail(path)
  await drive.close()
})

t.test('a device that writes nothing tells its heads once, and is not answered', async t => {
  const [a, b] = await twoDrives()
  a.replica.execute(mkdir('d'))
  await b.catchUpWith(a)
  for (let hour = 0; hour < 5; hour++) {
    a.clock.advance(HEADS_INTERVAL_MS)
    await b.replica.commit()
    await a.catchUpWith(b)
    await b.catchUpWith(a)
  }
  t.equal((await a.entries()).length, 1, 'heads alone are no news')
  const entries = await b.entries()
  t.equal(entries.length, 1)
  t.match(entries, [{ lamport: 2, operations: [], heads: [{ log: a.operationKey, length: 1 }] }])

  a.replica.execute(mkdir('e'))
  await b.catchUpWith(a)
  b.replica.execute(mkdir('f'))
  await b.replica.commit()
  a.clock.advance(HEADS_INTERVAL_MS * 2)
  await b.replica.commit()
  t.equal((await b.entries()).length, 2, 'what was written has told them')

  await a.catchUpWith(b)
  await a.reopen({ rebuild: false })
  a.clock.advance(HEADS_INTERVAL_MS)
  await a.replica.commit()
  t.equal((await a.entries()).length, 3, 'news from before a restart are told, too')
  for (const drive of [a, b]) await drive.close()
})

t.test('a sole device tells nobody anything', async t => {
  const drive = await MemoryDrive.create()
  drive.replica.execute(mkdir('d'))
  await drive.replica.commit()
  await drive.reopen({ rebuild: true })
  drive.clock.advance(HEADS_INTERVAL_MS * 3)
  await drive.replica.commit()
  t.equal((await drive.entries()).length, 1)
  await drive.close()
})

t.test('what a device has not seen superseded is kept', async t => {
  const [a, b] = await twoDrives()
  await write(a, 'f', patternBytes(BLOCK))
  await b.catchUpWith(a)
  await new VfsSession(b.vfs).readFile('f')
  await a.catchUpWith(b)
  t.equal(a.replica.heads.size, 2)
  await write(a, 'f', patternBytes(BLOCK, 2))
  const clear = async (drive: MemoryDrive): Promise<number> => {
    let count = 0
    for (let rest = 1; rest > 0;) {
      const { found, cleared } = await drive.replica.clearSuperseded(2 ** 40, 1)
      count += cleared
      rest = found
    }
    return count
  }
  t.equal(await clear(a), 0)
  t.equal(a.storedBlocks(), 2, 'b may still go on from it')
  await b.catchUpWith(a)
  await clear(a)
  t.equal(a.storedBlocks(), 2, 'a does not know that b has seen it')
  t.equal(await clear(b), 1)
  t.equal(b.home.storedCount(a.contentKey), 0, 'a has: it did it')
  b.replica.execute(mkdir('d'))
  await a.catchUpWith(b)
  t.equal(await clear(a), 1)
  t.equal(a.storedBlocks(), 1)
  t.equal(await clear(a), 0, 'and it is forgotten')
  t.same(await new VfsSession(b.vfs).readFile('f'), patternBytes(BLOCK, 2))
  for (const drive of [a, b]) await drive.close()
})

t.test('what a device that goes on in a new epoch has seen superseded is cleared', async t => {
  const [a, b] = await twoDrives()
  await write(a, 'f', patternBytes(BLOCK))
  await b.catchUpWith(a)
  b.replica.execute(mkdir('before'))
  await a.catchUpWith(b)
  await b.startEpoch()
  await write(a, 'f', patternBytes(BLOCK, 2))
  await a.catchUpWith(b)
  await a.replica.clearSuperseded(2 ** 40, 10)
  t.equal(a.storedBlocks(), 2, 'no epoch of it has told that it saw it')
  await b.catchUpWith(a)
  b.replica.execute(mkdir('after'))
  await a.catchUpWith(b)
  t.equal(a.replica.heads.size, 3)
  t.match(await a.replica.clearSuperseded(2 ** 40, 10), { cleared: 1 })
  t.equal(a.storedBlocks(), 1)
  for (const drive of [a, b]) await drive.close()
})

t.test('kept blocks do not keep later ones from being looked at', async t => {
  const [a, b] = await twoDrives()
  for (let at = 0; at < 7; at++) await write(a, `f${String(at)}`, patternBytes(BLOCK, at))
  await b.catchUpWith(a)
  await a.catchUpWith(b)
  const session = new VfsSession(a.vfs)
  for (let at = 0; at < 7; at++) session.vfs.unlink(session.place(`f${String(at)}`))
  for (let round = 0; round < 2; round++) {
    const counts: number[] = []
    for (let step = 0; step < 4; step++) {
      const { found, cleared } = await a.replica.clearSuperseded(2 ** 40, 2)
      t.equal(cleared, 0)
      counts.push(found)
    }
    t.strictSame(counts, [2, 2, 2, 1])
  }
  t.equal(a.storedBlocks(), 7)
  for (const drive of [a, b]) await drive.close()
})

t.test('a merge that fails stops there, and the index is made anew', async t => {
  const author = new EntryAuthor('a')
  const drive = await MemoryDrive.create({ device: 'b' })
  await author.write([mkdir('d')])
  drive.replica.beforeMerge = () => {
    throw new Error('by the test')
  }
  await drive.receiveFrom(author)
  await drive.replica.settled()
  t.match(drive.replica.status.failure, /by the test/)
  await author.write([mkdir('e')])
  await drive.receiveFrom(author)
  await drive.replica.settled()
  t.equal(drive.replica.heads.get(author.key), 0)
  await drive.reopen({ rebuild: false })
  await drive.replica.settled()
  t.equal(drive.replica.heads.get(author.key), 2)
  await drive.close()
})

t.test('many rows of others are flushed as well, and gone on from', async t => {
  const author = new EntryAuthor('a')
  for (let entry = 0; entry < 200; entry++) {
    await author.write(
      Array.from({ length: 50 }, (_, at) => mkdir(`${String(entry)}-${String(at)}`))
    )
  }
  const drive = await MemoryDrive.create({ device: 'b' })
  await drive.receiveFrom(author)
  await drive.replica.settled()
  for (let turn = 0; turn < 100; turn++) await setImmediate()
  const before = dumpIndex(drive.replica.index)
  const reads = drive.home.readCount
  await drive.crash(undefined)
  await drive.replica.settled()
  t.ok(drive.home.readCount - reads < 150, 'most of it need not be read again')
  t.equal(dumpIndex(drive.replica.index), before)
  await drive.close()
})

t.test('addRemote() and wake() after close() do nothing', async t => {
  const [a, b] = await twoDrives()
  const { replica } = b
  a.replica.execute(mkdir('d'))
  await b.catchUpWith(a)
  await b.close()
  replica.wake(a.operationKey)
  await replica.settled()
  t.equal(replica.status.failure, undefined)
  const handle = new VfsSession(a.vfs).create('f', O_RDWR)
  await a.vfs.release(handle)
  await a.close()
})

t.test('close() does not wait for a merge that waits for the disk', async t => {
  const author = new EntryAuthor('a')
  for (let entry = 0; entry < 400; entry++) {
    await author.write(
      Array.from({ length: 50 }, (_, at) => mkdir(`${String(entry)}-${String(at)}`))
    )
  }
  const drive = await MemoryDrive.create({ device: 'b' })
  drive.store.failure = new SyncError('NO_SPACE', 'by the test')
  await drive.receiveFrom(author)
  for (let turn = 0; turn < 300; turn++) await setImmediate()
  const merged = drive.replica.heads.get(author.key) ?? 0
  t.ok(merged > 0 && merged < author.length, `${String(merged)} entries are merged`)
  await t.rejects(drive.close(), { code: 'NO_SPACE' })
  t.equal(drive.clock.pendingTimers, 0)
  drive.store.failure = undefined
  drive.abandon()
  await drive.open()
  await drive.replica.settled()
  t.equal(drive.replica.heads.get(author.key), author.length)
  await drive.close()
})
