/** The real-tool suite on a native folder: what fails here is wrong in the suite. */
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { realToolsSuite, runRealTools } from './real-tools.ts'

t.test('every tool works on a native folder, and finds its work again', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'grove-real-tools-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const manifest = await realToolsSuite(t, { directory, phase: 'fill' })
  t.ok(Object.keys(manifest).length > 1000, `${Object.keys(manifest).length} names`)
  await realToolsSuite(t, { directory, phase: 'verify', manifest })
})

t.test('what changed since is found', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'grove-real-tools-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const only = ['sed, sort, split and sha256sum']
  const { manifest } = await runRealTools({ directory, phase: 'fill', only })
  await appendFile(join(directory, 'sed-sort-split-and-sha256sum', 'list'), 'damage')
  const { results } = await runRealTools({ directory, phase: 'verify', manifest, only })
  t.match(results, [
    { name: 'the tree is as it was', failure: /1 of \d+ names differ/ },
    { name: only[0], failure: /list: FAILED/ },
    { name: 'the tree is still as it was', failure: /1 of \d+ names differ/ }
  ])
})
