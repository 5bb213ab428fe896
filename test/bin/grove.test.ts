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
  'verify',
  'rebuild-index',
  'config'
] as const

/** One line that begins with the program's name. */
const ONE_LINE = /^grove: [^\n]+\n$/

t.test('--help of every command shows examples and touches nothing', async t => {
  const grove = await GroveHome.make(t)
  const all = [['--help'], ...COMMANDS.map(name => [name, '--help'])]
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
    ['config', 'colour']
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
  const all = [['mount'], ['status'], ['verify'], ['rebuild-index'], ['config']]
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
  t.equal(await grove.succeed(['config']), 'history.keep 24h\n')
  t.equal(await grove.succeed(['config', 'history.keep', '7d']), '7d\n')
  t.equal(await grove.succeed(['config', 'history.keep']), '7d\n')
  t.strictSame(JSON.parse(await grove.succeed(['config', '--json'])), { 'history.keep': '7d' })
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
