/**
 * The check of an entry: what it must have, what it waits for, and what is kept of it.
 */
import t from 'tap'
import {
  checkEntry,
  checkOwnEntry,
  type EntryRow,
  type MergedEntries
} from '../../src/sync/entry-check.ts'
import type { Entry, Head } from '../../src/sync/entry.ts'
import { logKey, type LogKey } from '../../src/sync/log.ts'
import { ROOT_ID, type Operation } from '../../src/sync/operation.ts'
import { filled } from '../support/bytes.ts'

const [A, B, C, BLOCKS] = ['aa', 'bb', 'cc', 'dd'].map(digits => logKey(digits.repeat(32))) as [
  LogKey,
  LogKey,
  LogKey,
  LogKey
]
const TIME = { sec: 7, nsec: 0 }

function row(lamport: number, seen: readonly (readonly [LogKey, number])[] = []): EntryRow {
  return { lamport, time: TIME, seen: new Map(seen) }
}

/** Two entries of each of two logs are merged; the second of B had seen the second of A. */
const ROWS: ReadonlyMap<LogKey, readonly EntryRow[]> = new Map([
  [A, [row(1), row(2, [[A, 1]])]],
  [
    B,
    [
      row(1),
      row(3, [
        [A, 2],
        [B, 1]
      ])
    ]
  ],
  [C, []]
])

function merged(changes: Partial<MergedEntries> = {}): MergedEntries {
  return {
    lengthOf: log => ROWS.get(log)?.length,
    newestRow: (log, length) => ROWS.get(log)?.[length - 1],
    isContentLog: log => log === BLOCKS,
    isComplete: () => true,
    ...changes
  }
}

function entry(lamport: number, changes: Partial<Entry> = {}): Entry {
  const header = { lamport, time: TIME, listVersion: 0, heads: [], contentHead: undefined }
  return { ...header, operations: [], ...changes }
}

function head(log: LogKey, length: number): Head {
  return { log, length, treeHash: filled(32, 0) }
}

function place(log: LogKey, index: number) {
  return { log, index, contentLog: BLOCKS }
}

t.test('the first entry of a log that names nothing has lamport 1', async t => {
  t.same(checkEntry(entry(1), place(C, 0), merged()), { kind: 'ready', row: row(1) })
  for (const lamport of [2, 9]) {
    t.match(checkEntry(entry(lamport), place(C, 0), merged()), { kind: 'refused' })
  }
})

t.test('the lamport follows from heads and the predecessor, causes of causes are seen', async t => {
  const verdict = checkEntry(entry(4, { heads: [head(B, 2)] }), place(C, 0), merged())
  const seen = [
    [A, 2],
    [B, 2]
  ] as const
  t.same(verdict, { kind: 'ready', row: row(4, seen) })
  const after = checkEntry(entry(3), place(A, 2), merged())
  t.same(after, { kind: 'ready', row: row(3, [[A, 2]]) }, 'its predecessor is seen')
  for (const lamport of [1, 3, 5, Number.MAX_SAFE_INTEGER]) {
    const forged = checkEntry(entry(lamport, { heads: [head(B, 2)] }), place(C, 0), merged())
    t.match(forged, { kind: 'refused', reason: /lamport/ })
  }
})

t.test('where damaged entries were passed over a lamport may be higher', async t => {
  const state = merged({ isComplete: () => false })
  t.match(checkEntry(entry(9), place(A, 2), state), { kind: 'ready', row: { lamport: 9 } })
  t.match(checkEntry(entry(2), place(A, 2), state), { kind: 'refused' })
})

t.test('heads grow beyond what the predecessor had seen', async t => {
  for (const length of [1, 2]) {
    const verdict = checkEntry(entry(4, { heads: [head(A, length)] }), place(B, 2), merged())
    t.match(verdict, { kind: 'refused', reason: /grow/ }, `A up to ${String(length)}`)
  }
  const more = checkEntry(entry(4, { heads: [head(A, 3)] }), place(B, 2), merged())
  t.same(more, { kind: 'waits', cause: { log: A, length: 3 } })
})

t.test('what is not merged or not known is waited for', async t => {
  const stranger = logKey('ee'.repeat(32))
  for (const [log, length] of [
    [C, 1],
    [A, 2 ** 53 - 1],
    [stranger, 1]
  ] as const) {
    const verdict = checkEntry(entry(2, { heads: [head(log, length)] }), place(B, 2), merged())
    t.same(verdict, { kind: 'waits', cause: { log, length } })
  }
  const piece = { kind: 'block', offset: 0, length: 1, index: 0, blockOffset: 0 } as const
  const write = (log: LogKey): Operation => ({
    ...{ type: 'write', inode: ROOT_ID, through: ROOT_ID, base: ROOT_ID, size: 1, time: TIME },
    pieces: [{ ...piece, log, hash: filled(32, 0) }]
  })
  const verdict = checkEntry(entry(1, { operations: [write(BLOCKS)] }), place(C, 0), merged())
  t.match(verdict, { kind: 'ready' })
  const unknown = checkEntry(entry(1, { operations: [write(C)] }), place(C, 0), merged())
  t.same(unknown, { kind: 'waits', cause: { log: C, length: 0 } })
})

t.test('a content head is that of the log’s own content', async t => {
  const good = checkEntry(entry(1, { contentHead: head(BLOCKS, 3) }), place(C, 0), merged())
  t.match(good, { kind: 'ready' })
  const bad = checkEntry(entry(1, { contentHead: head(A, 3) }), place(C, 0), merged())
  t.match(bad, { kind: 'refused', reason: /content head/ })
})

t.test('an own entry is believed, and waits for its causes as any', async t => {
  const own = checkOwnEntry(entry(40, { heads: [head(B, 2)] }), place(C, 0), merged())
  t.match(own, { kind: 'ready', row: { lamport: 40 } })
  const waiting = checkOwnEntry(entry(40, { heads: [head(B, 3)] }), place(C, 0), merged())
  t.same(waiting, { kind: 'waits', cause: { log: B, length: 3 } })
})
