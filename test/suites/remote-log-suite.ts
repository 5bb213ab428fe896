/**
 * What the logs of another device do here: run on the fake and on the real ones.
 *
 * @module
 */
import type { Test } from 'tap'
import type { ReadableLog } from '../../src/sync/log.ts'
import type { RemoteBlocks } from '../../src/sync/remote-logs.ts'
import { bytes, rejectsWith, text } from './log-suite.ts'

/** Another device's pair of logs as it is seen here, and the strings that move it. */
export interface RemoteLogStage {
  /** Its operation log, here. */
  readonly operationLog: ReadableLog
  /** Its content log, here. */
  readonly contentLog: RemoteBlocks
  /** The tree hash of its operation log, there. */
  treeHashThere(length: number): Promise<Uint8Array>
  /** Appends entries there; resolves when they have arrived here. */
  appendEntries(entries: readonly Uint8Array[]): Promise<void>
  /** Appends blocks there; resolves when a peer is known here to have them. */
  appendBlocks(blocks: readonly Uint8Array[]): Promise<void>
  /** Ends the connection. */
  disconnect(): Promise<void>
  /** Keeps everything back that is asked for from now on, without ending the connection. */
  stall(): void
  /** Closes everything. */
  close(): Promise<void>
}

/** How long a fetch waits that is meant to fail, in milliseconds. */
const SHORT_MS = 50
const LONG_MS = 20_000

const block = (index: number): Uint8Array => bytes(`block ${String(index)} `.repeat(500))

/** Runs the suite. */
export function remoteLogSuite(t: Test, name: string, stage: () => Promise<RemoteLogStage>): void {
  const test = (title: string, run: (t: Test, stage: RemoteLogStage) => Promise<void>): void => {
    void t.test(`${name}: ${title}`, async t => {
      const staged = await stage()
      try {
        await run(t, staged)
      } finally {
        await staged.close()
      }
    })
  }

  test('entries that arrived are read and hashed', async (t, stage) => {
    const { operationLog } = stage
    t.equal(operationLog.length, 0)
    await stage.appendEntries(['a', 'b', 'c'].map(bytes))
    t.equal(operationLog.length, 3)
    t.equal(text(await operationLog.get(1)), 'b')
    await rejectsWith(t, 'MISSING', () => operationLog.get(3), 'beyond the end')
    for (let length = 0; length <= 3; length++)
      t.same(
        Buffer.from(await operationLog.treeHash(length)),
        Buffer.from(await stage.treeHashThere(length)),
        `hash of ${String(length)}`
      )
    await stage.appendEntries([bytes('d')])
    t.equal(text(await operationLog.get(3)), 'd')
  })

  test('a block is here once it was fetched, and not before', async (t, stage) => {
    await stage.appendBlocks([block(0), block(1), block(2)])
    const { contentLog } = stage
    t.same([contentLog.has(0), contentLog.has(1), contentLog.has(9)], [false, false, false])
    await rejectsWith(t, 'MISSING', () => contentLog.get(1), 'not here yet')
    t.same(Buffer.from(await contentLog.fetch(1, { deadlineMs: LONG_MS })), Buffer.from(block(1)))
    t.same([contentLog.has(0), contentLog.has(1)], [false, true])
    t.same(Buffer.from(await contentLog.get(1)), Buffer.from(block(1)))
  })

  test('fetches of one block share the work and each get it', async (t, stage) => {
    await stage.appendBlocks([block(0)])
    const fetches = [1, 2, 3].map(() => stage.contentLog.fetch(0, { deadlineMs: LONG_MS }))
    for (const fetched of await Promise.all(fetches))
      t.same(Buffer.from(fetched), Buffer.from(block(0)))
  })

  test('clear() forgets, and what was cleared is fetched again', async (t, stage) => {
    await stage.appendBlocks([block(0), block(1), block(2)])
    const { contentLog } = stage
    for (const index of [0, 1, 2]) await contentLog.fetch(index, { deadlineMs: LONG_MS })
    await contentLog.clear({ from: 1, to: 2 })
    t.same([contentLog.has(0), contentLog.has(1), contentLog.has(2)], [true, false, true])
    await rejectsWith(t, 'MISSING', () => contentLog.get(1), 'cleared')
    await contentLog.clear({ from: 1, to: 2 })
    const again = await contentLog.fetch(1, { deadlineMs: LONG_MS })
    t.same(Buffer.from(again), Buffer.from(block(1)))
  })

  test('what is here is read and fetched without a peer', async (t, stage) => {
    await stage.appendEntries([bytes('a')])
    await stage.appendBlocks([block(0), block(1)])
    await stage.contentLog.fetch(0, { deadlineMs: LONG_MS })
    await stage.disconnect()
    t.equal(text(await stage.operationLog.get(0)), 'a')
    const fetched = await stage.contentLog.fetch(0, { deadlineMs: SHORT_MS })
    t.same(Buffer.from(fetched), Buffer.from(block(0)))
  })

  test('a fetch that nobody can answer is UNREACHABLE when its time is over', async (t, stage) => {
    await stage.appendBlocks([block(0)])
    await stage.disconnect()
    const fetch = (): Promise<unknown> => stage.contentLog.fetch(0, { deadlineMs: SHORT_MS })
    await rejectsWith(t, 'UNREACHABLE', fetch, 'no peer')
  })

  test('a fetch that a peer does not answer is TIMED_OUT', async (t, stage) => {
    await stage.appendBlocks([block(0)])
    stage.stall()
    const fetch = (): Promise<unknown> => stage.contentLog.fetch(0, { deadlineMs: SHORT_MS })
    await rejectsWith(t, 'TIMED_OUT', fetch, 'a silent peer')
  })

  test('a fetch that is given up is INTERRUPTED, others of the block go on', async (t, stage) => {
    await stage.appendBlocks([block(0)])
    const giveUp = new AbortController()
    const { signal } = giveUp
    const [given, kept] = [
      stage.contentLog.fetch(0, { deadlineMs: LONG_MS, signal }),
      stage.contentLog.fetch(0, { deadlineMs: LONG_MS })
    ]
    giveUp.abort()
    await rejectsWith(t, 'INTERRUPTED', () => given, 'given up')
    t.same(Buffer.from(await kept), Buffer.from(block(0)))
    const late = (): Promise<unknown> => stage.contentLog.fetch(0, { deadlineMs: 1, signal })
    await rejectsWith(t, 'INTERRUPTED', late, 'given up before')
  })
}
