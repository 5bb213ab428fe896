/** The built `grove init`: words shown once, passphrases, refusals of homes it must not touch. */
import { once } from 'node:events'
import { chmod, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { GroveHome } from './grove-home.ts'

/** One line that begins with the program's name. */
const ONE_LINE = /^grove: [^\n]+\n$/

t.test('init shows 24 words once and keeps them nowhere', async t => {
  const grove = await GroveHome.make(t)
  const shown = JSON.parse(await grove.succeed(['init', '--name', 'desk', '--json'])) as {
    readonly words: string
    readonly drive: string
    readonly device: string
  }
  const words = shown.words.split(' ')
  t.equal(words.length, 24)
  t.match(shown.drive, /^[0-9a-f]{64}$/)
  t.equal((await stat(grove.directory)).mode & 0o777, 0o700)
  for (const name of await readdir(grove.directory, { recursive: true })) {
    const path = join(grove.directory, name)
    const status = await stat(path)
    if (!status.isFile()) continue
    const text = (await readFile(path)).toString('latin1')
    // Short words may occur by chance; two in a row do not.
    for (let at = 0; at + 1 < words.length; at++)
      if (text.includes(`${words[at]} ${words[at + 1]}`)) t.fail(`${name} holds words`)
  }
  t.equal((await stat(join(grove.directory, 'key'))).mode & 0o777, 0o600)
  t.match(JSON.parse(await grove.succeed(['status', '--json'])), {
    running: false,
    drive: shown.drive,
    device: { name: 'desk' },
    mounts: []
  })

  const key = await readFile(join(grove.directory, 'key'))
  const again = await grove.run(['init'])
  t.equal(again.code, 1)
  t.match(again.stderr, ONE_LINE)
  t.strictSame(await readFile(join(grove.directory, 'key')), key)
})

t.test('init for people numbers the words', async t => {
  const grove = await GroveHome.make(t)
  const text = await grove.succeed(['init'])
  t.equal([...text.matchAll(/ {2,}\d+ [a-z]+/g)].length, 24)
  t.match(text, /\n {3}1 [a-z]+/)
  t.match(text, / 24 [a-z]+\n/)
})

t.test('init whose words nobody can read makes no drive', async t => {
  const grove = await GroveHome.make(t)
  const child = grove.start(['init'])
  child.stdout?.destroy()
  await once(child, 'close')
  t.equal(child.exitCode, 1)
  t.equal((await grove.run(['status'])).code, 1)
  await grove.succeed(['init'])
  await grove.succeed(['status'])
})

t.test('of several init at once one makes the drive', async t => {
  const grove = await GroveHome.make(t)
  const outcomes = await Promise.all([1, 2, 3].map(() => grove.run(['init', '--json'])))
  const made = outcomes.filter(({ code }) => code === 0)
  t.equal(made.length, 1)
  const { drive } = JSON.parse(made[0]?.stdout ?? '{}') as { drive: string }
  t.match(JSON.parse(await grove.succeed(['status', '--json'])), { drive })
})

t.test('a wrong or missing passphrase is one line, exit 1, and touches nothing', async t => {
  const grove = await GroveHome.make(t)
  const [right, wrong] = ['right', 'wrong'].map(name => join(grove.folder, name)) as [
    string,
    string
  ]
  await writeFile(right, 'correct horse\n')
  await writeFile(wrong, 'battery staple\n')
  const withFile = (path: string) => ({ environment: { GROVE_PASSPHRASE_FILE: path } })
  await grove.succeed(['init', '--passphrase'], withFile(right))
  const before = await snapshot(grove.directory)
  const missing = join(grove.folder, 'missing')
  const all = [
    { args: ['mount', grove.mountPoint], options: withFile(wrong) },
    { args: ['mount', grove.mountPoint], options: {} },
    { args: ['mount', grove.mountPoint], options: withFile(missing) },
    { args: ['mount', '--foreground', grove.mountPoint], options: withFile(wrong) },
    { args: ['verify'], options: withFile(wrong) },
    { args: ['rebuild-index'], options: withFile(wrong) }
  ]
  for (const { args, options } of all) {
    const { code, stderr, stdout } = await grove.run(args, options)
    t.equal(code, 1, args.join(' '))
    t.match(stderr, ONE_LINE)
    t.match(stderr, /passphrase/i)
    t.equal(stdout, '')
  }
  t.strictSame(await snapshot(grove.directory), before)
  t.notOk((await readdir(grove.folder)).includes('drive'), 'not even the mount point')
  t.match(await grove.succeed(['verify'], withFile(right)), 'whole')
})

t.test('init --passphrase without a terminal or a file makes nothing', async t => {
  const grove = await GroveHome.make(t)
  const { code, stderr } = await grove.run(['init', '--passphrase'])
  t.equal(code, 1)
  t.match(stderr, /^grove: .*GROVE_PASSPHRASE_FILE[^\n]*\n$/)
  t.equal((await grove.run(['status'])).code, 1)
})

t.test('a newer format is refused by every command and nothing is written', async t => {
  const grove = await GroveHome.make(t)
  await mkdir(grove.directory)
  await writeFile(join(grove.directory, 'format'), 'grove home 2\n')
  await writeFile(join(grove.directory, 'key'), 'from the future')
  await chmod(grove.directory, 0o755)
  const before = await snapshot(grove.directory)
  const all = [['init'], ['mount'], ['status'], ['verify'], ['rebuild-index'], ['config']]
  const outcomes = await Promise.all(all.map(args => grove.run(args)))
  for (const [at, { code, stderr }] of outcomes.entries()) {
    t.equal(code, 1, `${all[at]?.join(' ')}`)
    t.match(stderr, /^grove: .*made by a newer grove[^\n]*\n$/)
  }
  t.strictSame(await snapshot(grove.directory), before)
})

t.test('a newer or damaged key file is told as what it is', async t => {
  const grove = await GroveHome.initialised(t)
  const path = join(grove.directory, 'key')
  const whole = await readFile(path)
  const newer = Buffer.from(whole)
  newer[8] = 2
  await writeFile(path, newer)
  t.match((await grove.run(['mount'])).stderr, /^grove: .*made by a newer grove[^\n]*\n$/)
  const damaged = Buffer.from(whole)
  damaged[200] = (damaged[200] ?? 0) ^ 1
  await writeFile(path, damaged)
  for (const args of [['mount'], ['verify'], ['status']]) {
    const { code, stderr } = await grove.run(args)
    t.equal(code, 1)
    t.match(stderr, /^grove: .*key file is damaged[^\n]*\n$/)
  }
})

/** Names, sizes, modes and times of everything in a folder. */
async function snapshot(directory: string): Promise<readonly string[]> {
  const names = (await readdir(directory, { recursive: true })).sort()
  return Promise.all(
    ['.', ...names].map(async name => {
      const { size, mode, mtimeMs } = await stat(join(directory, name))
      return `${name} ${size} ${mode.toString(8)} ${mtimeMs}`
    })
  )
}
