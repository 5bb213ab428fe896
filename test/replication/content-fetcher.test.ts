/** What is fetched when, how much at a time, and what happens when it cannot be had. */
import assert from 'node:assert/strict'
import t from 'tap'
import {
  ContentFetcher,
  FETCHES_MAX,
  PAUSE_MS,
  PUSH_GRACE_MS,
  RETRY_MS_MIN,
  SCAN_STEPS_PER_TURN,
  WANTED_BLOCKS_MAX,
  WINDOW_BYTES_MIN,
  WINDOW_BYTES_START,
  type ContentBlock,
  type ContentFetcherParts
} from '../../src/replication/content-fetcher.ts'
import { FetchGauge } from '../../src/replication/remote-core.ts'
import { logKey } from '../../src/sync/log.ts'
import type { FetchOptions } from '../../src/sync/remote-logs.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const LOG = logKey('ab'.repeat(32))

interface Asked {
  readonly index: number
  readonly signal: AbortSignal | undefined
  answer(): void
  fail(code: 'UNREACHABLE' | 'TIMED_OUT' | 'DAMAGED'): void
}

/** A content log that answers when the test says so. */
class Blocks {
  readonly here = new Set<number>()
  readonly asked: Asked[] = []

  has(index: number): boolean {
    return this.here.has(index)
  }

  fetchAhead(index: number, { signal }: FetchOptions): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => reject(new SyncError('INTERRUPTED', 'given up'))
      const settle = (): void => signal?.removeEventListener('abort', giveUp)
      signal?.addEventListener('abort', giveUp)
      this.asked.push({
        index,
        signal,
        answer: () => {
          settle()
          this.here.add(index)
          resolve(new Uint8Array(0))
        },
        fail: code => {
          settle()
          reject(new SyncError(code, 'failed'))
        }
      })
    })
  }

  get indexes(): number[] {
    return this.asked.map(({ index }) => index)
  }
}

const block = (index: number, bytes = 1000): ContentBlock => ({ log: LOG, index, bytes })

/** Lets what is settled settle. */
async function turn(): Promise<void> {
  for (let round = 0; round < 5; round++) await new Promise(resolve => setImmediate(resolve))
}

interface Stage {
  readonly fetcher: ContentFetcher
  readonly blocks: Blocks
  readonly clock: VirtualClock
  readonly gauge: FetchGauge
  readonly reports: string[]
  missing: ContentBlock[]
  hasPeers: boolean
  scans: number
  add(...blocks: ContentBlock[]): void
}

function stage(parts: Partial<ContentFetcherParts> = {}): Stage {
  const [clock, gauge, blocks] = [new VirtualClock(), new FetchGauge(), new Blocks()]
  const reports: string[] = []
  const fetcher = new ContentFetcher({
    policy: 'all',
    blocksOf: () => blocks,
    missing: () => {
      staged.scans++
      return staged.missing.map(each => [each])
    },
    hasPeers: () => staged.hasPeers,
    gauge,
    clock,
    yieldToEventLoop: () => new Promise(resolve => setImmediate(resolve)),
    report: message => reports.push(message),
    ...parts
  })
  const staged: Stage = {
    fetcher,
    blocks,
    clock,
    gauge,
    reports,
    missing: [],
    hasPeers: true,
    scans: 0,
    add: (...added) => {
      fetcher.add(added)
      clock.advance(PUSH_GRACE_MS)
    }
  }
  return staged
}

t.test('what is missing at the start is found and fetched, the smallest first', async t => {
  const staged = stage()
  staged.missing = [block(0, 30), block(1, 10), block(2, 20), block(3, 5)]
  staged.blocks.here.add(3)
  staged.fetcher.start()
  t.ok(staged.fetcher.progress.isCounting)
  await turn()
  t.same(staged.fetcher.progress, { missingBlocks: 3, missingBytes: 60, isCounting: false })
  t.same(staged.blocks.indexes, [1, 2, 0])
  for (const asked of staged.blocks.asked) asked.answer()
  await turn()
  t.same(staged.fetcher.progress, { missingBlocks: 0, missingBytes: 0, isCounting: false })
  await staged.fetcher.close()
})

t.test('the newest goes first, and no more is under way than the window has room for', async t => {
  const staged = stage()
  const size = WINDOW_BYTES_START / 4
  staged.fetcher.start()
  await turn()
  staged.add(...[0, 1, 2, 3, 4, 5].map(index => block(index, size)))
  t.equal(staged.blocks.asked.length, 4, 'a window full')
  staged.add(block(10, 10))
  t.equal(staged.blocks.asked.length, 4)
  staged.blocks.asked[0]?.answer()
  await turn()
  t.equal(staged.blocks.indexes[4], 10, 'the newest')
  t.ok(staged.blocks.asked.length > 5, 'the window has grown')
  await staged.fetcher.close()
})

t.test('late answers make the window smaller, never below its least', async t => {
  const staged = stage()
  staged.fetcher.start()
  await turn()
  const size = WINDOW_BYTES_MIN
  staged.add(...Array.from({ length: 60 }, (_, index) => block(index, size)))
  const underWay = (): number => staged.blocks.asked.length - staged.blocks.here.size
  t.equal(underWay(), 4)
  for (let count = 0; count < 40; count++) {
    staged.clock.advance(1000)
    staged.blocks.asked[count]?.answer()
    await turn()
  }
  t.equal(underWay(), 1)
  await staged.fetcher.close()
})

t.test('no more blocks than a number are under way, however small', async t => {
  const staged = stage()
  staged.fetcher.start()
  await turn()
  staged.add(...Array.from({ length: 500 }, (_, index) => block(index, 1)))
  t.equal(staged.blocks.asked.length, FETCHES_MAX)
  await staged.fetcher.close()
})

t.test('while somebody waits for a block nothing is begun', async t => {
  const staged = stage()
  staged.fetcher.start()
  await turn()
  let done = (): void => undefined
  const reading = staged.gauge.during(() => new Promise<void>(resolve => (done = resolve)))
  staged.add(block(0))
  t.same(staged.blocks.indexes, [])
  done()
  await reading
  t.same(staged.blocks.indexes, [], 'not at once: the next read may follow')
  staged.clock.advance(PAUSE_MS)
  t.same(staged.blocks.indexes, [0])
  await staged.fetcher.close()
})

t.test('a block that comes by itself in the first moment is not asked for', async t => {
  const staged = stage()
  staged.fetcher.start()
  await turn()
  staged.fetcher.add([block(0), block(1)])
  staged.blocks.here.add(0)
  staged.fetcher.arrived(LOG, 0)
  t.equal(staged.fetcher.progress.missingBlocks, 1)
  staged.clock.advance(PUSH_GRACE_MS)
  t.same(staged.blocks.indexes, [1])
  await staged.fetcher.close()
})

t.test('a block that cannot be had stays missing and is tried again', async t => {
  const staged = stage()
  staged.fetcher.start()
  await turn()
  staged.missing = [block(0)]
  staged.add(block(0))
  staged.blocks.asked[0]?.fail('UNREACHABLE')
  await turn()
  t.equal(staged.fetcher.progress.missingBlocks, 1)
  t.equal(staged.blocks.asked.length, 1, 'not at once')
  staged.clock.advance(RETRY_MS_MIN)
  await turn()
  t.same(staged.blocks.indexes, [0, 0])
  staged.blocks.asked[1]?.fail('TIMED_OUT')
  await turn()
  staged.fetcher.peersChanged()
  await turn()
  t.same(staged.blocks.indexes, [0, 0, 0], 'when a device comes')
  t.same(staged.reports, [], 'devices come and go: no news')
  staged.blocks.asked[2]?.fail('DAMAGED')
  await turn()
  t.equal(staged.reports.length, 1, 'damage is')
  await staged.fetcher.close()
})

t.test('what no version needs any more is forgotten at the next look', async t => {
  const staged = stage()
  staged.fetcher.start()
  await turn()
  staged.add(block(0), block(1))
  for (const asked of staged.blocks.asked) asked.fail('UNREACHABLE')
  await turn()
  staged.missing = [block(1)]
  staged.clock.advance(RETRY_MS_MIN)
  await turn()
  t.same(staged.fetcher.progress, { missingBlocks: 1, missingBytes: 1000, isCounting: false })
  t.same(staged.blocks.indexes, [1, 0, 1])
  await staged.fetcher.close()
})

t.test('looking through the index again and again becomes rare', async t => {
  const staged = stage()
  staged.fetcher.start()
  await turn()
  staged.missing = [block(0)]
  staged.add(block(0))
  for (let round = 0; round < 240; round++) {
    staged.blocks.asked.at(-1)?.fail('UNREACHABLE')
    await turn()
    staged.clock.advance(RETRY_MS_MIN)
    await turn()
  }
  t.ok(staged.scans > 5 && staged.scans < 15, `${String(staged.scans)} looks in an hour`)
  await staged.fetcher.close()
})

t.test('a look through an index where nothing is missing gives way too', async t => {
  let pauses = 0
  const yieldToEventLoop = (): Promise<void> => {
    pauses++
    return Promise.resolve()
  }
  const steps = 10 * SCAN_STEPS_PER_TURN
  const missing = () => Array.from({ length: steps }, () => [])
  const staged = stage({ yieldToEventLoop, missing })
  staged.fetcher.start()
  await turn()
  t.equal(pauses, 10)
  t.notOk(staged.fetcher.progress.isCounting)
  await staged.fetcher.close()
})

t.test('what is added during a look through the index is kept', async t => {
  let go = (): void => undefined
  const gate = new Promise<void>(resolve => (go = resolve))
  const staged = stage({ yieldToEventLoop: () => gate })
  staged.missing = Array.from({ length: 600 }, (_, index) => block(index))
  staged.fetcher.start()
  await turn()
  staged.fetcher.add([block(1000)])
  go()
  await turn()
  t.equal(staged.fetcher.progress.missingBlocks, 601)
  t.equal(staged.blocks.indexes[0], 1000, 'and the newest')
  await staged.fetcher.close()
})

t.test('of very many that are added during a look the oldest are found again', async t => {
  let go = (): void => undefined
  const gate = new Promise<void>(resolve => (go = resolve))
  const staged = stage({ yieldToEventLoop: () => gate, policy: 'on-demand' })
  staged.missing = Array.from({ length: SCAN_STEPS_PER_TURN }, (_, index) => block(index, 1))
  staged.fetcher.start()
  await turn()
  const added = 3 * WANTED_BLOCKS_MAX
  for (let index = 0; index < added; index++) staged.fetcher.add([block(1000 + index, 1)])
  go()
  await turn()
  const { missingBlocks, isCounting } = staged.fetcher.progress
  t.ok(missingBlocks <= WANTED_BLOCKS_MAX + SCAN_STEPS_PER_TURN, String(missingBlocks))
  t.ok(isCounting, 'there may be more')
  await staged.fetcher.close()
})

t.test('on demand nothing is fetched until it is hurried, and only that', async t => {
  const staged = stage({ policy: 'on-demand' })
  staged.missing = [block(0)]
  staged.fetcher.start()
  await turn()
  t.same(staged.blocks.indexes, [])
  t.equal(staged.fetcher.progress.missingBlocks, 1)
  staged.fetcher.hurry()
  t.same(staged.blocks.indexes, [0])
  staged.blocks.asked[0]?.answer()
  await turn()
  staged.add(block(1))
  t.same(staged.blocks.indexes, [0], 'the hurry is over')
  staged.fetcher.setPolicy('all')
  t.same(staged.blocks.indexes, [0, 1])
  await staged.fetcher.close()
})

t.test('without peers nothing is asked for; with the first it goes on', async t => {
  const staged = stage()
  staged.hasPeers = false
  staged.missing = [block(0)]
  staged.fetcher.start()
  await turn()
  t.same(staged.blocks.indexes, [])
  staged.hasPeers = true
  staged.fetcher.peersChanged()
  await turn()
  t.same(staged.blocks.indexes, [0])
  await staged.fetcher.close()
})

t.test('more than can be remembered is found again once the rest is here', async t => {
  const staged = stage()
  staged.missing = Array.from({ length: WANTED_BLOCKS_MAX + 10 }, (_, index) => block(index, 1))
  staged.fetcher.start()
  let answered = 0
  for (let round = 0; round < 20_000 && staged.blocks.here.size < staged.missing.length; round++) {
    await new Promise(resolve => setImmediate(resolve))
    for (; answered < staged.blocks.asked.length; answered++)
      staged.blocks.asked[answered]?.answer()
  }
  assert.equal(staged.blocks.here.size, staged.missing.length)
  await turn()
  t.same(staged.fetcher.progress, { missingBlocks: 0, missingBytes: 0, isCounting: false })
  t.equal(staged.scans, 2)
  await staged.fetcher.close()
})

t.test('close() gives up what is under way and begins nothing more', async t => {
  const staged = stage()
  staged.fetcher.start()
  await turn()
  staged.add(block(0))
  const closing = staged.fetcher.close()
  t.ok(staged.blocks.asked[0]?.signal?.aborted)
  await closing
  await staged.fetcher.close()
  staged.add(block(1))
  staged.fetcher.peersChanged()
  await turn()
  t.same(staged.blocks.indexes, [0])
  t.same(staged.reports, [])
  t.equal(staged.clock.pendingTimers, 0)
})
