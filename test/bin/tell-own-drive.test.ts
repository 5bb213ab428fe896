/** A holder finds the drive of its owner once, and again after the daemon ended. */
import { join } from 'node:path'
import t from 'tap'
import { GroveError } from '../../bin/grove-error.ts'
import { tellOwnDrive } from '../../bin/tell-own-drive.ts'
import { fakeDaemon } from './fake-daemon.ts'
import { temporaryFolder } from './temporary-folder.ts'

const { signal } = new AbortController()
const KEPT = { holder: 'a'.repeat(64), persons: [] }

t.test('the daemon is asked who it is only until it is found', async t => {
  const { home, drive, daemon } = await fakeDaemon(t)
  let looks = 0
  const status = drive.status.bind(drive)
  drive.status = () => {
    looks++
    return status()
  }
  const tell = tellOwnDrive({})
  const settings = { drive: home.directory }
  for (let turn = 0; turn < 5; turn++)
    t.match(await tell(settings, KEPT, signal), { identity: 'd'.repeat(64) })
  t.equal(looks, 1)
  drive.failure = new GroveError('FAILED', 'the network is off')
  await t.rejects(tell(settings, KEPT, signal), { code: 'FAILED' })
  drive.failure = undefined
  t.match(await tell(settings, KEPT, signal), { identity: 'd'.repeat(64) })
  t.equal(looks, 2, 'whoever failed is looked for again')
  const other = { drive: join(await temporaryFolder(t), 'none') }
  t.equal(await tell(other, KEPT, signal), undefined, 'the owner named another, that is not open')
  t.match(await tell(settings, KEPT, signal), { identity: 'd'.repeat(64) })
  await daemon.end('the test is over')
  await daemon.ended
  for (let turn = 0; turn < 2; turn++)
    t.equal(await tell(settings, KEPT, signal), undefined, 'it ended')
})
