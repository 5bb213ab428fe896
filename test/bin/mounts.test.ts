/** Mounting and unmounting: one folder at a time, fallbacks, busy folders, foreign unmounts. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DaemonLog } from '../../bin/daemon-log.ts'
import { Mounts } from '../../bin/mounts.ts'
import { MountError } from '../../src/fs/fuse/mount.ts'
import { FakeDrive, FakeDriver, type Journal } from './fake-drive.ts'
import { temporaryFolder } from './temporary-folder.ts'

async function setUp(t: Test) {
  const folder = await temporaryFolder(t)
  const journal: Journal = []
  const drive = new FakeDrive(journal)
  const linux = new FakeDriver('linux', journal)
  const fuseNative = new FakeDriver('fuse-native', journal)
  const log = new DaemonLog(join(folder, 'log'))
  t.teardown(() => log.close())
  const tools = {
    linux: linux.mount,
    fuseNative: fuseNative.mount,
    clearDeadMount: () => Promise.resolve('none' as const)
  }
  const mounts = new Mounts({ drive, tools, home: join(folder, 'home'), log })
  const directory = join(folder, 'Grove')
  const request = { directory, driver: 'auto', readOnly: false, allowOther: false } as const
  return { folder, journal, drive, linux, fuseNative, mounts, directory, request }
}

t.test('mount() and unmount() open and close a file system', async t => {
  const { mounts, drive, linux, journal, directory, request } = await setUp(t)
  t.strictSame(await mounts.mount(request), { directory, driver: 'linux', readOnly: false })
  t.equal(drive.mounts[0], linux.mounts[0], 'the drive knows who asks it')
  t.strictSame(mounts.list, [{ directory, driver: 'linux', readOnly: false }])
  t.equal(mounts.openFiles, 3)
  t.equal(await mounts.unmount({ lazy: false }), directory)
  t.equal(await mounts.unmount({ lazy: false }), undefined)
  t.strictSame(mounts.list, [])
  t.strictSame(journal, ['open vfs', 'mount with linux', 'unmount', 'close vfs'])
})

t.test('mount() again at the same folder is no error, elsewhere it names the process', async t => {
  const { mounts, folder, directory, request } = await setUp(t)
  await mounts.mount({ ...request, readOnly: true })
  t.match(await mounts.mount(request), { directory, readOnly: true, already: true })
  await t.rejects(mounts.mount({ ...request, directory: join(folder, 'Other') }), {
    code: 'BUSY',
    message: new RegExp(`${directory} by process ${process.pid}`)
  })
})

t.test('auto takes fuse-native only where the addon is missing, and says so', async t => {
  const { mounts, linux, fuseNative, journal, request } = await setUp(t)
  linux.failure = new MountError('NO_ADDON', 'install a compiler')
  await t.rejects(mounts.mount({ ...request, driver: 'linux' }), { code: 'NO_ADDON' })
  const { driver, notice } = await mounts.mount(request)
  t.equal(driver, 'fuse-native')
  t.match(notice, /fuse-native.*install a compiler/)
  t.equal((await mounts.mount(request)).notice, undefined, 'once')
  await mounts.unmount({ lazy: false })
  linux.failure = new MountError('NO_DEVICE', 'no /dev/fuse')
  await t.rejects(mounts.mount(request), { code: 'NO_DEVICE' })
  t.equal(fuseNative.mounts.length, 1)
  t.equal(journal.at(-1), 'close vfs', 'a failed mount leaves no file system open')
  await mounts.mount({ ...request, driver: 'fuse-native' })
  t.equal(fuseNative.mounts.length, 2)
})

t.test('unmount() of a busy folder is refused unless it is lazy', async t => {
  const { mounts, linux, journal, request } = await setUp(t)
  await mounts.mount(request)
  const [mount] = linux.mounts
  t.ok(mount)
  if (mount === undefined) return
  mount.busy = true
  await t.rejects(mounts.unmount({ lazy: false }), { code: 'BUSY', message: /--lazy/ })
  t.equal(mounts.list.length, 1, 'it goes on')
  setTimeout(() => mount.end(), 50)
  await mounts.unmount({ lazy: true })
  t.strictSame(journal.slice(2), ['unmount', 'unmount', 'sync', 'unmount lazily', 'close vfs'])
})

t.test('unmount() of another folder is refused', async t => {
  const { mounts, folder, request } = await setUp(t)
  await mounts.mount(request)
  await t.rejects(mounts.unmount({ directory: join(folder, 'Other'), lazy: true }), {
    code: 'BAD_DIRECTORY'
  })
  t.equal(mounts.list.length, 1)
})

t.test('end() detaches a busy folder after a sync, even one that fails', async t => {
  const { mounts, drive, linux, journal, request } = await setUp(t)
  await mounts.mount(request)
  for (const mount of linux.mounts) mount.busy = true
  drive.failure = new Error('disk')
  await mounts.end()
  await mounts.end()
  t.strictSame(journal.slice(2), ['unmount', 'sync', 'unmount lazily', 'close vfs'])
  t.strictSame(mounts.list, [])
})

t.test('a foreign unmount closes the file system and is told once', async t => {
  const { mounts, linux, journal, request } = await setUp(t)
  let told = 0
  const foreign = new Promise<void>(resolve => {
    mounts.onUnmountedElsewhere = () => {
      told++
      resolve()
    }
  })
  await mounts.mount(request)
  linux.mounts[0]?.end()
  await foreign
  t.strictSame(mounts.list, [])
  t.equal(journal.at(-1), 'close vfs')
  await mounts.mount(request)
  await mounts.unmount({ lazy: false })
  await new Promise(resolve => setImmediate(resolve))
  t.equal(told, 1, 'our own unmount is not foreign')
})

t.test('calls run one after another', async t => {
  const { mounts, journal, request } = await setUp(t)
  await Promise.all([
    mounts.mount(request),
    mounts.unmount({ lazy: false }),
    mounts.mount(request),
    mounts.end()
  ])
  const round = ['open vfs', 'mount with linux', 'unmount', 'close vfs']
  t.strictSame(journal, [...round, ...round])
})
