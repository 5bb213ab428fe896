/** The commands about copies, against a daemon with a fake drive: text, JSON, refusals. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { EventEmitter } from 'node:events'
import t from 'tap'
import type { Command, Context } from '../../bin/command.ts'
import { explainCommand } from '../../bin/commands/explain.ts'
import { holdersCommand } from '../../bin/commands/holders.ts'
import { redundancyCommand } from '../../bin/commands/redundancy.ts'
import { statusCommand } from '../../bin/commands/status.ts'
import type { ExplainedComputer, SurvivalStatus, WeakFile } from '../../bin/custody-api.ts'
import { DIRECTORIES_SHOWN, WEAKEST_SHOWN } from '../../bin/describe-survival.ts'
import { GroveError } from '../../bin/grove-error.ts'
import type { Home } from '../../bin/home.ts'
import { encodeHolderCode } from '../../src/crypto/holder-code.ts'
import { jsonName } from '../../bin/printable-name.ts'
import { fakeContext, fakeDaemon, input } from './fake-daemon.ts'
import { fakeHolder } from './fake-drive.ts'

const HOUR_MS = 3_600_000
const addCommand = subcommand('add')
const removeCommand = subcommand('remove')
const trimCommand = subcommand('trim')

function subcommand(name: string): Command {
  const found = holdersCommand.subcommands?.find(each => each.name === name)
  if (found === undefined) throw new Error(`there is no ${name}`)
  return found
}

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

/** A code as `grove host` shows it. */
function holderCode(expiresMs = 0): string {
  return encodeHolderCode({ network: new Uint8Array(32), secret: new Uint8Array(16), expiresMs })
}

t.test('holders is a table, with what is wrong below it', async t => {
  const { home, drive } = await fakeDaemon(t)
  t.match(await text(holdersCommand, home), /run `grove host` elsewhere/)
  drive.holderList = [
    { ...fakeHolder({ name: 'desk', kind: 'this' }), key: 'e'.repeat(64) },
    fakeHolder({ site: 'attic', keptGibDays: 12.34, givenGibDays: 3 }),
    fakeHolder({
      name: 'bob',
      online: false,
      state: 'silent',
      lastSeenMs: HOUR_MS,
      keptGibDays: 0.05
    }),
    fakeHolder({ name: 'carl', online: false, state: 'suspect', lastSeenMs: 0 }),
    fakeHolder({ name: 'dora', state: 'failed', problem: 'its disk\u001B is full' }),
    fakeHolder({ name: 'ed', online: false, state: 'gone' }),
    fakeHolder({ name: 'new\u001B', kind: 'device', online: false, state: 'suspect' })
  ]
  const lines = (await text(holdersCommand, home)).split('\n')
  t.match(lines[0], /^NAME +KEY +WHAT +STATE +SITE +KEPT +PROVEN +AUDITS +BALANCE$/)
  t.match(lines[1], /^desk +eeeeeeee +this computer +- +- +3.0 GiB of 50.0 GiB +- +- +-$/)
  t.match(lines[2], /^anna +aaaaaaaa +holder +online +attic +3.0 GiB of 50.0 GiB +1970-01-01T00:00/)
  t.match(lines[2], / 812 blocks, 1 failed +kept 12.3 GiB days for you, you 3.0 GiB days$/)
  t.match(lines[3], / offline since 1970-01-01T01:00:00Z +-.* kept 51.2 MiB days for you$/)
  t.match(lines[4], / offline since 1970-01-01T00:00:00Z, not counted /)
  t.match(lines[5], / failed, online /)
  t.match(lines[6], / gone /)
  t.match(lines[7], /^new\\x1b +\w+ +your device +offline, not counted /)
  t.equal(lines[8], String.raw`dora: its disk\x1b is full`)
  t.match(await json(holdersCommand, home), { holders: [{ name: 'desk' }, { site: 'attic' }] })
})

t.test('a computer that said nothing yet has no quota and no proof', async t => {
  const { home, drive } = await fakeDaemon(t)
  const { lastProofMs, quotaBytes, ...silent } = fakeHolder({ keptBytes: 0 })
  t.ok(lastProofMs !== undefined && quotaBytes !== undefined)
  drive.holderList = [silent]
  t.match(await text(holdersCommand, home), / online +- +0 B +not yet +812 blocks/)
})

t.test('holders add hands the code and the names on', async t => {
  const { home, drive, journal } = await fakeDaemon(t)
  const code = holderCode()
  t.match(await text(addCommand, home, input([code])), /^anna keeps copies up to 50.0 GiB from now/)
  t.equal(journal.at(-1), `add holder ${JSON.stringify({ code })}`)
  const names = { site: 'attic', machine: 'nas', person: 'Anna' }
  t.match(await json(addCommand, home, input([code], names)), { name: 'anna', ...names })
  t.equal(journal.at(-1), `add holder ${JSON.stringify({ code, ...names })}`)
  journal.length = 0
  for (const [bad, message] of [
    ['nonsense', /copy all that `grove host` shows/],
    [code.replace(/.$/, last => (last === 'y' ? 'b' : 'y')), /typing error/],
    [holderCode(1_000), /has expired/]
  ] as const)
    await t.rejects(text(addCommand, home, input([bad])), { code: 'INVITATION', message })
  for (const name of ['site', 'machine', 'person'])
    await t.rejects(text(addCommand, home, input([code], { [name]: 'a\nb' })), { code: 'USAGE' })
  t.strictSame(journal, [], 'and nobody was asked')
  drive.failure = new GroveError('INVITATION', 'nobody answers to this code')
  await t.rejects(text(addCommand, home, input([code])), { message: /nobody answers/ })
})

t.test('holders remove draws a bar and says what became of the copies', async t => {
  const { home, drive, journal } = await fakeDaemon(t)
  drive.removeLines = [
    { kind: 'progress', done: 1, total: 4 },
    { kind: 'end', removed: fakeHolder({ keptBytes: 0 }), toldBytes: 0, awayBytes: 0 }
  ]
  const { context, written } = fakeContext(home, { isTTY: true })
  await removeCommand.run(context, input(['anna']))
  t.match(written.stderr, /Copying elsewhere \[/)
  t.equal(written.stdout, 'anna keeps nothing for you any more.\n')
  t.equal(journal[0], 'remove holder anna')
  drive.removeLines = [{ kind: 'end', removed: fakeHolder(), toldBytes: 2 ** 30, awayBytes: 0 }]
  t.match(await text(removeCommand, home, input(['anna'], { force: true })), /not counted on/)
  t.ok(journal.includes('remove holder anna by force'))
  t.match(await json(removeCommand, home, input(['anna'])), { removed: { name: 'anna' } })
  const freed = await text(removeCommand, home, input(['anna']))
  t.match(freed, /^1.0 GiB on its disk are released: they go in 7 days, if enough others/m)
  t.match(freed, /^To go on with it before then: grove holders remove aaaaaaaa --cancel$/m)
  const away = { toldBytes: 0, awayBytes: 2 ** 30, problem: 'it is\u001B slow' }
  drive.removeLines = [{ kind: 'end', removed: fakeHolder(), ...away }]
  const later = await text(removeCommand, home, input(['anna']))
  t.match(later, /^1.0 GiB stay on its disk until this drive meets it again and tells it/m)
  t.match(await json(removeCommand, home, input(['anna'])), { removed: {}, awayBytes: 2 ** 30 })
  drive.removeLines = []
  await t.rejects(text(removeCommand, home, input(['anna'])), { code: 'NO_ANSWER' })
  drive.failure = new GroveError('FAILED', '3 files would have too few copies')
  await t.rejects(text(removeCommand, home, input(['anna'])), { message: /too few copies/ })
})

t.test('a removal is taken back', async t => {
  const { home, journal } = await fakeDaemon(t)
  const cancel = { cancel: true as const }
  t.match(await text(removeCommand, home, input(['anna'], cancel)), /^anna keeps copies again/)
  t.equal(journal.at(-1), 'keep holder anna')
  t.match(await json(removeCommand, home, input(['anna'], cancel)), { name: 'anna' })
  await t.rejects(text(removeCommand, home, input(['anna'], { ...cancel, force: true })), {
    code: 'USAGE'
  })
})

t.test('holders trim says what goes when, what stays, and why', async t => {
  const { home, drive, journal } = await fakeDaemon(t)
  t.match(await text(trimCommand, home), /^nothing to release: no holder has more copies than/)
  t.equal(journal.at(-1), 'trim')
  const who = { name: 'anna\u001B', key: 'a'.repeat(64) }
  drive.trimmed = {
    holders: [
      { ...who, toldBytes: 2 ** 30, awayBytes: 0 },
      { ...who, name: 'bert', toldBytes: 0, awayBytes: 2 ** 20, problem: 'it has no more room' }
    ],
    waiting: [
      { ...who, reason: 'excess', bytes: 2 ** 30, dueMs: 7 * 24 * HOUR_MS },
      { ...who, reason: 'removed', bytes: 5, dueMs: 0, problem: 'too few others' },
      { ...who, reason: 'garbage', bytes: 5, dueMs: 0 }
    ]
  }
  t.strictSame((await text(trimCommand, home)).split('\n'), [
    String.raw`anna\x1b: 1.0 GiB are more than wished and were released`,
    'bert: 1.0 MiB are left alone; it is not connected, try again then',
    'bert: not all of it; it has no more room',
    String.raw`anna\x1b: 1.0 GiB go from 1970-01-08T00:00:00Z on (more than wished)`,
    String.raw`anna\x1b: 5 B go from 1970-01-01T00:00:00Z on (it was removed); not yet: too few others`,
    String.raw`anna\x1b: 5 B go from 1970-01-01T00:00:00Z on (no file needs them)`,
    'To take it back before then: grove holders trim --cancel',
    ''
  ])
  t.match(await text(trimCommand, home, input([], { cancel: true })), /1.0 GiB stay after all/)
  t.equal(journal.at(-1), 'take back what is too much')
  t.match(await json(trimCommand, home), { holders: [{ toldBytes: 2 ** 30 }, {}], waiting: [{}] })
  drive.trimmed = { holders: [], waiting: [] }
  t.match(await text(trimCommand, home, input([], { cancel: true })), /could be taken back/)
  drive.failure = new GroveError('FAILED', 'not known yet')
  await t.rejects(text(trimCommand, home), { message: /not known yet/ })
})

t.test('what was released is told below the table', async t => {
  const { home, drive } = await fakeDaemon(t)
  drive.holderList = [fakeHolder({ state: 'leaving', releasedBytes: 2 ** 20, releasedMs: 0 })]
  const shown = await text(holdersCommand, home)
  t.match(shown, / removed, online /)
  t.match(
    shown,
    /^anna: 1.0 MiB released, to go from 1970-01-01T00:00:00Z on if enough others have/m
  )
})

/** A context whose person types something once they are asked. */
function typing(context: Context, reply: string): Context {
  const keyboard = Object.assign(new EventEmitter(), {
    isTTY: true,
    pause: () => undefined,
    resume: () => void setImmediate(() => keyboard.emit('data', Buffer.from(reply)))
  })
  return { ...context, stdin: keyboard }
}

t.test('holders remove asks whoever can be asked', async t => {
  const { home, drive, journal } = await fakeDaemon(t)
  drive.removeLines = [{ kind: 'end', removed: fakeHolder(), toldBytes: 2 ** 30, awayBytes: 0 }]
  for (const reply of ['n\n', '\n', 'maybe\n', 'no way, yes\n']) {
    const { context, written } = fakeContext(home)
    await t.rejects(
      removeCommand.run(typing(context, reply), input(['anna'])),
      { code: 'FAILED', message: 'nothing was changed' },
      reply
    )
    t.match(written.stderr, /copied to other computers first/)
    t.match(
      written.stderr,
      /for 7 days; until then it can be taken back\.\nRemove anna\? \[y\/N\] $/
    )
  }
  t.strictSame(journal, [])
  for (const reply of ['y\n', ' YES \n']) {
    const { context, written } = fakeContext(home)
    await removeCommand.run(typing(context, reply), input(['anna'], { force: true }))
    t.match(written.stderr, /What only anna keeps may be lost/)
  }
  t.ok(journal.includes('remove holder anna by force'))
  const { context } = fakeContext(home)
  const interrupt = new AbortController()
  const asked = removeCommand.run(
    { ...typing(context, ''), signal: interrupt.signal },
    input(['anna'])
  )
  setTimeout(() => interrupt.abort(new GroveError('FAILED', 'interrupted by SIGINT')), 50)
  await t.rejects(asked, { message: /SIGINT/ })
})

t.test('redundancy says what is wished and what there is', async t => {
  const { home, drive, client, mount, directory, journal } = await fakeDaemon(t)
  await client.mount(mount)
  const path = join(directory, 'Photos')
  t.equal(
    await text(redundancyCommand, home, input([path])),
    '/Photos: 2 copies wished, never fewer than 1 (inherited); now 1 verified: desk; health repairing\n'
  )
  drive.kept = {
    ...drive.kept,
    copies: 3,
    floor: 2,
    sites: 2,
    isSetHere: true,
    durability: 'level',
    verifiedCopies: 3,
    health: 'ok',
    holders: ['anna', 'laptop', 'server']
  }
  t.strictSame((await text(redundancyCommand, home, input([path, '3']))).split('\n'), [
    '/Photos: 3 copies wished, never fewer than 2, at 2 sites; now 3 verified: anna, laptop, server; health ok',
    'an fsync there waits for the disks of as many computers as copies are wished',
    ''
  ])
  t.equal(journal.at(-1), 'redundancy of /Photos 3')
  drive.kept = { ...drive.kept, copies: 1, holders: [], verifiedCopies: 0, durability: 'peer' }
  t.match(await text(redundancyCommand, home, input([path])), /1 copy wished.*; now 0 verified; /)
  t.match(await text(redundancyCommand, home, input([path, 'inherit'])), /disk of one other/)
  t.match(await json(redundancyCommand, home, input([path])), { path: '/Photos', copies: 1 })
  for (const level of ['0', '1/2', 'many'])
    await t.rejects(text(redundancyCommand, home, input([path, level])), {
      code: 'USAGE',
      message: /N\/FLOOR.*3\/2/
    })
})

t.test('explain says who keeps what and why', async t => {
  const { home, drive, client, mount, directory } = await fakeDaemon(t)
  await client.mount(mount)
  const path = join(directory, 'cat.jpg')
  const anna: ExplainedComputer = {
    name: 'anna',
    kind: 'holder',
    state: 'held',
    blocks: 12,
    sinceMs: 0,
    lastProofMs: HOUR_MS,
    counts: true,
    why: 'another site, and most room'
  }
  const { sinceMs, lastProofMs, ...bob } = anna
  t.ok(sinceMs !== lastProofMs)
  drive.kept = {
    ...drive.kept,
    blocks: 12,
    computers: [
      { ...anna, name: 'desk', kind: 'this', why: 'keeps all' },
      anna,
      { ...bob, name: 'bob', blocks: 3, counts: false, state: 'suspect', why: 'away too long' },
      { ...bob, name: 'carl', blocks: 0, counts: false, why: 'the drive\u001B has enough' }
    ]
  }
  const lines = (await text(explainCommand, home, input([path]))).split('\n')
  t.match(lines[0], /^\/cat.jpg: 2 copies wished/)
  t.equal(lines[1], 'it has 12 blocks:')
  t.match(lines[2], /^NAME +WHAT +KEEPS +SINCE +PROVEN +COUNTS +WHY$/)
  t.match(lines[3], /^desk +this computer +all +1970-01-01T00:00:00Z +- +yes +keeps all$/)
  t.match(lines[4], /^anna +holder +all +1970-\S+ +1970-01-01T01:00:00Z +yes +another site/)
  t.match(lines[5], /^bob +holder +3 of 12 +- +- +no, suspect +away too long$/)
  t.match(lines[6], /^carl +holder +0 of 12 +- +- +no +the drive\\x1b has enough$/)
  drive.kept = { ...drive.kept, blocks: 0 }
  t.match(await text(explainCommand, home, input([path])), /travels with the operations/)
  t.match(await json(explainCommand, home, input([path])), { blocks: 0, computers: [{}, anna] })
})

const WHOLE: SurvivalStatus = {
  computers: 1,
  sites: 1,
  people: 1,
  directories: [],
  atRisk: { files: 0, bytes: 0 },
  repairing: { files: 0, bytes: 0 },
  lostBytes: 0,
  weakest: []
}

t.test('status says plainly what survives', async t => {
  const { home, drive } = await fakeDaemon(t)
  t.notMatch(await text(statusCommand, home), 'safety')
  for (const [change, line] of [
    [
      {},
      "everything survives the loss of any 1 computer, or of any 1 site, or of any 1 person's computers"
    ],
    [
      { computers: 2, sites: 0, people: 0 },
      "everything survives the loss of any 2 computers; not the loss of a whole site, or of one person's computers"
    ],
    [
      { people: 2 },
      "everything survives the loss of any 1 computer, or of any 1 site, or of any 2 people's computers"
    ],
    [
      { computers: 0, sites: 0, people: 0 },
      "not everything survives the loss of one computer, or of a whole site, or of one person's computers"
    ]
  ] as const) {
    drive.survival = { ...WHOLE, ...change }
    const shown = await text(statusCommand, home)
    t.match(shown, `safety   ${line}\n`)
    t.notMatch(shown, /at risk|copying|lost/)
  }
  t.match(await json(statusCommand, home), { survival: { computers: 0 } })
})

t.test('status names the weakest files, a few of them', async t => {
  const { home, drive } = await fakeDaemon(t)
  const weak = (name: string, change: Partial<WeakFile> = {}): WeakFile => ({
    ...jsonName(name),
    size: 40 * 2 ** 20,
    copies: 1,
    wished: 3,
    health: 'at-risk',
    ...change
  })
  drive.survival = {
    ...WHOLE,
    directories: [
      { ...jsonName('/Photos'), computers: 2 },
      { ...jsonName('/x\u001B'), computers: 0 }
    ],
    atRisk: { files: 3, bytes: 120 * 2 ** 20 },
    repairing: { files: 1, bytes: 2048 },
    lostBytes: 5,
    weakest: [
      weak('/lost', { copies: 0, health: 'lost', size: 5 }),
      weak('/\u00FF\n'),
      weak('/being copied', { copies: 2, health: 'repairing' })
    ]
  }
  const lines = (await text(statusCommand, home)).split('\n')
  t.strictSame(lines.slice(lines.findIndex(line => line.startsWith('safety')) + 1), [
    '         /Photos of any 2 computers',
    String.raw`         /x\x1b not of one`,
    'at risk  3 files (120 MiB):',
    '         /lost (5 B): no copy is known',
    String.raw`         /\xff\x0a (40.0 MiB): 1 of 3 copies`,
    '         and 1 more',
    'copying  1 file (2.0 KiB) with fewer copies than wished',
    'lost     5 B: no copy is known anywhere',
    ''
  ])
  drive.survival = {
    ...WHOLE,
    directories: Array.from({ length: 12 }, () => ({ ...jsonName('/d'), computers: 1 })),
    atRisk: { files: 100, bytes: 100 },
    weakest: Array.from({ length: 100 }, () => weak('/f', { wished: 1 }))
  }
  const shown = (await text(statusCommand, home)).split('\n')
  t.equal(shown.filter(line => line === '         /d of any 1 computer').length, DIRECTORIES_SHOWN)
  t.equal(shown.filter(line => line.startsWith('         /f ')).length, WEAKEST_SHOWN)
  t.ok(shown.includes('         and 2 more'))
  t.ok(shown.includes('         and 95 more'))
})

t.test('without a daemon each says what to do', async t => {
  const { home } = await fakeDaemon(t)
  await rm(home.lockFile)
  const path = join(home.directory, '../x')
  for (const [command, values] of [
    [holdersCommand, input()],
    [addCommand, input([holderCode()])],
    [removeCommand, input(['anna'])],
    [removeCommand, input(['anna'], { cancel: true })],
    [trimCommand, input()],
    [redundancyCommand, input([path])],
    [explainCommand, input([path])]
  ] as const)
    await t.rejects(text(command, home, values), {
      code: 'NOT_RUNNING',
      message: /run `grove mount` first/
    })
})
