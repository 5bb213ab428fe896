/** Joining makes a home, or leaves nothing; over a private network on this machine. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createDrive } from '../../bin/create-drive.ts'
import { DaemonLog } from '../../bin/daemon-log.ts'
import { Home } from '../../bin/home.ts'
import { joinDrive, type JoinOptions } from '../../bin/join-drive.ts'
import { openDrive } from '../../bin/open-drive.ts'
import { openPairingNetwork } from '../../bin/pairing-network.ts'
import { SystemClock } from '../../bin/system-clock.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { deviceNameOf } from '../../bin/unlock-keys.ts'
import { encodeInvitationCode } from '../../src/crypto/invitation-code.ts'
import { decodeKeyFile } from '../../src/crypto/key-file.ts'
import { Pairing } from '../../src/replication/pairing.ts'
import { Members } from '../../src/sync/members.ts'
import { LoopbackFabric } from '../support/loopback-fabric.ts'
import { temporaryFolder } from './temporary-folder.ts'

const PASSPHRASE = Buffer.from('correct horse')
/** For answers that must not come. */
const BRIEFLY_MS = 300

/** A device that invites, and how to join from this machine. */
async function makeParties(t: Test) {
  const fabric = await LoopbackFabric.open()
  t.teardown(() => fabric.close())
  const folder = await temporaryFolder(t)
  const homeAt = (name: string) => Home.locate({ GROVE_HOME: join(folder, name) })
  const network = { bootstrap: [fabric.bootstrap], listenHost: '127.0.0.1' }
  const made = await createDrive({
    home: await homeAt('desk'),
    deviceName: 'desk',
    passphrase: undefined
  })
  const { content } = made
  const { identity, keys, statements } = content
  const pairing = new Pairing({
    keys: content,
    members: new Members({ identity, keys, statements }),
    record: async () => undefined,
    openNetwork: () => openPairingNetwork(network, () => undefined),
    clock: new SystemClock(),
    random: systemRandom,
    report: () => undefined
  })
  t.teardown(() => pairing.close())
  const options = async (name: string, more: Partial<JoinOptions> & { readonly code: string }) => ({
    home: await homeAt(name),
    deviceName: 'laptop',
    passphrase: undefined,
    network,
    ...more
  })
  return { folder, content, pairing, options, homeAt }
}

t.test('a home is made that opens the drive', async t => {
  const { content, pairing, options, homeAt } = await makeParties(t)
  const { code } = pairing.createInvitation()
  const steps: number[] = []
  const onProgress = ({ done, total }: { done: number; total: number }) => steps.push(done / total)
  const joined = await joinDrive(await options('laptop', { code, onProgress }))
  t.same(steps, [0, 0.25, 0.5, 0.75, 1])
  t.equal(joined.inviter.name, 'desk')

  const home = await homeAt('laptop')
  await home.check()
  const kept = await decodeKeyFile(await home.readKeyFile())
  t.same(kept.drive, content.drive)
  t.same(kept.identity, content.identity)
  t.same(kept.keys.rows(), content.keys.rows())
  t.same(kept.deviceKeys.publicKeys, joined.content.deviceKeys.publicKeys)
  t.equal(deviceNameOf(kept), 'laptop')
  t.same(kept.statements[0], content.statements[0])

  const log = new DaemonLog(home.logFile)
  const drive = await openDrive({ home, keys: kept, log, onProgress: () => undefined })
  await drive.close()
  log.close()
  const again = joinDrive(await options('laptop', { code }))
  await t.rejects(again, { code: 'ALREADY_INITIALISED' })
})

t.test('a passphrase seals the keys', async t => {
  const { pairing, options, homeAt } = await makeParties(t)
  const { code } = pairing.createInvitation()
  await joinDrive(await options('laptop', { code, passphrase: PASSPHRASE }))
  const bytes = await (await homeAt('laptop')).readKeyFile()
  await t.rejects(decodeKeyFile(bytes), { code: 'WRONG_PASSPHRASE' })
  await decodeKeyFile(bytes, { passphrase: PASSPHRASE })
})

t.test('a wrong or used code leaves nothing behind', async t => {
  const { folder, pairing, options } = await makeParties(t)
  const secret = systemRandom.bytes(16)
  const wrong = encodeInvitationCode({ secret, expiresMs: Date.now() + 60_000 })
  const unanswered = joinDrive(await options('new', { code: wrong, deadlineMs: BRIEFLY_MS }))
  await t.rejects(unanswered, { code: 'NO_ANSWER' })
  t.notOk(existsSync(join(folder, 'new')))

  await t.rejects(joinDrive(await options('new', { code: 'no code' })), { code: 'BAD_CODE' })
  t.notOk(existsSync(join(folder, 'new')))

  const { code } = pairing.createInvitation()
  await joinDrive(await options('laptop', { code }))
  await mkdir(join(folder, 'empty'))
  await t.rejects(joinDrive(await options('empty', { code })), { code: 'USED' })
  t.same(await readdir(join(folder, 'empty')), [])
})

t.test('an invitation is not spent where no home can be made', async t => {
  const { folder, pairing, options } = await makeParties(t)
  const { code } = pairing.createInvitation()
  await mkdir(join(folder, 'taken'))
  await writeFile(join(folder, 'taken', 'letter'), 'dear')
  await t.rejects(joinDrive(await options('taken', { code })), { code: 'FAILED' })
  t.same(await readdir(join(folder, 'taken')), ['letter'])
  await joinDrive(await options('laptop', { code }))
})

t.test('what an unfinished init left is not removed, and joining goes on in it', async t => {
  const { folder, pairing, options, homeAt } = await makeParties(t)
  const home = await homeAt('begun')
  await home.prepare()
  await mkdir(join(folder, 'begun', 'logs'))
  const nothing = joinDrive(await options('begun', { code: 'no code' }))
  await t.rejects(nothing, { code: 'BAD_CODE' })
  t.ok((await readdir(join(folder, 'begun'))).includes('format'))
  await joinDrive(await options('begun', { code: pairing.createInvitation().code }))
  await home.check()
})

t.test('giving up leaves nothing behind', async t => {
  const { folder, pairing, options } = await makeParties(t)
  const controller = new AbortController()
  const { signal } = controller
  const { code } = pairing.createInvitation()
  const onProgress = () => controller.abort()
  await t.rejects(joinDrive(await options('new', { code, signal, onProgress })), {
    code: 'INTERRUPTED'
  })
  t.notOk(existsSync(join(folder, 'new')))
})
