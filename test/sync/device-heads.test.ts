/**
 * Which devices have seen an operation: each by the logs that it may go on in.
 */
import t from 'tap'
import { devicesOf, hasPassed, type SeenLog } from '../../src/sync/device-heads.ts'
import { logKey, type LogKey } from '../../src/sync/log.ts'
import type { RemoteLogPair } from '../../src/sync/remote-logs.ts'

const [A1, A2, B, OWN] = ['a1', 'a2', 'b1', '00'].map(digits => logKey(digits.repeat(32))) as [
  LogKey,
  LogKey,
  LogKey,
  LogKey
]

function pair(log: LogKey, deviceId?: string): RemoteLogPair {
  const readable = { key: log, length: 0 }
  return {
    ...{ operationLog: readable, contentLog: { key: log }, device: 'a name' },
    ...(deviceId !== undefined && { deviceId })
  } as RemoteLogPair
}

type Seen = Readonly<Record<string, { length: number; seen: Readonly<Record<string, number>> }>>

function passed(pairs: readonly RemoteLogPair[], logs: Seen, by: [LogKey, number]): boolean {
  const newestOf = (log: LogKey): SeenLog => {
    const { length, seen } = logs[log] ?? { length: 0, seen: {} }
    return { log, length, seen: new Map(Object.entries(seen) as [LogKey, number][]) }
  }
  const devices = devicesOf(pairs, newestOf)
  return devices.every(device => hasPassed(device, { log: by[0], index: by[1], number: 0 }))
}

t.test('without other devices everything has been passed', async t => {
  t.ok(passed([], {}, [OWN, 5]))
})

t.test('every device must have seen it', async t => {
  const pairs = [pair(A1, 'a'), pair(B, 'b')]
  const a = { length: 2, seen: { [OWN]: 4 } }
  t.ok(passed(pairs, { [A1]: a, [B]: { length: 1, seen: { [OWN]: 4 } } }, [OWN, 3]))
  t.notOk(passed(pairs, { [A1]: a, [B]: { length: 1, seen: { [OWN]: 3 } } }, [OWN, 3]))
  t.notOk(passed(pairs, { [A1]: a, [B]: { length: 1, seen: {} } }, [OWN, 3]))
  t.notOk(passed(pairs, { [A1]: a }, [OWN, 3]), 'one of which nothing is known has not')
})

t.test('a device has seen what it wrote', async t => {
  t.ok(passed([pair(A1)], { [A1]: { length: 3, seen: {} } }, [A1, 2]))
  t.notOk(passed([pair(A1)], { [A1]: { length: 2, seen: {} } }, [A1, 2]))
})

t.test('an epoch that a later one of the same device went on from does not count', async t => {
  const logs = {
    [A1]: { length: 5, seen: {} },
    [A2]: { length: 1, seen: { [A1]: 5, [OWN]: 9 } }
  }
  t.ok(passed([pair(A1, 'a'), pair(A2, 'a')], logs, [OWN, 3]))
  t.notOk(passed([pair(A1, 'a'), pair(A2, 'b')], logs, [OWN, 3]), 'not if it is another device')
  t.notOk(passed([pair(A1), pair(A2)], logs, [OWN, 3]), 'nor if nobody knows')
  const restored = { ...logs, [A2]: { length: 1, seen: { [A1]: 4, [OWN]: 9 } } }
  t.notOk(passed([pair(A1, 'a'), pair(A2, 'a')], restored, [OWN, 3]), 'nor if it lacks a part')
})

t.test('an empty epoch ends none', async t => {
  const logs = { [A2]: { length: 1, seen: { [OWN]: 9 } } }
  t.notOk(passed([pair(A1, 'a'), pair(A2, 'a')], logs, [OWN, 3]))
})
