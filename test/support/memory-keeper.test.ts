/** The keeper of tests behaves as every other. */
import t from 'tap'
import { holderLinkSuite } from '../suites/holder-link-suite.ts'
import { MemorySource } from './memory-kept-logs.ts'
import { MemoryKeeper } from './memory-keeper.ts'
import { ReplicatedDrive } from './replicated-drive.ts'
import { VirtualClock } from './virtual-clock.ts'

holderLinkSuite(t, 'MemoryKeeper', async () => {
  const drive = await ReplicatedDrive.make()
  const device = drive.newKeys()
  drive.state('attest', device)
  const source = new MemorySource()
  const keeper = new MemoryKeeper({ drive, source, clock: new VirtualClock() })
  return {
    link: keeper.link(device),
    source,
    device,
    keeper: keeper.keys.signing.publicKey,
    identity: drive.identityKeys,
    drive: drive.drive,
    damage: (log, index) => keeper.logs.damage(log, index),
    setQuota: bytes => {
      keeper.person.space.quotaBytes = bytes
      return Promise.resolve()
    },
    locators: keeper.locators
  }
})
