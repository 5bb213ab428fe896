/**
 * Opening a replica: its own logs of several epochs become one index, from where the index stands;
 * a damaged entry is passed over and said, one of a newer grove refuses everything, and what had
 * seen entries that are lost is not gone on from.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { Sealer } from '../../src/crypto/sealer.ts'
import { O_RDWR } from '../../src/fs/vfs.ts'
import { encodeEntry } from '../../src/sync/entry-codec.ts'
import type { Head } from '../../src/sync/entry.ts'
import { CATCH_UP_ROWS_MAX } from '../../src/sync/index-flusher.ts'
import type { LogKey } from '../../src/sync/log.ts'
import type { LogPair } from '../../src/sync/log-pair.ts'
import { ROOT_ID, type Name, type Operation, type OperationId } from '../../src/sync/operation.ts'
import type { RemoteLogPair } from '../../src/sync/remote-logs.ts'
import { Replica, type ReplicaParts } from '../../src/sync/replica.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { ROOT_INO, type TreeIndex } from '../../src/sync/tree-index.ts'
import { filled, flipped, fromHex } from '../support/bytes.ts'
import { checkIndex } from '../support/check-index.ts'
import { dumpIndex } from '../support/index-tree.ts'
import { MemoryBlockStore } from '../support/memory-block-store.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { MemoryHome } from '../support/memory-home.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { MemoryRemoteBlocks } from '../support/memory-remote-logs.ts'
import { dump, treeOf, type ModelEntry } from '../support/model.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { patternBytes, VfsSession } from '../support/vfs-session.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const DRIVE = filled(32, 7)
const KEYS = KeyTable.generate(new SeededRandom(1))
const RANDOM = new SeededRandom(2)
const TIME = { sec: 10, nsec: 0 }

function sealerOf(log: LogKey): Sealer {
  const parts = { keys: KEYS, purpose: 'entry', drive: DRIVE, random: RANDOM } as const
  return new Sealer({ ...parts, log: fromHex(log) })
}

/** Logs on one disk, written entry by entry. */
class Logs {
  readonly home = new MemoryHome()
  readonly clock = new VirtualClock()
  readonly pairs: LogPair[] = []
  readonly remotes: RemoteLogPair[] = []

  /** Adds a pair of logs: the last one is the current. */
  epoch(): EntryLog {
    const log = new EntryLog(this.home)
    this.pairs.push({
      operationLog: log.log,
      contentLog: new MemoryBlockStore({ home: this.home })
    })
    return log
  }

  /** Adds a pair of logs of another device. */
  remote(): EntryLog {
    const log = new EntryLog(this.home)
    const peers = { homes: () => [], isStuck: () => false, clock: this.clock }
    const contentLog = new MemoryRemoteBlocks({ home: this.home, key: this.home.newKey(), peers })
    this.remotes.push({ operationLog: log.log, contentLog, device: 'other' })
    return log
  }

  async open(parts: Partial<ReplicaParts> = {}): Promise<Replica> {
    const current = this.pairs.at(-1)
    if (!current) throw new Error('there is at least one epoch')
    const { clock, remotes } = this
    return Replica.open({
      ...{
        store: new MemoryKeyValueStore(),
        ...current,
        earlier: this.pairs.slice(0, -1),
        remotes
      },
      ...{ drive: DRIVE, keys: KEYS, indexKey: filled(32, 9), clock, random: RANDOM },
      yieldToEventLoop: () => Promise.resolve(),
      ...parts
    })
  }
}

/** A log that the test writes. */
class EntryLog {
  readonly log: MemoryLog
  #heads: Head[] = []

  constructor(home: MemoryHome) {
    this.log = new MemoryLog({ home })
  }

  /** The next entry has seen another log up to now. */
  async saw({ log }: EntryLog): Promise<this> {
    const { length } = log
    this.#heads.push({ log: log.key, length, treeHash: await log.treeHash(length) })
    return this
  }

  async add(lamport: number, ...operations: Operation[]): Promise<void> {
    const place = { log: this.log.key, index: this.log.length }
    const header = { lamport, time: TIME, listVersion: 0, heads: this.#heads }
    const plain = encodeEntry({ ...header, contentHead: undefined, operations }, place)
    this.#heads = []
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

function namesOf({ index }: { readonly index: TreeIndex }): string[] {
  return [...index.list(ROOT_INO).keys()].toSorted()
}

t.test('epochs follow one another, and the index goes on from its cursors', async t => {
  const logs = new Logs()
  const store = new MemoryKeyValueStore()
  const first = logs.epoch()
  await first.add(1, create('a'), create('b'))
  const second = logs.epoch()
  await (await second.saw(first)).add(2, rename(first.id(0), 'renamed'))
  const replica = await logs.open({ store })
  t.strictSame(namesOf(replica), ['b', 'renamed'])
  t.ok(replica.wasRebuilt)
  checkIndex(replica.index)
  await replica.close()

  await second.add(3, create('c'))
  const progress: string[] = []
  const onProgress = (done: number, total: number): void => {
    progress.push(`${String(done)}/${String(total)}`)
  }
  const reads = logs.home.readCount
  const again = await logs.open({ store, onProgress })
  t.strictSame(namesOf(again), ['b', 'c', 'renamed'])
  t.notOk(again.wasRebuilt)
  t.equal(logs.home.readCount - reads, 1, 'only what is new is read')
  t.equal(progress.at(-1), '1/1')
  for (const { operationLog: log } of logs.pairs) {
    t.same(again.index.cursor(log.key).length, log.length)
    t.same(again.index.cursor(log.key).treeHash, await log.treeHash(log.length))
  }
  await again.close()
})

t.test('an index that is ahead of an own log, or of another history', async t => {
  for (const [what, length] of Object.entries({ ahead: 4, 'another history': 1 })) {
    const logs = new Logs()
    const log = logs.epoch()
    await log.add(1, create('a'))
    const store = new MemoryKeyValueStore()
    const replica = await logs.open({ store })
    await replica.close()
    replica.index.freeze()
    await replica.index.write([{ log: log.log.key, length, treeHash: filled(32, 1) }])
    await t.rejects(logs.open({ store, refuseRollBack: true }), { code: 'DIVERGED' }, what)
    const anew = await logs.open({ store })
    t.ok(anew.wasRebuilt, what)
    t.strictSame(namesOf(anew), ['a'])
    await anew.close()
  }
})

t.test('an index that is ahead of another device’s log is made anew', async t => {
  for (const isKnown of [true, false]) {
    const logs = new Logs()
    logs.epoch()
    const remote = logs.remote()
    await remote.add(1, create('a'))
    await remote.add(2, create('b'))
    const store = new MemoryKeyValueStore()
    const replica = await logs.open({ store })
    await replica.settled()
    await replica.close()
    if (isKnown) logs.home.truncate(remote.log.key, 1)
    else logs.remotes.pop()
    const anew = await logs.open({ store, refuseRollBack: true })
    await anew.settled()
    t.ok(anew.wasRebuilt)
    t.strictSame(namesOf(anew), isKnown ? ['a'] : [])
    await anew.close()
  }
})

t.test('own entries wait for those of others, at start too', async t => {
  const logs = new Logs()
  const own = logs.epoch()
  const remote = logs.remote()
  await remote.add(1, create('theirs'))
  await (await own.saw(remote)).add(2, rename(remote.id(0), 'ours'))
  await remote.add(2, create('later'))
  const replica = await logs.open()
  t.ok(namesOf(replica).includes('ours'), 'what is ours is there at once')
  await replica.settled()
  t.strictSame(namesOf(replica), ['later', 'ours'])
  await replica.close()

  logs.home.truncate(remote.log.key, 0)
  await t.rejects(logs.open(), { code: 'DIVERGED' }, 'what it had seen is lost')
  logs.epoch()
  const anew = await logs.open({ refuseRollBack: true })
  t.strictSame(namesOf(anew), [], 'a new epoch goes on without it')
  t.equal(anew.status.waiting, 1)
  await remote.add(1, create('theirs'))
  anew.wake(remote.log.key)
  await anew.settled()
  t.strictSame(namesOf(anew), ['ours'], 'until it comes back')
  await anew.close()
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
    const replica = await logs.open({ refuseRollBack: true })
    t.equal(replica.status.damagedEntries, 1, damage)
    t.strictSame(namesOf(replica), ['a', 'c'], damage)
    t.equal(replica.index.cursor(log.log.key).length, 3, 'it is not read again each time')
    t.ok(replica.index.hasGaps)
    checkIndex(replica.index)
    await replica.close()
  }
})

t.test('others are believed about entries that are damaged only here', async t => {
  const logs = new Logs()
  const own = logs.epoch()
  await own.add(1, create('a'))
  await own.add(2, create('b'))
  const remote = logs.remote()
  await (await remote.saw(own)).add(3, create('theirs'))
  await own.add(3, create('c'))
  logs.home.damage(own.log.key, 1)
  const replica = await logs.open({ refuseRollBack: true })
  await replica.settled()
  t.strictSame(replica.status.quarantined, [])
  t.strictSame(namesOf(replica), ['a', 'c', 'theirs'])
  await replica.close()
})

t.test('after an entry at the end that cannot be read nothing goes into the same log', async t => {
  const logs = new Logs()
  const log = logs.epoch()
  await log.add(1, create('a'))
  await log.add(2, create('b'))
  logs.home.damage(log.log.key, 1)
  await t.rejects(logs.open({ refuseRollBack: true }), { code: 'DIVERGED' })
  const next = logs.epoch()
  const replica = await logs.open({ refuseRollBack: true })
  t.strictSame(namesOf(replica), ['a'])
  replica.execute(create('c'))
  await replica.commit()
  await replica.close()
  logs.home.repair(log.log.key, 1)
  const other = await logs.open()
  const row = other.index.recordedEntry(next.log.key, 0)
  t.equal(row?.lamport, 2, 'as of the last entry that it could read')
  t.equal(row?.seen.get(log.log.key), 1, 'nor does anything claim to have seen it')
  await other.close()
})

t.test('what a newer grove wrote refuses everything', async t => {
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
    await t.rejects(logs.open({ store }), { code: 'NEWER_FORMAT' }, newer)
    t.strictSame([...store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) })], [])
  }
})

t.test('a disk that fails to read or to write stops it', async t => {
  const logs = new Logs()
  const log = logs.epoch()
  for (let i = 1; i <= 40; i++) await log.add(i, create(`f${String(i)}`))
  const get = log.log.get.bind(log.log)
  log.log.get = async index => {
    if (index === 20) throw new SyncError('IO', 'by the test')
    return get(index)
  }
  await t.rejects(logs.open(), { code: 'IO' })
  log.log.get = get
  const store = new MemoryKeyValueStore()
  store.failure = new SyncError('NO_SPACE', 'by the test')
  await t.rejects(logs.open({ store }), { code: 'NO_SPACE' })
  store.failure = undefined
  const replica = await logs.open({ store })
  t.equal(namesOf(replica).length, 40)
  await replica.close()
})

t.test('a long catching up is written in parts, each a state that can be gone on from', async t => {
  const logs = new Logs()
  const log = logs.epoch()
  const perEntry = 1000
  const total = Math.ceil(CATCH_UP_ROWS_MAX / perEntry / 3) + 4
  for (let i = 0; i < total; i++) {
    const names = Array.from({ length: perEntry }, (_, at) => create(`${String(i)}-${String(at)}`))
    await log.add(i + 1, ...names)
  }
  const store = new MemoryKeyValueStore()
  const onProgress = (done: number, of: number): void => {
    if (done === of) throw new Error('the process dies')
  }
  await t.rejects(logs.open({ store, onProgress }), /dies/)
  let read = 0
  const replica = await logs.open({ store, onProgress: (_done, of) => (read = of) })
  t.ok(read > 0 && read < total, `${String(total - read)} of ${String(total)} entries were kept`)
  t.equal(replica.index.inode(ROOT_INO).children, total * perEntry)
  await replica.close()
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
      assert.equal(dumpIndex(drive.replica.index), dump(treeOf(entries)), `seed ${String(seed)}`)
      await drive.startEpoch()
      assert.equal(dumpIndex(drive.replica.index), dump(treeOf(entries)), 'a new epoch')
      checkIndex(drive.replica.index)
    }
    await drive.close()
  }
})

async function randomChange(drive: MemoryDrive, random: SeededRandom): Promise<void> {
  const session = new VfsSession(drive.vfs)
  const name = `f${String(random.integer(4))}`
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
