/**
 * Writing the index: with the cursors of the moment it was frozen, not before this device's own
 * entries up to then are in their log, again after a failure, and with room for those who wait.
 */
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import {
  INDEX_FLUSH_SEC,
  INDEX_RETRY_MS,
  INDEX_ROWS_MAX,
  INDEX_ROWS_WAITING_MAX,
  IndexFlusher
} from '../../src/sync/index-flusher.ts'
import { MergedHeads } from '../../src/sync/merged-heads.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import type { TreeIndex } from '../../src/sync/tree-index.ts'
import { filled } from '../support/bytes.ts'
import { openIndex } from '../support/memory-index.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

/** Something to put into a row. */
const ID = { log: new MemoryLog().key, index: 0, number: 0 }

/** An index over a store in memory, and what writes it. */
class Bench {
  readonly clock = new VirtualClock()
  readonly store: MemoryKeyValueStore
  readonly log = new MemoryLog()
  readonly heads = new MergedHeads()
  readonly index: TreeIndex
  readonly flusher: IndexFlusher
  yields = 0
  #count = 0

  private constructor(index: TreeIndex, store: MemoryKeyValueStore) {
    this.index = index
    this.store = store
    index.addLog(ID.log)
    index.addLog(this.log.key)
    this.heads.add(this.log.key, 0, { named: 0, lamport: 0 })
    const { heads, clock, log: ownLog } = this
    this.flusher = new IndexFlusher({
      ...{ index, heads, clock, ownLog },
      treeHashOf: (_log, length) => Promise.resolve(filled(32, length)),
      yieldToEventLoop: () => {
        this.yields += 1
        return setImmediate()
      }
    })
  }

  static async create(): Promise<Bench> {
    const store = new MemoryKeyValueStore()
    return new Bench(await openIndex(store), store)
  }

  /** Changes so many rows, and merges an entry of the device's own. */
  change(rows: number): void {
    for (; rows > 0; rows--) this.index.orphans.put(++this.#count, '', ID)
    this.heads.advance(this.log.key, 1)
  }

  async append(): Promise<void> {
    await this.log.append([filled(1, 1)], this.log.length)
  }

  rowsStored(): number {
    return [...this.store.range({ from: Uint8Array.of(0), to: Uint8Array.of(255) })].length
  }

  async turns(): Promise<void> {
    for (let turn = 0; turn < 200; turn++) await setImmediate()
  }
}

t.test('it is due after many rows or a while', async t => {
  const bench = await Bench.create()
  bench.change(10)
  bench.flusher.freezeIfDue()
  t.notOk(bench.index.isFrozen)
  bench.clock.advance(INDEX_FLUSH_SEC * 1000)
  bench.flusher.freezeIfDue()
  t.ok(bench.index.isFrozen)
  await bench.append()
  bench.flusher.flush()
  await bench.turns()
  t.notOk(bench.index.isFrozen)
  bench.flusher.freezeIfDue()
  t.notOk(bench.index.isFrozen, 'nothing has changed')
  bench.change(INDEX_ROWS_MAX)
  bench.flusher.freezeIfDue()
  t.ok(bench.index.isFrozen)
  await bench.append()
  bench.flusher.flush()
  await bench.turns()
  t.ok(bench.yields >= 4, 'others have their turn while it is written')
  t.same(bench.index.cursor(bench.log.key).length, 2)
  t.same(bench.index.cursor(bench.log.key).treeHash, filled(32, 2))
})

t.test('nothing is written before the entries that it holds', async t => {
  const bench = await Bench.create()
  bench.change(INDEX_ROWS_MAX)
  bench.change(1)
  bench.flusher.freezeIfDue()
  bench.heads.advance(bench.log.key, 1)
  for (let length = 0; length < 2; length++) {
    bench.flusher.flush()
    await bench.turns()
    t.equal(bench.rowsStored(), 0, `${String(length)} entries are appended`)
    await bench.append()
  }
  bench.flusher.flush()
  await bench.turns()
  t.ok(bench.rowsStored() > INDEX_ROWS_MAX)
  t.equal(bench.index.cursor(bench.log.key).length, 2, 'as of the moment it was frozen')
})

t.test('who changes more waits until a write has succeeded', async t => {
  const bench = await Bench.create()
  bench.change(INDEX_ROWS_WAITING_MAX)
  t.equal(bench.flusher.room(), undefined, 'nothing is being written')
  bench.flusher.freezeIfDue()
  t.equal(bench.flusher.room(), undefined)
  bench.change(INDEX_ROWS_WAITING_MAX)
  let isIn = false
  const waiting = bench.flusher.room()?.then(() => (isIn = true))
  bench.store.failure = new SyncError('NO_SPACE', 'by the test')
  await bench.append()
  bench.flusher.flush()
  await bench.turns()
  t.notOk(isIn)
  bench.store.failure = undefined
  bench.clock.advance(INDEX_RETRY_MS)
  await bench.turns()
  t.ok(isIn, 'it was tried again')
  await waiting
})

t.test('whoever waited may have the next rows written at once', async t => {
  const bench = await Bench.create()
  bench.change(INDEX_ROWS_MAX)
  bench.flusher.freezeIfDue()
  bench.change(INDEX_ROWS_WAITING_MAX)
  const next = bench.flusher.room()?.then(() => {
    bench.flusher.freezeIfDue()
    bench.flusher.flush()
  })
  await bench.append()
  await bench.append()
  bench.flusher.flush()
  await next
  await bench.turns()
  t.notOk(bench.index.isFrozen, 'nobody has to ask again')
  t.ok(bench.rowsStored() >= INDEX_ROWS_MAX + INDEX_ROWS_WAITING_MAX)
})

t.test('writeAll() writes what was frozen and what came later, and says why it cannot', async t => {
  const bench = await Bench.create()
  bench.change(INDEX_ROWS_MAX)
  bench.flusher.freezeIfDue()
  bench.change(5)
  await bench.append()
  await bench.append()
  bench.store.failure = new SyncError('NO_SPACE', 'by the test')
  await t.rejects(bench.flusher.writeAll(), { code: 'NO_SPACE' })
  bench.store.failure = undefined
  await bench.flusher.writeAll(100)
  t.equal(bench.index.cursor(bench.log.key).length, 1, 'few rows are left for later')
  await bench.flusher.writeAll()
  t.equal(bench.index.cursor(bench.log.key).length, 2)
  t.equal(bench.index.changeCount, 0)
})

t.test('close() lets in who waits and leaves no timer', async t => {
  const bench = await Bench.create()
  bench.change(INDEX_ROWS_MAX)
  bench.flusher.freezeIfDue()
  bench.change(INDEX_ROWS_WAITING_MAX)
  const waiting = bench.flusher.room()
  bench.store.failure = new SyncError('IO', 'by the test')
  await bench.append()
  bench.flusher.flush()
  await bench.turns()
  t.equal(bench.clock.pendingTimers, 1)
  await bench.flusher.close()
  await waiting
  t.equal(bench.clock.pendingTimers, 0)
  t.equal(bench.flusher.room(), undefined)
})
