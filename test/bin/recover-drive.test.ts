/** A drive comes back from its words: with real holders, and with ones that are off or lie. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createDrive } from '../../bin/create-drive.ts'
import { DaemonLog } from '../../bin/daemon-log.ts'
import { Home } from '../../bin/home.ts'
import { openDrive } from '../../bin/open-drive.ts'
import { recoverDrive, type RecoverOptions } from '../../bin/recover-drive.ts'
import { isRecoveryComplete, readRecoveryState } from '../../bin/recovery-state.ts'
import { generateWords } from '../../src/crypto/recovery-words.ts'
import { Identity } from '../../src/crypto/identity.ts'
import { decodeKeyFile, type KeyFileContent } from '../../src/crypto/key-file.ts'
import { ROOT_INODE } from '../../src/fs/vfs.ts'
import { Members } from '../../src/sync/members.ts'
import type { Name } from '../../src/sync/operation.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { RecoveryStage, wipe } from '../support/recovery-stage.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** For answers that must not come. */
const BRIEFLY_MS = 3_000

async function opened<T>(
  home: Home,
  keys: KeyFileContent,
  use: (drive: Awaited<ReturnType<typeof openDrive>>) => Promise<T>
): Promise<T> {
  const log = new DaemonLog(home.logFile)
  const drive = await openDrive({ home, keys, log, onProgress: () => undefined })
  try {
    return await use(drive)
  } finally {
    await drive.close()
    log.close()
  }
}

const makeDirectory = (home: Home, keys: KeyFileContent, name: string): Promise<void> =>
  opened(home, keys, async drive => {
    const files = await drive.openVfs({ readOnly: false })
    files.vfs.mkdir({ parent: ROOT_INODE, name: name as Name }, 0o755, { uid: 0, gid: 0 })
    await files.close()
  })

const listRoot = (home: Home, keys: KeyFileContent): Promise<readonly string[]> =>
  opened(home, keys, async drive => {
    const files = await drive.openVfs({ readOnly: true })
    const names: string[] = []
    const handle = files.vfs.opendir(ROOT_INODE)
    files.vfs.readdir(handle, 0, ({ name }) => names.push(name) > 0)
    files.vfs.releasedir(handle)
    await files.close()
    return names.filter(name => !name.startsWith('.')).toSorted()
  })

/** A drive with directories, whose holders have what recovery needs and whose home is gone. */
async function lostDrive(t: Test, holders: number) {
  const folder = await temporaryFolder(t)
  const stage = await RecoveryStage.open(t, folder, holders)
  const homeAt = (name: string) => Home.locate({ GROVE_HOME: join(folder, name) })
  const home = await homeAt('desk')
  const { words, content } = await createDrive({ home, deviceName: 'desk', passphrase: undefined })
  for (const name of ['a', 'b']) await makeDirectory(home, content, name)
  await stage.giveAway(home, content)
  await wipe(home)
  const recover = async (name: string, more: Partial<RecoverOptions> = {}, of = words) => {
    const identity = await Identity.fromWords(of)
    return recoverDrive({
      home: await homeAt(name),
      identity,
      deviceName: 'new',
      passphrase: undefined,
      network: stage.network,
      deadlineMs: BRIEFLY_MS,
      decide: async () => ({ others: 'kept' }),
      ...more
    })
  }
  return { folder, stage, homeAt, content, recover }
}

t.test('the whole tree is there, in fresh logs, and nothing is waited for', async t => {
  const { homeAt, content, recover, stage } = await lostDrive(t, 2)
  const steps = new Set<string>()
  const recovered = await recover('new', { onProgress: step => steps.add(step) })
  t.same([...steps].slice(0, 2), ['asking', 'fetching'])
  t.same(
    recovered.offer.holders.map(({ answer }) => answer),
    ['answered', 'answered']
  )
  t.ok(recovered.offer.isComplete)
  t.notOk(recovered.offer.isStale)
  t.same(
    recovered.offer.devices.map(({ name }) => name),
    ['desk']
  )
  t.same(recovered.logs, { missingEntries: 0, changed: [] })
  const home = await homeAt('new')
  const keys = await decodeKeyFile(await home.readKeyFile())
  t.same(keys.drive, content.drive)
  t.ok(await isRecoveryComplete(home))
  t.same(await listRoot(home, keys), ['a', 'b'])
  const { identity, statements } = keys
  const members = new Members({ identity, keys: keys.keys, statements })
  const listed = members.all().map(({ name, isSuspended }) => `${name} ${isSuspended}`)
  t.same(listed.toSorted(), ['desk false', 'new false'])
  await makeDirectory(home, keys, 'c')
  t.same(await listRoot(home, keys), ['a', 'b', 'c'])
  await stage.giveAway(home, keys)
  await wipe(home)
  await recover('again')
  const again = await homeAt('again')
  t.same(await listRoot(again, await decodeKeyFile(await again.readKeyFile())), ['a', 'b', 'c'])
})

t.test('a holder that is off is told of, and waited for', async t => {
  const { homeAt, recover, stage } = await lostDrive(t, 2)
  await stage.holders[0]?.close()
  const { offer } = await recover('new')
  t.same(offer.holders.map(({ answer }) => answer).toSorted(), ['answered', 'silent'])
  t.notOk(offer.isComplete)
  const home = await homeAt('new')
  t.notOk(await isRecoveryComplete(home))
  const off = Buffer.from(stage.holders[0]?.keys.publicKeys.network ?? []).toString('hex')
  t.same(await readRecoveryState(home), { pending: [off], isAccepted: false })
  t.same(await listRoot(home, await decodeKeyFile(await home.readKeyFile())), ['a', 'b'])
})

t.test('lost devices are put out, and stolen ones lose the keys', async t => {
  const { homeAt, recover, stage } = await lostDrive(t, 1)
  const { revoked } = await recover('new', { decide: async () => ({ others: 'stolen' }) })
  t.same(
    revoked.map(({ name }) => name),
    ['desk']
  )
  const home = await homeAt('new')
  const keys = await decodeKeyFile(await home.readKeyFile())
  t.equal(keys.keys.size, 2)
  t.same(await listRoot(home, keys), ['a', 'b'])
  await stage.giveAway(home, keys)
  await wipe(home)
  const again = await recover('again')
  t.same(
    again.offer.devices.map(({ name }) => name),
    ['new']
  )
})

t.test('wrong words, nobody, and a person who gives up leave nothing behind', async t => {
  const { folder, recover, stage } = await lostDrive(t, 1)
  const isGone = () => t.notOk(existsSync(join(folder, 'new')))
  const others = generateWords(new SeededRandom(5))
  await t.rejects(recover('new', {}, others), { code: 'NOT_FOUND' })
  isGone()
  await t.rejects(recover('new', { decide: async () => undefined }), { code: 'FAILED' })
  isGone()
  const controller = new AbortController()
  const { signal } = controller
  const onProgress: RecoverOptions['onProgress'] = step => {
    if (step === 'fetching') controller.abort()
  }
  await t.rejects(recover('new', { signal, onProgress }), { code: 'INTERRUPTED' })
  isGone()
  await stage.holders[0]?.close()
  await t.rejects(recover('new'), { code: 'UNREACHABLE', message: /none of 1/ })
  isGone()
  await stage.fabric.stopBootstrap()
  await t.rejects(recover('new'), { code: 'UNREACHABLE' })
  isGone()
  t.notOk((await readdir(folder)).includes('new'))
})
