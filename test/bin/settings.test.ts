/** Settings have defaults, are checked when they are changed and when they are read. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  HISTORY_KEEP_MS_MAX,
  SETTING_NAMES,
  custodySettings,
  parseDuration,
  readSettings,
  settingName,
  writeSetting
} from '../../bin/settings.ts'
import { temporaryFolder } from './temporary-folder.ts'

const DEFAULTS = {
  'history.keep': '24h',
  content: 'all',
  'custody.grace': '1h',
  'custody.bandwidth': '0',
  'custody.audit': '64',
  'custody.share': '60'
} as const

t.test('parseDuration() takes a number and a unit', async t => {
  for (const [text, ms] of [
    ['0', 0],
    ['0h', 0],
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['36500d', HISTORY_KEEP_MS_MAX]
  ] as const)
    t.equal(parseDuration(text), ms, text)
  for (const text of [
    '',
    'h',
    '1',
    '-1h',
    '1.5h',
    '1w',
    '24 h',
    '1h ',
    '36501d',
    'forever',
    '0x1s'
  ])
    t.throws(() => parseDuration(text), { code: 'USAGE' }, text)
})

t.test('writeSetting() keeps what readSettings() gives back', async t => {
  const path = join(await temporaryFolder(t), 'settings.json')
  t.strictSame(await readSettings(path), DEFAULTS, 'the default')
  t.strictSame(Object.keys(DEFAULTS), SETTING_NAMES)
  await writeSetting(path, { name: 'history.keep', value: '7d' })
  t.strictSame(await readSettings(path), { ...DEFAULTS, 'history.keep': '7d' })
  await writeSetting(path, { name: 'content', value: 'on-demand' })
  t.strictSame(await readSettings(path), {
    ...DEFAULTS,
    'history.keep': '7d',
    content: 'on-demand'
  })
  const before = await readFile(path, 'utf8')
  await t.rejects(writeSetting(path, { name: 'history.keep', value: 'x' }), { code: 'USAGE' })
  await t.rejects(writeSetting(path, { name: 'content', value: '7d' }), { code: 'USAGE' })
  t.equal(await readFile(path, 'utf8'), before, 'a bad value changes nothing')
})

t.test('custodySettings() are within their bounds', async t => {
  t.strictSame(custodySettings(DEFAULTS), {
    graceMs: 3_600_000,
    bandwidth: Number.POSITIVE_INFINITY,
    auditsPerHour: 64,
    shareMax: 0.6
  })
  t.strictSame(
    custodySettings({
      ...DEFAULTS,
      'custody.grace': '2s',
      'custody.bandwidth': '10MB',
      'custody.audit': '100000',
      'custody.share': '100'
    }),
    { graceMs: 2_000, bandwidth: 10_000_000, auditsPerHour: 100_000, shareMax: 1 }
  )
  const path = join(await temporaryFolder(t), 'settings.json')
  for (const [name, values] of [
    ['custody.grace', ['0', '0s', '31d', 'soon', '-1s']],
    ['custody.bandwidth', ['', '10', '999B', '-1MB', 'fast']],
    ['custody.audit', ['', '0', '100001', '1.5', 'often']],
    ['custody.share', ['0', '101', '60%', '']]
  ] as const)
    for (const value of values)
      await t.rejects(writeSetting(path, { name, value }), { code: 'USAGE' }, `${name} ${value}`)
})

t.test('readSettings() refuses a file that makes no sense', async t => {
  const path = join(await temporaryFolder(t), 'settings.json')
  for (const text of [
    '',
    '[',
    'null',
    '{"history.keep":5}',
    '{"history.keep":"soon"}',
    '{"content":"some"}'
  ]) {
    await writeFile(path, text)
    await t.rejects(readSettings(path), { code: 'DAMAGED' }, text)
  }
})

t.test('settingName() knows the names', async t => {
  t.equal(settingName('history.keep'), 'history.keep')
  t.throws(() => settingName('toString'), { code: 'USAGE', message: /history\.keep/ })
})
