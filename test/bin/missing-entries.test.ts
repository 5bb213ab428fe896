/** What is known of and not merged is missing; away where nobody connected has it; or refused. */
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
  t.same(missingEntriesOf(known({})), { missing: 0, away: 0, refused: 0 })
  const merged = heads([A, 7])
  t.same(missingEntriesOf(known({ merged, announced: [A] })), { missing: 0, away: 0, refused: 0 })
})

t.test('what a connected device has is missing, also of a log that is not open here', async t => {
  const peers = [{ connected: true, heads: heads([A, 10], [B, 5]) }]
  const found = missingEntriesOf(known({ merged: heads([A, 4]), announced: [A], peers }))
  t.same(found, { missing: 11, away: 0, refused: 0 })
})

t.test('what only a device has that is not connected is away', async t => {
  const peers = [
    { connected: false, heads: heads([A, 10], [C, 3]) },
    { connected: true, heads: heads([A, 6]) }
  ]
  const merged = heads([A, 4])
  const found = missingEntriesOf(known({ merged, announced: [A], peers }))
  t.same(found, { missing: 6, away: 4, refused: 0 }, 'and a log that was not announced is unknown')
  const arrived = missingEntriesOf(known({ merged, announced: [A], peers, arrived: () => 9 }))
  t.same(arrived, { missing: 6, away: 1, refused: 0 }, 'what has arrived is not away')
})

t.test('what comes after an entry that breaks the rules is refused', async t => {
  const peers = [{ connected: true, heads: heads([A, 10], [B, 2]) }]
  const found = missingEntriesOf(
    known({ merged: heads([A, 4]), announced: [A, B], peers, quarantined: [A] })
  )
  t.same(found, { missing: 2, away: 0, refused: 6 })
})
