/**
 * The committer: nothing accepted is lost, doubled or reordered whichever write of the disk fails,
 * identities are those handed out, blocks come before the entries that name them, waiting ends,
 * and a log with a second writer stops it.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { hashBlock } from '../../src/crypto/block-hash.ts'
import { Sealer, type SealPurpose } from '../../src/crypto/sealer.ts'
import {
  APPEND_BYTES_MAX,
  COMMIT_DELAY_MS,
  Committer,
  ENTRY_BYTES_TARGET,
  ENTRY_OPERATIONS_TARGET,
  PENDING_BYTES_MAX,
  RETRY_DELAY_MS,
  STREAM_BYTES
} from '../../src/sync/committer.ts'
import { decodeEntry, type EntryPlace } from '../../src/sync/entry-codec.ts'
import type { EntryRow } from '../../src/sync/entry-check.ts'
import type { Entry } from '../../src/sync/entry.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { MergedHeads } from '../../src/sync/merged-heads.ts'
import {
  ROOT_ID,
  type MkdirOperation,
  type Name,
  type OperationId,
  type Piece
} from '../../src/sync/operation.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { filled, toHex } from '../support/bytes.ts'
import { MemoryBlockStore } from '../support/memory-block-store.ts'
import { MemoryHome } from '../support/memory-home.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { patternBytes } from '../support/vfs-session.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const DRIVE = filled(32, 7)
const KEYS = KeyTable.generate(new SeededRandom(1))
const TIME = { sec: 5, nsec: 6 }

/** How far a log is merged. */
interface LogLength {
  readonly log: LogKey
  readonly length: number
}

interface Accepted {
  readonly id: OperationId
  readonly name: string
  /** The block that the operation names, if it names one. */
  readonly block?: { readonly index: number; readonly content: Uint8Array }
}

/** A committer over a disk in memory, and what it accepted. */
class Bench {
  readonly home = new MemoryHome()
  readonly operationLog = new MemoryLog({ home: this.home })
  readonly contentLog = new MemoryBlockStore({ home: this.home })
  readonly clock = new VirtualClock()
  readonly accepted: Accepted[] = []
  /** Callbacks and appends, in the order in which they came. */
  readonly events: string[] = []
  appendCount = 0
  readonly committer: Committer
  readonly #random = new SeededRandom(2)
  #lastName = 0

  readonly heads = new MergedHeads()
  readonly rows: (EntryRow & EntryPlace)[] = []

  constructor(options: { readonly lamport?: number; readonly merged?: readonly LogLength[] } = {}) {
    const { lamport = 0, merged = [] } = options
    this.heads.add(this.operationLog.key, 0, { named: 0, lamport })
    for (const { log, length } of merged) {
      this.heads.add(log, length, { named: length, lamport: 0 })
    }
    for (const [name, log] of [
      ['entries', this.operationLog],
      ['blocks', this.contentLog]
    ] as const) {
      const append = log.append.bind(log)
      log.append = async (entries, expected) => {
        const length = await append(entries, expected)
        const bytes = entries.reduce((sum, entry) => sum + entry.length, 0)
        assert.ok(entries.length === 1 || bytes <= APPEND_BYTES_MAX, 'an append is bounded')
        this.events.push(`${name} ${length}`)
        return length
      }
    }
    this.committer = new Committer({
      operationLog: this.operationLog,
      contentLog: this.contentLog,
      entrySealer: this.sealer('entry', this.operationLog.key),
      blockSealer: this.sealer('block', this.contentLog.key),
      clock: this.clock,
      heads: this.heads,
      seen: new Map(),
      treeHashOf: (_log, length) => Promise.resolve(filled(32, length)),
      onEntry: entry => this.rows.push(entry),
      onClose: () => this.events.push('close'),
      onAppend: () => (this.appendCount += 1),
      onAppended: () => this.events.push('appended')
    })
  }

  sealer(purpose: SealPurpose, log: LogKey): Sealer {
    const key = new Uint8Array(Buffer.from(log, 'hex'))
    return new Sealer({ keys: KEYS, purpose, drive: DRIVE, log: key, random: this.#random })
  }

  /** Accepts an operation with a name of about so many bytes. */
  add(nameBytes = 1): OperationId {
    const name = `${++this.#lastName} `.padEnd(nameBytes, '.')
    const id = this.committer.add(mkdir(name))
    this.accepted.push({ id, name })
    return id
  }

  /** Accepts a block and an operation that names it. */
  addWithBlock(bytes: number): void {
    const name = `write ${++this.#lastName}`
    const content = patternBytes(bytes, this.#lastName)
    const { index, hash } = this.committer.addBlock(content)
    const log = this.contentLog.key
    const piece: Piece = {
      kind: 'block',
      offset: 0,
      length: bytes,
      log,
      index,
      hash,
      blockOffset: 0
    }
    const inode = ROOT_ID
    const id = this.committer.add({
      ...{ type: 'write', inode, through: inode, base: inode, pieces: [piece], size: bytes },
      time: { sec: this.#lastName, nsec: 0 }
    })
    this.accepted.push({ id, name, block: { index, content } })
  }

  async entries(): Promise<Entry[]> {
    const sealer = this.sealer('entry', this.operationLog.key)
    const entries: Entry[] = []
    for (let index = 0; index < this.operationLog.length; index++) {
      const plain = sealer.open(await this.operationLog.get(index), index)
      entries.push(decodeEntry(plain, { log: this.operationLog.key, index }))
    }
    return entries
  }

  /** What was accepted is in the logs: all of it, once, in order, under its identity. */
  async check(): Promise<void> {
    const entries = await this.entries()
    const found: { index: number; number: number; name: string }[] = []
    for (const [index, entry] of entries.entries()) {
      for (const [number, operation] of entry.operations.entries()) {
        const isWrite = operation.type === 'write'
        const name = isWrite ? `write ${operation.time.sec}` : (operation as MkdirOperation).name
        found.push({ index, number, name })
      }
    }
    const expected = this.accepted.map(({ id: { index, number }, name }) => ({
      ...{ index, number, name }
    }))
    assert.deepEqual(found, expected)
    const sealer = this.sealer('block', this.contentLog.key)
    const blocks = this.accepted.flatMap(({ block }) => block ?? [])
    assert.equal(this.contentLog.length, blocks.length, 'no block twice')
    for (const { index, content } of blocks) {
      assert.deepEqual(sealer.open(await this.contentLog.get(index), index), content)
    }
    this.#checkOrder()
  }

  /** Whenever an entry was appended, the blocks it names were there. */
  #checkOrder(): void {
    let [blocks, entries] = [0, 0]
    for (const event of this.events) {
      const [what, length] = [event.split(' ')[0], Number(event.split(' ')[1])]
      if (what === 'blocks') blocks = length
      if (what !== 'entries') continue
      for (const { id, block } of this.accepted) {
        const isNew = id.index >= entries && id.index < length
        if (isNew && block) assert.ok(block.index < blocks, 'blocks come first')
      }
      entries = length
    }
  }
}

function mkdir(name: string): MkdirOperation {
  const owner = { mode: 0o755, uid: 0, gid: 0 }
  return { type: 'mkdir', parent: ROOT_ID, name: name as Name, ...owner, time: TIME }
}

/** Lets everything that can go on without a timer go on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(resolve => setImmediate(resolve))
}

/** @returns 'kept' or the code of the error it was rejected with */
async function outcome(promise: Promise<void>): Promise<string> {
  return promise.then(
    () => 'kept',
    (error: unknown) => (error instanceof SyncError ? error.code : `no SyncError: ${String(error)}`)
  )
}

/** Works while the write number `failAfter` fails. @returns what the callers were told */
async function workWithFault(
  bench: Bench,
  fault: { readonly failAfter: number; readonly failTimes: number; readonly failCode: string }
): Promise<readonly string[]> {
  Object.assign(bench.home, fault)
  const outcomes: Promise<string>[] = []
  for (let round = 0; round < 4; round++) {
    // Two that do not fit one append.
    const isLarge = round === 3 && fault.failTimes === 1 && fault.failCode === 'IO'
    bench.add()
    bench.addWithBlock(5000)
    bench.addWithBlock(isLarge ? APPEND_BYTES_MAX / 2 : 700)
    bench.addWithBlock(isLarge ? APPEND_BYTES_MAX / 2 : 70)
    bench.add()
    const { committer } = bench
    outcomes.push(outcome(round % 2 === 0 ? committer.sync() : committer.commit()))
    bench.addWithBlock(300)
    if (round % 2 === 1) await settle()
  }
  // However often it still fails, each failure costs one delay.
  for (let retry = 0; retry <= fault.failTimes; retry++) {
    bench.clock.advance(RETRY_DELAY_MS)
    await settle()
  }
  while ((await outcome(bench.committer.sync())) !== 'kept') await settle()
  return Promise.all(outcomes)
}

t.test('whichever write fails, nothing is lost, doubled or reordered', async t => {
  for (const failCode of ['NO_SPACE', 'IO'] as const) {
    for (const failTimes of [1, 3]) {
      let failures = 0
      for (let failAfter = 0; ; failAfter++) {
        const bench = new Bench()
        const told = await workWithFault(bench, { failAfter, failTimes, failCode })
        await bench.check()
        assert.equal(bench.committer.failure, undefined)
        assert.ok(bench.committer.pendingBytes < 100)
        for (const code of told) assert.ok(code === 'kept' || code === failCode, code)
        if (bench.home.failTimes === failTimes) break
        failures++
      }
      t.ok(failures >= 7, `${failures} places to fail at`)
    }
  }
})

t.test('a sync() that resolved is kept by a loss of power; one that failed said so', async () => {
  for (let failAfter = 0; failAfter < 12; failAfter++) {
    const bench = new Bench()
    Object.assign(bench.home, { failAfter, failTimes: 1, failCode: 'IO' })
    let synced = 0
    for (let round = 0; round < 3; round++) {
      bench.addWithBlock(1000)
      if ((await outcome(bench.committer.sync())) === 'kept') synced = bench.accepted.length
    }
    bench.home.losePower({ kept: 0 })
    const log = new MemoryLog({ home: bench.home, key: bench.operationLog.key })
    const blocks = new MemoryBlockStore({ home: bench.home, key: bench.contentLog.key })
    const last = bench.accepted[synced - 1]
    assert.ok(log.length > (last?.id.index ?? -1), `after ${failAfter}: the entry`)
    assert.ok(blocks.length > (last?.block?.index ?? -1), `after ${failAfter}: the block`)
  }
})

t.test('a log with a second writer stops it, and nothing of ours follows', async t => {
  for (const which of ['operationLog', 'contentLog'] as const) {
    const bench = new Bench()
    bench.addWithBlock(100)
    await bench.committer.commit()
    const log = bench[which]
    const other = new MemoryBlockStore({ home: bench.home, key: log.key })
    await other.append([filled(10, 1)], other.length)
    const [entries, blocks] = [bench.operationLog.length, bench.contentLog.length]

    bench.addWithBlock(100)
    const waiting = [bench.committer.commit(), bench.committer.sync()].map(outcome)
    t.strictSame(await Promise.all(waiting), ['DIVERGED', 'DIVERGED'])
    t.equal(bench.operationLog.length, entries, `${which}: no entry after it`)
    if (which === 'contentLog') t.equal(bench.contentLog.length, blocks, 'no block after it')
    t.throws(() => bench.add(), { code: 'DIVERGED' })
    t.throws(() => bench.committer.addBlock(filled(1, 1)), { code: 'DIVERGED' })
    t.throws(() => bench.committer.room(), { code: 'DIVERGED' })
    t.throws(() => bench.committer.commit(), { code: 'DIVERGED' })
    t.equal(bench.clock.pendingTimers, 0, 'it does not try again')
    await t.rejects(bench.committer.close(), { code: 'DIVERGED' })
    t.throws(() => bench.add(), SyncError)
  }
})

t.test('room() waits while too much is pending, and is let in by the append', async t => {
  const bench = new Bench()
  t.equal(bench.committer.room(), undefined)
  let release = (): void => undefined
  const held = new Promise<void>(resolve => (release = resolve))
  const append = bench.contentLog.append.bind(bench.contentLog)
  bench.contentLog.append = async (...args) => {
    await held
    return append(...args)
  }
  while (bench.committer.pendingBytes <= PENDING_BYTES_MAX) bench.addWithBlock(STREAM_BYTES)
  const waiting = [bench.committer.room(), bench.committer.room()]
  let admitted = 0
  for (const room of waiting) void room?.then(() => admitted++)
  await settle()
  t.equal(admitted, 0)
  release()
  await Promise.all(waiting)
  t.ok(bench.committer.pendingBytes <= PENDING_BYTES_MAX / 2)
  t.equal(bench.committer.room(), undefined)
  await bench.committer.close()
  await bench.check()
})

t.test('room() is rejected when the disk refuses, and says so at once while it does', async t => {
  const bench = new Bench()
  Object.assign(bench.home, { failAfter: 0, failCode: 'NO_SPACE' })
  while (bench.committer.pendingBytes <= PENDING_BYTES_MAX) bench.addWithBlock(STREAM_BYTES)
  const room = bench.committer.room()
  if (room === undefined) throw new Error('there is no room')
  await t.rejects(room, { code: 'NO_SPACE' })
  t.throws(() => bench.committer.room(), { code: 'NO_SPACE' })
  t.match(bench.committer.failure, { code: 'NO_SPACE' })
  bench.home.failAfter = Infinity
  bench.clock.advance(RETRY_DELAY_MS)
  await settle()
  t.equal(bench.committer.room(), undefined, 'the next attempt made room')
  await bench.committer.close()
  await bench.check()
})

t.test('close() with a disk that fails rejects, does not hang and leaves no timer', async t => {
  for (const failAfter of [0, 1, 2]) {
    const bench = new Bench()
    bench.addWithBlock(100)
    Object.assign(bench.home, { failAfter, failCode: 'IO' })
    await t.rejects(bench.committer.close(), { code: 'IO' })
    t.equal(bench.clock.pendingTimers, 0)
    t.throws(() => bench.add(), { code: 'CLOSED' })
    bench.home.failAfter = Infinity
    bench.clock.advance(10 * RETRY_DELAY_MS)
    await settle()
    t.equal(bench.operationLog.length, failAfter === 2 ? 1 : 0, 'nothing is done after it')
  }
})

t.test('close() commits and syncs what was accepted before, and accepts no more', async t => {
  const bench = new Bench()
  bench.addWithBlock(100)
  bench.add()
  const closing = bench.committer.close()
  t.throws(() => bench.committer.add(mkdir('late')), { code: 'CLOSED' })
  t.throws(() => bench.committer.addBlock(filled(1, 1)), { code: 'CLOSED' })
  await Promise.all([closing, bench.committer.close()])
  t.equal(bench.home.unsyncedCount, 0)
  t.equal(bench.clock.pendingTimers, 0)
  await bench.check()
  await bench.committer.close()
})

t.test(`an entry is closed when it reaches ${ENTRY_BYTES_TARGET} bytes`, async t => {
  const bench = new Bench()
  while (bench.committer.closedLength < 4) {
    bench.committer.add({ type: 'statement', bytes: filled(6000, 1) })
  }
  await bench.committer.commit()
  const entries = await bench.entries()
  const [, , , , last] = entries
  t.equal(last?.operations.length, 1, 'the one for which there was no room')
  const sizes = entries.slice(0, 4).map(({ operations }) => operations.length)
  t.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, 'about the same number of operations in each')
  for (let index = 0; index < 4; index++) {
    const { length } = await bench.operationLog.get(index)
    t.ok(length >= ENTRY_BYTES_TARGET && length < ENTRY_BYTES_TARGET * 1.2, `${length} bytes`)
  }
})

t.test('many calls of sync() and commit() share an append and a sync', async t => {
  const bench = new Bench()
  const calls: Promise<void>[] = []
  for (let i = 0; i < 50; i++) {
    bench.add()
    calls.push(i % 2 === 0 ? bench.committer.sync() : bench.committer.commit())
  }
  await Promise.all(calls)
  t.equal(bench.operationLog.length, 1)
  t.equal(bench.home.syncCount, 1)

  const first = bench.committer.sync()
  await Promise.resolve()
  const late: Promise<void>[] = []
  for (let i = 0; i < 50; i++) {
    bench.add()
    late.push(bench.committer.sync())
  }
  await Promise.all([first, ...late])
  t.ok(bench.home.syncCount <= 3, 'those that came while one was under way share the next')
  await bench.check()
})

t.test('a call that comes just as a round ends is not forgotten', async t => {
  for (let ticks = 0; ticks < 20; ticks++) {
    const bench = new Bench()
    bench.add()
    await bench.committer.commit()
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve()
    bench.add()
    let isDone = false
    void bench.committer.commit().then(() => (isDone = true))
    await settle()
    t.ok(isDone, `after ${ticks} turns`)
  }
})

t.test('what nobody asks for is committed after a while; streams at once', async t => {
  const bench = new Bench()
  bench.add()
  bench.clock.advance(COMMIT_DELAY_MS - 1)
  await settle()
  t.equal(bench.operationLog.length, 0)
  bench.clock.advance(1)
  await settle()
  t.equal(bench.operationLog.length, 1)
  t.equal(bench.home.syncCount, 0, 'a commit does not sync')

  bench.add()
  bench.committer.commitWithin(2)
  bench.committer.commitWithin(COMMIT_DELAY_MS)
  bench.clock.advance(2)
  await settle()
  t.equal(bench.operationLog.length, 2, 'the sooner of the wishes counts')
  t.equal(bench.clock.pendingTimers, 0)

  bench.addWithBlock(STREAM_BYTES)
  await settle()
  t.equal(bench.contentLog.length, 1)
  await bench.check()
})

t.test('commit() without anything to commit appends nothing', async t => {
  const bench = new Bench()
  await bench.committer.commit()
  await bench.committer.sync()
  await bench.committer.close()
  t.equal(bench.operationLog.length, 0)
  t.equal(bench.home.syncCount, 2)
})

t.test(
  'entries have the lamport that follows, heads that are news, content heads when changed',
  async t => {
    const [earlier, empty] = [new MemoryHome('old').newKey(), new MemoryHome('empty').newKey()]
    const merged = [
      { log: earlier, length: 9 },
      { log: empty, length: 0 }
    ]
    const bench = new Bench({ lamport: 41, merged })
    bench.addWithBlock(10)
    await bench.committer.commit()
    bench.add()
    await bench.committer.commit()
    bench.addWithBlock(20)
    bench.addWithBlock(30)
    await bench.committer.commit()
    const entries = await bench.entries()
    t.strictSame(
      entries.map(({ lamport }) => lamport),
      [42, 43, 44]
    )
    t.strictSame(
      entries.map(({ heads }) => heads.map(({ log, length }) => [log, length])),
      [[[earlier, 9]], [], []]
    )
    t.same(entries[0]?.heads[0]?.treeHash, filled(32, 9))
    t.strictSame(
      entries.map(({ contentHead }) => contentHead?.length),
      [1, undefined, 3]
    )
    const [, , last] = entries
    t.equal(
      toHex(last?.contentHead?.treeHash ?? filled(1, 0)),
      toHex(await bench.contentLog.treeHash(3))
    )
  }
)

t.test('an entry that could not be completed is completed the next time', async t => {
  const bench = new Bench({ lamport: 5 })
  const treeHash = bench.contentLog.treeHash.bind(bench.contentLog)
  bench.contentLog.treeHash = () => Promise.reject(new Error('by the test'))
  bench.addWithBlock(10)
  await t.rejects(bench.committer.commit(), { code: 'IO' })
  bench.contentLog.treeHash = treeHash
  await bench.committer.commit()
  await bench.check()
  t.match(await bench.entries(), [{ lamport: 6, contentHead: { length: 1 } }])
})

t.test(
  'onClose() comes when nothing is open and before the append, onAppended() after',
  async t => {
    const bench = new Bench()
    bench.addWithBlock(10)
    await bench.committer.sync()
    t.strictSame(bench.events, ['close', 'blocks 1', 'entries 1', 'appended'])
    t.equal(bench.appendCount, 2, 'each append is told')
    t.equal(bench.committer.closedLength, 1)
    bench.home.failAfter = 0
    bench.add()
    await t.rejects(bench.committer.commit())
    t.strictSame(bench.events.slice(4), ['close'], 'what failed is not told as appended')
  }
)

t.test('pendingBlock() has a block until it is in the log, and no longer', async t => {
  const bench = new Bench()
  const content = patternBytes(100)
  const { index, hash } = bench.committer.addBlock(content)
  const pending = bench.committer.pendingBlock(index)
  if (!pending) throw new Error('it is pending')
  t.equal(toHex(hashBlock(pending.slice())), toHex(hash))
  await bench.committer.commit()
  t.equal(bench.committer.pendingBlock(index), undefined)
  t.equal(toHex(await bench.contentLog.get(index)), toHex(pending))
  t.equal(bench.committer.pendingBlock(index + 1), undefined)
})

t.test('an operation that cannot be written is refused and spoils no other', async t => {
  const bench = new Bench()
  bench.add()
  const stranger = { log: new MemoryHome('stranger').newKey(), index: 1, number: 0 }
  const bad = [
    { ...mkdir('uid'), parent: stranger, uid: 2 ** 32 },
    { ...mkdir('time'), time: { sec: 2 ** 60, nsec: 0 } },
    { ...mkdir('a/b') },
    { ...mkdir('ahead'), parent: { log: bench.operationLog.key, index: 0, number: 99 } }
  ]
  for (const operation of bad) t.throws(() => bench.committer.add(operation), RangeError)
  bench.add()
  await bench.committer.commit()
  await bench.check()
})

t.test('an entry has seen what was merged when it was closed, not when it is sealed', async t => {
  const other = new MemoryHome('other').newKey()
  const own = new MemoryHome().newKey()
  const bench = new Bench({ lamport: 3, merged: [{ log: other, length: 1 }] })
  bench.add()
  bench.committer.closeEntry()
  bench.committer.closeEntry()
  bench.heads.advance(other, 7)
  bench.clock.advance(1)
  bench.add()
  bench.add()
  await bench.committer.commit()
  bench.heads.advance(other, 11)
  bench.committer.addHeads()
  await bench.committer.commit()
  const entries = await bench.entries()
  t.strictSame(
    entries.map(({ lamport, operations }) => [lamport, operations.length]),
    [
      [4, 1],
      [8, 2],
      [12, 0]
    ]
  )
  t.strictSame(
    entries.map(({ heads }) => heads.map(({ log, length }) => [log, length])),
    [[[other, 1]], [[other, 2]], [[other, 3]]]
  )
  t.strictSame(
    bench.rows.map(({ index, lamport, seen }) => [index, lamport, [...seen]]),
    [
      [0, 4, [[other, 1]]],
      [
        ...[1, 8],
        [
          [own, 1],
          [other, 2]
        ]
      ],
      [
        ...[2, 12],
        [
          [own, 2],
          [other, 3]
        ]
      ]
    ]
  )
  t.same(
    bench.rows.map(({ time }) => time),
    entries.map(({ time }) => time)
  )
  await bench.committer.close()
})

t.test(`an entry is closed when it has ${ENTRY_OPERATIONS_TARGET} operations`, async t => {
  const bench = new Bench()
  for (let i = 0; i < ENTRY_OPERATIONS_TARGET * 2; i++) bench.add()
  t.equal(bench.committer.closedLength, 1, 'full, and open until it is asked for more')
  await bench.committer.commit()
  await bench.check()
  t.equal(bench.operationLog.length, 2)
  await bench.committer.close()
})
