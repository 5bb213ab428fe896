/** A holder that comes late: what it knows is taken, all of it, or it counts as not answered. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { signLocatorStatement } from '../../src/crypto/locator-statement.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { KnownPairs } from '../../src/replication/known-pairs.ts'
import { LogHome } from '../../src/replication/log-home.ts'
import { takeLateSummaries } from '../../src/replication/take-late-summaries.ts'
import type { LogKey } from '../../src/sync/log.ts'
import { Members } from '../../src/sync/members.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { filled } from '../support/bytes.ts'
import { MemoryHolderLink } from '../support/memory-holder-link.ts'
import { RecoverableDrive } from '../support/recoverable-drive.ts'

/** A holder that knows a drive, and a device that knows only who belongs to it. */
async function parties(t: Test) {
  const drive = await RecoverableDrive.make()
  const { identity, keys, statements, drive: id } = drive.made.content
  const directory = await mkdtemp(join(tmpdir(), 'grove-late-'))
  const logHome = await LogHome.open({ directory })
  t.teardown(async () => {
    await logHome.close()
    await rm(directory, { recursive: true, force: true })
  })
  const members = new Members({ identity, keys, statements })
  const pairs = new KnownPairs({ logHome, members, drive: id })
  const awaited: [LogKey, number][] = []
  const logs = {
    arrived: async (log: LogKey, length: number): Promise<void> => {
      if (length > 100) throw new SyncError('UNREACHABLE', 'nobody has it')
      awaited.push([log, length])
    }
  }
  const link = new MemoryHolderLink('late')
  const take = () =>
    takeLateSummaries(link, {
      ...{ identity, drive: id, members, pairs, logs },
      statements: () => drive.statements
    })
  const [pair] = drive.announcements
  if (pair === undefined) throw new Error('no pair')
  return { drive, members, pairs, awaited, link, take, pair }
}

t.test('members and logs are learned, and their entries waited for', async t => {
  const { drive, members, pairs, awaited, link, take, pair } = await parties(t)
  const phone = DeviceKeys.generate(drive.random)
  await drive.say('attest', phone)
  drive.lengths.set(pair.operationLog.key, 7)
  link.given.push(await drive.summary())
  await take()
  t.equal(members.all().length, 2)
  t.ok(pairs.has(pair.operationLog.key))
  t.same(awaited, [[pair.operationLog.key, 7]])
})

t.test('a summary from before the locator secret changed is read too', async t => {
  const { drive, pairs, link, take, pair } = await parties(t)
  link.given.push(await drive.summary())
  drive.statements.push(signLocatorStatement(await drive.identity(), 1))
  await take()
  t.ok(pairs.has(pair.operationLog.key))
})

t.test('a holder that has nothing has answered', async t => {
  const { pairs, link, take } = await parties(t)
  link.answer = async () => []
  await take()
  t.same(pairs.announcements, [])
})

t.test('one that lies, breaks off, or does not deliver has not', async t => {
  const { drive, link, take, pair } = await parties(t)
  link.given.push(filled(100, 1))
  await t.rejects(take(), { code: 'BAD_ANSWER' })
  drive.lengths.set(pair.operationLog.key, 101)
  link.given.push(await drive.summary())
  await t.rejects(take(), { code: 'UNREACHABLE' })
})
