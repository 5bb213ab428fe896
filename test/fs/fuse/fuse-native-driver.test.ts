/** scratch */
import t from 'tap'
import { inProcess, MemoryMount } from '../../support/memory-mount.ts'
import { runPosixSuite } from '../../suites/posix-suite.ts'

t.test('smoke', async t => {
  const mount = await MemoryMount.start({ driver: 'fuse-native', allowOther: true })
  t.teardown(() => mount.stop())
  const result = await inProcess((fs, dir) => {
    fs.writeFileSync(dir + '/a', 'hello')
    fs.mkdirSync(dir + '/d')
    fs.symlinkSync('a', dir + '/l')
    fs.renameSync(dir + '/a', dir + '/d/b')
    return [fs.readdirSync(dir), fs.readFileSync(dir + '/d/b', 'utf8'), fs.statSync(dir + '/d/b')]
  }, mount.directory)
  console.error(result)
  const results = await runPosixSuite({
    directory: mount.directory,
    exclusions: {},
    deadlineMs: 90_000
  })
  for (const r of results)
    if (r.outcome !== 'passed') console.error(r.name, r.outcome, r.message.slice(-200))
  for (const r of results) if (r.durationMs > 300) console.error('SLOW', r.name, r.durationMs)
  console.error(
    results.length,
    results.reduce((a, r) => a + r.durationMs, 0)
  )
  console.error(await mount.state())
  await mount.command('unmount', false)
  console.error(await mount.state())
})
