import t from 'tap'
import { MemoryMount } from '../support/memory-mount.ts'
import { runPosixSuite } from '../suites/posix-suite.ts'
t.test('posix', async t => {
  const mount = await MemoryMount.start({ allowOther: true, driver: 'fuse-native' })
  t.teardown(async () => mount.stop())
  const r = await runPosixSuite({ directory: mount.directory, exclusions: {}, deadlineMs: 150_000 })
  for (const x of r) if (x.outcome !== 'passed') t.comment(x.outcome, x.name, '|', x.message.slice(0, 160).replaceAll('\n', ' '))
  t.comment(r.length)
})
