/** The log and the block store in memory pass the suites of the real ones. */
import t from 'tap'
import type { LogKey } from '../../src/sync/log.ts'
import { blockStoreSuite } from '../suites/block-store-suite.ts'
import { logSuite, rejectsWith, bytes, type LogHomeSubject } from '../suites/log-suite.ts'
import { MemoryBlockStore } from '../support/memory-block-store.ts'
import { MemoryHome } from '../support/memory-home.ts'
import { MemoryLog } from '../support/memory-log.ts'

type Open<L> = (options: { home: MemoryHome; key: LogKey }) => L

function subject<L extends MemoryLog>(open: Open<L>): { create(): Promise<LogHomeSubject<L>> } {
  return {
    create: async () => {
      const home = new MemoryHome()
      const keys = new Map<string, LogKey>()
      return {
        open: async name => {
          const key = keys.get(name) ?? home.newKey()
          keys.set(name, key)
          return open({ home, key })
        },
        restart: async () => home.kill(),
        losePower: async () => home.losePower(),
        close: async () => home.kill()
      }
    }
  }
}

logSuite(
  t,
  'MemoryLog',
  subject(options => new MemoryLog(options))
)
blockStoreSuite(
  t,
  'MemoryBlockStore',
  subject(options => new MemoryBlockStore(options))
)

t.test('losePower() keeps a prefix of the writes over all logs', async t => {
  const home = new MemoryHome()
  const [left, right] = [new MemoryBlockStore({ home }), new MemoryLog({ home })]
  await left.append([bytes('synced'), bytes('cleared')], 0)
  await left.sync()
  await left.append([bytes('l2')], 2)
  await right.append([bytes('r0'), bytes('r1')], 0)
  await left.clear({ from: 1, to: 2 })
  home.losePower({ kept: 1 })
  const again = new MemoryBlockStore({ home, key: left.key })
  t.equal(again.length, 3)
  t.ok(await again.has(1), 'the clear came later and is undone')
  t.equal(new MemoryLog({ home, key: right.key }).length, 0)
})

t.test('failAfter lets so many writes through', async t => {
  const log = new MemoryLog()
  log.home.failAfter = 1
  log.home.failCode = 'NO_SPACE'
  await log.append([bytes('one')], 0)
  await rejectsWith(t, 'NO_SPACE', () => log.append([bytes('two')], 1), 'the second write')
  await rejectsWith(t, 'NO_SPACE', () => log.sync(), 'and each that follows')
  t.equal(log.length, 1)
  log.home.failAfter = Number.POSITIVE_INFINITY
  t.equal(await log.append([bytes('two')], 1), 2)
})

t.test('failTimes lets the disk work again', async t => {
  const log = new MemoryLog()
  Object.assign(log.home, { failAfter: 0, failTimes: 1 })
  await rejectsWith(t, 'IO', () => log.append([bytes('one')], 0), 'the first write')
  t.equal(await log.append([bytes('one')], 0), 1)
})

t.test('damage() makes one entry unreadable', async t => {
  const log = new MemoryLog()
  await log.append([bytes('one'), bytes('two')], 0)
  log.home.damage(log.key, 0)
  await rejectsWith(t, 'DAMAGED', () => log.get(0), 'the damaged entry')
  t.ok(await log.get(1))
})
