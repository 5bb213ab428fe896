/**
 * Reading blocks: from memory, the disk or another device; what arrives is checked against the
 * hash before it is opened, readers share the work, and giving up is one's own affair.
 */
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { hashBlock } from '../../src/crypto/block-hash.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { Sealer } from '../../src/crypto/sealer.ts'
import { BlockReader } from '../../src/sync/block-reader.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { LogNumbers } from '../../src/sync/log-numbers.ts'
import type { BlockRun } from '../../src/sync/region.ts'
import { filled, flipped, fromHex } from '../support/bytes.ts'
import { MemoryBlockStore } from '../support/memory-block-store.ts'
import { MemoryHome } from '../support/memory-home.ts'
import { MemoryRemoteBlocks } from '../support/memory-remote-logs.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const RANDOM = new SeededRandom(1)
const KEYS = KeyTable.generate(RANDOM)
const DEADLINE_MS = 500

function sealerOf(log: LogKey): Sealer {
  const parts = { keys: KEYS, purpose: 'block', drive: filled(32, 7), random: RANDOM } as const
  return new Sealer({ ...parts, log: fromHex(log) })
}

/** A device with a block of its own, and another device that has two blocks. */
class Bench {
  readonly clock = new VirtualClock()
  readonly home = new MemoryHome('here')
  readonly peer = new MemoryHome('there')
  readonly own = new MemoryBlockStore({ home: this.home })
  readonly logs = new LogNumbers()
  readonly remote: MemoryRemoteBlocks
  readonly reader: BlockReader
  readonly pending = new Map<number, Uint8Array>()
  isConnected = true
  isStuck = false

  constructor() {
    const { home, clock } = this
    const homes = () => (this.isConnected ? [this.peer] : [])
    const peers = { homes, isStuck: () => this.isStuck, clock }
    this.remote = new MemoryRemoteBlocks({ home, key: this.peer.newKey(), peers })
    this.logs.add(this.own.key)
    this.logs.add(this.remote.key)
    this.reader = new BlockReader({
      ...{ own: [this.own], logs: this.logs, sealerOf, deadlineMs: DEADLINE_MS },
      pendingBlock: (log, index) => (log === this.own.key ? this.pending.get(index) : undefined)
    })
    this.reader.addRemote(this.remote)
  }

  /** Adds a block to the other device. */
  async addRemote(content: Uint8Array): Promise<BlockRun> {
    const { key } = this.remote
    const store = new MemoryBlockStore({ home: this.peer, key })
    const index = store.length
    const sealed = sealerOf(key).seal(content, index)
    await store.append([sealed], index)
    return this.run(key, index, sealed)
  }

  async addOwn(content: Uint8Array): Promise<BlockRun> {
    const index = this.own.length
    const sealed = sealerOf(this.own.key).seal(content, index)
    await this.own.append([sealed], index)
    return this.run(this.own.key, index, sealed)
  }

  run(log: LogKey, index: number, sealed: Uint8Array): BlockRun {
    const place = { log: this.logs.numberOf(log), index, hash: hashBlock(sealed), blockOffset: 0 }
    return { kind: 'block', offset: 0, length: 1, ...place }
  }
}

t.test('a block of one’s own is read from the disk once, a pending one from memory', async t => {
  const bench = new Bench()
  const run = await bench.addOwn(filled(9, 1))
  t.ok(bench.reader.has(run))
  t.same(await bench.reader.read(run), filled(9, 1))
  t.same(bench.reader.read(run), filled(9, 1), 'in the same tick from now on')
  const sealed = sealerOf(bench.own.key).seal(filled(9, 2), 1)
  bench.pending.set(1, sealed)
  t.same(bench.reader.read(bench.run(bench.own.key, 1, sealed)), filled(9, 2))
  t.equal(bench.remote.fetchCount, 0)
})

t.test('a block of another device is fetched once, whoever wants it, and is here then', async t => {
  const bench = new Bench()
  const run = await bench.addRemote(filled(9, 1))
  t.notOk(bench.reader.has(run))
  bench.reader.prefetch(run)
  const reads = [bench.reader.read(run), bench.reader.read(run)]
  for (const read of await Promise.all(reads)) t.same(read, filled(9, 1))
  t.equal(bench.remote.fetchCount, 1)
  t.ok(bench.reader.has(run))
  bench.isConnected = false
  t.same(await bench.reader.readStored(run), filled(9, 1))
})

t.test('a block of one’s own that was lost is had from the others that keep it', async t => {
  const bench = new Bench()
  const { key } = bench.remote
  const run = await bench.addRemote(filled(9, 1))
  const lost = new BlockReader({
    ...{ own: [new MemoryBlockStore({ home: bench.home, key })], logs: bench.logs },
    ...{ sealerOf, deadlineMs: DEADLINE_MS, pendingBlock: () => undefined }
  })
  t.ok(lost.has(run), 'one’s own blocks are here, as far as is known')
  await t.rejects(Promise.resolve(lost.read(run)), { code: 'MISSING' })
  lost.addRemote(bench.remote)
  t.notOk(lost.has(run))
  t.same(await lost.read(run), filled(9, 1))
  t.ok(lost.has(run))
})

t.test('bytes that are not those that were written are damage', async t => {
  const bench = new Bench()
  const run = await bench.addRemote(filled(9, 1))
  const forged = { ...run, hash: flipped(run.hash, 3) }
  await t.rejects(Promise.resolve(bench.reader.read(forged)), { code: 'DAMAGED' })
  await t.rejects(bench.reader.readStored(forged), { code: 'DAMAGED' })
  t.same(await bench.reader.read(run), filled(9, 1), 'and spoil nothing')
})

t.test('a read has a deadline, and says whether anybody has the block', async t => {
  for (const isConnected of [true, false]) {
    const bench = new Bench()
    const run = await bench.addRemote(filled(9, 1))
    Object.assign(bench, { isConnected, isStuck: true })
    const read = Promise.resolve(bench.reader.read(run))
    read.catch(() => undefined)
    await setImmediate()
    bench.clock.advance(DEADLINE_MS)
    await t.rejects(read, { code: isConnected ? 'TIMED_OUT' : 'UNREACHABLE' })
    Object.assign(bench, { isConnected: true, isStuck: false })
    t.same(await bench.reader.read(run), filled(9, 1), 'the next read tries again')
  }
})

t.test('who gives up does not disturb the others; when all have, the fetch ends', async t => {
  const bench = new Bench()
  const run = await bench.addRemote(filled(9, 1))
  bench.isStuck = true
  const [first, second] = [new AbortController(), new AbortController()]
  const readers = [first, second].map(({ signal }) =>
    t.rejects(Promise.resolve(bench.reader.read(run, { signal })), { code: 'INTERRUPTED' })
  )
  await setImmediate()
  t.equal(bench.remote.fetchCount, 1)
  first.abort()
  await readers[0]
  t.equal(bench.clock.pendingTimers, 1, 'the other one still waits')
  second.abort()
  await readers[1]
  await setImmediate()
  t.equal(bench.clock.pendingTimers, 0)
  const { signal } = first
  await t.rejects(Promise.resolve(bench.reader.read(run, { signal })), { code: 'INTERRUPTED' })
  bench.isStuck = false
  t.same(await bench.reader.read(run), filled(9, 1))
})

t.test('a block that was cleared in between is fetched', async t => {
  const bench = new Bench()
  const run = await bench.addRemote(filled(9, 1))
  let asked = 0
  bench.remote.has = () => ++asked === 1
  t.same(await bench.reader.read(run), filled(9, 1))
  t.equal(bench.remote.fetchCount, 1)
})

t.test('what is of no known log is missing', async t => {
  const bench = new Bench()
  const stranger = new MemoryHome('stranger').newKey()
  bench.logs.add(stranger)
  const run = bench.run(stranger, 0, filled(9, 1))
  t.notOk(bench.reader.has(run))
  await t.rejects(Promise.resolve(bench.reader.read(run)), { code: 'MISSING' })
  await t.rejects(bench.reader.readStored(run), { code: 'MISSING' })
})

t.test('close() gives up what is being fetched and leaves no timer', async t => {
  const bench = new Bench()
  const run = await bench.addRemote(filled(9, 1))
  bench.isStuck = true
  const read = Promise.resolve(bench.reader.read(run))
  read.catch(() => undefined)
  await setImmediate()
  await bench.reader.close()
  await t.rejects(read, { code: 'INTERRUPTED' })
  t.equal(bench.clock.pendingTimers, 0)
  await t.rejects(Promise.resolve(bench.reader.read(run)), { code: 'CLOSED' })
})
