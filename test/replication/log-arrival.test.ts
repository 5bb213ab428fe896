/** Who waits for blocks is told of the first end there is. */
import t from 'tap'
import { awaitEntries, bringBlocks } from '../../src/replication/log-arrival.ts'
import type {
  ArrivedBlock,
  CoreWatcher,
  ReplicatedCore
} from '../../src/replication/replicated-core.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { rejectsWith } from '../suites/log-suite.ts'

/** A core under a test's control. */
class FakeCore {
  readonly stored = new Set<number>()
  readonly offered = new Set<number>()
  readonly wanted: (readonly number[])[] = []
  readonly watchers = new Set<CoreWatcher>()
  isFrozen = false
  isStarved = false
  contiguousLength = 0

  has(index: number): boolean {
    return this.stored.has(index)
  }
  isOffered(index: number): boolean {
    return this.offered.has(index)
  }
  want(indexes: readonly number[]): () => void {
    this.wanted.push(indexes)
    return () => this.wanted.splice(this.wanted.indexOf(indexes), 1)
  }
  /** What it has been sent unasked, and what happens while that is stored. */
  pushed: (() => Promise<readonly ArrivedBlock[]>) | undefined
  takePushed(): Promise<readonly ArrivedBlock[]> | undefined {
    return this.pushed?.()
  }
  watch(watcher: CoreWatcher): () => void {
    this.watchers.add(watcher)
    return () => this.watchers.delete(watcher)
  }
  tell: CoreWatcher = (news, block) => {
    if (block !== undefined) this.stored.add(block.index)
    for (const watcher of this.watchers) watcher(news, block)
  }
  arrive(index: number): void {
    this.tell('arrived', { index, bytes: 100 + index })
  }
  get asCore(): ReplicatedCore {
    return this as unknown as ReplicatedCore
  }
}

function stage(): {
  core: FakeCore
  clock: VirtualClock
  options: { clock: VirtualClock; idleMs: number }
} {
  const clock = new VirtualClock()
  return { core: new FakeCore(), clock, options: { clock, idleMs: 100 } }
}

t.test('what was sent before is not waited for, nor what comes while that is stored', async t => {
  const { core, options } = stage()
  core.pushed = async () => {
    core.stored.add(1).add(2)
    return [{ index: 1, bytes: 101 }]
  }
  t.same(await bringBlocks(core.asCore, [1, 2], options), new Map([[1, 101]]))
  core.pushed = async () => []
  const bringing = bringBlocks(core.asCore, [3], options)
  await Promise.resolve()
  await Promise.resolve()
  core.arrive(3)
  t.same(await bringing, new Map([[3, 103]]))
})

t.test('it ends when the last block is there, however long the others took', async t => {
  const { core, clock, options } = stage()
  core.stored.add(2)
  const bringing = bringBlocks(core.asCore, [1, 2, 3], options)
  t.same(core.wanted, [[1, 3]])
  clock.advance(99)
  core.arrive(3)
  clock.advance(99)
  core.tell('arrived')
  core.arrive(7)
  clock.advance(99)
  core.arrive(1)
  t.same(
    await bringing,
    new Map([
      [3, 103],
      [1, 101]
    ]),
    'with the sizes of those that came'
  )
  t.same([core.wanted.length, core.watchers.size], [0, 0], 'and nothing is left behind')
  await bringBlocks(core.asCore, [1, 2, 3], options)
})

t.test('it ends when nothing comes: nobody has it, or somebody does not send it', async t => {
  const { core, clock, options } = stage()
  const unreachable = bringBlocks(core.asCore, [1], options)
  clock.advance(100)
  await rejectsWith(t, 'UNREACHABLE', () => unreachable, 'not offered')
  core.offered.add(1)
  const late = bringBlocks(core.asCore, [1], options)
  clock.advance(100)
  await rejectsWith(t, 'TIMED_OUT', () => late, 'offered')
  t.same([core.wanted.length, core.watchers.size], [0, 0])
})

t.test('it ends with the room, with the core and with a conflict', async t => {
  const { core, options } = stage()
  const starved = bringBlocks(core.asCore, [1], options)
  core.tell('starved')
  await rejectsWith(t, 'NO_SPACE', () => starved, 'a full disk')
  core.isStarved = true
  await rejectsWith(t, 'NO_SPACE', () => bringBlocks(core.asCore, [1], options), 'which still is')
  core.isStarved = false
  const closed = bringBlocks(core.asCore, [1], options)
  core.tell('ended')
  await rejectsWith(t, 'CLOSED', () => closed, 'a closed home')
  const frozen = bringBlocks(core.asCore, [1], options)
  core.isFrozen = true
  core.tell('ended')
  await rejectsWith(t, 'UNREACHABLE', () => frozen, 'a conflict')
  await rejectsWith(t, 'UNREACHABLE', () => bringBlocks(core.asCore, [1], options), 'ever after')
  t.same([core.wanted.length, core.watchers.size], [0, 0])
})

t.test('entries are waited for until all before them are there', async t => {
  const { core, clock, options } = stage()
  await awaitEntries(core.asCore, 0, options)
  const waiting = awaitEntries(core.asCore, 3, options)
  core.arrive(2)
  core.contiguousLength = 3
  core.arrive(0)
  await waiting
  await awaitEntries(core.asCore, 3, options)
  const late = awaitEntries(core.asCore, 4, options)
  core.offered.add(3)
  clock.advance(100)
  await rejectsWith(t, 'TIMED_OUT', () => late, 'an entry that is not sent')
})
