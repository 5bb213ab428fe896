/** What a scrub finds, and how fast it reads. */
import t, { type Test } from 'tap'
import {
  KeeperScrub,
  SCRUB_BYTES_PER_SECOND,
  SCRUB_IDLE_MS
} from '../../src/replication/keeper-scrub.ts'
import { countBits } from '../../src/sync/block-bitmap.ts'
import { blocksOf, logOf, makeBlocks } from '../suites/holder-link-suite.ts'
import { filled } from '../support/bytes.ts'
import { MemorySource } from '../support/memory-kept-logs.ts'
import { MemoryKeeper } from '../support/memory-keeper.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const log = logOf('a')
const { signal } = new AbortController()

async function stage(t: Test, blocks: readonly Uint8Array[]) {
  const source = new MemorySource()
  source.add(log, blocks)
  const drive = await ReplicatedDrive.make()
  const clock = new VirtualClock()
  const keeper = new MemoryKeeper({ drive, source, clock })
  await keeper.person.holds.hold(blocksOf(log, 0, blocks.length), signal)
  let reads = 0
  const read = keeper.logs.read.bind(keeper.logs)
  keeper.logs.read = (of, index) => {
    reads++
    return read(of, index)
  }
  const reports: string[] = []
  const scrub = new KeeperScrub({
    persons: () => [keeper.person],
    ...{ clock, random: new SeededRandom(1), report: message => reports.push(message) }
  })
  t.teardown(() => scrub.close())
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
  }
  return { scrub, keeper, pass, reads: () => reads, reports }
}

t.test('a block that went bad is found and promised no more', async t => {
  const { scrub, keeper, pass } = await stage(t, makeBlocks(20))
  keeper.logs.damage(log, 7)
  scrub.start()
  await pass(1000)
  t.equal(countBits(keeper.person.book.kept({ log, window: 0 })), 19)
  t.equal(keeper.person.book.sequence, 2, 'a receipt says so')
})

t.test('so much is read in a second', async t => {
  const blocks = Array.from({ length: 40 }, (_, n) => filled(SCRUB_BYTES_PER_SECOND / 4, n))
  const { scrub, pass, reads } = await stage(t, blocks)
  scrub.start()
  await pass(1000)
  t.equal(reads(), 4)
  await pass(999)
  t.equal(reads(), 4)
  await pass(1)
  t.equal(reads(), 8)
  await scrub.close()
  await pass(10_000)
  t.equal(reads(), 8, 'closed')
})

t.test('a disk that fails is reported, and loses nothing', async t => {
  const { scrub, keeper, pass, reports, reads } = await stage(t, makeBlocks(5))
  keeper.logs.failAfter = 2
  scrub.start()
  await pass(1000)
  t.same(reports, ['a scrub failed'])
  t.equal(reads(), 5, 'the rest is looked at')
  t.equal(countBits(keeper.person.book.kept({ log, window: 0 })), 5)
  await pass(1000)
  t.equal(reports.length, 1, 'it goes on')
})

t.test('nothing to read is looked at rarely', async t => {
  const { scrub, keeper, pass, reads } = await stage(t, makeBlocks(1))
  await keeper.person.forgetAll()
  const before = reads()
  scrub.start()
  await pass(1000)
  await keeper.person.holds.hold(blocksOf(log, 0, 1), signal)
  const held = reads()
  t.equal(held, before, 'what just came is not read')
  await pass(SCRUB_IDLE_MS - 1)
  t.equal(reads(), held)
  await pass(1)
  await pass(1000)
  t.ok(reads() > held)
})
