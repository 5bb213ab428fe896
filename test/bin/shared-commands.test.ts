/** The commands for several devices, against a daemon with a fake drive: text, JSON, refusals. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { SyncStatus } from '../../bin/api.ts'
import type { Command } from '../../bin/command.ts'
import { bootstrapCommand } from '../../bin/commands/bootstrap.ts'
import { JSON_BYTES_MAX, catCommand } from '../../bin/commands/cat.ts'
import { conflictsCommand } from '../../bin/commands/conflicts.ts'
import { devicesCommand } from '../../bin/commands/devices.ts'
import { inviteCommand } from '../../bin/commands/invite.ts'
import { statusCommand } from '../../bin/commands/status.ts'
import { Stall, STALL_MS, syncCommand } from '../../bin/commands/sync.ts'
import { versionsCommand } from '../../bin/commands/versions.ts'
import type { Home } from '../../bin/home.ts'
import { jsonName } from '../../bin/printable-name.ts'
import { fakeContext, fakeDaemon, input } from './fake-daemon.ts'

async function text(command: Command, home: Home, values = input()): Promise<string> {
  const { context, written } = fakeContext(home)
  await command.run(context, values)
  return written.stdout
}

async function json(command: Command, home: Home, values = input()): Promise<unknown> {
  const { context, written } = fakeContext(home, { json: true })
  await command.run(context, values)
  return JSON.parse(written.stdout) as unknown
}

t.test('invite prints the code, and a picture only in a terminal that has room', async t => {
  const { home, journal } = await fakeDaemon(t)
  const code = 'y'.repeat(106)
  t.match(await text(inviteCommand, home), `  grove join ${code}\n`)
  t.equal(journal.at(-1), 'invite for 10 minutes')
  t.strictSame(await json(inviteCommand, home, input([], { minutes: '1' })), {
    code,
    expiresMs: 60_000
  })
  for (const [columns, shown] of [
    [80, true],
    [20, false]
  ] as const) {
    const { context, written } = fakeContext(home, { isTTY: true, columns })
    await inviteCommand.run(context, input())
    t.equal(/[█▀▄]/.test(written.stdout), shown, `${columns} columns`)
  }
  for (const minutes of ['0', '-1', '1.5', 'ten', '1441', ''])
    await t.rejects(text(inviteCommand, home, input([], { minutes })), { code: 'USAGE' }, minutes)
})

t.test('devices is a table', async t => {
  const { home } = await fakeDaemon(t)
  const lines = (await text(devicesCommand, home)).split('\n')
  t.match(lines[0], /^desk {3}e{16} {2}this device$/)
  t.match(
    lines[1],
    /^phone {2}f{16} {2}offline, last seen 1970-01-01T00:00:00Z {2}merged here 3\/4/
  )
  t.match(await json(devicesCommand, home), { devices: [{ name: 'desk' }, { name: 'phone' }] })
})

t.test('conflicts are listed with their folder and resolved by path', async t => {
  const { home, drive, client, mount, directory, journal } = await fakeDaemon(t)
  t.equal(await text(conflictsCommand, home), 'no conflicts\n')
  drive.conflictList = [
    { ...jsonName('/d/a (phone)'), original: jsonName('/d/a'), device: 'phone' },
    { ...jsonName('/d/\u00FF\u001B'), original: jsonName('/d/b'), device: 'phone' }
  ]
  await client.mount(mount)
  t.strictSame((await text(conflictsCommand, home)).split('\n'), [
    `${directory}/d/a (phone): of ${directory}/d/a, by phone`,
    `${directory}/d/\\xff\\x1b: of ${directory}/d/b, by phone`,
    ''
  ])
  t.match(await json(conflictsCommand, home), { count: 2, conflicts: [{ path: '/d/a (phone)' }] })
  const [resolve] = conflictsCommand.subcommands ?? []
  if (resolve === undefined) throw new Error('there is no resolve')
  const path = join(directory, 'd', 'a')
  t.equal(await text(resolve, home, input([path], { keep: 'both' })), 'kept /d/a\n')
  t.equal(journal.at(-1), 'keep both of /d/a')
  await t.rejects(text(resolve, home, input([path])), { code: 'USAGE', message: /--keep/ })
  await t.rejects(text(resolve, home, input(['/elsewhere'], { keep: 'both' })), {
    code: 'NOT_FOUND'
  })
})

t.test('versions are listed and written out', async t => {
  const { home, drive, client, mount, directory, journal } = await fakeDaemon(t)
  await client.mount(mount)
  const path = join(directory, 'a@b')
  drive.versionList = [{ version: 'f00.1.0', timeMs: 0, size: 2048, device: 'phone' }]
  t.equal(
    await text(versionsCommand, home, input([path])),
    'f00.1.0  1970-01-01T00:00:00.000Z  2.0 KiB  phone\n'
  )
  drive.pieces = [Buffer.from([0, 255]), Buffer.from('x')]
  t.equal(await text(catCommand, home, input([`${path}@f00.1.0`])), '\u0000\u00FFx')
  t.equal(journal.at(-1), 'cat /a@b f00.1.0')
  t.strictSame(await json(catCommand, home, input([`${path}@f00.1.0`])), {
    version: 'f00.1.0',
    size: 3,
    base64: 'AP94'
  })
  drive.pieces = Array.from({ length: JSON_BYTES_MAX / 65_536 + 1 }, () => Buffer.alloc(65_536))
  await t.rejects(json(catCommand, home, input([`${path}@f00.1.0`])), { code: 'USAGE' })
  for (const asked of ['a', 'a@', '@v'])
    await t.rejects(text(catCommand, home, input([asked])), { code: 'USAGE' }, asked)
})

t.test('sync says what is missing, draws a bar, and gives up in time', async t => {
  const { home, drive } = await fakeDaemon(t)
  const state = {
    unreachableEntries: 2,
    waitingEntries: 0,
    quarantinedEntries: 0,
    online: 0,
    devices: 1
  }
  const missing = { missingEntries: 2, missingBytes: 2048, ...state }
  drive.syncList = [missing, { missingEntries: 0, missingBytes: 0, ...state }]
  t.match(await text(syncCommand, home), 'everything known of is here; no other device is online')
  const { context, written } = fakeContext(home, { isTTY: true })
  await syncCommand.run(context, input([], { wait: true }))
  t.match(written.stderr, /Merging \[/)
  await t.rejects(text(syncCommand, home, input([], { wait: true, timeout: '0' })), {
    code: 'UNREACHABLE',
    message: /2 entries and 2\.0 KiB/
  })
  await t.rejects(text(syncCommand, home, input([], { timeout: 'x' })), { code: 'USAGE' })
})

const NOTHING_MISSING: SyncStatus = {
  ...{ missingEntries: 0, unreachableEntries: 0, waitingEntries: 0, quarantinedEntries: 0 },
  ...{ missingBytes: 0, online: 1, devices: 2 }
}

t.test('sync says why something does not come', async t => {
  const { home, drive } = await fakeDaemon(t)
  const said = async (parts: Partial<SyncStatus>): Promise<string> => {
    drive.syncList = [{ ...NOTHING_MISSING, missingEntries: 5, ...parts }]
    return text(syncCommand, home)
  }
  t.match(await said({}), /^5 entries and 0 B of content are missing\n/)
  const unreachable = 'missing; no device that is online has'
  t.match(await said({ unreachableEntries: 5 }), `${unreachable} the entries\n`)
  t.match(await said({ unreachableEntries: 2 }), `${unreachable} 2 of the entries\n`)
  t.match(await said({ waitingEntries: 3 }), '; 3 entries are here and wait for others\n')
  t.match(await said({ problem: 'the disk is full' }), '; the disk is full\n')
})

t.test('who waited is told by a failure that some entries are not taken', async t => {
  const { home, drive } = await fakeDaemon(t)
  drive.syncList = [{ ...NOTHING_MISSING, quarantinedEntries: 3 }]
  const what = /^everything known of is here; 3 entries are not taken, `grove status` says why/
  t.match(await text(syncCommand, home), what)
  const waited = text(syncCommand, home, input([], { wait: true }))
  await t.rejects(waited, { code: 'FAILED', message: what })
})

t.test('who waits in vain is told once, until something comes', async t => {
  let nowMs = 0
  const stall = new Stall(() => nowMs)
  const after = (ms: number, missingEntries: number): boolean => {
    nowMs += ms
    return stall.update({ ...NOTHING_MISSING, missingEntries })
  }
  t.notOk(after(0, 5))
  t.notOk(after(STALL_MS - 1, 5))
  t.ok(after(1, 6), 'more that is missing is nothing that came')
  t.notOk(after(STALL_MS, 6), 'once')
  t.notOk(after(1, 4))
  t.ok(after(STALL_MS, 4), 'and again when something came meanwhile')
  t.notOk(after(0, 0))
  t.notOk(after(2 * STALL_MS, 0), 'nothing is missing')
})

t.test('status tells of the other devices', async t => {
  const { home } = await fakeDaemon(t)
  const shown = await text(statusCommand, home)
  t.match(shown, 'others   1, 1 online\n')
  t.match(shown, 'refused  2 connections\n')
  t.match(await json(statusCommand, home), { network: { refusedPeers: 2, missingBytes: 5 } })
})

t.test('without a daemon each says what to do', async t => {
  const { home } = await fakeDaemon(t)
  await rm(home.lockFile)
  const path = join(home.directory, '../x')
  for (const [command, values] of [
    [inviteCommand, input()],
    [devicesCommand, input()],
    [conflictsCommand, input()],
    [versionsCommand, input([path])],
    [catCommand, input([`${path}@1`])],
    [syncCommand, input()]
  ] as const)
    await t.rejects(text(command, home, values), {
      code: 'NOT_RUNNING',
      message: /run `grove mount` first/
    })
})

t.test('bootstrap checks where it is to listen', async t => {
  const { home } = await fakeDaemon(t)
  for (const options of [
    {},
    { host: 'localhost' },
    { host: '::1' },
    { host: '127.0.0.1', port: '0' },
    { host: '127.0.0.1', port: 'x' }
  ])
    await t.rejects(text(bootstrapCommand, home, input([], options)), { code: 'USAGE' })
})
