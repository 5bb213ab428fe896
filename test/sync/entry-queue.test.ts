/**
 * Reading a log's entries ahead: in order, within a window of entries and bytes, opened only when
 * asked to, and again after what failed was dropped.
 */
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { Sealer } from '../../src/crypto/sealer.ts'
import {
  ENTRIES_AHEAD_MAX,
  ENTRY_BYTES_AHEAD,
  EntryQueue,
  hasHistory,
  openEntry
} from '../../src/sync/entry-queue.ts'
import { encodeEntry } from '../../src/sync/entry-codec.ts'
import { ENTRY_BYTES_MAX, logKey } from '../../src/sync/log.ts'
import type { Operation } from '../../src/sync/operation.ts'
import { filled, flipped, fromHex } from '../support/bytes.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const RANDOM = new SeededRandom(1)
const KEYS = KeyTable.generate(RANDOM)
const CONTENT = logKey('cc'.repeat(32))
const never = (): boolean => false
const always = (): boolean => true

/** A log with so many entries of about so many bytes, and a queue that reads it. */
class Bench {
  readonly log = new MemoryLog()
  readonly sealer = new Sealer({
    ...{ keys: KEYS, purpose: 'entry', drive: filled(32, 7), random: RANDOM },
    log: fromHex(this.log.key)
  })
  readonly queue: EntryQueue
  reads = 0

  constructor({ isOwn = false, from = 0 } = {}) {
    const { log, sealer } = this
    const onRead = (): void => {
      this.reads += 1
    }
    this.queue = new EntryQueue({ log, contentLog: CONTENT, isOwn, from, sealer, onRead })
  }

  async add(count: number, bytes = 1): Promise<void> {
    for (; count > 0; count--) {
      const index = this.log.length
      const statement: Operation = { type: 'statement', bytes: filled(bytes, 1) }
      const header = { lamport: index + 1, time: { sec: 0, nsec: 0 }, listVersion: 0 }
      const entry = { ...header, heads: [], contentHead: undefined, operations: [statement] }
      const plain = encodeEntry(entry, { log: this.log.key, index })
      await this.log.append([this.sealer.seal(plain, index)], index)
    }
  }

  /** Reads, and opens all that was read. */
  async fill(): Promise<number> {
    this.queue.readAhead()
    await setImmediate()
    return this.queue.open(never)
  }
}

t.test('entries come in order, from where it was told to start', async t => {
  const bench = new Bench({ from: 3 })
  await bench.add(ENTRIES_AHEAD_MAX * 2)
  const lamports: number[] = []
  while (bench.queue.remaining > 0) {
    await bench.fill()
    const { front } = bench.queue
    t.equal(front?.index, bench.queue.index)
    lamports.push(front?.entry.lamport ?? 0)
    bench.queue.take()
  }
  t.strictSame(
    lamports,
    Array.from({ length: ENTRIES_AHEAD_MAX * 2 - 3 }, (_, at) => at + 4)
  )
  t.equal(bench.reads, lamports.length, 'each is read once')
  t.equal(bench.queue.bytesAhead, 0)
  await bench.add(1)
  t.equal(bench.queue.remaining, 1)
  await bench.fill()
  t.equal(bench.queue.front?.index, bench.log.length - 1, 'and what is appended later')
})

t.test('so many entries are read ahead, and fewer when they are large', async t => {
  const small = new Bench()
  await small.add(ENTRIES_AHEAD_MAX * 2)
  t.equal(await small.fill(), ENTRIES_AHEAD_MAX)
  t.equal(await small.fill(), 0)

  const large = new Bench()
  const bytes = ENTRY_BYTES_AHEAD / 4
  await large.add(ENTRIES_AHEAD_MAX * 2, bytes)
  await large.fill()
  for (let i = 0; i < ENTRIES_AHEAD_MAX + 1; i++) {
    large.queue.take()
    await large.fill()
  }
  t.ok(large.queue.bytesAhead <= ENTRY_BYTES_AHEAD, `${String(large.queue.bytesAhead)} bytes`)
  t.ok(large.queue.bytesAhead > bytes, 'more than one')
})

t.test('opening stops when the time is up, after one at least', async t => {
  const bench = new Bench()
  await bench.add(5)
  bench.queue.readAhead()
  t.ok(bench.queue.isBusy)
  t.equal(bench.queue.open(never), 0, 'nothing was read yet')
  await setImmediate()
  t.ok(bench.queue.isBusy)
  t.equal(bench.queue.open(always), 1)
  t.notOk(bench.queue.isBusy)
  t.equal(bench.queue.open(always), 1)
  t.equal(bench.queue.open(never), 3)
})

t.test('what cannot be read is an error of its turn, and tried again after drop()', async t => {
  const bench = new Bench()
  await bench.add(3)
  bench.log.home.damage(bench.log.key, 1)
  t.equal(await bench.fill(), 1, 'those behind it wait')
  t.equal(bench.queue.error, undefined)
  bench.queue.take()
  t.match(bench.queue.error, { code: 'DAMAGED' })
  t.notOk(bench.queue.isBusy)
  t.equal(await bench.fill(), 0)
  bench.log.home.repair(bench.log.key, 1)
  bench.queue.drop()
  t.equal(bench.queue.error, undefined)
  t.equal(await bench.fill(), 2)
  bench.queue.fail(new Error('by the test'))
  t.equal(bench.queue.front, undefined)
  t.match(bench.queue.error, { message: 'by the test' })
})

t.test('nothing is read while it waits for a cause or after it was refused', async t => {
  const bench = new Bench()
  await bench.add(3)
  bench.queue.cause = { log: CONTENT, length: 1 }
  t.equal(await bench.fill(), 0)
  bench.queue.cause = undefined
  t.equal(await bench.fill(), 3)
  bench.queue.refuse('by the test')
  t.equal(bench.queue.front, undefined)
  t.equal(bench.queue.bytesAhead, 0)
  t.equal(await bench.fill(), 0)
})

t.test('what arrives after drop() does not count', async t => {
  const bench = new Bench()
  await bench.add(3)
  bench.queue.readAhead()
  bench.queue.drop()
  await setImmediate()
  t.equal(bench.queue.bytesAhead, 0)
  t.equal(bench.queue.open(never), 0)
})

t.test('own entries and those without heads need no histories compared', async t => {
  const bench = new Bench({ isOwn: true })
  await bench.add(1)
  await bench.fill()
  t.equal(bench.queue.front?.histories, 'same')
})

t.test('openEntry() tells damage from what breaks the rules', async t => {
  const bench = new Bench()
  await bench.add(1)
  const { sealer, log } = bench
  const sealed = await log.get(0)
  const place = { log: log.key, index: 0, sealer }
  t.equal(openEntry(sealed, place).lamport, 1)
  t.throws(() => openEntry(sealed, { ...place, index: 1 }), { code: 'DAMAGED' })
  t.throws(() => openEntry(flipped(sealed, 40), place), { code: 'DAMAGED' })
  t.throws(() => openEntry(new Uint8Array(0), place), { code: 'DAMAGED' })
  t.throws(() => openEntry(sealer.seal(filled(9, 0), 0), place), { code: 'MALFORMED' })
  t.throws(() => openEntry(new Uint8Array(ENTRY_BYTES_MAX + 1), place), { code: 'MALFORMED' })
})

t.test('hasHistory() compares tree hashes', async t => {
  const bench = new Bench()
  await bench.add(2)
  const head = { log: bench.log.key, length: 1, treeHash: await bench.log.treeHash(1) }
  t.ok(await hasHistory(bench.log, head))
  t.notOk(await hasHistory(bench.log, { ...head, length: 2 }))
  t.notOk(await hasHistory(bench.log, { ...head, treeHash: new Uint8Array(0) }))
})
