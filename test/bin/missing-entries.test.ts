/** What is known of and not merged is missing; unreachable where nobody connected has it; or in quarantine. */
import t from 'tap'
import { missingEntriesOf, type KnownEntries } from '../../bin/missing-entries.ts'
import { logKey, type LogKey } from '../../src/sync/log.ts'

const [A, B, C] = ['a', 'b', 'c'].map(digit => logKey(digit.repeat(64))) as [LogKey, LogKey, LogKey]

function heads(...pairs: readonly (readonly [LogKey, number])[]): ReadonlyMap<LogKey, number> {
  return new Map(pairs)
}

function known(parts: Partial<KnownEntries>): KnownEntries {
  const nothing = { merged: heads(), announced: [], peers: [], quarantined: [] }
  return { ...nothing, arrived: () => 0, ...parts }
}

t.test('nothing is missing where nothing is known of', async t => {
  t.same(missingEntriesOf(known({})), { missing: 0, unreachable: 0, quarantined: 0 })
  const merged = heads([A, 7])
  t.same(missingEntriesOf(known({ merged, announced: [A] })), {
    missing: 0,
    unreachable: 0,
    quarantined: 0
  })
})

t.test('what a connected device has is missing, also of a log that is not open here', async t => {
  const peers = [{ connected: true, hasToldHeads: true, heads: heads([A, 10], [B, 5]) }]
  const found = missingEntriesOf(known({ merged: heads([A, 4]), announced: [A], peers }))
  t.same(found, { missing: 11, unreachable: 0, quarantined: 0 })
})

t.test('what only a device has that is not connected is unreachable', async t => {
  const peers = [
    { connected: false, hasToldHeads: false, heads: heads([A, 10], [C, 3]) },
    { connected: true, hasToldHeads: true, heads: heads([A, 6]) }
  ]
  const merged = heads([A, 4])
  const found = missingEntriesOf(known({ merged, announced: [A], peers }))
  t.same(
    found,
    { missing: 6, unreachable: 4, quarantined: 0 },
    'and a log that was not announced is unknown'
  )
  const arrived = missingEntriesOf(known({ merged, announced: [A], peers, arrived: () => 9 }))
  t.same(arrived, { missing: 6, unreachable: 1, quarantined: 0 }, 'what has arrived is here')
})

t.test('nothing is called unreachable while a device has not said what it has', async t => {
  const peers = [
    { connected: false, hasToldHeads: false, heads: heads([A, 10]) },
    { connected: true, hasToldHeads: false, heads: heads() }
  ]
  const found = missingEntriesOf(known({ announced: [A], peers }))
  t.same(found, { missing: 10, unreachable: 0, quarantined: 0 })
})

t.test('what is in quarantine is not missing', async t => {
  const peers = [{ connected: true, hasToldHeads: true, heads: heads([A, 10], [B, 2]) }]
  const found = missingEntriesOf(
    known({ merged: heads([A, 4]), announced: [A, B], peers, quarantined: [A] })
  )
  t.same(found, { missing: 2, unreachable: 0, quarantined: 6 })
})
