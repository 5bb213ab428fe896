/** What a keeper's copies are worth: by its presence and by how it answers audits. */
import t from 'tap'
import {
  AUDITS_HALVED_MS,
  FAILED_AUDITS_MAX,
  GONE_LOOKED_MS,
  GONE_MS,
  GRACE_MS_DEFAULT,
  KeeperStanding,
  PRESENCE_HALVED_MS,
  newStanding
} from '../../src/replication/keeper-standing.ts'
import type { KeeperState } from '../../src/replication/keeper-standing.ts'

const START_MS = 1_790_000_000_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

function follow(): {
  readonly standing: KeeperStanding
  readonly state: (afterMs: number) => KeeperState
} {
  const standing = new KeeperStanding(newStanding(START_MS), START_MS)
  return { standing, state: afterMs => standing.stateAt(START_MS + afterMs, GRACE_MS_DEFAULT) }
}

t.test(
  'a keeper that is away is silent, then suspect, then gone, and held when it is back',
  async t => {
    const { standing, state } = follow()
    standing.connected(START_MS)
    t.equal(state(5 * DAY_MS), 'held')
    t.equal(standing.isConnected, true)
    t.equal(standing.nextChangeMs(START_MS + DAY_MS, GRACE_MS_DEFAULT), undefined)

    standing.disconnected(START_MS + DAY_MS)
    t.equal(standing.seenMs, START_MS + DAY_MS)
    const awayAt = (ms: number): KeeperState => state(DAY_MS + ms)
    t.equal(awayAt(GRACE_MS_DEFAULT - 1), 'silent')
    const graceEnds = START_MS + DAY_MS + GRACE_MS_DEFAULT
    t.equal(standing.nextChangeMs(START_MS + DAY_MS, GRACE_MS_DEFAULT), graceEnds)
    t.equal(awayAt(GRACE_MS_DEFAULT), 'suspect')
    t.equal(standing.nextChangeMs(graceEnds, GRACE_MS_DEFAULT), START_MS + DAY_MS + GONE_MS)
    t.equal(awayAt(GONE_MS - 1), 'suspect')
    t.equal(awayAt(GONE_MS), 'gone')
    t.equal(standing.nextChangeMs(graceEnds + GONE_MS, GRACE_MS_DEFAULT), undefined)
    standing.connected(START_MS + DAY_MS + 2 * GONE_MS)
    t.equal(awayAt(2 * GONE_MS), 'held')
  }
)

t.test('after a start everyone has the grace again, and nobody is gone unlooked for', async t => {
  const { standing } = follow()
  const record = standing.recordAt(START_MS + DAY_MS)
  t.equal(record.lookedMs, DAY_MS)
  const laterMs = START_MS + 2 * GONE_MS
  const restarted = new KeeperStanding(record, laterMs)
  const stateAfter = (ms: number): KeeperState => restarted.stateAt(laterMs + ms, HOUR_MS)
  t.equal(stateAfter(0), 'silent')
  t.equal(stateAfter(HOUR_MS), 'suspect')
  t.equal(stateAfter(GONE_LOOKED_MS - DAY_MS - 1), 'suspect')
  t.equal(stateAfter(GONE_LOOKED_MS - DAY_MS), 'gone')
})

t.test('after a time without anyone the missing have the grace again', async t => {
  const { standing, state } = follow()
  t.equal(state(2 * HOUR_MS), 'suspect')
  standing.lookAgain(START_MS + 2 * HOUR_MS)
  t.equal(state(2 * HOUR_MS), 'silent')
  t.equal(state(3 * HOUR_MS), 'suspect')
})

t.test('reliability follows presence and falls with failures', async t => {
  const { standing } = follow()
  t.equal(standing.reliabilityAt(START_MS), 0.5)
  standing.connected(START_MS)
  const onMs = START_MS + 10 * PRESENCE_HALVED_MS
  t.equal(standing.reliabilityAt(onMs), 1)
  standing.failed(onMs, 8)
  t.equal(standing.reliabilityAt(onMs), 0.5)
  standing.disconnected(onMs)
  t.equal(standing.reliabilityAt(onMs + PRESENCE_HALVED_MS), 0.25, 'half of the time')
  t.equal(standing.reliabilityAt(onMs + 100 * PRESENCE_HALVED_MS), 0.125, 'never nothing')
})

t.test('several failures are for good, a rare one among many answers is not', async t => {
  const { standing: liar, state } = follow()
  liar.connected(START_MS)
  for (let count = 1; count < FAILED_AUDITS_MAX; count++) liar.failed(START_MS + count * HOUR_MS, 8)
  t.equal(state(DAY_MS), 'held')
  liar.failed(START_MS + DAY_MS, 8)
  t.equal(state(DAY_MS), 'failed')
  t.equal(liar.nextChangeMs(START_MS + DAY_MS, HOUR_MS), undefined)
  liar.passed(START_MS + 100 * AUDITS_HALVED_MS, 8)
  const record = liar.recordAt(START_MS + 100 * AUDITS_HALVED_MS)
  t.equal(record.failedMs, START_MS + DAY_MS, 'time does not heal it')
  t.equal(new KeeperStanding(record, START_MS).stateAt(START_MS, HOUR_MS), 'failed')

  const { standing: rotten, state: rottenState } = follow()
  rotten.connected(START_MS)
  for (let audit = 1; audit <= 1000; audit++) {
    if (audit % 20 === 0) rotten.failed(START_MS + audit * HOUR_MS, 8)
    else rotten.passed(START_MS + audit * HOUR_MS, 8)
  }
  t.equal(rottenState(1001 * HOUR_MS), 'held', 'one block of 160')
  t.equal(rotten.recordAt(START_MS + 1001 * HOUR_MS).provenMs, START_MS + 999 * HOUR_MS)
})
