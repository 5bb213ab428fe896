/**
 * What a killed daemon leaves behind is cleared, and nothing else is: a live mount, one whose
 * daemon is stopped, and mounts of others stay.
 */
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { clearDeadMount } from '../../../src/fs/fuse/clear-dead-mount.ts'
import { parseMountTable } from '../../../src/fs/fuse/mount-table.ts'
import {
  dropCaches,
  ifMountable,
  ifMountableAsRoot,
  inProcess,
  MemoryMount,
  until
} from '../../support/memory-mount.ts'

/** How long a mount that does not answer is given here. */
const PROBE_MS = 500

const isMounted = (directory: string): boolean =>
  parseMountTable(readFileSync('/proc/self/mountinfo')).some(entry => entry.directory === directory)

async function killed(mount: MemoryMount): Promise<void> {
  const ended = new Promise(resolve => mount.server.once('exit', resolve))
  mount.server.kill('SIGKILL')
  await ended
}

t.test('where nothing of ours is mounted there is nothing to do', async t => {
  t.equal(await clearDeadMount(t.testdir({})), 'none')
  t.equal(await clearDeadMount('/'), 'none')
  t.equal(await clearDeadMount('/proc'), 'none', 'a mount of others')
  t.equal(await clearDeadMount(join(t.testdirName, 'no/such/place')), 'none')
})

t.test('only a dead mount is cleared, also through a symbolic link', ifMountable(), async t => {
  const mount = await MemoryMount.start()
  t.teardown(async () => mount.stop())
  const links = mkdtempSync(join(tmpdir(), 'grove-links-'))
  t.teardown(() => rmSync(links, { recursive: true }))
  const link = join(links, 'link')
  symlinkSync(mount.directory, link)

  t.equal(await clearDeadMount(mount.directory), 'live')
  mount.server.kill('SIGSTOP')
  t.equal(await clearDeadMount(mount.directory, { probeMsMax: PROBE_MS }), 'unresponsive')
  mount.server.kill('SIGCONT')
  t.equal(await inProcess((fs, at) => fs.readdirSync(at).length, mount.directory), 0, 'it goes on')

  await killed(mount)
  t.ok(isMounted(mount.directory), 'a killed daemon leaves its mount')
  t.equal(await clearDeadMount(link), 'cleared')
  t.notOk(isMounted(mount.directory))
  t.equal(await clearDeadMount(mount.directory), 'none')
})

t.test('a daemon that is killed while a notification is stuck', ifMountableAsRoot(), async t => {
  const mount = await MemoryMount.start()
  t.teardown(async () => mount.stop())
  const file = join(mount.directory, 'stuck')
  await inProcess((fs, path) => fs.writeFileSync(path, 'x'), file)
  await dropCaches()
  const read = inProcess((fs, path) => fs.readFileSync(path, 'utf8'), file)
  const failure = t.rejects(read, 'the reader gets an error')
  await until('it waits', async () => (await mount.state()).waiting > 0)
  await mount.command('contentChanged', 'stuck')
  await until('it is stuck', async () => (await mount.state()).notifier.queued === 1)

  // The kernel may keep the process until the connection is ended; everything else of it is gone.
  const ended = killed(mount)
  const options = { probeMsMax: PROBE_MS, abortUnresponsive: true }
  t.equal(await clearDeadMount(mount.directory, options), 'cleared')
  t.notOk(isMounted(mount.directory))
  await ended
  await failure
})
