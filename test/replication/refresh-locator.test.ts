/** The locator record: put again while it is right, a newer version when it is not. */
import t from 'tap'
import { LOCATOR_HOLDERS_MAX, type LocatorRecord } from '../../src/crypto/locator.ts'
import { signRecord } from '../../src/replication/dht-records.ts'
import {
  LOCATOR_AGE_MS_MAX,
  refreshLocator,
  type LocatorState
} from '../../src/replication/refresh-locator.ts'
import { filled } from '../support/bytes.ts'
import { RecoverableDrive } from '../support/recoverable-drive.ts'

const NOW_MS = 1_790_000_000_000
const NOW_SEC = NOW_MS / 1_000

async function parties() {
  const { records, locator, random } = await RecoverableDrive.make()
  const state: LocatorState = {
    ...{ records, locator, random },
    drive: filled(32, 1),
    holders: [filled(32, 2), filled(32, 3)],
    summaryMs: NOW_MS - 5,
    summaryHash: filled(32, 4)
  }
  const refresh = (more: Partial<LocatorState> = {}, nowMs = NOW_MS) =>
    refreshLocator({ ...state, ...more }, nowMs)
  const said = async (): Promise<LocatorRecord | undefined> => {
    const found = await records.get(locator.keyPair.publicKey)
    return found && locator.open(found.value, found.sequence)
  }
  return { records, locator, random, state, refresh, said }
}

t.test('a record is put, and found by the secret', async t => {
  const { refresh, said, state } = await parties()
  const record = await refresh()
  t.equal(record?.sequence, NOW_SEC)
  const { drive, summaryMs, summaryHash, holders } = state
  t.same(await said(), { drive, summaryMs, summaryHash, holders })
})

t.test('what is still right is put again as it is', async t => {
  const { refresh, records, state } = await parties()
  const record = await refresh()
  const again = await refresh({
    holders: state.holders.toReversed(),
    summaryMs: NOW_MS + 1_000,
    summaryHash: filled(32, 5)
  })
  t.same(again, record)
  t.equal(records.putCount, 2)
})

t.test('other holders, another drive and an old summary make a new version', async t => {
  const { refresh, said } = await parties()
  const later = NOW_MS + LOCATOR_AGE_MS_MAX
  const newer = { summaryMs: later - 1, summaryHash: filled(32, 5) }
  await refresh()
  const changes = [
    { holders: [filled(32, 2)] },
    { holders: [filled(32, 2), filled(32, 9)] },
    { drive: filled(32, 7) }
  ]
  for (const [at, change] of changes.entries()) {
    const record = await refresh(change)
    t.equal(record?.sequence, NOW_SEC + at + 1, 'the next, though no time has passed')
    t.match(await said(), change)
  }
  t.equal((await refresh(newer, later))?.sequence, later / 1_000)
  t.match(await said(), newer)
  const quiet = await refresh(newer, later + 2 * LOCATOR_AGE_MS_MAX)
  t.equal(quiet?.sequence, later / 1_000, 'without a newer summary there is no newer version')
})

t.test('without holders there is no record, but a record of no holders', async t => {
  const { refresh, said } = await parties()
  t.equal(await refresh({ holders: [] }), undefined)
  t.equal(await said(), undefined)
  await refresh()
  await refresh({ holders: [] })
  t.same((await said())?.holders, [])
})

t.test('of too many holders the first are named', async t => {
  const { refresh, said } = await parties()
  const holders = Array.from({ length: LOCATOR_HOLDERS_MAX + 3 }, (_, at) => filled(32, at))
  const record = await refresh({ holders })
  t.same((await said())?.holders, holders.slice(0, LOCATOR_HOLDERS_MAX))
  t.same(await refresh({ holders: holders.toReversed() }), record, 'which ones does not matter')
})

t.test('a record that somebody with the secret spoiled is replaced', async t => {
  const { refresh, said, records, locator, state } = await parties()
  const spoil = (sequence: number) =>
    records.put(signRecord(locator.keyPair, { sequence, value: filled(10, 1) }))
  await spoil(NOW_SEC + 1_000)
  t.equal((await refresh())?.sequence, NOW_SEC + 1_001)
  t.same((await said())?.holders, state.holders)
  await spoil(Number.MAX_SAFE_INTEGER)
  await t.rejects(refresh(), RangeError)
})

t.test('without a hash table nothing is claimed to be there', async t => {
  const { refresh, records } = await parties()
  records.isReachable = false
  await t.rejects(refresh(), { code: 'UNAVAILABLE' })
  await t.rejects(refresh({ signal: AbortSignal.abort() }), { code: 'INTERRUPTED' })
})
