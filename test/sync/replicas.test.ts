/**
 * Replicas of one drive that exchange their logs: whatever the order of arrival, those that have
 * the same entries show the same tree, and that is the oracle's; a crash in the middle of a merge
 * costs nothing.
 */
import t from 'tap'
import { dumpIndex } from '../support/index-tree.ts'
import type { MemoryDrive } from '../support/memory-drive.ts'
import { ReplicaGroup } from '../support/replica-group.ts'

const SEEDS = Number(process.env['GROVE_SEEDS'] ?? 60)
const STEPS = 30

/** Something random happens to one of the replicas. */
async function step(group: ReplicaGroup, drive: MemoryDrive): Promise<void> {
  switch (group.random.integer(12)) {
    case 0:
      return drive.crash(undefined)
    case 1:
      return drive.reopen({ rebuild: group.random.integer(2) === 0 })
    case 2:
      return drive.replica.commit()
    case 3:
      return drive.startEpoch()
    case 4:
    case 5:
    case 6:
      return group.learn(drive)
    case 7:
      return group.check(drive)
    default:
      for (let count = 1 + group.random.integer(3); count > 0; count--) group.execute(drive)
  }
}

t.test(`${String(SEEDS)} random histories: equal trees, and the oracle's`, async t => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const group = await ReplicaGroup.create(2 + (seed % 2), seed)
    try {
      for (let at = 0; at < STEPS; at++) await step(group, group.pick())
      await group.exchangeAll()
      for (const drive of group.drives) await group.check(drive)
      const dumps = new Set(group.drives.map(drive => dumpIndex(drive.replica.index)))
      if (dumps.size !== 1) throw new Error('the replicas differ')
    } catch (error) {
      t.fail(`seed ${String(seed)}`, { error })
      if (seed > 5) break
    }
    await group.close()
  }
  t.pass('all of them')
})

/** Three replicas, of which the first has much to merge and its own unsaid things. */
async function groupWithNews(seed: number): Promise<ReplicaGroup> {
  const group = await ReplicaGroup.create(3, seed)
  const [first, ...others] = group.drives
  for (let at = 0; at < 40; at++) {
    const drive = others[at % others.length]
    if (!drive) break
    group.execute(drive)
    group.execute(drive)
    await drive.replica.commit()
    if (at % 7 === 0) for (const other of others) await drive.catchUpWith(other)
  }
  if (first) group.execute(first)
  return group
}

t.test('local operations between any two batches of a merge', async t => {
  for (let seed = 1; seed <= SEEDS / 4; seed++) {
    const group = await groupWithNews(seed)
    const [first, ...others] = group.drives
    if (!first) return
    let yields = 0
    first.onYield = () => {
      yields += 1
      group.execute(first)
      if (yields % 3 === 0) first.replica.commitWithin(0)
    }
    await first.catchUpWith(...others)
    first.onYield = () => undefined
    t.ok(yields > 5, `${String(yields)} yields`)
    await group.check(first)
    await group.exchangeAll()
    for (const drive of group.drives) await group.check(drive)
    await group.close()
  }
})

t.test('killed between any two batches of a merge, it goes on at the next start', async t => {
  for (let seed = 1; seed <= SEEDS / 10; seed++) {
    for (let killAt = 1; killAt < 12; killAt += 2) {
      const group = await groupWithNews(seed)
      const [first, ...others] = group.drives
      if (!first) return
      let yields = 0
      first.onYield = () => {
        yields += 1
        group.execute(first)
        if (yields % 2 === 0) first.replica.commitWithin(0)
        if (yields === killAt) first.home.kill()
      }
      await first.catchUpWith(...others).catch(() => undefined)
      first.onYield = () => undefined
      first.abandon()
      await first.open()
      await group.exchangeAll()
      for (const drive of group.drives) await group.check(drive)
      await group.close()
    }
  }
  t.pass('all of them')
})

t.test('a disk that fails at any write of a merge loses nothing', async t => {
  for (let failAfter = 0; failAfter < 12; failAfter++) {
    const group = await groupWithNews(failAfter)
    const [first, ...others] = group.drives
    if (!first) return
    for (const other of others) await first.receiveFrom(other)
    first.home.failAfter = failAfter
    first.home.failTimes = 2
    for (let at = 0; at < 8; at++) {
      group.execute(first)
      await first.replica.commit().catch(() => undefined)
      await first.replica.settled()
    }
    first.home.failAfter = Infinity
    await group.exchangeAll()
    for (const drive of group.drives) await group.check(drive)
    await first.crash(undefined)
    await group.check(first)
    await group.close()
  }
  t.pass('all of them')
})

t.test('after a loss of power logs of others may be shorter: the index is made anew', async t => {
  for (let kept = 0; kept < 40; kept += 3) {
    const group = await groupWithNews(kept)
    const [first, ...others] = group.drives
    if (!first) return
    await first.replica.sync()
    for (const other of others) await first.catchUpWith(other)
    await first.close()
    await first.open()
    first.home.losePower({ kept })
    first.abandon()
    await first.open().catch(async (error: unknown) => {
      t.match(error, { code: 'DIVERGED' })
      first.abandon()
      await first.startEpoch()
    })
    await group.exchangeAll()
    for (const drive of group.drives) await group.check(drive)
    await group.close()
  }
})
