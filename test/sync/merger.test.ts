/**
 * Merging: entries are applied when their causes are, in every order of arrival alike; one that
 * breaks the rules ends its log and nothing else; one that cannot be read is waited for; memory
 * stays bounded whatever arrives.
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { encodeEntry } from '../../src/sync/entry-codec.ts'
import { ENTRIES_AHEAD_MAX } from '../../src/sync/entry-queue.ts'
import type { Entry } from '../../src/sync/entry.ts'
import { ENTRY_BYTES_MAX, logKey, type LogKey } from '../../src/sync/log.ts'
import {
  AWAITED_BATCH_MS,
  BATCH_MS,
  BATCH_OPERATIONS_MAX,
  BYTES_AHEAD_MAX,
  FAMILIES_WAITING_MAX,
  REREAD_DELAY_MS
} from '../../src/sync/merger.ts'
import { ROOT_ID, type Name, type Operation, type OperationId } from '../../src/sync/operation.ts'
import { ROOT_INO } from '../../src/sync/tree-index.ts'
import { arbitraryEntry } from '../support/arbitrary-operation.ts'
import { filled } from '../support/bytes.ts'
import { EntryAuthor } from '../support/entry-author.ts'
import { dumpIndex } from '../support/index-tree.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { MemoryRemoteBlocks, MemoryRemoteLog } from '../support/memory-remote-logs.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const TIME = { sec: 10, nsec: 0 }

function mkdir(name: string, parent: OperationId = ROOT_ID): Operation {
  const place = { parent, name: name as Name }
  return { type: 'mkdir', ...place, mode: 0o755, uid: 0, gid: 0, time: TIME }
}

function namesOf(drive: MemoryDrive): string[] {
  return [...drive.replica.index.list(ROOT_INO).keys()].toSorted()
}

/** A drive that has merged what the authors wrote, in an order that the test chose. */
async function driveOf(...authors: readonly EntryAuthor[]): Promise<MemoryDrive> {
  const drive = await MemoryDrive.create({ device: 'reader' })
  await drive.catchUpWithAll(authors)
  return drive
}

t.test('an entry is merged when all that its author had seen is', async t => {
  const [a, b, c] = [new EntryAuthor('a'), new EntryAuthor('b'), new EntryAuthor('c')]
  await a.write([mkdir('a0')])
  await b.saw(a)
  await b.write([mkdir('b0', a.id(0))])
  await c.saw(b)
  await c.write([mkdir('c0', b.id(0))])
  await a.saw(c)
  await a.write([mkdir('a1', c.id(0))])
  const drive = await MemoryDrive.create({ device: 'reader' })
  await drive.receiveFrom(c)
  await drive.replica.settled()
  t.strictSame(namesOf(drive), [])
  t.equal(drive.replica.status.waiting, 1)
  await drive.receiveFrom(b)
  await drive.replica.settled()
  t.equal(drive.replica.status.waiting, 2)
  await drive.receiveFrom(a, 1)
  await drive.replica.settled()
  t.equal(drive.replica.status.waiting, 0)
  await drive.receiveFrom(a)
  await drive.replica.settled()
  t.same(Object.fromEntries(drive.replica.heads), {
    ...{ [a.key]: 2, [b.key]: 1, [c.key]: 1 },
    [drive.operationKey]: 0
  })
  t.strictSame(drive.replica.status.quarantined, [])
  const other = await driveOf(a, b, c)
  t.equal(dumpIndex(other.replica.index), dumpIndex(drive.replica.index))
  t.match(dumpIndex(drive.replica.index), /a1/)
  await other.close()
  await drive.close()
})

/** An entry that nobody honest writes, after one good one, and what is said of it. */
interface Forgery {
  readonly entry: Partial<Entry>
  readonly reason: RegExp
}

const STRANGER = logKey('ab'.repeat(32))

async function forgeries(b: EntryAuthor): Promise<Record<string, Forgery>> {
  const head = async (author: EntryAuthor, length: number) => {
    return { log: author.key, length, treeHash: await author.treeHash(length) }
  }
  const fork = { ...(await head(b, 2)), treeHash: filled(32, 1) }
  return {
    'a lamport that is too low': { entry: { lamport: 2 }, reason: /lamport/ },
    'a lamport that is too high': { entry: { lamport: 4 }, reason: /lamport/ },
    'the highest lamport': { entry: { lamport: Number.MAX_SAFE_INTEGER }, reason: /lamport/ },
    'a head that stands still': {
      entry: { heads: [await head(b, 1)], lamport: 3 },
      reason: /heads do not grow/
    },
    'a head of another history': {
      entry: { heads: [fork], lamport: 3 },
      reason: /another history/
    },
    'a content head of a stranger': {
      entry: { contentHead: { log: STRANGER, length: 1, treeHash: filled(32, 1) } },
      reason: /content head/
    },
    'a content head of another device': {
      entry: { contentHead: { log: b.pair.contentKey, length: 1, treeHash: filled(32, 1) } },
      reason: /content head/
    }
  }
}

/** Two devices, of which the first has seen one entry of the second's two. */
async function twoAuthors(): Promise<[EntryAuthor, EntryAuthor]> {
  const [a, b] = [new EntryAuthor('a'), new EntryAuthor('b')]
  await b.write([mkdir('b0')])
  await a.saw(b)
  await a.write([mkdir('a0')])
  await b.write([mkdir('b1')])
  return [a, b]
}

/** The log ends before the bad entry, for good, and everything else goes on. */
async function checkQuarantined(
  t: Test,
  [a, b]: readonly [EntryAuthor, EntryAuthor],
  reason: RegExp
): Promise<void> {
  await a.write([mkdir('after')], { lamport: 9 })
  await b.write([mkdir('b2')])
  for (const order of [
    [a, b],
    [b, a]
  ]) {
    const drive = await driveOf(...order)
    t.strictSame(namesOf(drive), ['a0', 'b0', 'b1', 'b2'])
    t.match(drive.replica.status.quarantined, [{ log: a.key, index: 1, reason }])
    t.equal(drive.replica.heads.get(a.key), 1)
    drive.replica.wake(a.key)
    await drive.reopen({ rebuild: false })
    await drive.replica.settled()
    t.match(drive.replica.status.quarantined, [{ log: a.key, index: 1, reason }], 'still so')
    t.equal(drive.replica.status.waiting, 0)
    await drive.close()
  }
}

t.test('an entry that breaks the rules ends its log', async t => {
  for (const what of Object.keys(await forgeries((await twoAuthors())[1]))) {
    await t.test(what, async t => {
      const [a, b] = await twoAuthors()
      const forgery = (await forgeries(b))[what]
      if (!forgery) return
      await a.write([mkdir('bad')], forgery.entry)
      await checkQuarantined(t, [a, b], forgery.reason)
    })
  }
})

t.test('bytes that are no entry end the log, those of a newer grove too', async t => {
  const header = { lamport: 3, time: TIME, listVersion: 0, heads: [], contentHead: undefined }
  const made = (author: EntryAuthor): Uint8Array =>
    encodeEntry({ ...header, operations: [mkdir('bad')] }, { log: author.key, index: 1 })
  const cases: Record<string, [(author: EntryAuthor) => Uint8Array, RegExp]> = {
    empty: [() => new Uint8Array(0), /./],
    truncated: [author => made(author).subarray(0, 40), /./],
    'longer than it says': [author => Uint8Array.from([...made(author), 0]), /./],
    'of a newer version': [author => Uint8Array.from([9, ...made(author).subarray(1)]), /version 9/]
  }
  for (const [what, [bytesOf, reason]] of Object.entries(cases)) {
    await t.test(what, async t => {
      const [a, b] = await twoAuthors()
      await a.writePlain(bytesOf(a))
      await checkQuarantined(t, [a, b], reason)
    })
  }
  await t.test('oversize', async t => {
    const [a, b] = await twoAuthors()
    a.home.append(a.key, [new Uint8Array(ENTRY_BYTES_MAX + 1)])
    await checkQuarantined(t, [a, b], /too large/)
  })
})

t.test('an entry that cannot be opened is waited for', async t => {
  const [a, b] = await twoAuthors()
  await a.write([mkdir('late')])
  const drive = await MemoryDrive.create({ device: 'reader' })
  await drive.receiveFrom(b)
  drive.home.damage(a.key, 1)
  await drive.receiveFrom(a)
  await drive.replica.settled()
  t.strictSame(namesOf(drive), ['a0', 'b0', 'b1'])
  t.strictSame(drive.replica.status.quarantined, [])
  t.equal(drive.replica.status.waiting, 1)
  drive.clock.advance(REREAD_DELAY_MS)
  await drive.replica.settled()
  t.equal(drive.replica.status.waiting, 1, 'and tried again')
  drive.home.repair(a.key, 1)
  drive.clock.advance(REREAD_DELAY_MS)
  await drive.replica.settled()
  t.strictSame(namesOf(drive), ['a0', 'b0', 'b1', 'late'])
  t.equal(drive.clock.pendingTimers, 1, 'only the heads wait to be told')
  await drive.close()
  t.equal(drive.clock.pendingTimers, 0)
})

t.test('a head of an unknown log waits until the log is known', async t => {
  const [a, b] = [new EntryAuthor('a'), new EntryAuthor('b')]
  await b.write([mkdir('b0')])
  await a.write([mkdir('a0')])
  await a.saw(b)
  await a.write([mkdir('a1')])
  const drive = await driveOf(a)
  t.strictSame(namesOf(drive), ['a0'])
  t.equal(drive.replica.status.waiting, 1)
  t.strictSame(drive.replica.status.quarantined, [])
  await drive.catchUpWithAll([b])
  t.strictSame(namesOf(drive), ['a0', 'a1', 'b0'])
  await drive.close()
})

t.test('content of an unknown device waits until the device is known', async t => {
  const [a, b] = [new EntryAuthor('a'), new EntryAuthor('b')]
  await b.write([mkdir('b0')])
  const piece = await b.addBlock(filled(100, 5))
  await a.write([created('f')])
  await a.write([written(a.id(0), [piece], 100)])
  const drive = await driveOf(a)
  t.equal(drive.replica.status.waiting, 1)
  await drive.catchUpWithAll([b])
  t.equal(drive.replica.status.waiting, 0)
  t.equal(drive.replica.index.inode(drive.replica.index.find(a.id(0)) ?? 0).size, 100)
  await drive.close()
})

function created(name: string): Operation {
  return {
    ...{ type: 'create', parent: ROOT_ID, name: name as Name, kind: 'file', mode: 0o644 },
    ...{ uid: 0, gid: 0, rdev: 0, target: new Uint8Array(0), time: TIME }
  }
}

function written(
  file: OperationId,
  pieces: Extract<Operation, { type: 'write' }>['pieces'],
  size: number
): Operation {
  return { type: 'write', inode: file, through: file, base: file, pieces, size, time: TIME }
}

t.test('a flood that waits for what never comes is left in its log', async t => {
  const [a, b] = [new EntryAuthor('a'), new EntryAuthor('b')]
  await b.write([mkdir('b0')])
  await a.saw(b)
  for (let i = 0; i < 2000; i++) await a.write([mkdir(`a${String(i)}`)])
  const drive = await MemoryDrive.create({ device: 'reader' })
  const reads = drive.home.readCount
  await drive.receiveFrom(a)
  await drive.replica.settled()
  t.equal(drive.replica.status.waiting, 2000)
  t.ok(drive.home.readCount - reads <= ENTRIES_AHEAD_MAX, 'a window of it was read')
  for (let i = 0; i < 100; i++) drive.replica.wake(a.key)
  await drive.replica.settled()
  t.ok(drive.home.readCount - reads <= ENTRIES_AHEAD_MAX, 'and not again')
  await drive.receiveFrom(b)
  await drive.replica.settled()
  t.equal(drive.replica.heads.get(a.key), 2000)
  t.equal(drive.home.readCount - reads, 2001, 'each was read once')
  await drive.close()
})

t.test('of what can be merged the lowest lamport comes first, then the lowest key', async t => {
  const authors = ['a', 'b', 'c'].map(name => new EntryAuthor(name))
  const sorted = authors.toSorted((left, right) => (left.key < right.key ? -1 : 1))
  for (let entry = 0; entry < 3; entry++) {
    for (const author of authors) {
      await author.write([mkdir(`${String(entry)} ${String(sorted.indexOf(author))}`)])
    }
  }
  const drive = await MemoryDrive.create({ device: 'reader' })
  for (const { pair } of authors) await drive.receive(pair, [])
  for (const { home, key } of authors) {
    drive.home.append(
      key,
      [0, 1, 2].map(at => home.block(key, at))
    )
  }
  drive.replica.wake(authors[0]?.key ?? drive.operationKey)
  await drive.replica.settled()
  const names = [...drive.replica.index.list(ROOT_INO).values()]
  const inOrder = names.toSorted((left, right) => left.ino - right.ino).map(({ name }) => name)
  t.strictSame(
    inOrder.map(String),
    ['0 0', '0 1', '0 2', '1 0', '1 1', '1 2', '2 0', '2 1', '2 2'],
    'they were made in that order'
  )
  await drive.close()
})

t.test('when much was read ahead, logs that wait forget it and read it again', async t => {
  const cause = new EntryAuthor('cause')
  await cause.write([mkdir('d')])
  const bytes = 4 * 1024 * 1024
  const authors: EntryAuthor[] = []
  for (let at = 0; at * bytes <= BYTES_AHEAD_MAX; at++) {
    const author = new EntryAuthor(`author ${String(at)}`)
    await author.saw(cause)
    await author.write([{ type: 'statement', bytes: filled(bytes, 1) }])
    authors.push(author)
  }
  const drive = await driveOf(...authors)
  t.equal(drive.replica.status.waiting, authors.length)
  const reads = drive.home.readCount
  await drive.catchUpWithAll([cause])
  t.equal(drive.replica.status.waiting, 0)
  for (const { key } of authors) t.equal(drive.replica.heads.get(key), 1)
  t.ok(drive.home.readCount - reads > 1, 'some were read again')
  await drive.close()
})

t.test(
  'a batch is bounded, others have their turn between two, and wake() is coalesced',
  async t => {
    const a = new EntryAuthor('a')
    const perEntry = BATCH_OPERATIONS_MAX / 4
    for (let i = 0; i < 20; i++) {
      const names = Array.from({ length: perEntry }, (_, n) => mkdir(`${String(i)}-${String(n)}`))
      await a.write(names)
    }
    const drive = await MemoryDrive.create({ device: 'reader' })
    const counts: number[] = []
    let before = 0
    let isInBatch = false
    drive.replica.beforeMerge = () => {
      t.notOk(isInBatch, 'one batch at a time')
      isInBatch = true
      before = drive.replica.index.list(ROOT_INO).size
    }
    drive.replica.onMerged = () => {
      isInBatch = false
      counts.push(drive.replica.index.list(ROOT_INO).size - before)
    }
    await drive.receiveFrom(a)
    for (let i = 0; i < 10; i++) drive.replica.wake(a.key)
    t.equal(counts.length, 0, 'not in the tick of wake()')
    await drive.replica.settled()
    t.equal(
      counts.reduce((sum, count) => sum + count, 0),
      20 * perEntry
    )
    t.ok(counts.length >= 5, `${String(counts.length)} batches`)
    t.ok(counts.every(count => count <= BATCH_OPERATIONS_MAX && count % perEntry === 0))
    await drive.close()
  }
)

t.test('a batch is over sooner when somebody waits for it', async t => {
  const [a, lookMs] = [new EntryAuthor('a'), 0.25]
  const count = 200
  for (let i = 0; i < count; i++) await a.write([mkdir(String(i))])
  for (const isAwaited of [false, true]) {
    const drive = await MemoryDrive.create({ device: 'reader' })
    drive.isAwaited = () => isAwaited
    const now = drive.clock.now.bind(drive.clock)
    drive.clock.now = () => {
      drive.clock.advance(lookMs)
      return now()
    }
    const counts: number[] = []
    drive.replica.onMerged = () => {
      counts.push(namesOf(drive).length - counts.reduce((sum, made) => sum + made, 0))
    }
    await drive.receiveFrom(a)
    await drive.replica.settled()
    t.equal(namesOf(drive).length, count)
    const most = Math.max(...counts) * lookMs
    if (isAwaited) t.ok(most <= AWAITED_BATCH_MS, `${most} ms`)
    else t.ok(most > AWAITED_BATCH_MS && most <= BATCH_MS, `${most} ms`)
    await drive.close()
  }
})

t.test('files are derived anew within a batch too, so that its time is known', async t => {
  const [a, b] = [new EntryAuthor('a'), new EntryAuthor('b')]
  const count = BATCH_OPERATIONS_MAX
  for (let i = 0; i < count; i++) await a.write([created(`f${String(i)}`)])
  await b.saw(a)
  for (const author of [a, b]) {
    for (let i = 0; i < count; i++) {
      const bytes = filled(3, author === a ? 1 : 2)
      await author.write([written(a.id(i), [{ kind: 'inline', offset: 0, bytes }], 3)])
    }
  }
  const drive = await driveOf(a)
  const { index } = drive.replica
  const settle = index.settleFamilies.bind(index)
  const waiting: number[] = []
  let batches = 0
  drive.replica.beforeMerge = () => batches++
  index.settleFamilies = () => {
    if (index.markedCount > 0) waiting.push(index.markedCount)
    settle()
  }
  await drive.catchUpWithAll([b])
  t.equal([...index.conflicts()].length, count)
  t.equal(Math.max(...waiting), FAMILIES_WAITING_MAX)
  t.ok(batches < waiting.length, `${String(waiting.length)} times in ${String(batches)} batches`)
  await drive.close()
})

t.test('this device’s own logs are not taken from others', async t => {
  const drive = await MemoryDrive.create({ device: 'reader' })
  drive.replica.execute(mkdir('own'))
  await drive.replica.commit()
  const author = new EntryAuthor('reader')
  t.equal(author.key, drive.operationKey, 'a device with the same keys')
  await author.write([mkdir('own')])
  await author.write([mkdir('forged')])
  const other = new EntryAuthor('other')
  await other.write([mkdir('forged')])
  const { home, clock } = drive
  const peers = { homes: () => [], isStuck: () => false, clock }
  const contentOf = (key: LogKey) => new MemoryRemoteBlocks({ home, key, peers })
  const offers = [
    [author, other.pair.contentKey],
    [other, author.pair.contentKey]
  ] as const
  for (const [{ home, key }, contentKey] of offers) {
    const operationLog = new MemoryRemoteLog({ home, key })
    drive.replica.addRemote({ operationLog, contentLog: contentOf(contentKey), device: 'forger' })
    drive.replica.wake(key)
    await drive.replica.settled()
  }
  t.strictSame(namesOf(drive), ['own'])
  t.strictSame([...drive.replica.heads], [[drive.operationKey, 1]])
  await drive.close()
})

t.test('a call that comes just as a run ends is not forgotten', async t => {
  for (let ticks = 0; ticks < 20; ticks++) {
    const a = new EntryAuthor('a')
    const drive = await MemoryDrive.create({ device: 'reader' })
    await a.write([mkdir('first')])
    await drive.receiveFrom(a)
    await drive.replica.settled()
    drive.replica.wake(a.key)
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve()
    await a.write([mkdir('second')])
    await drive.receiveFrom(a)
    await drive.replica.settled()
    t.strictSame(namesOf(drive), ['first', 'second'], `${String(ticks)} ticks later`)
    await drive.close()
  }
})

t.test('operations that make no sense stop nothing and are the same for all', async t => {
  const runs = Number(process.env['GROVE_FUZZ'] ?? 2000) / 100
  for (let seed = 1; seed <= runs; seed++) {
    const authors = ['a', 'b', 'c'].map(name => new EntryAuthor(name))
    const random = new SeededRandom(seed)
    for (const [at, sampled] of fc.sample(arbitraryEntry, { numRuns: 30, seed }).entries()) {
      const author = authors[random.integer(3)]
      const other = authors[random.integer(3)]
      if (!author) break
      if (other && other !== author && random.integer(2) === 0) await author.saw(other)
      const operations = sampled.operations.map(operation =>
        nearby(operation, { authors, own: author, random })
      )
      await author.write([...operations, created(`f${String(at)}`)])
    }
    const dumps: string[] = []
    for (const order of [authors, authors.toReversed()]) {
      const drive = await MemoryDrive.create({ device: 'reader' })
      for (let round = 0; round < 30; round++) {
        const author = order[round % order.length]
        if (author) await drive.receiveFrom(author, 1 + (round % 3))
        if (round % 2 === 0) await drive.replica.settled()
      }
      await drive.catchUpWithAll(authors)
      t.equal(drive.replica.status.failure, undefined)
      t.strictSame(drive.replica.status.quarantined, [])
      for (const { key, length } of authors) t.equal(drive.replica.heads.get(key), length)
      dumps.push(dumpIndex(drive.replica.index))
      await drive.close()
    }
    t.equal(dumps[0], dumps[1], `seed ${String(seed)}`)
  }
})

interface Nearby {
  readonly authors: readonly EntryAuthor[]
  readonly own: EntryAuthor
  readonly random: SeededRandom
}

/** Identities that point nowhere now point to what the authors may have written. */
function nearby<T>(value: T, options: Nearby): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return value.map((each: unknown) => nearby(each, options)) as T
  const copy: Record<string, unknown> = {}
  for (const [key, each] of Object.entries(value)) copy[key] = nearby(each, options)
  if (!('log' in copy) || copy['log'] === ROOT_ID.log) return copy as T
  const { authors, own, random } = options
  const author = authors[random.integer(authors.length)] ?? own
  if ('hash' in copy) return { ...copy, log: author.pair.contentKey } as T
  const indexMax = author === own ? own.length : 12
  if (indexMax === 0) return ROOT_ID as T
  return {
    ...copy,
    log: author.key,
    index: random.integer(indexMax),
    number: random.integer(4)
  } as T
}
