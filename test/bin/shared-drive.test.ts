/** What other devices have to do with, over the socket: invitations, devices, conflicts, versions. */
import { join } from 'node:path'
import t from 'tap'
import { CONFLICTS_LISTED_MAX, VERSIONS_LISTED_MAX, type SyncLine } from '../../bin/api.ts'
import { GroveError } from '../../bin/grove-error.ts'
import { jsonName } from '../../bin/printable-name.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { fakeDaemon } from './fake-daemon.ts'

t.test('invitations and devices', async t => {
  const { client, journal } = await fakeDaemon(t)
  t.match(await client.invite({ minutes: 20 }), { expiresMs: 1_200_000 })
  t.equal(journal.at(-1), 'invite for 20 minutes')
  const { devices } = await client.devices()
  t.strictSame(
    devices.map(device => [device.name, device.isThis, device.online]),
    [
      ['desk', true, true],
      ['phone', false, false]
    ]
  )
})

t.test('conflicts are listed up to a number, and counted beyond it', async t => {
  const { client, drive, mount, directory } = await fakeDaemon(t)
  t.strictSame(await client.conflicts(), { count: 0, conflicts: [] })
  const conflict = { ...jsonName('/a (1)'), original: jsonName('/a'), device: 'phone' }
  drive.conflictList = [conflict]
  await client.mount(mount)
  t.strictSame(await client.conflicts(), { directory, count: 1, conflicts: [conflict] })
  drive.conflictList = Array.from({ length: CONFLICTS_LISTED_MAX + 2 }, () => conflict)
  const many = await client.conflicts()
  t.equal(many.count, CONFLICTS_LISTED_MAX + 2)
  t.equal(many.conflicts.length, CONFLICTS_LISTED_MAX)
})

t.test('paths are those of the mounted folder', async t => {
  const { client, journal, mount, directory } = await fakeDaemon(t)
  const path = join(directory, 'd', 'é')
  await t.rejects(client.resolve({ path, keep: 'mine' }), { code: 'NOT_FOUND' }, 'not mounted')
  await client.mount(mount)
  t.strictSame(await client.resolve({ path, keep: 'theirs' }), { kept: [{ path: '/d/é' }] })
  t.equal(journal.at(-1), 'keep theirs of /d/\u00C3\u00A9')
  for (const outside of ['/', '/elsewhere', `${directory}2/a`]) {
    await t.rejects(client.resolve({ path: outside, keep: 'mine' }), { code: 'NOT_FOUND' })
    await t.rejects(client.versions({ path: outside }), { code: 'NOT_FOUND' })
    const cat = client.cat({ path: outside, version: '1' })
    await t.rejects(cat.next(), { code: 'NOT_FOUND' })
  }
})

t.test('of too many versions the newest are listed', async t => {
  const { client, drive, mount, directory } = await fakeDaemon(t)
  await client.mount(mount)
  drive.versionList = Array.from({ length: VERSIONS_LISTED_MAX + 1 }, (_, at) => ({
    version: String(at),
    timeMs: at,
    size: 1,
    device: 'desk'
  }))
  const { count, versions } = await client.versions({ path: join(directory, 'a') })
  t.equal(count, VERSIONS_LISTED_MAX + 1)
  t.equal(versions.length, VERSIONS_LISTED_MAX)
  t.equal(versions[0]?.version, '1')
})

t.test('cat gives bytes, and the reason when it breaks off', async t => {
  const { client, drive, mount, directory } = await fakeDaemon(t)
  await client.mount(mount)
  const request = { path: join(directory, 'a'), version: 'v' }
  const read = async (): Promise<Uint8Array> => {
    const whole: Uint8Array[] = []
    for await (const piece of client.cat(request)) whole.push(piece)
    return Buffer.concat(whole)
  }
  const pieces = Array.from({ length: 64 }, (_, at) => Buffer.alloc(64 * 1024, at))
  drive.pieces = pieces
  t.strictSame(await read(), Buffer.concat(pieces))
  drive.pieces = []
  t.strictSame(await read(), Buffer.alloc(0), 'an empty file')
  drive.pieces = [new GroveError('NOT_FOUND', 'there is no such version — none')]
  await t.rejects(read(), { code: 'NOT_FOUND', message: 'there is no such version — none' })
  drive.pieces = [Buffer.from('begun'), new SyncError('UNREACHABLE', 'nobody has it')]
  await t.rejects(read(), { code: 'UNREACHABLE' }, 'in the middle')
})

t.test('a client that leaves ends its cat', async t => {
  const { client, drive, mount, directory } = await fakeDaemon(t)
  await client.mount(mount)
  drive.pieces = Array.from({ length: 4_096 }, () => Buffer.alloc(64 * 1024))
  for await (const piece of client.cat({ path: join(directory, 'a'), version: 'v' }))
    if (piece.length > 0) break
  t.match(await client.status(), { running: true }, 'and the daemon goes on')
})

t.test('sync saves, tells progress while it waits, and the state at its end', async t => {
  const { client, drive, journal } = await fakeDaemon(t)
  const state = {
    unreachableEntries: 0,
    waitingEntries: 0,
    quarantinedEntries: 0,
    online: 1,
    devices: 1
  }
  const missing = { missingEntries: 1, missingBytes: 9, ...state }
  const done = { missingEntries: 0, missingBytes: 0, ...state }
  drive.syncList = [missing, done]
  const read = async (wait: boolean): Promise<SyncLine[]> => {
    const lines: SyncLine[] = []
    for await (const line of client.catchUp({ wait })) lines.push(line)
    return lines
  }
  t.strictSame(await read(false), [{ kind: 'end', status: done }])
  t.strictSame(journal, ['sync'])
  t.strictSame(await read(true), [
    { kind: 'progress', status: missing },
    { kind: 'progress', status: done },
    { kind: 'end', status: done }
  ])
  drive.failure = new Error('the disk went away')
  await t.rejects(read(true), { code: 'FAILED', message: /the disk went away/ })
})
