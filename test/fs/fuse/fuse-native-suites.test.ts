/**
 * The suites of every driver on a mount of the fuse-native driver, but for what its list of
 * exclusions names.
 */
import t from 'tap'
import { runRealTools } from '../../mount/real-tools.ts'
import { posixSuite } from '../../suites/posix-suite.ts'
import { ifFuseNative } from '../../support/if-fuse-native.ts'
import { MemoryMount, until } from '../../support/memory-mount.ts'
import { FUSE_NATIVE_EXCLUSIONS, FUSE_NATIVE_TOOL_EXCLUSIONS } from './fuse-native-exclusions.ts'

const POSIX_DEADLINE_MS = 150_000

t.setTimeout(400_000)

t.test('the POSIX suite passes but for the exclusions', ifFuseNative(), async t => {
  const allowOther = process.geteuid?.() === 0
  const mount = await MemoryMount.start({ driver: 'fuse-native', allowOther })
  t.teardown(async () => mount.stop())
  await posixSuite(t, {
    directory: mount.directory,
    exclusions: FUSE_NATIVE_EXCLUSIONS,
    deadlineMs: POSIX_DEADLINE_MS
  })
  await until('nothing is left', async () => (await mount.state()).inodes === 1)
  t.match(await mount.state(), { handles: 0, reports: [] })
  await mount.command('unmount', false)
})

t.test('real tools work but for the exclusions', ifFuseNative(), async t => {
  const mount = await MemoryMount.start({ driver: 'fuse-native' })
  t.teardown(async () => mount.stop())
  const { results } = await runRealTools({ directory: mount.directory, phase: 'fill' })
  t.ok(results.length > Object.keys(FUSE_NATIVE_TOOL_EXCLUSIONS).length)
  for (const { name, failure, durationMs } of results) {
    const reason = FUSE_NATIVE_TOOL_EXCLUSIONS[name]
    if (reason === undefined) t.equal(failure, undefined, `${name} (${durationMs} ms)`)
    else t.match(failure, /mtime/, `${name}: excluded, ${reason}`)
  }
  const names = results.map(result => result.name)
  const unknown = Object.keys(FUSE_NATIVE_TOOL_EXCLUSIONS).filter(name => !names.includes(name))
  t.strictSame(unknown, [], 'every exclusion names a tool')
  t.strictSame((await mount.state()).reports, [])
  await mount.command('unmount', false)
})
