/** The keepers as a device knows them: links, pauses, machines, what is remembered. */
import assert from 'node:assert/strict'
import t from 'tap'
import type { KeeperInfo } from '../../src/replication/custodian-parts.ts'
import { CustodyStore } from '../../src/replication/custody-store.ts'
import {
  KEEPERS_MAX,
  KeeperRoster,
  PAUSE_MS,
  PAUSE_MS_MAX
} from '../../src/replication/keeper-roster.ts'
import { FAILED_AUDITS_MAX } from '../../src/replication/keeper-standing.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { SimulatedKeeper } from '../support/simulated-keeper.ts'
import type { SimulatedLink } from '../support/simulated-keeper.ts'
import { SteppedClock } from '../support/stepped-clock.ts'

const [A, B] = ['aa'.repeat(32), 'bb'.repeat(32)]
const HOUR = 3_600_000

function setUp() {
  const clock = new SteppedClock()
  const rows = new MemoryKeyValueStore()
  const info = (id: string, changes: Partial<KeeperInfo> = {}): KeeperInfo => ({
    ...{ id, kind: 'holder', name: id.slice(0, 2), addedMs: clock.nowMs },
    ...changes
  })
  const device = { id: 'dd'.repeat(32), name: 'laptop', machineTag: '0d'.repeat(16) }
  const open = async () => {
    const store = new CustodyStore(rows)
    const roster = new KeeperRoster(
      { clock, device, store, graceMs: () => HOUR },
      store.load().keepers
    )
    return { store, roster }
  }
  const link = (id: string): SimulatedLink => {
    const owner = { identity: new Uint8Array(32), drive: new Uint8Array(32), blockBytes: 1 }
    const keeper = new SimulatedKeeper({ id, owner, clock, random: new SeededRandom(1) })
    return keeper.connect({ serve: () => undefined })
  }
  return { clock, info, device, open, link }
}

t.test('only who is connected and known is ready; the newest connection counts', async t => {
  const { clock, info, open, link } = setUp()
  const { roster } = await open()
  t.same(roster.set([info(A), info(B)]), [])
  const [older, newer] = [link(A), link(A)]
  t.equal(roster.connected(link('ee'.repeat(32))), undefined)
  const entry = roster.connected(older)
  assert(entry)
  t.equal(roster.isReady(entry), false)
  entry.isReady = true
  t.same([...roster.ready()], [entry])
  roster.connected(newer)
  t.equal(entry.isReady, false, 'it is asked again what it keeps')
  t.equal(roster.disconnected(older), undefined)
  t.equal(roster.stateOf(A), 'held')
  t.equal(roster.disconnected(newer), entry)
  t.equal(roster.hasLinks, false)
  t.equal(roster.nextChangeMs(), clock.nowMs + HOUR)
  await clock.run(HOUR)
  t.equal(roster.stateOf(A), 'suspect')
  roster.connected(link(B))
  t.equal(roster.stateOf(A), 'silent', 'when somebody is there again others get the grace')
  t.same(roster.set([info(B)]), [A])
  t.equal(roster.stateOf(A), undefined)
  t.equal(roster.factsOf(A), undefined)
})

t.test('copies are had of whoever is relied on, and of whoever leaves', async t => {
  const { clock, info, open, link } = setUp()
  const { roster } = await open()
  roster.set([info(A)])
  t.equal(roster.sourceOf(A), undefined, 'not connected')
  t.equal(roster.sourceOf(B), undefined, 'no keeper')
  const connection = link(A)
  roster.connected(connection)
  t.equal(roster.sourceOf(A), connection)
  roster.set([{ ...info(A), leaving: 'removed' }])
  t.equal(roster.sourceOf(A), connection, 'until it has forgotten them')
  const entry = roster.get(A)
  assert(entry)
  for (let times = 0; times < 9; times++) entry.standing.failed(clock.nowMs, 1)
  t.equal(roster.sourceOf(A), undefined, 'a liar is no source')
})

t.test('pauses grow for the same refusal and end with success or a new connection', async t => {
  const { clock, info, open, link } = setUp()
  const { roster } = await open()
  roster.set([info(A)])
  const entry = roster.connected(link(A))
  assert(entry)
  entry.isReady = true
  const refuse = (code: 'FULL' | 'REFUSED'): number => {
    roster.pause(entry, new ReplicationError(code, 'no'))
    return (roster.nextPauseEndMs() ?? 0) - clock.nowMs
  }
  t.equal(refuse('FULL'), PAUSE_MS.FULL)
  t.equal(roster.isReady(entry), false)
  t.equal(refuse('FULL'), 2 * PAUSE_MS.FULL)
  t.equal(refuse('REFUSED'), PAUSE_MS.REFUSED)
  for (let times = 0; times < 30; times++) refuse('REFUSED')
  t.equal(refuse('REFUSED'), PAUSE_MS_MAX)
  await clock.run(PAUSE_MS_MAX)
  t.equal(roster.nextPauseEndMs(), undefined)
  t.equal(roster.isReady(entry), true)
  entry.usage = { quotaBytes: 10, usedBytes: 3, onlineSec: 0, sequence: 0, mibSeconds: 0 }
  roster.succeeded(entry, 4)
  t.equal(entry.usage.usedBytes, 7)
  t.equal(entry.refusal, undefined)
  for (const code of ['FULL', 'IMBALANCE'] as const) {
    roster.pause(entry, new ReplicationError(code, 'no'))
    roster.succeeded(entry, 1, false)
    t.equal(entry.refusal, code, 'operations are taken all the same')
    roster.succeeded(entry, 1)
    t.equal(entry.refusal, undefined)
  }
  roster.pause(entry, new Error('anything'))
  t.equal((roster.nextPauseEndMs() ?? 0) - clock.nowMs, PAUSE_MS.NO_ANSWER)
  roster.connected(link(A))
  t.equal(roster.nextPauseEndMs(), undefined)
})

t.test('machines: as the owner says, else as they say, else each its own', async t => {
  const { info, device, open } = setUp()
  const { roster } = await open()
  roster.set([
    info(A),
    info(B),
    info('cc'.repeat(32), { machine: 'nas', site: 'home', person: 'ann' })
  ])
  const machine = (id: string): string | undefined => roster.factsOf(id)?.machine
  t.not(machine(A), machine(B))
  const [left, right, named] = [...roster.all()]
  assert(left && right && named)
  t.equal(roster.saidMachine(left, '07'.repeat(16)), true)
  t.equal(roster.saidMachine(left, '07'.repeat(16)), false)
  roster.saidMachine(right, '07'.repeat(16))
  t.equal(machine(A), machine(B))
  roster.saidMachine(named, '07'.repeat(16))
  t.equal(machine(A), machine('cc'.repeat(32)), 'they are on the one that has a name')
  roster.saidMachine(left, device.machineTag)
  t.equal(machine(A), machine(device.id))
  t.match(roster.factsOf('cc'.repeat(32)), { site: 'home', person: 'ann', state: 'silent' })
  t.equal(roster.nameOf(device.id), 'laptop')
  t.equal(roster.nameOf(A), 'aa')
  t.equal(roster.nameOf('ee'), 'ee')
})

t.test(
  'what is known of a keeper survives a restart, and a failure ends when it is taken in anew',
  async t => {
    const { clock, info, open } = setUp()
    const { roster, store } = await open()
    const added = info(A)
    roster.set([added])
    const entry = roster.get(A)
    assert(entry)
    for (let audit = 0; audit < FAILED_AUDITS_MAX; audit++)
      entry.standing.failed(clock.nowMs + 1, 8)
    entry.synced = 5
    roster.remember(entry)
    await store.flush()
    const { roster: again } = await open()
    again.set([added])
    t.equal(again.stateOf(A), 'failed')
    t.equal(again.get(A)?.synced, 5)
    again.set([{ ...added, addedMs: clock.nowMs + HOUR }])
    t.equal(again.stateOf(A), 'silent')
    const { roster: third } = await open()
    third.set([{ ...added, addedMs: clock.nowMs + HOUR }])
    t.equal(third.stateOf(A), 'silent')
    t.equal(third.get(A)?.synced, 5)
  }
)

t.test('a drive has no more keepers than it may', async t => {
  const { info, open } = setUp()
  const { roster } = await open()
  roster.set(Array.from({ length: KEEPERS_MAX + 1 }, (_, at) => info(String(at).padStart(64, '0'))))
  t.equal([...roster.all()].length, KEEPERS_MAX)
})

t.test('a keeper that said when it was added that it is on a known machine is on it', async t => {
  const { info, device, open } = setUp()
  const { roster } = await open()
  roster.set([info(A, { machineTag: device.machineTag }), info(B, { machineTag: '07'.repeat(16) })])
  const machineOf = (id: string) => roster.factsOf(id)?.machine
  t.equal(machineOf(A), machineOf(device.id))
  t.not(machineOf(B), machineOf(device.id))
})
