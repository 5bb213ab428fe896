/**
 * What every {@link BlockStore} does beyond a `Log`: run on the fake and on the real one.
 *
 * @module
 */
import type { Test } from 'tap'
import type { BlockStore } from '../../src/sync/block-store.ts'
import {
  bytes,
  logSuite,
  rejectsWith,
  text,
  withHome,
  type LogHomeSubject,
  type LogSubject
} from './log-suite.ts'

/** Runs the suite, and that of `Log`. */
export function blockStoreSuite(t: Test, name: string, subject: LogSubject<BlockStore>): void {
  logSuite(t, name, subject)
  const test = (
    title: string,
    run: (t: Test, home: LogHomeSubject<BlockStore>) => Promise<void>
  ): void => {
    void t.test(`${name}: ${title}`, t => withHome(subject, home => run(t, home)))
  }

  test('has() knows what is stored', async (t, home) => {
    const store = await filled(home, 3)
    t.same([await store.has(0), await store.has(2), await store.has(3)], [true, true, false])
    await store.clear({ from: 1, to: 2 })
    t.same([await store.has(0), await store.has(1), await store.has(2)], [true, false, true])
  })

  test('clear() forgets those blocks alone and keeps every hash', async (t, home) => {
    const store = await filled(home, 20)
    const lengths = Array.from({ length: 21 }, (_, length) => length)
    const hashes = await Promise.all(lengths.map(length => store.treeHash(length)))
    for (let from = 0; from < 8; from++) await store.clear({ from, to: from + 1 })
    await store.clear({ from: 3, to: 9 })
    await store.clear({ from: 12, to: 13 })
    for (const index of [0, 8, 12])
      await rejectsWith(t, 'MISSING', () => store.get(index), `block ${String(index)}`)
    for (const index of [9, 11, 13, 19]) t.equal(text(await store.get(index)), block(index))
    t.equal(store.length, 20)
    await home.restart()
    const again = await home.open('blocks')
    t.same(await Promise.all(lengths.map(length => again.treeHash(length))), hashes)
    await rejectsWith(t, 'MISSING', () => again.get(8), 'after the end of the process')
  })

  test('clear() twice, of nothing and of everything is no error', async (t, home) => {
    const store = await filled(home, 5)
    await store.clear({ from: 1, to: 3 })
    await store.clear({ from: 1, to: 3 })
    await store.clear({ from: 4, to: 4 })
    await store.clear({ from: 0, to: 5 })
    await rejectsWith(t, 'MISSING', () => store.get(4), 'the last block')
    t.equal(await store.append([bytes('new')], 5), 6, 'and the store goes on')
    t.equal(text(await store.get(5)), 'new')
  })

  test('clear() refuses what is not a range of the store', async (t, home) => {
    const store = await filled(home, 2)
    for (const range of [
      { from: -1, to: 1 },
      { from: 2, to: 1 },
      { from: 0, to: 3 },
      { from: 0.5, to: 1 }
    ])
      await t.rejects(async () => store.clear(range), RangeError)
    t.ok(await store.has(0))
  })

  test('clear() survives the end of the process', async (t, home) => {
    const store = await filled(home, 3)
    await store.clear({ from: 0, to: 2 })
    await home.restart()
    const again = await home.open('blocks')
    t.same([await again.has(0), await again.has(1), await again.has(2)], [false, false, true])
  })

  test('compact() changes nothing that can be read', async (t, home) => {
    const store = await filled(home, 4)
    await store.clear({ from: 1, to: 3 })
    await store.compact()
    await store.compact()
    t.same([text(await store.get(0)), text(await store.get(3))], [block(0), block(3)])
    await rejectsWith(t, 'MISSING', () => store.get(1), 'a cleared block')
  })

  test('every call on blocks after close() is CLOSED', async (t, home) => {
    const store = await filled(home, 1)
    await store.close()
    await rejectsWith(t, 'CLOSED', () => store.has(0), 'has')
    await rejectsWith(t, 'CLOSED', () => store.clear({ from: 0, to: 1 }), 'clear')
    await rejectsWith(t, 'CLOSED', () => store.compact(), 'compact')
  })
}

/** Large enough for a blob file of its own kind, and different from every other. */
const block = (index: number): string => `block ${String(index)} `.repeat(600)

async function filled(home: LogHomeSubject<BlockStore>, count: number): Promise<BlockStore> {
  const store = await home.open('blocks')
  const blocks = Array.from({ length: count }, (_, index) => bytes(block(index)))
  await store.append(blocks, 0)
  return store
}
