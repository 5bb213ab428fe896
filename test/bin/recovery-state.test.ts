/** A home remembers for which holders its recovery waits, and that the person goes on without. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Home } from '../../bin/home.ts'
import {
  acceptRecovery,
  holderAnswered,
  isRecoveryComplete,
  readRecoveryState,
  writeRecoveryState
} from '../../bin/recovery-state.ts'
import { temporaryFolder } from './temporary-folder.ts'

async function makeHome(t: Test): Promise<Home> {
  const home = await Home.locate({ GROVE_HOME: join(await temporaryFolder(t), 'home') })
  await mkdir(home.directory)
  return home
}

t.test('a drive that was not recovered waits for nothing', async t => {
  const home = await makeHome(t)
  t.ok(await isRecoveryComplete(home))
  t.equal(await readRecoveryState(home), undefined)
  t.equal(await acceptRecovery(home), 0)
  await holderAnswered(home, 'ab')
  t.equal(await readRecoveryState(home), undefined)
})

t.test('it waits until every holder has answered', async t => {
  const home = await makeHome(t)
  await writeRecoveryState(home, { pending: ['ab', 'cd'], isAccepted: false })
  t.notOk(await isRecoveryComplete(home))
  await holderAnswered(home, 'ab')
  await holderAnswered(home, 'ef')
  t.notOk(await isRecoveryComplete(home))
  await holderAnswered(home, 'cd')
  t.ok(await isRecoveryComplete(home))
  t.equal(await acceptRecovery(home), 0)
})

t.test('or until the person accepts', async t => {
  const home = await makeHome(t)
  await writeRecoveryState(home, { pending: ['ab', 'cd'], isAccepted: false })
  t.equal(await acceptRecovery(home), 2)
  t.ok(await isRecoveryComplete(home))
  t.equal(await acceptRecovery(home), 0)
  t.same(await readRecoveryState(home), { pending: ['ab', 'cd'], isAccepted: true })
})

t.test('a damaged file is not taken for a complete recovery', async t => {
  const home = await makeHome(t)
  for (const text of [
    '',
    '{',
    'null',
    '{"version":1}',
    '{"version":1,"pending":[1],"isAccepted":true}'
  ]) {
    await writeFile(home.recoveryFile, text)
    await t.rejects(isRecoveryComplete(home), { code: 'DAMAGED' }, text)
  }
  await writeFile(home.recoveryFile, '{"version":2}')
  await t.rejects(isRecoveryComplete(home), { code: 'NEWER_FORMAT' })
})
