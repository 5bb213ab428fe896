/**
 * A real mount while another device changes the drive: what programs see through the kernel's
 * caches, and what must not be overwritten, hang or wait for somebody else's content.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  dropCaches,
  ifMountable,
  ifMountableAsRoot,
  inProcess,
  MemoryMount,
  run,
  until
} from '../support/memory-mount.ts'

const STUCK_READS = 200
/** Content of this size is in blocks of its own, which have to be fetched. */
const BLOCK_BYTES = 131_072
const COMPILER = process.env['CC'] ?? 'cc'

async function startMount(t: Test): Promise<MemoryMount> {
  const mount = await MemoryMount.start({ program: 'drive-mount-process.ts', allowOther: true })
  t.teardown(async () => mount.stop())
  return mount
}

/** The calls of a test, by name in the root of the mount. */
function callsOn(mount: MemoryMount) {
  const path = (name: string): string => join(mount.directory, name)
  return {
    path,
    write: async (name: string, text: string): Promise<unknown> =>
      inProcess((fs, file, content) => fs.writeFileSync(file, content), path(name), text),
    read: async (name: string): Promise<string> =>
      inProcess((fs, file) => fs.readFileSync(file, 'utf8'), path(name)),
    exists: async (name: string): Promise<boolean> =>
      inProcess((fs, file) => fs.existsSync(file), path(name)),
    there: async (action: string, ...args: readonly unknown[]): Promise<unknown> =>
      mount.command('there', action, ...args),
    /** The other device gets what was done here. */
    tell: async (): Promise<unknown> => mount.command('tell'),
    /** What the other device did arrives, and the kernel has heard of it. */
    hear: async (): Promise<void> => {
      await mount.command('hear')
      await until('the kernel has heard', async () => (await mount.state()).notifier.queued === 0)
    }
  }
}

/** A shell that does one thing now and another when it is told to. */
async function shell(t: Test, now: string, then: string): Promise<() => Promise<string>> {
  const child = spawn('sh', ['-c', `${now}; echo ready; read line; ${then}`], { cwd: '/' })
  t.teardown(() => child.kill('SIGKILL'))
  await new Promise(resolve => child.stdout.once('data', resolve))
  return async () => {
    let said = ''
    child.stdout.on('data', (data: Buffer) => (said += data.toString()))
    child.stderr.on('data', (data: Buffer) => (said += data.toString()))
    child.stdin.end('go\n')
    return new Promise(resolve => child.once('close', () => resolve(said)))
  }
}

t.test('programs see what another device does', ifMountable(), async t => {
  const mount = await startMount(t)
  const on = callsOn(mount)

  await t.test('an append to an open file that grew elsewhere overwrites nothing', async t => {
    await on.write('log', 'one\n')
    await on.tell()
    const go = await shell(t, `exec 3>> ${on.path('log')}; cat ${on.path('log')}`, 'echo three >&3')
    await on.there('append', 'log', 'two\n')
    await on.hear()
    await go()
    t.equal(await on.read('log'), 'one\ntwo\nthree\n')
    await on.tell()
    t.equal(await on.there('read', 'log'), 'one\ntwo\nthree\n')
  })

  await t.test('so does one that shrank elsewhere', async t => {
    await on.write('cut', 'one two three\n')
    await on.tell()
    const file = on.path('cut')
    const go = await shell(t, `exec 3>> ${file}; cat ${file}`, `echo end >&3; stat -c %s ${file}`)
    await on.there('truncate', 'cut', 4)
    await on.hear()
    t.equal((await go()).trim(), '8')
    t.equal(await on.read('cut'), 'one end\n')
  })

  await t.test('an open file shrinks and grows', async t => {
    await on.write('seen', '0123456789')
    await on.tell()
    const file = on.path('seen')
    const go = await shell(t, `exec 3< ${file}; cat ${file}`, `stat -L -c %s /dev/fd/3; cat <&3`)
    await on.there('truncate', 'seen', 3)
    await on.hear()
    t.equal((await go()).split('\n').slice(0, 2).join(), '3,012')
    await on.there('append', 'seen', 'abc')
    await on.hear()
    t.equal(await on.read('seen'), '012abc')
  })

  await t.test('tail -f follows', async t => {
    await on.write('followed', 'one\n')
    await on.tell()
    const follower = spawn('tail', ['-f', '-s', '0.05', '---disable-inotify', on.path('followed')])
    t.teardown(() => follower.kill('SIGKILL'))
    let said = ''
    follower.stdout.on('data', (data: Buffer) => (said += data.toString()))
    await until('it has begun', () => said === 'one\n')
    for (const text of ['two\n', 'three\n']) {
      await on.there('append', 'followed', text)
      await on.hear()
      await until(`it sees ${text}`, () => said.endsWith(text))
    }
    t.equal(said, 'one\ntwo\nthree\n')
  })

  await t.test('a shared mapping shows it', async t => {
    const folder = mkdtempSync(join(tmpdir(), 'grove-mapping-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const program = join(folder, 'kernel-calls')
    const source = join(import.meta.dirname, '../support/kernel-calls.c')
    execFileSync(COMPILER, ['-O1', '-o', program, source])
    await on.write('map', 'a'.repeat(4096))
    await on.tell()
    const child = spawn(program, ['map-follow'], { cwd: mount.directory })
    t.teardown(() => child.kill('SIGKILL'))
    const next = async (): Promise<string> =>
      new Promise(resolve => child.stdout.once('data', (data: Buffer) => resolve(data.toString())))
    t.equal(await next(), 'a\n')
    await on.there('write', 'map', 'b'.repeat(4096))
    await on.hear()
    const shown = next()
    child.stdin.write('\n')
    t.equal(await shown, 'b\n')
    child.stdin.end()
  })

  await t.test('a name that was absent appears, one that was there goes', async t => {
    t.notOk(await on.exists('made'))
    await on.there('write', 'made', 'x')
    await on.hear()
    t.equal(await on.read('made'), 'x')
    await on.there('unlink', 'made')
    await on.hear()
    t.notOk(await on.exists('made'))
    await on.there('write', 'one', '1')
    await on.there('write', 'other', '2')
    await on.hear()
    t.equal((await on.read('one')) + (await on.read('other')), '12')
    await on.there('rename', 'other', 'one')
    await on.hear()
    t.equal(await on.read('one'), '2')
    t.notOk(await on.exists('other'))
  })

  await t.test('a listing that is cached is read anew', async t => {
    await inProcess((fs, at) => fs.mkdirSync(at), on.path('listed'))
    const list = async (): Promise<string> => run('ls', [on.path('listed')])
    await on.tell()
    t.equal(await list(), '')
    await on.there('write', 'listed/a', 'x')
    await on.hear()
    t.equal(await list(), 'a\n')
    await on.there('rename', 'listed/a', 'listed/b')
    await on.hear()
    t.equal(await list(), 'b\n')
  })

  await t.test('a working directory survives changes of its parent, and a move', async t => {
    await inProcess((fs, at) => fs.mkdirSync(`${at}/cwd`, { recursive: true }), on.path('parent'))
    await on.tell()
    const at = on.path('parent/cwd')
    const stay = await shell(t, `cd ${at}; ls`, 'echo x > file; /bin/pwd; ls')
    const follow = await shell(t, `cd ${at}; ls`, 'echo y > after; cat after; ls')
    await on.there('write', 'parent/beside', 'x')
    await on.there('chmod', 'parent', 0o700)
    await on.hear()
    t.equal(await stay(), `${at}\nfile\n`)
    await on.there('rename', 'parent', 'elsewhere')
    await on.hear()
    t.equal(await follow(), 'y\nafter\nfile\n')
    t.equal(await on.read('elsewhere/cwd/after'), 'y\n')
    t.notOk(await on.exists('parent'))
  })

  await t.test('a conflict is shown and resolved', async t => {
    await on.write('notes', 'base')
    await on.tell()
    await on.write('notes', 'here')
    await on.there('write', 'notes', 'there')
    await on.hear()
    await on.tell()
    const [copy = ''] = (await mount.command('conflicts')) as readonly string[]
    t.strictSame([await on.read('notes'), await on.read(copy)].toSorted(), ['here', 'there'])
    await mount.command('resolve', 'notes', 'mine')
    await until('the copy is gone', async () => !(await on.exists(copy)))
    await until('it is mine', async () => (await on.read('notes')) === 'here')
    t.strictSame(await mount.command('conflicts'), [])
  })

  t.strictSame((await mount.state()).reports, [])
  t.equal((await mount.state()).notifier.failed, 0)
})

t.test('requests that are unanswered while the kernel is told', ifMountable(), async t => {
  const mount = await startMount(t)
  const on = callsOn(mount)

  await t.test('CREATE, READDIR', async t => {
    await on.write('slow-made', 'x')
    t.equal(await on.read('slow-made'), 'x')
    await inProcess((fs, at) => fs.mkdirSync(at), on.path('slow-directory'))
    await on.write('slow-directory/f', 'x')
    t.equal(await run('ls', [on.path('slow-directory')]), 'f\n')
    t.equal(await on.read('slow-directory/f'), 'x', 'and the process still serves')
    await until('all went through', async () => (await mount.state()).notifier.queued === 0)
  })

  await t.test('READ: its pages wait, news of other files do not', async t => {
    await on.there('pattern', 'remote', BLOCK_BYTES)
    await on.there('write', 'other', 'old')
    await on.hear()
    t.equal(await on.read('other'), 'old')
    const waiting = inProcess((fs, at) => fs.readFileSync(at).length, on.path('remote'))
    await until('it waits', async () => (await mount.state()).waiting > 0)
    await on.there('append', 'remote', 'more')
    await on.there('write', 'other', 'new')
    await on.hear()
    t.equal(await on.read('other'), 'new')
    t.ok((await mount.state()).waiting > 0, 'it waits still')
    t.equal(await inProcess((fs, at) => fs.statSync(at).size, on.path('remote')), BLOCK_BYTES + 4)
    await mount.command('connect', true)
    await waiting
    const tail = inProcess(
      (fs, at) => fs.readFileSync(at).subarray(-4).toString(),
      on.path('remote')
    )
    t.equal(await tail, 'more')
    await mount.command('connect', false)
  })
  t.strictSame((await mount.state()).reports, [])
})

t.test('content that is not here', ifMountableAsRoot(), async t => {
  const mount = await startMount(t)
  const on = callsOn(mount)
  await on.write('local', 'here')
  for (let n = 0; n < STUCK_READS; n++) await on.there('pattern', `stuck${n}`, BLOCK_BYTES)
  await on.hear()

  await t.test('st_blocks counts what is here', async t => {
    const blocks = async (name: string): Promise<number> =>
      inProcess((fs, at) => fs.statSync(at).blocks, on.path(name))
    t.equal(await blocks('stuck0'), 0)
    t.equal(await blocks('local'), 1)
    await mount.command('connect', true)
    t.equal(await inProcess((fs, at) => fs.readFileSync(at).length, on.path('stuck0')), BLOCK_BYTES)
    await mount.command('connect', false)
    await until('it is here', async () => (await blocks('stuck0')) === BLOCK_BYTES / 512)
  })

  await t.test('a program whose read waits can be killed', async t => {
    const script = `cat ${on.path('stuck1')} & sleep 0.2; kill -INT $!; kill $!; wait $!; echo $?`
    t.match(await run('sh', ['-c', script]), /^1\d\d\n$/)
  })

  await t.test(`${STUCK_READS} reads that wait hold up nobody`, async t => {
    await dropCaches()
    const names = Array.from({ length: STUCK_READS - 2 }, (_, n) => `stuck${n + 2}`)
    const script = `cd ${mount.directory}; for f in ${names.join(' ')}; do cat $f > /dev/null & done; wait`
    let isOver = false
    const stuck = run('sh', ['-c', script]).then(() => (isOver = true))
    await until('they wait', async () => (await mount.state()).waiting >= names.length)
    t.equal(await on.read('local'), 'here')
    await on.write('written', 'meanwhile')
    await on.there('write', 'merged', 'meanwhile')
    await on.hear()
    t.equal(await on.read('merged'), 'meanwhile')
    t.ok((await mount.state()).waiting >= names.length, 'they wait still')
    t.notOk(isOver)
    await mount.command('connect', true)
    await stuck
  })

  await t.test('lookups balance to nothing', async t => {
    await run('find', [mount.directory, '-ls'])
    await on.there('unlink', 'stuck3')
    await on.there('rename', 'stuck4', 'stuck5')
    await on.hear()
    await run('sh', ['-c', `rm -r ${mount.directory}/*`])
    await dropCaches()
    await until('all is forgotten', async () => (await mount.state()).inodes === 0)
    t.match(await mount.state(), { handles: 0, rootRemembered: 0, reports: [] })
  })
})
