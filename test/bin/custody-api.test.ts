/** The daemon's requests about copies over its socket: what reaches the drive, and what is refused. */
import { join } from 'node:path'
import t from 'tap'
import {
  HOLDER_BYTES_MAX,
  checkHolderText,
  checkLevel,
  parseCatRequest,
  parseExplainRequest,
  parseHolderAddRequest,
  parseHolderKeepRequest,
  parseHolderRemoveRequest,
  parseInviteRequest,
  parseMountRequest,
  parseOwnHolderRequest,
  parseRedundancyRequest,
  parseResolveRequest,
  parseSettingRequest,
  parseSyncRequest,
  parseTrimRequest,
  parseUnmountRequest,
  parseVersionsRequest
} from '../../bin/api-request.ts'
import { REQUEST_BYTES_MAX } from '../../bin/api.ts'
import { ANSWER_BYTES_MAX, SILENCE_MS_MAX } from '../../bin/socket-request.ts'
import {
  AT_RISK_LISTED_MAX,
  BALANCE_LENGTH_MAX,
  HOLDER_CODE_LENGTH_MAX,
  HOLDER_KEY_DIGITS_MIN,
  OWN_HOLDER_PERSONS_MAX,
  RELEASE_DAYS,
  REMOVE_TELL_MS,
  type HolderRemoveLine
} from '../../bin/custody-api.ts'
import { GroveError } from '../../bin/grove-error.ts'
import { jsonName } from '../../bin/printable-name.ts'
import { RELEASE_DELAY_MS } from '../../src/crypto/release.ts'
import { SHORT_TEXT_BYTES_MAX } from '../../src/crypto/short-text.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { fakeDaemon } from './fake-daemon.ts'
import { fakeHolder } from './fake-drive.ts'

t.test('holders are listed and added over the socket', async t => {
  const { client, journal, drive } = await fakeDaemon(t)
  drive.holderList = [fakeHolder(), fakeHolder({ name: 'bob' })]
  t.strictSame(await client.holders(), { holders: drive.holderList })
  const request = { code: 'y'.repeat(92), site: 'attic', machine: 'nas', person: 'Anna' }
  t.match(await client.addHolder(request), { name: 'anna', site: 'attic', person: 'Anna' })
  t.equal(journal.at(-1), `add holder ${JSON.stringify(request)}`)
  drive.failure = new GroveError('INVITATION', 'nobody answers to this code')
  await t.rejects(client.addHolder({ code: 'y' }), { code: 'INVITATION', message: /nobody/ })
})

t.test('a removal tells how far it is, and how it failed', async t => {
  const { client, drive, journal } = await fakeDaemon(t)
  const lines: HolderRemoveLine[] = [
    { kind: 'progress', done: 1, total: 2 },
    { kind: 'end', removed: fakeHolder(), toldBytes: 1, awayBytes: 0 }
  ]
  drive.removeLines = lines
  const heard: HolderRemoveLine[] = []
  for await (const line of client.removeHolder({ holder: 'anna', force: true })) heard.push(line)
  t.strictSame(heard, lines)
  t.equal(journal[0], 'remove holder anna by force')
  drive.failure = new GroveError('FAILED', 'Photos would fall below its floor')
  await t.rejects(
    async () => {
      for await (const line of client.removeHolder({ holder: 'a', force: false })) heard.push(line)
    },
    { code: 'FAILED', message: /below its floor/ }
  )
  t.equal(heard.length, 2)
})

t.test('a client that leaves ends its removal', async t => {
  const { client, drive, journal } = await fakeDaemon(t)
  const progress: HolderRemoveLine = { kind: 'progress', done: 1, total: 2 }
  drive.removeLines = Array.from({ length: 1_000_000 }, () => progress)
  for await (const line of client.removeHolder({ holder: 'anna', force: false }))
    if (line.kind === 'progress') break
  await new Promise(resolve => setTimeout(resolve, 200))
  t.notOk(journal.includes('removed'))
  t.match(await client.status(), { running: true }, 'and the daemon goes on')
})

t.test('a removal is taken back, and what is too much is released, over the socket', async t => {
  const { client, drive, journal } = await fakeDaemon(t)
  t.match(await client.keepHolder({ holder: 'anna' }), { name: 'anna' })
  t.equal(journal.at(-1), 'keep holder anna')
  t.strictSame(await client.trimHolders({ cancel: false }), drive.trimmed)
  await client.trimHolders({ cancel: true })
  t.strictSame(journal.slice(-2), ['trim', 'take back what is too much'])
  drive.failure = new GroveError('NOT_FOUND', 'no such holder')
  await t.rejects(client.keepHolder({ holder: 'bert' }), { code: 'NOT_FOUND' })
})

t.test('an own holder is heard, and told what others keep', async t => {
  const { client, journal } = await fakeDaemon(t)
  const person = { name: 'Anna', identity: 'b'.repeat(64), balance: 'YQ==', accepted: 'YQ==' }
  const request = { holder: 'a'.repeat(64), persons: [person] }
  t.strictSame(await client.ownHolder(request), {
    identity: 'd'.repeat(64),
    returned: [{ person: 'Anna', mibSeconds: 5 }]
  })
  t.equal(journal.at(-1), 'own holder aaaaaaaa for Anna')
  const [balance, many] = ['a'.repeat(BALANCE_LENGTH_MAX), OWN_HOLDER_PERSONS_MAX]
  const most = { ...person, name: 'ä'.repeat(31), balance, accepted: balance }
  const all = { ...request, persons: Array.from({ length: many }, () => most) }
  t.ok(JSON.stringify(all).length < REQUEST_BYTES_MAX, 'as many as there may be fit a request')
  t.strictSame(parseOwnHolderRequest(JSON.stringify(all)), all)
  for (const wrong of [
    {},
    { ...request, holder: 'A'.repeat(64) },
    { ...request, persons: {} },
    { ...request, persons: [null] },
    { ...request, persons: [{ ...person, name: '' }] },
    { ...request, persons: [{ ...person, identity: 'b' }] },
    { ...request, persons: [{ ...person, balance: `${balance}a` }] },
    { ...request, persons: [...all.persons, person] }
  ])
    t.throws(() => parseOwnHolderRequest(JSON.stringify(wrong)), { code: 'USAGE' })
})

t.test('what a release waits for is said as it is', t => {
  t.equal(RELEASE_DAYS * 86_400_000, RELEASE_DELAY_MS)
  t.end()
})

t.test('levels are asked for, set and explained by path in the mounted folder', async t => {
  const { client, journal, mount, directory, drive } = await fakeDaemon(t)
  const path = join(directory, 'Photos')
  await t.rejects(client.redundancy({ path }), { code: 'NOT_FOUND', message: /not mounted/ })
  await client.mount(mount)
  t.match(await client.redundancy({ path }), { path: '/Photos', copies: 2, floor: 1 })
  t.equal(journal.at(-1), 'redundancy of /Photos')
  await client.redundancy({ path, level: '3/2' })
  t.equal(journal.at(-1), 'redundancy of /Photos 3/2')
  t.strictSame(await client.explain({ path }), { path: '/Photos', ...drive.kept })
  t.equal(journal.at(-1), 'explain /Photos')
  await t.rejects(client.explain({ path: '/elsewhere' }), { code: 'NOT_FOUND' })
})

t.test('a daemon that is ending adds, removes and sets nothing', async t => {
  const { daemon, directory, journal } = await fakeDaemon(t)
  const ending = daemon.end('test')
  const { signal } = new AbortController()
  await t.rejects(daemon.addHolder({ code: 'y' }), { message: /ending/ })
  await t.rejects(daemon.keepHolder({ holder: 'y' }), { message: /ending/ })
  await t.rejects(daemon.trimHolders({ cancel: false }), { message: /ending/ })
  await t.rejects(daemon.redundancy({ path: directory, level: '2' }), { message: /ending/ })
  await t.rejects(daemon.removeHolder({ holder: 'a', force: false }, signal).next(), {
    message: /ending/
  })
  await ending
  t.strictSame(journal, ['close drive'])
})

t.test('status says what survives', async t => {
  const { client, drive } = await fakeDaemon(t)
  t.notOk('survival' in (await client.status()))
  drive.survival = {
    computers: 1,
    sites: 0,
    people: 0,
    directories: [],
    atRisk: { files: 0, bytes: 0 },
    repairing: { files: 0, bytes: 0 },
    lostBytes: 0,
    weakest: []
  }
  t.strictSame((await client.status()).survival, drive.survival)
})

t.test('what is malformed, too long or out of bounds is refused', async t => {
  const long = (bytes: number): string => 'a'.repeat(bytes)
  const add = { code: long(HOLDER_CODE_LENGTH_MAX), site: 'ä'.repeat(31) }
  t.strictSame(parseHolderAddRequest(JSON.stringify(add)), add)
  const remove = { holder: long(HOLDER_BYTES_MAX), force: false }
  t.strictSame(parseHolderRemoveRequest(JSON.stringify(remove)), remove)
  for (const value of [
    {},
    { code: 1 },
    { code: long(HOLDER_CODE_LENGTH_MAX + 1) },
    ...['site', 'machine', 'person'].flatMap(name =>
      ['', ' ', 'a\nb', 'a\u202Eb', '\uD800', 'ä'.repeat(32), 5, null].map(text => ({
        code: 'y',
        [name]: text
      }))
    )
  ])
    t.throws(() => parseHolderAddRequest(JSON.stringify(value)), { code: 'USAGE' })
  for (const value of [
    { holder: 'a' },
    { force: true },
    { holder: '', force: true },
    { holder: long(HOLDER_BYTES_MAX + 1), force: true },
    { holder: 'a', force: 1 }
  ])
    t.throws(() => parseHolderRemoveRequest(JSON.stringify(value)), { code: 'USAGE' })
  for (const value of [{}, { holder: '' }, { holder: 1, cancel: 1 }, { cancel: 'yes' }]) {
    t.throws(() => parseHolderKeepRequest(JSON.stringify(value)), { code: 'USAGE' })
    t.throws(() => parseTrimRequest(JSON.stringify(value)), { code: 'USAGE' })
  }
  for (const value of [{}, { path: 'a' }, { path: '/a\0' }, { path: 1 }]) {
    t.throws(() => parseRedundancyRequest(JSON.stringify(value)), { code: 'USAGE' })
    t.throws(() => parseExplainRequest(JSON.stringify(value)), { code: 'USAGE' })
  }
  for (const level of [
    '',
    '0',
    '65',
    '1/2',
    '3/0',
    '3/',
    '/2',
    '3/2/1',
    ' 3',
    'inherited',
    3,
    null
  ])
    t.throws(() => parseRedundancyRequest(JSON.stringify({ path: '/a', level })), { code: 'USAGE' })
  for (const level of ['1', '64', '3/2', '64/64', 'inherit']) t.equal(checkLevel(level), level)
  t.equal(checkHolderText(long(SHORT_TEXT_BYTES_MAX), 'site'), long(SHORT_TEXT_BYTES_MAX))
})

t.test('what a daemon promises fits what a client takes', async t => {
  t.ok(REMOVE_TELL_MS * 2 < SILENCE_MS_MAX)
  t.ok(HOLDER_KEY_DIGITS_MIN <= HOLDER_BYTES_MAX)
  const name = jsonName('\u0001'.repeat(4095) + '\u00FF')
  const weak = { ...name, size: 2 ** 50, copies: 1, wished: 3, health: 'at-risk' }
  t.ok(JSON.stringify(weak).length * AT_RISK_LISTED_MAX < ANSWER_BYTES_MAX, 'the longest paths')
})

/** The parsers, each with a genuine request. */
const PARSERS: readonly (readonly [(body: string) => object, object])[] = [
  [parseMountRequest, { directory: '/a', driver: 'auto', readOnly: false, allowOther: true }],
  [parseUnmountRequest, { directory: '/a', lazy: false }],
  [parseSettingRequest, { name: 'content', value: 'all' }],
  [parseInviteRequest, { minutes: 10 }],
  [parseResolveRequest, { path: '/a', keep: 'both' }],
  [parseVersionsRequest, { path: '/a' }],
  [parseCatRequest, { path: '/a', version: '1.2.3' }],
  [parseSyncRequest, { wait: true }],
  [parseHolderAddRequest, { code: 'y'.repeat(92), site: 'attic', machine: 'm', person: 'Anna' }],
  [parseHolderRemoveRequest, { holder: 'anna', force: false }],
  [parseHolderKeepRequest, { holder: 'anna' }],
  [parseTrimRequest, { cancel: true }],
  [
    parseOwnHolderRequest,
    {
      holder: 'a'.repeat(64),
      persons: [{ name: 'Anna', identity: 'b'.repeat(64), balance: 'YQ==', accepted: 'YQ==' }]
    }
  ],
  [parseRedundancyRequest, { path: '/a/b', level: '3/2' }],
  [parseExplainRequest, { path: '/a/b' }]
]

t.test('whatever arrives is a request or is refused, and what is taken is taken again', async t => {
  const random = new SeededRandom(4)
  let taken = 0
  for (const [parse, genuine] of PARSERS) {
    const bytes = [Buffer.from(JSON.stringify(genuine))]
    t.strictSame(parse(JSON.stringify(genuine)), genuine)
    for (let round = 0; round < 10_000; round++) {
      const body = Buffer.from(hostileBytes(random, bytes)).toString('utf8')
      let request: object
      try {
        request = parse(body)
      } catch (error) {
        if (error instanceof GroveError && error.code === 'USAGE') continue
        throw error
      }
      taken++
      const again = parse(JSON.stringify(request))
      if (JSON.stringify(again) !== JSON.stringify(request)) t.fail(`${body} changed`)
    }
  }
  t.ok(taken > 1_000, `${taken} were taken`)
})
