/**
 * Logs of several epochs become one index, in the order of their lamports, from where the index
 * stands; a damaged entry is passed over and said, one of a newer grove refuses everything.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { Sealer } from '../../src/crypto/sealer.ts'
import { O_RDWR } from '../../src/fs/vfs.ts'
import { encodeEntry } from '../../src/sync/entry-codec.ts'
import type { Head } from '../../src/sync/entry.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { ROOT_ID, type Name, type Operation, type OperationId } from '../../src/sync/operation.ts'
import { readEntry, Replay, REPLAY_ROWS_MAX, type LogPair } from '../../src/sync/replay.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { ROOT_INO, type TreeIndex } from '../../src/sync/tree-index.ts'
import { filled, flipped, fromHex, toHex } from '../support/bytes.ts'
import { checkIndex } from '../support/check-index.ts'
import { dumpIndex } from '../support/index-tree.ts'
import { MemoryBlockStore } from '../support/memory-block-store.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { MemoryHome } from '../support/memory-home.ts'
import { openIndex } from '../support/memory-index.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { dump, treeOf, type ModelEntry } from '../support/model.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { patternBytes, VfsSession } from '../support/vfs-session.ts'

const DRIVE = filled(32, 7)
const KEYS = KeyTable.generate(new SeededRandom(1))
const RANDOM = new SeededRandom(2)
const TIME = { sec: 10, nsec: 0 }

function sealerOf(log: LogKey): Sealer {
  return new Sealer({
    keys: KEYS,
    purpose: 'entry',
    drive: DRIVE,
    log: fromHex(log),
    random: RANDOM
  })
}

/** Logs on one disk, written entry by entry. */
class Logs {
  readonly home = new MemoryHome()
  readonly pairs: LogPair[] = []

  /** Adds a pair of logs. */
  epoch(): Log {
    const operationLog = new MemoryLog({ home: this.home })
    this.pairs.push({ operationLog, contentLog: new MemoryBlockStore({ home: this.home }) })
    return new Log(operationLog)
  }

  replay(onProgress: (done: number, total: number) => void = () => undefined): Replay {
    return new Replay({ pairs: this.pairs, sealerOf, onProgress })
  }

  /** @returns a new index that was brought up to date */
  async index(store = new MemoryKeyValueStore()): Promise<{ index: TreeIndex; replay: Replay }> {
    const index = await openIndex(store)
    const replay = this.replay()
    await replay.run(index)
    return { index, replay }
  }
}

class Log {
  readonly log: MemoryLog

  constructor(log: MemoryLog) {
    this.log = log
  }

  async add(lamport: number, ...operations: Operation[]): Promise<void> {
    const place = { log: this.log.key, index: this.log.length }
    const header = { lamport, time: TIME, listVersion: 0, heads: [], contentHead: undefined }
    const plain = encodeEntry({ ...header, operations }, place)
    await this.addBytes(sealerOf(this.log.key).seal(plain, place.index))
  }

  async addBytes(bytes: Uint8Array): Promise<void> {
    await this.log.append([bytes], this.log.length)
  }

  id(index: number, number = 0): OperationId {
    return { log: this.log.key, index, number }
  }
}

function create(name: string): Operation {
  return {
    ...{ type: 'create', parent: ROOT_ID, name: name as Name, kind: 'file', mode: 0o644 },
    ...{ uid: 0, gid: 0, rdev: 0, target: new Uint8Array(0), time: TIME }
  }
}

function rename(id: OperationId, name: string): Operation {
  const to = { parent: ROOT_ID, name: name as Name }
  return { type: 'rename', links: [id], from: ROOT_ID, ...to, replaced: [], time: TIME }
}

function namesOf(index: TreeIndex): string[] {
  return [...index.names.entries(ROOT_INO).keys()].toSorted()
}

t.test('two epochs are merged in the order of their lamports', async t => {
  const logs = new Logs()
  const [first, second] = [logs.epoch(), logs.epoch()]
  await first.add(1, create('a'))
  await first.add(4, rename(first.id(0), 'at 4'))
  await first.add(7, rename(first.id(0), 'at 7'))
  await second.add(2, rename(first.id(0), 'at 2'))
  await second.add(5, rename(first.id(0), 'at 5'))
  await second.add(6, create('b'))
  const seen: string[] = []
  const index = await openIndex()
  const replay = logs.replay((done, total) => {
    seen.push(`${done} of ${total}: ${namesOf(index).join()}`)
  })
  await replay.run(index)
  t.strictSame(seen, [
    '1 of 6: a',
    '2 of 6: at 2',
    '3 of 6: at 4',
    '4 of 6: at 5',
    '5 of 6: at 5,b',
    '6 of 6: at 7,b'
  ])
  t.equal(replay.lamport, 7)
  checkIndex(index)
})

t.test('of entries with one lamport that of the older log comes first', async t => {
  const logs = new Logs()
  const [first, second] = [logs.epoch(), logs.epoch()]
  await second.add(1, create('b'))
  await first.add(1, create('a'))
  const index = await openIndex()
  const seen: string[] = []
  await logs.replay(() => seen.push(namesOf(index).join())).run(index)
  t.strictSame(seen, ['a', 'a,b'])
})

t.test('an index goes on from its cursors, and not twice', async t => {
  const logs = new Logs()
  const [first, second] = [logs.epoch(), logs.epoch()]
  await first.add(1, create('a'))
  await second.add(2, create('b'))
  const store = new MemoryKeyValueStore()
  await logs.index(store)
  await first.add(3, create('c'))
  await second.add(4, create('d'), create('e'))
  const index = await openIndex(store)
  const replay = logs.replay()
  t.ok(await replay.continues(index))
  await replay.run(index)
  t.strictSame(namesOf(index), ['a', 'b', 'c', 'd', 'e'])
  t.equal(index.inode(ROOT_INO).children, 5)

  const again = await openIndex(store)
  const seen: number[] = []
  await logs.replay(done => seen.push(done)).run(again)
  t.strictSame(seen, [], 'nothing is left to do')
  t.equal(dumpIndex(again), dumpIndex(index))
  for (const { operationLog: log } of logs.pairs) {
    t.equal(again.cursor(log.key).length, log.length)
    t.equal(toHex(again.cursor(log.key).treeHash), toHex(await log.treeHash(log.length)))
  }
})

t.test('continues() refuses an index that is ahead or of another history', async t => {
  const logs = new Logs()
  const [first, second] = [logs.epoch(), logs.epoch()]
  await first.add(1, create('a'))
  await second.add(2, create('b'))
  await second.add(3, create('c'))
  t.ok(await logs.replay().continues(await openIndex()), 'an empty one fits every log')
  const cases = { ahead: 4, 'another history': 2 }
  for (const [what, length] of Object.entries(cases)) {
    const index = await openIndex()
    index.addLog(second.log.key)
    index.freeze()
    await index.write([{ log: second.log.key, length, treeHash: filled(32, 1) }])
    t.notOk(await logs.replay().continues(index), what)
  }
  const store = new MemoryKeyValueStore()
  await logs.index(store)
  t.ok(await logs.replay().continues(await openIndex(store)))
  logs.pairs.pop()
  t.notOk(await logs.replay().continues(await openIndex(store)), 'of a log that is gone')
})

t.test('the first entry of a new log names every earlier log, and no later one does', async t => {
  const logs = new Logs()
  const [first, empty, third] = [logs.epoch(), logs.epoch(), logs.epoch()]
  await first.add(1, create('a'))
  await first.add(2, create('b'))
  await third.add(3, create('c'))
  const current = logs.epoch()
  const { replay } = await logs.index()
  const head = async ({ log }: Log): Promise<Head> => ({
    ...{ log: log.key, length: log.length },
    treeHash: await log.treeHash(log.length)
  })
  t.strictSame(replay.firstHeads, [await head(first), await head(third)])
  t.notMatch(replay.firstHeads, [{ log: empty.log.key }])
  t.equal(replay.lamport, 3)
  await current.add(4, create('d'))
  t.strictSame((await logs.index()).replay.firstHeads, [])
})

t.test('without any entry there is nothing to do and nothing to write', async t => {
  const logs = new Logs()
  logs.epoch()
  const store = new MemoryKeyValueStore()
  const { replay } = await logs.index(store)
  t.equal(replay.lamport, 0)
  t.strictSame(replay.firstHeads, [])
  t.strictSame([...store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) })], [])
})

t.test('a damaged or missing entry is passed over and said; the rest is applied', async t => {
  for (const damage of ['disk', 'seal', 'malformed', 'cleared'] as const) {
    const logs = new Logs()
    const log = logs.epoch()
    await log.add(1, create('a'))
    if (damage === 'seal') {
      await log.addBytes(flipped(sealerOf(log.log.key).seal(filled(300, 1), 1), 60))
    } else if (damage === 'malformed') {
      await log.addBytes(sealerOf(log.log.key).seal(Uint8Array.of(1, 0, 0, ...filled(300, 255)), 1))
    } else await log.add(2, create('b'))
    await log.add(3, create('c'), rename(log.id(1), 'never'))
    if (damage === 'disk') logs.home.damage(log.log.key, 1)
    if (damage === 'cleared') logs.home.clear(log.log.key, { from: 1, to: 2 })
    const { index, replay } = await logs.index()
    t.strictSame(replay.damaged, [{ log: log.log.key, index: 1 }], damage)
    t.strictSame(namesOf(index), ['a', 'c'], damage)
    t.equal(replay.lamport, 3)
    t.equal(index.cursor(log.log.key).length, 3, 'it is not read again each time')
    t.ok(index.hasGaps)
    checkIndex(index)
  }
})

t.test('damage at the end: the lamport goes on as if each had been one more', async t => {
  const logs = new Logs()
  const [first, second] = [logs.epoch(), logs.epoch()]
  await first.add(1, create('a'))
  await first.add(2, create('b'))
  await first.add(3, create('c'))
  logs.home.damage(first.log.key, 2)
  logs.home.damage(first.log.key, 1)
  t.equal((await logs.index()).replay.lamport, 3)
  await second.add(4, create('d'))
  await second.add(5, create('e'))
  logs.home.damage(second.log.key, 0)
  logs.home.damage(second.log.key, 1)
  t.equal((await logs.index()).replay.lamport, 5, 'also where no entry of a log can be read')
})

t.test('what a newer grove wrote refuses everything, and nothing is written', async t => {
  for (const newer of ['seal', 'entry', 'flag', 'operation'] as const) {
    const logs = new Logs()
    const log = logs.epoch()
    const sealer = sealerOf(log.log.key)
    await log.add(1, create('a'))
    const place = { log: log.log.key, index: 1 }
    const header = { lamport: 2, time: TIME, listVersion: 0, heads: [], contentHead: undefined }
    const statement: Operation = { type: 'statement', bytes: filled(3, 200) }
    const plain = encodeEntry({ ...header, operations: [statement] }, place)
    if (newer === 'entry') plain[0] = 2
    if (newer === 'flag') plain[1] = 1
    if (newer === 'operation') plain[plain.length - 3 - 4 - 2] = 99
    const sealed = sealer.seal(plain, 1)
    await log.addBytes(newer === 'seal' ? Uint8Array.of(2, ...sealed.subarray(1)) : sealed)
    const store = new MemoryKeyValueStore()
    await t.rejects(logs.index(store), { code: 'NEWER_FORMAT' }, newer)
    t.strictSame([...store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) })], [])
  }
})

t.test('a disk that fails to read or to write stops it', async t => {
  const logs = new Logs()
  const log = logs.epoch()
  for (let i = 1; i <= 40; i++) await log.add(i, create(`f${i}`))
  const get = log.log.get.bind(log.log)
  log.log.get = async index => {
    if (index === 20) throw new SyncError('IO', 'by the test')
    return get(index)
  }
  await t.rejects(logs.index(), { code: 'IO' })
  log.log.get = get
  const store = new MemoryKeyValueStore()
  store.failure = new SyncError('NO_SPACE', 'by the test')
  await t.rejects(logs.index(store), { code: 'NO_SPACE' })
  store.failure = undefined
  t.equal(namesOf((await logs.index(store)).index).length, 40)
})

t.test('a long replay is written in parts, each a state that can be gone on from', async t => {
  const logs = new Logs()
  const log = logs.epoch()
  const perEntry = 1000
  const total = Math.ceil(REPLAY_ROWS_MAX / perEntry / 3) + 2
  for (let i = 0; i < total; i++) {
    const names = Array.from({ length: perEntry }, (_, at) =>
      create(`${i}/${at}`.replace('/', '-'))
    )
    await log.add(i + 1, ...names)
  }
  const store = new MemoryKeyValueStore()
  const stop = logs.replay((done, of) => {
    if (done === of) throw new Error('the process dies')
  })
  await t.rejects(stop.run(await openIndex(store)), /dies/)
  const index = await openIndex(store)
  const { length } = index.cursor(log.log.key)
  t.ok(length > 0 && length < total, `${length} of ${total} entries were kept`)
  t.equal(index.inode(ROOT_INO).children, length * perEntry)
  const replay = logs.replay()
  t.ok(await replay.continues(index))
  await replay.run(index)
  t.equal(index.inode(ROOT_INO).children, total * perEntry)
})

t.test('readEntry() gives an entry, undefined for damage, and throws the rest', async t => {
  const logs = new Logs()
  const log = logs.epoch()
  await log.add(1, create('a'))
  await log.add(2, create('b'))
  logs.home.damage(log.log.key, 1)
  const sealer = sealerOf(log.log.key)
  t.match(await readEntry(log.log, 0, sealer), { lamport: 1, operations: [{ type: 'create' }] })
  t.equal(await readEntry(log.log, 1, sealer), undefined)
  t.equal(await readEntry(log.log, 2, sealer), undefined, 'not there')
  t.equal(await readEntry(log.log, 0, sealerOf(logs.home.newKey())), undefined, 'of another log')
  await log.log.close()
  await t.rejects(readEntry(log.log, 0, sealer), { code: 'CLOSED' })
})

t.test('a drive that goes through epochs is what the oracle makes of its logs', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const random = new SeededRandom(seed)
    const drive = await MemoryDrive.create()
    for (let epoch = 0; epoch < 4; epoch++) {
      for (let i = random.integer(8); i > 0; i--) await randomChange(drive, random)
      if (random.integer(3) === 0) await drive.reopen({ rebuild: random.integer(2) === 0 })
      for (let i = random.integer(5); i > 0; i--) await randomChange(drive, random)
      const entries = await modelEntries(drive)
      assert.equal(dumpIndex(drive.replica.index), dump(treeOf(entries)), `seed ${seed}`)
      await drive.startEpoch()
      assert.equal(dumpIndex(drive.replica.index), dump(treeOf(entries)), `seed ${seed}, new epoch`)
      checkIndex(drive.replica.index)
    }
    await drive.close()
  }
})

async function randomChange(drive: MemoryDrive, random: SeededRandom): Promise<void> {
  const session = new VfsSession(drive.vfs)
  const name = `f${random.integer(4)}`
  drive.clock.advance(1000)
  switch (random.integer(4)) {
    case 0:
      if (session.exists(name)) session.vfs.unlink(session.place(name))
      break
    case 1: {
      const handle = session.exists(name)
        ? await session.open(name, O_RDWR)
        : session.create(name, O_RDWR)
      await session.write(handle, patternBytes(random.integer(9000) + 1), random.integer(5000))
      await session.close(handle)
      break
    }
    default:
      await session.writeFile(name, patternBytes(random.integer(20_000)))
  }
  if (random.integer(2) === 0) await drive.vfs.syncfs()
}

/** Every log's entries, with the heads that they name. */
async function modelEntries(drive: MemoryDrive): Promise<ModelEntry[]> {
  await drive.vfs.syncfs()
  const keys = [...drive.earlierKeys.map(({ operationKey }) => operationKey), drive.operationKey]
  const all: ModelEntry[] = []
  for (const log of keys) {
    for (const [index, entry] of (await drive.entries(log)).entries()) {
      const { lamport, time, operations } = entry
      const heads = new Map(entry.heads.map(head => [head.log, head.length]))
      all.push({ log, index, lamport, time, operations, heads, device: 'device' })
    }
  }
  return all
}
