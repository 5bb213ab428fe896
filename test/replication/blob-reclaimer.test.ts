/** Cleared blocks give their disk space back, and never those that live. */
import assert from 'node:assert/strict'
import t from 'tap'
import { BlobReclaimer, type MovableLog, type Range } from '../../src/replication/blob-reclaimer.ts'
import { LogHome } from '../../src/replication/log-home.ts'
import { identityOf, withDirectory } from '../support/hypercore-home.ts'

const BLOCK_BYTES = 65_536
const BLOCKS = 1024

const block = (index: number): Buffer => Buffer.alloc(BLOCK_BYTES, 1 + (index % 251))

/** Fills a store, clears what `isDead` says, compacts; returns the bytes before and after. */
async function reclaimed(
  directory: string,
  isDead: (index: number) => boolean
): Promise<{ before: number; after: number }> {
  const home = await LogHome.open({ directory })
  try {
    const store = await home.openBlockStore(identityOf('content'))
    for (let index = 0; index < BLOCKS; index += 16) {
      const blocks = Array.from({ length: 16 }, (_, i) => block(index + i))
      await store.append(blocks, index)
    }
    await store.compact()
    const before = await home.bytesOnDisk()
    for (let index = 0; index < BLOCKS; index++)
      if (isDead(index)) await store.clear({ from: index, to: index + 1 })
    await store.compact()
    const after = await home.bytesOnDisk()
    for (let index = 0; index < BLOCKS; index++) {
      assert.equal(await store.has(index), !isDead(index))
      if (!isDead(index)) assert.ok(block(index).equals(await store.get(index)))
    }
    return { before, after }
  } finally {
    await home.close()
  }
}

t.test('compact() gives back what is cleared, however it lies', async t => {
  const live = (isDead: (index: number) => boolean): number =>
    Array.from({ length: BLOCKS }, (_, index) => index).filter(index => !isDead(index)).length
  for (const [name, isDead] of [
    ['all but the last', (index: number) => index < BLOCKS - 1],
    ['one run', (index: number) => index >= 300 && index < 900],
    ['three of four', (index: number) => index % 4 !== 0]
  ] as const)
    await withDirectory(async directory => {
      const { before, after } = await reclaimed(directory, isDead)
      const wanted = live(isDead) * BLOCK_BYTES
      const given = before - after
      const cleared = (BLOCKS - live(isDead)) * BLOCK_BYTES
      t.ok(given > cleared * 0.7, `${name}: ${String(given)} of ${String(cleared)} given back`)
      t.ok(after >= wanted, `${name}: what lives is there`)
    })
})

/** A log that only counts. */
class CountingLog implements MovableLog {
  readonly length = 1280
  moves: Range[] = []
  stored: number
  constructor(stored: number) {
    this.stored = stored
  }
  storedCount(range: Range): number {
    return Math.floor((range.to - range.from) * this.stored)
  }
  async move(range: Range): Promise<{ bytes: number; next: number }> {
    this.moves.push(range)
    return { bytes: 1, next: range.to }
  }
}

/** A database that says how much is dead and counts its compactions. */
function database(garbage: number, total: number) {
  const counts = { compactions: 0 }
  return {
    counts,
    garbage,
    async compactRange(): Promise<void> {
      counts.compactions++
    },
    async getProperty(name: string): Promise<string> {
      return String(name === 'rocksdb.live-blob-file-garbage-size' ? this.garbage : total)
    }
  }
}

t.test('reclaim() moves nothing while little is dead', async t => {
  for (const [garbage, total] of [
    [0, 0],
    [10e6, 11e6],
    [29e6, 100e6],
    [2.9e9, 10e9]
  ] as const) {
    const [log, rocks] = [new CountingLog(0.5), database(garbage, total)]
    await new BlobReclaimer(rocks).reclaim(log)
    t.equal(log.moves.length, 0)
    t.equal(rocks.counts.compactions, 1)
  }
})

t.test('reclaim() moves sparse regions alone', async t => {
  for (const [stored, moves] of [
    [0, 0],
    [0.1, 10],
    [0.7, 10],
    [0.8, 0],
    [1, 0]
  ] as const) {
    const log = new CountingLog(stored)
    await new BlobReclaimer(database(50e6, 100e6)).reclaim(log)
    t.equal(log.moves.length, moves, `${String(stored)} of each region lives`)
  }
})

t.test('reclaim() does not move again what moving did not help', async t => {
  const [log, rocks] = [new CountingLog(0.5), database(50e6, 100e6)]
  const reclaimer = new BlobReclaimer(rocks)
  await reclaimer.reclaim(log)
  await reclaimer.reclaim(log)
  t.equal(log.moves.length, 10)
  rocks.garbage = 70e6
  await reclaimer.reclaim(log)
  t.equal(log.moves.length, 20, 'until much more is dead')
})

t.test('reclaim() runs one at a time, also after a failure', async t => {
  const rocks = database(0, 0)
  const reclaimer = new BlobReclaimer({
    ...rocks,
    compactRange: async () => {
      if (rocks.counts.compactions++ === 0) throw new Error('broken')
    }
  })
  const [first, second] = await Promise.allSettled([
    reclaimer.reclaim(new CountingLog(1)),
    reclaimer.reclaim(new CountingLog(1))
  ])
  t.same([first.status, second.status], ['rejected', 'fulfilled'])
})
