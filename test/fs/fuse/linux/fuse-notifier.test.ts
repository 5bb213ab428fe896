/**
 * Notifications have the bytes that the kernel's own header gives them; on a real mount the
 * kernel acts on them, and one that has to wait inside the kernel holds up nobody else.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FuseNotifier } from '../../../../src/fs/fuse/linux/fuse-notifier.ts'
import type { InodeNumber } from '../../../../src/fs/vfs.ts'
import type { Name } from '../../../../src/sync/operation.ts'
import { toHex } from '../../../support/bytes.ts'
import { goldenVector } from '../../../support/golden-vector.ts'
import {
  dropCaches,
  ifMountable,
  ifMountableAsRoot,
  inProcess,
  MemoryMount,
  run,
  until
} from '../../../support/memory-mount.ts'

const INO = 0x2_0000_0003 as InodeNumber
const SIZE = 0x4_0000_0005
const PLACE = { parent: 1 as InodeNumber, name: '\xffb' as Name }

function notifierOver(answers: readonly number[] = []): { notifier: FuseNotifier; sent: string[] } {
  const sent: string[] = []
  const notifier = new FuseNotifier({
    notify: message => answers[sent.push(toHex(message)) - 1] ?? 0,
    notifyStatus: () => [1, 2, 3, 4, 5]
  })
  return { notifier, sent }
}

t.test('each notification has the bytes of the golden vector', async t => {
  const cases: Readonly<Record<string, (notifier: FuseNotifier) => boolean>> = {
    'content changed': notifier => notifier.contentChanged(INO, { offset: SIZE, length: 4096 }),
    'attributes changed': notifier => notifier.attributesChanged(INO),
    'name changed': notifier => notifier.nameChanged(PLACE),
    'name replaced': notifier => notifier.nameReplaced(PLACE),
    'name removed': notifier => notifier.nameRemoved(PLACE, INO)
  }
  for (const [vector, send] of Object.entries(cases)) {
    const { notifier, sent } = notifierOver()
    t.ok(send(notifier), vector)
    t.strictSame(sent, [toHex(goldenVector('fuse-reply', vector))], vector)
  }
})

t.test('grew() tells the size before it invalidates', async t => {
  const { notifier, sent } = notifierOver()
  t.ok(notifier.grew(INO, SIZE))
  t.equal(sent.length, 2)
  t.equal(sent[0], toHex(goldenVector('fuse-reply', 'grew')))
  t.match(sent[1], /^280000000200/, 'then INVAL_INODE')
})

t.test('a full queue is said, not hidden', async t => {
  t.notOk(notifierOver([-11]).notifier.contentChanged(INO))
  t.notOk(notifierOver([0, -11]).notifier.grew(INO, 1), 'also the second half of grew()')
  t.strictSame(notifierOver().notifier.status(), { queued: 1, sent: 2, missed: 3, failed: 4 })
})

/** A local read may take this long while reads of other files wait for the network. */
const LOCAL_READ_MS_MAX = 100
const STUCK_READS = 200

/** A shell that does one thing now and another when it is told to. */
async function shell(t: Test, now: string, then: string): Promise<() => Promise<string>> {
  const child = spawn('sh', ['-c', `${now}; echo ready; read line; ${then}`], { cwd: '/' })
  t.teardown(() => child.kill('SIGKILL'))
  await new Promise(resolve => child.stdout.once('data', resolve))
  return async () => {
    let said = ''
    child.stdout.on('data', (data: Buffer) => (said += data.toString()))
    child.stdin.end('go\n')
    return new Promise(resolve => child.once('close', () => resolve(said)))
  }
}

t.test('the kernel acts on notifications', ifMountable(), async t => {
  const mount = await MemoryMount.start()
  t.teardown(async () => mount.stop())
  const path = (name: string): string => join(mount.directory, name)
  const write = async (name: string, text: string): Promise<unknown> =>
    inProcess((fs, file, content) => fs.writeFileSync(file, content), path(name), text)
  const read = async (name: string): Promise<string> =>
    inProcess((fs, file) => fs.readFileSync(file, 'utf8'), path(name))

  await t.test('content and size are read anew', async t => {
    await write('log', 'one\n')
    t.equal(await read('log'), 'one\n')
    await mount.command('growBehind', 'log', 'two\n', false)
    await mount.command('contentChanged', 'log')
    await until('the growth is seen', async () => (await read('log')) === 'one\ntwo\n')
  })

  await t.test('a program that has the file open sees it grow and shrink', async t => {
    await write('followed', 'one\n')
    const file = path('followed')
    const go = await shell(t, `exec 3< ${file}; cat <&3 >&2`, 'cat <&3')
    await mount.command('growBehind', 'followed', 'two\n', false)
    await mount.command('contentChanged', 'followed')
    await until('it is told', async () => (await mount.state()).notifier.queued === 0)
    t.equal(await go(), 'two\n')
    await mount.command('cutBehind', 'followed', 2)
    await mount.command('contentChanged', 'followed')
    await until('the cut is seen', async () => (await read('followed')) === 'on')
    const { size } = await inProcess((fs, at) => fs.statSync(at), file)
    t.equal(size, 2)
  })

  await t.test('a listing is read anew', async t => {
    const isListed = async (name: string): Promise<boolean> =>
      inProcess((fs, at, wanted) => fs.readdirSync(at).includes(wanted), mount.directory, name)
    t.notOk(await isListed('listed'))
    await mount.command('createBehind', 'listed')
    await mount.command('contentChanged', '.')
    await until('it is listed', async () => isListed('listed'))
    t.ok(await inProcess((fs, at) => fs.existsSync(at), path('listed')))
    await mount.command('removeBehind', 'listed')
    await until(
      'it is gone',
      async () => !(await inProcess((fs, at) => fs.existsSync(at), path('listed')))
    )
    await mount.command('contentChanged', '.')
    await until('it is no longer listed', async () => !(await isListed('listed')))
  })

  for (const notify of [false, true])
    await t.test(`a local append to a file that grew${notify ? ' and was told' : ''}`, async t => {
      await write('appended', 'one\n')
      const file = path('appended')
      const go = await shell(t, `exec 3>> ${file}; cat ${file}`, `echo three >&3`)
      const { sent } = (await mount.state()).notifier
      await mount.command('growBehind', 'appended', 'two\n', notify)
      if (notify)
        await until('it is told', async () => (await mount.state()).notifier.sent >= sent + 2)
      await go()
      await until('it is told', async () => (await mount.state()).notifier.queued === 0)
      t.equal(await read('appended'), 'one\ntwo\nthree\n', 'overwrites nothing')
    })

  await t.test('a name that was absent appears', async t => {
    const isThere = async (): Promise<boolean> =>
      inProcess((fs, file) => fs.existsSync(file), path('made'))
    t.notOk(await isThere())
    await mount.command('createBehind', 'made')
    await mount.command('nameReplaced', 'made')
    await until('it appears', isThere)
  })

  await t.test('a program that makes a name which appeared meanwhile opens it', async t => {
    const exists = inProcess((fs, file) => fs.existsSync(file), path('raced'))
    t.notOk(await exists)
    await mount.command('createBehind', 'raced')
    await write('raced', 'both')
    t.equal(await read('raced'), 'both')
  })

  await t.test('a working directory survives a change of its name', async t => {
    await inProcess((fs, file) => fs.mkdirSync(file), path('cwd'))
    const go = await shell(t, `cd ${path('cwd')}`, 'echo x > file; /bin/pwd; ls')
    const { sent } = (await mount.state()).notifier
    await mount.command('nameChanged', 'cwd')
    await until('it is told', async () => (await mount.state()).notifier.sent > sent)
    t.equal(await go(), `${path('cwd')}\nfile\n`)
  })

  await t.test('what the kernel does not know is harmless', async t => {
    const { missed } = (await mount.state()).notifier
    await mount.command('nameChanged', 'never-heard-of')
    await until('it is given up', async () => (await mount.state()).notifier.missed > missed)
    t.equal((await mount.state()).notifier.failed, 0)
  })
})

t.test('reads that wait', ifMountableAsRoot(), async t => {
  const mount = await MemoryMount.start()
  t.teardown(async () => mount.stop())
  const path = (name: string): string => join(mount.directory, name)
  await inProcess(
    (fs, at, count) => {
      for (let index = 0; index < count; index++) fs.writeFileSync(`${at}/stuck${index}`, 'waited')
      for (let index = 0; index < 5; index++) fs.writeFileSync(`${at}/local${index}`, 'here')
    },
    mount.directory,
    STUCK_READS
  )

  await t.test('a notification about a page that is being read', async t => {
    await dropCaches()
    const waiting = inProcess((fs, file) => fs.readFileSync(file, 'utf8'), path('stuck0'))
    await until('it waits', async () => (await mount.state()).waiting > 0)
    t.equal(await mount.command('contentChanged', 'stuck0'), true)
    t.equal(await mount.command('attributesChanged', 'stuck0'), true)
    const others = await inProcess((fs, at) => {
      fs.writeFileSync(`${at}/other`, 'x')
      return fs.readFileSync(`${at}/local0`, 'utf8') + fs.readdirSync(at).length
    }, mount.directory)
    t.equal(others, `here${STUCK_READS + 6}`, 'others are served')
    t.equal((await mount.state()).notifier.queued, 2, 'the notification waits')
    await mount.command('holdUp', false)
    t.equal(await waiting, 'waited')
    await until('all went through', async () => (await mount.state()).notifier.queued === 0)
    await mount.command('holdUp', true)
  })

  await t.test(`${STUCK_READS} of them do not hold up a local one`, async t => {
    await dropCaches()
    const script = `cd ${mount.directory}; for f in stuck*; do cat $f & done; wait`
    const waiting = run('sh', ['-c', script])
    await until('they wait', async () => (await mount.state()).waiting === STUCK_READS)
    const times = await inProcess((fs, at) => {
      const took: number[] = []
      for (let index = 0; index < 5; index++) {
        const start = performance.now()
        fs.readFileSync(`${at}/local${index}`)
        took.push(performance.now() - start)
      }
      return took
    }, mount.directory)
    // The best of five: the machine may be busy, the file system may not.
    t.ok(Math.min(...times) < LOCAL_READ_MS_MAX, `${times.join()} ms`)
    await mount.command('holdUp', false)
    t.equal(await waiting, 'waited'.repeat(STUCK_READS))
    await mount.command('holdUp', true)
  })

  await t.test('a program that waits can be killed', async t => {
    await dropCaches()
    const script = `cat ${path('stuck1')} & sleep 0.2; kill -INT $!; kill $!; wait $!; echo $?`
    t.match(await run('sh', ['-c', script]), /^1\d\d\n$/)
    await mount.command('holdUp', false)
  })
})
