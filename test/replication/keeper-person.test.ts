/** One person at a keeper: what is counted over time. */
import t from 'tap'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import { blocksOf, logOf } from '../suites/holder-link-suite.ts'
import { filled } from '../support/bytes.ts'
import { MemorySource } from '../support/memory-kept-logs.ts'
import { MemoryKeeper } from '../support/memory-keeper.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

t.test('passTime() counts MiB times seconds, to the byte in the end', async t => {
  const drive = await ReplicatedDrive.make()
  const source = new MemorySource()
  const third = Math.floor(2 ** 20 / 3)
  source.add(logOf('a'), [filled(third, 1), filled(third, 2), filled(2 ** 20 - 2 * third, 3)])
  const { person, store } = new MemoryKeeper({ drive, source, clock: new VirtualClock() })
  person.passTime(1000)
  t.equal(person.usage.mibSeconds, 0)
  await person.holds.hold(blocksOf(logOf('a'), 0, 1), new AbortController().signal)
  for (let second = 0; second < 30; second++) person.passTime(1)
  t.equal(person.usage.mibSeconds, 9, 'a third of a MiB for 30 seconds, less a rest')
  await person.holds.hold(blocksOf(logOf('a'), 0, 3), new AbortController().signal)
  person.passTime(10)
  t.equal(person.usage.mibSeconds, 19)
  const records = new KeeperRecords(store)
  await records.commit([person.activityRow()])
  t.match(records.activity.get(drive.identity), { mibSeconds: 19 })
  await person.close()
})
