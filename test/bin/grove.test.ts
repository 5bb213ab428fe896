/** The built command without a mount: help, usage errors, config, verify, exit codes. */
import { readdir } from 'node:fs/promises'
import t from 'tap'
import { GroveHome } from './grove-home.ts'

const COMMANDS = [
  'init',
  'mount',
  'unmount',
  'stop',
  'status',
  'invite',
  'join',
  'devices',
  'holders',
  'redundancy',
  'explain',
  'sync',
  'conflicts',
  'versions',
  'cat',
  'verify',
  'rebuild-index',
  'config',
  'bootstrap'
] as const

/** One line that begins with the program's name. */
const ONE_LINE = /^grove: [^\n]+\n$/

t.test('--help of every command shows examples and touches nothing', async t => {
  const grove = await GroveHome.make(t)
  const commands = [
    ...COMMANDS.map(name => [name]),
    ['conflicts', 'resolve'],
    ['holders', 'add'],
    ['holders', 'remove']
  ]
  const all = [['--help'], ...commands.map(name => [...name, '--help'])]
  const outcomes = await Promise.all(all.map(args => grove.run(args)))
  for (const [at, { code, stdout, stderr }] of outcomes.entries()) {
    t.equal(code, 0, `${all[at]?.join(' ')}`)
    t.match(stdout, /Examples:\n +\S/)
    t.notMatch(stdout, '--launched')
    t.equal(stderr, '')
  }
  for (const name of COMMANDS) t.match(outcomes[0]?.stdout, ` ${name} `)
  t.match(await grove.succeed(['--version']), /^\d+\.\d+\.\d+\n$/)
  t.strictSame(await readdir(grove.folder), [])
})

t.test('a wrong command line is one line and exit 2', async t => {
  const grove = await GroveHome.make(t)
  const all = [
    ['moun'],
    ['mount', '--fast'],
    ['mount', '--driver', 'best'],
    ['mount', 'a', 'b'],
    ['init', '--name', ''],
    ['init', '--name', 'x'.repeat(64)],
    ['config', 'history.keep', 'soon'],
    ['config', 'colour'],
    ['config', 'content', 'some'],
    ['invite', '--minutes', '0'],
    ['join'],
    ['join', 'code', '--name', ''],
    ['conflicts', 'resolve', 'a'],
    ['conflicts', 'resolve', 'a', '--keep', 'all'],
    ['conflicts', 'list'],
    ['holders', 'list'],
    ['holders', 'add'],
    ['holders', 'add', 'code', '--site', ''],
    ['holders', 'add', 'code', '--person', 'x'.repeat(64)],
    ['holders', 'remove'],
    ['redundancy'],
    ['redundancy', 'a', '0'],
    ['redundancy', 'a', '1/2'],
    ['redundancy', 'a', '65'],
    ['explain'],
    ['config', 'custody.grace', '0'],
    ['config', 'custody.bandwidth', 'fast'],
    ['config', 'custody.audit', '0'],
    ['config', 'custody.share', '101'],
    ['versions'],
    ['cat', 'a'],
    ['sync', '--timeout', 'soon'],
    ['bootstrap'],
    ['bootstrap', '--host', 'localhost']
  ]
  const outcomes = await Promise.all(all.map(args => grove.run(args)))
  for (const [at, { code, stdout, stderr }] of outcomes.entries()) {
    t.equal(code, 2, `${all[at]?.join(' ')}`)
    t.match(stderr, ONE_LINE)
    t.equal(stdout, '')
  }
  t.equal((await grove.run([])).code, 2, 'no command at all')
  t.strictSame(await readdir(grove.folder), [])
})

t.test('without a drive every command says what to do', async t => {
  const grove = await GroveHome.make(t)
  const all = [
    ['mount'],
    ['status'],
    ['verify'],
    ['rebuild-index'],
    ['config'],
    ['invite'],
    ['devices'],
    ['holders'],
    ['holders', 'add', 'code'],
    ['holders', 'remove', 'anna'],
    ['redundancy', 'a'],
    ['explain', 'a'],
    ['conflicts'],
    ['sync']
  ]
  const outcomes = await Promise.all(all.map(args => grove.run(args)))
  for (const [at, { code, stderr }] of outcomes.entries()) {
    t.equal(code, 1, `${all[at]?.join(' ')}`)
    t.match(stderr, ONE_LINE)
    t.match(stderr, 'grove init')
  }
  const { code, stderr } = await grove.run(['mount', '--json'])
  t.equal(code, 1)
  t.match(JSON.parse(stderr), { error: { code: 'NOT_INITIALISED' } })
  t.equal(await grove.succeed(['stop']), 'no daemon was running\n')
  t.equal((await grove.run(['unmount'])).code, 1)
  t.strictSame(await readdir(grove.folder), [])
})

t.test('config shows and keeps settings', async t => {
  const grove = await GroveHome.initialised(t)
  t.match(await grove.succeed(['config']), /^history.keep 24h\ncontent all\ncustody.grace 1h\n/)
  t.equal(await grove.succeed(['config', 'history.keep', '7d']), '7d\n')
  t.equal(await grove.succeed(['config', 'history.keep']), '7d\n')
  t.equal(await grove.succeed(['config', 'content', 'on-demand']), 'on-demand\n')
  t.match(await grove.json(['config']), { 'history.keep': '7d', content: 'on-demand' })
  t.equal((await grove.run(['config', 'history.keep', '-1h'])).code, 2)
  t.equal(await grove.succeed(['config', 'history.keep']), '7d\n')
})

t.test('verify and rebuild-index work without a daemon', async t => {
  const grove = await GroveHome.initialised(t)
  t.strictSame(JSON.parse(await grove.succeed(['verify', '--json'])), {
    ok: true,
    count: 0,
    damaged: []
  })
  t.match(JSON.parse(await grove.succeed(['rebuild-index', '--json'])), { rebuilt: true })
  t.equal(await grove.succeed(['verify']), 'everything is whole\n')
})

t.test('what the environment says of the network is checked before anything starts', async t => {
  const grove = await GroveHome.initialised(t)
  for (const environment of [
    { GROVE_BOOTSTRAP: 'nowhere' },
    { GROVE_BOOTSTRAP: '1.2.3.4:0' },
    { GROVE_LISTEN: 'everywhere' }
  ])
    for (const args of [
      ['mount', grove.mountPoint],
      ['join', 'code']
    ]) {
      const { code, stderr } = await grove.run(args, { environment })
      t.equal(code, 2, Object.values(environment)[0] ?? '')
      t.match(stderr, ONE_LINE)
      t.match(stderr, Object.keys(environment)[0] ?? '')
    }
  t.match(await grove.json(['status']), { running: false })
})
