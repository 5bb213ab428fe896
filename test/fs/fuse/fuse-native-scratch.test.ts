/** scratch */
import t from 'tap'
import { MemoryMount, run } from '../../support/memory-mount.ts'
t.test('x', async t => {
  const mount = await MemoryMount.start({ driver: (process.env['DRV'] ?? 'fuse-native') as 'fuse-native', allowOther: true })
  t.teardown(() => mount.stop())
  const [prog = '', ...args] = JSON.parse(process.env['CMD'] ?? '[]') as string[]
  console.error(await run(prog, args.map(a => a.replace('DIR', mount.directory)), { timeoutMs: 100_000 }).catch(String))
  console.error(JSON.stringify(await mount.state()))
})
