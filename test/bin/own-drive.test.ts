/** A holder tells the drive of its owner what it keeps, and remembers what it hears. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { OwnDriveAnswer } from '../../bin/custody-api.ts'
import { OWN_DRIVE_INTERVAL_MS, OwnDrive } from '../../bin/own-drive.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { until } from '../support/until.ts'
import { temporaryFolder } from './temporary-folder.ts'

const KEPT = { holder: 'a'.repeat(64), persons: [] }

t.test('it tells in turns, and what was kept never falls', async t => {
  const file = join(await temporaryFolder(t), 'returned.json')
  const clock = new VirtualClock()
  let answer: OwnDriveAnswer | undefined
  let failure: Error | undefined
  const [told, reports]: [unknown[], string[]] = [[], []]
  const open = (): Promise<OwnDrive> =>
    OwnDrive.open({
      file,
      tell: request => {
        told.push(request)
        return failure === undefined ? Promise.resolve(answer) : Promise.reject(failure)
      },
      kept: () => KEPT,
      clock,
      report: message => reports.push(message)
    })
  const turn = async (): Promise<void> => {
    const { length } = told
    clock.advance(OWN_DRIVE_INTERVAL_MS)
    await until('the next turn', () => told.length > length)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const drive = await open()
  t.same([drive.owner, drive.returnedBy('Anna')], ['', undefined])
  drive.start()
  await new Promise(resolve => setTimeout(resolve, 20))
  t.same(told, [KEPT])
  await t.rejects(stat(file), { code: 'ENOENT' }, 'no drive is open')
  answer = { identity: 'b', returned: [{ person: 'Anna', mibSeconds: 7 }] }
  await turn()
  t.same([drive.owner, drive.returnedBy('Anna')], ['b', 7])
  t.equal((await stat(file)).mode & 0o777, 0o600)
  answer = { identity: 'b', returned: [{ person: 'Anna', mibSeconds: 3 }] }
  await turn()
  t.equal(drive.returnedBy('Anna'), 7, 'a drive that was just opened has not met all')
  failure = new Error('no')
  await turn()
  await turn()
  t.same(reports, ['the own drive was not told'], 'once')
  await drive.close()
  const again = await open()
  t.same([again.owner, again.returnedBy('Anna')], ['b', 7], 'after a restart')
  answer = { identity: 'c', returned: [] }
  failure = undefined
  again.start()
  await until('the new drive', () => again.owner === 'c')
  t.equal(again.returnedBy('Anna'), undefined, 'another owner')
  await again.close()
  t.match(await readFile(file, 'utf8'), /^\{"identity":"c","returned":\[\]\}\n$/)
  await writeFile(file, 'nonsense')
  t.equal((await open()).owner, '')
})
