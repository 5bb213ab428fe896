/** An fsync waits for others only where it is asked to, and can be given up. */
import t from 'tap'
import { BLOCKS_PER_TURN, durableElsewhere } from '../../src/fs/durable-elsewhere.ts'
import type { BlockPlace } from '../../src/sync/content-index.ts'
import type { DurabilityRequest } from '../../src/sync/custody-view.ts'
import { SyncError } from '../../src/sync/sync-error.ts'

const REDUNDANCY = { copies: 3, floor: 2, sites: 1 }
const BLOCKS = [{ log: 1, index: 2 }]

function partsOf(durability: 'local' | 'peer' | 'level', blocks: readonly BlockPlace[] = BLOCKS) {
  const asked: DurabilityRequest[] = []
  const waiting = settleable()
  const state = { pauses: 0 }
  return {
    ...{ asked, state },
    waiting,
    parts: {
      replica: {
        durabilityOf: () => durability,
        redundancyOf: () => REDUNDANCY,
        blocksOf: () => blocks
      },
      custody: {
        whenDurable: (request: DurabilityRequest) => {
          asked.push(request)
          return waiting.promise
        }
      },
      pause: () => {
        state.pauses++
        return Promise.resolve()
      }
    }
  }
}

function settleable() {
  const settle: { resolve: () => void; reject: (error: Error) => void } = {
    resolve: () => undefined,
    reject: () => undefined
  }
  const promise = new Promise<void>((resolve, reject) => Object.assign(settle, { resolve, reject }))
  return Object.assign(settle, { promise })
}

t.test('`local` asks nobody', async t => {
  const { parts, asked } = partsOf('local')
  await durableElsewhere(parts, 5, () => {
    throw new Error('no signal is needed')
  })
  t.strictSame(asked, [])
})

t.test('`peer` and `level` wait for what is asked for', async t => {
  for (const durability of ['peer', 'level'] as const) {
    for (const signal of [undefined, () => new AbortController().signal]) {
      const { parts, asked, waiting } = partsOf(durability)
      let isDone = false
      const done = durableElsewhere(parts, 5, signal).then(() => {
        isDone = true
      })
      await new Promise(setImmediate)
      t.strictSame(asked, [{ durability, redundancy: REDUNDANCY, blocks: BLOCKS }])
      t.equal(isDone, false)
      waiting.resolve()
      await done
    }
  }
})

t.test('the blocks of a large file are gathered in turns', async t => {
  const blocks = Array.from({ length: 2 * BLOCKS_PER_TURN + 1 }, (_, index) => ({ log: 1, index }))
  const { parts, asked, waiting, state } = partsOf('peer', blocks)
  waiting.resolve()
  await durableElsewhere(parts, 5)
  t.equal(state.pauses, 2)
  t.strictSame(asked[0]?.blocks, blocks)
})

t.test('the error of custody is passed on', async t => {
  const { parts, waiting } = partsOf('peer')
  const done = durableElsewhere(parts, 5, () => new AbortController().signal)
  waiting.reject(new SyncError('TIMED_OUT', 'no answer'))
  await t.rejects(done, new SyncError('TIMED_OUT', 'no answer'))
})

t.test('whoever gives up hears so at once, and what fails later is nobody’s fault', async t => {
  for (const isEarly of [true, false]) {
    const { parts, waiting } = partsOf('peer')
    const giveUp = new AbortController()
    if (isEarly) giveUp.abort()
    const done = durableElsewhere(parts, 5, () => giveUp.signal)
    giveUp.abort()
    await t.rejects(done, { code: 'INTERRUPTED' })
    waiting.reject(new SyncError('TIMED_OUT', 'no answer'))
    await new Promise(setImmediate)
  }
})
